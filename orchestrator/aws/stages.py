"""The staging labels of a secret behind the port `Stages`: read, and AWSCURRENT moved."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from orchestrator.aws.session import code_of, translated
from orchestrator.core.rotation import CURRENT, PENDING, Versions
from orchestrator.errors import RefusedError, UsageError

if TYPE_CHECKING:
    from datetime import datetime

    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_secretsmanager.type_defs import ListSecretVersionIdsResponseTypeDef

_NOT_THERE = frozenset({"InvalidParameterException", "ResourceNotFoundException"})


@dataclass(frozen=True, slots=True)
class SecretStages:
    """The labels of the secret with this name or ARN."""

    client: "SecretsManagerClient"
    secret: str

    def versions(self) -> Versions:
        """Read where the labels are: one call, and more where a version is pending. Raises UsageError for no secret."""
        with translated("secretsmanager:DescribeSecret"):
            try:
                labels = self.client.describe_secret(SecretId=self.secret).get("VersionIdsToStages", {})
            except ClientError as error:
                if code_of(error) == "ResourceNotFoundException":
                    raise UsageError(
                        f"There is no secret {self.secret} in {self.client.meta.region_name}.",
                        hint="Check the name, the account and --region.",
                    ) from error
                raise
        at = {label: version for version, those in labels.items() for label in those}
        current, pending = at.get(CURRENT, ""), at.get(PENDING, "")
        stale = bool(current and pending) and current != pending and self._older(pending, current)
        return Versions(current=current, pending=pending, stale=stale)

    def _older(self, one: str, other: str) -> bool:
        """Say whether a version was created before another: then that one has passed it over."""
        made: dict[str, datetime] = {}
        with translated("secretsmanager:ListSecretVersionIds"):
            page = self.client.list_secret_version_ids(SecretId=self.secret)
            made |= _made(page)
            while page.get("NextToken"):
                page = self.client.list_secret_version_ids(SecretId=self.secret, NextToken=page["NextToken"])
                made |= _made(page)
        return one in made and other in made and made[one] < made[other]

    def promote(self, version: str, *, before: str) -> None:
        """Move AWSCURRENT from one version to another; Secrets Manager leaves AWSPREVIOUS behind.

        It does so only while the label is at `before`. Raises RefusedError where it is not.
        """
        came_from = {"RemoveFromVersionId": before} if before else {}
        with translated("secretsmanager:UpdateSecretVersionStage"):
            try:
                self.client.update_secret_version_stage(
                    SecretId=self.secret, VersionStage=CURRENT, MoveToVersionId=version, **came_from
                )
            except ClientError as error:
                if code_of(error) not in _NOT_THERE:
                    raise
                raise RefusedError(
                    f"{CURRENT} of {self.secret} could not be moved to {version}: a label or a version was moved"
                    " or removed meanwhile.",
                    hint="Look at the secret's labels; the next rotation follows them.",
                ) from error


def _made(page: "ListSecretVersionIdsResponseTypeDef") -> dict[str, "datetime"]:
    return {each["VersionId"]: each["CreatedDate"] for each in page["Versions"]}
