"""The policies as values: narrow, whole, in every partition; and what the command line says about them."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import orchestrator.aws
from orchestrator.cli.main import invoke
from orchestrator.core.iam import Place, controller_policy, instance_policy, key_policy, publisher_policy
from orchestrator.core.iam_document import IamPolicy
from orchestrator.core.iam_draining import drain_statements
from orchestrator.core.iam_journal import keeps_journal, makes_table
from orchestrator.core.iam_unattended import Extras, extra_statements
from orchestrator.core.metrics import parse_meter
from orchestrator.core.notices import parse_target
from orchestrator.core.payload import Store
from orchestrator.core.source import S3Source, SecretsManagerSource, Source, parse_source
from orchestrator.lab.permissions import Need, Permissions

ACCOUNT = "123456789012"
KEY = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/k"
SOURCES = ("secretsmanager:registry", "ssm:/team/login:3", "s3://team/k", "s3://team/k?versionId=1", "file:/x", "-")


def place(**changes: str | Store) -> Place:
    return Place(**{"account": ACCOUNT, "region": "us-east-1", "cluster": "web", **changes})  # type: ignore[arg-type]


TARGETS = ("sns:arn:aws:sns:us-east-1:123456789012:night", "eventbridge:default", "webhook:ssm:/team/hook")
EXTRAS = Extras(
    notify=[parse_target(each) for each in TARGETS],
    metrics=[parse_meter("cloudwatch:team/registry")],
    boot_configs=[S3Source(bucket="conf", key="ecs.config")],
    boot_key=KEY,
    rotates=SecretsManagerSource(name="registry"),
)
UNNARROWED = ("FindCopies", "FollowCommands", "LookAtGroups", "ReadUserData")
"""Statements whose actions know no resource."""


def every_policy() -> list[IamPolicy]:
    places = [place(delivery=store, bucket="b", kms_key=key) for store in Store for key in ("", KEY)]
    sources: list[Source] = [parse_source(text) for text in SOURCES]
    found = [
        controller_policy(each, source=source, source_key=KEY, gates=True) for each in places for source in sources
    ]
    found += [IamPolicy(statements=extra_statements(each, EXTRAS)) for each in places]
    found += [IamPolicy(statements=drain_statements(each)) for each in places]
    found += [IamPolicy(statements=(keeps_journal(each, "t"), makes_table(each, "t"))) for each in places]
    return [*found, *(publisher_policy(each) for each in places), *(instance_policy(each) for each in places)]


def test_the_policies_name_what_the_code_calls() -> None:
    """Each action that the adapters name is in a policy, and each action in a policy is named by an adapter."""
    texts = [path.read_text() for path in Path(str(orchestrator.aws.__file__)).parent.glob("*.py")]
    called = {
        action
        for text in texts
        for action in re.findall(
            r'"((?:autoscaling|cloudwatch|dynamodb|ec2|events|ssm|ecs|secretsmanager|s3|sns):[A-Z]\w+)"', text
        )
    }
    allowed = {action for policy in every_policy() for action in policy.actions}
    # A pinned version of an object is an action of its own, tags go along with an object, KMS is called by the stores.
    plain = {action.removesuffix("Version") if action.startswith("s3:") else action for action in allowed}
    plain.discard("s3:PutObjectTagging")
    called.discard("s3:ListBucket")  # doctor's look at a bucket: a denial is an answer, too
    assert {action for action in plain if not action.startswith("kms:")} == called


def test_everything_that_can_be_narrowed_is() -> None:
    """Any resource is only what AWS cannot narrow; nothing has a wildcard for an action, a Region or an account."""
    for policy in every_policy():
        for each in policy.statements:
            assert not any("*" in action for action in each.actions)
            if each.resources == ("*",):
                assert each.sid in UNNARROWED or (each.sid == "PutMetrics" and each.conditions)
                continue
            for resource in each.resources:
                _, partition, service, region, account, name = resource.split(":", 5)
                assert partition == "aws"
                assert (region, account) == (("", "") if service == "s3" else ("us-east-1", ACCOUNT))
                assert name != "*"


def test_every_policy_is_whole() -> None:
    """Sids are unique and alphanumeric, as IAM wants them, and a managed policy's 6,144 characters are enough."""
    for policy in every_policy():
        sids = [each.sid for each in policy.statements]
        assert len(set(sids)) == len(sids)
        assert all(sid.isalnum() for sid in sids)
        assert len(json.dumps(policy.document(), separators=(",", ":"))) < 6144


@pytest.mark.parametrize("store", Store)
@pytest.mark.parametrize(("partition", "domain"), [("aws-cn", "amazonaws.com.cn"), ("aws-us-gov", "amazonaws.com")])
def test_other_partitions(store: Store, partition: str, domain: str) -> None:
    """In every partition the ARNs are its own, and the stores' names for KMS, too."""
    there = place(partition=partition, delivery=store, bucket="b", kms_key=KEY.replace("arn:aws:", f"arn:{partition}:"))
    text = json.dumps([controller_policy(there).document(), instance_policy(there).document()])
    assert "arn:aws:" not in text
    assert f"{store}.us-east-1.{domain}" in text


def test_an_instance_gets_its_own_clusters_payloads() -> None:
    """The instances' role reads payloads of its cluster; not the lock, the key or another cluster's payloads."""
    policy = Permissions(instance_policy(place()).document())

    def may(path: str) -> bool:
        return policy.allow(
            Need(action="ssm:GetParameter", resource=f"arn:aws:ssm:us-east-1:{ACCOUNT}:parameter{path}")
        )

    assert may("/ecs-rollout/web/payload/run-1")
    assert not any(may(f"/ecs-rollout/{path}") for path in ("web/key", "web/lock/1", "web2/payload/run-1", "payload/x"))


