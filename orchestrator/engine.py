"""The one loop: journal the intent, do, observe, fold.

Everything that decides is in `core`; everything that talks is behind `ports`. If the process dies after any line
here, the journal and AWS together still tell what was begun: an intent is durable before its effect, and every
command expires on the instance by itself (`NotAfter`).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from orchestrator.audience import Audience
from orchestrator.core import actions, draining, policy
from orchestrator.core.events import (
    ApprovalAwaited,
    Concluded,
    Delivered,
    Entry,
    Halted,
    Resumed,
    RunEnded,
    RunStarted,
    WaveOpened,
)
from orchestrator.core.lifecycle import Phase
from orchestrator.core.model import Outcome, OutcomeKind
from orchestrator.core.orders import Context, PayloadReference
from orchestrator.core.reasons import Reason
from orchestrator.core.result import Op
from orchestrator.core.state import RunState
from orchestrator.dispatch import Dispatch
from orchestrator.drainage import Drainage
from orchestrator.errors import EnvironmentFault
from orchestrator.gatekeeper import Gatekeeper
from orchestrator.ledger import Ledger
from orchestrator.lookout import Lookout
from orchestrator.patience import Patience
from orchestrator.ports import Clock, Commands, Drains, Fleet, Gate, Journal, Lock, Observer, Survey
from orchestrator.reading import Reading
from orchestrator.surveyor import Surveyor


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Seconds between two ticks: the shortest, right after something happened, up to the longest."""

    shortest: float = 2.0
    longest: float = 10.0

    def after(self, idle: int) -> float:
        """Say how long to wait after `idle` ticks in which nothing happened."""
        return min(self.shortest * 1.3 ** min(idle, 50), self.longest)


