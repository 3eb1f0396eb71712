"""The journal's SQLite file: made, recognised, upgraded and opened. What is not ours is refused and left alone."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import groupby
from pathlib import Path

from orchestrator.core.events import Entry, RunStarted
from orchestrator.errors import JournalFault
from orchestrator.journal.codec import decode, dump, pack
from orchestrator.journal.head import Head, extended

FORM = 2
"""Of the tables, as the file's user_version."""

_OURS = 0x45435352  # "ECSR", as the file's application_id
_BUSY_SECONDS = 10.0
"""How long a writer waits for the writer of another run. Readers wait for nobody (WAL)."""

_TABLES = (
    "create table records (run text, seq integer, body blob not null, primary key (run, seq)) without rowid",
    "create table heads (run text primary key, started_at real, fence integer, seq integer, summary blob)",
    "create table asks (run text, at real, body blob, primary key (run, at, body)) without rowid",
)
_ELSEWHERE = "Name another file with --journal."


def open_to_write(path: Path) -> sqlite3.Connection:
    """Open the journal, made or upgraded where needed. Raises JournalFault, sqlite3.Error or OSError."""
    _nothing_at(path)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Made before SQLite would make it, so that it is never readable by others, not even for a moment; the files
    # that SQLite puts beside it take its mode over.
    handle = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        os.fchmod(handle, 0o600)
    finally:
        os.close(handle)
    db = sqlite3.connect(path, isolation_level=None, timeout=_BUSY_SECONDS)
    try:
        _recognise(db, path)
        db.execute("pragma journal_mode = wal")
        db.execute("pragma synchronous = full")
        with transaction(db, "immediate"):
            _bring_up(db, _recognise(db, path))
    except BaseException:
        db.close()
        raise
    return db


def open_to_read(path: Path) -> sqlite3.Connection:
    """Open the journal without a lock that a writer would meet. Where nothing was written yet, give one without runs.

    Raises JournalFault, sqlite3.Error or OSError.
    """
    if _nothing_at(path):
        db = sqlite3.connect(":memory:", isolation_level=None)
        _bring_up(db, 0)
        return db
    wal = path.with_name(path.name + "-wal")
    # Readers share a file beside the journal with the writer. Where it cannot be made, there is no writer either.
    alone = not os.access(path.parent, os.W_OK, effective_ids=True) and not wal.exists()
    db = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro{'&immutable=1' if alone else ''}", isolation_level=None, uri=True
    )
    try:
        form = _recognise(db, path)
    except BaseException:
        db.close()
        raise
    if form == FORM:
        return db
    db.close()
    if form == 0:
        raise _empty(path)
    open_to_write(path).close()  # upgrades it
    return open_to_read(path)


def _nothing_at(path: Path) -> bool:
    """Say whether nothing was ever written there: no file, or one that a full disk kept empty when it was made.

    Raises JournalFault where only a -wal holds anything, which SQLite would throw away: all may be in there.
    """
    beside = _size(path.with_name(path.name + "-wal"))  # looked at first: a writer fills it after its file's first page
    if _size(path):
        return False
    if beside:
        raise _empty(path)
    return True


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _empty(path: Path) -> JournalFault:
    hint = "If it is a copy, copy it and its -wal again, when no run writes. To begin anew, remove both."
    return JournalFault(f"The journal {path} is empty.", hint=hint)


@contextmanager
def transaction(db: sqlite3.Connection, kind: str) -> Iterator[None]:
    """Do all or nothing; `kind` is immediate for a writer, deferred for a reader of one moment."""
    db.execute(f"begin {kind}")
    try:
        yield
        db.execute("commit")
    except BaseException:
        if db.in_transaction:
            db.rollback()
        raise


def _recognise(db: sqlite3.Connection, path: Path) -> int:
    """Say which form the file has, 0 for a new one. Raises JournalFault for a newer one and for what is not ours."""
    (form,) = db.execute("pragma user_version").fetchone()
    (owner,) = db.execute("pragma application_id").fetchone()
    tables = {name for (name,) in db.execute("select name from sqlite_master where type = 'table'")}
    if form > FORM and owner in {0, _OURS}:
        raise JournalFault(
            f"The journal {path} was written by a newer version of ecs-rollout.",
            hint=f"Upgrade ecs-rollout. {_ELSEWHERE}",
        )
    if owner == _OURS or (form == 1 and {"events", "runs"} <= tables) or (form, owner, tables) == (0, 0, set()):
        return int(form)
    raise JournalFault(f"{path} is another program's SQLite file, not a journal.", hint=_ELSEWHERE)


def _bring_up(db: sqlite3.Connection, form: int) -> None:
    """Bring a file of an older form to the present one, within the caller's transaction."""
    if form == FORM:
        return
    for table in _TABLES:
        db.execute(table)
    if form == 1:
        _take_over_events(db)
    db.execute(f"pragma application_id = {_OURS}")
    db.execute(f"pragma user_version = {FORM}")


def _take_over_events(db: sqlite3.Connection) -> None:
    """Turn form 1, a row for each event, into records; each run becomes one."""
    with closing(db.cursor()) as cursor:
        cursor.execute("select run, at, kind, body from events order by run, seq")
        for run, rows in groupby(cursor, key=lambda row: str(row[0])):
            entries = [Entry(at, decode(kind, body)) for _, at, kind, body in rows]
            first = entries[0].event
            head = extended(Head(run=run), first.fence if isinstance(first, RunStarted) else 0, entries)
            db.execute("insert into records values (?, 1, ?)", (run, pack(entries)))
            write_head(db, head)
    db.execute("drop table events")
    db.execute("drop table runs")


def write_head(db: sqlite3.Connection, head: Head) -> None:
    """Put a run's head in the place of its last one."""
    values = (head.run, head.summary.started_at, head.fence, head.seq, dump(head.summary))
    db.execute("insert or replace into heads values (?, ?, ?, ?, ?)", values)
