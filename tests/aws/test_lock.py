"""The cluster's lock, against Parameter Store."""

import threading
from collections.abc import Iterator

import boto3
import pytest
from moto import mock_aws
from mypy_boto3_ssm import SSMClient

from orchestrator.aws.lock import ClusterLock
from orchestrator.aws.owner import HEARTBEAT_SECONDS
from orchestrator.errors import EnvironmentFault, LockedError, RefusedError
from tests.fake_fleet import VirtualClock

PATH = "/ecs-rollout/web"


@pytest.fixture
def ssm(monkeypatch: pytest.MonkeyPatch) -> Iterator[SSMClient]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with mock_aws():
        yield boto3.client("ssm", region_name="us-east-1")


def lock(ssm: SSMClient, run: str, clock: VirtualClock | None = None, reach: float = 0.0) -> ClusterLock:
    return ClusterLock(client=ssm, clock=clock or VirtualClock(), path=PATH, holder=f"me ({run})", run=run, reach=reach)


def begun(held: ClusterLock) -> ClusterLock:
    """Win the cluster and begin."""
    held.acquire()
    held.begin()
    return held


def numbers(ssm: SSMClient) -> set[str]:
    found = ssm.get_parameters_by_path(Path=f"{PATH}/lock")["Parameters"]
    return {each["Name"].rsplit("/", 1)[-1] for each in found}


def test_a_run_whose_cluster_was_taken_over_is_not_resumed(ssm: SSMClient) -> None:
    """Who tries hears which run came since, and what shows whether anything was left drained or half-way."""
    lock(ssm, "run-1").acquire()
    second = lock(ssm, "run-2")
    second.acquire(take_over=True)
    second.release()
    with pytest.raises(RefusedError, match="run-2 has been at this cluster since; run-1 cannot be resumed") as caught:
        lock(ssm, "run-1").acquire(resumes=True, take_over=True)
    assert caught.value.hint.startswith("`ecs-rollout heal --cluster web --dry-run` shows what it has left.")


def test_fences_only_grow_and_the_largest_stays(ssm: SSMClient) -> None:
    """Each owner's number is larger than every one before it, also over more of them than one page holds."""
    for expected in range(1, 14):
        held = lock(ssm, f"run-{expected}")
        assert held.acquire() is None
        assert held.fence == expected
        held.release()
        held.sweep()
        assert numbers(ssm) == {str(expected)}


def test_the_second_one_is_told_who_holds_it(ssm: SSMClient) -> None:
    """While one run holds the cluster another one is refused, with holder, run and since when."""
    begun(lock(ssm, "run-1"))
    with pytest.raises(LockedError, match=r"me \(run-1\) holds this cluster since 1970-01-12 .*run-1") as caught:
        lock(ssm, "run-2").acquire()
    assert "last heartbeat 0 s ago" in caught.value.message
    assert "or stop it by `ecs-rollout abort run-1`" in caught.value.hint
    assert "dead for certain: `ecs-rollout resume run-1 --take-over`" in caught.value.hint
    assert caught.value.exit_code == 5


@pytest.mark.parametrize(("silent", "ago"), [(130, "130 s ago"), (660, "11 min ago")])
def test_a_dead_one_is_told_from_one_that_lives(ssm: SSMClient, silent: int, ago: str) -> None:
    """After four heartbeats' silence the refusal says so, what goes on with it, and how long a take-over waits."""
    begun(lock(ssm, "run-1", reach=120))
    with pytest.raises(LockedError) as caught:
        lock(ssm, "run-2", VirtualClock(start=VirtualClock().now() + silent)).acquire()
    assert ago in caught.value.message
    assert caught.value.hint.startswith("It seems to be dead: `ecs-rollout resume run-1` goes on with it.")
    assert "or where no journal knows that one, say --take-over" in caught.value.hint
    assert ("or can still begin, 20 s at least" in caught.value.hint) == (silent == 130)


@pytest.mark.parametrize(
    ("silent", "what"),
    [
        (5, "has not begun: it looks at the instances, or waits for the answer to its question at me (run-1)."),
        (600, "seems to be dead, and had not begun: there is nothing to resume. A new run can say --take-over"),
    ],
)
@pytest.mark.parametrize("stands_for_it", [False, True])
def test_one_that_has_not_begun_is_told_and_no_command_named_that_knows_no_such_run(
    ssm: SSMClient, silent: int, what: str, *, stands_for_it: bool
) -> None:
    """No journal knows it, so neither `abort` nor `resume` does; whoever took it over has nothing to resume, either."""
    clock = VirtualClock()
    lock(ssm, "run-1", clock).acquire()
    if stands_for_it:
        lock(ssm, "run-1b", clock).acquire(take_over=True)
        what = "wait until its run begins, or it leaves." if silent < 100 else what
    clock.wait(silent)
    with pytest.raises(LockedError) as caught:
        lock(ssm, "run-2", clock).acquire()
    assert what in caught.value.hint
    assert "new run can say --take-over: it first waits" in caught.value.hint
    assert "ecs-rollout" not in caught.value.hint


