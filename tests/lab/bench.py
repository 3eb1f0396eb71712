"""A Run Command endpoint over hosts that run nothing: quick, and in a time that only the test moves."""

import asyncio
import functools
import heapq
import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal, Self

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.session import Session, get_session

from orchestrator.lab.access import ACCESS_KEY, SECRET_KEY, Access
from orchestrator.lab.faults import ApiFaults, Faults
from orchestrator.lab.loop_thread import LoopThread
from orchestrator.lab.moto_front import MotoFront
from orchestrator.lab.processes import ScriptJob, ScriptResult
from orchestrator.lab.scenario import InstanceSpec, Ssm
from orchestrator.lab.server import Route, Server
from orchestrator.lab.ssm import Ssm as SsmEngine
from orchestrator.lab.wire import Clock, Engine

Script = Callable[[ScriptJob], ScriptResult]
_SPINS = 60


@functools.cache
def _session() -> Session:
    """One session, whose loader reads each service's model once."""
    return get_session()


def ended(stdout: str = "", *, code: int = 0, stderr: str = "") -> ScriptResult:
    """A script that ran to its end."""
    return ScriptResult(code=code, stdout=stdout, stderr=stderr, ended="exited")


def instance_id(number: int) -> str:
    """The id of the bench's `number`-th host."""
    return f"i-{number:017x}"


class ManualClock:
    """Time that stands still until `advance`."""

    def __init__(self) -> None:
        self._now = 1_795_000_000.0
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now(self) -> float:
        return self._now

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now + seconds, next(self._order), future))
        await future

    async def advance(self, seconds: float) -> None:
        """Let `seconds` pass: everyone who was to wake until then wakes in turn, and acts."""
        end = self._now + seconds
        await _settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            due, _, future = heapq.heappop(self._sleepers)
            self._now = max(self._now, due)
            if not future.done():
                future.set_result(None)
            await _settle()
        self._now = end


async def _settle() -> None:
    for _ in range(_SPINS):
        await asyncio.sleep(0)


class FakeHost:
    """A host whose script is a Python function; it counts how many run at once."""

    def __init__(self, spec: InstanceSpec, clock: Clock) -> None:
        self.spec = spec
        self.ping_status = spec.ssm
        self.script: Script = lambda _job: ended("fine\n")
        self.takes = 0.0
        self.jobs: list[ScriptJob] = []
        self.at_once = 0
        self.most_at_once = 0
        self._clock = clock

    def rebase(self, parameters: Mapping[str, Any], values: Mapping[str, str]) -> dict[str, str]:
        return {
            name: f"/root-of-{self.spec.instance_id}{value}"
            if str(parameters[name].get("default", "")).startswith("/")
            else value
            for name, value in values.items()
        }

    async def execute(self, job: ScriptJob) -> ScriptResult:
        self.jobs.append(job)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if self.takes and not job.cancel.is_set():
                work = asyncio.ensure_future(self._clock.sleep(min(self.takes, job.timeout)))
                cancelled = asyncio.ensure_future(job.cancel.wait())
                await asyncio.wait([work, cancelled], return_when=asyncio.FIRST_COMPLETED)
                work.cancel()
                cancelled.cancel()
            if job.cancel.is_set():
                return ScriptResult(code=137, stdout="half", stderr="", ended="cancelled")
            if self.takes > job.timeout:
                return ScriptResult(code=137, stdout="half", stderr="", ended="timed_out")
            return self.script(job)
        finally:
            self.at_once -= 1


