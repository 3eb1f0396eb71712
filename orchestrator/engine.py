"""The one loop: journal the intent, do, observe, fold.

Everything that decides is in `core`; everything that talks is behind `ports`. If the process dies after any line
here, the journal and AWS together still tell what was begun: an intent is durable before its effect, and every
command expires on the instance by itself (`NotAfter`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from orchestrator.core import judging, policy
from orchestrator.core.events import (
    Concluded,
    Entry,
    Event,
    GateAnswered,
    Halted,
    RunEnded,
    RunStarted,
    WaveOpened,
)
from orchestrator.core.gates import GateAnswer, Word
from orchestrator.core.lifecycle import Phase
from orchestrator.core.model import Outcome, OutcomeKind
from orchestrator.core.orders import (
    Context,
    PayloadReference,
)
from orchestrator.core.planning import outcome_of
from orchestrator.core.reasons import Reason
from orchestrator.core.result import Op
from orchestrator.core.state import Batch, RunState
from orchestrator.dispatch import Dispatch
from orchestrator.errors import EnvironmentFault, RolloutError
from orchestrator.ports import (
    Clock,
    Commands,
    Fleet,
    Gate,
    Journal,
    Lock,
    Observer,
)

GATES_EVERY = 15.0
"""Seconds between two rounds of questions to the gates."""

DEAF_TICKS = 30
"""Ticks in a row without any answer from AWS before the engine gives up (it has stopped admitting at the first)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Seconds between two ticks: the shortest, right after something happened, up to the longest."""

    shortest: float = 2.0
    longest: float = 10.0

    def after(self, idle: int) -> float:
        """Say how long to wait after `idle` ticks in which nothing happened."""
        return min(self.shortest * 1.3 ** min(idle, 50), self.longest)


class Engine:
    """Carry out one run; `run` returns when every instance has its outcome.

    `deliver` puts the credential where instances fetch it; it is called once, when somebody is to be changed, and may
    be None for a run that restores.
    """

    def __init__(  # noqa: PLR0913 - its ports, each by name
        self,
        *,
        commands: Commands,
        fleet: Fleet,
        journal: Journal,
        lock: Lock,
        clock: Clock,
        context: Context,
        deliver: Callable[[], PayloadReference] | None,
        pace: Pace,
        gates: Sequence[Gate] = (),
        observers: Sequence[Observer] = (),
        stop_requested: Callable[[], bool] = lambda: False,
    ) -> None:
        self.state = RunState()
        self._commands = commands
        self._fleet = fleet
        self._journal = journal
        self._lock = lock
        self._clock = clock
        self._deliver = deliver
        self._dispatch = Dispatch(
            commands=commands, lock=lock, clock=clock, context=context, state=self.state, record=self._record
        )
        self._pace = pace
        self._observers = observers
        self._stop_requested = stop_requested
        self._gates = gates
        self._asked_at: float | None = None
        self._reads: dict[str, int] = {}
        self._deaf = 0

    def run(self, started: RunStarted) -> RunState:
        """Roll. Raises LockedError when another owner took the cluster over, EnvironmentFault when AWS stays away."""
        self._record(started)
        decided = [(each.key, outcome_of(each)) for each in started.planned]
        self._record(*(Concluded(key=key, outcome=outcome) for key, outcome in decided if outcome))
        if self._deliver is not None and self.state.queue:
            self._dispatch.payload = self._deliver()  # the journal knows the run by now: a crash leaves a trace of it
        idle = 0
        while self.state.ended is None:
            before = len(self.state.queue), len(self.state.in_flight)
            self.tick()
            idle = 0 if (len(self.state.queue), len(self.state.in_flight)) != before else idle + 1
            if self.state.in_flight or self.state.queue:
                self._clock.wait(self._pace.after(idle))
        return self.state

    def tick(self) -> None:
        """Observe what is in flight, fold it, and do what the policy says.

        Raises EnvironmentFault when AWS has not answered for many ticks; one such tick already stops admission.
        """
        if self._stop_requested() and self.state.halted is None:
            self._record(Halted(why="stopped by a signal", interrupted=True))
        faults = []
        for step in (self._hear, self._act):
            fault = _fault_of(step)
            if fault is not None:
                faults.append(fault)
                if self.state.halted is None:
                    self._record(Halted(why=f"AWS does not answer: {fault.message}"))
        self._deaf = self._deaf + 1 if faults else 0
        if self._deaf >= DEAF_TICKS:
            raise faults[0]

    def _hear(self) -> None:
        self._lock.keep()
        self._observe()

    def _act(self) -> None:
        self._ask_gates()
        opened = True
        while opened:
            actions = policy.decide(self.state, self._clock.now())
            opened = any(isinstance(action, policy.OpenWave) for action in actions)
            for action in actions:
                self._perform(action)

    def _ask_gates(self) -> None:
        """Ask every gate, at a bounded rate, while there is somebody to admit; record what is new."""
        now = self._clock.now()
        due = self._asked_at is None or now - self._asked_at >= GATES_EVERY
        if not (self._gates and due and self.state.queue) or self.state.halted is not None:
            return
        self._asked_at = now
        answers = [self._ask(gate, now) for gate in self._gates]
        self._record(*(GateAnswered(answer=each) for each in answers if self.state.gates.get(each.gate) != each))

    @staticmethod
    def _ask(gate: Gate, now: float) -> GateAnswer:
        try:
            return gate.ask(now)
        except RolloutError as error:
            return GateAnswer(gate=gate.name, word=Word.HOLD, reason=error.message, trouble=True)

    def _record(self, *events: Event) -> None:
        """Make events durable, then let them count, then let observers see them."""
        if not events:
            return
        now = self._clock.now()
        entries = tuple(Entry(now, event) for event in events)
        self._journal.append(entries)
        for entry in entries:
            self.state.fold(entry)
        for observer in self._observers:
            observer.saw(entries)

    # observing

    def _observe(self) -> None:
        for name, batch in self.state.open_batches():
            if batch.command_id:
                self._record(*self._news(batch))
            if name in self.state.batches and judging.overdue(self.state, batch, self._clock.now()):
                self._record(*judging.judge_overdue(self.state, batch, self._clock.now()))
        self._sight()

    def _news(self, batch: Batch) -> list[Event]:
        events: list[Event] = []
        for seen in self._commands.poll(batch.command_id):
            if seen.ended and seen.instance_id in batch.open:
                events += judging.judge_end(
                    self.state, seen.instance_id, batch, seen.status, seen.stdout, self._clock.now()
                )
        return events

    def _sight(self) -> None:
        keys = [key for key in self.state.in_flight if self.state.instances[key].phase is Phase.SETTLING]
        if not keys:
            return
        arns = {self.state.instances[key].planned.instance.arn: key for key in keys}
        seen = self._fleet.describe(tuple(arns))
        events: list[Event] = []
        for arn, key in arns.items():
            sighting = seen[arn]
            progress = self.state.instances[key]
            certain = judging.settling(progress)
            self._reads[key] = self._reads.get(key, 0) + 1 if sighting.agent_connected and certain else 0
            if certain or sighting.status is None:
                events += judging.judge_sighting(
                    self.state,
                    key,
                    status=sighting.status,
                    agent_connected=sighting.agent_connected,
                    reads=self._reads[key],
                    now=self._clock.now(),
                )
        self._record(*events)

    # doing

    def _perform(self, action: policy.Action) -> None:
        match action:
            case policy.Apply(keys=keys):
                if self.state.halted is None:
                    self._dispatch.send(self.state.op, keys)
            case policy.LookAgain(keys=keys):
                self._dispatch.send(Op.INSPECT, keys)
            case policy.OpenWave(wave=wave):
                self._record(WaveOpened(wave=wave))
            case policy.Halt(why=why):
                self._record(Halted(why=why))
            case policy.GiveUp(keys=keys):
                why = self.state.halted.why if self.state.halted else ""
                outcome = Outcome(OutcomeKind.NOT_ATTEMPTED, Reason.HALTED, why)
                self._record(*(Concluded(key=key, outcome=outcome) for key in keys))
            case policy.End():
                self._record(RunEnded(result=result_of(self.state)))


def _fault_of(step: Callable[[], None]) -> EnvironmentFault | None:
    """Do a step; give back the fault of AWS that cut it short, if one did."""
    try:
        step()
    except EnvironmentFault as fault:
        return fault
    return None


def result_of(state: RunState) -> str:
    """Name how the run ended: `ok`, `incomplete`, `halted` or `interrupted`."""
    if all(each.outcome is not None and each.outcome.as_wanted for each in state.instances.values()):
        return "ok"
    if state.halted is None:
        return "incomplete"
    return "interrupted" if state.halted.interrupted else "halted"
