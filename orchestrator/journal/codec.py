"""Records as bytes and back, strictly: an unknown event, field or word is an error, never a guess.

A record is what one append makes durable: entries as JSON, compressed. zlib's checksum tells a damaged one.
"""

import zlib
from collections.abc import Sequence
from functools import cache
from types import MappingProxyType
from typing import TypeVar, get_args

import msgspec

from orchestrator.core.events import Entry, Event
from orchestrator.errors import JournalFault

T = TypeVar("T")

VERSION = 2
"""Of the record's form. It grows when a reader of the older form could misread the newer."""

_KINDS = MappingProxyType({kind.__name__: kind for kind in get_args(Event)})
_RECORD = msgspec.json.Decoder(tuple[int, list[tuple[float, str, msgspec.Raw]]], strict=True)
_HINT = "Use the version of ecs-rollout that wrote it, or look at who else wrote to the journal."


def pack(entries: Sequence[Entry]) -> bytes:
    """Make one record of these."""
    lines = [(entry.at, type(entry.event).__name__, entry.event) for entry in entries]
    return zlib.compress(msgspec.json.encode((VERSION, lines)))


def unpack(record: bytes) -> list[Entry]:
    """Read a record back. Raises JournalFault for one that is damaged, or that this version does not know."""
    try:
        text = zlib.decompress(record)
        version, lines = _lines(text)
    except (zlib.error, msgspec.MsgspecError, ValueError) as error:
        raise JournalFault("The journal holds a damaged record.", hint=_HINT) from error
    if version > VERSION:
        raise JournalFault("The journal holds a record of a newer version of ecs-rollout.", hint=_HINT)
    return [Entry(at, decode(kind, body)) for at, kind, body in lines]


def _lines(text: bytes) -> tuple[int, list[tuple[float, str, msgspec.Raw]]]:
    """Read a record's version, and its lines where the version is one that we know the form of."""
    try:
        return _RECORD.decode(text)
    except msgspec.MsgspecError:
        version, *_ = msgspec.json.decode(text, type=list[msgspec.Raw])
        if msgspec.json.decode(version, type=int) > VERSION:
            return VERSION + 1, []
        raise


def dump(value: object) -> bytes:
    """Write a small value that stands beside the records."""
    return msgspec.json.encode(value)


def load(body: bytes, form: type[T]) -> T:
    """Read it back. Raises JournalFault as `unpack` does."""
    try:
        return msgspec.json.decode(body, type=form, strict=True)
    except msgspec.MsgspecError as error:
        raise JournalFault(f"The journal holds a damaged {form.__name__.lower()}.", hint=_HINT) from error


def decode(kind: str, body: bytes | msgspec.Raw) -> Event:
    """Read one event back from its JSON. Raises JournalFault as `unpack` does."""
    try:
        return _decoder(kind).decode(body)
    except KeyError as error:
        raise JournalFault(
            f"The journal holds an event {kind!r} that this version does not know.", hint=_HINT
        ) from error
    except msgspec.MsgspecError as error:
        raise JournalFault(f"The journal holds a damaged event of the kind {kind!r}.", hint=_HINT) from error


@cache
def _decoder(kind: str) -> msgspec.json.Decoder[Event]:
    return msgspec.json.Decoder(_KINDS[kind], strict=True)
