"""One simulated container instance: its files under one directory, its processes in a place of their own.

Directory mode is a chroot made of parameters: the script is the real one, and what a document's parameters name
by default (paths, the two local URLs) is rebased onto the instance when the parameters are rendered. In namespace
mode nothing is rebased: a script sees the instance's files at their real paths.
"""

import asyncio
import contextlib
import os
import random
import shutil
import stat
import urllib.parse
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from orchestrator.lab.docker_state import AGENT, DockerState
from orchestrator.lab.ecs_agent import Backend, EcsAgent
from orchestrator.lab.ecs_unit import UNIT, EcsUnit
from orchestrator.lab.imds import InstanceMetadata
from orchestrator.lab.introspection import IntrospectionPort
from orchestrator.lab.isolation import DirectoryPlace, Place
from orchestrator.lab.processes import ScriptJob, ScriptResult, end_strays, run_script
from orchestrator.lab.scenario import Disk, InstanceSpec, Ssm
from orchestrator.lab.shims import install_shims
from orchestrator.lab.units import TransientUnits
from orchestrator.lab.wire import Clock

__all__ = ["Host", "HostLostError", "ScriptJob", "ScriptResult"]

INTROSPECTION = "http://localhost:51678"
METADATA_SERVICE = "http://169.254.169.254"
_DIRECTORIES = (
    "etc/ecs",
    "var/lib/ecs/data",
    "var/log/ecs/exec",
    "var/cache/ecs",
    "var/lib/amazon/ssm",
    "var/run",
    "run/lab",
)
_WRITABLE = 0o755
_OBEY_PERMISSIONS = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
_NO_SPACE = ("/bin/sh", "-c", "trap '' XFSZ; ulimit -f 0; exec \"$@\"", "sh")


class HostLostError(Exception):
    """The instance is gone: nobody will ever say how its command ended (F61)."""


