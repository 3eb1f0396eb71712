"""What is done around a run: the lock, the predecessor, the delivery, and what stays when a run breaks off."""

import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec import structs

from orchestrator.aws.owner import Owner, Predecessor
from orchestrator.cli import compose, holding, planning, rolling
from orchestrator.core.deciding import Goal, TakeBack
from orchestrator.core.events import Entry, RunStarted, WaveOpened
from orchestrator.core.model import Plan
from orchestrator.core.orders import Context, HostPaths
from orchestrator.core.payload import Depot, Store
from orchestrator.core.selection import EVERYBODY, Filter, Selection
from orchestrator.core.settings import Policy
from orchestrator.core.state import RunState
from orchestrator.engine import Pace
from orchestrator.errors import EnvironmentFault, JournalFault, LockedError, RefusedError, RolloutError, UsageError
from orchestrator.journal.sqlite import SqliteJournal
from tests.fake_fleet import GENERATION, PAYLOAD, OpenLock, VirtualClock, World, fleet_of

OLD = Owner(holder="anna", run="old", since=1.0, heartbeat=2.0, unresolved=(Predecessor("older", 0.0),))


@dataclass
class RecordingLock:
    """A lock that is won at once, from a predecessor if there is one."""

    predecessor: Owner | None = None
    fence: int = 7
    done: list[str] = field(default_factory=list)

    def owner(self) -> Owner | None:
        return self.predecessor

    def acquire(self, *, take_over: bool, resumes: bool) -> Owner | None:
        del resumes
        self.done.append(f"acquire {take_over}")
        return self.predecessor.last_begun if self.predecessor else None

    def keep(self) -> None:
        self.done.append("keep")

    def confirm(self) -> None:
        return

    def begin(self) -> None:
        self.done.append("begin")

    def resolved(self) -> None:
        self.done.append("resolved")

    def hand_back(self, predecessor: Owner) -> None:
        self.done.append(f"hand back to {predecessor.run}")

    def release(self) -> None:
        self.done.append("release")

    def sweep(self) -> None:
        self.done.append("sweep")


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What happens to the delivery."""
    happened: list[str] = []

    def deliver(_parts: object) -> object:
        happened.append("deliver")
        return PAYLOAD

    monkeypatch.setattr("orchestrator.cli.loading.ensure_key", lambda _parts: b"k")
    monkeypatch.setattr("orchestrator.cli.loading.deliver", deliver)
    monkeypatch.setattr("orchestrator.cli.loading.take_away", lambda _parts, _payload: happened.append("take away"))
    monkeypatch.setattr("orchestrator.cli.loading.forget", lambda _parts, left: happened.append(f"forget {left.run}"))
    return happened  # type: ignore[return-value]  # pytest takes either


RUN = RunStarted(
    run="new", cluster="c", region="us-east-1", generation=GENERATION, fence=7, policy=Policy(), planned=()
)
GOAL = Goal(generation=GENERATION, registries=frozenset())


def parts_of(world: World, lock: RecordingLock) -> Any:
    policy = Policy()
    request = SimpleNamespace(
        policy=policy,
        pace=Pace(shortest=2, longest=2),
        selection=EVERYBODY,
        allow_removal=True,
        depot=Depot(Store.SSM),
    )
    context = Context(run="new", cluster="c", fence=7, deadlines=policy.deadlines, paths=HostPaths())
    return SimpleNamespace(
        request=request,
        clock=world.clock,
        run_id="new",
        cluster="c",
        session=SimpleNamespace(region="us-east-1"),
        commands=world,
        fleet=world,
        drains=world,
        lock=lock,
        context=lambda _fence: context,
        gates=lambda _expected: (),
    )


def plan_of(parts: Any) -> Plan:
    return planning.plan(parts, GOAL, fence=7, say=lambda _: None)


@dataclass
class Nowhere:
    """A journal that keeps nothing."""

    def append(self, _run: str, _fence: int, _entries: object) -> None:
        return

    def asked(self, _run: str) -> tuple[()]:
        return ()

    def runs(self) -> tuple[()]:
        return ()

    def claim(self, _run: str, _fence: int) -> None:
        return


def roll(world: World, lock: RecordingLock, said: list[str] | None = None) -> None:
    parts = parts_of(world, lock)
    say = (said if said is not None else []).append
    with holding.locked(parts, take_over=lock.predecessor is not None, say=say) as hold:
        rolling.roll(parts, hold, plan_of(parts), rolling.Watch(journal=Nowhere(), say=say), GOAL)  # type: ignore[arg-type]  # keeps nothing


def test_a_run_that_ended_leaves_nothing_behind(store: list[str]) -> None:
    """After a run that ended the delivery is gone and the lock is released and swept."""
    lock = RecordingLock()
    roll(World(fleet_of(2), VirtualClock()), lock)
    assert store == ["deliver", "take away"]
    assert lock.done[-2:] == ["release", "sweep"]


def test_nobody_to_change_means_nothing_delivered(store: list[str]) -> None:
    """A fleet that is current gets no delivery."""
    roll(World(fleet_of(2, generation=GENERATION), VirtualClock()), RecordingLock())
    assert store == []


def test_a_run_that_broke_off_keeps_lock_and_delivery(store: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """When a run breaks off with commands under way, its lock and its delivery stay, and it says so."""
    world, lock = World(fleet_of(2), VirtualClock()), RecordingLock()
    said: list[str] = []

    def deliver_and_go_deaf(_parts: object) -> object:
        world.deaf_until = float("inf")
        return PAYLOAD

    monkeypatch.setattr("orchestrator.cli.loading.deliver", deliver_and_go_deaf)
    with pytest.raises(EnvironmentFault):
        roll(world, lock, said)
    assert store == []
    assert "release" not in lock.done
    assert "the run new broke off" in said[-1]


def test_a_run_that_failed_before_anything_was_sent_lets_go(store: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """When the delivery itself fails nothing is under way: the lock is released."""

    def fail(_parts: object) -> object:
        raise EnvironmentFault("no store", hint="mend it")

    monkeypatch.setattr("orchestrator.cli.loading.deliver", fail)
    lock = RecordingLock()
    with pytest.raises(EnvironmentFault, match="no store"):
        roll(World(fleet_of(2), VirtualClock()), lock)
    assert lock.done[-2:] == ["release", "sweep"]
    assert store == []


def test_predecessors_are_waited_for_and_tidied_up_after(store: list[str]) -> None:
    """Nothing is begun while a command of any predecessor is under way; then what they had delivered is removed."""
    world, lock = World(fleet_of(1), VirtualClock()), RecordingLock(predecessor=OLD)
    asked: list[tuple[str, float]] = []

    def busy(run: str, since: float) -> bool:
        asked.append((run, since))
        return run == "older" and world.clock.now() < 1_000_060

    world.busy = busy  # type: ignore[method-assign]  # a world with a past
    roll(world, lock)
    assert {run for run, _ in asked} == {"old", "older"}
    first = min(command.sent_at for command in world.commands.values())
    assert first >= 1_000_060
    assert lock.done.index("begin") < lock.done.index("resolved") < lock.done.index("release")
    assert "keep" in lock.done
    assert store[:2] == ["forget older", "forget old"]


def test_the_first_list_is_not_believed(store: list[str]) -> None:
    """A predecessor whose commands no list shows is still given the time by which lists lag (F73)."""
    world, lock = World(fleet_of(1), VirtualClock()), RecordingLock(predecessor=OLD)
    began = world.clock.now()
    roll(world, lock)
    assert min(command.sent_at for command in world.commands.values()) >= began + holding.LIST_LAG
    assert store[0] == "forget older"


@pytest.mark.parametrize(
    ("age", "waits"),
    [(5.0, 180.0), (100.0, 30 - 100 + 180.0), (1000.0, holding.LIST_LAG), (-7200.0, 180.0)],
    ids=["just now", "a while ago", "long ago", "a clock that is ahead"],
)
def test_what_a_sleeping_owner_could_still_begin_is_waited_out(store: list[str], age: float, waits: float) -> None:
    """Nothing is begun before the last command expires that the old owner, should it only sleep, may send on waking."""
    world = World(fleet_of(1), VirtualClock())
    began = world.clock.now()
    old = Owner(holder="anna", run="old", since=1.0, heartbeat=began - age, reach=float(Policy().deadlines.reach))
    roll(world, RecordingLock(predecessor=old))
    first = min(command.sent_at for command in world.commands.values())
    assert began + waits <= first <= began + waits + holding.PREDECESSOR_EVERY
    assert store[0] == "forget old"


def test_a_run_counts_once_its_journal_knows_it_and_before_anything_is_done(store: list[str]) -> None:
    """Only then what predecessors had delivered is removed; and only after that its own credential is delivered."""
    world, lock = World(fleet_of(1), VirtualClock()), RecordingLock(predecessor=OLD)
    order: list[str] = []
    holders: set[str] = set()
    parts = parts_of(world, lock)

    @dataclass
    class Noting(Nowhere):
        def append(self, _run: str, _fence: int, entries: object) -> None:
            holders.update(each.event.holder for each in entries if isinstance(each.event, RunStarted))  # type: ignore[attr-defined]  # entries
            order.append(f"{type(entries[0].event).__name__} {lock.done[-1]} {len(store)}")  # type: ignore[index]  # entries

    with holding.locked(parts, take_over=True, say=lambda _: None) as hold:
        assert (lock.done[-1], store) == ("keep", [])
        rolling.roll(parts, hold, plan_of(parts), rolling.Watch(journal=Noting(), say=lambda _: None), GOAL)  # type: ignore[arg-type]  # keeps nothing
    assert order[:2] == ["RunStarted keep 0", "Delivered resolved 3"]
    assert holders == {compose.holder()}
    assert store == ["forget older", "forget old", "deliver", "take away"]
    assert lock.done[lock.done.index("begin") + 1] == "resolved"


LEAVES: dict[str, BaseException] = {
    "declined": RefusedError("Not confirmed.", hint="Nothing was touched."),
    "Ctrl-C": KeyboardInterrupt(),
    "wrong selection": UsageError("Not in the cluster.", hint="Look."),
    "a slip of ours": RuntimeError("a bug"),
}


@pytest.mark.parametrize("why", LEAVES)
def test_who_takes_over_and_begins_nothing_gives_the_cluster_back(store: list[str], why: str) -> None:
    """However it leaves, the dead run stays as it was: resumable, with its copy and its place in the lock."""
    lock = RecordingLock(predecessor=OLD)
    parts = parts_of(World(fleet_of(1), VirtualClock()), lock)
    said: list[str] = []
    with (
        pytest.raises(type(LEAVES[why])),
        holding.locked(parts, take_over=True, say=said.append, store=("--state", "dynamodb:t")),
    ):
        raise LEAVES[why]
    assert lock.done[-1] == "hand back to old"
    assert not {"begin", "resolved", "release", "sweep"} & set(lock.done)
    assert store == []
    assert said[-2] == "nothing was begun: the cluster is the run old's again, as it was"
    assert said[-1].startswith("`ecs-rollout resume old --state dynamodb:t` goes on with it; ")
    assert "`ecs-rollout heal --cluster c --take-over`" in said[-1]


def test_who_gives_a_cluster_back_whose_run_had_not_begun_sends_nobody_to_resume_it(store: list[str]) -> None:
    """No journal knows that run: only another take-over goes on, and that is what is said."""
    said: list[str] = []
    lock = RecordingLock(predecessor=replace(OLD, begun=False))
    parts = parts_of(World(fleet_of(1), VirtualClock()), lock)
    with pytest.raises(RefusedError), holding.locked(parts, take_over=True, say=said.append):
        raise LEAVES["declined"]
    assert lock.done[-1] == "hand back to old"
    assert said[-1] == "that one had not begun either: a new run can say --take-over again"
    assert store == []


def test_the_wait_for_a_dead_owner_gives_signs_of_life(store: list[str]) -> None:
    """At its begin it says until when it lasts at least, and then each minute how long that still is."""
    world = World(fleet_of(1), VirtualClock())
    began = world.clock.now()
    old = Owner(holder="anna", run="old", since=1.0, heartbeat=began, reach=180.0)
    said: list[str] = []
    parts = parts_of(world, RecordingLock(predecessor=old))
    with pytest.raises(RefusedError), holding.locked(parts, take_over=True, say=said.append):
        raise LEAVES["declined"]
    waits = [each for each in said if "waiting" in each]
    assert waits[0].startswith("waiting at least 180 s, until 13:49:40 UTC: nothing of it may be under way")
    assert waits[1:] == [f"still waiting: {left} s more at least" for left in (120, 60)]
    assert store == []


def test_a_journal_that_does_not_take_the_run_begins_none(store: list[str]) -> None:
    """Before its first entry is durable nothing of the old run is put away."""
    lock = RecordingLock(predecessor=OLD)
    parts = parts_of(World(fleet_of(1), VirtualClock()), lock)

    class Full(Nowhere):
        def append(self, _run: str, _fence: int, _entries: object) -> None:
            raise JournalFault("disk full", hint="make room")

    watch = rolling.Watch(journal=Full(), say=lambda _: None)  # type: ignore[arg-type]  # keeps nothing
    with pytest.raises(JournalFault), holding.locked(parts, take_over=True, say=lambda _: None) as hold:
        rolling.roll(parts, hold, plan_of(parts), watch, GOAL)
    assert (lock.done[-1], store) == ("hand back to old", [])


def test_who_took_over_and_began_stays_until_its_end(store: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """It has put the old run away, so it owes what that one left, though it has changed nobody itself yet."""

    def fail(_parts: object) -> object:
        raise EnvironmentFault("no store", hint="mend it")

    monkeypatch.setattr("orchestrator.cli.loading.deliver", fail)
    lock, said = RecordingLock(predecessor=OLD), list[str]()
    with pytest.raises(EnvironmentFault, match="no store"):
        roll(World(fleet_of(2), VirtualClock()), lock, said)
    assert (lock.done[-1], store) == ("resolved", ["forget older", "forget old"])
    assert "the run new broke off, and its lock stays" in said[-1]


def test_a_run_that_changes_nobody_is_still_a_run(store: list[str]) -> None:
    """Over a dead owner it begins, puts that one away, ends, and lets the cluster go."""
    lock = RecordingLock(predecessor=OLD)
    roll(World(fleet_of(2, generation=GENERATION), VirtualClock()), lock)
    assert [each for each in lock.done if each != "keep"][1:] == ["begin", "resolved", "release", "sweep"]
    assert store == ["forget older", "forget old"]


@pytest.mark.parametrize("dies", ["while it forgets", "while it says so"])
def test_who_dies_while_it_tidies_up_leaves_that_to_the_next(
    store: list[str], monkeypatch: pytest.MonkeyPatch, dies: str
) -> None:
    """What predecessors had delivered is removed before the lock says that nothing of them is left."""

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    lock = RecordingLock(predecessor=OLD)
    if dies == "while it forgets":
        monkeypatch.setattr("orchestrator.cli.loading.forget", die)
    else:
        monkeypatch.setattr(lock, "resolved", die)
    with pytest.raises(KeyboardInterrupt):
        roll(World(fleet_of(1), VirtualClock()), lock)
    assert "resolved" not in lock.done
    assert store == ([] if dies == "while it forgets" else ["forget older", "forget old"])


def test_the_heartbeat_goes_on_while_a_person_thinks() -> None:
    """Also where one of its writes fails; one who has lost the cluster is not kept from hearing it later."""
    beats = threading.Semaphore(0)
    troubles: list[RolloutError] = [EnvironmentFault("throttled", hint="wait")]

    def beat() -> None:
        beats.release()
        if troubles:
            raise troubles.pop()

    with holding.kept(OpenLock(heartbeat=beat), every=0.001):
        assert all(beats.acquire(timeout=10) for _ in range(5))
        troubles.append(LockedError("taken", hint="leave it"))
    assert not any(thread.name == "heartbeat" for thread in threading.enumerate())


def test_a_predecessor_that_never_ends_gets_its_lock_back(store: list[str]) -> None:
    """When its commands never end the lock is its own again, nothing was begun, and the error names the run."""
    world, lock = World(fleet_of(1), VirtualClock()), RecordingLock(predecessor=OLD)
    world.busy = lambda run, since: run == "older"  # type: ignore[method-assign]  # a world with a past  # noqa: ARG005
    with pytest.raises(EnvironmentFault, match="run older are still under way"):
        roll(world, lock)
    assert lock.done[-1] == "hand back to old"
    assert "release" not in lock.done
    assert world.commands == {}
    assert store == []


def test_a_resume_that_fails_early_keeps_the_lock(store: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What the dead run had begun is still under way: the lock stays until somebody has seen its end."""

    def fail(_parts: object) -> bytes:
        raise EnvironmentFault("throttled", hint="wait")

    monkeypatch.setattr("orchestrator.cli.loading.ensure_key", fail)
    lock = RecordingLock(predecessor=replace(OLD, run="new", unresolved=()))
    parts = parts_of(World(fleet_of(1), VirtualClock()), lock)
    with (
        pytest.raises(EnvironmentFault, match="throttled"),
        holding.locked(parts, take_over=True, resumes=True, say=lambda _: None),
    ):
        pass
    assert lock.done[-1] == "hand back to new"
    assert not {"release", "sweep"} & set(lock.done)
    assert store == []


