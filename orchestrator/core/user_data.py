"""Find a registry credential in what instances boot with, user data in its wrappings: presence, never content."""

import email
import re
import zlib
from collections.abc import Iterator
from email.policy import compat32

from orchestrator.core.credential import DATA_VARIABLE, TYPE_VARIABLE, canonical
from orchestrator.core.credential_formats import recognise
from orchestrator.core.findings import Severity
from orchestrator.core.overlap import Boot
from orchestrator.core.payload import generation

_LARGEST = 1024 * 1024
"""Bytes that are read of what was compressed: EC2 takes 16 KB of user data."""

_GZIP = b"\x1f\x8b"
_NAMES = (TYPE_VARIABLE, DATA_VARIABLE, "engineauthtype", "engineauthdata")
_TYPE = re.compile(rf"{TYPE_VARIABLE}\s*=\s*[\"']?(docker(?:cfg)?)\b")
_DATA = re.compile(rf"{DATA_VARIABLE}\s*=[^{{\n]*(\{{.*\}})")
_OBJECT = re.compile(r"s3://[A-Za-z0-9._${}-]+/[A-Za-z0-9._${}/+=@-]*\.(?:config|env)\b")


def look_into(name: str, raw: bytes, key: bytes | None) -> Boot:
    """Say what user data hands out: whether a credential stands in it, and of which generation under the `key`.

    A credential whose text cannot be told for certain, as where a script puts it together, has no generation.
    """
    texts = list(_texts(raw))
    found = [text for text in texts if any(word in text.lower() for word in map(str.lower, _NAMES))]
    references = sorted({match[0] for text in texts for match in _OBJECT.finditer(text)})
    return Boot(
        name=name,
        holds=bool(found),
        generation=_generation(found, key) if key else "",
        refers=tuple(references),
    )


def _texts(raw: bytes) -> Iterator[str]:
    """Unwrap what cloud-init unwraps: gzip, and the parts of a MIME message."""
    if raw.startswith(_GZIP):
        try:
            raw = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(raw, _LARGEST)
        except zlib.error:
            return
    text = raw.decode("utf-8", "replace")
    if not re.match(r"(?i)\s*(content-type: *multipart/|mime-version:)", text):
        yield text
        return
    for part in email.message_from_string(text.lstrip(), policy=compat32).walk():
        payload = part.get_payload(decode=True)
        if isinstance(payload, bytes):
            yield from _texts(payload)


def _generation(texts: list[str], key: bytes) -> str:
    """Name the credential's content where it can be read as it stands, once."""
    kinds = {match[1] for text in texts for match in _TYPE.finditer(text)}
    datas = {match[1] for text in texts for match in _DATA.finditer(text)}
    if len(kinds) != 1 or len(datas) != 1:
        return ""
    kind, data = kinds.pop(), datas.pop()
    for attempt in (data, data.replace('\\"', '"')):  # as it stands, and as a shell's double quotes write it
        found = recognise(f"{TYPE_VARIABLE}={kind}\n{DATA_VARIABLE}={attempt}")
        if not any(finding.severity is Severity.ERROR for finding in found.findings):
            return generation(key, canonical(found.credential))
    return ""
