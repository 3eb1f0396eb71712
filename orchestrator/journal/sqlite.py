"""The journal in one SQLite file under the XDG state directory: append-only, readable by its owner alone."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from orchestrator.core.asks import Ask
from orchestrator.core.events import Entry
from orchestrator.errors import JournalFault
from orchestrator.journal.codec import dump, load, pack
from orchestrator.journal.head import Head, Record, Summary, claimed, entries_of, extended, unknown_run
from orchestrator.journal.sqlite_file import open_to_read, open_to_write, transaction, write_head

_ELSEWHERE = ", or name another file with --journal"
_HINTS = (
    (("SQLITE_CORRUPT", "SQLITE_NOTADB"), "Put a good copy in its place, with its -wal if it has one"),
    (("SQLITE_FULL",), "Free space on its disk"),
    (("SQLITE_BUSY",), "Find out which program holds the file"),
)
_HINT = "Mend its permissions or its disk"
_HEADS = "select run, fence, seq, summary from heads"


class SqliteJournal:
    """Every run of this machine (journal.store.Store). Raises JournalFault where the file cannot be used.

    With `read_only` it writes nothing and holds no writer up, and a file that is not there is a journal without runs.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self._path = path
        with self._translated():
            self._db = open_to_read(path) if read_only else open_to_write(path)

    def append(self, run: str, fence: int, entries: Sequence[Entry]) -> None:
        """Make entries durable in one transaction, and claim the run. Raises as `Store.append` does."""
        if not entries:
            return
        with self._translated(writes=True), transaction(self._db, "immediate"):
            before = self._head(run) or Head(run=run)
            after = extended(before, fence, entries)
            self._db.execute("insert into records values (?, ?, ?)", (run, before.seq + 1, pack(entries)))
            write_head(self._db, after)

    def claim(self, run: str, fence: int) -> None:
        """Keep writers with a smaller fence out from now on. Raises as `Store.claim` does."""
        with self._translated(writes=True), transaction(self._db, "immediate"):
            write_head(self._db, claimed(self._known(run), fence))

    def entries(self, run: str) -> list[Entry]:
        """Read a whole run, as it is at one moment. Raises UsageError when there is none of that name."""
        with self._translated(), transaction(self._db, "deferred"):
            head = self._known(run)
            rows = self._db.execute("select seq, body from records where run = ? order by seq", (run,))
            return entries_of(head, (Record(*row) for row in rows))

    def head(self, run: str) -> Head:
        """Read how a run stands, without its entries. Raises UsageError when there is none of that name."""
        with self._translated():
            return self._known(run)

    def runs(self) -> list[Head]:
        """List the runs, newest first."""
        with self._translated():
            return [_head_of(*row) for row in self._db.execute(f"{_HEADS} order by started_at desc, run desc")]

    def ask(self, run: str, ask: Ask) -> None:
        """Ask something of a run. Raises UsageError when there is no such run."""
        with self._translated(), transaction(self._db, "immediate"):
            self._known(run)
            self._db.execute("insert or ignore into asks values (?, ?, ?)", (run, ask.at, dump(ask)))

    def asked(self, run: str) -> Sequence[Ask]:
        """Read what was asked of a run, oldest first."""
        with self._translated():
            rows = self._db.execute("select body from asks where run = ? order by at, body", (run,))
            return tuple(load(body, Ask) for (body,) in rows)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _head(self, run: str) -> Head | None:
        row = self._db.execute(f"{_HEADS} where run = ?", (run,)).fetchone()
        return _head_of(*row) if row else None

    def _known(self, run: str) -> Head:
        head = self._head(run)
        if head is None:
            raise unknown_run(run)
        return head

    @contextmanager
    def _translated(self, *, writes: bool = False) -> Iterator[None]:
        """Word what goes wrong. `writes`: for a run that stands in this file, so that no other one would help."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            name = getattr(error, "sqlite_errorname", "")
            hint = next((hint for names, hint in _HINTS if name.startswith(names)), _HINT)
            hint += "." if writes else f"{_ELSEWHERE}."
            raise JournalFault(f"The journal {self._path} cannot be used: {error}.", hint=hint) from error


def _head_of(run: str, fence: int, seq: int, summary: bytes) -> Head:
    return Head(run=run, fence=fence, seq=seq, summary=load(summary, Summary))