def test_an_older_version_does_not_say_whether_it_has_begun(ssm: SSMClient) -> None:
    """Its lock is read, and its run may have begun, so what would go on with it is named."""
    old = '{"holder": "anna", "run": "run-0", "since": 1.0, "heartbeat": 2.0}'
    ssm.put_parameter(Name=f"{PATH}/lock/9", Value=old, Type="String")
    with pytest.raises(LockedError) as caught:
        lock(ssm, "run-1").acquire()
    assert "`ecs-rollout resume run-0` goes on with it" in caught.value.hint


def test_a_stale_heartbeat_alone_frees_nothing(ssm: SSMClient) -> None:
    """However old the heartbeat is, only an explicit take-over wins the cluster."""
    lock(ssm, "run-1").acquire()
    with pytest.raises(LockedError):
        lock(ssm, "run-2", VirtualClock(start=9e9)).acquire()


def test_who_was_taken_over_stops_before_its_next_effect(ssm: SSMClient) -> None:
    """After a take-over the old owner's next confirmation and its next heartbeat both fail, naming the new one."""
    clock = VirtualClock()
    old = lock(ssm, "run-1", clock)
    old.acquire()
    new = lock(ssm, "run-2")
    predecessor = new.acquire(take_over=True)
    assert predecessor is not None
    assert predecessor.run == "run-1"
    assert new.fence == 2
    with pytest.raises(LockedError, match="run-2"):
        old.confirm()
    clock.wait(HEARTBEAT_SECONDS)
    with pytest.raises(LockedError, match="run-2"):
        old.keep()
    new.confirm()


def test_who_was_taken_over_long_ago_still_knows(ssm: SSMClient) -> None:
    """An owner that slept through two later runs, whose numbers were swept meanwhile, does not think it owns."""
    old = lock(ssm, "run-1")
    old.acquire()
    second = lock(ssm, "run-2")
    second.acquire(take_over=True)
    second.release()
    third = lock(ssm, "run-3")
    third.acquire()
    third.release()
    third.sweep()
    assert numbers(ssm) == {"3"}
    with pytest.raises(LockedError, match="run-3"):
        old.confirm()


def test_a_lock_that_somebody_deleted_is_lost(ssm: SSMClient) -> None:
    """When the lock's parameters are gone nothing protects the run any more: it stops."""
    held = lock(ssm, "run-1")
    held.acquire()
    ssm.delete_parameter(Name=f"{PATH}/lock/1")
    with pytest.raises(LockedError, match="deleted"):
        held.confirm()


def test_a_chain_of_dead_owners_is_resolved_whole(ssm: SSMClient) -> None:
    """Who takes over one that had taken over inherits both, until they are resolved."""
    lock(ssm, "run-1").acquire()
    second = lock(ssm, "run-2")
    second.acquire(take_over=True)
    second.begin()
    third = lock(ssm, "run-3")
    predecessor = third.acquire(take_over=True)
    assert predecessor is not None
    assert [each.run for each in predecessor.to_resolve] == ["run-1", "run-2"]
    third.begin()
    third.resolved()
    fourth = lock(ssm, "run-4").acquire(take_over=True)
    assert fourth is not None
    assert [each.run for each in fourth.to_resolve] == ["run-3"]


def test_the_lock_tells_how_late_a_command_of_its_owner_may_begin(ssm: SSMClient) -> None:
    """By its last heartbeat and its own times, also of one that was taken over twice; an older version's says now."""
    clock = VirtualClock(start=1000.0)
    first = lock(ssm, "run-1", clock, reach=180.0)
    first.acquire()
    clock.wait(HEARTBEAT_SECONDS)
    first.keep()
    clock.wait(1000)
    second = lock(ssm, "run-2", clock, reach=60.0)
    second.acquire(take_over=True)
    second.begin()
    clock.wait(5)
    owner = lock(ssm, "run-3", clock).acquire(take_over=True)
    assert owner is not None
    assert [each.until(clock.now()) for each in owner.to_resolve] == [1030 + 30 + 180, clock.now() + 60]
    old = (
        '{"holder": "anna", "run": "run-0", "since": 1.0, "heartbeat": 2.0, "unresolved": [{"run": "r", "since": 1.0}]}'
    )
    ssm.put_parameter(Name=f"{PATH}/lock/9", Value=old, Type="String")
    owner = lock(ssm, "run-4", clock).acquire(take_over=True)
    assert owner is not None
    assert max(each.until(clock.now()) for each in owner.to_resolve) < clock.now()


