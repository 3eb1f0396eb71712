"""The journal: what was recorded is what is read."""

import sqlite3
import stat
from pathlib import Path

import pytest

from orchestrator.core.amount import Amount
from orchestrator.core.events import Entry, Halted
from orchestrator.core.model import Ping
from orchestrator.core.settings import Policy
from orchestrator.core.state import replay
from orchestrator.errors import EnvironmentFault, UsageError
from orchestrator.journal.codec import decode, encode
from orchestrator.journal.sqlite import RunJournal, SqliteJournal
from tests.fake_fleet import MemoryJournal, fleet_of, roll


def some_run() -> MemoryJournal:
    hosts = fleet_of(12)
    hosts[2].behaviour = "lost_restored"
    hosts[4].ping = Ping.CONNECTION_LOST
    hosts[6].persistence = "ephemeral"
    return roll(hosts, Policy(max_failures=(Amount.parse("1"),)))[2]


def test_every_event_comes_back_as_it_was() -> None:
    """Encoding and decoding loses nothing of any event of a whole run."""
    for entry in some_run().entries:
        assert decode(*encode(entry.event)) == entry.event


def test_a_run_survives_the_process(tmp_path: Path) -> None:
    """A journal that is opened anew gives the same entries in the same order, and lists its run."""
    entries = some_run().entries
    journal = SqliteJournal(tmp_path / "state" / "journal.db")
    for entry in entries:
        RunJournal(journal, "run-1").append([entry])
    journal.close()
    again = SqliteJournal(tmp_path / "state" / "journal.db")
    assert again.entries("run-1") == entries
    assert [(line.run, line.cluster) for line in again.runs()] == [("run-1", "c")]
    assert replay(again.entries("run-1")).ended is not None
    again.close()


def test_the_journal_is_its_owners_alone(tmp_path: Path) -> None:
    """Neither the folder nor any of the journal's files can be read by others."""
    journal = SqliteJournal(tmp_path / "state" / "journal.db")
    RunJournal(journal, "r").append([Entry(1.0, Halted(why="x"))])
    for path in [tmp_path / "state", *(tmp_path / "state").iterdir()]:
        assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path
    journal.close()


def test_a_transaction_is_whole_or_not_at_all(tmp_path: Path) -> None:
    """When one entry of a transaction cannot be written, none of them is there."""
    journal = SqliteJournal(tmp_path / "journal.db")
    started = some_run().entries[0]
    journal.append("r", [started])
    with pytest.raises(EnvironmentFault):
        journal.append("r", [Entry(2.0, Halted(why="x")), started])  # the run exists already
    assert journal.entries("r") == [started]
    journal.close()


def test_an_unknown_run_is_a_usage_error(tmp_path: Path) -> None:
    """A run that nobody knows is said so."""
    journal = SqliteJournal(tmp_path / "journal.db")
    with pytest.raises(UsageError, match="knows no run"):
        journal.entries("nobody")
    journal.close()


def test_a_newer_journal_is_not_guessed_at(tmp_path: Path) -> None:
    """A file that a newer version wrote is refused by name."""
    path = tmp_path / "journal.db"
    with sqlite3.connect(path) as db:
        db.execute("pragma user_version = 99")
    db.close()
    with pytest.raises(EnvironmentFault, match="newer version"):
        SqliteJournal(path)


@pytest.mark.parametrize(
    "content", [b"not a database at all, but long enough to be looked at", b"SQLite format 3\0junk"]
)
def test_a_damaged_file_is_an_error_and_is_left_alone(tmp_path: Path, content: bytes) -> None:
    """What is no journal is refused, and not one byte of it is changed."""
    path = tmp_path / "journal.db"
    path.write_bytes(content)
    with pytest.raises(EnvironmentFault, match="cannot be used"):
        SqliteJournal(path)
    assert path.read_bytes() == content


@pytest.mark.parametrize(("kind", "body"), [("Exploded", b"{}"), ("Halted", b'{"why":5}'), ("Halted", b"{")])
def test_a_damaged_event_is_an_error(kind: str, body: bytes) -> None:
    """An event that this version cannot read is an error, never skipped."""
    with pytest.raises(EnvironmentFault):
        decode(kind, body)
