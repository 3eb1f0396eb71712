"""The simulated ECS agent: one process from its start to its end (F1-F19, F31-F33)."""

import asyncio
import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from orchestrator.lab.agent_log import AgentLog
from orchestrator.lab.authdata import read_auth
from orchestrator.lab.docker_state import AGENT, TASK_ARN_LABEL, Container, DockerState, new_id, timestamp
from orchestrator.lab.introspection import IntrospectionPort
from orchestrator.lab.scenario import AfterRestart, InstanceSpec
from orchestrator.lab.wire import AwsError, Clock

EXIT_CLEAN, EXIT_RETRY, EXIT_TERMINAL = 0, 1, 5  # F18
COMMANDS = {"AvailableCommands": ["/v1/metadata", "/v1/tasks", "/license"]}
DATABASE = "agent.db"


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """What an agent tells ECS about its instance; `arn` is "" unless its saved state names one."""

    cluster: str
    arn: str
    spec: InstanceSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskToRun:
    """A task that ECS gives an instance."""

    arn: str
    family: str
    version: str
    image: str = "registry.example.com/app:1"


class TaskRunner(Protocol):
    """What ECS asks of a connected instance."""

    def run_task(self, task: TaskToRun) -> None:
        """Start the task's container."""
        ...

    def stop_task(self, arn: str) -> None:
        """Stop the task's container; unknown ones are ignored."""
        ...


class Backend(Protocol):
    """What an agent asks of ECS."""

    async def register(self, registration: Registration, runner: TaskRunner) -> str:
        """Return the container instance's ARN; raises AwsError."""
        ...

    def set_connected(self, arn: str, connected: bool) -> None:  # noqa: FBT001 - the contract's signature
        """Note that the agent's connection is up or gone."""
        ...


