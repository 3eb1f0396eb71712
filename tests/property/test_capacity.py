"""Laws of the capacity check: it never promises more room than there is, and never without a word."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.capacity import Capacity, Load, Room, ServiceLoad, admissible, obstacle

SERVICES = ("api", "web", "logs", "gone")
NAMES = tuple("abcdef")


def services(desired: int = 9, running: int = 9) -> dict[str, ServiceLoad]:
    """Three services that may move tasks as they like; `logs` is a daemon, and `gone` is none of them."""
    free = ServiceLoad(desired=desired, running=running, minimum_percent=50, maximum_percent=200)
    daemon = ServiceLoad(desired=6, running=6, minimum_percent=0, maximum_percent=100, daemon=True)
    return {"api": free, "web": free, "logs": daemon}


sizes = st.integers(0, 4)
rooms = st.dictionaries(st.sampled_from(NAMES), st.builds(Room, cpu=sizes, memory=sizes), max_size=6)
loads = st.builds(Load, service=st.sampled_from((*SERVICES, "")), cpu=st.integers(0, 3), memory=st.integers(0, 3))
on_instances = st.dictionaries(st.sampled_from(NAMES), st.lists(loads, max_size=3), max_size=6)
capacities = st.builds(Capacity, rooms=rooms, loads=on_instances, services=st.just(services()))
orders = st.permutations(NAMES).flatmap(lambda some: st.integers(0, 6).map(lambda count: some[:count]))
away = st.frozensets(st.sampled_from(NAMES), max_size=2)


def can_be_packed(tasks: Sequence[Load], space: Sequence[Room]) -> bool:
    """Try every way of placing these."""
    if not tasks:
        return True
    first, rest = tasks[0], tasks[1:]
    return any(
        first.cpu <= room.cpu
        and first.memory <= room.memory
        and can_be_packed(
            rest,
            [*space[:at], Room(cpu=room.cpu - first.cpu, memory=room.memory - first.memory), *space[at + 1 :]],
        )
        for at, room in enumerate(space)
    )


def moving(capacity: Capacity, arns: Sequence[str]) -> list[Load]:
    found = [load for arn in arns for load in capacity.loads.get(arn, ()) if load.service in {"api", "web"}]
    return sorted(found, key=lambda each: each.memory, reverse=True)


@given(capacities, orders, away)
def test_no_more_is_promised_than_there_is(capacity: Capacity, arns: Sequence[str], gone: frozenset[str]) -> None:
    """Whatever is admitted together fits together, with what is on its way already, outside what is away."""
    admitted, _ = admissible(capacity, arns, unavailable=gone)
    tasks = moving(capacity, admitted)
    if tasks:
        tasks = moving(capacity, [*admitted, *(gone - set(arns))])
    space = [room for arn, room in capacity.rooms.items() if arn not in gone and arn not in admitted]
    assert can_be_packed(tasks, space)


@given(capacities, orders, away)
def test_everybody_is_admitted_or_told_why(capacity: Capacity, arns: Sequence[str], gone: frozenset[str]) -> None:
    """Each one is admitted, in the order given, or has an obstacle that names a service and says what is short."""
    admitted, obstacles = admissible(capacity, arns, unavailable=gone)
    assert list(admitted) == [arn for arn in arns if arn not in obstacles]
    assert set(admitted) | set(obstacles) == set(arns)
    for reason in obstacles.values():
        assert "of service api" in reason or "of service web" in reason
        assert "MiB" in reason


@given(capacities, st.sampled_from(NAMES), away)
def test_one_alone_is_the_first_of_many(capacity: Capacity, arn: str, gone: frozenset[str]) -> None:
    """The question about one instance has the answer that the first of several gets."""
    admitted, obstacles = admissible(capacity, (arn, *(name for name in NAMES if name != arn)), unavailable=gone)
    if not moving(capacity, sorted(gone)):
        assert (obstacle(capacity, arn, unavailable=gone) == "") is (arn in admitted)
        assert obstacle(capacity, arn, unavailable=gone) == obstacles.get(arn, "")


@given(capacities, orders, away)
def test_what_moves_nothing_needs_nothing(capacity: Capacity, arns: Sequence[str], gone: frozenset[str]) -> None:
    """An instance with daemons and standalone tasks alone is never held back, unless others' tasks were to go there."""
    idle = [arn for arn in arns if not moving(capacity, [arn])]
    assert admissible(capacity, idle, unavailable=gone | set(idle))[0] == tuple(idle)


