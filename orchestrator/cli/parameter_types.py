"""How the flags' texts become values. `pattern`: what such a text looks like, for editors."""

import re
import shlex
from datetime import datetime
from typing import Any

import click

from orchestrator.core.amount import Amount
from orchestrator.core.gates import TimeWindow
from orchestrator.core.selection import Exclusion, Mark
from orchestrator.core.source import S3Source, parse_source
from orchestrator.errors import UsageError
from orchestrator.journal.place import JournalPlace

_AMOUNT = "([0-9]+|([0-9]{1,2}|100)%)"


class AmountType(click.ParamType[Amount]):
    """`3` or `10%`."""

    name = "N|P%"
    pattern = f"^{_AMOUNT}$"

    def __init__(self, at_least: int = 0) -> None:
        self.at_least = at_least

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Amount:  # noqa: ANN401 - click's signature
        """Read it, or fail as click does."""
        try:
            amount = value if isinstance(value, Amount) else Amount.parse(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if amount.value < self.at_least:
            self.fail(f"{amount} is nobody: leave it out, or look at `ecs-rollout plan`", param, ctx)
        return amount


class ShareType(click.ParamType[Amount]):
    """`95%`: a percentage that is somebody."""

    name = "P%"
    pattern = "^([1-9][0-9]?|100)%$"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Amount:  # noqa: ANN401 - click's signature
        """Read it, or fail as click does."""
        if isinstance(value, Amount):
            return value
        if not re.fullmatch(self.pattern, str(value)):
            self.fail(f"{value!r} is no share: write 95%", param, ctx)
        return Amount.parse(str(value))


class MarkType(click.ParamType[Mark]):
    """`NAME` or `NAME=VALUE`."""

    name = "NAME[=VALUE]"
    pattern = "^[^=]+(=.*)?$"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Mark:  # noqa: ANN401 - click's signature
        """Read it, or fail as click does."""
        try:
            return value if isinstance(value, Mark) else Mark.parse(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class ExclusionType(click.ParamType[Exclusion]):
    """An instance's id, `zone:NAME`, `attribute:NAME[=VALUE]` or `tag:KEY[=VALUE]`."""

    name = "WHAT"
    pattern = "^(m?i-.*|zone:.+|(attribute|tag):[^=]+(=.*)?)$"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Exclusion:  # noqa: ANN401 - click's signature
        """Read it, or fail as click does."""
        try:
            return value if isinstance(value, Exclusion) else Exclusion.parse(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class WavesType(click.ParamType[tuple[Amount, ...]]):
    """`1,10%,50%,100%`."""

    name = "N|P%,.."
    pattern = f"^{_AMOUNT}(,{_AMOUNT})*$"

    def convert(
        self,
        value: Any,  # noqa: ANN401 - click's signature
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> tuple[Amount, ...]:
        """Read it, or fail as click does."""
        try:
            return value if isinstance(value, tuple) else tuple(Amount.parse(part) for part in str(value).split(","))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class DurationType(click.ParamType[int]):
    """`90s`, `5m`, `1h`; whole seconds."""

    name = "TIME"
    pattern = "^[0-9]+[smh]$"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:  # noqa: ANN401 - click's signature
        """Read it, or fail as click does."""
        if isinstance(value, int):
            return value
        found = re.fullmatch(r"([0-9]+)([smh])", str(value))
        if found is None:
            self.fail(f"{value!r} is no time: write 90s, 5m or 1h", param, ctx)
        return int(found[1]) * {"s": 1, "m": 60, "h": 3600}[found[2]]


class PlaceType(click.ParamType[JournalPlace]):
    """`sqlite:PATH` or `dynamodb:TABLE`."""

    name = "PLACE"
    pattern = "^(sqlite:.+|dynamodb:[A-Za-z0-9_.-]{3,255})$"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> JournalPlace:  # noqa: ANN401 - click's signature
        """Read it, or fail as click does."""
        try:
            return value if isinstance(value, JournalPlace) else JournalPlace.parse(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class CommandType(click.ParamType[tuple[str, ...]]):
    """A command with its arguments, quoted as for a shell; empty for none."""

    name = "COMMAND"

    def convert(
        self,
        value: Any,  # noqa: ANN401 - click's signature
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> tuple[str, ...]:
        """Read it, or fail as click does."""
        try:
            return value if isinstance(value, tuple) else tuple(shlex.split(str(value)))
        except ValueError as error:
            self.fail(f"{value!r}: {error}", param, ctx)


class WindowType(click.ParamType[TimeWindow]):
    """`Mon-Fri 02:00-05:00 Europe/Berlin`."""

    name = "WINDOW"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> TimeWindow:  # noqa: ANN401 - click's signature
        """Read it, or fail as click does."""
        try:
            return value if isinstance(value, TimeWindow) else TimeWindow.parse(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class MomentType(click.ParamType[float]):
    """A moment in ISO 8601 with its offset, as epoch seconds."""

    name = "MOMENT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:  # noqa: ANN401 - click's signature
        """Read it, or fail as click does."""
        if isinstance(value, float):
            return value
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is no moment: write 2026-12-01T06:00+01:00", param, ctx)
        if moment.tzinfo is None:
            self.fail(f"{value!r} lacks its offset from UTC: write 2026-12-01T06:00+01:00", param, ctx)
        return moment.timestamp()


class BootConfigType(click.ParamType[S3Source]):
    """`s3://BUCKET/KEY`, at no version: it is written anew."""

    name = "S3_URL"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> S3Source:  # noqa: ANN401 - click's signature
        """Read it, or fail as click does; it is not repeated, since a credential may stand there by mistake."""
        if isinstance(value, S3Source):
            return value
        try:
            source = parse_source(str(value))
        except UsageError:
            source = None
        if not isinstance(source, S3Source) or source.version:
            self.fail("it is no object in S3: write s3://BUCKET/KEY, without a version", param, ctx)
        return source