class EcsAgent:
    """The agent software on one instance: its disk state, its tasks, its introspection endpoint."""

    def __init__(  # noqa: PLR0913 - its machine, its backend and its means
        self,
        spec: InstanceSpec,
        root: Path,
        *,
        docker: DockerState,
        backend: Backend,
        clock: Clock,
        rng: random.Random,
        port: IntrospectionPort,
    ) -> None:
        self._spec = spec
        self._docker = docker
        self._backend = backend
        self._clock = clock
        self._rng = rng
        self._root = root
        self._log_file = root / "var/log/ecs/ecs-agent.log"
        self._log = AgentLog(clock.now, lambda line: docker.log(AGENT, line), self._append)
        self._tasks: dict[str, dict[str, Any]] = {}
        self._database: Path | None = None
        self._cluster = ""
        self.starts = 0
        self.port = port
        self.arn = ""
        self.connected = False
        self.registered = asyncio.Event()

    async def run(self, environment: Mapping[str, str]) -> int:
        """Be one agent process and return its exit code; a cancelled call is a stopped agent.

        `starts` counts the processes there have been; `registered` is set while the latest one serves.
        """
        self.starts += 1
        self._log.set_levels(dict(environment))
        self._log.start(self._spec.agent_version)
        # Some bad data yields no warning at all (F8); none of it changes anything else (F2).
        for warning in read_auth(*self._auth(environment)).warnings:
            self._log.auth_warning(warning)
        try:
            return await self._live(environment)
        finally:
            await self._leave()

    def update_to(self, version: str) -> None:
        """Be another version from the next start on."""
        self._spec = replace(self._spec, agent_version=version)

    def become(self, spec: InstanceSpec) -> None:
        """Behave as that from now on, in whatever version it is."""
        self._spec = replace(spec, agent_version=self._spec.agent_version)

    def give_up(self, environment: Mapping[str, str], why: str) -> None:
        """Be a process that ends before it does anything, and say why where somebody looks for it."""
        self._log.set_levels(dict(environment))
        self._log.line("crit", why, module="agent.go")

    async def _live(self, environment: Mapping[str, str]) -> int:
        self._cluster = environment.get("ECS_CLUSTER", "") or "default"
        try:
            self._database = self._find_database(environment)
        except FileNotFoundError as error:
            self._log.line("crit", f"Unable to open the state directory: {error}", module="agent.go")
            return EXIT_RETRY
        saved = self._load()
        if saved and saved["cluster"] != self._cluster:
            self._log.line("crit", "Data mismatch; saved cluster does not match", module="agent.go")
            return EXIT_TERMINAL
        self._tasks = {task["Arn"]: task for task in saved["tasks"]} if saved else {}
        self.arn = await self._register(saved["arn"] if saved else "")
        self._save()
        self._log.line("info", "Registered container instance with cluster!")
        await self.port.open(self._answer)
        if self._spec.ecs_connected:
            self._backend.set_connected(self.arn, True)
        self.connected = self._spec.ecs_connected
        self.registered.set()
        await asyncio.Event().wait()
        return EXIT_CLEAN

    async def _register(self, saved_arn: str) -> str:
        low, high = self._spec.restart_seconds
        if self.starts > 1:
            await self._clock.sleep(0.7 * self._rng.uniform(low, high) + self._spec.slow_registration)
        pause, longest = self._spec.retry_seconds
        while True:
            try:
                return await self._backend.register(
                    Registration(cluster=self._cluster, arn=saved_arn, spec=self._spec), self
                )
            except AwsError as error:
                # The container is running and the unit active all this time, with the port closed (F12).
                self._log.line("error", f"Unable to register as a container instance with ECS: {error.code}")
            await self._clock.sleep(pause)
            pause = min(longest, 2 * pause)

    async def _leave(self) -> None:
        self.registered.clear()
        await self.port.close()
        if self.connected:
            self.connected = False
            self._backend.set_connected(self.arn, False)

    def run_task(self, task: TaskToRun) -> None:
        """Start the task's container."""
        container_id = new_id("task", task.arn)
        name = f"ecs-{task.family}-{task.version}-app-{container_id[:20]}"
        now = self._clock.now()
        labels = {
            "com.amazonaws.ecs.cluster": self._cluster,
            "com.amazonaws.ecs.container-name": "app",
            TASK_ARN_LABEL: task.arn,
            "com.amazonaws.ecs.task-definition-family": task.family,
            "com.amazonaws.ecs.task-definition-version": task.version,
        }
        self._docker.run(Container(container_id=container_id, name=name, image=task.image, created=now, labels=labels))
        self._tasks[task.arn] = _task(task, container_id, name, now)
        self._save()

    def stop_task(self, arn: str) -> None:
        """Stop the task's container; the task stays listed as stopped (F14)."""
        task = self._tasks.get(arn)
        if task is None:
            return
        task.update(DesiredStatus="STOPPED", KnownStatus="STOPPED")
        for container in task["Containers"]:
            self._docker.exited(container["DockerName"], 0, self._clock.now())
        self._save()

    @property
    def running_tasks(self) -> tuple[str, ...]:
        """The ARNs of the tasks that the agent knows to run."""
        return tuple(arn for arn, task in self._tasks.items() if task["KnownStatus"] == "RUNNING")

    def forget(self) -> None:
        """Lose the saved state."""
        if self._database is not None:
            self._database.unlink(missing_ok=True)

    def _auth(self, environment: Mapping[str, str]) -> tuple[str, str]:
        kind = environment.get("ECS_ENGINE_AUTH_TYPE", "")
        data = environment.get("ECS_ENGINE_AUTH_DATA", "")
        try:
            loaded = json.loads((self._root / "etc/ecs/ecs.config.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return kind, data
        # The environment goes before the JSON file (F9).
        other = loaded.get("EngineAuthData")
        return kind or loaded.get("EngineAuthType", ""), data or (json.dumps(other) if other else "")

    def _find_database(self, environment: Mapping[str, str]) -> Path | None:
        """Return where state is kept, None where it is not (F31); FileNotFoundError: no such directory."""
        directory = environment.get("ECS_DATADIR", "")
        checkpoint = environment.get("ECS_CHECKPOINT", "").lower()
        if not directory or checkpoint == "false":
            return None
        source = self._docker.mount_source(directory) if directory.startswith("/") else None
        if source is None or not source.is_dir():
            raise FileNotFoundError(directory)
        return source / DATABASE

    def _load(self) -> dict[str, Any] | None:
        if self._spec.after_restart is AfterRestart.FORGETS and self.starts > 1:
            self.forget()
        if self._database is None or not self._database.exists():
            return None
        saved: dict[str, Any] = json.loads(self._database.read_text(encoding="utf-8"))
        return saved

    def _save(self) -> None:
        if self._database is not None:
            state = {"arn": self.arn, "cluster": self._cluster, "tasks": list(self._tasks.values())}
            self._database.write_text(json.dumps(state), encoding="utf-8")

    def _answer(self, path: str) -> Mapping[str, Any]:
        match path:
            case "/v1/metadata":
                return {
                    "Cluster": self._cluster,
                    "ContainerInstanceArn": self.arn,
                    "Version": f"Amazon ECS Agent - v{self._spec.agent_version} (*a8b3e7d3)",
                }
            case "/v1/tasks":
                return {"Tasks": list(self._tasks.values())}
            case _:
                return COMMANDS

    def _append(self, line: str) -> None:
        with self._log_file.open("a", encoding="utf-8") as file:
            file.write(line + "\n")


def _task(task: TaskToRun, container_id: str, name: str, now: float) -> dict[str, Any]:
    container = {
        "DockerId": container_id,
        "DockerName": name,
        "Name": "app",
        "Image": task.image,
        "ImageID": f"sha256:{new_id('image', task.image)}",
        "CreatedAt": timestamp(now),
        "StartedAt": timestamp(now),
    }
    return {
        "Arn": task.arn,
        "DesiredStatus": "RUNNING",
        "KnownStatus": "RUNNING",
        "Family": task.family,
        "Version": task.version,
        "Containers": [container],
    }
