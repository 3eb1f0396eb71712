"""Nights on a virtual clock: a secret with labels, a registry that revokes, a fleet that comes and goes.

The real procedure (`orchestrator.rotation`), engine, planning and verdicts run here; only AWS is played.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from orchestrator.cli.holders import RUNS
from orchestrator.core.deciding import outcome_of
from orchestrator.core.events import Resumed
from orchestrator.core.overlap import Boot, Overlap, Surroundings, everybody_has_it, overlap
from orchestrator.core.planning import find_ghosts
from orchestrator.core.rotation import Target, Versions
from orchestrator.core.settings import Policy
from orchestrator.core.state import RunState, replay
from orchestrator.engine import Pace
from orchestrator.errors import ExitCode, RefusedError, RolloutError
from orchestrator.inspection import Inspection
from orchestrator.ledger import Ledger
from orchestrator.ports import Gate
from orchestrator.report.render import exit_code_of
from orchestrator.rotation import Promotion, Terms, rotate
from tests.fake_fleet import MemoryJournal, OpenLock, Rollout, World


class KilledError(BaseException):
    """The process is gone: no handler of ours sees it, as with SIGKILL."""


@dataclass
class Secret:
    """Staging labels of one secret; a version's id is its generation, so that nothing has to be looked up."""

    current: str
    pending: str = ""
    moves: list[tuple[str, str]] = field(default_factory=list)
    made: list[str] = field(default_factory=list)
    moved: Callable[[str], None] = lambda _version: None
    secret: str = "registry"

    def put(self, version: str, *, current: bool = False) -> None:
        """Store a new version, as somebody does by day: pending, or current at once."""
        self.made.append(version)
        if current:
            self.current = version
        else:
            self.pending = version

    def versions(self) -> Versions:
        passed = self.pending in self.made and self.current in self.made
        stale = passed and self.made.index(self.pending) < self.made.index(self.current)
        return Versions(current=self.current, pending=self.pending, stale=stale)

    def promote(self, version: str, *, before: str) -> None:
        if self.current != before:
            raise RefusedError("moved", hint="look")
        self.moves.append((before, version))
        self.current = version
        self.moved(version)


class Mortal:
    """A port whose caller dies at a call, before it or right after its effect, once `life` is used up."""

    def __init__(self, port: Any, life: "Life") -> None:
        self._port = port
        self._life = life

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)
        return self._life.lived(found) if callable(found) else found


