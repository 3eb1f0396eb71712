"""Would draining an instance leave its tasks without a place? Values, and the pure check."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What an ACTIVE, connected instance has left: CPU units and MiB."""

    cpu: int
    memory: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What one task takes: CPU units and MiB. `service`: its service's name; empty for a standalone task."""

    service: str
    cpu: int
    memory: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceLoad:
    """How many tasks a service wants and has, and its deployment's bounds in percent of what it wants.

    `daemon`: it has one task on each instance, which does not move anywhere.
    """

    desired: int
    running: int
    minimum_percent: int
    maximum_percent: int
    daemon: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """What draining some instances would move, and where it could go. `rooms` and `loads` by container instance ARN.

    `rooms` holds every ACTIVE, connected instance of the cluster; `loads` the tasks of those that were asked for.
    """

    rooms: Mapping[str, Room]
    loads: Mapping[str, Sequence[Load]]
    services: Mapping[str, ServiceLoad]
