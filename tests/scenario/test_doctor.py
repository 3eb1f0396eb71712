"""`doctor` in the lab: every check, green and red."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest

from orchestrator.clock import SystemClock
from orchestrator.lab.scenario import Platform, Ssm
from tests.scenario.conftest import Answer, Workplace, fleet

Start = Callable[..., Workplace]
KEY = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"
LOCK = "/ecs-rollout/demo/lock/7"
CHECKS = [
    *("region", "clock", "credentials", "cluster", "documents", "permissions", "delivery", "credential", "registry"),
    *("lock", "key", "instances", "journal"),
]


def doctor(place: Workplace, *more: str) -> Answer:
    return place.cli("doctor", "--cluster", place.lab.scenario.cluster, "--output", "json", *more)


def found(answer: Answer, name: str) -> dict[str, Any]:
    """The one check of that name."""
    (only,) = [each for each in answer.report["checks"] if each["name"] == name]
    check: dict[str, Any] = only
    return check


def failures(answer: Answer) -> list[str]:
    return [f"{each['name']}: {each['seen']}" for each in answer.report["checks"] if each["level"] == "fail"]


def policy_of(place: Workplace) -> dict[str, Any]:
    terms = ("--credential", "secretsmanager:registry", "--account", place.lab.scenario.account)
    answer = place.cli("iam", "controller", "--cluster", "demo", "--kms-key", KEY, *terms)
    policy: dict[str, Any] = json.loads(answer.out)
    return policy


ALL = ("--credential", "secretsmanager:registry", "--kms-key", KEY, "--allow-removal")


def test_everything_is_green_under_the_printed_policy_and_nothing_is_touched(workplace: Start) -> None:
    """With a customer key, and under just what `iam controller` prints, every check is ok; doctor only reads."""
    place = workplace(*fleet(3))
    place.put_secret()
    for host in place.lab.hosts.values():
        (host.root / "etc/ecs/ecs.config").chmod(0o600)
    place.lab.access.enforce(policy_of(place))
    writes = place.calls("PutParameter")
    answer = doctor(place, *ALL)
    assert answer.code == 0, answer.out
    assert [each["name"] for each in answer.report["checks"]] == CHECKS
    assert {each["level"] for each in answer.report["checks"]} == {"ok"}
    assert answer.report["summary"] == {"ok": 13, "warn": 0, "fail": 0, "skip": 0}
    assert "3 of 3 are ready: agent 1." in found(answer, "instances")["seen"]
    assert place.lab.access.refusals == []
    assert place.touched() == []
    assert place.calls("PutParameter") == writes
    assert place.calls("CreateSecret") == 1  # the test's own
    assert not (place.directory / "state").exists()
    assert "new-password" not in "".join(place.said)


ACTIONS = {
    "ecs:DescribeClusters": "cluster",
    "ecs:ListContainerInstances": "instances",
    "ecs:DescribeContainerInstances": "instances",
    "ssm:DescribeInstanceInformation": "instances",
    "ssm:SendCommand": "inspection",
    "ssm:GetDocument": "documents",
    "ssm:DescribeDocument": "documents",
    "ssm:ListCommands": "permissions",
    "ssm:GetCommandInvocation": "permissions",
    "ssm:ListCommandInvocations": "permissions",
    "ssm:GetParametersByPath": "lock",
    "ssm:GetParameter": "key",
    "secretsmanager:GetSecretValue": "credential",
}
"""The actions that doctor can try, and the check that is red without each."""


def test_a_missing_permission_is_named_and_hides_nothing(workplace: Start) -> None:
    """Each action, taken away: its check is red, names it and what prints the policy; the others are made as ever."""
    place = workplace(*fleet(1))
    place.put_secret()
    whole = policy_of(place)
    for action, check in ACTIONS.items():
        statements = [{**each, "Action": _without(each["Action"], action)} for each in whole["Statement"]]
        place.lab.access.enforce({**whole, "Statement": [each for each in statements if each["Action"]]})
        answer = doctor(place, *ALL, *(() if check == "inspection" else ("--no-inspect",)))
        assert answer.code == 4, action
        named = [each for each in answer.report["checks"] if each["level"] == "fail" and action in each["seen"]]
        assert check in {each["name"] for each in named}, action
        assert all("iam" in each["todo"] for each in named), action
        assert {each["name"] for each in answer.report["checks"]} >= set(CHECKS), action
        assert {"region", "clock", "credentials", "delivery", "journal"} <= _green(answer), action


def _without(actions: str | list[str], action: str) -> list[str]:
    return [each for each in ([actions] if isinstance(actions, str) else actions) if each != action]


def _green(answer: Answer) -> set[str]:
    return {each["name"] for each in answer.report["checks"] if each["level"] == "ok"}


def test_documents_that_are_not_ours(workplace: Start) -> None:
    """Missing and changed documents are told apart, with what to do, and nothing is sent by them."""
    place = workplace(*fleet(1), publish=False)
    missing = doctor(place)
    assert missing.code == 3
    assert found(missing, "documents")["todo"] == "Run `ecs-rollout documents publish`."
    assert found(missing, "inspection")["level"] == "skip"
    assert found(missing, "instances")["level"] == "ok"
    place.cli("documents", "publish")
    ssm = boto3.client("ssm")
    content = ssm.get_document(Name="ecs-rollout-apply", DocumentFormat="YAML")["Content"].replace("077", "022")
    ssm.update_document(Name="ecs-rollout-apply", Content=content, DocumentFormat="YAML", DocumentVersion="$LATEST")
    ssm.update_document_default_version(Name="ecs-rollout-apply", DocumentVersion="2")
    changed = doctor(place)
    assert changed.code == 3
    levels = {each["seen"]: each["level"] for each in changed.report["checks"] if each["name"] == "documents"}
    assert levels["Other content than this version of ecs-rollout has: ecs-rollout-apply."] == "fail"
    assert levels["Published and unchanged: ecs-rollout-inspect, ecs-rollout-restore."] == "ok"
    assert place.calls("SendCommand") == 0


@pytest.mark.parametrize(
    ("off", "level", "code"), [(0.0, "ok", 0), (90.0, "warn", 0), (-90.0, "warn", 0), (400.0, "fail", 4)]
)
def test_a_wrong_clock(workplace: Start, monkeypatch: pytest.MonkeyPatch, off: float, level: str, code: int) -> None:
    """The time of AWS's answer against ours: past the tolerated minute a warning, past AWS's limit a failure."""
    place = workplace(*fleet(1))
    right = SystemClock.now
    monkeypatch.setattr(SystemClock, "now", lambda self: right(self) + off)
    answer = doctor(place, "--no-inspect")
    assert answer.code == code
    clock = found(answer, "clock")
    assert clock["level"] == level
    assert ("before" if off > 0 else "behind") in clock["seen"] or level == "ok"


def test_nobody_is_logged_in(workplace: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without AWS credentials there is one failure; what needs them is not tried, what does not is looked at."""
    place = workplace(*fleet(1))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    answer = doctor(place)
    assert answer.code == 4
    assert failures(answer) == ["credentials: No AWS credentials were found."]
    assert found(answer, "documents")["level"] == found(answer, "cluster")["level"] == "skip"
    assert found(answer, "journal")["level"] == "ok"


