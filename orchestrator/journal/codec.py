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
_HINT = "Use the version of ecs-rollout that wrote it, or look at who else wrote to the journal."


def pack(entries: Sequence[Entry]) -> bytes:
    """Make one record of these."""
    lines = [(entry.at, type(entry.event).__name__, entry.event) for entry in entries]
    return zlib.compress(msgspec.json.encode((VERSION, lines)))


def unpack(record: bytes) -> list[Entry]:
    """Read a record back. Raises JournalFault for one that is damaged, or that this version does not know."""
    try:
        version, *rest = msgspec.json.decode(zlib.decompress(record), type=list[msgspec.Raw])
        newer = msgspec.json.decode(version, type=int) > VERSION
        lines = [] if newer else msgspec.json.decode(*rest, type=list[tuple[float, str, msgspec.Raw]])
    except (zlib.error, msgspec.MsgspecError, ValueError, TypeError) as error:
        raise JournalFault("The journal holds a damaged record.", hint=_HINT) from error
    if newer:
        raise JournalFault("The journal holds a record of a newer version of ecs-rollout.", hint=_HINT)
    return [Entry(at, decode(kind, bytes(body))) for at, kind, body in lines]


def dump(value: object) -> bytes:
    """Write a small value that stands beside the records."""
    return msgspec.json.encode(value)


def load(body: bytes, form: type[T]) -> T:
    """Read it back. Raises JournalFault as `unpack` does."""
    try:
        return msgspec.json.decode(body, type=form, strict=True)
    except msgspec.MsgspecError as error:
        raise JournalFault(f"The journal holds a damaged {form.__name__.lower()}.", hint=_HINT) from error


def decode(kind: str, body: bytes) -> Event:
    """Read one event back from its JSON. Raises JournalFault as `unpack` does."""
    if kind not in _KINDS:
        raise JournalFault(f"The journal holds an event {kind!r} that this version does not know.", hint=_HINT)
    try:
        event: Event = _decoder(kind).decode(body)
    except msgspec.MsgspecError as error:
        raise JournalFault(f"The journal holds a damaged event of the kind {kind!r}.", hint=_HINT) from error
    return event


@cache
def _decoder(kind: str) -> msgspec.json.Decoder[Event]:
    return msgspec.json.Decoder(_KINDS[kind], strict=True)
