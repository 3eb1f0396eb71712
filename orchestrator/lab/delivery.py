"""Carries a command to its instances: concurrency, delivery, timeouts, cancellation, results (F56-F61, F70, F75)."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping

from orchestrator.lab import agent_document
from orchestrator.lab.agent_document import AgentRefusalError, Step
from orchestrator.lab.commands import Command, Invocation, Stage, StepRun, share
from orchestrator.lab.faults import Faults
from orchestrator.lab.instance import HostLostError
from orchestrator.lab.managed import ManagedHost, is_registered, platform_type
from orchestrator.lab.processes import ScriptJob, ScriptResult
from orchestrator.lab.scenario import Ssm
from orchestrator.lab.wire import Clock, Notice, unnoticed

# One agent's document workers (F60).
_WORKERS = 5
# How often the service tries again to reach an agent that does not listen.
_RETRY = 1.0
_EXIT_TIMED_OUT = 137
_EXIT_SUCCESS = 168
_EXIT_FAILURE = 169
_EXIT_REBOOT = 194
_MAX_REBOOTS = 3


class Delivery:
    """Runs commands; `concurrency` bounds the scripts that run at once in the whole lab."""

    def __init__(
        self,
        hosts: Mapping[str, ManagedHost],
        clock: Clock,
        faults: Faults,
        *,
        concurrency: int = 64,
        notice: Notice = unnoticed,
    ) -> None:
        self._hosts = hosts
        self._clock = clock
        self._faults = faults
        self._notice = notice
        self._everywhere = asyncio.Semaphore(concurrency)
        self._workers: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(_WORKERS))
        self._tasks: set[asyncio.Task[None]] = set()
        self._broken: list[BaseException] = []

    def start(self, command: Command) -> None:
        """Begin to carry out `command` in the background."""
        task = asyncio.create_task(self._carry_out(command), name=f"command-{command.command_id}")
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def cancel(self, invocation: Invocation) -> None:
        """Ask for an end: what has not begun is Cancelled at once, a running script is killed (F56)."""
        if invocation.stage.ended:
            return
        waiting = invocation.stage in {Stage.PENDING, Stage.DELAYED}
        invocation.stage = Stage.CANCELLED if waiting else Stage.CANCELLING
        invocation.cancel.set()

    async def stop(self) -> None:
        """End everything that runs. Raises what a delivery raised: a fault of the lab must not pass in silence."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._broken:
            raise self._broken[0]

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._broken.append(error)

    async def _carry_out(self, command: Command) -> None:
        count = len(command.invocations)
        limit = share(command.max_concurrency, count, least=1)
        budget = share(command.max_errors, count, least=0)
        async with asyncio.TaskGroup() as group:
            running: set[asyncio.Task[None]] = set()
            for invocation in command.invocations:
                while len(running) >= limit:
                    _, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                if sum(other.stage.is_error for other in command.invocations) > budget:
                    if not invocation.stage.ended:
                        invocation.stage = Stage.TERMINATED
                    continue
                running.add(group.create_task(self._invoke(command, invocation)))

    async def _invoke(self, command: Command, invocation: Invocation) -> None:
        host = await self._deliver(command, invocation)
        if host is None:
            return
        ordinal = invocation.ordinal
        try:
            steps = await self._run(command, invocation, host)
            lost = self._faults.loses_result(invocation.instance_id, ordinal)
        except HostLostError:
            steps, lost = [], True
        await self._clock.sleep(self._faults.result_delay(invocation.instance_id, ordinal))
        if lost or not await self._returns(command, invocation):
            await self._clock.sleep(max(0.0, command.total_deadline - self._clock.now()))
            invocation.steps, invocation.stage = [], Stage.DELIVERY_TIMED_OUT
            return
        invocation.steps, invocation.stage = steps, _overall(steps)

    async def _deliver(self, command: Command, invocation: Invocation) -> ManagedHost | None:
        """Wait until the agent has the command; None when the invocation ended without that."""
        await self._pause(invocation, self._faults.delivery_delay(invocation.instance_id, invocation.ordinal))
        while not invocation.stage.ended:
            host = self._hosts.get(invocation.instance_id)
            if host is None or not is_registered(host):
                invocation.stage = Stage.UNDELIVERABLE
            elif platform_type(host.spec) not in command.platforms:
                invocation.stage = Stage.INVALID_PLATFORM
            elif self._reachable(invocation.instance_id):
                invocation.stage = Stage.IN_PROGRESS
                return host
            elif self._clock.now() >= command.delivery_deadline:
                invocation.stage = Stage.DELIVERY_TIMED_OUT
            else:
                invocation.stage = Stage.DELAYED
                await self._pause(invocation, min(_RETRY, command.delivery_deadline - self._clock.now()))
        return None

    def _reachable(self, instance_id: str) -> bool:
        host = self._hosts.get(instance_id)
        online = host is not None and host.ping_status is Ssm.ONLINE
        return online and instance_id not in self._faults.undeliverable

    async def _run(self, command: Command, invocation: Invocation, host: ManagedHost) -> list[StepRun]:
        """Let the agent run the document; the results, none for a refusal, are not known to the service yet."""
        try:
            steps = agent_document.prepare(
                command.document,
                command.parameters,
                platform=platform_type(host.spec),
                rebase=host.rebase,
            )
        except AgentRefusalError as refusal:
            invocation.trace = str(refusal)
            return []
        invocation.steps = [StepRun(name=steps[0].name, started=self._clock.now())]
        async with self._workers[invocation.instance_id], self._everywhere:
            self._notice(f"begun:{command.document_name}", invocation.instance_id)
            runs = await self._run_steps(command, invocation, host, steps)
            self._notice(f"ended:{command.document_name}", invocation.instance_id)
            return runs

    async def _run_steps(
        self, command: Command, invocation: Invocation, host: ManagedHost, steps: tuple[Step, ...]
    ) -> list[StepRun]:
        runs: list[StepRun] = []
        exited = False
        for step in steps:
            if invocation.cancel.is_set():
                # After a cancel nothing more runs, not even finallyStep (F56).
                runs.append(StepRun(name=step.name, stage=Stage.CANCELLED))
                continue
            if step.skip or (exited and not step.is_finally):
                runs.append(StepRun(name=step.name, stage=Stage.SUCCESS, code=0, stdout=step.skip))
                continue
            run = StepRun(name=step.name, started=self._clock.now())
            runs.append(run)
            result = await self._execute(command, invocation, host, step)
            _finish(run, result, self._clock.now())
            # `exit` does not fire on a step's timeout (F53).
            failed = run.stage is Stage.FAILED and step.exits_on_failure
            exited = exited or failed or run.code in {_EXIT_SUCCESS, _EXIT_FAILURE}
        return runs

    async def _execute(self, command: Command, invocation: Invocation, host: ManagedHost, step: Step) -> ScriptResult:
        job = ScriptJob(
            command_id=command.command_id,
            step=step.name,
            script=step.script,
            timeout=float(step.timeout),
            cancel=invocation.cancel,
        )
        result = await host.execute(job)
        for _ in range(_MAX_REBOOTS):
            # After the reboot that 194 asks for, the agent starts the step again (F57).
            if result.ended != "exited" or result.code != _EXIT_REBOOT:
                break
            result = await host.execute(job)
        return result

    async def _returns(self, command: Command, invocation: Invocation) -> bool:
        """Wait until the agent can send its result; False when the total timeout has passed first (F61)."""
        while not self._reachable(invocation.instance_id):
            left = command.total_deadline - self._clock.now()
            if left <= 0:
                return False
            await self._clock.sleep(min(_RETRY, left))
        return True

    async def _pause(self, invocation: Invocation, seconds: float) -> None:
        """Wait, but not beyond a cancellation."""
        if seconds <= 0 or invocation.cancel.is_set():
            return
        waits = [
            asyncio.ensure_future(self._clock.sleep(seconds)),
            asyncio.ensure_future(invocation.cancel.wait()),
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()


def _finish(run: StepRun, result: ScriptResult, now: float) -> None:
    run.ended = now
    run.stdout = result.stdout
    run.stderr = result.stderr
    run.code = result.code
    match result.ended:
        case "timed_out":
            run.stage, run.code = Stage.EXECUTION_TIMED_OUT, _EXIT_TIMED_OUT
        case "cancelled":
            run.stage, run.code = Stage.CANCELLED, _EXIT_TIMED_OUT
        case "exited" if result.code in {0, _EXIT_SUCCESS}:
            run.stage = Stage.SUCCESS
        case "exited" if result.code == _EXIT_TIMED_OUT:
            # Also a script that the kernel killed for its memory (F57).
            run.stage = Stage.EXECUTION_TIMED_OUT
        case "exited":
            run.stage = Stage.FAILED
            gap = "\n" if run.stderr else ""
            run.stderr = f"{run.stderr}{gap}failed to run commands: exit status {result.code}"


def _overall(steps: list[StepRun]) -> Stage:
    """Return how the document ended; without a step the agent refused it (F52)."""
    stages = [step.stage for step in steps] or [Stage.FAILED]
    for worst in (Stage.CANCELLED, Stage.FAILED, Stage.EXECUTION_TIMED_OUT):
        if worst in stages:
            return worst
    return Stage.SUCCESS
