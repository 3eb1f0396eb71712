"""The values a scenario file holds: the fleet, its trouble, and the moods of the API."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType

from orchestrator.lab.faults import ApiFaults

LOGINS = {"puller": ("old-password", "new-password")}
"""Who may log in to the lab's registry, and with which passwords."""


class Platform(StrEnum):
    """What the instance runs."""

    AMAZON_LINUX = "amazon-linux"
    BOTTLEROCKET = "bottlerocket"
    WINDOWS = "windows"


class Ssm(StrEnum):
    """What SSM inventory knows of the instance (F71); `unregistered` means: it never heard of it."""

    ONLINE = "online"
    CONNECTION_LOST = "connection_lost"
    INACTIVE = "inactive"
    UNREGISTERED = "unregistered"


class AfterRestart(StrEnum):
    """What the ECS agent does after a restart. The first three mind the credential that was there at first.

    `stays_down`, `exit5` and `not_replaced` happen only while the credential differs from the first one, so
    putting the old file back heals them; the others happen at every restart.
    """

    RETURNS = "returns"
    STAYS_DOWN = "stays_down"
    EXIT5 = "exit5"
    NOT_REPLACED = "not_replaced"
    NEVER_RETURNS = "never_returns"
    FORGETS = "forgets"


class Disk(StrEnum):
    """What the instance's disk takes: everything, nothing at all, or nothing under /etc/ecs."""

    FINE = "fine"
    FULL = "full"
    READ_ONLY = "read_only"


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceSpec:
    """One container instance as the scenario wants it. Times are seconds.

    `persistent=False` writes an empty `ECS_DATADIR=` into the env file (F31); `config_lines` are put there as
    they are. `slow_registration` delays registration at every restart but the first (F12). `vanish_after` is
    counted from the start of the first command. `outcome` is what a rollout should end with, "" if unsaid.
    `already_current` is a wish to whoever builds the fleet: the lab itself knows no new credential.
    """

    instance_id: str
    name: str = ""
    zone: str = "us-east-1a"
    instance_type: str = "m5.large"
    ami_id: str = "ami-0abcdef1234567890"
    platform: Platform = Platform.AMAZON_LINUX
    agent_version: str = "1.105.1"
    ssm_agent_version: str = "3.3.2746.0"
    auth_type: str = "dockercfg"
    auth_data: str = '{"registry.example.com":{"auth":"cHVsbGVyOm9sZC1wYXNzd29yZA=="}}'
    config_lines: tuple[str, ...] = ()
    attributes: tuple[tuple[str, str], ...] = ()
    persistent: bool = True
    service_tasks: int = 2
    standalone_tasks: int = 0
    restart_seconds: tuple[float, float] = (0.2, 0.6)
    retry_seconds: tuple[float, float] = (0.5, 5.0)
    slow_registration: float = 0.0
    after_restart: AfterRestart = AfterRestart.RETURNS
    vanish_after: float | None = None
    ssm: Ssm = Ssm.ONLINE
    ecs_connected: bool = True
    disk: Disk = Disk.FINE
    docker_down: bool = False
    role: bool = True
    managed_instances: bool = False
    already_current: bool = False
    outcome: str = ""

    @property
    def troubled(self) -> bool:
        """Whether anything about it is out of the ordinary, so that scaling a fleet must keep it."""
        return bool(self.name) or self.already_current or self.outcome not in {"", "updated"}

    @property
    def mended(self) -> "InstanceSpec":
        """The same machine without its trouble; what it is, and what its files hold, stays."""
        return replace(
            self,
            after_restart=AfterRestart.RETURNS,
            slow_registration=0.0,
            vanish_after=None,
            ssm=Ssm.ONLINE,
            ecs_connected=True,
            disk=Disk.FINE,
            docker_down=False,
            role=True,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSpec:
    """The service whose tasks the fleet runs. Its desired count is the sum of their `service_tasks`."""

    name: str = "web"
    minimum_healthy_percent: int = 100
    maximum_percent: int = 200
    start_seconds: float = 0.2
    stop_seconds: float = 0.2


class Deed(StrEnum):
    """What happens to an instance while somebody rolls the fleet.

    `terminate`: the machine is gone and ECS deregisters it; `replace`: that, and another one joins, as Auto Scaling
    does; `join`: one more joins; `drain` and `activate`: somebody else sets its status; `update_agent`: the ECS
    agent updates itself; `restart_ssm`: the SSM agent is away for some seconds, its scripts go on (F61).
    """

    TERMINATE = "terminate"
    REPLACE = "replace"
    JOIN = "join"
    DRAIN = "drain"
    ACTIVATE = "activate"
    UPDATE_AGENT = "update_agent"
    RESTART_SSM = "restart_ssm"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happens to `instance_id`, `after` seconds after the `nth` occasion `when` of the instance `of`.

    Occasions: `sent:DOCUMENT`, `begun:DOCUMENT` (its script starts), `ended:DOCUMENT` (it has ended, nobody knows
    yet), `draining`, `active`, `drained` (no task is left). Without one, from the start of the lab. `of` is the
    instance itself where it is unsaid. `joins`: who comes, at `join` and `replace`; its credential may be an old one.
    """

    what: Deed
    instance_id: str = ""
    when: str = ""
    of: str = ""
    nth: int = 1
    after: float = 0.0
    joins: InstanceSpec | None = None
    version: str = "1.106.0"
    away: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A whole lab: where it is, who lives in it, what goes wrong and happens, and whom its registry lets in.

    `scaling_groups`: Auto Scaling groups, kept by moto, that are the cluster's capacity providers under their names.
    """

    seed: int = 7
    region: str = "us-east-1"
    account: str = "123456789012"
    cluster: str = "demo"
    api: ApiFaults = field(default_factory=ApiFaults)
    service: ServiceSpec = field(default_factory=ServiceSpec)
    instances: tuple[InstanceSpec, ...] = ()
    events: tuple[Event, ...] = ()
    scaling_groups: tuple[str, ...] = ()
    logins: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType(LOGINS))

    def with_instances(self, count: int) -> "Scenario":
        """Scale the fleet to `count`: trouble stays as long as it fits, healthy instances come and go.

        Events about those that went are dropped.

        Raises ValueError for a count below 1.
        """
        if count < 1:
            raise ValueError("a fleet has at least one instance")
        healthy = _by_turns([spec for spec in self.instances if not spec.troubled])
        spare = max(0, count - sum(spec.troubled for spec in self.instances))
        drop = set(healthy[spare:])
        kept = [spec for spec in self.instances if spec not in drop][:count]
        zones = sorted({spec.zone for spec in self.instances}) or [f"{self.region}a"]
        pattern = healthy or [InstanceSpec(instance_id="", zone=zone) for zone in zones]
        taken = {spec.instance_id for spec in self.instances}
        missing = count - len(kept)
        numbers = (number for number in itertools.count() if _numbered(number) not in taken)
        fresh = (
            replace(model, instance_id=_numbered(number))
            for model, number in zip(itertools.cycle(pattern), numbers, strict=False)
        )
        here = {"", *(spec.instance_id for spec in kept)}
        events = tuple(each for each in self.events if {each.instance_id, each.of} <= here)
        return replace(self, instances=(*kept, *itertools.islice(fresh, missing)), events=events)


def _numbered(number: int) -> str:
    return f"i-0e{number:015x}"


def _by_turns(specs: list[InstanceSpec]) -> list[InstanceSpec]:
    """Order instances so that the zones take turns: any beginning of the list is spread over them."""
    zones: dict[str, list[InstanceSpec]] = {}
    for spec in specs:
        zones.setdefault(spec.zone, []).append(spec)
    rounds = itertools.zip_longest(*zones.values())
    return [spec for turn in rounds for spec in turn if spec is not None]
