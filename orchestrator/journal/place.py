"""Where a journal is: a SQLite file of this machine, or a DynamoDB table that machines share."""

import re
from dataclasses import dataclass
from pathlib import Path

_TABLE = re.compile(r"[A-Za-z0-9_.-]{3,255}")
_FORMS = "write sqlite:PATH or dynamodb:TABLE"


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalPlace:
    """`path`: the file, None for the usual one; `table`: the DynamoDB table, empty for SQLite.

    `region` and `profile` find the table; None for those of the AWS configuration.
    """

    path: Path | None = None
    table: str = ""
    region: str | None = None
    profile: str | None = None

    @classmethod
    def parse(cls, text: str) -> "JournalPlace":
        """Read `sqlite:PATH` or `dynamodb:TABLE`. Raises ValueError for anything else."""
        kind, _, rest = text.partition(":")
        if kind == "sqlite" and rest:
            return cls(path=Path(rest))
        if kind == "dynamodb" and _TABLE.fullmatch(rest):
            return cls(table=rest)
        if kind == "dynamodb":
            raise ValueError(f"{rest!r} is no name of a DynamoDB table")
        raise ValueError(f"{text!r} is no place for a journal: {_FORMS}")

    @property
    def words(self) -> tuple[str, ...]:
        """The flags that name it; none for the usual file."""
        if self.table:
            return ("--state", f"dynamodb:{self.table}")
        return ("--journal", str(self.path)) if self.path else ()
