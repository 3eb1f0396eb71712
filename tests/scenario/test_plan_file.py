"""`plan --out FILE` and `run --plan FILE` in the lab."""

import json
import shlex
import stat
from collections.abc import Callable
from pathlib import Path

import boto3
import pytest

from tests.leaks import Scanner
from tests.scenario.conftest import QUICK, Workplace, fleet

Start = Callable[..., Workplace]


def saved(place: Workplace, *more: str) -> Path:
    path = place.directory / "web.plan"
    answer = place.rollout("plan", "--out", str(path), *more)
    assert answer.code == 0, answer.err
    assert f"ecs-rollout run --plan {path}" in " ".join(answer.out.replace("\\\n", " ").split())
    return path


def test_what_was_approved_runs(workplace: Start) -> None:
    """run --plan needs no other flag and asks nobody; it rolls the saved plan's instances in its order and waves."""
    place = workplace(*fleet(4))
    place.put_secret()
    path = saved(place, "--waves", "2,100%", "--max-unavailable", "50%")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    plan = json.loads(path.read_text())
    done = place.cli("run", "--plan", str(path), "--output", "json")
    assert done.code == 0, done.err
    assert "still fits" in done.err
    ran = {each["instance_id"]: each["wave"] for each in done.report["instances"]}
    assert ran == {each["key"]: each["wave"] for each in plan["planned"]}
    assert done.report["run"]["options"]["waves"] == "2,100%"
    again = place.cli("run", "--plan", str(path))
    assert again.code == 3
    assert "apply(needs_update) in the plan, skip(already_current) now: i-" in " ".join(again.err.split())
    assert {host.agent.starts for host in place.lab.hosts.values()} == {2}


def test_a_fleet_that_changed_is_left_alone(workplace: Start) -> None:
    """An instance that left since the plan was saved: said by name, exit 3, no instance touched, the lock released."""
    place = workplace(*fleet(3))
    place.put_secret()
    path = saved(place)
    gone = boto3.client("ecs").list_container_instances(cluster="demo")["containerInstanceArns"][0]
    boto3.client("ecs").deregister_container_instance(cluster="demo", containerInstance=gone, force=True)
    stopped = place.cli("run", "--plan", str(path))
    assert stopped.code == 3
    assert "left the cluster; the plan says apply(needs_update): i-" in " ".join(stopped.err.split())
    assert "error: The plan does not fit any more: 1 difference since 20" in stopped.err
    assert place.touched() == []
    fresh = saved(place)
    assert place.cli("run", "--plan", str(fresh)).code == 0


@pytest.mark.parametrize("before_the_first_run", [True, False])
def test_another_content_is_noticed(workplace: Start, before_the_first_run: bool) -> None:  # noqa: FBT001 - both ways
    """The source holds another credential than was approved: exit 3, also where the cluster had no key yet."""
    place = workplace(*fleet(2))
    place.put_secret()
    if not before_the_first_run:
        assert place.rollout("run", "--instance", "i-00000000000000001").code == 0
    path = saved(place)
    assert bool(json.loads(path.read_text())["generation"]) is not before_the_first_run
    other = {place.lab.registry_name: {"username": "puller", "password": "old-password"}}
    boto3.client("secretsmanager").put_secret_value(SecretId="registry", SecretString=json.dumps(other))
    stopped = place.cli("run", "--plan", str(path), "--no-probe")
    assert "--no-probe" in stopped.err  # a flag that the plan was not made with
    stopped = place.cli("run", "--plan", str(path))
    assert stopped.code == 3
    assert "has another content now" in " ".join(stopped.err.split())
    assert "i-00000000000000000" not in place.touched()


