"""SendCommand accepts and refuses as AWS does, and the lists lag and page as AWS's do."""

import hashlib
import json
from collections.abc import Iterator, Mapping

import pytest

from orchestrator.lab.faults import ApiFaults
from orchestrator.lab.scenario import InstanceSpec, Platform, Ssm
from tests.lab.bench import Bench, bench, ended, instance_id, refused

UNKNOWN = "i-0dead0dead0dead00"


@pytest.fixture
def lab() -> Iterator[Bench]:
    with bench() as running:
        yield running


def document(**parameters: Mapping[str, object]) -> str:
    return json.dumps(
        {
            "schemaVersion": "2.2",
            "parameters": parameters,
            "mainSteps": [
                {
                    "name": "applyCredential",
                    "action": "aws:runShellScript",
                    "inputs": {"timeoutSeconds": "60", "runCommand": ["#!/bin/bash", "echo '{{ Word }}'"]},
                }
            ],
        }
    )


def test_one_unknown_instance_fails_the_whole_call(lab: Bench) -> None:
    """Nothing is sent to anybody when one id is unknown (F71)."""
    with refused("InvalidInstanceId", saying=UNKNOWN):
        lab.send([instance_id(0), UNKNOWN])
    lab.advance(1)
    assert lab.hosts[instance_id(0)].jobs == []
    assert lab.ssm_client.list_commands()["Commands"] == []


def test_a_lost_connection_is_accepted_an_unregistered_or_inactive_agent_is_not() -> None:
    """Only whom SSM does not know, or has given up, is refused (F71)."""
    with bench(3, i0=Ssm.CONNECTION_LOST, i1=Ssm.UNREGISTERED, i2=Ssm.INACTIVE) as lab:
        assert lab.send([instance_id(0)])
        for number in (1, 2):
            with refused("InvalidInstanceId"):
                lab.send([instance_id(number)])


def test_an_instance_given_twice_is_refused(lab: Bench) -> None:
    """The ids of one call are distinct."""
    with refused("DuplicateInstanceId"):
        lab.send([instance_id(0), instance_id(0)])


def test_windows_is_refused_for_a_shell_document() -> None:
    """A document says on which platforms it runs."""
    spec = InstanceSpec(instance_id=instance_id(0), platform=Platform.WINDOWS)
    with Bench((spec,), ApiFaults()) as lab, refused("UnsupportedPlatformType"):
        lab.send()


@pytest.mark.parametrize(
    ("wrong", "where"),
    [
        ({"InstanceIds": [f"i-{number:017x}" for number in range(51)]}, "instanceIds"),
        ({"Comment": "x" * 101}, "comment"),
        ({"TimeoutSeconds": 29}, "timeoutSeconds"),
        ({"TimeoutSeconds": 2_592_001}, "timeoutSeconds"),
        ({"MaxConcurrency": "0"}, "maxConcurrency"),
        ({"MaxErrors": "101%"}, "maxErrors"),
        ({"DocumentHashType": "Md5", "DocumentHash": "0"}, "documentHashType"),
        ({"DocumentVersion": "new"}, "documentVersion"),
        ({"DocumentName": None}, "documentName"),
    ],
)
def test_every_limit_of_the_input_is_enforced(lab: Bench, wrong: dict[str, object], where: str) -> None:
    """What the service model bounds, the lab bounds, with AWS's own error (F70)."""
    request: dict[str, object] = {
        "InstanceIds": [instance_id(0)],
        "DocumentName": "AWS-RunShellScript",
        "Parameters": {"commands": ["true"]},
    }
    # boto3's own check would stop some of these before they are sent.
    lax = lab.client("ssm", validate=False)
    given = {key: value for key, value in (request | wrong).items() if value is not None}
    with refused("ValidationException", saying=f"at '{where}"):
        lax.send_command(**given)


def test_fifty_instances_and_a_comment_of_a_hundred_are_fine() -> None:
    """The limits themselves are allowed (F70)."""
    with bench(50) as lab:
        command = lab.send(Comment="x" * 100, TimeoutSeconds=30)
        lab.advance(1)
        assert len(lab.rows(command)) == 50