def test_the_lock_tells_where_its_run_delivers(ssm: SSMClient) -> None:
    """Also of one that was taken over twice, and of one that was resumed by a controller that delivers nothing."""
    first = ClusterLock(client=ssm, clock=VirtualClock(), path=PATH, holder="me", run="run-1", delivery="s3:payloads")
    first.acquire()
    again = lock(ssm, "run-1")
    again.acquire(resumes=True, take_over=True)
    again.begin()
    second = lock(ssm, "run-2")
    second.acquire(take_over=True)
    second.begin()
    owner = lock(ssm, "run-3").acquire(take_over=True)
    assert owner is not None
    assert [(each.run, each.delivery) for each in owner.to_resolve] == [("run-1", "s3:payloads"), ("run-2", "")]


def test_a_win_whose_answer_was_lost_is_ours(ssm: SSMClient) -> None:
    """A creation that AWS carried out but whose answer was lost, and that was tried again, still wins."""
    held, original = lock(ssm, "run-1"), ssm.put_parameter

    def twice(**arguments: object) -> object:
        original(**arguments)  # type: ignore[arg-type]  # passes through
        return original(**arguments)  # type: ignore[arg-type]  # passes through

    ssm.put_parameter = twice  # type: ignore[method-assign, assignment]  # a wire that loses an answer
    assert held.acquire() is None
    assert held.fence == 1


def test_the_heartbeat_is_written_when_it_is_due(ssm: SSMClient) -> None:
    """The owner's parameter shows a heartbeat that is at most as old as its interval."""
    clock = VirtualClock()
    held = lock(ssm, "run-1", clock)
    held.acquire()
    first = ssm.get_parameter(Name=f"{PATH}/lock/1")["Parameter"]["Value"]
    clock.wait(HEARTBEAT_SECONDS / 2)
    held.keep()
    assert ssm.get_parameter(Name=f"{PATH}/lock/1")["Parameter"]["Value"] == first
    clock.wait(HEARTBEAT_SECONDS / 2)
    held.keep()
    assert ssm.get_parameter(Name=f"{PATH}/lock/1")["Parameter"]["Value"] != first