def test_keys_that_aws_does_not_accept(workplace: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong key is said by STS; the clock, which could be the reason, is looked at in the same answer."""
    place = workplace(*fleet(1))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    answer = doctor(place)
    assert answer.code == 4
    assert "does not accept the credentials" in found(answer, "credentials")["seen"]
    assert found(answer, "clock")["level"] == "ok"
    assert found(answer, "cluster")["level"] == "skip"


def test_an_endpoint_that_is_not_there(workplace: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without STS a run still works; without the others it does not, and each is named once."""
    place = workplace(*fleet(1))
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:9")
    without_sts = doctor(place, "--no-inspect")
    assert without_sts.code == 0
    assert found(without_sts, "credentials")["level"] == "warn"
    monkeypatch.setenv("AWS_ENDPOINT_URL_SSM", "http://127.0.0.1:9")
    without_ssm = doctor(place)
    assert without_ssm.code == 4
    assert [each.partition(":")[0] for each in failures(without_ssm)] == ["documents"]
    assert found(without_ssm, "lock")["seen"] == "Not tried: ssm cannot be reached."
    assert found(without_ssm, "cluster")["level"] == "ok"


def test_a_cluster_that_is_not_there(workplace: Start) -> None:
    """An unknown cluster is refused by name; one without instances, too."""
    place = workplace(*fleet(1))
    unknown = doctor(place, "--cluster", "nowhere")
    assert unknown.code == 3
    assert "no active cluster 'nowhere'" in found(unknown, "cluster")["seen"]
    assert found(unknown, "instances")["level"] == "skip"
    boto3.client("ecs").create_cluster(clusterName="empty")
    empty = doctor(place, "--cluster", "empty")
    assert empty.code == 3
    assert "Fargate" in found(empty, "instances")["todo"]


@pytest.mark.parametrize(
    ("heartbeat", "level", "code", "said"),
    [(-30.0, "fail", 5, "under way"), (-3600.0, "fail", 5, "--take-over")],
)
def test_a_lock_that_is_held(workplace: Start, heartbeat: float, level: str, code: int, said: str) -> None:
    """No run can begin, whether the holder lives or is silent; both say who it is."""
    place = workplace(*fleet(1))
    now = SystemClock().now()
    owner = {"holder": "anna@bastion", "run": "run-7", "since": now - 4000, "heartbeat": now + heartbeat}
    boto3.client("ssm").put_parameter(Name=LOCK, Value=json.dumps(owner), Type="String")
    answer = doctor(place, "--no-inspect")
    lock = found(answer, "lock")
    assert (lock["level"], answer.code) == (level, code)
    assert "anna@bastion" in lock["seen"]
    assert said in lock["todo"]


def test_what_lies_where_lock_and_key_should_be(workplace: Start) -> None:
    """Something else under their names is an error of the environment, told apart."""
    place = workplace(*fleet(1))
    ssm = boto3.client("ssm")
    ssm.put_parameter(Name=LOCK, Value="hello", Type="String")
    ssm.put_parameter(Name="/ecs-rollout/demo/key", Value="c2hvcnQ=", Type="SecureString")
    answer = doctor(place, "--no-inspect")
    assert answer.code == 4
    assert "not a lock" in found(answer, "lock")["seen"]
    assert "does not hold a key" in found(answer, "key")["seen"]
    ssm.delete_parameter(Name="/ecs-rollout/demo/key")
    ssm.delete_parameter(Name=LOCK)
    place.put_secret()
    place.rollout("run")
    after = doctor(place)
    assert found(after, "key")["seen"] == "The cluster's key is there."
    assert found(after, "lock")["seen"] == "Nobody holds the cluster."
    assert "runs: 1" in found(after, "journal")["seen"]


def test_where_the_credential_would_be_delivered(workplace: Start) -> None:
    """The default key is warned of, a customer key and the other stores are not; a bucket must be there."""
    place = workplace(*fleet(1))
    default = found(doctor(place, "--no-inspect"), "delivery")
    assert default["level"] == "warn"
    assert "default key" in default["seen"]
    assert "iam key" in default["todo"]
    assert found(doctor(place, "--no-inspect", "--kms-key", KEY), "delivery")["level"] == "ok"
    assert found(doctor(place, "--no-inspect", "--delivery", "secretsmanager"), "delivery")["level"] == "ok"
    in_s3 = ("--no-inspect", "--delivery", "s3", "--delivery-bucket", "payloads")
    missing = doctor(place, *in_s3)
    assert missing.code == 3
    assert found(missing, "delivery")["seen"] == "There is no bucket payloads."
    boto3.client("s3").create_bucket(Bucket="payloads")
    assert doctor(place, *in_s3).code == 0
    place.lab.access.enforce(policy_of(place))  # which allows no look at a bucket
    assert found(doctor(place, *in_s3), "delivery")["level"] == "ok"


def test_what_new_instances_boot_with(workplace: Start) -> None:
    """The boot configuration is there, holds this credential or another, and its bucket is fit for one."""
    place = workplace(*fleet(1))
    source = place.put_secret()
    where = ("--no-inspect", "--boot-config", "s3://conf/ecs.config")
    missing = doctor(place, *where)
    assert missing.code == 2
    assert "There is no s3://conf/ecs.config" in found(missing, "boot")["seen"]
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket="conf")
    s3.put_object(Bucket="conf", Key="ecs.config", Body=b"ECS_CLUSTER=demo\n")
    assert found(doctor(place, *where), "boot")["seen"] == "s3://conf/ecs.config is there."
    told = [each for each in doctor(place, *where, "--credential", source).report["checks"] if each["name"] == "boot"]
    assert [each["level"] for each in told] == ["warn", "warn"]
    assert "keeps no versions" in told[0]["seen"]
    assert "does not hold this credential" in told[1]["seen"]
    s3.put_bucket_versioning(Bucket="conf", VersioningConfiguration={"Status": "Enabled"})
    host = next(iter(place.lab.hosts.values()))
    assert place.rollout("run").code == 0
    s3.put_object(Bucket="conf", Key="ecs.config", Body=(host.root / "etc/ecs/ecs.config").read_bytes())
    holds = doctor(place, *where, "--credential", source)
    assert found(holds, "boot") == {
        **found(holds, "boot"),
        "level": "ok",
        "seen": "s3://conf/ecs.config holds this credential.",
    }


