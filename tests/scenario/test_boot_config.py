"""`--boot-config` in the lab: new instances boot with what the fleet has, and only once it has it."""

import json
from collections.abc import Callable
from typing import Any

import boto3
import pytest

from orchestrator.aws.session import Session
from orchestrator.lab.scenario import AfterRestart, InstanceSpec
from tests.aws.test_boot_config import Between
from tests.leaks import Scanner
from tests.receiver import receiver
from tests.scenario.conftest import Workplace, fleet
from tests.scenario.iam_cases import CASES
from tests.scenario.iam_steps import BOOT, HEALTHY, booted_from_a_bucket
from tests.scenario.test_iam import policies, without
from tests.scenario.test_rotate import labels, passwords, pend, rotate

Start = Callable[..., Workplace]

PLACE = "s3://conf/ecs.config"
OLD = "# booted with this\nECS_CLUSTER=demo\nECS_ENGINE_AUTH_TYPE=docker\nECS_ENGINE_AUTH_DATA={}\n"


def booting(text: str = OLD) -> Any:
    client = boto3.client("s3")
    client.create_bucket(Bucket="conf")
    client.put_bucket_versioning(Bucket="conf", VersioningConfiguration={"Status": "Enabled"})
    client.put_object(Bucket="conf", Key="ecs.config", Body=text)
    return client


def text(client: Any) -> str:
    found: bytes = client.get_object(Bucket="conf", Key="ecs.config")["Body"].read()
    return found.decode()


def test_new_instances_boot_with_it_once_the_fleet_has_it(workplace: Start) -> None:
    """The object is written after the run, once; a second run finds it as wanted; no secret is shown or journaled."""
    place = workplace(*fleet(2))
    place.put_secret()
    client = booting()
    plan = place.rollout("plan", "--boot-config", PLACE)
    assert f"{PLACE}: gets the credential after the run" in plan.err
    assert text(client) == OLD
    done = place.rollout("run", "--boot-config", PLACE, "--output", "json")
    assert done.code == 0, done.err
    assert done.report["run"]["boot_configs"] == [{"object": PLACE, "result": "updated", "message": ""}]
    assert text(client).startswith("# booted with this\nECS_CLUSTER=demo\nECS_ENGINE_AUTH_TYPE=")
    assert text(client) != OLD
    again = place.rollout("run", "--boot-config", PLACE)
    assert again.code == 0
    assert f"Boot configuration {PLACE} current" in again.out
    assert len(client.list_object_versions(Bucket="conf")["Versions"]) == 2
    looked = place.cli("generations", "--cluster", "demo", "--boot-config", PLACE, "--poll-seconds=0.2", "--check")
    assert looked.code == 0, looked.out
    scanner = Scanner(["new-password"])
    shown = {f"shown {number}": each.encode() for number, each in enumerate(place.said)}
    assert scanner.scan_all(shown) == []
    assert scanner.scan_files(place.directory / "state") == []


def test_it_stays_where_the_fleet_has_not_converged(workplace: Start) -> None:
    """A run that left somebody, or was only for some, leaves the object alone and says so."""
    place = workplace(*fleet(1), *fleet(2, after_restart=AfterRestart.STAYS_DOWN)[1:])
    place.put_secret()
    client = booting()
    some = place.rollout("run", "--boot-config", PLACE, f"--instance={fleet(1)[0].instance_id}", "--output", "json")
    assert some.code == 0, some.err
    assert [each["result"] for each in some.report["run"]["boot_configs"]] == ["left"]
    failed = place.rollout("run", "--boot-config", PLACE, "--output", "json")
    assert failed.code == 1
    assert [each["result"] for each in failed.report["run"]["boot_configs"]] == ["left"]
    assert text(client) == OLD


def test_what_cannot_be_written_is_known_before_anything_is_touched(workplace: Start) -> None:
    """A missing object, or one that is no env file, ends the command before any instance is changed."""
    place = workplace(*fleet(1))
    place.put_secret()
    client = booting("A=1\0")
    assert place.rollout("run", "--boot-config", PLACE).code == 3
    missing = place.rollout("run", "--boot-config", "s3://conf/other.config")
    assert missing.code == 2
    assert "There is no s3://conf/other.config." in missing.err
    assert place.touched() == []
    assert text(client) == "A=1\0"
    bad = place.rollout("plan", "--boot-config", "s3://conf/ecs.config?versionId=1")
    assert bad.code == 2
    assert "without a version" in bad.err


