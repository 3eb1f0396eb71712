"""Whom a run is about."""

from dataclasses import replace

import pytest

from orchestrator.core.amount import Amount
from orchestrator.core.model import DecisionKind, Instance, Outcome, OutcomeKind, Ping, Platform, Status
from orchestrator.core.planning import Shape, make_plan
from orchestrator.core.reasons import Reason
from orchestrator.core.selection import EVERYBODY, Exclusion, Filter, Labels, Mark, Selection
from tests.unit.test_planning import GOAL, GOOD

INSTANCE = Instance(
    instance_id="i-1",
    arn="arn:aws:ecs:us-east-1:1:container-instance/c/1",
    zone="us-east-1a",
    status=Status.ACTIVE,
    platform=Platform.LINUX,
    ping=Ping.ONLINE,
    agent_connected=True,
    agent_version="1.105.1",
    running_tasks=0,
    pending_tasks=0,
)
LABELS = Labels(attributes={"stack": "blue", "gpu": ""}, tags={"team": "web", "pet": "yes=no"})


def wanted(**asked: object) -> Selection:
    return Selection(wanted=Filter(**asked))  # type: ignore[arg-type]  # one field by name


def marks(*texts: str) -> tuple[Mark, ...]:
    return tuple(Mark.parse(text) for text in texts)


@pytest.mark.parametrize(
    ("selection", "reason"),
    [
        (EVERYBODY, None),
        (wanted(instances=("i-2", "i-1")), None),
        (wanted(instances=("i-2",)), Reason.NOT_SELECTED),
        (wanted(zones=("us-east-1a", "us-east-1b")), None),
        (wanted(zones=("us-east-1b",)), Reason.NOT_SELECTED),
        (wanted(attributes=marks("stack")), None),
        (wanted(attributes=marks("stack=*", "gpu")), None),
        (wanted(attributes=marks("stack=blue", "gpu=")), None),
        (wanted(attributes=marks("stack=blu")), Reason.NOT_SELECTED),
        (wanted(attributes=marks("stack=blue", "stack=green")), Reason.NOT_SELECTED),
        (wanted(attributes=marks("team")), Reason.NOT_SELECTED),
        (wanted(tags=marks("pet=yes=no", "team=web")), None),
        (wanted(tags=marks("stack=blue")), Reason.NOT_SELECTED),
        (wanted(instances=("i-1",), zones=("us-east-1b",)), Reason.NOT_SELECTED),
        (wanted(instances=("i-1",), tags=marks("team=db")), Reason.NOT_SELECTED),
    ],
)
def test_who_is_wanted(selection: Selection, reason: Reason | None) -> None:
    """Any of the ids, any of the zones, all of the attributes and tags; every flag that is given must be met."""
    assert selection.leaves_out(INSTANCE, LABELS) is reason


@pytest.mark.parametrize("text", ["i-1", "zone:us-east-1a", "attribute:stack", "attribute:stack=blue", "tag:team=web"])
def test_to_exclude_wins(text: str) -> None:
    """An instance that is excluded is left out although it was named, and the reason says which of the two it was."""
    selection = Selection(wanted=Filter(instances=("i-1",)), excluded=(Exclusion.parse(text),))
    assert selection.leaves_out(INSTANCE, LABELS) is Reason.EXCLUDED


@pytest.mark.parametrize("text", ["i-2", "mi-1", "zone:us-east-1b", "attribute:stack=green", "tag:stack=blue"])
def test_an_exclusion_of_others_excludes_nobody_else(text: str) -> None:
    """What does not fit an instance does not keep it out."""
    assert Selection(excluded=(Exclusion.parse(text),)).leaves_out(INSTANCE, LABELS) is None


@pytest.mark.parametrize("text", ["", "web-1", "zone:", "stack=blue", "attribute:=x", "tags:team", "arn:aws:ecs:x"])
def test_an_exclusion_that_is_none_is_an_error(text: str) -> None:
    """A misspelt exclusion must not pass as one that fits nobody: the instance would be changed."""
    with pytest.raises(ValueError, match="write"):
        Exclusion.parse(text)


def test_what_fits_nobody_is_named() -> None:
    """Each flag that alone fits no instance is named as it was written."""
    selection = Selection(
        wanted=Filter(instances=("i-1", "i-9"), zones=("us-east-1a",), attributes=marks("stack=blue", "stack=red")),
        excluded=(Exclusion.parse("tag:pet"), Exclusion.parse("i-7")),
    )
    found = selection.unmatched([INSTANCE], {INSTANCE.arn: LABELS})
    assert found == ("--instance i-9", "--attribute stack=red", "--exclude i-7")


def test_labels_are_read_only_where_they_are_asked_for() -> None:
    """Attributes and tags cost a call for a hundred instances: only a selection that names one pays it."""
    assert not wanted(instances=("i-1",), zones=("us-east-1a",)).asks_labels
    assert wanted(tags=marks("team")).asks_labels
    assert Selection(excluded=(Exclusion.parse("attribute:gpu"),)).asks_labels


def limited(limit: Amount, left_out: dict[str, Reason] | None = None) -> list[tuple[DecisionKind, Reason]]:
    fleet = [replace(INSTANCE, instance_id=f"i-{n}", arn=f"a/{n}", running_tasks=n) for n in range(10)]
    looks = {each.instance_id: GOOD for each in fleet}
    plan = make_plan("c", fleet, looks, GOAL, Shape(limit=limit, left_out=left_out or {}))
    assert [each.wave > 0 for each in plan.planned] == [
        each.decision.kind is DecisionKind.APPLY for each in plan.planned
    ]
    return [(each.decision.kind, each.decision.reason) for each in sorted(plan.planned, key=lambda each: each.key)]


APPLY, LIMITED = (DecisionKind.APPLY, Reason.NEEDS_UPDATE), (DecisionKind.SKIP, Reason.LIMITED)


@pytest.mark.parametrize(
    ("limit", "changed"), [("3", 3), ("10", 10), ("99", 10), ("25%", 2), ("1%", 1), ("100%", 10), ("1", 1)]
)
def test_a_limit_takes_the_first_in_the_order_of_admission(limit: str, changed: int) -> None:
    """At most so many are changed, those that would come first; the rest says why. It rounds down, to at least one."""
    assert limited(Amount.parse(limit)) == [APPLY] * changed + [LIMITED] * (10 - changed)


def test_a_limit_is_a_share_of_those_in_scope() -> None:
    """A percentage is taken of the instances that the run is about, not of those it leaves out."""
    out = {f"a/{n}": Reason.EXCLUDED for n in range(6)}
    assert limited(Amount.parse("50%"), out) == [(DecisionKind.SKIP, Reason.EXCLUDED)] * 6 + [APPLY] * 2 + [LIMITED] * 2


@pytest.mark.parametrize("reason", [Reason.NOT_SELECTED, Reason.EXCLUDED, Reason.LIMITED])
def test_what_was_asked_for_is_as_wanted(reason: Reason) -> None:
    """A run that leaves out whom it was told to leave out ends with 0."""
    assert Outcome(OutcomeKind.SKIPPED, reason).as_wanted
