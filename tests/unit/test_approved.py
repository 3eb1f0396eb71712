"""What was approved is what runs: every kind of change since is found."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from orchestrator.core.agent_auth import Login
from orchestrator.core.amount import Amount
from orchestrator.core.approved import ApprovedPlan, as_approved, changes_since, fingerprint_of
from orchestrator.core.credential import Credential, Entry
from orchestrator.core.model import AgentState, Decision, DecisionKind, Persistence, Plan, Planned, Status
from orchestrator.core.reasons import Reason
from orchestrator.core.settings import Policy
from tests.fake_fleet import GENERATION, fleet_of
from tests.unit.test_plans import planned_for

BEFORE = planned_for(fleet_of(4))


def approved(plan: Plan = BEFORE) -> ApprovedPlan:
    return ApprovedPlan(
        made_at=1_000_000,
        cluster="c",
        region="us-east-1",
        credential="secretsmanager:registry",
        generation=GENERATION,
        policy=Policy(),
        planned=plan.planned,
    )


def changed(change: Callable[[Planned], Planned]) -> Plan:
    """Change the first instance of the plan."""
    first, *rest = BEFORE.planned
    return replace(BEFORE, planned=(change(first), *rest))


def of_facts(**changes: Any) -> Callable[[Planned], Planned]:
    return lambda each: replace(each, facts=replace(each.facts, **changes))  # type: ignore[type-var]  # it was inspected


def of_instance(**changes: Any) -> Callable[[Planned], Planned]:
    return lambda each: replace(each, instance=replace(each.instance, **changes))


def test_an_unchanged_fleet_fits() -> None:
    """The same fleet, looked at again, differs in nothing; nor do other task counts, another order, newer fences."""
    assert changes_since(approved(), planned_for(fleet_of(4))) == {}
    busier = planned_for([replace(host, tasks=9 - number, fence=7) for number, host in enumerate(fleet_of(4))])
    assert [each.key for each in busier.planned] != [each.key for each in BEFORE.planned]
    assert changes_since(approved(), busier) == {}


def test_the_approved_order_is_kept() -> None:
    """What runs is the approved order and waves over what is seen now, whatever order would be chosen now."""
    busier = planned_for([replace(host, tasks=9 - number) for number, host in enumerate(fleet_of(4))])
    ran = as_approved(approved(), busier)
    assert [(each.key, each.wave) for each in ran.planned] == [(each.key, each.wave) for each in BEFORE.planned]
    assert {each.key: each.instance.running_tasks for each in ran.planned} == {
        each.key: each.instance.running_tasks for each in busier.planned
    }


def test_who_joined_and_who_left_is_named() -> None:
    """Another instance than the plan knows, or one less, is a difference with its name and decision."""
    now = planned_for(fleet_of(5)[1:])
    assert changes_since(approved(), now) == {
        "left the cluster; the plan says apply(needs_update)": ("i-00000000000000000",),
        "joined the cluster; it would be apply(needs_update)": ("i-00000000000000004",),
    }


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda each: replace(each, decision=Decision(DecisionKind.SKIP, Reason.SSM_OFFLINE), wave=0, facts=None),
            "apply(needs_update) in the plan, skip(ssm_offline) now",
        ),
        (of_instance(arn="arn:aws:ecs:us-east-1:1:container-instance/c/ffff"), "registered as: 000"),
        (of_instance(status=Status.DRAINING), "status: ACTIVE then, DRAINING now"),
        (of_instance(agent_version="1.106.0"), "agent version: 1.105.1 then, 1.106.0 now"),
        (of_facts(agent=AgentState.DOWN), "agent: up then, down now"),
        (of_facts(persistence=Persistence.EPHEMERAL), "agent's state: persistent then, ephemeral now"),
        (of_facts(method="docker-run"), "restart method: systemd then, docker-run now"),
        (of_facts(generation="cd"), "credential on it: none then, cd now"),
        (of_facts(registries=("a.example.com", "b.example.com")), "registries: none then, a.example.com, b.exa"),
        (of_facts(armed="living"), "watchdog armed: no then, living now"),
        (of_facts(fetch="aws"), "tool to fetch with: curl then, aws now"),
        (of_facts(cluster="other"), "cluster of its agent: none then, other now"),
        (of_facts(agrees=True), "marker, file and agent agree: no then, yes now"),
    ],
)
def test_every_other_fact_is_a_difference(change: Callable[[Planned], Planned], said: str) -> None:
    """A decision or a fact that it rests on is not as it was: said with both, of that instance alone."""
    ((text, keys),) = changes_since(approved(), changed(change)).items()
    assert text.startswith(said)
    assert keys == (BEFORE.planned[0].key,)


def test_equal_changes_are_told_together() -> None:
    """The same change of many instances is one line with their names."""
    now = planned_for(fleet_of(4, generation="older"))
    assert changes_since(approved(), now)["credential on it: none then, older now"] == tuple(
        each.key for each in BEFORE.planned
    )


def test_a_fingerprint_tells_contents_apart_and_no_more() -> None:
    """Equal content and salt give equal fingerprints; another password or salt another one; none holds the password."""

    def credential(password: str) -> Credential:
        return Credential(entries=(Entry(key="r.example.com", login=Login(username="u", password=password)),))

    first = fingerprint_of(credential("one"), "ab" * 16)
    assert fingerprint_of(credential("one"), "ab" * 16) == first
    assert fingerprint_of(credential("two"), "ab" * 16) != first
    assert fingerprint_of(credential("one"), "cd" * 16) != first
    assert len(first) == 64


def test_whom_a_limit_takes_was_approved() -> None:
    """Tasks that moved since change whom a limit would take now, not what was approved: the plan fits and is kept."""
    limit = Policy(limit=Amount.parse("2"))
    then = planned_for(fleet_of(4), limit)
    now = planned_for([replace(host, tasks=9 - number) for number, host in enumerate(fleet_of(4))], limit)
    taken = [each.key for each in then.planned if each.wave]
    assert taken != [each.key for each in now.planned if each.wave]
    assert changes_since(approved(then), now) == {}
    kept = as_approved(approved(then), now)
    assert [each.key for each in kept.planned if each.decision.kind is DecisionKind.APPLY] == taken