class NoEcs:
    """No container service: these tests are about SSM."""

    async def handle(self, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        raise NotImplementedError(operation, params)


class Bench:
    """The endpoint, its hosts and its clock."""

    def __init__(
        self,
        specs: tuple[InstanceSpec, ...],
        plan: ApiFaults,
        *,
        ecs: Engine | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.clock = clock or ManualClock()
        self.hosts = {spec.instance_id: FakeHost(spec, self.clock) for spec in specs}
        self.faults = Faults(plan, self.clock)
        self.ssm = SsmEngine(self.hosts, self.clock, self.faults, account="123456789012", seed=7)
        self.loop = LoopThread()
        self.access = Access(account="123456789012", seed=7)
        self._moto = MotoFront(account="123456789012")
        self.server = Server(
            routes=(
                Route(prefix="AmazonSSM", service="ssm", engine=self.ssm, owns=self.ssm.owns),
                Route(prefix="AmazonEC2ContainerServiceV20141113", service="ecs", engine=ecs or NoEcs()),
            ),
            moto=self._moto,
            control=(),
            access=self.access,
            faults=self.faults,
            clock=self.clock,
        )

    def client(
        self,
        service: str,
        *,
        retries: int = 1,
        mode: Literal["standard", "adaptive"] = "standard",
        validate: bool = True,
        keys: tuple[str, str, str | None] = (ACCESS_KEY, SECRET_KEY, None),
        region: str = "us-east-1",
    ) -> Any:
        """An unmodified boto3 client; by default it retries nothing, so that tests see each error."""
        return _session().create_client(
            service,
            endpoint_url=f"http://127.0.0.1:{self.server.port}",
            region_name=region,
            aws_access_key_id=keys[0],
            aws_secret_access_key=keys[1],
            aws_session_token=keys[2],
            config=Config(
                retries={"total_max_attempts": retries, "mode": mode},
                parameter_validation=validate,
                max_pool_connections=20,
            ),
        )

    @functools.cached_property
    def ssm_client(self) -> Any:
        """A client for SSM."""
        return self.client("ssm")

    def advance(self, seconds: float) -> None:
        """Let time pass, and everything that was waiting for it happen."""
        if not isinstance(self.clock, ManualClock):
            raise TypeError("only a manual clock is advanced")
        self.loop.call(self.clock.advance(seconds))

    def send(self, ids: list[str] | None = None, **more: Any) -> str:
        """Send `true` to these hosts, by default all; return the command's id."""
        request = {"DocumentName": "AWS-RunShellScript", "Parameters": {"commands": ["true"]}} | more
        if "Targets" not in request:
            request["InstanceIds"] = list(self.hosts) if ids is None else ids
        command: str = self.ssm_client.send_command(**request)["Command"]["CommandId"]
        return command

    def rows(self, command: str, **more: Any) -> dict[str, Any]:
        """Return ListCommandInvocations' rows by instance."""
        reply = self.ssm_client.list_command_invocations(CommandId=command, **more)
        return {row["InstanceId"]: row for row in reply["CommandInvocations"]}

    def details(self, command: str) -> list[str]:
        """Return each invocation's StatusDetails, in the order of the list."""
        return [row["StatusDetails"] for row in self.rows(command).values()]

    def command(self, command: str) -> dict[str, Any]:
        """Return ListCommands' row of one command."""
        found: dict[str, Any] = self.ssm_client.list_commands(CommandId=command)["Commands"][0]
        return found

    async def _stop(self) -> None:
        await self.ssm.stop()
        await self.server.stop()

    def __enter__(self) -> Self:
        self.loop.start()
        self._moto.start()
        self.loop.call(self.server.start(0))
        return self

    def __exit__(self, *_error: object) -> None:
        try:
            self.loop.call(self._stop())
        finally:
            self._moto.stop()
            self.loop.stop()
        assert self.server.slips == []


@contextmanager
def bench(count: int = 3, *, plan: ApiFaults | None = None, **special: Ssm) -> Iterator[Bench]:
    """A bench of `count` Linux hosts, i-…0 and on; `i2=Ssm.INACTIVE` gives one another state."""
    specs = tuple(
        InstanceSpec(instance_id=instance_id(number), name=f"host-{number}", ssm=special.get(f"i{number}", Ssm.ONLINE))
        for number in range(count)
    )
    with Bench(specs, plan or ApiFaults(seed=7)) as running:
        yield running


@contextmanager
def refused(code: str, *, saying: str = "") -> Iterator[None]:
    """Expect boto3 to raise this error code, with these words in its message."""
    with pytest.raises(ClientError) as caught:
        yield
    assert caught.value.response["Error"]["Code"] == code
    assert saying in caught.value.response["Error"].get("Message", "")
