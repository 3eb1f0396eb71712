"""Instances in network and mount namespaces of their own: scripts use their real default paths and URLs (F94).

What is an instance's own lies over the machine's files, and only its processes see it. The kernel takes namespaces
away with the last process, socket and descriptor in them, so that even a lab that is killed leaves none behind.
"""

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aiohttp import web

from orchestrator.lab import namespace_keeper
from orchestrator.lab.forwarding import Forwarder
from orchestrator.lab.imds import InstanceMetadata, answer
from orchestrator.lab.isolation import (
    SYSTEM_PATH,
    DirectoryGround,
    Ground,
    Isolation,
    NoNamespacesError,
    Place,
)
from orchestrator.lab.shims import NAMES, install_wrappers

INTROSPECTION_PORT = 51678
METADATA_ADDRESS = "169.254.169.254"
SEEN_AT = "/run/instance"
_PATIENCE = 30.0  # for an answer of the keeper, seconds
_HINT = (
    "It needs Linux, util-linux, and root or unprivileged user namespaces (sysctl user.max_user_namespaces, "
    "kernel.apparmor_restrict_unprivileged_userns; in a container: CAP_SYS_ADMIN). Else say --isolation directory."
)
_WRAPPERS = "run/lab/sbin"
_WORKPLACE = "run/lab/workplace"
_OWN = {
    "/etc": ("ecs",),
    "/var/lib": ("ecs", "ecs-rollout", "amazon"),
    "/var/log": ("ecs",),
    "/var/cache": ("ecs",),
}


class NamespacePlace:
    """One instance's pair of namespaces, and what the lab serves inside."""

    base = ""
    path = SYSTEM_PATH
    introspection_port = INTROSPECTION_PORT

    def __init__(self, ground: "NamespaceGround", network: int, mounts: int) -> None:
        self._ground = ground
        self._descriptors = [network, mounts]
        # Others can see what this process has open, so a command needs to inherit nothing.
        self.entry: tuple[str, ...] = (
            *ground.entry,
            f"--net=/proc/{os.getpid()}/fd/{network}",
            f"--mount=/proc/{os.getpid()}/fd/{mounts}",
            "--",
        )
        self.mark = f"net:[{os.fstat(network).st_ino}]"
        self._forwarders: list[Forwarder] = []
        self._metadata: tuple[asyncio.Server, web.Server] | None = None

    def bind(self, port: int) -> socket.socket:
        """Bind a socket on the instance's own 127.0.0.1."""
        return self._bind("127.0.0.1", port, shared=True)

    async def open(self, metadata: InstanceMetadata, lab_port: int) -> None:
        """Serve the metadata service at its real address, and the lab at its port."""

        async def serve(request: web.BaseRequest) -> web.Response:
            return await answer(metadata, request, request.path)

        handler = web.Server(serve)
        listener = self._bind(METADATA_ADDRESS, 80)
        server = await asyncio.get_running_loop().create_server(handler, sock=listener)
        self._metadata = (server, handler)
        await self.reach(lab_port)

    async def reach(self, port: int) -> None:
        """Join the port of the same number inside to the machine's."""
        forwarder = Forwarder(self._bind("127.0.0.1", port), port)
        self._forwarders.append(forwarder)
        await forwarder.open()

    async def close(self) -> None:
        """Stop serving inside."""
        for forwarder in self._forwarders:
            await forwarder.close()
        found, self._metadata = self._metadata, None
        if found is not None:
            server, handler = found
            server.close()
            await handler.shutdown(timeout=0)
            await server.wait_closed()

    def release(self) -> None:
        """Let go of the namespaces."""
        while self._descriptors:
            os.close(self._descriptors.pop())

    def _bind(self, address: str, port: int, *, shared: bool = False) -> socket.socket:
        request = {"verb": "bind", "address": address, "port": port, "shared": shared}
        (descriptor,) = self._ground.ask(request, self._descriptors[:1])
        bound = socket.socket(fileno=descriptor)
        bound.setblocking(False)
        return bound


