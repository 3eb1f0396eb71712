"""Hosts without a lab: for tests of documents and of the instance itself."""

from pathlib import Path
from types import TracebackType
from typing import Self

from aiohttp import web

from orchestrator.lab.control import Control, control_url
from orchestrator.lab.ecs_agent import Backend, Registration, TaskRunner, TaskToRun
from orchestrator.lab.instance import Host, stop_hosts
from orchestrator.lab.isolation import Isolation
from orchestrator.lab.namespaces import ground_for
from orchestrator.lab.scenario import InstanceSpec
from orchestrator.lab.wire import AwsError, Clock, SystemClock


class PlainBackend:
    """The least ECS that agents can register with: it numbers ARNs, remembers who is connected, places tasks."""

    def __init__(self, region: str = "us-east-1", account: str = "123456789012") -> None:
        self._prefix = f"arn:aws:ecs:{region}:{account}"
        self.instances: dict[str, Registration] = {}
        self.connected: dict[str, bool] = {}
        self.runners: dict[str, TaskRunner] = {}
        self.refuse: int = 0
        self.attempts: int = 0

    async def register(self, registration: Registration, runner: TaskRunner) -> str:
        """Return the saved ARN or the next new one; the first `refuse` calls are throttled (F12)."""
        self.attempts += 1
        if self.refuse > 0:
            self.refuse -= 1
            raise AwsError("ThrottlingException", "Rate exceeded")
        cluster = registration.cluster.rpartition("/")[2]
        arn = registration.arn or f"{self._prefix}:container-instance/{cluster}/{len(self.instances) + 1:032x}"
        self.instances[arn] = registration
        self.runners[arn] = runner
        return arn

    def set_connected(self, arn: str, connected: bool) -> None:  # noqa: FBT001 - the contract's signature
        """Note the state of an agent's connection."""
        self.connected[arn] = connected

    def run_tasks(self, arn: str, count: int) -> tuple[str, ...]:
        """Give an instance `count` tasks; return their ARNs."""
        cluster, name = arn.split("/")[1:]
        arns = tuple(f"{self._prefix}:task/{cluster}/{name[-8:]}{number:024x}" for number in range(count))
        for task in arns:
            self.runners[arn].run_task(TaskToRun(arn=task, family="web", version="1"))
        return arns


class HostFarm:
    """Serves the control URL of its hosts on a loopback port; `async with HostFarm(tmp_path) as farm`.

    `port=0` takes any free one. Every host that was added is stopped at the end.
    """

    def __init__(
        self,
        directory: Path,
        *,
        backend: Backend | None = None,
        clock: Clock | None = None,
        seed: int = 0,
        cluster: str = "demo",
        isolation: Isolation = Isolation.DIRECTORY,
    ) -> None:
        self.directory = directory
        self.plain = PlainBackend()
        self.backend: Backend = backend or self.plain
        self.clock: Clock = clock or SystemClock()
        self.hosts: dict[str, Host] = {}
        self.url = ""
        self._seed = seed
        self._cluster = cluster
        self._ground = ground_for(isolation)
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        self._ground.start()
        app = web.Application()
        app.add_routes(Control(self.hosts.get, lambda _: None).routes())
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        await stop_hosts(self.hosts.values())
        if self._runner is not None:
            await self._runner.cleanup()
        self._ground.stop()

    async def add(self, spec: InstanceSpec, *, registered: bool = True) -> Host:
        """Build a host, start it and wait until its agent has registered (unless told otherwise)."""
        host = Host(
            spec,
            self.directory,
            backend=self.backend,
            clock=self.clock,
            control_url=control_url(self.url, spec.instance_id),
            cluster=self._cluster,
            seed=self._seed,
            place=self._ground.place(self.directory / spec.instance_id),
        )
        self.hosts[spec.instance_id] = host
        await host.start(registered=registered)
        return host