def test_instances_or_targets_but_not_both(lab: Bench) -> None:
    """A command needs a place to go to, named in one way."""
    with refused("ValidationException"):
        lab.send([])
    with refused("ValidationException"):
        lab.send(InstanceIds=[instance_id(0)], Targets=[{"Key": "tag:Name", "Values": ["host-0"]}])


def test_targets_choose_by_tag_and_by_id(lab: Bench) -> None:
    """A target's values are alternatives, several targets must all hold."""
    named = lab.send(Targets=[{"Key": "tag:Name", "Values": ["host-1", "host-2"]}])
    both = lab.send(
        Targets=[
            {"Key": "InstanceIds", "Values": [instance_id(0), instance_id(1)]},
            {"Key": "tag:Name", "Values": ["host-1"]},
        ]
    )
    nobody = lab.send(Targets=[{"Key": "tag:Name", "Values": ["nobody"]}])
    assert list(lab.rows(named)) == [instance_id(1), instance_id(2)]
    assert list(lab.rows(both)) == [instance_id(1)]
    assert lab.command(nobody)["StatusDetails"] == "NoInstancesInTag"


def test_parameters_must_be_the_documents(lab: Bench) -> None:
    """An unknown parameter, a missing one and two values for a String are refused before anything runs."""
    lab.ssm_client.create_document(
        Name="say", DocumentType="Command", Content=document(Word={"type": "String", "allowedValues": ["a", "b"]})
    )
    for wrong in ({"Word": ["a"], "Other": ["x"]}, {}, {"Word": ["a", "b"]}, {"Word": ["c"]}):
        with refused("InvalidParameters"):
            lab.send(DocumentName="say", Parameters=wrong)
    assert lab.send(DocumentName="say", Parameters={"Word": ["b"]})


def test_version_and_hash_pin_the_content(lab: Bench) -> None:
    """A command runs the pinned version's text, or is refused when version or hash are not it (F70)."""
    first, second = (
        document(Word={"type": "String", "default": word, "allowedPattern": "^[a-z]+$"}) for word in ("old", "new")
    )
    lab.ssm_client.create_document(Name="say", DocumentType="Command", Content=first)
    lab.ssm_client.update_document(Name="say", DocumentVersion="$LATEST", Content=second)
    pin = hashlib.sha256(second.encode()).hexdigest()
    with refused("InvalidDocument"):
        lab.send(DocumentName="say", DocumentVersion="1", DocumentHash=pin, DocumentHashType="Sha256", Parameters={})
    with refused("InvalidDocumentVersion"):
        lab.send(DocumentName="say", DocumentVersion="3", Parameters={})
    with refused("InvalidDocument"):
        lab.send(DocumentName="unsaid", Parameters={})
    lab.send(
        [instance_id(0)],
        DocumentName="say",
        DocumentVersion="2",
        DocumentHash=pin,
        DocumentHashType="Sha256",
        Parameters={},
    )
    lab.send([instance_id(1)], DocumentName="say", Parameters={})
    lab.advance(1)
    assert lab.hosts[instance_id(0)].jobs[0].script == "#!/bin/bash\necho 'new'\n"
    assert lab.hosts[instance_id(1)].jobs[0].script == "#!/bin/bash\necho 'old'\n"


def test_lists_know_nothing_of_a_command_for_a_while() -> None:
    """After SendCommand the lists are empty and the invocation does not exist, though the script runs (F73)."""
    with bench(1, plan=ApiFaults(list_lag=(5.0, 5.0))) as lab:
        command = lab.send()
        lab.advance(4)
        assert lab.hosts[instance_id(0)].jobs
        assert lab.rows(command) == {}
        assert lab.ssm_client.list_commands(CommandId=command)["Commands"] == []
        with refused("InvocationDoesNotExist"):
            lab.ssm_client.get_command_invocation(CommandId=command, InstanceId=instance_id(0))
        lab.advance(1)
        assert lab.details(command) == ["Success"]


def test_invocations_come_in_pages_of_at_most_fifty() -> None:
    """A page has MaxResults rows, 50 at most and by default; a made-up token is refused (F72)."""
    with bench(50) as lab:
        lab.send()
        lab.send()
        listed = lab.ssm_client.list_command_invocations()
        assert len(listed["CommandInvocations"]) == 50
        assert listed["NextToken"]
        seen = [
            (row["CommandId"], row["InstanceId"])
            for page in lab.ssm_client.get_paginator("list_command_invocations").paginate(MaxResults=30)
            for row in page["CommandInvocations"]
        ]
        assert len(seen) == len(set(seen)) == 100
        with refused("ValidationException"):
            lab.ssm_client.list_command_invocations(MaxResults=51)
        with refused("InvalidNextToken"):
            lab.ssm_client.list_command_invocations(NextToken="made up")


