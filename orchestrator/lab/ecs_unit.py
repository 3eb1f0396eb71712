"""The unit ecs.service on one instance: systemd's states and ecs-init's care for the agent's container (F20-F25)."""

import asyncio
import contextlib
import random
from collections import deque
from collections.abc import Mapping
from pathlib import Path

from orchestrator.lab.docker_state import AGENT, AGENT_IMAGE, Container, DockerState, new_id, write_atomically
from orchestrator.lab.ecs_agent import EXIT_TERMINAL, EcsAgent
from orchestrator.lab.envfile import EmptyName, read_env_file
from orchestrator.lab.scenario import AfterRestart, InstanceSpec
from orchestrator.lab.wire import Clock

UNIT = "ecs.service"
LONGEST = 128 * 1024  # of one variable; a longer one cannot be passed to a process (F40)
_START_LIMIT, _START_INTERVAL = 5, 10.0  # F24
_AUTH = ("ECS_ENGINE_AUTH_TYPE", "ECS_ENGINE_AUTH_DATA")
_UNIT_FILE = """\
[Unit]
Description=The ECS agent of a simulated instance
After=docker.service cloud-final.service

[Service]
Type=simple
Restart=on-failure
RestartPreventExitStatus=5
RestartSec=10s
EnvironmentFile=-/var/lib/ecs/ecs.config
EnvironmentFile=-/etc/ecs/ecs.config
ExecStartPre=/usr/libexec/amazon-ecs-init pre-start
ExecStart=/usr/libexec/amazon-ecs-init start
ExecStop=/usr/libexec/amazon-ecs-init stop

[Install]
WantedBy=multi-user.target
"""

# What ecs-init passes by itself; the file's variables override it (F30).
_ECS_INIT = {
    "ECS_VOLUME_PLUGIN_CAPABILITIES": '["efsAuth"]',
    "ECS_AGENT_CONFIG_FILE_PATH": "/etc/ecs/ecs.config.json",
    "ECS_ENABLE_TASK_IAM_ROLE": "true",
    "ECS_AVAILABLE_LOGGING_DRIVERS": '["json-file","syslog","awslogs","fluentd","none"]',
    "ECS_ENABLE_TASK_IAM_ROLE_NETWORK_HOST": "true",
    "ECS_EBSTA_SUPPORTED": "true",
    "ECS_AGENT_LABELS": "",
    "ECS_LOGFILE": "/log/ecs-agent.log",
    "ECS_DATADIR": "/data",
    "ECS_UPDATES_ENABLED": "true",
    "ECS_UPDATE_DOWNLOAD_DIR": "/var/cache/ecs",
    "ECS_DETAILED_OS_FAMILY": "amazon_linux_2023",
}


class CannotStart(Exception):  # noqa: N818 - says what happened
    """The new agent cannot be started at all; whatever ran before is left running (F15)."""


