"""The lab's own evaluation of policies, and what it finds that requests need."""

from collections.abc import Iterator
from typing import Any

import pytest

from orchestrator.lab.permissions import Need, Permissions, matches
from tests.lab.bench import Bench, bench, instance_id, refused

FIRST, SECOND = instance_id(0), instance_id(1)
ARN = "arn:aws:{}:us-east-1:123456789012:{}"


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Resource": "*", **each} for each in statements]}


@pytest.fixture
def lab() -> Iterator[Bench]:
    with bench(2) as running:
        yield running
        running.access.enforce(None)


@pytest.mark.parametrize(
    ("pattern", "text", "right"),
    [
        ("a*c", "abbc", True),
        ("a?c", "abc", True),
        ("a?c", "ac", False),
        ("a.c", "abc", False),
        ("a${*}c", "a*c", True),
        ("a${*}c", "abc", False),
        ("${$}{*}", "${x}", True),
        ("*", "", True),
        ("a", "A", False),
    ],
)
def test_wildcards(pattern: str, text: str, right: bool) -> None:  # noqa: FBT001 - pytest's parameter
    """Stars and question marks are wild, unless written as IAM escapes them."""
    assert matches(pattern, text) is right


def test_a_denial_beats_every_allowance() -> None:
    """Nothing is allowed that no statement allows, nor what one denies; actions are compared without case."""
    allowed = Permissions(policy({"Action": "ssm:Get*"}, {"Effect": "Deny", "Action": "ssm:GetDocument"}))
    assert allowed.allow(Need(action="SSM:getparameter"))
    assert not allowed.allow(Need(action="ssm:GetDocument"))
    assert not allowed.allow(Need(action="ssm:PutParameter"))


@pytest.mark.parametrize(
    ("operator", "context", "right"),
    [
        ("StringEquals", {"k": "v"}, True),
        ("StringEquals", {"K": "v"}, True),
        ("StringEquals", {"k": "w"}, False),
        ("StringEquals", {}, False),
        ("StringNotEquals", {"k": "v"}, False),
        ("StringNotEquals", {}, True),
        ("StringLike", {"k": "v"}, True),
        ("ArnLike", {}, False),
    ],
)
def test_conditions(operator: str, context: dict[str, str], right: bool) -> None:  # noqa: FBT001 - pytest's parameter
    """A key that the request lacks fails every operator but the negated one."""
    rules = Permissions(policy({"Action": "a:B", "Condition": {operator: {"k": ["v", "x"]}}}))
    assert rules.allow(Need(action="a:B", context=context)) is right


@pytest.mark.parametrize(
    "statement",
    [
        {"Action": "a:B", "NotResource": "*"},
        {"Action": "a:B", "Condition": {"DateLessThan": {"aws:CurrentTime": "2026"}}},
        {"Action": "a:B", "Effect": "Maybe"},
        {"Action": []},
    ],
)
def test_what_is_not_understood_is_refused(statement: dict[str, Any]) -> None:
    """A policy with something that the lab does not evaluate is an error, never half of a policy."""
    with pytest.raises(ValueError, match=r"not understood|neither"):
        Permissions(policy(statement))


def test_send_command_needs_document_and_instances(lab: Bench) -> None:
    """The document and every instance must be allowed; a refusal names action and resource as AWS does."""
    document, first = "arn:aws:ssm:us-east-1::document/AWS-RunShellScript", ARN.format("ec2", f"instance/{FIRST}")
    send = {"DocumentName": "AWS-RunShellScript", "Parameters": {"commands": ["true"]}}
    lab.access.enforce(policy({"Action": "ssm:SendCommand", "Resource": [document, first]}))
    lab.ssm_client.send_command(InstanceIds=[FIRST], **send)
    with refused("AccessDeniedException", saying=f"ssm:SendCommand on resource: {ARN.format('ec2', 'instance/')}"):
        lab.ssm_client.send_command(InstanceIds=[FIRST, SECOND], **send)
    with refused("AccessDeniedException", saying="ssm:SendCommand"):
        lab.ssm_client.send_command(Targets=[{"Key": "InstanceIds", "Values": [FIRST]}], **send)
    lab.access.enforce(policy({"Action": "ssm:SendCommand", "Resource": first}))
    with refused("AccessDeniedException", saying="document/AWS-RunShellScript"):
        lab.ssm_client.send_command(InstanceIds=[FIRST], **send)