class Engine:
    """Carry out one run; `run` and `resume` return when every instance has its outcome.

    `deliver` puts the credential where instances fetch it; it is called once, when somebody is to be changed, and may
    be None for a run that restores. `survey` looks at the cluster again after the last wave. `stop_requested` says why
    nothing more is to be admitted; empty while there is no reason. `begun` is called once the journal knows that the
    run begins, or goes on, and before anything is done for it.
    """

    def __init__(  # noqa: PLR0913 - its ports, each by name
        self,
        *,
        commands: Commands,
        fleet: Fleet,
        drains: Drains,
        journal: Journal,
        lock: Lock,
        clock: Clock,
        context: Context,
        deliver: Callable[[], PayloadReference] | None,
        survey: Survey,
        pace: Pace,
        gates: Sequence[Gate] = (),
        observers: Sequence[Observer] = (),
        stop_requested: Callable[[], str] = lambda: "",
        begun: Callable[[], None] = lambda: None,
    ) -> None:
        self.state = RunState()
        self._lock = lock
        self._clock = clock
        self._deliver = deliver
        self._ledger = Ledger(journal=journal, clock=clock, state=self.state, observers=observers)
        self._dispatch = Dispatch(
            commands=commands, lock=lock, clock=clock, context=context, state=self.state, ledger=self._ledger
        )
        self._drainage = Drainage(
            drains=drains, fleet=fleet, lock=lock, clock=clock, state=self.state, ledger=self._ledger
        )
        self._lookout = Lookout(
            reading=Reading(commands=commands, clock=clock, state=self.state),
            fleet=fleet,
            drains=drains,
            clock=clock,
            state=self.state,
            ledger=self._ledger,
        )
        self._pace = pace
        self._stop_requested = stop_requested
        self._begun = begun
        self._gatekeeper = Gatekeeper(gates=gates, clock=clock, state=self.state, ledger=self._ledger)
        self._audience = Audience(journal=journal, state=self.state, ledger=self._ledger)
        self._surveyor = Surveyor(survey=survey, fleet=fleet, state=self.state, ledger=self._ledger)
        self._patience = Patience()

    def run(self, started: RunStarted) -> RunState:
        """Roll.

        Raises LockedError when another owner took the cluster over, EnvironmentFault when AWS stays away, JournalFault
        when the journal did not take the end of the run: what was under way was seen through, and it can be resumed.
        """
        self.begin(started)
        return self._roll()

    def begin(self, started: RunStarted) -> None:
        """Make the run known and ready for its first tick."""
        self._ledger.intend(started)
        self._begun()
        self._set_out()

    def resume(self, entries: Iterable[Entry], resumed: Resumed) -> RunState:
        """Go on with a run that broke off: fold its journal, find its commands, continue. Raises as `run` does."""
        self.take_up(entries, resumed)
        return self._roll()

    def take_up(self, entries: Iterable[Entry], resumed: Resumed) -> None:
        """Stand where the run broke off, ready for the next tick."""
        for entry in entries:
            self.state.fold(entry)
        self._ledger.intend(resumed)
        self._begun()
        self._dispatch.adopt()
        self._try(self._audience.listen)
        self._set_out()

    @property
    def unfinished(self) -> bool:
        """Whether something was begun, and its end is not in the journal: then the run can be resumed, and must be."""
        begun = self.state.payload is not None or any(
            each.attempts or each.drained for each in self.state.instances.values()
        )
        return begun and (self.state.ended is None or bool(self._ledger.unsaved))

    def _set_out(self) -> None:
        self._surveyor.conclude_decided()
        halts = self.state.halted is not None or policy.exceeded(self.state) is not None
        nobody_served = self.state.payload is None and self.state.roster.queue and not halts
        if self._deliver is not None and nobody_served:
            # The journal knows the run by now: a crash leaves a trace of the delivery, whose name follows from it. The
            # plan may have waited long for its yes: whoever took the cluster over meanwhile must not find a new copy.
            self._lock.confirm()
            self._ledger.observe(Delivered(payload=self._deliver()))

    def _roll(self) -> RunState:
        idle = 0
        while self.state.ended is None:
            before = len(self.state.roster.queue), len(self.state.roster.in_flight)
            self.tick()
            idle = 0 if (len(self.state.roster.queue), len(self.state.roster.in_flight)) != before else idle + 1
            if self.state.roster.in_flight or self.state.roster.queue:
                self._clock.wait(self._pace.after(idle))
        self._ledger.save()
        if self._ledger.unsaved and self._ledger.trouble:
            raise self._ledger.trouble
        return self.state

    def tick(self) -> None:
        """Observe what is in flight, fold it, and do what the policy says.

        Raises EnvironmentFault when AWS has not answered for many ticks; one such tick already stops admission.
        """
        why = self._stop_requested()
        if why and self.state.halted is None:
            self._ledger.observe(Halted(why=why, interrupted=True))
        for step in (self._lock.keep, self._audience.listen, self._lookout.look, self._drainage.watch):
            self._try(step)
        self._act()
        if self._ledger.unsaved and self._ledger.trouble:
            self._halt(f"the journal takes no events: {self._ledger.trouble.message}")
        self._ledger.elapse()
        self._patience.tick(self.state)

    def _try(self, step: Callable[[], None]) -> None:
        """Do one step; where AWS or the journal cuts it short, admit nothing more, and let the others go on."""
        try:
            step()
        except EnvironmentFault as fault:
            self._halt(self._patience.note(fault))

    def _halt(self, why: str) -> None:
        if self.state.halted is None and self.state.ended is None:
            self._ledger.observe(Halted(why=why))

    def _act(self) -> None:
        self._gatekeeper.ask()
        opened = True
        while opened:
            wanted = policy.decide(self.state, self._clock.now())
            opened = any(isinstance(action, actions.OpenWave | actions.Survey) for action in wanted)
            for action in wanted:
                self._try(partial(self._perform, action))

    def _perform(self, action: actions.Action) -> None:
        match action:
            case actions.Apply(keys=keys):
                self._apply(keys)
            case actions.Drain(keys=keys):
                if self.state.halted is None and self._gatekeeper.lets():
                    self._drainage.begin(keys)
            case actions.Release(keys=keys):
                self._ledger.observe(*(draining.release(self.state, key) for key in keys))
            case actions.GiveBack(keys=keys):
                self._drainage.give_back(keys)
            case actions.TakeBack(keys=keys):
                self._drainage.withhold(keys)
                self._dispatch.send(Op.RESTORE, keys, taking_back=True)
            case actions.LookAgain(keys=keys):
                self._dispatch.send(Op.INSPECT, keys)
            case actions.GiveUp(keys=keys):
                self._ledger.observe(*(Concluded(key=key, outcome=self._given_up(key)) for key in keys))
            case _:
                self._move_on(action)

    def _move_on(
        self, action: actions.AwaitApproval | actions.OpenWave | actions.Survey | actions.Halt | actions.End
    ) -> None:
        """Do what concerns the run as a whole."""
        match action:
            case actions.AwaitApproval(wave=wave):
                self._ledger.observe(ApprovalAwaited(wave=wave))
            case actions.OpenWave(wave=wave):
                if self._gatekeeper.lets(anew=True):
                    self._ledger.observe(WaveOpened(wave=wave))
            case actions.Survey():
                self._surveyor.look_around()
            case actions.Halt(why=why):
                self._ledger.observe(Halted(why=why))
            case actions.End():
                self._ledger.observe(RunEnded(result=result_of(self.state)))

    def _apply(self, keys: tuple[str, ...]) -> None:
        """Send to those that nobody has taken away or drained meanwhile; ours are drained and were just seen."""
        if self.state.halted is not None:
            return
        fresh = tuple(key for key in keys if self.state.instances[key].phase is Phase.QUEUED)
        if fresh and not self._gatekeeper.lets():
            return  # those that are drained come in orders of their own
        free = frozenset(self._drainage.unhindered(fresh)) if fresh else frozenset()
        left = tuple(key for key in keys if key in free or key not in fresh)
        mended = tuple(key for key in left if self.state.instances[key].mends)
        others = tuple(key for key in left if key not in mended)
        for op, some in ((Op.RESTORE, mended), (self.state.op, others)):
            if some:
                self._dispatch.send(op, some)

    def _given_up(self, key: str) -> Outcome:
        why = self.state.halted.why if self.state.halted else ""
        return self.state.instances[key].deferred or Outcome(OutcomeKind.NOT_ATTEMPTED, Reason.HALTED, why)


def result_of(state: RunState) -> str:
    """Name how the run ended: `ok`, `incomplete`, `halted` or `interrupted`."""
    outcomes = [each.outcome for each in state.instances.values()]
    if all(each is not None and (each.as_wanted or _left_by_heal(state, each)) for each in outcomes):
        return "ok"
    if state.halted is None:
        return "incomplete"
    return "interrupted" if state.halted.interrupted else "halted"


def _left_by_heal(state: RunState, outcome: Outcome) -> bool:
    """Say whether healing leaves an instance as it is because somebody else has drained it."""
    return state.run.heals and outcome.reason is Reason.DRAINING_ELSEWHERE
