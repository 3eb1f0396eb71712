"""The engine for document operations: versions, default version, hash, and the built-in AWS-RunShellScript."""

import json
import re
from collections.abc import Mapping
from typing import Any

from orchestrator.lab.documents_model import (
    COMMAND,
    Document,
    Version,
    check_content,
    converted,
    description,
    identifier,
)
from orchestrator.lab.paging import paged
from orchestrator.lab.wire import AwsError, Clock

_MAX_SIZE = 64 * 1024
_MAX_VERSIONS = 1000
_PAGE = 10
_RESERVED = re.compile(r"(aws|amazon|amzn)", re.IGNORECASE)

_RUN_SHELL_SCRIPT = {
    "schemaVersion": "1.2",
    "description": "Run a shell script or specify the commands to run.",
    "parameters": {
        "commands": {
            "type": "StringList",
            "description": "(Required) Specify a shell script or a command to run.",
            "minItems": 1,
            "displayType": "textarea",
        },
        "workingDirectory": {
            "type": "String",
            "default": "",
            "description": "(Optional) The path to the working directory on your instance.",
            "maxChars": 4096,
        },
        "executionTimeout": {
            "type": "String",
            "default": "3600",
            "description": "(Optional) The time in seconds for a command to complete.",
            "allowedPattern": "([1-9][0-9]{0,4})|(1[0-6][0-9]{4})|(17[0-1][0-9]{3})|(172[0-7][0-9]{2})|(172800)",
        },
    },
    "runtimeConfig": {
        "aws:runShellScript": {
            "properties": [
                {
                    "id": "0.aws:runShellScript",
                    "runCommand": "{{ commands }}",
                    "workingDirectory": "{{ workingDirectory }}",
                    "timeoutSeconds": "{{ executionTimeout }}",
                }
            ]
        }
    },
}