def test_each_of_several_parameters_must_be_allowed(lab: Bench) -> None:
    """One name beside the allowed ones denies the whole call, and a version is no part of the name."""
    for name in ("/mine/a", "/mine/b", "/other"):
        lab.ssm_client.put_parameter(Name=name, Value="x", Type="String")
    actions = ["ssm:DeleteParameters", "ssm:GetParameter"]
    lab.access.enforce(policy({"Action": actions, "Resource": ARN.format("ssm", "parameter/mine/*")}))
    assert lab.ssm_client.get_parameter(Name="/mine/a:1")["Parameter"]["Value"] == "x"
    with refused("AccessDeniedException", saying="parameter/other"):
        lab.ssm_client.delete_parameters(Names=["/mine/a", "/other"])
    assert lab.ssm_client.delete_parameters(Names=["/mine/a", "/mine/b"])["DeletedParameters"]


def test_calls_that_moto_answers_are_checked_first(lab: Bench) -> None:
    """S3 and query services refuse in their own form, before anything has happened."""
    s3, sns = lab.client("s3"), lab.client("sns")
    s3.create_bucket(Bucket="things")
    lab.access.enforce(policy({"Action": "s3:GetObject", "Resource": "arn:aws:s3:::things/*"}))
    with refused("AccessDenied", saying="s3:PutObject on resource: arn:aws:s3:::things/a b"):
        s3.put_object(Bucket="things", Key="a b", Body=b"")
    with refused("AccessDenied", saying="s3:ListBucket"):
        s3.list_objects_v2(Bucket="things")
    with refused("AccessDenied", saying="sns:CreateTopic"):
        sns.create_topic(Name="x")
    assert lab.client("sts").get_caller_identity()["Account"] == "123456789012"  # needs no permission
    lab.access.enforce(None)
    assert s3.list_objects_v2(Bucket="things")["KeyCount"] == 0
    assert [action for _, action in lab.access.refusals] == ["s3:PutObject", "s3:ListBucket", "sns:CreateTopic"]


def test_customer_keys_are_needed_too(lab: Bench) -> None:
    """Storing under a customer key needs the key, in the context of what is stored; the default key needs nothing."""
    key = ARN.format("kms", "key/1")
    stored = ARN.format("ssm", "parameter/p")
    context = {"StringEquals": {"kms:EncryptionContext:PARAMETER_ARN": stored}}
    rights = {"Action": ["ssm:PutParameter", "ssm:GetParameter"]}
    lab.access.enforce(policy(rights))
    put = {"Value": "x", "Type": "SecureString", "Overwrite": True}
    lab.ssm_client.put_parameter(Name="/q", **put)
    with refused("AccessDeniedException", saying=f"kms:Encrypt on resource: {key}"):
        lab.ssm_client.put_parameter(Name="/p", KeyId="1", **put)
    lab.access.enforce(policy(rights, {"Action": "kms:Encrypt", "Resource": key, "Condition": context}))
    lab.ssm_client.put_parameter(Name="/p", KeyId="1", **put)
    with refused("AccessDeniedException", saying="kms:Encrypt"):
        lab.ssm_client.put_parameter(Name="/other", KeyId="1", **put)
    with refused("AccessDeniedException", saying="kms:GenerateDataKey"):
        lab.ssm_client.put_parameter(Name="/p", KeyId=key, Tier="Advanced", **put)
    with refused("AccessDeniedException", saying="kms:Decrypt"):
        lab.ssm_client.get_parameter(Name="/p", WithDecryption=True)
    assert lab.ssm_client.get_parameter(Name="/q", WithDecryption=True)["Parameter"]["Value"] == "x"