def test_other_flags_are_refused_before_aws_is_asked(workplace: Start) -> None:
    """A flag that differs from the plan's is named with both values; one that says the same is fine."""
    place = workplace(*fleet(1))
    place.put_secret()
    path = saved(place, "--max-failures", "0")
    calls = len(place.lab.recorder.exchanges)
    stopped = place.cli("run", "--plan", str(path), "--max-failures", "2", "--instance", "i-00000000000000000")
    assert stopped.code == 3
    assert "--max-failures: 0 in the plan, 2 now" in stopped.err
    assert "--instance: none in the plan, i-00000000000000000 now" in stopped.err
    assert len(place.lab.recorder.exchanges) == calls
    assert place.cli("run", "--plan", str(path), "--max-failures", "0", *QUICK).code == 0


def test_a_newer_versions_defaults_are_refused(workplace: Start) -> None:
    """Where the plan's rules are not those that the same flags mean now, nothing runs."""
    place = workplace(*fleet(1))
    place.put_secret()
    path = saved(place)
    plan = json.loads(path.read_text())
    plan["policy"]["bake"] = 600
    path.write_text(json.dumps(plan))
    stopped = place.cli("run", "--plan", str(path))
    assert stopped.code == 3
    assert "--bake: 600 in the plan, 0 now" in stopped.err
    assert place.touched() == []


def test_a_plan_that_is_none_is_refused(workplace: Start) -> None:
    """No such file, no plan, another version's, one that others can write: exit 2, and AWS is not asked."""
    place = workplace(*fleet(1))
    place.put_secret()
    path = saved(place)
    calls = len(place.lab.recorder.exchanges)
    text = path.read_text()
    for content, mode, expected in (
        ("{}", 0o600, "is no saved plan"),
        (text[:100], 0o600, "is no saved plan"),
        (text.replace('"version": 1', '"version": 2'), 0o600, "another version"),
        (text, 0o666, "Others can write"),
    ):
        path.write_text(content)
        path.chmod(mode)
        answer = place.cli("run", "--plan", str(path))
        assert (answer.code, expected in answer.err) == (2, True), answer.err
        assert len(answer.err.splitlines()) == 2
    assert place.cli("run", "--plan", str(path.parent / "none")).code == 2
    assert len(place.lab.recorder.exchanges) == calls


def test_a_plan_is_not_saved_where_it_cannot_be(workplace: Start) -> None:
    """A place that cannot be written to is refused before the fleet is looked at."""
    place = workplace(*fleet(1))
    place.put_secret()
    calls = len(place.lab.recorder.exchanges)
    answer = place.rollout("plan", "--out", str(place.directory / "none" / "web.plan"))
    assert answer.code == 2
    assert "No plan can be saved" in answer.err
    assert len(place.lab.recorder.exchanges) == calls


def test_a_saved_plan_holds_no_secret(workplace: Start) -> None:
    """No piece of the credential stands in the file, nor in what plan prints."""
    place = workplace(*fleet(2))
    place.put_secret()
    path = saved(place)
    places = {"file": path.read_bytes(), "said": "".join(place.said).encode()}
    assert Scanner(["new-password"]).scan_all(places) == []


def test_the_plan_learns_from_earlier_runs(workplace: Start) -> None:
    """The first plan says that nothing is known of the time; after a run the next one takes it from there."""
    place = workplace(*fleet(3))
    place.put_secret()
    assert "Duration: unknown" in place.rollout("plan").out
    assert not (place.directory / "state").exists()
    assert place.rollout("run", "--instance", "i-00000000000000001").code == 0
    text = " ".join(place.rollout("plan").out.split())
    assert "in this cluster's last run an instance took" in text
    assert "(median of 1)" in text


def test_the_next_command_works(workplace: Start) -> None:
    """The command that a plan ends with is one that can be run as it stands."""
    place = workplace(*fleet(1))
    place.put_secret()
    out = place.rollout("plan").out
    command = shlex.split(out.partition("Next:\n")[2].replace("\\\n", " "))
    assert command[:2] == ["ecs-rollout", "run"]
    assert place.cli(*command[1:], "--yes").code == 0
