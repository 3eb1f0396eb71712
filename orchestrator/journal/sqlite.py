"""The journal in one SQLite file under the XDG state directory: append-only, readable by its owner alone."""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from orchestrator.core.asks import Ask
from orchestrator.core.events import Entry, RunStarted
from orchestrator.errors import EnvironmentFault, UsageError
from orchestrator.journal.codec import VERSION, decode, encode

_SCHEMA = """
create table if not exists events (
  run text not null, seq integer not null, at real not null, kind text not null, body blob not null,
  primary key (run, seq)
) without rowid;
create table if not exists runs (run text primary key, cluster text not null, started_at real not null);
"""


@dataclass(frozen=True, slots=True)
class RunLine:
    """One run in the list of runs; `started_at` in epoch seconds."""

    run: str
    cluster: str
    started_at: float


class SqliteJournal:
    """Every run of this machine. Raises EnvironmentFault where the file cannot be used."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._translated():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Made before SQLite would make it, so that it is never readable by others, not even for a moment.
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            self._db = sqlite3.connect(path, isolation_level=None)
            self._db.execute("pragma journal_mode = wal")
            self._db.execute("pragma synchronous = full")
            (version,) = self._db.execute("pragma user_version").fetchone()
            if version > VERSION:
                raise EnvironmentFault(
                    f"The journal {path} was written by a newer version of ecs-rollout.",
                    hint="Upgrade ecs-rollout, or name another file with --journal.",
                )
            self._db.executescript(_SCHEMA)
            self._db.execute(f"pragma user_version = {VERSION}")

    def append(self, run: str, entries: Sequence[Entry]) -> None:
        """Make entries durable in one transaction."""
        with self._translated(), self._transaction() as cursor:
            (seq,) = cursor.execute("select coalesce(max(seq), 0) from events where run = ?", (run,)).fetchone()
            for number, entry in enumerate(entries, start=seq + 1):
                kind, body = encode(entry.event)
                cursor.execute("insert into events values (?, ?, ?, ?, ?)", (run, number, entry.at, kind, body))
                if isinstance(entry.event, RunStarted):
                    cursor.execute("insert into runs values (?, ?, ?)", (run, entry.event.cluster, entry.at))

    def entries(self, run: str) -> list[Entry]:
        """Read a whole run. Raises UsageError when there is none of that name."""
        with self._translated(), closing(self._db.cursor()) as cursor:
            cursor.execute("select at, kind, body from events where run = ? order by seq", (run,))
            found = [Entry(at, decode(kind, body)) for at, kind, body in cursor]
        if not found:
            raise UsageError(f"The journal knows no run {run!r}.", hint="`ecs-rollout runs` lists those it knows.")
        return found

    def runs(self) -> list[RunLine]:
        """List the runs, newest first."""
        with self._translated(), closing(self._db.cursor()) as cursor:
            return [RunLine(*row) for row in cursor.execute("select * from runs order by started_at desc, run")]

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Cursor]:
        with closing(self._db.cursor()) as cursor:
            cursor.execute("begin immediate")
            try:
                yield cursor
            except BaseException:
                self._db.rollback()
                raise
            self._db.commit()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise EnvironmentFault(
                f"The journal {self._path} cannot be used: {error}.",
                hint="Free space or mend its permissions, or name another file with --journal.",
            ) from error


@dataclass(frozen=True, slots=True)
class RunJournal:
    """One run's part of the journal, as the engine needs it (ports.Journal)."""

    store: SqliteJournal
    run: str

    def append(self, entries: Sequence[Entry]) -> None:
        """Make these durable, in one transaction, before returning."""
        self.store.append(self.run, entries)

    def asked(self) -> Sequence[Ask]:
        """Read what other shells asked of this run."""
        return ()
