"""Whom a run is about, in the lab: the flags, the report, what comes next."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import boto3
import pytest

from orchestrator.lab.scenario import Deed, Event
from tests.scenario.conftest import Workplace, fleet

Start = Callable[..., Workplace]
IDS = [f"i-{number:017x}" for number in range(6)]
OTHERS = "skipped(not_selected)"


def labelled(workplace: Start) -> Workplace:
    """Six instances in three zones: the first three of the blue stack, the odd ones tagged with a team."""
    specs = fleet(6)
    blue = tuple(replace(spec, attributes=(("stack", "blue"),)) for spec in specs[:3])
    place = workplace(*blue, *specs[3:])
    place.put_secret()
    ecs = boto3.client("ecs")
    arns = ecs.list_container_instances(cluster="demo")["containerInstanceArns"]
    for each in ecs.describe_container_instances(cluster="demo", containerInstances=arns)["containerInstances"]:
        if each["ec2InstanceId"] in IDS[1::2]:
            ecs.tag_resource(resourceArn=each["containerInstanceArn"], tags=[{"key": "team", "value": "web"}])
    return place


@pytest.mark.parametrize(
    ("flags", "chosen"),
    [
        (("--attribute", "stack=blue", "--exclude", IDS[0]), (1, 2)),
        (("--tag", "team=web", "--zone", "us-east-1a", "--zone", "us-east-1b"), (1, 3)),
        (("--attribute", "stack", "--tag", "team"), (1,)),
        (("--exclude", "zone:us-east-1a", "--exclude", "tag:team"), (2, 4)),
    ],
)
def test_who_is_planned(workplace: Start, flags: tuple[str, ...], chosen: tuple[int, ...]) -> None:
    """Exactly those that every flag fits are planned and even looked at; the others say which kind of flag it was."""
    place = labelled(workplace)
    plan = place.rollout("plan", *flags, "--output", "json")
    assert plan.code == 0, plan.err
    assert {each["instance_id"] for each in plan.report["instances"] if each["decision"] == "apply"} == {
        IDS[number] for number in chosen
    }
    assert {each["reason"] for each in plan.report["instances"]} <= {"needs_update", "not_selected", "excluded"}
    assert f"inspecting {len(chosen)} of them" in plan.err


def test_a_run_changes_the_selected_and_reports_everybody(workplace: Start) -> None:
    """The left out ones stay in the report with their reasons, untouched, and the run is a success."""
    place = labelled(workplace)
    done = place.rollout("run", "--tag=team", "--exclude", IDS[5], "--max-unavailable=100%", "--output", "json")
    assert done.code == 0, done.err
    updated = "updated(verified)"
    assert [done.outcomes[each] for each in IDS] == [
        OTHERS, updated, OTHERS, updated, OTHERS, "skipped(excluded)",
    ]  # fmt: skip
    assert sorted(place.touched()) == [IDS[1], IDS[3]]
    assert done.report["converged"] == {"instances": 2, "of": 2}


def test_joiners_are_selected_as_everybody_was(workplace: Start) -> None:
    """Who joins during a run is rolled only where the selection takes it; the others stay in the report, untouched."""
    blue = (("stack", "blue"),)
    first = fleet(1, attributes=blue)[0]
    joins = (
        replace(first, instance_id=IDS[1]),
        replace(first, instance_id=IDS[2], attributes=()),
        replace(first, instance_id=IDS[3], zone="us-east-1c"),
    )
    events = tuple(
        Event(what=Deed.JOIN, when="begun:ecs-rollout-apply", of=first.instance_id, joins=each) for each in joins
    )
    place = workplace(first, events=events)
    place.put_secret()
    done = place.rollout("run", "--attribute=stack=blue", "--exclude=zone:us-east-1c", "--output", "json")
    assert done.code == 0, done.err
    assert sorted(place.touched()) == IDS[:2]
    assert done.outcomes == dict(
        zip(IDS, ("updated(verified)", "updated(verified)", OTHERS, "skipped(excluded)"), strict=False)
    )
    text = " ".join(place.cli("report", done.report["run"]["id"]).out.split())
    assert f"Joined during the run with another credential (template drift): {IDS[1]}." in text


def test_a_limit_goes_on_in_the_next_run(workplace: Start) -> None:
    """--limit changes so many, ends with 0 and says what comes next; the same command goes on, until nobody is left."""
    place = workplace(*fleet(5))
    place.put_secret()
    flags = ("--limit", "2", "--max-unavailable=100%")
    first = place.rollout("run", *flags)
    assert first.code == 0, first.err
    assert "3 more need it and are left by --limit: run the same command again." in first.out
    assert "2 of 5 instances run the credential: 3 skipped, 2 updated." in first.out
    second = place.rollout("run", *flags, "--output", "json")
    assert second.report["summary"] == {"skipped": 1, "updated": 2, "current": 2}
    third = place.rollout("run", *flags, "--output", "json")
    assert third.report["summary"] == {"updated": 1, "current": 4}
    assert {host.agent.starts for host in place.lab.hosts.values()} == {2}


@pytest.mark.parametrize(
    ("flags", "hint"),
    [
        (("--zone", "us-east-1z"), "Alone already --zone us-east-1z fits none. The zones there are: us-east-1a"),
        (("--attribute", "stack=blue", "--exclude", "attribute:stack"), "Together they fit none."),
    ],
)
def test_a_selection_that_fits_nobody_is_an_error(workplace: Start, flags: tuple[str, ...], hint: str) -> None:
    """Exit 2 before any instance is looked at, with the flag that is to blame."""
    place = labelled(workplace)
    answer = place.rollout("plan", *flags)
    assert (answer.code, answer.out) == (2, "")
    assert "error: The selection fits no instance of the cluster." in answer.err
    assert hint in answer.err
    assert place.calls("SendCommand") == 0


def test_an_exclusion_of_nobody_is_a_warning(workplace: Start) -> None:
    """A schedule's --exclude outlives its instance: the run goes on and says so."""
    place = workplace(*fleet(1))
    place.put_secret()
    answer = place.rollout("plan", "--exclude", "i-0123456789abcdef0")
    assert answer.code == 0
    assert "warning: --exclude i-0123456789abcdef0 fits no instance of the cluster" in answer.err


