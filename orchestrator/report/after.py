"""What happened beside the fleet once a run had ended: it is not in the journal."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from orchestrator.core.overlap import Verdict


class BootKept(StrEnum):
    """What became of a boot configuration."""

    UPDATED = "updated"
    CURRENT = "current"
    LEFT = "left"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class BootRow:
    """One boot configuration after a run; `message`: why it was left or could not be written."""

    place: str
    result: BootKept
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holders:
    """Who was seen to run which credential after a run: for a person, and as what JSON is made of.

    `look`: the command that looks again, word by word.
    """

    text: str
    object: Mapping[str, object]
    look: tuple[str, ...] = ()

    @property
    def summary(self) -> str:
        """Whether the previous credential may be revoked, in one sentence."""
        return str(self.object["summary"])

    @property
    def safe(self) -> bool:
        """Whether it certainly may."""
        return self.object["verdict"] == Verdict.UNUSED


@dataclass(frozen=True, slots=True, kw_only=True)
class After:
    """What happened beside the fleet once a run had ended: it is not in the journal.

    `undelivered`: the notices and metrics that did not arrive, and why. `left`: why AWSCURRENT stays; empty where it
    moved, or was never to move. `removed`: the delivered copies of a credential that healing has removed, by name.
    `unsaved`: the journal took not all of the run, which is told from memory.
    """

    undelivered: tuple[str, ...] = ()
    boots: tuple[BootRow, ...] = ()
    left: str = ""
    holders: Holders | None = None
    removed: tuple[str, ...] = ()
    unsaved: bool = False


NOTHING = After()
