"""Which version is rolled, when AWSCURRENT may follow, and in which order a night goes."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from orchestrator.core.amount import Amount
from orchestrator.core.events import Promoted, Promoting
from orchestrator.core.model import Ping, Platform, Status
from orchestrator.core.rotation import Target, Versions, choose, convergence, may_promote, still_to_move
from orchestrator.core.settings import EVERYTHING, Policy
from orchestrator.core.state import RunState, replay
from orchestrator.errors import EnvironmentFault, ExitCode, LockedError, RefusedError, RolloutError, UsageError
from orchestrator.ledger import Ledger
from orchestrator.rotation import Promotion, Terms, rotate
from tests.fake_fleet import Host, MemoryJournal, OpenLock, VirtualClock, fleet_of, roll

LENIENT = Policy(max_failures=(EVERYTHING,), max_unreachable=(EVERYTHING,))
MOVE = Target(version="new", before="old")
PENDING = Versions(current="old", pending="new")


def test_the_pending_version_comes_first() -> None:
    """A pending version that is not the current one is rolled and then promoted; else the current one is rolled."""
    assert choose(PENDING) == MOVE
    assert choose(Versions(current="old", pending="old")) == Target(version="old", before="old")
    assert choose(Versions(current="old")).promotes is False
    assert choose(Versions(current="", pending="new")) == Target(version="new", before="")


def test_a_pending_version_that_was_passed_over_is_left_alone() -> None:
    """Somebody has stored a newer current version since: going back to the older pending one would undo that."""
    target = choose(Versions(current="newest", pending="older", stale=True))
    assert (target.version, target.promotes) == ("newest", False)
    assert target.note == "AWSPENDING (older) is older than AWSCURRENT (newest): it is left alone"


def test_a_secret_without_a_version_is_an_error() -> None:
    """There is nothing to roll, and the hint says how to store one."""
    with pytest.raises(UsageError, match="neither a pending nor a current"):
        choose(Versions(current=""))


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (Versions(current="third", pending="new"), "Somebody moved AWSCURRENT to third meanwhile"),
        (Versions(current="old", pending="third"), "AWSPENDING is at third meanwhile"),
        (Versions(current="old"), "AWSPENDING was taken away meanwhile"),
    ],
)
def test_labels_that_somebody_moved_are_left_to_them(now: Versions, expected: str) -> None:
    """Neither a label that has gone elsewhere nor a pending version that was withdrawn is overruled."""
    with pytest.raises(RefusedError, match=expected):
        still_to_move(now, MOVE)


def test_a_label_is_moved_once() -> None:
    """Where AWSCURRENT is at the version already, nothing is left to be moved."""
    assert still_to_move(PENDING, MOVE)
    assert not still_to_move(Versions(current="new", pending="new"), MOVE)


def ended(*hosts: Host, policy: Policy = LENIENT) -> RunState:
    return roll(hosts, policy)[0]


BESIDE = [
    Host("i-9", status=Status.DRAINING),
    Host("i-9", status=Status.REGISTERING),
    Host("i-9", ping=Ping.CONNECTION_LOST, connected=False),
]
LACKING = [
    Host("i-9", ping=Ping.CONNECTION_LOST),
    Host("i-9", platform=Platform.WINDOWS),
    Host("i-9", persistence="ephemeral"),
    Host("i-9", behaviour="rolled_back"),
    Host("i-9", behaviour="lost"),
]


@pytest.mark.parametrize("other", BESIDE)
def test_who_is_beside_does_not_hold_the_label(other: Host) -> None:
    """Stopped, draining elsewhere and registering instances are listed beside a fleet that has converged."""
    state = ended(*fleet_of(2), other)
    assert (convergence(state).running, convergence(state).of) == (2, 2)
    assert may_promote(state).go


@pytest.mark.parametrize("other", LACKING)
def test_who_lacks_it_holds_the_label(other: Host) -> None:
    """One connected instance that is refused, unreachable or failed keeps AWSCURRENT where it is, with its reason."""
    verdict = may_promote(ended(*fleet_of(2), other))
    assert not verdict.go
    assert verdict.why.startswith("2 of 3 instances run it; 1 ")


def test_a_share_is_counted_exactly() -> None:
    """--promote-at compares without rounding, and says that it promises less."""
    state = ended(*fleet_of(2), Host("i-9", persistence="ephemeral"))
    assert may_promote(state, Amount(66, percent=True)).go
    assert not may_promote(state, Amount(67, percent=True)).go
    assert "a weaker promise" in may_promote(state, Amount(66, percent=True)).why


def test_a_run_that_halted_promotes_nothing() -> None:
    """Whatever share the fleet has reached: a halt is a failure."""
    hosts = fleet_of(20)
    hosts[15].behaviour = "failed"
    state = ended(*hosts, policy=Policy(max_unavailable=Amount(1, percent=False)))
    assert state.halted
    assert not may_promote(state, Amount(1, percent=True)).go


def test_nobody_is_no_fleet() -> None:
    """Where every instance is beside, nobody proves the version."""
    assert not may_promote(ended(Host("i-9", status=Status.DRAINING)), EVERYTHING).go


@dataclass
class Secret:
    """A secret's labels; `meanwhile`: what somebody does to them right before they are moved."""

    at: Versions = PENDING
    fault: RolloutError | None = None
    moves: list[tuple[str, str]] = field(default_factory=list)
    secret: str = "registry"

    def versions(self) -> Versions:
        return self.at

    def promote(self, version: str, *, before: str) -> None:
        if self.fault:
            raise self.fault
        self.moves.append((before, version))
        self.at = Versions(current=version, pending=version)


