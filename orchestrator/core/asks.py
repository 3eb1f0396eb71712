"""What another shell asks of a run that is under way: to go on with a wave, or to stop."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class AskKind(StrEnum):
    """What is asked."""

    APPROVE = "approve"
    ABORT = "abort"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request. `wave`: the one that is approved, 0 with ABORT; `by`: user and host; `at`: epoch seconds."""

    kind: AskKind
    wave: int
    by: str
    at: float


def asked_before(ask: Ask, before: Iterable[Ask]) -> Ask | None:
    """Find who has asked the same already: an ask is granted once, so a second one adds nothing."""
    return next((each for each in before if (each.kind, each.wave) == (ask.kind, ask.wave)), None)