def test_the_controller_cannot_read_deliveries_or_replace_the_key() -> None:
    """What it delivered it need not read again, and the key for generations is made once."""
    policy = Permissions(controller_policy(place()).document())
    path = f"arn:aws:ssm:us-east-1:{ACCOUNT}:parameter/ecs-rollout/web"
    assert not policy.allow(Need(action="ssm:GetParameter", resource=f"{path}/payload/run-1"))
    for overwrite, allowed in (("true", False), ("false", True)):
        need = Need(action="ssm:PutParameter", resource=f"{path}/key", context={"ssm:Overwrite": overwrite})
        assert policy.allow(need) is allowed


@given(st.text("ab*?$/{}", min_size=1), st.text("ab*?$/{}", min_size=1))
def test_an_objects_name_is_no_pattern(wanted: str, other: str) -> None:
    """Whatever characters an object's name has, the policy allows that object and no other."""
    document = controller_policy(place(), source=S3Source(bucket="b", key=wanted)).document()
    need = Need(action="s3:GetObject", resource=f"arn:aws:s3:::b/{other}")
    assert Permissions(document).allow(need) is (wanted == other)


@pytest.mark.parametrize(
    ("source", "resources"),
    [
        ("secretsmanager:team/x", [f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:team/x-??????"]),
        ("ssm:/team/x:7", [f"arn:aws:ssm:us-east-1:{ACCOUNT}:parameter/team/x"]),
        ("ssm:x", [f"arn:aws:ssm:us-east-1:{ACCOUNT}:parameter/x"]),
        ("ssm:arn:aws:ssm:eu-west-1:1:parameter/x:7", ["arn:aws:ssm:eu-west-1:1:parameter/x"]),
        ("ssm:arn:aws:ssm:eu-west-1:1:parameter/x", ["arn:aws:ssm:eu-west-1:1:parameter/x"]),
        (
            "secretsmanager:arn:aws:secretsmanager:eu-west-1:1:secret:x-abc123",
            [f"arn:aws:secretsmanager:eu-west-1:1:secret:x-abc123{end}" for end in ("", "-??????")],
        ),
    ],
)
def test_a_source_is_named_exactly(source: str, resources: list[str]) -> None:
    """A name or an ARN, with or without a version, becomes the ARN that AWS checks."""
    statements = controller_policy(place(), source=parse_source(source)).statements
    assert [list(each.resources) for each in statements if each.sid == "ReadCredential"] == [resources]


def test_the_keys_policy_leaves_its_use_to_nobody_else() -> None:
    """The account may administer the key but not use it; the two roles may use it only for the cluster's payloads."""
    roles = {name: f"arn:aws:iam::{ACCOUNT}:role/{name}" for name in ("controller", "instance")}
    policy = Permissions(key_policy(place(), **roles).document())
    root = f"arn:aws:iam::{ACCOUNT}:root"
    context = {
        "kms:ViaService": "ssm.us-east-1.amazonaws.com",
        "kms:EncryptionContext:PARAMETER_ARN": f"arn:aws:ssm:us-east-1:{ACCOUNT}:parameter/ecs-rollout/web/payload/r",
    }
    other = {**context, "kms:EncryptionContext:PARAMETER_ARN": f"arn:aws:ssm:us-east-1:{ACCOUNT}:parameter/else"}
    assert policy.allow(Need(action="kms:PutKeyPolicy"), principal=root)
    assert not policy.allow(Need(action="kms:Decrypt", context=context), principal=root)
    assert policy.allow(Need(action="kms:Decrypt", context=context), principal=roles["instance"])
    assert not policy.allow(Need(action="kms:Decrypt", context=other), principal=roles["instance"])
    assert not policy.allow(Need(action="kms:Decrypt", context=context), principal=roles["controller"])


BASE = ("iam", "controller", "--account", ACCOUNT, "--region", "us-east-1")


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def test_policies_are_printed_without_credentials(capsys: pytest.CaptureFixture[str]) -> None:
    """With --account and --region nothing is asked of AWS, and stdout is the JSON alone."""
    assert invoke((*BASE, "--cluster", "web", "--credential", "-", "--instance-tag", "Team=web")) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["Version"] == "2012-10-17"
    tagged = next(each for each in document["Statement"] if each["Sid"] == "SendToInstances")
    assert tagged["Condition"] == {"StringEquals": {"ssm:resourceTag/Team": "web"}}


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        ((*BASE, "--cluster", "arn:aws:ecs:us-east-1:1:cluster/web"), 2, "not a cluster's name"),
        ((*BASE, "--cluster", "*"), 2, "not a cluster's name"),
        ((*BASE, "--account", "12"), 2, "not an account's id"),
        ((*BASE, "--region", "nowhere"), 2, "not an AWS Region"),
        ((*BASE, "--kms-key", "alias/team"), 2, "neither the id nor the ARN"),
        ((*BASE, "--delivery", "s3"), 2, "--delivery-bucket"),
        ((*BASE, "--delivery-bucket", "b"), 2, "--delivery-bucket"),
        ((*BASE, "--instance-tag", "Team"), 2, "not a tag"),
        ((*BASE, "--credential", "hunter2"), 2, "source"),
        (("iam", "key", *BASE[2:], "--controller-role", "x", "--instance-role", "y"), 2, "not a role's ARN"),
        (("iam", "instance", "--region", "us-east-1"), 4, "No AWS credentials"),
    ],
)
def test_bad_terms_are_one_error(
    arguments: tuple[str, ...], code: int, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Terms that make no policy are refused by name, and nothing is printed."""
    assert invoke(arguments) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert expected in captured.err.splitlines()[0]
    assert captured.err.splitlines()[1].startswith("hint: ")
