"""A document and its versions, and how the API describes them (F50, F63, F70)."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from orchestrator.lab import agent_document
from orchestrator.lab.wire import AwsError

COMMAND = "Command"
_SCHEMAS = frozenset({"1.0", "1.2", "2.0", "2.0.1", "2.0.2", "2.0.3", "2.2"})
_LINUX = ["Linux", "MacOS"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of a document: its text never changes."""

    number: str
    content: str
    format: str
    name: str = ""
    created: float

    @property
    def sha256(self) -> str:
        """The hash by which SendCommand pins this content."""
        return hashlib.sha256(self.content.encode()).hexdigest()

    @property
    def platforms(self) -> tuple[str, ...]:
        """The platform types on which SendCommand accepts this content."""
        return tuple(platforms_in(self.parsed()))

    def parsed(self) -> dict[str, Any]:
        """Return the document as plain values."""
        return agent_document.parse(self.content)


@dataclass(slots=True, kw_only=True)
class Document:
    """A named document and its versions, oldest first."""

    name: str
    owner: str
    created: float
    kind: str = COMMAND
    target_type: str = ""
    versions: list[Version] = field(default_factory=list)
    default: str = "1"
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def latest(self) -> Version:
        """The newest version."""
        return self.versions[-1]

    def version(self, wanted: str | None) -> Version:
        """Find a version by number, `$LATEST`, `$DEFAULT` or None (the default). Raises InvalidDocumentVersion."""
        number = {None: self.default, "$DEFAULT": self.default, "$LATEST": self.latest.number}.get(wanted, wanted)
        for version in self.versions:
            if version.number == number:
                return version
        raise AwsError("InvalidDocumentVersion", "The document version is not valid or does not exist.")


def check_content(version: Version) -> None:
    """Raise what the service raises for a Command document that it would not store."""
    try:
        if version.format == "JSON":
            json.loads(version.content)
        document = version.parsed()
    except ValueError as error:
        raise AwsError("InvalidDocumentContent", f"{version.format} not well-formed. {error}") from error
    schema = document.get("schemaVersion")
    if not isinstance(schema, str) or schema not in _SCHEMAS:
        raise AwsError("InvalidDocumentSchemaVersion", "The version of the document schema is not supported.")
    steps = document.get("mainSteps" if schema.startswith("2") else "runtimeConfig")
    if not steps:
        raise AwsError("InvalidDocumentContent", "A Command document has at least one step.")
    for name, definition in agent_document.definitions(document).items():
        if definition.get("type") not in {"String", "StringList", "StringMap"}:
            raise AwsError("InvalidDocumentContent", f"The type of parameter {name} is not supported.")
    names = agent_document.step_names(document)
    if len(set(names)) != len(names) or not all(names):
        raise AwsError("InvalidDocumentContent", "Step names must be present and unique.")


def converted(version: Version, wanted: str) -> str:
    """Return the content in the format `wanted`, as GetDocument does."""
    if wanted == version.format:
        return version.content
    if wanted == "JSON":
        return json.dumps(version.parsed(), indent=2)
    return yaml.safe_dump(version.parsed(), sort_keys=False)


def platforms_in(document: Mapping[str, Any]) -> list[str]:
    """Name the platform types on which SendCommand accepts a document."""
    actions = {step.get("action") for step in document.get("mainSteps") or ()}
    actions |= set(document.get("runtimeConfig") or ())
    if "aws:runPowerShellScript" in actions:
        return ["Windows", *_LINUX] if len(actions) > 1 or "mainSteps" in document else ["Windows"]
    return list(_LINUX)


def description(document: Document, version: Version, *, status: str = "Active") -> dict[str, Any]:
    """Show one version as DescribeDocument does."""
    parsed = version.parsed() if document.kind == COMMAND else {}
    described = {
        "Hash": version.sha256,
        "HashType": "Sha256",
        "Name": document.name,
        "Owner": document.owner,
        "CreatedDate": version.created,
        "Status": status,
        "DocumentVersion": version.number,
        "Description": parsed.get("description"),
        "Parameters": [_parameter(name, body) for name, body in agent_document.definitions(parsed).items()],
        "PlatformTypes": platforms_in(parsed),
        "DocumentType": document.kind,
        "SchemaVersion": parsed.get("schemaVersion"),
        "LatestVersion": document.latest.number,
        "DefaultVersion": document.default,
        "DocumentFormat": version.format,
        "TargetType": document.target_type or None,
        "VersionName": version.name or None,
        "Tags": [{"Key": key, "Value": value} for key, value in document.tags.items()],
    }
    return {key: value for key, value in described.items() if value is not None}


def _parameter(name: str, body: Mapping[str, Any]) -> dict[str, Any]:
    default = body.get("default")
    described = {
        "Name": name,
        "Type": body.get("type"),
        "Description": body.get("description"),
        "DefaultValue": default if default is None or isinstance(default, str) else json.dumps(default),
    }
    return {key: value for key, value in described.items() if value is not None}


def identifier(document: Document) -> dict[str, Any]:
    """Show a document as ListDocuments does."""
    version = document.version(None)
    parsed = version.parsed() if document.kind == COMMAND else {}
    row = {
        "Name": document.name,
        "CreatedDate": document.created,
        "Owner": document.owner,
        "PlatformTypes": platforms_in(parsed),
        "DocumentVersion": version.number,
        "DocumentType": document.kind,
        "SchemaVersion": parsed.get("schemaVersion"),
        "DocumentFormat": version.format,
        "TargetType": document.target_type or None,
        "Tags": [{"Key": key, "Value": value} for key, value in document.tags.items()],
    }
    return {key: value for key, value in row.items() if value is not None}
