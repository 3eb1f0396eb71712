"""Documents are stored, versioned, hashed and refused as SSM does it."""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.lab.bench import Bench, bench, refused

YAML = """schemaVersion: "2.2"
description: says it
parameters:
  Word:
    type: String
    default: hello
    description: what to say
mainSteps:
- name: sayIt
  action: aws:runShellScript
  inputs:
    runCommand:
    - echo '{{ Word }}'
"""


@pytest.fixture
def lab() -> Iterator[Bench]:
    with bench(1) as running:
        yield running


def create(lab: Bench, content: str = YAML, name: str = "say", **more: Any) -> dict[str, Any]:
    request = {"DocumentType": "Command", "DocumentFormat": "YAML"} | more
    created = lab.ssm_client.create_document(Name=name, Content=content, **request)
    described: dict[str, Any] = created["DocumentDescription"]
    return described


def test_a_document_is_described_with_the_hash_of_its_text(lab: Bench) -> None:
    """The hash is SHA-256 of the content as it was sent (F70)."""
    digest = hashlib.sha256(YAML.encode()).hexdigest()
    assert create(lab)["Hash"] == digest
    seen = lab.ssm_client.describe_document(Name="say")["Document"]
    assert (seen["Hash"], seen["HashType"], seen["Status"]) == (digest, "Sha256", "Active")
    assert (seen["DocumentVersion"], seen["DefaultVersion"], seen["LatestVersion"]) == ("1", "1", "1")
    assert seen["Parameters"] == [
        {"Name": "Word", "Type": "String", "Description": "what to say", "DefaultValue": "hello"}
    ]
    assert seen["PlatformTypes"] == ["Linux", "MacOS"]


def test_an_update_makes_a_version_and_leaves_the_default(lab: Bench) -> None:
    """Commands go on with the default version until it is moved."""
    create(lab)
    changed = YAML.replace("hello", "bye")
    updated = lab.ssm_client.update_document(
        Name="say", Content=changed, DocumentVersion="$LATEST", DocumentFormat="YAML", VersionName="v2"
    )["DocumentDescription"]
    assert (updated["DocumentVersion"], updated["DefaultVersion"]) == ("2", "1")
    lab.ssm_client.update_document_default_version(Name="say", DocumentVersion="2")
    versions = lab.ssm_client.list_document_versions(Name="say")["DocumentVersions"]
    assert [(row["DocumentVersion"], row["IsDefaultVersion"]) for row in versions] == [("2", True), ("1", False)]
    by_name = lab.ssm_client.describe_document(Name="say", VersionName="v2")["Document"]
    assert by_name["DocumentVersion"] == "2"


def test_updates_are_refused_as_ssm_refuses_them(lab: Bench) -> None:
    """The same content again, no version to update, a version that is not the latest, an unknown document."""
    create(lab)
    same = {"Name": "say", "Content": YAML, "DocumentFormat": "YAML"}
    with refused("DuplicateDocumentContent"):
        lab.ssm_client.update_document(**same, DocumentVersion="$LATEST")
    with refused("InvalidDocumentVersion"):
        lab.ssm_client.update_document(**same)
    with refused("InvalidDocumentVersion"):
        lab.ssm_client.update_document(**same, DocumentVersion="7")
    with refused("InvalidDocument"):
        lab.ssm_client.update_document(**(same | {"Name": "other"}), DocumentVersion="$LATEST")
    with refused("InvalidDocumentVersion"):
        lab.ssm_client.update_document_default_version(Name="say", DocumentVersion="2")


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("{", "InvalidDocumentContent"),
        (YAML.replace('"2.2"', "2.2"), "InvalidDocumentSchemaVersion"),
        (YAML.replace('"2.2"', '"9.9"'), "InvalidDocumentSchemaVersion"),
        ('schemaVersion: "2.2"\n', "InvalidDocumentContent"),
        (YAML.replace("type: String", "type: Number"), "InvalidDocumentContent"),
        (YAML + "# " + "x" * 65_536, "MaxDocumentSizeExceeded"),
    ],
)
def test_content_is_checked(lab: Bench, content: str, code: str) -> None:
    """What the service would not store is refused with its code; the schema version is a quoted text (F50, F63)."""
    with refused(code):
        create(lab, content)


