"""Where the journal is, and its life around a command. Needs no boto3."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestrator.journal.sqlite import SqliteJournal


def default_path() -> Path:
    """Give the journal's place under the XDG state directory."""
    state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(state) / "ecs-rollout" / "journal.db"


@contextmanager
def opened(path: Path | None, *, read_only: bool = False) -> Iterator[SqliteJournal]:
    """Open the journal, and close it after the command. Raises as SqliteJournal does."""
    journal = SqliteJournal(path or default_path(), read_only=read_only)
    try:
        yield journal
    finally:
        journal.close()
