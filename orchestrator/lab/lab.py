"""The lab as one thing: an endpoint, its engines and its fleet; in an event loop, or in a thread of its own."""

import contextlib
from collections.abc import Coroutine, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from orchestrator.lab.access import ACCESS_KEY, SECRET_KEY, Access
from orchestrator.lab.container_service import ContainerService
from orchestrator.lab.control import Control, control_url
from orchestrator.lab.faults import Faults
from orchestrator.lab.fleet import Fleet, Occasions
from orchestrator.lab.isolation import Isolation
from orchestrator.lab.loop_thread import LoopThread
from orchestrator.lab.managed import tags_of
from orchestrator.lab.moto_front import MotoFront
from orchestrator.lab.namespaces import ground_for
from orchestrator.lab.recorder import Recorder
from orchestrator.lab.registry import Registry
from orchestrator.lab.scenario import Scenario
from orchestrator.lab.server import Route, Server
from orchestrator.lab.ssm import Ssm
from orchestrator.lab.wire import Clock, SystemClock

if TYPE_CHECKING:
    from orchestrator.lab.instance import Host

T = TypeVar("T")


class Lab:
    """An embedded AWS and a fleet. `async with Lab(scenario, directory) as lab:`; everything has ended afterwards.

    `directory` holds the instances' roots. `port=0` takes a free one; raises OSError when the port is taken, and
    NoNamespacesError where `isolation` asks for namespaces that the machine does not give.
    """

    def __init__(
        self,
        scenario: Scenario,
        directory: Path,
        *,
        port: int = 0,
        clock: Clock | None = None,
        isolation: Isolation = Isolation.DIRECTORY,
    ) -> None:
        self.scenario = scenario
        # Scripts change directory: an instance's root must mean the same everywhere.
        self.directory = directory.resolve()
        self.clock: Clock = clock or SystemClock()
        self.hosts: dict[str, Host] = {}
        self.faults = Faults(scenario.api, self.clock)
        occasions = Occasions()
        self.ecs = ContainerService(scenario, self.clock, occasions.note)
        self.ssm = Ssm(
            self.hosts,
            self.clock,
            self.faults,
            account=scenario.account,
            seed=scenario.seed,
            notice=occasions.note,
        )
        self._moto = MotoFront(account=scenario.account)
        self._wanted_port = port
        self.access = Access(account=scenario.account, seed=scenario.seed, tags=self._tags)
        self._ground = ground_for(isolation)
        control = Control(self.hosts.get, self.faults.spare)
        self.registry = Registry(scenario.logins)
        self.server = Server(
            routes=(
                Route(prefix="AmazonSSM", service="ssm", engine=self.ssm, owns=self.ssm.owns),
                Route(prefix="AmazonEC2ContainerServiceV20141113", service="ecs", engine=self.ecs),
            ),
            moto=self._moto,
            control=(*control.routes(), *self.registry.routes()),
            access=self.access,
            faults=self.faults,
            clock=self.clock,
        )
        self._fleet = Fleet(
            scenario,
            self.directory,
            hosts=self.hosts,
            ecs=self.ecs,
            faults=self.faults,
            access=self.access,
            clock=self.clock,
            occasions=occasions,
            place=self._ground.place,
            control_url=lambda instance_id: control_url(self.url, instance_id),
        )

    def _tags(self, instance_id: str) -> Mapping[str, str]:
        host = self.hosts.get(instance_id)
        return tags_of(host.spec) if host else {}

    @property
    def url(self) -> str:
        """The endpoint that AWS tools are pointed at."""
        return f"http://127.0.0.1:{self.server.port}"

    @property
    def registry_name(self) -> str:
        """The lab's own registry, as an image or a credential names it."""
        return f"127.0.0.1:{self.server.port}"

    @property
    def recorder(self) -> Recorder:
        """Every request and response so far."""
        return self.server.recorder

    @property
    def slips(self) -> tuple[str, ...]:
        """The lab's own faults so far: replies that AWS would never give, exceptions. A test insists on none."""
        return tuple(self.server.slips)

    def exports(self) -> dict[str, str]:
        """Return the environment that makes AWS tools talk to this lab."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            # A token of the user's own would go with the lab's key otherwise.
            "AWS_SESSION_TOKEN": "",
            "AWS_DEFAULT_REGION": self.scenario.region,
            "AWS_REGION": self.scenario.region,
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "127.0.0.1,localhost",
        }

    async def __aenter__(self) -> Self:
        self._ground.start()
        self._moto.start()
        try:
            await self.server.start(self._wanted_port)
            await self._fleet.start()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()

    async def _stop(self) -> None:
        async with contextlib.AsyncExitStack() as stack:
            # Last in, first out: scripts, hosts, tasks, endpoint, moto, places.
            stack.callback(self._ground.stop)
            stack.callback(self._moto.stop)
            stack.push_async_callback(self.server.stop)
            stack.push_async_callback(self.ecs.stop)
            stack.push_async_callback(self._fleet.stop)
            stack.push_async_callback(self.ssm.stop)


class LabThread:
    """A lab for synchronous code: `with LabThread(Lab(scenario, directory)) as lab:`.

    The lab's values may be read from any thread; `call` runs a coroutine in its loop.
    """

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._loop = LoopThread()

    def __enter__(self) -> Lab:
        self._loop.start()
        try:
            return self.call(self._lab.__aenter__())
        except BaseException:
            self._loop.stop()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.call(self._lab.__aexit__(kind, value, trace))
        finally:
            self._loop.stop()

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` in the lab's loop and wait for its result."""
        return self._loop.call(work)