@given(capacities, orders)
def test_with_one_large_instance_beside_it_anything_moves(capacity: Capacity, arns: Sequence[str]) -> None:
    """Where one more instance has room for everything, nothing stands in the way."""
    large = Capacity(
        rooms={**capacity.rooms, "large": Room(cpu=10_000, memory=10_000)},
        loads=capacity.loads,
        services=capacity.services,
    )
    assert admissible(large, arns, unavailable=frozenset()) == (tuple(arns), {})


@pytest.mark.parametrize(
    ("desired", "running", "minimum", "maximum", "words"),
    [
        (4, 4, 100, 200, ""),
        (4, 4, 50, 100, ""),
        (4, 4, 100, 100, "at least 4 must run (minimum healthy percent 100) and no more than 4 may"),
        # Half of one task, rounded up, is one; one and a half, rounded down, is one.
        (
            1,
            1,
            50,
            100,
            "at least 1 must run (minimum healthy percent 50) and no more than 1 may (maximum percent 100)",
        ),
        (1, 1, 100, 150, "no more than 1 may (maximum percent 150)"),
        (2, 2, 100, 150, ""),
        (1, 1, 0, 100, ""),
        (3, 3, 67, 100, "at least 3 must run"),
        (3, 3, 66, 100, ""),
        (4, 3, 100, 200, "runs 3 of 4 tasks, fewer than the 4 that must run (minimum healthy percent 100)"),
        (4, 3, 75, 200, ""),
        (0, 1, 100, 200, ""),
    ],
)
def test_a_services_own_bounds(desired: int, running: int, minimum: int, maximum: int, words: str) -> None:
    """Percentages round as ECS rounds them: the minimum up, the maximum down; what holds back is named."""
    service = ServiceLoad(desired=desired, running=running, minimum_percent=minimum, maximum_percent=maximum)
    capacity = Capacity(
        rooms={"b": Room(cpu=9, memory=9)},
        loads={"a": [Load(service="web", cpu=1, memory=1)]},
        services={"web": service},
    )
    reason = obstacle(capacity, "a", unavailable=frozenset())
    assert words in reason
    assert bool(words) is reason.startswith("service web ")


def test_two_drains_are_not_promised_the_same_room() -> None:
    """The room for one task is promised once, in the order of asking; also against a drain that is under way."""
    task = Load(service="web", cpu=0, memory=3)
    capacity = Capacity(
        rooms={name: Room(cpu=0, memory=size) for name, size in (("a", 0), ("b", 0), ("c", 4))},
        loads={"a": [task], "b": [task]},
        services=services(),
    )
    admitted, obstacles = admissible(capacity, ("b", "a"), unavailable=frozenset())
    assert admitted == ("b",)
    assert obstacles["a"] == (
        "a task of service web (0 CPU units, 3 MiB) has nowhere to go: no other instance would have room for it; "
        "the most that one would have left is 0 CPU units and 1 MiB"
    )
    assert obstacle(capacity, "a", unavailable=frozenset({"b"})) != ""
    assert obstacle(capacity, "a", unavailable=frozenset()) == ""


def test_without_another_instance_there_is_no_place() -> None:
    """The last instance of a cluster is not drained."""
    capacity = Capacity(
        rooms={"a": Room(cpu=9, memory=9)}, loads={"a": [Load(service="web", cpu=1, memory=1)]}, services=services()
    )
    assert "there is no other ACTIVE, connected instance" in obstacle(capacity, "a", unavailable=frozenset())
