"""A machine with a real systemd as process 1, in namespaces, and a unit like the real ecs.service on it."""

import asyncio
import random
import shutil
import socket
import sys
from asyncio.subprocess import DEVNULL, PIPE
from dataclasses import dataclass
from pathlib import Path

from tests.lab.host_support import VECTORS

PARTS = Path(__file__).parent / "parts"
# Like the unit of the real package: no start type of its own, exit 5 is final (F18, F23), after cloud-init (F25).
UNIT = """[Unit]
Description=Agent of a test
After=cloud-final.service
[Service]
Restart=on-failure
RestartPreventExitStatus=5
RestartSec=10s
EnvironmentFile=-/var/lib/ecs/ecs.config
EnvironmentFile=-/etc/ecs/ecs.config
ExecStart=/opt/python/bin/python3 -I -S /opt/lab/agent.py {port}
"""
UNITS = {
    "default.target": "[Unit]\nRequires=basic.target\nAfter=basic.target\nWants=ecs.service\nAllowIsolate=yes\n",
    "basic.target": "[Unit]\nRequires=sysinit.target\nAfter=sysinit.target\n",
    "sysinit.target": "[Unit]\nDescription=Nothing of the host\n",
    "shutdown.target": "[Unit]\nDefaultDependencies=no\n",
    "cloud-final.service": "[Service]\nType=oneshot\nExecStart=/usr/bin/sleep 4\n",
}


@dataclass
class Machine:
    """`start` boots it; `stop` is what pulling the plug is. Its files are those below `root`."""

    root: Path
    port: int = 0
    _outer: asyncio.subprocess.Process | None = None
    _first: int = 0

    @property
    def config(self) -> Path:
        """The agent's env file."""
        return self.root / "etc/ecs/ecs.config"

    def state(self, name: str = "") -> Path:
        """A file of the documents' state directory."""
        return self.root / "var/lib/ecs-rollout" / name

    @property
    def introspection_url(self) -> str:
        """Where its agent answers; the machine shares the test's network."""
        return f"http://127.0.0.1:{self.port}"

    def build(self, config: str) -> None:
        """Make its root folder."""
        self.port = _free_port()
        for folder in (
            *("usr", "proc", "sys", "dev", "run", "tmp", "etc/systemd/system", "etc/ecs", "opt/lab", "opt/tools"),
            *("opt/python", "var/lib/ecs/data", "var/log/ecs", "var/lib/lab"),
        ):
            (self.root / folder).mkdir(parents=True)
        for link in ("bin", "sbin", "lib", "lib64"):
            (self.root / link).symlink_to(f"usr/{link}")
        for name, text in (UNITS | {"ecs.service": UNIT.format(port=self.port)}).items():
            (self.root / "etc/systemd/system" / name).write_text(text)
        shutil.copytree("/etc/alternatives", self.root / "etc/alternatives", symlinks=True)  # awk is a link into it
        (self.root / "etc/machine-id").write_text("0123456789abcdef" * 2 + "\n")
        for name in ("docker", "systemctl"):
            shutil.copy(PARTS / f"{name}.sh", self.root / "opt/tools" / name)
            (self.root / "opt/tools" / name).chmod(0o755)
        shutil.copy(PARTS / "agent.py", self.root / "opt/lab")
        shutil.copy(VECTORS / "inspect-ecs-init.json", self.root / "opt/lab/container.json")
        self.config.write_text(config)

    async def start(self) -> None:
        """Boot, and wait until the agent answers."""
        enter = ("unshare", "--mount", "--propagation", "private", "/bin/sh", PARTS / "outer.sh")
        self._outer = await asyncio.create_subprocess_exec(*enter, self.root, sys.base_prefix, stdin=PIPE)
        self._first = await self._find_first()
        while await self.run("systemctl", "is-active", "ecs") != "active":  # noqa: ASYNC110 - units raise no events
            await asyncio.sleep(0.05)
        await self.agent_answers()

    async def _find_first(self) -> int:
        """Return systemd's process id, as this test sees it: the child of `unshare --fork`, once it is systemd."""
        assert self._outer is not None
        while self._outer.returncode is None:
            for child in _children(self._outer.pid):
                for first in _children(child):
                    if _name(first) == "systemd":
                        return first
            await asyncio.sleep(0.02)
        raise AssertionError("the machine did not boot")

    async def stop(self) -> None:
        """Pull the plug: every process dies at once, without a word."""
        if self._outer is not None and self._outer.stdin is not None:
            self._outer.stdin.close()
            await self._outer.wait()
            self._outer = None

    def inside(self, path: str) -> Path:
        """Return a path through which the test sees what the machine sees there, its own mounts included."""
        return Path(f"/proc/{self._first}/root") / path.lstrip("/")

    async def execute(self, *command: str) -> tuple[int, str]:
        """Run a command inside, beside all units; return its exit code and what it printed."""
        enter = ("nsenter", "--target", str(self._first), "--all", "env", "-i", "PATH=/usr/bin:/usr/sbin")
        process = await asyncio.create_subprocess_exec(*enter, *command, stdin=DEVNULL, stdout=PIPE, stderr=PIPE)
        out, err = await process.communicate()
        return process.returncode or 0, (out or err).decode().strip()

    async def run(self, *command: str) -> str:
        """Run a command inside; return what it printed."""
        return (await self.execute(*command))[1]

    async def show(self, unit: str, *names: str) -> dict[str, str]:
        """Return properties of a unit."""
        text = await self.run("systemctl", "show", unit, "-p", ",".join(names))
        return dict(line.split("=", 1) for line in text.splitlines())

    async def asked(self) -> list[str]:
        """What the scripts have had systemctl do, without their questions."""
        lines = (await self.run("cat", "/run/systemctl.log")).splitlines()
        return [line for line in lines if {"start", "stop", "restart", "reset-failed", "kill"} & set(line.split())]

    async def watchdogs(self) -> list[str]:
        """Name the watchdogs' units that systemd knows, in any state."""
        text = await self.run("systemctl", "list-units", "--all", "--plain", "--no-legend", "ecs-rollout-watchdog-*")
        return [line.split()[0] for line in text.splitlines()]

    async def agent_answers(self) -> None:
        """Wait until introspection does."""
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                await writer.wait_closed()
                return


def _children(process: int) -> list[int]:
    try:
        text = Path(f"/proc/{process}/task/{process}/children").read_text()
    except OSError:
        return []
    return [int(each) for each in text.split()]


def _name(process: int) -> str:
    try:
        return Path(f"/proc/{process}/comm").read_text().strip()
    except OSError:
        return ""


def _free_port() -> int:
    """Return a port below those that outgoing connections take (F16)."""
    while True:
        port = random.randrange(20_000, 30_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