def test_lists_are_filtered(lab: Bench) -> None:
    """Lists take instance, status, document and time."""
    lab.hosts[instance_id(1)].script = lambda _job: ended(code=1)
    command = lab.send()
    lab.advance(10)
    late = lab.send([instance_id(0)])
    lab.advance(1)
    failed = lab.rows(command, Filters=[{"key": "Status", "value": "Failed"}])
    assert list(failed) == [instance_id(1)]
    assert [row["CommandId"] for row in lab.ssm_client.list_commands()["Commands"]] == [late, command]
    assert len(lab.ssm_client.list_commands(InstanceId=instance_id(2))["Commands"]) == 1
    since = "2026-11-18T11:06:45Z"
    for key, expected in (("InvokedAfter", late), ("InvokedBefore", command)):
        listed = lab.ssm_client.list_commands(Filters=[{"key": key, "value": since}])["Commands"]
        assert [row["CommandId"] for row in listed] == [expected]
    none = lab.ssm_client.list_commands(Filters=[{"key": "DocumentName", "value": "other"}])["Commands"]
    assert none == []
    with refused("InvalidInstanceId"):
        lab.ssm_client.list_commands(InstanceId=UNKNOWN)


def test_output_comes_with_details_only(lab: Bench) -> None:
    """Without Details the list has no output; with it, the first line is there (F72)."""
    lab.hosts[instance_id(0)].script = lambda _job: ended('{"v":1}\nmore\n', stderr="careful\n")
    command = lab.send([instance_id(0)])
    lab.advance(1)
    assert lab.rows(command)[instance_id(0)]["CommandPlugins"] == []
    (plugin,) = lab.rows(command, Details=True)[instance_id(0)]["CommandPlugins"]
    assert plugin["Output"] == '{"v":1}\nmore\n\n----------ERROR-------\ncareful\n'
    assert plugin["ResponseCode"] == 0


def test_an_invocation_gives_24000_bytes_of_stdout_and_8000_of_stderr(lab: Bench) -> None:
    """GetCommandInvocation keeps the first bytes, the list's text is a tenth of that (F59)."""
    lab.hosts[instance_id(0)].script = lambda _job: ended("o" * 30_000, stderr="e" * 9_000)
    command = lab.send([instance_id(0)])
    lab.advance(1)
    got = lab.ssm_client.get_command_invocation(CommandId=command, InstanceId=instance_id(0))
    assert got["StandardOutputContent"] == "o" * 24_000
    assert got["StandardErrorContent"] == "e" * 8_000
    (plugin,) = lab.rows(command, Details=True)[instance_id(0)]["CommandPlugins"]
    assert 2300 < len(plugin["Output"]) <= 2500
    assert plugin["Output"].startswith("ooo")


def test_a_step_is_asked_for_by_a_name_of_four_letters_or_more(lab: Bench) -> None:
    """A step of another name is no step, a shorter one is not even looked for (F63)."""
    command = lab.send([instance_id(0)])
    lab.advance(1)
    ask = {"CommandId": command, "InstanceId": instance_id(0)}
    assert lab.ssm_client.get_command_invocation(**ask, PluginName="aws:runShellScript")["Status"] == "Success"
    with refused("InvalidPluginName"):
        lab.ssm_client.get_command_invocation(**ask, PluginName="other")
    with refused("ValidationException"):
        lab.client("ssm", validate=False).get_command_invocation(**ask, PluginName="abc")
    with refused("InvocationDoesNotExist"):
        lab.ssm_client.get_command_invocation(CommandId=command, InstanceId=instance_id(1))


def test_the_same_seed_gives_the_same_command_ids() -> None:
    """Two labs with one seed answer alike, so that a run can be repeated."""
    ids = []
    for _ in range(2):
        with bench(1) as lab:
            ids.append([lab.send(), lab.send()])
    assert ids[0] == ids[1]
    assert len(set(ids[0])) == 2
