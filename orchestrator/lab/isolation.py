"""Where an instance's scripts run: what a host asks of that place, and the place that is only a directory."""

import socket
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from orchestrator.lab.imds import InstanceMetadata

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Isolation(StrEnum):
    """How instances are kept apart."""

    DIRECTORY = "directory"
    NAMESPACE = "namespace"


class NoNamespacesError(Exception):
    """The machine gives no namespaces; `hint` says what would help."""

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


class Place(Protocol):
    """One instance's place.

    `base` stands in front of every path of the instance as its scripts see it: "" where they see the real ones.
    `path` is their PATH, `entry` an argv that puts a command there, `introspection_port` 0 where any number will do.
    `mark` tells the place's processes from all others: a piece of their environment, or their network namespace.
    """

    base: str
    path: str
    entry: tuple[str, ...]
    introspection_port: int
    mark: str

    def bind(self, port: int) -> socket.socket:
        """Bind a loopback socket that the place's scripts reach; several may share its number."""
        ...

    async def open(self, metadata: InstanceMetadata, lab_port: int) -> None:
        """Let scripts reach the metadata service and the lab's own port."""
        ...

    async def reach(self, port: int) -> None:
        """Let scripts reach one more loopback port of the machine."""
        ...

    async def close(self) -> None:
        """End what `open` and `reach` began."""
        ...

    def release(self) -> None:
        """Give the place back. Its processes must have ended."""
        ...


class Ground(Protocol):
    """Where places are made."""

    def start(self) -> None:
        """Get ready. Raises NoNamespacesError."""
        ...

    def place(self, root: Path) -> Place:
        """Make the place of the instance that keeps its files in `root`. Raises NoNamespacesError."""
        ...

    def stop(self) -> None:
        """Give everything back."""
        ...


class DirectoryPlace:
    """A directory: nothing but parameters and PATH keeps its scripts apart, and they share the machine's network."""

    def __init__(self, root: Path) -> None:
        self.base = str(root)
        self.path = f"{root}/bin:{SYSTEM_PATH}"
        self.entry: tuple[str, ...] = ()
        self.introspection_port = 0
        self.mark = f"PATH={root}/bin"

    def bind(self, port: int) -> socket.socket:
        """Bind a socket on 127.0.0.1; 0 takes any free number."""
        bound = socket.socket()
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.setblocking(False)
        bound.bind(("127.0.0.1", port))
        return bound

    async def open(self, metadata: InstanceMetadata, lab_port: int) -> None:
        """Do nothing: parameters name the control URL."""

    async def reach(self, port: int) -> None:
        """Do nothing: the network is the machine's."""

    async def close(self) -> None:
        """Do nothing."""

    def release(self) -> None:
        """Do nothing."""


class DirectoryGround:
    """Needs nothing of the machine."""

    def start(self) -> None:
        """Do nothing."""

    def place(self, root: Path) -> Place:
        """Return the directory as a place."""
        return DirectoryPlace(root)

    def stop(self) -> None:
        """Do nothing."""