def test_names_are_taken_once_and_not_from_amazon(lab: Bench) -> None:
    """A name exists once, and begins with no prefix that AWS keeps for itself (F63)."""
    create(lab)
    with refused("DocumentAlreadyExists"):
        create(lab)
    with refused("ValidationException"):
        create(lab, name="AWS-Mine")
    with refused("ValidationException"):
        create(lab, name="ab")
    with refused("InvalidDocumentOperation"):
        lab.ssm_client.delete_document(Name="AWS-RunShellScript")


def test_a_document_is_returned_as_json_unless_yaml_is_asked_for(lab: Bench) -> None:
    """GetDocument converts; only the published format gives the text byte for byte."""
    create(lab)
    assert lab.ssm_client.get_document(Name="say", DocumentFormat="YAML")["Content"] == YAML
    converted = lab.ssm_client.get_document(Name="say")
    assert converted["DocumentFormat"] == "JSON"
    assert json.loads(converted["Content"])["schemaVersion"] == "2.2"


def test_documents_are_listed_by_owner_and_name(lab: Bench) -> None:
    """Own documents and Amazon's are told apart; a name's beginning is enough."""
    for number in range(12):
        create(lab, name=f"say-{number:02}", Tags=[{"Key": "tool", "Value": "lab"}])

    def names(*filters: dict[str, Any]) -> list[str]:
        pages = lab.ssm_client.get_paginator("list_documents").paginate(Filters=list(filters), MaxResults=5)
        return [row["Name"] for page in pages for row in page["DocumentIdentifiers"]]

    assert len(names({"Key": "Owner", "Values": ["Self"]})) == 12
    assert names({"Key": "Owner", "Values": ["Amazon"]}) == ["AWS-RunShellScript"]
    assert names({"Key": "Name", "Values": ["say-1"]}) == ["say-10", "say-11"]
    assert len(names({"Key": "tag:tool", "Values": ["lab"]})) == 12
    assert names({"Key": "DocumentType", "Values": ["Automation"]}) == []
    with refused("InvalidFilterKey"):
        names({"Key": "Colour", "Values": ["red"]})


def test_a_deleted_document_is_gone(lab: Bench) -> None:
    """A whole document or one version; never the default one alone."""
    create(lab)
    lab.ssm_client.update_document(Name="say", Content=YAML + "\n", DocumentVersion="1", DocumentFormat="YAML")
    with refused("InvalidDocumentOperation"):
        lab.ssm_client.delete_document(Name="say", DocumentVersion="1")
    lab.ssm_client.delete_document(Name="say", DocumentVersion="2")
    with refused("InvalidDocumentVersion"):
        lab.ssm_client.describe_document(Name="say", DocumentVersion="2")
    lab.ssm_client.delete_document(Name="say")
    with refused("InvalidDocument"):
        lab.ssm_client.describe_document(Name="say")


def test_an_arn_names_a_document_too(lab: Bench) -> None:
    """Where AWS takes an ARN, so does the lab."""
    create(lab)
    arn = "arn:aws:ssm:us-east-1:123456789012:document/say"
    assert lab.ssm_client.describe_document(Name=arn)["Document"]["Name"] == "say"


def test_documents_have_tags_of_their_own(lab: Bench) -> None:
    """Tags of documents are the lab's, tags of parameters stay moto's."""
    create(lab, Tags=[{"Key": "a", "Value": "1"}])
    whose = {"ResourceType": "Document", "ResourceId": "say"}
    lab.ssm_client.add_tags_to_resource(**whose, Tags=[{"Key": "b", "Value": "2"}])
    lab.ssm_client.remove_tags_from_resource(**whose, TagKeys=["a"])
    assert lab.ssm_client.list_tags_for_resource(**whose)["TagList"] == [{"Key": "b", "Value": "2"}]
    with refused("InvalidResourceId"):
        lab.ssm_client.list_tags_for_resource(ResourceType="Document", ResourceId="other")
    lab.ssm_client.put_parameter(Name="/p", Value="x", Type="String", Tags=[{"Key": "c", "Value": "3"}])
    listed = lab.ssm_client.list_tags_for_resource(ResourceType="Parameter", ResourceId="/p")
    assert listed["TagList"] == [{"Key": "c", "Value": "3"}]
