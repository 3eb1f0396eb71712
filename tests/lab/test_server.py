"""The endpoint speaks AWS's protocol, hands moto what is moto's, and remembers everything."""

import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest

from orchestrator.lab.faults import ApiFaults
from orchestrator.lab.shapes import shapes_of
from orchestrator.lab.wire import AwsError
from tests.lab.bench import Bench, bench, instance_id, refused

CANARY = "canary-7f3a9c"


@pytest.fixture
def lab() -> Iterator[Bench]:
    with bench(1) as running:
        yield running


def raw(lab: Bench, target: str, body: bytes, *, signed: bool = True) -> tuple[int, dict[str, Any]]:
    """Send a request that boto3 would never send."""
    connection = http.client.HTTPConnection("127.0.0.1", lab.server.port)
    headers = {"X-Amz-Target": target, "Content-Type": "application/x-amz-json-1.1"}
    if signed:
        headers["Authorization"] = "AWS4-HMAC-SHA256 Credential=AKIAX/20261124/us-east-1/ssm/aws4_request"
    connection.request("POST", "/", body, headers)
    response = connection.getresponse()
    answered = response.status, json.loads(response.read())
    connection.close()
    return answered


def test_parameters_live_in_moto(lab: Bench) -> None:
    """SecureStrings have versions, and one version can be asked for; the lab sees every byte (F90)."""
    lab.ssm_client.put_parameter(Name="/a/b", Value="one", Type="SecureString")
    lab.ssm_client.put_parameter(Name="/a/b", Value="two", Type="SecureString", Overwrite=True)
    got = lab.ssm_client.get_parameter(Name="/a/b:1", WithDecryption=True)["Parameter"]
    assert (got["Value"], got["Version"]) == ("one", 1)
    with refused("ParameterNotFound"):
        lab.ssm_client.get_parameter(Name="/a/c")
    with refused("ParameterAlreadyExists"):
        lab.ssm_client.put_parameter(Name="/a/b", Value="three", Type="SecureString")


def test_secrets_live_in_moto(lab: Bench) -> None:
    """Versions and stages of a secret (F90)."""
    secrets = lab.client("secretsmanager")
    secrets.create_secret(Name="registry", SecretString="old")
    new = secrets.put_secret_value(SecretId="registry", SecretString="new", VersionStages=["AWSPENDING"])
    assert secrets.get_secret_value(SecretId="registry")["SecretString"] == "old"
    pending = secrets.get_secret_value(SecretId="registry", VersionStage="AWSPENDING")
    assert (pending["SecretString"], pending["VersionId"]) == ("new", new["VersionId"])
    with refused("ResourceNotFoundException"):
        secrets.get_secret_value(SecretId="other")


def test_objects_live_in_moto(lab: Bench) -> None:
    """S3 with versions, odd keys, HEAD, and conditional writes (F90)."""
    s3 = lab.client("s3")
    s3.create_bucket(Bucket="payloads")
    s3.put_bucket_versioning(Bucket="payloads", VersioningConfiguration={"Status": "Enabled"})
    key = "run 1/ä+ü.txt"
    first = s3.put_object(Bucket="payloads", Key=key, Body=b"one")["VersionId"]
    s3.put_object(Bucket="payloads", Key=key, Body=b"twelve")
    assert s3.get_object(Bucket="payloads", Key=key, VersionId=first)["Body"].read() == b"one"
    assert s3.head_object(Bucket="payloads", Key=key)["ContentLength"] == 6
    with refused("PreconditionFailed"):
        s3.put_object(Bucket="payloads", Key=key, Body=b"x", IfNoneMatch="*")