def test_a_resumed_run_is_closed_to_its_old_owner_before_it_is_read(store: list[str], tmp_path: Path) -> None:
    """What the old owner wrote behind our look at the journal would be durable, and known to nobody."""
    del store
    begun = Entry(1.0, structs.replace(RUN, fence=6))
    late: list[str] = []

    class Watched(SqliteJournal):
        def entries(self, run: str) -> list[Entry]:
            with pytest.raises(LockedError, match="took the run new over"):
                self.append(run, 6, [Entry(2.0, WaveOpened(wave=1))])
            late.append("refused")
            return super().entries(run)

    lock = RecordingLock(predecessor=replace(OLD, run="new", unresolved=()))
    with closing(Watched(tmp_path / "journal.db")) as journal:
        journal.append("new", 6, [begun])
        parts = parts_of(World(fleet_of(1), VirtualClock()), lock)
        parts.loaded = None
        watch = rolling.Watch(journal=journal, say=lambda _: None)
        assert rolling.resume(parts, watch, take_over=True).ended is not None
        assert set(late) == {"refused"}
        assert WaveOpened(wave=1) not in [entry.event for entry in SqliteJournal.entries(journal, "new")]


@pytest.mark.parametrize("stood_for", [False, True])
def test_what_a_controller_left_behind_its_end_is_put_away(store: list[str], stood_for: bool) -> None:  # noqa: FBT001 - a case
    """It died after the run's end: whoever resumes removes the copy, does what follows, and lets the cluster go.

    So it is where another one had taken it over since, and died before it began.
    """
    own = replace(OLD, run="new", unresolved=())
    lock = RecordingLock(predecessor=replace(OLD, before=own) if stood_for else own)
    ended = RunState()
    ended.started, ended.payload = RUN, PAYLOAD
    followed: list[RunState] = []
    watch = rolling.Watch(journal=Nowhere(), say=lambda _: None, afterwards=followed.append)  # type: ignore[arg-type]  # keeps nothing
    assert rolling.finish(parts_of(World(fleet_of(1), VirtualClock()), lock), watch, ended, take_over=True)
    assert store == ["take away"]
    assert followed == [ended]
    assert "begin" in lock.done
    assert lock.done[-2:] == ["release", "sweep"]