def test_a_configuration_may_select(workplace: Start, tmp_path: Path) -> None:
    """Selection, limit and seed may stand in the file; the plan shows the seed."""
    place = labelled(workplace)
    config = tmp_path / "web.toml"
    config.write_text('tag = ["team"]\nexclude = "zone:us-east-1c"\nlimit = "1"\nseed = "tuesday"\n')
    plan = place.rollout("plan", "--config", str(config), "--output", "json")
    assert plan.code == 0, plan.err
    reasons = sorted(each["reason"] for each in plan.report["instances"])
    assert reasons == ["excluded"] * 2 + ["limited", "needs_update", "not_selected", "not_selected"]
    assert plan.report["plan"]["seed"] == "tuesday"


def test_a_saved_plan_keeps_its_selection_and_its_limit(workplace: Start) -> None:
    """run --plan does what was saved, also when whom a limit would take has changed since; other flags are refused."""
    place = labelled(workplace)
    path = place.directory / "web.plan"
    flags = ("--exclude", "attribute:stack=blue", "--limit", "1", "--seed", "x")
    assert place.rollout("plan", *flags, "--out", str(path)).code == 0
    saved = json.loads(path.read_text())
    (first,) = [each["key"] for each in saved["planned"] if each["wave"]]
    boto3.client("ecs").run_task(cluster="demo", taskDefinition="web", launchType="EC2", count=1)
    stopped = place.cli("run", "--plan", str(path), "--exclude", "zone:us-east-1a", "--limit", "2")
    assert stopped.code == 3
    assert "--exclude: attribute:stack=blue in the plan, zone:us-east-1a now" in " ".join(stopped.err.split())
    assert "--limit: 1 in the plan, 2 now" in stopped.err
    done = place.cli("run", "--plan", str(path), "--output", "json")
    assert done.code == 0, done.err
    assert place.touched() == [first]
    assert done.report["summary"] == {"skipped": 5, "updated": 1}