def test_other_protocols_reach_moto_too(lab: Bench) -> None:
    """Query and DynamoDB's JSON: conditional writes, topics, alarms, instances, identity (F90)."""
    table = lab.client("dynamodb")
    table.create_table(
        TableName="locks",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    item = {"TableName": "locks", "Item": {"id": {"S": "1"}}, "ConditionExpression": "attribute_not_exists(id)"}
    table.put_item(**item)
    with refused("ConditionalCheckFailedException"):
        table.put_item(**item)
    assert lab.client("sns").create_topic(Name="runs")["TopicArn"].endswith(":123456789012:runs")
    assert lab.client("cloudwatch").describe_alarms()["MetricAlarms"] == []
    assert lab.client("ec2").describe_instances()["Reservations"] == []
    assert lab.client("sts").get_caller_identity()["Account"] == "123456789012"


def test_every_lab_begins_empty() -> None:
    """What one lab stored is not in the next."""
    with bench(1) as lab:
        lab.ssm_client.put_parameter(Name="/left", Value="x", Type="String")
    with bench(1) as lab, refused("ParameterNotFound"):
        lab.ssm_client.get_parameter(Name="/left")


def test_an_unsigned_request_is_refused(lab: Bench) -> None:
    """AWS answers nobody without a signature."""
    status, body = raw(lab, "AmazonSSM.DescribeInstanceInformation", b"{}", signed=False)
    assert (status, body["__type"]) == (403, "MissingAuthenticationTokenException")


@pytest.mark.parametrize(
    ("target", "body", "code"),
    [
        ("AmazonSSM.SendCommand", b"{", "SerializationException"),
        ("AmazonSSM.SendCommand", b"[]", "SerializationException"),
        ("AmazonSSM.ListCommandInvocations", b'{"Details": "yes"}', "ValidationException"),
        ("AmazonSSM.ListCommandInvocations", b'{"MaxResults": true}', "ValidationException"),
        ("AmazonSSM.SendTelegram", b"{}", "UnknownOperationException"),
    ],
)
def test_a_malformed_request_is_named(lab: Bench, target: str, body: bytes, code: str) -> None:
    """Bad JSON, wrong types and unknown operations have AWS's error codes."""
    status, answer = raw(lab, target, body)
    assert (status, answer["__type"]) == (400, code)


def test_a_null_member_and_an_unknown_one_are_ignored(lab: Bench) -> None:
    """AWS's JSON protocol takes null for absent and skips what it does not know."""
    status, answer = raw(lab, "AmazonSSM.ListCommands", b'{"CommandId": null, "Unheard": 1}')
    assert (status, answer) == (200, {"Commands": []})


def test_parameters_are_validated_before_moto_sees_them(lab: Bench) -> None:
    """The model's limits hold for moto's operations of our services too."""
    with refused("ValidationException", saying="at 'name'"):
        lab.ssm_client.get_parameter(Name="x" * 2049)


def test_the_recorder_holds_both_directions(lab: Bench) -> None:
    """Requests and responses, moto's included, can be searched for a secret, each with where it was."""
    lab.ssm_client.put_parameter(Name="/secret", Value=CANARY, Type="SecureString")
    lab.ssm_client.get_parameter(Name="/secret", WithDecryption=True)
    lab.send([instance_id(0)], Comment=f"oops {CANARY}")
    lab.advance(1)
    found = {where.split(" ", 1)[1] for where, text in lab.server.recorder.chunks() if CANARY.encode() in text}
    assert found == {
        "PutParameter request body",
        "GetParameter response body",
        "SendCommand request body",
        "SendCommand response body",
    }
    (sent,) = lab.server.recorder.of("SendCommand")
    assert (sent.status, sent.method, sent.caller) == (200, "POST", "AKIALABLABLABLABLAB0")


class WrongEcs:
    """An engine with a bug in its reply, and one in itself."""

    async def handle(self, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        if operation == "ListServices":
            raise KeyError(operation, params)
        return {"clusterArns": ["arn", None], "extra": 1}


def test_a_reply_that_breaks_its_shape_is_a_fault_of_the_lab() -> None:
    """A slip, or an exception, reaches the caller under a name of its own and stays on record."""
    with Bench((), ApiFaults(), ecs=WrongEcs()) as lab:
        ecs = lab.client("ecs")
        with refused("LabFault", saying="'extra' is not a member"):
            ecs.list_clusters()
        with refused("LabFault", saying="KeyError"):
            ecs.list_services()
        assert len(lab.server.slips) == 2
        lab.server.slips.clear()


def test_errors_carry_their_text_where_the_model_has_it() -> None:
    """Some models say `Message`, some `message`; boto3 reads the modelled one."""
    assert shapes_of("ssm").error_message_key("InvalidDocument") == "Message"
    assert shapes_of("ecs").error_message_key("ClusterNotFoundException") == "message"
    assert shapes_of("ecs").error_message_key("ThrottlingException") == "message"


def test_several_problems_are_counted() -> None:
    """AWS lists every constraint that failed."""
    with pytest.raises(AwsError, match="2 validation errors detected") as caught:
        shapes_of("ssm").check_input("GetCommandInvocation", {"CommandId": "short"})
    assert "'instanceId'" in caught.value.message


def test_a_bounded_recorder_says_what_it_dropped() -> None:
    """A scan can insist that nothing is missing."""
    with bench(1) as lab:
        recorder = lab.server.recorder
        lab.ssm_client.list_commands()
        assert (len(recorder.exchanges), recorder.dropped) == (1, 0)
        recorder.budget = 3000
        for _ in range(5):
            lab.ssm_client.list_commands()
        assert recorder.dropped == 4
        recorder.clear()
        assert recorder.exchanges == ()
