"""Where the journal is, and its life around a command. A SQLite journal needs no boto3."""

import os
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.aws.journal import DynamoJournal
    from orchestrator.journal.place import JournalPlace
    from orchestrator.journal.store import Store


def default_path() -> Path:
    """Give the journal's place under the XDG state directory."""
    state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(state) / "ecs-rollout" / "journal.db"


@contextmanager
def opened(place: "JournalPlace", *, read_only: bool = False) -> "Iterator[Store]":
    """Open the journal, and close it after the command. Raises JournalFault where it cannot be used."""
    if place.table:
        with closing(table_of(place)) as journal:
            yield journal
    else:
        from orchestrator.journal.sqlite import SqliteJournal

        with closing(SqliteJournal(place.path or default_path(), read_only=read_only)) as file:
            if place.path is None and not read_only:
                _close_to_others(default_path().parent)
            yield file


def taken_over_by(journal: "Store", run: str) -> str:
    """Name the run that has had the cluster since, where one ended this run's time there; empty where none did."""
    from orchestrator.journal import head

    found = journal.head(run)
    return "" if found.summary.result else head.taken_over_by(found, journal.runs())


def _close_to_others(folder: Path) -> None:
    """Make our own folder its owner's alone, also where an older umask or another program had made it."""
    if folder.stat().st_mode & 0o077:
        with suppress(PermissionError):  # somebody else's folder; each file in it is closed to others by itself
            folder.chmod(0o700)


def table_of(place: "JournalPlace") -> "DynamoJournal":
    """Connect to a DynamoDB journal, whether its table is there or not."""
    from orchestrator.aws.journal import DynamoJournal
    from orchestrator.aws.session import Session
    from orchestrator.clock import SystemClock

    session = Session(region=place.region, profile=place.profile)
    return DynamoJournal(client=session.dynamodb(), clock=SystemClock(), table=place.table)
