"""Decisions and the plan."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.deciding import Goal, Look, decide, exclude_early, outcome_of
from orchestrator.core.model import (
    AgentState,
    Armed,
    DecisionKind,
    Facts,
    Instance,
    Persistence,
    Ping,
    Platform,
    RestartMethod,
    Status,
)
from orchestrator.core.planning import Shape, find_ghosts, make_plan
from orchestrator.core.reasons import EXPLANATIONS, Reason

GOAL = Goal(generation="g1", registries=frozenset({"reg.example.com"}))
GOOD = Facts(
    agent=AgentState.UP,
    arn="arn",
    cluster="c",
    agent_version="1.105.1",
    method=RestartMethod.SYSTEMD,
    persistence=Persistence.PERSISTENT,
    why=("datadir_set", "mounted"),
    tasks=2,
    generation="g0",
    run="",
    agrees=True,
    fence=1,
    armed=Armed.NO,
    last="",
    last_run="",
    registries=("reg.example.com",),
    registries_total=1,
    warnings=(),
    fetch="curl",
)
INSTANCE = Instance(
    instance_id="i-1",
    arn="arn:aws:ecs:us-east-1:1:container-instance/c/1",
    zone="a",
    status=Status.ACTIVE,
    platform=Platform.LINUX,
    ping=Ping.ONLINE,
    agent_connected=True,
    agent_version="1.105.1",
    running_tasks=2,
    pending_tasks=0,
)


@pytest.mark.parametrize(
    ("changes", "kind", "reason"),
    [
        ({}, "apply", "needs_update"),
        ({"generation": "g1"}, "skip", "already_current"),
        ({"generation": "g1", "agrees": False}, "apply", "needs_update"),
        ({"persistence": Persistence.EPHEMERAL}, "refuse", "ephemeral"),
        ({"persistence": Persistence.UNKNOWN}, "refuse", "persistence_unknown"),
        ({"persistence": Persistence.EPHEMERAL, "generation": "g1"}, "skip", "already_current"),
        ({"method": RestartMethod.NONE}, "refuse", "no_restart_method"),
        ({"agent": AgentState.DOWN}, "refuse", "agent_down"),
        ({"agent": AgentState.ABSENT}, "refuse", "agent_absent"),
        ({"armed": Armed.LIVING}, "refuse", "watchdog_armed"),
        ({"armed": Armed.DEAD, "agent": AgentState.DOWN}, "apply", "needs_update"),
        ({"armed": Armed.DEAD, "generation": "g1"}, "apply", "needs_update"),
        ({"fetch": "none"}, "refuse", "tool_missing"),
        ({"registries": ("reg.example.com", "other.example.com")}, "refuse", "registry_removed"),
    ],
)
def test_decisions(changes: dict[str, object], kind: str, reason: str) -> None:
    """Each fact that forbids a change wins over the wish to make it."""
    decision = decide(replace(GOOD, **changes), GOAL)  # type: ignore[arg-type]  # one field by name
    assert (decision.kind, decision.reason) == (kind, reason)


def test_a_removal_can_be_allowed() -> None:
    """--allow-removal lets an instance lose a login."""
    facts = replace(GOOD, registries=("other.example.com",))
    assert decide(facts, replace(GOAL, allow_removal=True)).kind is DecisionKind.APPLY


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_says_what_it_means_and_what_to_do(reason: Reason) -> None:
    """No reason without one sentence of meaning and one of remedy."""
    explanation = EXPLANATIONS[reason]
    assert explanation.meaning.endswith(".")
    assert explanation.remedy.rstrip("`").endswith((".", ")"))


def test_the_living_registration_is_told_from_its_ghost() -> None:
    """Of two registrations of one EC2 instance the connected one lives (F33)."""
    ghost = replace(INSTANCE, arn=INSTANCE.arn + "-old", agent_connected=False)
    assert find_ghosts([ghost, INSTANCE]) == {ghost.arn}


def test_the_left_out_are_not_even_inspected() -> None:
    """Whom the selection leaves out is left alone, with that reason."""
    decision = exclude_early(INSTANCE, ghost=False, left_out=Reason.NOT_SELECTED)
    assert decision is not None
    assert decision.reason is Reason.NOT_SELECTED


instances = st.lists(
    st.builds(
        Instance,
        instance_id=st.sampled_from([f"i-{number}" for number in range(12)]),
        arn=st.uuids().map(lambda each: f"arn:aws:ecs:us-east-1:1:container-instance/c/{each.hex}"),
        zone=st.sampled_from("abc"),
        status=st.sampled_from(Status),
        platform=st.sampled_from(Platform),
        ping=st.sampled_from(Ping),
        agent_connected=st.booleans(),
        agent_version=st.just("1.105.1"),
        running_tasks=st.integers(0, 5),
        pending_tasks=st.just(0),
    ),
    unique_by=lambda each: each.arn,
)
looks: st.SearchStrategy[Look] = st.one_of(
    st.sampled_from([Reason.DELIVERY_TIMED_OUT, Reason.TOOL_MISSING]),
    st.builds(
        replace,
        st.just(GOOD),
        persistence=st.sampled_from(Persistence),
        armed=st.sampled_from(Armed),
        generation=st.sampled_from(["g0", "g1"]),
    ),
)


@given(instances, st.dictionaries(st.sampled_from([f"i-{number}" for number in range(12)]), looks))
def test_a_plan_partitions_the_cluster(fleet: list[Instance], seen: dict[str, Look]) -> None:
    """Every registration stands in the plan exactly once, under a key of its own, whatever was seen of it."""
    plan = make_plan("c", fleet, seen, GOAL, Shape())
    assert sorted(each.instance.arn for each in plan.planned) == sorted(each.arn for each in fleet)
    assert len({each.key for each in plan.planned}) == len(fleet)
    applied = [each.instance.instance_id for each in plan.planned if outcome_of(each) is None]
    assert len(set(applied)) == len(applied)
    assert all(each.facts is not None for each in plan.planned if each.decision.kind is DecisionKind.APPLY)


@given(st.permutations(range(8)))
def test_the_same_fleet_gives_the_same_plan(order: list[int]) -> None:
    """The order in which AWS lists instances does not change the plan."""
    fleet = [replace(INSTANCE, instance_id=f"i-{n}", arn=f"a/{n}", running_tasks=n % 3) for n in range(8)]
    seen: dict[str, Look] = {each.instance_id: GOOD for each in fleet}
    assert make_plan("c", [fleet[n] for n in order], seen, GOAL, Shape()) == make_plan("c", fleet, seen, GOAL, Shape())
