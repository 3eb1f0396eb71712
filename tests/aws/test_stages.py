"""A secret's labels are read and moved as Secrets Manager does it, and nobody is overruled."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws

from orchestrator.aws.stages import SecretStages
from orchestrator.core.rotation import Versions
from orchestrator.errors import EnvironmentFault, RefusedError, UsageError

OLD, NEW, THIRD = (str(uuid.UUID(int=number)) for number in (1, 2, 3))


@pytest.fixture
def client() -> Iterator[Any]:
    with mock_aws():
        made = boto3.client("secretsmanager", region_name="eu-west-1")
        made.create_secret(Name="registry", SecretString="one", ClientRequestToken=OLD)
        made.put_secret_value(
            SecretId="registry", SecretString="two", ClientRequestToken=NEW, VersionStages=["AWSPENDING"]
        )
        yield made


def labels(client: Any) -> dict[str, list[str]]:
    found: dict[str, list[str]] = client.describe_secret(SecretId="registry")["VersionIdsToStages"]
    return {version: sorted(those) for version, those in found.items()}


def test_labels_are_read_and_moved(client: Any) -> None:
    """AWSCURRENT goes to the pending version, AWSPREVIOUS stays where it was, and reading tells the same."""
    stages = SecretStages(client, "registry")
    assert stages.versions() == Versions(current=OLD, pending=NEW)
    stages.promote(NEW, before=OLD)
    assert stages.versions() == Versions(current=NEW, pending=NEW)
    assert labels(client) == {OLD: ["AWSPREVIOUS"], NEW: ["AWSCURRENT", "AWSPENDING"]}


def test_a_label_that_was_moved_is_not_moved_again(client: Any) -> None:
    """Secrets Manager moves the label only from where we saw it: the loser of a race is told, and changes nothing."""
    stages = SecretStages(client, "registry")
    client.put_secret_value(SecretId="registry", SecretString="three", ClientRequestToken=THIRD)
    before = labels(client)
    with pytest.raises(RefusedError, match="a label or a version was moved or removed meanwhile"):
        stages.promote(NEW, before=OLD)
    assert labels(client) == before


def test_no_secret_is_one_error(client: Any) -> None:
    """A name that is not there ends with the usual words."""
    with pytest.raises(UsageError, match="There is no secret other"):
        SecretStages(client, "other").versions()


def stubbed() -> tuple[Any, Stubber]:
    made = boto3.client("secretsmanager", region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="b")
    return made, Stubber(made)


@pytest.mark.parametrize(("pending", "current", "stale"), [(1, 2, True), (2, 1, False), (1, 1, False)])
def test_an_older_pending_version_is_stale(pending: int, current: int, *, stale: bool) -> None:
    """A pending version that was created before the current one was passed over; the list of versions has pages."""
    client, stub = stubbed()
    moments = {NEW: datetime.fromtimestamp(pending, UTC), OLD: datetime.fromtimestamp(current, UTC)}
    stub.add_response("describe_secret", {"VersionIdsToStages": {OLD: ["AWSCURRENT"], NEW: ["AWSPENDING"]}})
    for number, (version, moment) in enumerate(moments.items()):
        further = {"NextToken": "more"} if number == 0 else {}
        asked = {"SecretId": "registry", **({"NextToken": "more"} if number else {})}
        stub.add_response(
            "list_secret_version_ids", {"Versions": [{"VersionId": version, "CreatedDate": moment}], **further}, asked
        )
    with stub:
        assert SecretStages(client, "registry").versions().stale is stale
    stub.assert_no_pending_responses()


def test_other_errors_keep_their_words() -> None:
    """What is not about a label is told as everywhere."""
    client, stub = stubbed()
    stub.add_client_error("update_secret_version_stage", "AccessDeniedException", "no")
    with stub, pytest.raises(EnvironmentFault, match="Not allowed: secretsmanager:UpdateSecretVersionStage"):
        SecretStages(client, "registry").promote(NEW, before=OLD)