class DocumentStore:
    """The engine for document operations; Run Command asks it for what it sends."""

    OPERATIONS = frozenset(
        {
            "CreateDocument",
            "UpdateDocument",
            "GetDocument",
            "DescribeDocument",
            "ListDocuments",
            "ListDocumentVersions",
            "UpdateDocumentDefaultVersion",
            "DeleteDocument",
        }
    )
    # Of these, documents' only: other resources' tags are moto's.
    TAG_OPERATIONS = frozenset({"AddTagsToResource", "RemoveTagsFromResource", "ListTagsForResource"})

    def __init__(self, clock: Clock, *, account: str) -> None:
        self._clock = clock
        self._account = account
        self._documents: dict[str, Document] = {}
        builtin = Document(name="AWS-RunShellScript", owner="Amazon", created=clock.now())
        text = json.dumps(_RUN_SHELL_SCRIPT, indent=2)
        builtin.versions.append(Version(number="1", content=text, format="JSON", created=clock.now()))
        self._documents[builtin.name] = builtin

    async def handle(self, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        """Answer one document operation."""
        match operation:
            case "CreateDocument":
                return self._create(params)
            case "UpdateDocument":
                return self._update(params)
            case "GetDocument":
                return self._get(params)
            case "DescribeDocument":
                return self._describe(params)
            case "ListDocuments":
                return self._list(params)
            case "ListDocumentVersions":
                return self._list_versions(params)
            case "UpdateDocumentDefaultVersion":
                return self._set_default(params)
            case "DeleteDocument":
                return self._delete(params)
            case _ if operation in self.TAG_OPERATIONS:
                return self._tags(operation, params)
            case _:
                raise AwsError("UnknownOperationException", operation)

    def document(self, name: str) -> Document:
        """Find a document by name or ARN. Raises InvalidDocument."""
        found = self._documents.get(name.rpartition("/")[2])
        if found is None:
            raise AwsError("InvalidDocument", f"Document with name {name} does not exist.")
        return found

    def _own(self, name: str) -> Document:
        document = self.document(name)
        if document.owner != self._account:
            raise AwsError("InvalidDocumentOperation", "You can't change a document that Amazon owns.")
        return document

    def _create(self, params: Mapping[str, Any]) -> dict[str, Any]:
        name = params["Name"]
        if _RESERVED.match(name):
            raise AwsError("ValidationException", "A document's name can't begin with aws, amazon or amzn.")
        if name in self._documents:
            raise AwsError("DocumentAlreadyExists", f"Document with same name {name} already exists")
        kind = params.get("DocumentType", COMMAND)
        version = self._read(params, number="1", kind=kind)
        document = Document(name=name, owner=self._account, created=version.created, kind=kind)
        document.target_type = params.get("TargetType", "")
        document.tags = {tag["Key"]: tag["Value"] for tag in params.get("Tags", ())}
        document.versions.append(version)
        self._documents[name] = document
        return {"DocumentDescription": description(document, version, status="Creating")}

    def _update(self, params: Mapping[str, Any]) -> dict[str, Any]:
        document = self._own(params["Name"])
        if params.get("DocumentVersion") not in {"$LATEST", document.latest.number}:
            raise AwsError("InvalidDocumentVersion", "The document version is not valid or does not exist.")
        number = str(int(document.latest.number) + 1)
        version = self._read(params, number=number, kind=document.kind)
        if version.sha256 in {other.sha256 for other in document.versions}:
            message = "The content of the association document matches another document."
            raise AwsError("DuplicateDocumentContent", message)
        if version.name and version.name in {other.name for other in document.versions}:
            raise AwsError("DuplicateDocumentVersionName", f"Version name {version.name} exists already.")
        if len(document.versions) >= _MAX_VERSIONS:
            raise AwsError("DocumentVersionLimitExceeded", f"A document has at most {_MAX_VERSIONS} versions.")
        document.versions.append(version)
        return {"DocumentDescription": description(document, version, status="Updating")}

    def _get(self, params: Mapping[str, Any]) -> dict[str, Any]:
        document = self.document(params["Name"])
        version = self._pick(document, params)
        # The service converts: without a format it answers JSON, whatever was published.
        wanted = params.get("DocumentFormat", "JSON")
        reply = {
            "Name": document.name,
            "CreatedDate": version.created,
            "DocumentVersion": version.number,
            "Status": "Active",
            "Content": converted(version, wanted),
            "DocumentType": document.kind,
            "DocumentFormat": wanted,
        }
        return reply | ({"VersionName": version.name} if version.name else {})

    def _describe(self, params: Mapping[str, Any]) -> dict[str, Any]:
        document = self.document(params["Name"])
        return {"Document": description(document, self._pick(document, params))}

    def _list(self, params: Mapping[str, Any]) -> dict[str, Any]:
        wanted: dict[str, list[str]] = {}
        for old in params.get("DocumentFilterList", ()):
            wanted[old["key"]] = [old["value"]]
        for new in params.get("Filters", ()):
            wanted[new["Key"]] = new["Values"]
        names = sorted(name for name, document in self._documents.items() if self._matches(document, wanted))
        chunk, token = paged(names, params, _PAGE)
        rows = [identifier(self._documents[name]) for name in chunk]
        return {"DocumentIdentifiers": rows} | token

    def _matches(self, document: Document, wanted: Mapping[str, list[str]]) -> bool:
        for key, values in wanted.items():
            match key:
                case "Name":
                    # The service matches a name's beginning.
                    right = any(document.name.startswith(value) for value in values)
                case "Owner":
                    right = any(self._owned(document, value) for value in values)
                case "DocumentType":
                    right = document.kind in values
                case "PlatformTypes":
                    right = bool({*document.version(None).platforms} & {*values})
                case _ if key.startswith("tag:"):
                    right = document.tags.get(key.removeprefix("tag:")) in values
                case _:
                    raise AwsError("InvalidFilterKey", f"The filter key {key} is not valid.")
            if not right:
                return False
        return True

    def _owned(self, document: Document, value: str) -> bool:
        mine = document.owner == self._account
        return {"Self": mine, "Private": mine, "Amazon": not mine, "Public": not mine, "All": True}.get(value, False)

    def _list_versions(self, params: Mapping[str, Any]) -> dict[str, Any]:
        document = self.document(params["Name"])
        newest_first = document.versions[::-1]
        chunk, token = paged(newest_first, params, _PAGE)
        rows = [
            {
                "Name": document.name,
                "DocumentVersion": version.number,
                "CreatedDate": version.created,
                "IsDefaultVersion": version.number == document.default,
                "DocumentFormat": version.format,
                "Status": "Active",
            }
            | ({"VersionName": version.name} if version.name else {})
            for version in chunk
        ]
        return {"DocumentVersions": rows} | token

    def _set_default(self, params: Mapping[str, Any]) -> dict[str, Any]:
        document = self._own(params["Name"])
        version = document.version(params["DocumentVersion"])
        document.default = version.number
        reply = {"Name": document.name, "DefaultVersion": version.number}
        return {"Description": reply | ({"DefaultVersionName": version.name} if version.name else {})}

    def _delete(self, params: Mapping[str, Any]) -> dict[str, Any]:
        document = self._own(params["Name"])
        if "DocumentVersion" not in params and "VersionName" not in params:
            del self._documents[document.name]
            return {}
        version = self._pick(document, params)
        if version.number == document.default:
            raise AwsError("InvalidDocumentOperation", "The default version of a document can't be deleted.")
        document.versions.remove(version)
        return {}

    def _tags(self, operation: str, params: Mapping[str, Any]) -> dict[str, Any]:
        document = self._documents.get(params["ResourceId"])
        if document is None:
            raise AwsError("InvalidResourceId")
        if operation == "ListTagsForResource":
            return {"TagList": [{"Key": key, "Value": value} for key, value in document.tags.items()]}
        for tag in params.get("Tags", ()):
            document.tags[tag["Key"]] = tag["Value"]
        for key in params.get("TagKeys", ()):
            document.tags.pop(key, None)
        return {}

    def _pick(self, document: Document, params: Mapping[str, Any]) -> Version:
        name = params.get("VersionName")
        if name is None:
            return document.version(params.get("DocumentVersion"))
        for version in document.versions:
            if version.name == name:
                return version
        raise AwsError("InvalidDocumentVersion", "The document version is not valid or does not exist.")

    def _read(self, params: Mapping[str, Any], *, number: str, kind: str) -> Version:
        content = params["Content"]
        form = params.get("DocumentFormat", "JSON")
        if len(content.encode()) > _MAX_SIZE:
            raise AwsError("MaxDocumentSizeExceeded", "The size limit of a document is 64 KB.")
        version = Version(
            number=number,
            content=content,
            format=form,
            name=params.get("VersionName", ""),
            created=self._clock.now(),
        )
        if kind == COMMAND:
            check_content(version)
        return version