def test_a_failure_at_the_end_does_not_hide_the_fleet(workplace: Start) -> None:
    """The fleet's result stands, the report and a notice say what failed, and the exit code is 1."""
    place = workplace(*fleet(1))
    place.put_secret()
    client = booting()
    topic = boto3.client("sns").create_topic(Name="night")["TopicArn"]
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    denied = {"Effect": "Deny", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::conf/*"}
    place.lab.access.enforce({"Version": "2012-10-17", "Statement": [everything, denied]})
    report = place.directory / "report.json"
    done = place.rollout("run", "--boot-config", PLACE, "--notify", f"sns:{topic}", "--out", str(report))
    assert done.code == 1
    assert "1 of 1 instances run the credential: 1 updated." in done.out
    assert "Not allowed: s3:PutObject." in " ".join(done.out.split())
    assert json.loads(report.read_text())["run"]["result"] == "ok"
    assert text(client) == OLD
    published = [each.body for each in place.lab.recorder.exchanges if each.operation == "Publish"]
    assert any(b"FAILED+AFTER+ITS+RUN" in each for each in published)


def test_a_rotation_gives_it_to_new_instances_last(workplace: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the object is written, the fleet has the version and AWSCURRENT has moved; a lost race is said, and mended.

    Somebody else writes each time between our reading and our writing: theirs stands, and the next night does ours.
    """
    place = workplace(*fleet(2))
    place.put_secret()
    client = booting()
    version = pend(place, "the-next-one")
    seen: list[tuple[str, set[str]]] = []

    def overtake() -> None:
        seen.append((labels()["AWSCURRENT"], passwords(place)))
        client.put_object(Bucket="conf", Key="ecs.config", Body=f"{OLD}N={len(seen)}\n")

    with receiver() as hook, monkeypatch.context() as meddling:
        meddling.setenv("TEAM_HOOK", hook.url)
        meddling.setattr(Session, "s3", lambda _: Between(client, overtake))
        lost = rotate(place, "--boot-config", PLACE, "--notify=webhook:env:TEAM_HOOK", "--output", "json")
    assert lost.code == 1, lost.err
    assert seen == [(version, {"the-next-one"})] * 4
    assert text(client) == f"{OLD}N=4\n"
    (kept,) = lost.report["run"]["boot_configs"]
    assert kept["result"] == "failed"
    assert "was changed by somebody else at each of 4 attempts" in kept["message"]
    assert lost.report["overlap"]["verdict"] == "unknown", "new instances still boot with the previous one"
    _, ended, failed = hook.texts
    assert f"\nAWSCURRENT of registry was moved to {version}, from " in ended
    assert f"\nBoot configuration {PLACE} failed: {PLACE} was changed by somebody else" in ended
    assert f"Why: The fleet has the credential, {PLACE} has not: " in failed
    done = rotate(place, "--boot-config", PLACE, "--output", "json")
    assert done.code == 0, done.err
    assert [each["result"] for each in done.report["run"]["boot_configs"]] == ["updated"]
    assert "the-next-one" in text(client)
    assert text(client).endswith("N=4\n")
    assert done.report["overlap"]["verdict"] == "unused"
    assert place.calls("UpdateSecretVersionStage") == 1
    assert len(client.list_object_versions(Bucket="conf")["Versions"]) == 6
    idle = rotate(place, "--boot-config", PLACE)
    assert idle.code == 0
    assert "Nothing to do: AWSCURRENT of registry" in idle.out


def test_the_printed_policy_is_enough_and_each_permission_is_needed(workplace: Start) -> None:
    """Under the printed policy the object is written; without one of its rights only the fleet is, and it is said."""
    place = workplace(InstanceSpec(instance_id=HEALTHY))
    place.put_secret()
    case = CASES["run that keeps a boot configuration"]
    caller, instance = policies(place, case)
    for missing in (None, *case.failures):
        booted_from_a_bucket(place)
        place.lab.access.enforce(without(caller, missing) if missing else caller)
        place.lab.access.enforce_instances(instance)
        done = place.rollout("run", *BOOT, "--output", "json")
        place.lab.access.enforce(None)
        assert done.outcomes[HEALTHY] == "updated(verified)"
        (kept,) = done.report["run"]["boot_configs"]
        assert (done.code, kept["result"]) == ((1, "failed") if missing else (0, "updated"))
        assert missing is None or f"Not allowed: {missing[1]}" in kept["message"]
