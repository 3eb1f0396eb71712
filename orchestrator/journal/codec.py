"""Events as JSON and back, strictly: an unknown event, field or word is an error, never a guess."""

from types import MappingProxyType
from typing import get_args

import msgspec

from orchestrator.core.events import Event
from orchestrator.errors import EnvironmentFault

VERSION = 1
"""Of the events' form. It grows when a reader of the older form could misread the newer."""

_KINDS = MappingProxyType({kind.__name__: kind for kind in get_args(Event)})


def encode(event: Event) -> tuple[str, bytes]:
    """Give an event's kind and its body."""
    return type(event).__name__, msgspec.json.encode(event)


def decode(kind: str, body: bytes) -> Event:
    """Read an event back. Raises EnvironmentFault for one that this version does not know."""
    hint = "Use the version of ecs-rollout that wrote it, or look at the file's last writer."
    if kind not in _KINDS:
        raise EnvironmentFault(f"The journal holds an event {kind!r} that this version does not know.", hint=hint)
    try:
        event: Event = msgspec.json.decode(body, type=_KINDS[kind], strict=True)
    except msgspec.MsgspecError as error:
        raise EnvironmentFault(f"The journal holds a damaged event of the kind {kind!r}.", hint=hint) from error
    return event