def followed(secret: Secret, lock: OpenLock | None = None, **changes: object) -> tuple[Promotion, MemoryJournal]:
    """Let the label follow a good run."""
    state, world, journal = roll(fleet_of(2))
    promotion = Promotion(stages=secret, target=MOVE, say=lambda _: None, **changes)  # type: ignore[arg-type]  # by keyword
    promotion.follow(state, Ledger(journal=journal, clock=world.clock, state=state), lock or OpenLock())
    return promotion, journal


def test_intent_then_label_then_result() -> None:
    """The journal holds what was intended before the label moves, and what came of it; the fold is the state."""
    secret = Secret()
    promotion, journal = followed(secret)
    assert (promotion.left, promotion.trouble) == ("", None)
    assert secret.moves == [("old", "new")]
    events = [entry.event for entry in journal.entries[-2:]]
    assert events == [
        Promoting(secret="registry", version="new", before="old"),
        Promoted(secret="registry", version="new"),
    ]
    again = replay(journal.entries)
    assert again.promoting == events[0]
    assert again.promoted_at == journal.entries[-1].at


def test_a_failure_to_move_is_kept_for_the_report() -> None:
    """An error of AWS, a label that was moved and a lost lock leave the label, and say why; nothing is raised."""
    failing, journal = followed(Secret(fault=EnvironmentFault("no answer", hint="wait")))
    assert failing.words == "AWSCURRENT of registry stays at old: no answer"
    assert isinstance(journal.entries[-1].event, Promoting)
    moved, _ = followed(Secret(at=Versions(current="third", pending="new")))
    assert "Somebody moved AWSCURRENT" in moved.words

    def lost() -> None:
        raise LockedError("taken over", hint="wait")

    secret = Secret()
    late, _ = followed(secret, OpenLock(check=lost))
    assert (late.left, secret.moves) == ("taken over", [])


def test_a_label_that_stays_is_told_of() -> None:
    """A narrowed run that ended well leaves AWSCURRENT: that is told; a run that ended badly is told of anyway."""
    state, world, journal = roll(fleet_of(2), Policy(limit=Amount(1, percent=False)))
    promotion = Promotion(stages=Secret(), target=MOVE, say=lambda _: None)
    promotion.follow(state, Ledger(journal=journal, clock=world.clock, state=state), OpenLock())
    complaint = promotion.complaint(state)
    assert complaint is not None
    assert complaint.message == ("AWSCURRENT of registry stays at old: 1 of 2 instances run it; 1 skipped(limited).")
    bad = ended(*fleet_of(2), Host("i-9", persistence="ephemeral"))
    promotion.follow(bad, Ledger(journal=journal, clock=world.clock, state=bad), OpenLock())
    assert promotion.left
    assert promotion.complaint(bad) is None


def test_a_canary_alone_moves_no_label() -> None:
    """A run of one instance promises nothing about the others."""
    secret = Secret()
    promotion, _ = followed(secret, wanted=False)
    assert (promotion.words, secret.moves) == ("", [])


@dataclass
class ScriptedCrew:
    """Notes what is asked of it, in order."""

    left: ExitCode = ExitCode.OK
    rests: bool = False
    done: list[str] = field(default_factory=list)

    def resume(self) -> ExitCode:
        self.done.append("resume")
        return self.left

    @contextmanager
    def telling(self) -> Iterator[None]:
        self.done.append("telling")
        try:
            yield
        finally:
            self.done.append("told")

    def idle(self, target: Target) -> bool:
        self.done.append(f"look for {target.version}")
        return self.rests

    def roll(self, promotion: Promotion) -> ExitCode:
        self.done.append(f"roll {promotion.target.version}{'' if promotion.wanted else ', the canary'}")
        return ExitCode.NOT_ALL_UPDATED

    def take_back(self) -> None:
        self.done.append("take back")


def test_the_order_of_a_night() -> None:
    """What was left is finished, then the version is looked for, rolled, and taken back where that is due."""
    crew = ScriptedCrew()
    assert rotate(Secret(), crew, Terms(), lambda _: None) is ExitCode.NOT_ALL_UPDATED
    assert crew.done == ["resume", "telling", "look for new", "roll new", "told", "take back"]
    canary = ScriptedCrew()
    rotate(Secret(), canary, Terms(canary=True), lambda _: None)
    assert "roll new, the canary" in canary.done


def test_a_night_may_end_early() -> None:
    """Where nothing is to be done nothing is rolled; where the old run did not end well nothing new is begun."""
    idle = ScriptedCrew(rests=True)
    assert rotate(Secret(), idle, Terms(), lambda _: None) is ExitCode.OK
    assert idle.done[-1] == "told"
    stopped = ScriptedCrew(left=ExitCode.NOT_ALL_UPDATED)
    assert rotate(Secret(), stopped, Terms(), lambda _: None) is ExitCode.NOT_ALL_UPDATED
    assert stopped.done == ["resume"]


def test_clocks_are_only_read_where_they_are_given() -> None:
    """A promotion is recorded at the time of the run's own clock."""
    clock = VirtualClock(5.0)
    state, _, journal = roll(fleet_of(1))
    promotion = Promotion(stages=Secret(), target=MOVE, say=lambda _: None)
    promotion.follow(state, Ledger(journal=journal, clock=clock, state=state), OpenLock())
    assert state.promoted_at == 5.0
