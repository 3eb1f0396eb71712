"""How the flags' texts become values. `pattern`: what such a text looks like, for editors.

What only some of them read is loaded when one is read: `--help` needs none of it.
"""

import re
import shlex
from abc import ABC, abstractmethod
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeVar

import click

from orchestrator.core.amount import Amount
from orchestrator.errors import UsageError
from orchestrator.journal.place import JournalPlace

if TYPE_CHECKING:
    from orchestrator.core.selection import Exclusion, Mark
    from orchestrator.core.source import S3Source
    from orchestrator.core.windows import TimeWindow

T = TypeVar("T")

_AMOUNT = "([0-9]+|([0-9]{1,2}|100)%)"


class _TextType(click.ParamType[T], ABC):
    """A value that is written as a text. `texts`: the types that are read; another has been read already."""

    texts: tuple[type, ...] = (str,)

    @abstractmethod
    def read(self, text: str) -> T:
        """Read it. Raises ValueError, whose message says what is wrong with it."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> T:  # noqa: ANN401 - click's signature
        """Read it, or fail as click does."""
        try:
            return self.read(str(value)) if isinstance(value, self.texts) else value
        except ValueError as error:
            self.fail(str(error), param, ctx)


class AmountType(_TextType[Amount]):
    """`3` or `10%`."""

    name = "N|P%"
    pattern = f"^{_AMOUNT}$"
    texts = (str, int)

    def __init__(self, at_least: int = 0) -> None:
        self.at_least = at_least

    def read(self, text: str) -> Amount:
        """Read it; it is at least so much."""
        amount = Amount.parse(text)
        if amount.value < self.at_least:
            raise ValueError(f"{amount} is nobody: leave it out, or look at `ecs-rollout plan`")
        return amount


class ShareType(_TextType[Amount]):
    """`95%`: a percentage that is somebody."""

    name = "P%"
    pattern = "^([1-9][0-9]?|100)%$"

    def read(self, text: str) -> Amount:
        """Read it."""
        if not re.fullmatch(self.pattern, text):
            raise ValueError(f"{text!r} is no share: write 95%")
        return Amount.parse(text)


class MarkType(_TextType["Mark"]):
    """`NAME` or `NAME=VALUE`."""

    name = "NAME[=VALUE]"
    pattern = "^[^=]+(=.*)?$"

    def read(self, text: str) -> "Mark":
        """Read it."""
        from orchestrator.core.selection import Mark

        return Mark.parse(text)


class ExclusionType(_TextType["Exclusion"]):
    """An instance's id, `zone:NAME`, `attribute:NAME[=VALUE]` or `tag:KEY[=VALUE]`."""

    name = "WHAT"
    pattern = "^(m?i-.*|zone:.+|(attribute|tag):[^=]+(=.*)?)$"

    def read(self, text: str) -> "Exclusion":
        """Read it."""
        from orchestrator.core.selection import Exclusion

        return Exclusion.parse(text)


class WavesType(_TextType[tuple[Amount, ...]]):
    """`1,10%,50%,100%`."""

    name = "N|P%,.."
    pattern = f"^{_AMOUNT}(,{_AMOUNT})*$"
    texts = (str, int)

    def read(self, text: str) -> tuple[Amount, ...]:
        """Read it. Whether a count is more than a share, only the fleet tells."""
        waves = tuple(Amount.parse(part) for part in text.split(","))
        for before, after in pairwise(waves):
            if before.everything or (before.percent == after.percent and before.value >= after.value):
                raise ValueError(f"{after} after {before} adds nobody: waves are cumulative, write 1,10%,50%,100%")
        return waves


class DurationType(_TextType[int]):
    """`90s`, `5m`, `1h`; whole seconds."""

    name = "TIME"
    pattern = "^[0-9]+[smh]$"

    def read(self, text: str) -> int:
        """Read it."""
        found = re.fullmatch(r"([0-9]+)([smh])", text)
        if found is None:
            raise ValueError(f"{text!r} is no time: write 90s, 5m or 1h")
        return int(found[1]) * {"s": 1, "m": 60, "h": 3600}[found[2]]


class PlaceType(_TextType[JournalPlace]):
    """`sqlite:PATH` or `dynamodb:TABLE`."""

    name = "PLACE"
    pattern = "^(sqlite:.+|dynamodb:[A-Za-z0-9_.-]{3,255})$"

    def read(self, text: str) -> JournalPlace:
        """Read it."""
        return JournalPlace.parse(text)


class CommandType(_TextType[tuple[str, ...]]):
    """A command with its arguments, quoted as for a shell; empty for none."""

    name = "COMMAND"

    def read(self, text: str) -> tuple[str, ...]:
        """Read it."""
        try:
            return tuple(shlex.split(text))
        except ValueError as error:
            raise ValueError(f"{text!r}: {error}") from error


class WindowType(_TextType["TimeWindow"]):
    """`Mon-Fri 02:00-05:00 Europe/Berlin`."""

    name = "WINDOW"

    def read(self, text: str) -> "TimeWindow":
        """Read it."""
        from orchestrator.core.windows import TimeWindow

        return TimeWindow.parse(text)


class MomentType(_TextType[float]):
    """A moment in ISO 8601 with its offset, as epoch seconds."""

    name = "MOMENT"

    def read(self, text: str) -> float:
        """Read it."""
        try:
            moment = datetime.fromisoformat(text)
        except ValueError as error:
            raise ValueError(f"{text!r} is no moment: write 2026-12-01T06:00+01:00") from error
        if moment.tzinfo is None:
            raise ValueError(f"{text!r} lacks its offset from UTC: write 2026-12-01T06:00+01:00")
        return moment.timestamp()


class BootConfigType(_TextType["S3Source"]):
    """`s3://BUCKET/KEY`, at no version: it is written anew."""

    name = "S3_URL"

    def read(self, text: str) -> "S3Source":
        """Read it; an error does not repeat it, since a credential may stand there by mistake."""
        from orchestrator.core.source import S3Source, parse_source

        try:
            source = parse_source(text)
        except UsageError:
            source = None
        if not isinstance(source, S3Source) or source.version:
            raise ValueError("it is no object in S3: write s3://BUCKET/KEY, without a version")
        return source
