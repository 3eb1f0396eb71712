"""Requests and responses as bytes and text, and the forms in which AWS words an error."""

import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

from aiohttp import web
from multidict import CIMultiDict

from orchestrator.lab.shapes import shapes_of
from orchestrator.lab.wire import AwsError

_JSON = "application/x-amz-json-1.1"
_ACTION = re.compile(rb"(?:^|&)Action=(\w+)")
_FORBIDDEN = frozenset({"AccessDeniedException", "InvalidSignatureException", "XAmzContentSHA256Mismatch"})
# S3 and the query services have other names for these.
_OTHER_NAMES = {
    "AccessDeniedException": "AccessDenied",
    "InvalidSignatureException": "SignatureDoesNotMatch",
    "UnrecognizedClientException": "InvalidToken",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainRequest:
    """A request, independent of the web server; `raw_path` has the query with it, nothing decoded."""

    method: str
    raw_path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str:
        """Return a header's value, "" for none."""
        lower = name.lower()
        return next((value for key, value in self.headers if key.lower() == lower), "")

    @property
    def operation(self) -> str:
        """The operation: the target's, a query protocol's Action, else method and path."""
        target = self.header("X-Amz-Target")
        if target:
            return target.rpartition(".")[2]
        action = _ACTION.search(self.body)
        return action[1].decode() if action else f"{self.method} {self.raw_path.partition('?')[0]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainResponse:
    """A response, independent of the web server."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


async def plain_request(request: web.Request) -> PlainRequest:
    """Read a whole request."""
    return PlainRequest(
        method=request.method,
        raw_path=request.raw_path,
        headers=tuple(request.headers.items()),
        body=await request.read(),
    )


def web_response(plain: PlainResponse) -> web.Response:
    """Turn a response into the web server's."""
    return web.Response(status=plain.status, body=plain.body, headers=CIMultiDict(plain.headers))


def json_params(body: bytes) -> dict[str, Any]:
    """Read a JSON protocol's input. Raises AwsError SerializationException."""
    try:
        params = json.loads(body or b"{}")
    except ValueError as error:
        raise AwsError("SerializationException") from error
    if not isinstance(params, dict):
        raise AwsError("SerializationException")
    # A null member is one that was left out.
    return {key: value for key, value in params.items() if value is not None}


def json_response(status: int, body: Mapping[str, Any]) -> PlainResponse:
    """Answer in the JSON protocol."""
    headers = (("Content-Type", _JSON), ("x-amzn-RequestId", str(uuid.uuid4())))
    return PlainResponse(status=status, headers=headers, body=json.dumps(body).encode())


def error_response(request: PlainRequest, error: AwsError, service: str) -> PlainResponse:
    """Word `error` in the protocol of the request; `service` is the model that knows its form, "" for none."""
    if request.header("X-Amz-Target"):
        body = {"__type": error.code}
        if error.message:
            body[shapes_of(service).error_message_key(error.code) if service else "message"] = error.message
        return json_response(error.status, body)
    status = 403 if error.code in _FORBIDDEN else error.status
    code = _OTHER_NAMES.get(error.code, error.code)
    text = f"<Error><Code>{escape(code)}</Code><Message>{escape(error.message)}</Message></Error>"
    if _ACTION.search(request.body):
        text = f"<ErrorResponse>{text}<RequestId>{uuid.uuid4()}</RequestId></ErrorResponse>"
    body_bytes = f'<?xml version="1.0" encoding="UTF-8"?>\n{text}'.encode()
    return PlainResponse(status=status, headers=(("Content-Type", "text/xml"),), body=body_bytes)