class NamespaceGround:
    """Makes namespaces with the help of one keeper process (namespace_keeper.py)."""

    def __init__(self) -> None:
        self.entry: tuple[str, ...] = ()
        self._channel: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._places: list[NamespacePlace] = []
        self._users: list[int] = []

    def start(self) -> None:
        """Start the keeper. Raises NoNamespacesError."""
        nsenter = shutil.which("nsenter", path=SYSTEM_PATH)
        if sys.platform != "linux" or nsenter is None:
            raise NoNamespacesError("This machine has no namespaces: no Linux, or no nsenter.", hint=_HINT)
        self._channel, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._channel.settimeout(_PATIENCE)
        with other:
            # A session of its own: Ctrl-C is for the lab, which still needs the keeper to end well.
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", namespace_keeper.__file__, str(other.fileno())],
                pass_fds=[other.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
        try:
            self._users = self._received()
        except BaseException as error:
            self.stop()
            if isinstance(error, OSError):
                raise NoNamespacesError(
                    f"This machine gives no namespaces: {error.strerror or error}.", hint=_HINT
                ) from error
            raise
        nested = [f"--user=/proc/{os.getpid()}/fd/{each}" for each in self._users]
        self.entry = (nsenter, *nested, *(["--preserve-credentials"] if nested else []))

    def place(self, root: Path) -> Place:
        """Make an instance's namespaces around `root`. Raises NoNamespacesError."""
        for directory, names in _OWN.items():
            for name in names:
                (root / directory.lstrip("/") / name).mkdir(parents=True, exist_ok=True)
        (root / _WORKPLACE).mkdir(parents=True, exist_ok=True)
        install_wrappers(root / _WRAPPERS, SEEN_AT)
        veils = {each: {name: f"{each.lstrip('/')}/{name}" for name in names} for each, names in _OWN.items()}
        veils["/usr/local/sbin"] = {name: f"{_WRAPPERS}/{name}" for name in NAMES}
        # Bare, for there are the sockets of the machine's own systemd and Docker.
        veils["/run"] = {Path(SEEN_AT).name: ""}
        request = {
            "verb": "make",
            "root": str(root),
            "workplace": _WORKPLACE,
            "addresses": [METADATA_ADDRESS],
            "veils": veils,
            "bare": ["/run"],
            "covers": {f"{place}/{name}": f"{_WRAPPERS}/{name}" for name in NAMES for place in ("/usr/bin", "/bin")},
        }
        try:
            network, mounts = self.ask(request, [])
        except OSError as error:
            raise NoNamespacesError(
                f"No namespaces can be made here: {error.strerror or error}.", hint=_HINT
            ) from error
        made = NamespacePlace(self, network, mounts)
        self._places.append(made)
        return made

    def stop(self) -> None:
        """End the keeper and let go of every namespace."""
        for place in self._places:
            place.release()
        while self._users:
            os.close(self._users.pop())
        if self._channel is not None:
            self._channel.close()
        if self._process is not None:
            self._process.wait()
        self._places.clear()
        self._channel = self._process = None

    def ask(self, request: Mapping[str, Any], descriptors: Sequence[int]) -> list[int]:
        """Have the keeper do something; return the descriptors it gives. Raises OSError."""
        with self._lock:
            if self._channel is None:
                raise ConnectionError("the keeper of the namespaces has ended")
            socket.send_fds(self._channel, [json.dumps(request).encode()], list(descriptors))
            return self._received()

    def _received(self) -> list[int]:
        if self._channel is None:
            raise ConnectionError("the keeper of the namespaces has ended")
        packet, descriptors, _, _ = socket.recv_fds(
            self._channel, namespace_keeper.PACKET, 4, flags=socket.MSG_CMSG_CLOEXEC
        )
        if not packet:
            raise ConnectionError("the keeper of the namespaces has ended")
        reply = json.loads(packet)
        if "errno" in reply:
            raise OSError(reply["errno"], reply["error"])
        return descriptors


def ground_for(isolation: Isolation) -> Ground:
    """Return the ground that makes such places."""
    match isolation:
        case Isolation.DIRECTORY:
            return DirectoryGround()
        case Isolation.NAMESPACE:
            return NamespaceGround()


def namespaces_missing() -> str:
    """Say why this machine has no namespaces for us; "" when it has."""
    ground = NamespaceGround()
    try:
        with tempfile.TemporaryDirectory() as directory:
            ground.start()
            ground.place(Path(directory).resolve())
    except NoNamespacesError as error:
        return str(error)
    finally:
        ground.stop()
    return ""