@pytest.mark.parametrize(
    ("content", "level", "code", "said", "registry"),
    [
        ('{"registry.example.com": ', "fail", 3, "JSON", "skip"),
        ('{"docker.io":{"username":"u","password":"p"}}', "fail", 3, "Docker Hub", "skip"),
        ('{"{}":{"username":"puller","password":"wrong"}}', "ok", 3, "ecs-docker", "fail"),
        ('{"{}":{"username":"puller","password":"new-password"}}', "ok", 0, "ecs-docker", "ok"),
    ],
)
def test_the_credential_and_its_registries(
    workplace: Start, content: str, level: str, code: int, said: str, registry: str
) -> None:
    """The lint's findings with their hints, and a real login at each registry; without a probe it says so."""
    place = workplace(*fleet(1))
    source = place.put_secret(content.replace("{}", place.lab.registry_name))
    answer = doctor(place, "--no-inspect", "--credential", source)
    assert answer.code == code
    assert found(answer, "credential")["level"] == level
    assert said in found(answer, "credential")["seen"]
    assert found(answer, "registry")["level"] == registry
    assert "wrong" not in answer.out
    unprobed = doctor(place, "--no-inspect", "--credential", source, "--no-probe")
    assert found(unprobed, "registry")["level"] == "skip"


def test_a_source_that_is_not_there(workplace: Start) -> None:
    """A secret that nobody has made is one failure among the other checks."""
    answer = doctor(workplace(*fleet(1)), "--no-inspect", "--credential", "secretsmanager:nothing")
    assert answer.code == 2
    assert "There is no secretsmanager:nothing" in found(answer, "credential")["seen"]


