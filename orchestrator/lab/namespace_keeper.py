"""A process of its own that makes instances' namespaces: `python namespace_keeper.py <descriptor of a Unix socket>`.

The lab's process has threads, so it may not enter a user namespace itself; this one has none. It serves one request
after the other and goes home after each, keeps nothing, and ends when the lab does. Standard library only: it is
started by its path.

Requests and replies are JSON, one per packet, with descriptors beside them. `make` builds one instance's pair of
namespaces and gives their two descriptors back; `bind` gives a bound socket of the network namespace it was sent.
"""

import ctypes
import errno
import fcntl
import json
import os
import socket
import struct
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

# linux/sched.h, linux/mount.h, linux/sockios.h, linux/if.h
_NEW_MOUNTS, _NEW_USERS, _NEW_NETWORK = 0x20000, 0x10000000, 0x40000000
_BIND, _MOVE, _REC, _PRIVATE = 0x1000, 0x2000, 0x4000, 0x40000
_SET_FLAGS, _SET_ADDRESS, _SET_MASK = 0x8914, 0x8916, 0x891C
_UP, _LOOPBACK, _RUNNING = 0x1, 0x8, 0x40

MACHINE = ".machine"
PACKET = 65_536
NAMESPACES = "/proc/self/ns"

Answer = tuple[Mapping[str, Any], list[int]]

_libc = ctypes.CDLL(None, use_errno=True)


def _call(name: str, *arguments: Any) -> None:
    if getattr(_libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        # There is space enough; the kernel has no other word for it.
        full = name == "unshare" and number == errno.ENOSPC
        raise OSError(number, f"{name}: {'the limit of namespaces is reached' if full else os.strerror(number)}")


def _mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    _call("mount", *(text.encode() or None for text in (source, target, kind)), ctypes.c_ulong(flags), data.encode())


def _open_namespace(kind: str) -> int:
    return os.open(f"{NAMESPACES}/{kind}", os.O_RDONLY | os.O_CLOEXEC)


def settle() -> bool:
    """Make sure that this process may make namespaces; say whether it had to enter a user namespace for it (F94)."""
    try:
        _call("unshare", _NEW_NETWORK | _NEW_MOUNTS)
    except PermissionError:
        user, group = os.geteuid(), os.getegid()
        _call("unshare", _NEW_USERS | _NEW_NETWORK | _NEW_MOUNTS)
        Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1", encoding="ascii")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1", encoding="ascii")
        return True
    return False


