"""A dead run's drained instances, and a next command that is about others: they are given back all the same."""

import shlex
from collections.abc import Callable
from dataclasses import replace

import pytest

from orchestrator.clock import SystemClock
from orchestrator.core.events import Draining
from orchestrator.lab.scenario import InstanceSpec, Ssm
from tests.scenario.conftest import QUICK, Workplace, fleet
from tests.scenario.test_draining import standing
from tests.scenario.test_recovery import age_lock, controller, drained, run_words, wait_for

Start = Callable[..., Workplace]


def killed_while_draining(workplace: Start) -> tuple[Workplace, str, tuple[InstanceSpec, ...]]:
    """Give a cluster in which a run died while it drained an instance, that one, and the others."""
    specs = fleet(3, persistent=False)
    place = workplace(*specs)
    place.put_secret()
    with controller(*run_words(place, "--on-ephemeral=drain", "--max-unavailable=50%")) as process:
        wait_for(place, Draining, process)
        while not place.marked():  # the intent is in the journal before its effect
            SystemClock().wait(0.01)
    age_lock(place)
    (name,) = [each.instance_id for each in specs if place.registrations(each.instance_id)[-1].arn in place.marked()]
    return place, name, tuple(each for each in specs if each.instance_id != name)


def is_whole(place: Workplace) -> bool:
    return standing(place) == {name: [("ACTIVE", True, ())] for name in place.lab.hosts}


def test_a_run_of_others_that_takes_over_gives_back_what_the_dead_one_drained(workplace: Start) -> None:
    """`plan --instance OTHER` shows it; `run --take-over` with it sets it ACTIVE, and does not apply to it."""
    place, name, (other, third) = killed_while_draining(workplace)
    words = ("--on-ephemeral=drain", "--instance", other.instance_id)
    plan = place.rollout("plan", *words)
    given_back = f"Given back and changed no further, since a run that has died had taken them out: {name}."
    assert given_back in " ".join(plan.out.split())
    assert "inspecting 2 of them" in plan.err
    done = place.rollout("run", *words, "--take-over", "--output", "json")
    assert done.code == 0, (done.err, done.out)
    assert done.outcomes == {
        name: "skipped(released)",
        other.instance_id: "updated(verified)",
        third.instance_id: "skipped(not_selected)",
    }
    assert place.applied(name) == 0
    assert is_whole(place)


def test_a_heal_that_excludes_a_drained_instance_gives_it_back(workplace: Start) -> None:
    """`heal --exclude D` announces it in its dry run, and sets it ACTIVE."""
    place, name, others = killed_while_draining(workplace)
    words = ("heal", "--cluster", place.lab.scenario.cluster, "--exclude", name, *QUICK)
    preview = place.cli(*words, "--dry-run")
    assert preview.code == 0, preview.err
    assert "To mend on instances: 1 of 3" in preview.out
    done = place.cli(*words, "--yes", "--take-over", "--output", "json")
    assert done.code == 0, (done.err, done.out)
    assert done.outcomes == {name: "skipped(released)"} | {
        each.instance_id: "skipped(nothing_to_heal)" for each in others
    }
    assert is_whole(place)


@pytest.mark.parametrize("command", ["run", "restore", "heal"])
def test_one_that_cannot_be_given_back_is_no_good_end(workplace: Start, command: str) -> None:
    """Offline and excluded it stays as it is, exit 1, the others are seen to, and `heal` is named as what does it."""
    offline, *others = fleet(3)
    place = workplace(replace(offline, ssm=Ssm.CONNECTION_LOST), *others)
    place.put_secret()
    out = ("--exclude", offline.instance_id, "--max-unavailable=100%")
    about = ["--cluster", place.lab.scenario.cluster]
    if command == "restore":
        about = [place.rollout("run", *out, "--output", "json").report["run"]["id"]]
    elif command == "run":
        about += ["--credential", "secretsmanager:registry", "--allow-removal"]
    drained(place, offline)
    done = place.cli(command, *about, "--yes", *QUICK, *out)
    assert done.code == 1, (done.err, done.out)
    text = " ".join(done.out.split())
    assert f"skipped(stranded): {offline.instance_id}" in text
    assert "seen: left DRAINING by the run gone; Systems Manager says ConnectionLost" in text
    ends = {"run": "updated verified", "restore": "rolled_back restored", "heal": "skipped nothing_to_heal"}
    assert text.count(ends[command]) == len(others)
    said = shlex.split(done.out.rpartition("\n  ecs-rollout heal ")[2].replace("\\\n", " "))
    assert "--cluster" in said
    assert place.lab.scenario.cluster in said
    assert standing(place)[offline.instance_id] == [("DRAINING", True, ("gone",))]