def test_a_journal_that_cannot_be_used(workplace: Start, tmp_path: Path) -> None:
    """A directory that is no directory, and a file that is no journal, are told before a run needs them."""
    place = workplace(*fleet(1))
    (tmp_path / "file").write_text("no journal, and long enough to be looked at" * 50)
    nowhere = doctor(place, "--no-inspect", "--journal", str(tmp_path / "file" / "journal.db"))
    assert nowhere.code == 4
    assert "cannot be written" in found(nowhere, "journal")["seen"]
    damaged = doctor(place, "--no-inspect", "--journal", str(tmp_path / "file"))
    assert damaged.code == 4
    assert "cannot be used" in found(damaged, "journal")["seen"]
    shared = doctor(place, "--no-inspect", "--state", "dynamodb:runs")
    assert shared.code == 4
    assert "runs" in found(shared, "journal")["seen"]
    assert place.cli("state", "init", "--state", "dynamodb:runs").code == 0
    assert (
        found(doctor(place, "--no-inspect", "--state", "dynamodb:runs"), "journal")["seen"] == "table runs (runs: 0)."
    )


def test_no_region(workplace: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a Region, or with one that is none, nothing at AWS can be asked; the rest is looked at."""
    place = workplace(*fleet(1))
    wrong = doctor(place, "--region", "nowhere one")
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    missing = doctor(place)
    for answer, said in ((wrong, "is not an AWS Region"), (missing, "No AWS Region")):
        assert answer.code == 2
        assert said in found(answer, "region")["seen"]
        assert [each["name"] for each in answer.report["checks"]] == ["region", "journal"]


def test_the_line_that_is_to_run_is_judged_as_it_is(workplace: Start) -> None:
    """Doctor takes the flags of run: who would lose a login is red, unless the line allows it."""
    place = workplace(*fleet(2))
    place.put_secret()
    line = ("--credential", "secretsmanager:registry", "--waves", "1,100%", "--max-failures", "1", "--kms-key", KEY)
    refused = doctor(place, *line)
    assert refused.code == 1
    (check,) = [each for each in refused.report["checks"] if each["level"] == "fail"]
    assert (check["name"], len(check["instances"])) == ("instances", 2)
    assert "--allow-removal" in check["todo"]
    assert doctor(place, *line, "--allow-removal").code == 0


def test_each_instance_s_readiness(workplace: Start, tmp_path: Path) -> None:
    """Whoever cannot be rolled is red with the reason, whoever is left out on purpose yellow, in 80 columns."""
    specs = fleet(8)
    place = workplace(
        specs[0],
        replace(specs[1], persistent=False),
        replace(specs[2], ssm=Ssm.CONNECTION_LOST),
        replace(specs[3], ssm=Ssm.UNREGISTERED),
        replace(specs[4], platform=Platform.WINDOWS),
        replace(specs[5], platform=Platform.BOTTLEROCKET),
        replace(specs[6], managed_instances=True),
        specs[7],
    )
    ecs = boto3.client("ecs")
    arns = ecs.list_container_instances(cluster="demo")["containerInstanceArns"]
    described = ecs.describe_container_instances(cluster="demo", containerInstances=arns)["containerInstances"]
    drained = [each["containerInstanceArn"] for each in described if each["ec2InstanceId"] == specs[7].instance_id]
    ecs.update_container_instances_state(cluster="demo", containerInstances=drained, status="DRAINING")
    answer = doctor(place, "--kms-key", KEY)
    assert answer.code == 1
    seen = {
        each["seen"].rpartition(" [")[2].rstrip("]"): (each["level"], each["instances"])
        for each in answer.report["checks"]
        if each["name"] in {"instances", "env file"} and each["instances"]
    }
    assert seen == {
        "ephemeral": ("fail", [specs[1].instance_id]),
        "ssm_offline": ("fail", [specs[2].instance_id]),
        "ssm_not_registered": ("fail", [specs[3].instance_id]),
        "windows": ("fail", [specs[4].instance_id]),
        "bottlerocket": ("fail", [specs[5].instance_id]),
        "managed_instances": ("fail", [specs[6].instance_id]),
        "draining_elsewhere": ("warn", [specs[7].instance_id]),
        "Everybody on the instance can read the credential in the agent's env file.": (
            "warn",
            [specs[0].instance_id, specs[1].instance_id],
        ),
    }
    drains = doctor(place, "--kms-key", KEY, "--on-ephemeral", "drain")
    assert "ephemeral" not in "".join(failures(drains))
    assert any("2 of 8 are ready" in each["seen"] for each in drains.report["checks"])
    table = place.cli("doctor", "--cluster", "demo", "--kms-key", "alias/registry")
    assert table.code == 1
    lines = [line for line in table.out.splitlines() if str(tmp_path) not in line]  # a long name is never broken
    assert max(len(line) for line in lines) <= 80
    assert [line.split()[0] for line in table.out.splitlines() if line[:1].strip()][:6] == ["fail"] * 6
    assert "A run would leave instances out (exit code 1)." in " ".join(table.out.split())
    assert "\x1b" not in table.out