class Keeper:
    """Makes namespaces from where it stands, and always comes back there."""

    def __init__(self) -> None:
        self._home = (_open_namespace("net"), _open_namespace("mnt"))

    def make(self, request: Mapping[str, Any], descriptors: list[int]) -> Answer:
        """Build one instance's namespaces from its root directory and what is to be seen where."""
        del descriptors
        _call("unshare", _NEW_NETWORK | _NEW_MOUNTS)
        made = [_open_namespace("net"), _open_namespace("mnt")]
        # Held open, so that it can be reached when its path is hidden already.
        root = os.open(request["root"], os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            _wake_loopback(request["addresses"])
            _furnish(request, f"/proc/self/fd/{root}")
        except BaseException:
            _close(made)
            raise
        finally:
            os.close(root)
        return {}, made

    def bind(self, request: Mapping[str, Any], descriptors: list[int]) -> Answer:
        """Bind a TCP socket in the network namespace given; nobody listens on it yet."""
        _call("setns", descriptors[0], _NEW_NETWORK)
        with socket.socket() as bound:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if request["shared"]:
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            bound.bind((request["address"], request["port"]))
            return {}, [bound.detach()]

    def go_home(self) -> None:
        """Leave whatever namespaces the last request entered."""
        for descriptor, kind in zip(self._home, (_NEW_NETWORK, _NEW_MOUNTS), strict=True):
            _call("setns", descriptor, kind)


def _wake_loopback(addresses: Iterable[str]) -> None:
    """Bring lo up, and give it more addresses: each is one of its own, with nothing else in its network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SET_FLAGS, struct.pack("16sh22x", b"lo", _UP | _LOOPBACK | _RUNNING))
        for number, address in enumerate(addresses):
            for request, value in ((_SET_ADDRESS, address), (_SET_MASK, "255.255.255.255")):
                internet = struct.pack("hH4s8x", socket.AF_INET, 0, socket.inet_aton(value))
                fcntl.ioctl(control, request, struct.pack("16s16s8x", f"lo:{number}".encode(), internet))


def _furnish(request: Mapping[str, Any], root: str) -> None:
    """Mount what is the instance's own; the machine sees nothing of it, for nothing is shared with it."""
    _mount("", "/", flags=_REC | _PRIVATE)
    workplace = Path(root, request["workplace"])
    for directory, own in request["veils"].items():
        sources = {name: f"{root}/{path}" for name, path in own.items()}
        _veil(Path(directory), sources, workplace, bare=directory in request["bare"])
    for target, path in request["covers"].items():
        if Path(target).is_file():
            _mount(f"{root}/{path}", target, flags=_BIND)


def _veil(directory: Path, own: Mapping[str, str], workplace: Path, *, bare: bool) -> None:
    """Let `directory` show what is in `own`, and the machine's other entries unless it is to be `bare`.

    A small tmpfs over it, with the machine's directory inside it and a symlink per entry: names that the machine
    does not have can be added without writing to the machine, and no overlay file system is needed. It is made in
    `workplace` and moved when it is ready.
    """
    if not directory.is_dir():
        raise FileNotFoundError(errno.ENOENT, f"the machine has no directory {directory}")
    _mount("lab", str(workplace), "tmpfs", data="mode=0755")
    if not bare:
        (workplace / MACHINE).mkdir()
        _mount(str(directory), str(workplace / MACHINE), flags=_BIND | _REC)
        for name, target in _links(directory).items():
            if name not in own:
                (workplace / name).symlink_to(target)
    for name, source in own.items():
        place = workplace / name
        if Path(source).is_dir():
            place.mkdir()
        else:
            place.touch()
        _mount(source, str(place), flags=_BIND)
    _mount(str(workplace), str(directory), flags=_MOVE)


def _links(directory: Path) -> dict[str, str]:
    """Return where each entry's name should lead. A link that is relative must not move: it is copied."""
    return {
        each.name: str(each.readlink()) if each.is_symlink() else f"{MACHINE}/{each.name}"
        for each in directory.iterdir()
    }


def _close(descriptors: Iterable[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def _serve(channel: socket.socket) -> None:
    """Answer until the lab closes its end."""
    try:
        nested = settle()
        users = [_open_namespace("user")] if nested else []
        keeper = Keeper()
    except OSError as error:
        _reply(channel, {"errno": error.errno or errno.EPERM, "error": error.strerror or str(error)}, [])
        return
    _reply(channel, {"nested": nested}, users)
    verbs: dict[str, Callable[[Mapping[str, Any], list[int]], Answer]] = {"make": keeper.make, "bind": keeper.bind}
    while True:
        packet, descriptors, _, _ = socket.recv_fds(channel, PACKET, 4)
        if not packet:
            return
        given: list[int] = []
        try:
            request = json.loads(packet)
            answer, given = verbs[request["verb"]](request, descriptors)
        except OSError as error:
            answer = {"errno": error.errno or errno.EIO, "error": error.strerror or str(error)}
        finally:
            keeper.go_home()
            _close(descriptors)
        _reply(channel, answer, given)


def _reply(channel: socket.socket, answer: Mapping[str, Any], given: list[int]) -> None:
    try:
        socket.send_fds(channel, [json.dumps(answer).encode()], given)
    finally:
        _close(given)


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as lab:
        _serve(lab)