class Host:
    """One instance: its root directory, its ECS agent, and whoever runs scripts on it.

    `control_url` is where its shims and its metadata service are served (see control.py). `start` and `stop` may be
    called once each; after `stop` no process, socket or task of it is left.
    """

    def __init__(  # noqa: PLR0913 - what a machine cannot be without
        self,
        spec: InstanceSpec,
        directory: Path,
        *,
        backend: Backend,
        clock: Clock,
        control_url: str,
        cluster: str = "demo",
        account: str = "123456789012",
        seed: int = 0,
        place: Place | None = None,
    ) -> None:
        self.spec = spec
        self.instance_id = spec.instance_id
        self.root = directory / spec.instance_id
        self.place = place or DirectoryPlace(self.root)
        self.control_url = control_url
        self.metadata = InstanceMetadata(spec, clock, account=account, seed=seed)
        self.cluster = cluster
        self._clock = clock
        self._seed = seed
        self._region = spec.zone.rstrip("abcdef")
        self._running: set[asyncio.Task[ScriptResult]] = set()
        self._lost = asyncio.Event()
        self._vanishing: asyncio.Task[None] | None = None
        rng = random.Random(f"{seed}:{spec.instance_id}")
        base = self.place.base
        self._docker = DockerState(self.root, base=base)
        port = IntrospectionPort(self.place.bind, self.place.introspection_port)
        self.agent = EcsAgent(spec, self.root, docker=self._docker, backend=backend, clock=clock, rng=rng, port=port)
        self.unit = EcsUnit(spec, self.root, agent=self.agent, docker=self._docker, clock=clock, rng=rng, base=base)
        # systemd's own environment: nothing of the SSM agent's is in it.
        path = {"PATH": self.environment["PATH"]}
        self.units = TransientUnits(self.root, path, clock, base=base, prefix=self._prefix())

    @property
    def introspection_url(self) -> str:
        """Where this instance's agent answers its scripts; the number stays the same over restarts."""
        if not self.place.base:
            return INTROSPECTION
        return f"http://127.0.0.1:{self.agent.port.number}"

    @property
    def imds_url(self) -> str:
        """Where this instance's metadata service answers its scripts."""
        return f"{self.control_url}/imds" if self.place.base else METADATA_SERVICE

    @property
    def ping_status(self) -> Ssm:
        """What SSM inventory says of the instance."""
        return Ssm.CONNECTION_LOST if self._lost.is_set() else self.spec.ssm

    @property
    def environment(self) -> dict[str, str]:
        """The minimal environment that scripts run with (F55).

        Loopback is all there is: https, with which only others' registries are asked, finds a proxy that nobody runs.
        """
        return {
            "https_proxy": "http://127.0.0.1:9",
            "PATH": self.place.path,
            "AWS_SSM_INSTANCE_ID": self.instance_id,
            "AWS_SSM_REGION_NAME": self._region,
        }

    @property
    def config_file(self) -> Path:
        """The env file that ecs-init reads last."""
        return self.root / "etc/ecs/ecs.config"

    async def start(self, *, registered: bool = True) -> None:
        """Build the root and start the agent; wait until it has registered, unless told otherwise."""
        for directory in _DIRECTORIES:
            (self.root / directory).mkdir(parents=True, exist_ok=True)
        install_shims(self.root, self.control_url)
        self._docker.prepare()
        self._docker.set_down(down=self.spec.docker_down)
        self.unit.prepare()
        self.units.prepare()
        if not self.config_file.exists():
            self.config_file.write_text(self._first_config(), encoding="utf-8")
        if self.spec.disk is Disk.READ_ONLY:
            self.config_file.parent.chmod(stat.S_IRUSR | stat.S_IXUSR)
        await self.place.open(self.metadata, urllib.parse.urlsplit(self.control_url).port or 80)
        await self.unit.command("start")
        if registered:
            await self.agent.registered.wait()

    async def stop(self, *, sweep: bool = True) -> None:
        """End every script, unit and agent. `sweep=False` leaves strays to who stops a whole fleet."""
        if self._vanishing is not None:
            self._vanishing.cancel()
        for task in tuple(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        await self.units.close()
        await self.unit.close()
        await self.agent.port.release()
        await self.place.close()
        if sweep:
            end_strays([self.place.mark])
            self.place.release()
        with contextlib.suppress(FileNotFoundError):
            self.config_file.parent.chmod(stat.S_IRWXU)

    async def execute(self, job: ScriptJob) -> ScriptResult:
        """Run one step as the SSM agent does; raises HostLostError when the instance vanishes meanwhile."""
        if self._lost.is_set():
            raise HostLostError(self.instance_id)
        if self.spec.vanish_after is not None and self._vanishing is None:
            self._vanishing = asyncio.create_task(self._vanish(self.spec.vanish_after))
        directory = self._orchestration(job)
        script = asyncio.create_task(
            run_script(
                job,
                directory,
                seen_at=f"{self.place.base}/{directory.relative_to(self.root)}",
                environment=self.environment,
                clock=self._clock,
                prefix=self._prefix(),
            )
        )
        self._running.add(script)
        script.add_done_callback(self._running.discard)
        try:
            return await script
        except asyncio.CancelledError:
            if self._lost.is_set():
                raise HostLostError(self.instance_id) from None
            raise

    async def vanish(self) -> None:
        """Terminate the instance: everything on it dies at once, and nobody hears of it again."""
        self._lost.set()
        for task in tuple(self._running):
            task.cancel()
        await self.units.close()
        await self.unit.close()
        end_strays([self.place.mark])

    async def update_agent(self, version: str) -> None:
        """Let the ECS agent update itself: it ends, and ecs-init starts the new version in a new container (F18)."""
        self.agent.update_to(version)
        await self.unit.command("kill")

    async def mend(self) -> None:
        """Take the machine's trouble away, for good; its files stay as they are. An agent that ECS misses is restarted.

        Raises HostLostError for an instance that is gone.
        """
        if self._lost.is_set():
            raise HostLostError(self.instance_id)
        if self.spec.disk is Disk.READ_ONLY:
            self.config_file.parent.chmod(_WRITABLE)
        self.spec = self.spec.mended
        self.agent.become(self.spec)
        self.unit.become(self.spec)
        self.metadata.become(self.spec)
        self._docker.set_down(down=False)
        if not self.agent.connected:
            await self.unit.command("kill")

    def rebase(self, parameters: Mapping[str, Any], values: Mapping[str, str]) -> dict[str, str]:
        """Return the values to render: given ones over defaults, paths and local URLs made this instance's own.

        `parameters` are a document's definitions. What is rebased is decided by a parameter's default alone. Where
        scripts see the instance's files at their real paths, nothing is.
        """
        if not self.place.base:
            return {name: definition.get("default", "") for name, definition in parameters.items()} | dict(values)
        found: dict[str, str] = {}
        for name, definition in parameters.items():
            default = definition.get("default", "")
            value = values.get(name, default)
            if default == INTROSPECTION:
                value = self.introspection_url
            elif default == METADATA_SERVICE:
                value = self.imds_url
            elif isinstance(default, str) and default.startswith("/"):
                value = f"{self.root}{value}"
            found[name] = value
        return found | {name: value for name, value in values.items() if name not in found}

    async def run_unit(self, fields: list[str]) -> tuple[int, str]:
        """Start a transient unit for the systemd-run shim: unit, collect, settings, then the command."""
        unit, collect, settings, *argv = fields
        return await self.units.run(unit, argv, collect=collect == "1", settings=settings.splitlines())

    async def command_unit(self, fields: list[str]) -> tuple[int, str]:
        """Do a deed for the systemctl shim: verb, no-block, then the units."""
        verb, no_block, *names = fields
        complaints: list[str] = []
        for name in names:
            if name == UNIT:
                complaints.append(await self.unit.command(verb, no_block=no_block == "1"))
            elif verb == "stop":
                if not self.units.known(name):
                    complaints.append(f"Failed to stop {name}: Unit {name} not loaded.")
                await self.units.stop(name)
            elif verb == "kill":
                self.units.kill(name)
            elif verb == "reset-failed" and self.units.known(name):
                self.units.reset_failed(name)
            else:
                complaints.append(f"Failed to {verb} {name}: Unit {name} not found.")
        text = "\n".join(filter(None, complaints))
        return (1 if text else 0), text

    async def command_docker(self, fields: list[str]) -> tuple[int, str]:
        """Do a deed for the docker shim: verb, options, then containers."""
        verb, *rest = fields
        names = [name.removeprefix("/") for name in rest if not name.startswith("-") and not name.isdecimal()]
        for name in names:
            if name not in {AGENT, self._docker.container_id(AGENT)}:
                return 1, f"Error response from daemon: No such container: {name}"
            if complaint := await self.unit.docker(verb):
                return 1, complaint
        return 0, "\n".join(names)

    def _orchestration(self, job: ScriptJob) -> Path:
        directory = (
            self.root / f"var/lib/amazon/ssm/{self.instance_id}/document/orchestration/{job.command_id}/{job.step}"
        )
        directory.mkdir(parents=True, exist_ok=True)
        return directory

    def _prefix(self) -> tuple[str, ...]:
        entry = self.place.entry
        if self.spec.disk is Disk.FULL:
            return (*entry, *_NO_SPACE)
        # Root writes through permissions unless it gives up the right to; in namespaces everybody is root.
        if self.spec.disk is Disk.READ_ONLY and (entry or os.geteuid() == 0) and shutil.which("setpriv"):
            return (*entry, *_OBEY_PERMISSIONS)
        return entry

    def _first_config(self) -> str:
        lines = [f"ECS_CLUSTER={self.cluster}"]
        if not self.spec.persistent:
            lines.append("ECS_DATADIR=")
        lines += self.spec.config_lines
        if self.spec.auth_type or self.spec.auth_data:
            lines += [f"ECS_ENGINE_AUTH_TYPE={self.spec.auth_type}", f"ECS_ENGINE_AUTH_DATA={self.spec.auth_data}"]
        return "\n".join(lines) + "\n"

    async def _vanish(self, delay: float) -> None:
        await self._clock.sleep(delay)
        await self.vanish()


async def stop_hosts(hosts: Iterable[Host]) -> None:
    """Stop many hosts, and look for what their scripts left behind once for all."""
    stopped = tuple(hosts)
    await asyncio.gather(*(host.stop(sweep=False) for host in stopped))
    end_strays([host.place.mark for host in stopped])
    for host in stopped:
        host.place.release()