class EcsUnit:
    """Starts, stops and restarts the agent, and keeps the state that `systemctl show` reads."""

    def __init__(  # noqa: PLR0913 - its machine and its means
        self,
        spec: InstanceSpec,
        root: Path,
        *,
        agent: EcsAgent,
        docker: DockerState,
        clock: Clock,
        rng: random.Random,
        base: str,
    ) -> None:
        self._spec = spec
        self._root = root
        self._base = base
        self._agent = agent
        self._docker = docker
        self._clock = clock
        self._rng = rng
        self._lock = asyncio.Lock()
        self._process: asyncio.Task[None] | None = None
        self._jobs: set[asyncio.Task[str]] = set()
        self._starts: deque[float] = deque()
        self._created = 0
        self._first_auth: tuple[str, ...] | None = None

    def prepare(self) -> None:
        """Write the unit's files."""
        directory = self._root / "usr/lib/systemd/system"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / UNIT).write_text(_UNIT_FILE, encoding="utf-8")
        (self._root / "run/lab/units").mkdir(parents=True, exist_ok=True)
        self._show("inactive", "dead")

    def become(self, spec: InstanceSpec) -> None:
        """Behave as that from now on."""
        self._spec = spec

    async def command(self, verb: str, *, no_block: bool = False) -> str:
        """Do what systemctl asks; return the complaint that goes with exit code 1, "" when all is well."""
        jobs = {
            "restart": self._restart,
            "try-restart": self._restart,
            "start": self._start,
            "stop": self._stop,
            "kill": self._kill,
            "reset-failed": self._reset_failed,
        }
        task = asyncio.create_task(jobs[verb]())
        self._jobs.add(task)
        task.add_done_callback(self._jobs.discard)
        # A caller that goes away does not take its job along, as with systemd.
        return "" if no_block else await asyncio.shield(task)

    async def docker(self, verb: str) -> str:
        """Do what `docker stop|restart|kill|start ecs-agent` asks; return the complaint, if any (F21)."""
        if not self._docker.exists(AGENT):
            return f"Error response from daemon: No such container: {AGENT}"
        if verb == "kill":
            return await self._kill()
        async with self._lock:
            if verb in {"stop", "restart"}:
                # ecs-init sees its agent leave cleanly, so the unit ends and nobody brings it back.
                await self._end()
                self._show("inactive", "dead")
        return ""

    async def close(self) -> None:
        """End every job and the agent."""
        for job in tuple(self._jobs):
            job.cancel()
        await asyncio.gather(*self._jobs, return_exceptions=True)
        await self._end()

    async def _restart(self) -> str:
        async with self._lock:
            try:
                self._check_startable()
            except CannotStart:
                return ""
            await self._graceful_end()
            return self._begin()

    async def _start(self) -> str:
        async with self._lock:
            running = self._process is not None and not self._process.done()
            return "" if running else self._begin()

    async def _stop(self) -> str:
        async with self._lock:
            await self._graceful_end()
            self._show("inactive", "dead")
            return ""

    async def _kill(self) -> str:
        async with self._lock:
            await self._end()
            self._begin()
            return ""

    async def _reset_failed(self) -> str:
        self._starts.clear()
        if self._process is None or self._process.done():
            self._show("inactive", "dead")
        return ""

    async def _graceful_end(self) -> None:
        if self._process is not None and not self._process.done():
            await self._clock.sleep(0.3 * self._rng.uniform(*self._spec.restart_seconds))
        await self._end()

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await process
        self._docker.exited(AGENT, 0, self._clock.now())

    def _begin(self) -> str:
        now = self._clock.now()
        while self._starts and self._starts[0] <= now - _START_INTERVAL:
            self._starts.popleft()
        if len(self._starts) >= _START_LIMIT:
            self._show("failed", "failed", result="start-limit-hit")
            return f"Job for {UNIT} failed.\nStart request repeated too quickly."
        self._starts.append(now)
        self._show("active", "running")
        self._process = asyncio.create_task(self._supervise())
        return ""

    async def _supervise(self) -> None:
        """Be ecs-init: create the agent's container, and again whenever it ends with anything but 5."""
        while True:
            code = await self._one_agent()
            self._docker.exited(AGENT, code, self._clock.now())
            if code == EXIT_TERMINAL:
                self._show("failed", "failed", result="exit-code", status=EXIT_TERMINAL)
                return
            # A crash loop: the unit says active all the while (F23).
            await self._clock.sleep(1.0 + self._rng.uniform(*self._spec.restart_seconds))

    async def _one_agent(self) -> int:
        self._docker.remove(AGENT)
        try:
            environment = self.environment()
        except EmptyName:
            return 1
        self._created += 1
        container_id = new_id(self._spec.instance_id, "agent", self._created, self._clock.now())
        variables = tuple(f"{name}={value}" for name, value in environment.items())
        self._docker.run(
            Container(
                container_id=container_id,
                name=AGENT,
                image=AGENT_IMAGE,
                created=self._clock.now(),
                environment=variables,
                agent=True,
            )
        )
        changed = self._auth_changed(environment)
        match self._spec.after_restart:
            case AfterRestart.STAYS_DOWN if changed:
                return await self._crash(1, environment)
            case AfterRestart.EXIT5 if changed:
                return await self._crash(EXIT_TERMINAL, environment)
            case AfterRestart.NEVER_RETURNS if self._created > 1:
                return await self._crash(1, environment)
            case _:
                return await self._agent.run(environment)

    async def _crash(self, code: int, environment: Mapping[str, str]) -> int:
        self._agent.give_up(environment, f"The lab's scenario ends this agent: {self._spec.after_restart}")
        await self._clock.sleep(0.1)
        return code

    def environment(self) -> dict[str, str]:
        """Return what the next agent's environment would be; raises EmptyName."""
        found = dict(_ECS_INIT)
        for path in ("var/lib/ecs/ecs.config", "etc/ecs/ecs.config"):  # the second overrides the first (F9)
            with contextlib.suppress(OSError):
                text = (self._root / path).read_bytes().decode("utf-8", "surrogateescape")
                found |= read_env_file(text)
        return found

    def _auth_changed(self, environment: dict[str, str]) -> bool:
        auth = tuple(environment.get(name, "") for name in _AUTH)
        if self._first_auth is None:
            self._first_auth = auth
        return auth != self._first_auth

    def _check_startable(self) -> None:
        try:
            environment = self.environment()
        except EmptyName:
            return
        if any(
            len(name) + len(value.encode("utf-8", "surrogateescape")) + 2 > LONGEST
            for name, value in environment.items()
        ):
            raise CannotStart
        if self._spec.after_restart is AfterRestart.NOT_REPLACED and self._auth_changed(environment):
            raise CannotStart

    def _show(self, active: str, sub: str, *, result: str = "success", status: int = 0) -> None:
        pid = 300 + self._created if active == "active" else 0
        write_unit_state(
            self._root,
            UNIT,
            base=self._base,
            pid=pid,
            result=result,
            status=status,
            active=active,
            sub=sub,
            file_state="enabled",
        )


def write_unit_state(  # noqa: PLR0913 - one parameter per property
    root: Path, unit: str, *, base: str, pid: int, result: str, status: int, active: str, sub: str, file_state: str
) -> None:
    """Write the properties of a unit where the systemctl shim reads them, in systemd's order."""
    fragment = f"/usr/lib/systemd/system/{unit}" if file_state == "enabled" else f"/run/systemd/transient/{unit}"
    lines = (
        "Type=simple",
        f"MainPID={pid}",
        f"Result={result}",
        "NRestarts=0",
        f"ExecMainPID={pid}",
        f"ExecMainStatus={status}",
        f"Id={unit}",
        f"Names={unit}",
        "LoadState=loaded",
        f"ActiveState={active}",
        f"SubState={sub}",
        f"FragmentPath={base}{fragment}",
        f"UnitFileState={file_state}",
    )
    write_atomically(root / "run/lab/units" / unit, "\n".join(lines) + "\n")