@dataclass
class Life:
    """So many calls are lived through; None for all."""

    calls: int | None = None
    after: bool = False

    def wrap(self, port: Any) -> Any:
        return Mortal(port, self)

    def lived(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def one(*given: Any, **named: Any) -> Any:
            if self.calls is None:
                return call(*given, **named)
            self.calls -= 1
            if self.calls < 0:
                if self.after and self.calls == -1:
                    call(*given, **named)
                raise KilledError
            return call(*given, **named)

        return one


@dataclass
class Book:
    """What outlives a controller: the runs, who holds the cluster, and what new instances boot with."""

    boot: str
    runs: dict[str, MemoryJournal] = field(default_factory=dict)
    fence: int = 0
    holder: str = ""
    notices: list[str] = field(default_factory=list)
    hear: Callable[[Overlap], None] = lambda _found: None
    folded: dict[str, tuple[int, RunState]] = field(default_factory=dict)

    def state_of(self, run: str) -> RunState:
        """Fold a run's journal, once for each length of it."""
        entries = self.runs[run].entries
        known = self.folded.get(run)
        if known is None or known[0] != len(entries):
            known = self.folded[run] = len(entries), replay(entries)
        return known[1]


@dataclass
class NightCrew:
    """The port `Crew` over a world; `wrap` may put something before each port, such as a death."""

    world: World
    book: Book
    policy: Policy
    night: int
    gates: Sequence[Gate] = ()
    members: Callable[[], frozenset[str]] = frozenset
    wrap: Callable[[Any], Any] = lambda port: port
    stop_requested: Callable[[], str] = lambda: ""

    def resume(self) -> ExitCode:
        """Finish the run of the dead holder; a world in which controllers overlap is not played here."""
        run = self.book.holder
        journal = self.book.runs.get(run, MemoryJournal())
        before = replay(journal.entries)
        if before.started is None or before.ended is not None:  # nothing was begun, or all was done
            self.book.holder = ""
            return ExitCode.OK
        rollout = self._rollout(run, before.run.generation)
        self.book.fence += 1
        engine = rollout.engine(self.book.fence, self.wrap)
        with self.telling():
            state = engine.resume(list(journal.entries), Resumed(fence=self.book.fence, holder="night"))
            return self._ended(state, None)

    def _rollout(self, run: str, generation: str) -> Rollout:
        self.world.journal = self.book.runs.setdefault(run, MemoryJournal())
        return Rollout(
            self.world,
            self.policy,
            run=run,
            gates=self.gates,
            generation=generation,
            stop_requested=self.stop_requested,
            pace=Pace(),
        )

    @contextmanager
    def telling(self) -> Iterator[None]:
        try:
            yield
        except RolloutError as error:
            self.book.notices.append(f"{self.night}: {error.message}")
            raise

    def idle(self, target: Target) -> bool:
        planned = self._rollout("look", target.version).plan(0)
        outcomes = [outcome_of(each) for each in planned]
        at_rest = all(each is not None and each.as_wanted for each in outcomes)
        idle = at_rest and not target.promotes and self.book.boot == target.version
        if idle:
            self._look(target.version)
        return idle

    def roll(self, promotion: Promotion) -> ExitCode:
        run = f"20260101-{self.night:06d}-{len(self.book.runs):08x}"
        rollout = self._rollout(run, promotion.target.version)
        self.book.fence, self.book.holder = self.book.fence + 1, run
        planned = rollout.plan(self.book.fence)
        engine = rollout.engine(self.book.fence, self.wrap)
        state = engine.run(rollout.started(self.book.fence, planned))
        return self._ended(state, promotion)

    def _ended(self, state: RunState, promotion: Promotion | None) -> ExitCode:
        """What cli.carrying does after a run: the label, the boot configuration, the report, the lock."""
        if promotion is not None:
            journal = self.wrap(self.book.runs[state.run.run])
            ledger = Ledger(journal=journal, clock=self.world.clock, state=state)
            promotion.follow(state, ledger, OpenLock())
        if everybody_has_it(state):
            self.wrap(self).keep_boot(state.run.generation)
        code = exit_code_of(state, ExitCode.NOT_ALL_UPDATED)
        if promotion is not None and promotion.left:
            code = code or ExitCode.NOT_ALL_UPDATED
        if code is not ExitCode.OK:
            self.book.notices.append(f"{self.night}: {state.ended.result if state.ended else 'broke off'}")
        self.book.holder = ""
        self._look(state.run.generation)
        return code

    def keep_boot(self, generation: str) -> None:
        self.book.boot = generation

    def _look(self, wanted: str) -> None:
        """Look at who runs what, as `holders.seen` does."""
        fleet = self.world.discover()
        ghosts = find_ghosts(fleet)
        present = [each for each in fleet if each.arn not in ghosts]
        rollout = self._rollout("look", wanted)
        looks = Inspection(commands=self.world, clock=self.world.clock, context=rollout.context(0)).look(
            [each.instance_id for each in present]
        )
        boot = Boot(name="s3://conf/ecs.config", holds=True, generation=self.book.boot)
        around = Surroundings(members={"web": self.members()}, boots=(boot,))
        runs = [
            self.book.state_of(name)
            for name in sorted(self.book.runs, reverse=True)[:RUNS]
            if self.book.runs[name].entries
        ]
        found = overlap(present, looks, around, wanted=wanted, runs=runs)
        self.book.hear(found)

    def take_back(self) -> None:
        """These fleets keep what was updated."""


def a_night(secret: Secret, crew: NightCrew, terms: Terms | None = None) -> ExitCode:
    """Do what the schedule starts; an error is an exit code, as in cli.main."""
    stages = crew.wrap(secret)
    try:
        return rotate(stages, crew, terms or Terms(), lambda _: None)
    except RolloutError as error:
        return error.exit_code
