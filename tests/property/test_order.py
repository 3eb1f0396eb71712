"""Laws of the order of admission, over random fleets, seeds and limits."""

from collections import Counter
from dataclasses import replace
from itertools import groupby
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.amount import Amount
from orchestrator.core.deciding import Look
from orchestrator.core.model import DecisionKind, Instance, Ping, Plan, Planned, Platform, RestartMethod, Status
from orchestrator.core.planning import Shape, make_plan
from orchestrator.core.reasons import Reason
from orchestrator.core.settings import ZoneOrder
from tests.unit.test_planning import GOAL, GOOD

instances = st.builds(
    Instance,
    instance_id=st.integers(0, 10**6).map(lambda number: f"i-{number:017x}"),
    arn=st.uuids().map(lambda each: f"arn:aws:ecs:us-east-1:1:container-instance/c/{each.hex}"),
    zone=st.sampled_from("abc"),
    status=st.sampled_from([Status.ACTIVE] * 5 + [Status.DRAINING]),
    platform=st.just(Platform.LINUX),
    ping=st.sampled_from([Ping.ONLINE] * 5 + [Ping.CONNECTION_LOST]),
    agent_connected=st.booleans(),
    agent_version=st.sampled_from(["1.105.1", "1.94.0"]),
    running_tasks=st.integers(0, 3),
    pending_tasks=st.just(0),
    ami=st.sampled_from(["ami-1", "ami-2"]),
)
looks: st.SearchStrategy[Look] = st.one_of(
    st.just(GOOD),
    st.sampled_from(RestartMethod).map(lambda method: replace(GOOD, method=method)),
    st.just(replace(GOOD, generation="g1")),
)
seen_fleets = st.lists(st.tuples(instances, looks), max_size=40, unique_by=lambda pair: pair[0].instance_id)
amounts = st.one_of(
    st.integers(1, 40).map(lambda value: Amount(value, percent=False)),
    st.integers(1, 100).map(lambda value: Amount(value, percent=True)),
)
waves = st.lists(amounts, min_size=1, max_size=4).map(tuple)
shapes = st.builds(
    Shape, waves=waves, zones=st.sampled_from(ZoneOrder), seed=st.text(max_size=4), limit=st.none() | amounts
)
Fleet = list[tuple[Instance, Look]]


def planned(fleet: Fleet, shape: Shape) -> Plan:
    return make_plan("c", [each for each, _ in fleet], {each.instance_id: look for each, look in fleet}, GOAL, shape)


def to_change(plan: Plan) -> list[Planned]:
    return [each for each in plan.planned if each.decision.kind is DecisionKind.APPLY]


def kind(each: Planned) -> tuple[str, str, str]:
    assert each.facts is not None
    return each.instance.ami, each.instance.agent_version, each.facts.method


@given(seen_fleets, shapes)
def test_a_plan_is_a_partition(fleet: Fleet, shape: Shape) -> None:
    """Every instance stands in the plan once; exactly those to change have a wave, and the waves grow."""
    plan = planned(fleet, shape)
    assert Counter(each.key for each in plan.planned) == Counter(each.instance_id for each, _ in fleet)
    numbers = [each.wave for each in plan.planned if each.wave]
    assert numbers == sorted(numbers)
    assert len(numbers) == len(to_change(plan))


@given(seen_fleets, shapes, st.randoms(use_true_random=False))
def test_the_same_seed_gives_the_same_order(fleet: Fleet, shape: Shape, random: Random) -> None:
    """However AWS lists the fleet, the same seed gives the same plan."""
    mixed = list(fleet)
    random.shuffle(mixed)
    assert planned(mixed, shape) == planned(fleet, shape)


@given(seen_fleets, shapes)
def test_the_canary_is_of_the_most_common_kind(fleet: Fleet, shape: Shape) -> None:
    """No kind of host (AMI, agent version, restart method) is more common among those to change than the canary's,
    and no other one of its kind has fewer tasks."""
    changing = to_change(planned(fleet, replace(shape, limit=None)))
    if changing:
        kinds = Counter(map(kind, changing))
        assert kinds[kind(changing[0])] == max(kinds.values())
        alike = [each.instance.running_tasks for each in changing if kind(each) == kind(changing[0])]
        assert changing[0].instance.running_tasks == min(alike)
        assert to_change(planned(fleet, shape))[0] == changing[0]


@given(seen_fleets, waves, st.text(max_size=4))
def test_one_by_one_never_goes_back_to_a_zone(fleet: Fleet, sizes: tuple[Amount, ...], seed: str) -> None:
    """Beside the canary, a zone is finished before the next one is begun."""
    plan = planned(fleet, Shape(waves=sizes, zones=ZoneOrder.ONE_BY_ONE, seed=seed))
    zones = [zone for zone, _ in groupby(each.instance.zone for each in to_change(plan)[1:])]
    assert len(zones) == len(set(zones))


@given(seen_fleets, waves, st.text(max_size=4))
def test_spread_takes_the_zones_in_turn(fleet: Fleet, sizes: tuple[Amount, ...], seed: str) -> None:
    """Beside the canary, at every moment no zone is ahead of another that still has instances by more than one."""
    rest = to_change(planned(fleet, Shape(waves=sizes, seed=seed)))[1:]
    left = Counter(each.instance.zone for each in rest)
    begun: Counter[str] = Counter()
    for each in rest:
        begun[each.instance.zone] += 1
        left[each.instance.zone] -= 1
        behind = [begun[zone] for zone, count in left.items() if count]
        assert max(begun.values()) - min(behind, default=max(begun.values())) <= 1


@given(seen_fleets, shapes)
def test_idle_ones_come_before_busy_ones(fleet: Fleet, shape: Shape) -> None:
    """Beside the canary, within a zone nobody is admitted before one that has fewer tasks."""
    rest = to_change(planned(fleet, shape))[1:]
    for zone in "abc":
        tasks = [each.instance.running_tasks for each in rest if each.instance.zone == zone]
        assert tasks == sorted(tasks)


@given(seen_fleets, shapes, amounts)
def test_a_limit_changes_the_beginning_of_the_order(fleet: Fleet, shape: Shape, limit: Amount) -> None:
    """With a limit exactly the first so many of the whole order are changed; the others wait, and nobody is lost."""
    whole = planned(fleet, replace(shape, limit=None))
    part = planned(fleet, replace(shape, limit=limit))
    most = limit.of(whole.in_scope, at_least=1)
    assert [each.key for each in to_change(part)] == [each.key for each in to_change(whole)][:most]
    later = [each.key for each in part.planned if each.decision.reason is Reason.LIMITED]
    assert later == [each.key for each in to_change(whole)][most:]
    assert part.in_scope == whole.in_scope


def test_another_seed_makes_another_one_the_canary() -> None:
    """Among equal hosts the seed decides, so that it is not the same one that is tried first every night."""
    fleet: Fleet = [(replace(_EQUAL, instance_id=f"i-{n}", arn=f"a/{n}"), GOOD) for n in range(8)]
    canaries = {planned(fleet, Shape(seed=str(seed))).planned[0].key for seed in range(50)}
    assert len(canaries) > 1


_EQUAL = Instance(
    instance_id="i-0",
    arn="a/0",
    zone="a",
    status=Status.ACTIVE,
    platform=Platform.LINUX,
    ping=Ping.ONLINE,
    agent_connected=True,
    agent_version="1",
    running_tasks=0,
    pending_tasks=0,
)
