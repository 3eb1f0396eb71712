"""Our three SSM documents: publish them, and pin what a run sends to a version whose content is ours (F70)."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

import yaml
from botocore.exceptions import ClientError

from orchestrator.aws.session import code_of, translated
from orchestrator.core.result import Op
from orchestrator.errors import RefusedError

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

_MISSING = "InvalidDocument"
_SAME = "DuplicateDocumentContent"


@dataclass(frozen=True, slots=True)
class Pin:
    """A document at an exact version, with the Sha256 hash that AWS gives for it."""

    name: str
    version: str
    digest: str


@dataclass(frozen=True, slots=True)
class Published:
    """What `publish` did with one document: `created`, `updated` or `unchanged`."""

    name: str
    version: str
    what: str


def name_of(prefix: str, op: Op) -> str:
    """Name a document under the prefix."""
    return f"{prefix}-{op}"


class Documents:
    """The documents of one account and Region under one name prefix. `texts`: our own content by document."""

    def __init__(self, *, client: "SSMClient", prefix: str, texts: Mapping[Op, str]) -> None:
        self._client = client
        self._prefix = prefix
        self._texts = texts

    def publish(self) -> list[Published]:
        """Create or update each, and make ours the default version. Doing it twice changes nothing."""
        return [self._publish(op) for op in Op]

    def pins(self) -> dict[Op, Pin]:
        """Find the default version of each and check that its content is ours.

        Raises RefusedError for a document that is missing or holds other content.
        """
        return {op: self._pin(op) for op in Op}

    def check(self) -> list[tuple[str, str]]:
        """Say of each document whether it is `unchanged`, `missing` or `different`."""
        states = []
        for op in Op:
            name = name_of(self._prefix, op)
            content = self._content(name)
            state = "missing" if content is None else "unchanged" if self._is_ours(op, content) else "different"
            states.append((name, state))
        return states

    def _publish(self, op: Op) -> Published:
        name = name_of(self._prefix, op)
        found = self._described(name)
        if found is None:
            with translated("ssm:CreateDocument"):
                answer = self._client.create_document(
                    Name=name,
                    Content=self._texts[op],
                    DocumentType="Command",
                    DocumentFormat="YAML",
                    TargetType="/AWS::EC2::Instance",
                )
            return Published(name, answer["DocumentDescription"]["DocumentVersion"], "created")
        if self._is_ours(op, self._content(name, found.version) or ""):
            return Published(name, found.version, "unchanged")
        version = self._update(op, name)
        with translated("ssm:UpdateDocumentDefaultVersion"):
            self._client.update_document_default_version(Name=name, DocumentVersion=version)
        return Published(name, version, "updated")

    def _update(self, op: Op, name: str) -> str:
        try:
            answer = self._client.update_document(
                Name=name, Content=self._texts[op], DocumentFormat="YAML", DocumentVersion="$LATEST"
            )
        except ClientError as error:
            if code_of(error) != _SAME:
                with translated("ssm:UpdateDocument"):
                    raise
            with translated("ssm:ListDocumentVersions"):  # our content is an older version already
                pages = self._client.get_paginator("list_document_versions").paginate(Name=name)
                for page in pages:
                    for each in page["DocumentVersions"]:
                        if self._is_ours(op, self._content(name, each["DocumentVersion"]) or ""):
                            return each["DocumentVersion"]
            raise
        return answer["DocumentDescription"]["DocumentVersion"]

    def _pin(self, op: Op) -> Pin:
        name = name_of(self._prefix, op)
        publish = "Run `ecs-rollout documents publish` (it never removes a version)."
        pin = self._described(name)
        if pin is None:
            raise RefusedError(f"The document {name} is not published in this account and Region.", hint=publish)
        # The same hash is the same text. Another one may mean the same: as JSON, or where AWS keeps YAML otherwise.
        same = pin.digest == sha256(self._texts[op].encode()).hexdigest()
        if not (same or self._is_ours(op, self._content(name, pin.version) or "")):
            raise RefusedError(
                f"The document {name} holds other content than this version of ecs-rollout.",
                hint=f"Find out who changed it. {publish}",
            )
        return pin

    def _described(self, name: str) -> Pin | None:
        """Pin a document's default version; None where there is no such document."""
        with translated("ssm:DescribeDocument"):
            try:
                found = self._client.describe_document(Name=name)["Document"]
            except ClientError as error:
                if code_of(error) == _MISSING:
                    return None
                raise
        return Pin(name, found["DocumentVersion"], found["Hash"])

    def _content(self, name: str, version: str = "$DEFAULT") -> str | None:
        with translated("ssm:GetDocument"):
            try:
                return self._client.get_document(Name=name, DocumentVersion=version, DocumentFormat="YAML")["Content"]
            except ClientError as error:
                if code_of(error) == _MISSING:
                    return None
                raise

    def _is_ours(self, op: Op, content: str) -> bool:
        """Compare what the texts mean, not their form: AWS may give YAML back in another layout."""
        try:
            return bool(yaml.safe_load(content) == yaml.safe_load(self._texts[op]))
        except yaml.YAMLError:
            return False