@pytest.mark.parametrize("owner", [None, OLD])
def test_nothing_is_put_away_where_the_cluster_is_not_the_runs(store: list[str], owner: Owner | None) -> None:
    """A lock that was let go of, or is another run's, says that nothing is left to do: it is not touched."""
    lock = RecordingLock(predecessor=owner)
    watch = rolling.Watch(journal=Nowhere(), say=lambda _: None)  # type: ignore[arg-type]  # keeps nothing
    assert not rolling.finish(parts_of(World(fleet_of(1), VirtualClock()), lock), watch, RunState(), take_over=True)
    assert (lock.done, store) == ([], [])


def test_an_instance_that_is_gone_does_not_keep_the_others_from_being_taken_back() -> None:
    """--instance of one that is not there is an error where a credential is applied, and a warning for a restore."""
    parts = parts_of(World(fleet_of(1, run="old", generation=GENERATION), VirtualClock()), RecordingLock())
    (there,) = parts.fleet.hosts
    parts.request.selection = Selection(wanted=Filter(instances=(there, "i-gone")))
    parts.request.cluster, parts.request.credential, parts.request.region, parts.request.profile = "c", "", None, None
    with pytest.raises(UsageError, match="Not in the cluster: i-gone"):
        plan_of(parts)
    said: list[str] = []
    planned = planning.plan(parts, TakeBack(run="old"), fence=7, say=said.append)
    assert [(each.key, each.decision.reason.value) for each in planned.planned] == [(there, "needs_restore")]
    assert "warning: --instance i-gone fits no instance of the cluster" in said