def test_of_many_at_the_same_moment_one_wins(ssm: SSMClient) -> None:
    """Ten owners that start together: one wins, nine are told that it is held."""
    answers: list[str] = []
    gate = threading.Barrier(10)

    def contend(number: int) -> None:
        mine = lock(ssm, f"run-{number}")
        gate.wait()
        try:
            mine.acquire()
            answers.append("won")
        except (LockedError, EnvironmentFault):
            answers.append("lost")

    threads = [threading.Thread(target=contend, args=(number,)) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == ["lost"] * 9 + ["won"]


def test_a_lock_that_is_no_lock_is_not_guessed_at(ssm: SSMClient) -> None:
    """A parameter that holds something else is an error that names it."""
    ssm.put_parameter(Name=f"{PATH}/lock/1", Value="hello", Type="String")
    with pytest.raises(EnvironmentFault, match="not a lock"):
        lock(ssm, "run-1").acquire()


def test_a_cluster_that_cannot_be_resolved_is_given_back(ssm: SSMClient) -> None:
    """Who took over and could not see the old owner's commands end leaves the old owner to the next one."""
    lock(ssm, "run-1").acquire()
    new = lock(ssm, "run-2")
    old = new.acquire(take_over=True)
    assert old is not None
    new.hand_back(old)
    with pytest.raises(LockedError, match="run-1"):
        lock(ssm, "run-3").acquire()
    found = lock(ssm, "run-3").acquire(take_over=True)
    assert found is not None
    assert found.run == "run-1"


def dead_and_taken_over(ssm: SSMClient) -> ClusterLock:
    """run-1 is dead; run-2 takes it over and has not begun."""
    lock(ssm, "run-0").acquire()
    dead = lock(ssm, "run-1", reach=180)
    dead.acquire(take_over=True)
    dead.begin()
    mine = lock(ssm, "run-2")
    mine.acquire(take_over=True)
    return mine


LATER = VirtualClock().now() + 500


def test_who_dies_before_it_begins_leaves_the_old_run_as_it_was(ssm: SSMClient) -> None:
    """The old run can be resumed, though another one had won the cluster over it; its commands count from its start."""
    dead_and_taken_over(ssm)
    clock = VirtualClock(start=LATER)
    with pytest.raises(LockedError, match="run run-2, which took over"):
        lock(ssm, "run-1").acquire(resumes=True)
    again = lock(ssm, "run-1", clock)
    found = again.acquire(resumes=True)
    assert found is not None
    assert (found.run, [each.run for each in found.to_resolve], again.fence) == ("run-1", ["run-0", "run-1"], 4)
    again.begin()
    third = lock(ssm, "run-3", clock).acquire(take_over=True)
    assert third is not None
    assert [(each.run, each.since < LATER) for each in third.to_resolve] == [("run-0", True), ("run-1", True)]


def test_who_dies_before_it_begins_counts_for_nothing(ssm: SSMClient) -> None:
    """A third run takes the old one over, not the one that had only stood for it, and says so to whoever is refused."""
    dead_and_taken_over(ssm)
    with pytest.raises(LockedError, match=r"me \(run-2\) holds") as held:
        lock(ssm, "run-3").acquire()
    assert "wait until its run begins, or it leaves. If it is dead for certain: `ecs-rollout resume run-1" in (
        held.value.hint
    )
    with pytest.raises(LockedError, match=r"me \(run-2\) holds") as dead:
        lock(ssm, "run-3", VirtualClock(start=LATER)).acquire()
    assert "seems to be dead: `ecs-rollout resume run-1` goes on with the run that it took over." in dead.value.hint
    found = lock(ssm, "run-3").acquire(take_over=True)
    assert found is not None
    assert [each.run for each in found.to_resolve] == ["run-0", "run-1"]


def test_whose_run_has_begun_is_the_one_that_counts(ssm: SSMClient) -> None:
    """From then on the old run cannot be resumed, and whoever comes next has both to resolve."""
    mine = dead_and_taken_over(ssm)
    mine.begin()
    with pytest.raises(LockedError, match="run run-2"):
        lock(ssm, "run-1", VirtualClock(start=LATER)).acquire(resumes=True, take_over=True)
    found = lock(ssm, "run-3").acquire(take_over=True)
    assert found is not None
    assert [each.run for each in found.to_resolve] == ["run-0", "run-1", "run-2"]


def test_a_run_that_its_journal_knows_is_resumed_though_it_only_stood_for_another(ssm: SSMClient) -> None:
    """One that died between its journal's first word and the lock's goes on, with the old ones to resolve."""
    dead_and_taken_over(ssm)
    again = lock(ssm, "run-2")
    found = again.acquire(resumes=True, take_over=True)
    assert found is not None
    assert [each.run for each in found.to_resolve] == ["run-0", "run-1"]
    again.begin()
    third = lock(ssm, "run-3").acquire(take_over=True)
    assert third is not None
    assert [each.run for each in third.to_resolve] == ["run-0", "run-1", "run-2"]


def test_who_was_taken_over_before_it_began_begins_nothing(ssm: SSMClient) -> None:
    """It hears of it at the latest when it writes down that it begins."""
    mine = dead_and_taken_over(ssm)
    lock(ssm, "run-3").acquire(take_over=True)
    with pytest.raises(LockedError, match="run-3"):
        mine.begin()


@pytest.mark.parametrize("resumes", [True, False])
def test_who_wins_while_the_old_one_begins_looks_again(ssm: SSMClient, resumes: bool) -> None:  # noqa: FBT001 - a case
    """Read before it began and won after: the number goes to it, and is not won on what was read."""
    mine, late = dead_and_taken_over(ssm), lock(ssm, "run-1" if resumes else "run-3")
    put = ssm.put_parameter

    def slow(**arguments: object) -> object:
        if arguments["Name"] == f"{PATH}/lock/4":
            ssm.put_parameter = put  # type: ignore[method-assign]  # once
            mine.begin()
        return put(**arguments)  # type: ignore[arg-type]  # passes through

    ssm.put_parameter = slow  # type: ignore[method-assign, assignment]  # somebody who falls asleep right there
    if resumes:
        with pytest.raises(LockedError, match="run run-2"):
            late.acquire(resumes=True, take_over=True)
        return
    found = late.acquire(take_over=True)
    assert found is not None
    assert (found.run, late.fence) == ("run-2", 5)


def test_a_living_owner_that_was_given_its_cluster_back_stays_stopped(ssm: SSMClient) -> None:
    """Its number is old: it is told that somebody was there, and how its run goes on."""
    old = begun(lock(ssm, "run-1"))
    new = lock(ssm, "run-2")
    before = new.acquire(take_over=True)
    assert before is not None
    new.hand_back(before)
    with pytest.raises(LockedError, match="took this cluster over and gave it back") as told:
        old.confirm()
    assert "ecs-rollout resume run-1" in told.value.hint
    again = lock(ssm, "run-1")
    assert again.acquire(resumes=True, take_over=True) is not None
    assert again.fence == 3
