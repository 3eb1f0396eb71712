"""The SQLite journal's file: whose it is, what is wrong with it, and who waits for whom."""

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from orchestrator.cli.store import opened
from orchestrator.core.asks import Ask, AskKind
from orchestrator.core.events import Entry
from orchestrator.errors import ExitCode, JournalFault, LockedError
from orchestrator.journal.place import JournalPlace
from orchestrator.journal.sqlite import SqliteJournal
from orchestrator.journal.sqlite_file import open_to_write
from tests.journal_runs import troubled_run


@pytest.fixture(scope="module")
def run() -> list[Entry]:
    return troubled_run()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "journal.db"


def written(path: Path, entries: list[Entry], run: str = "run-1") -> None:
    journal = SqliteJournal(path)
    journal.append(run, 1, entries)
    journal.close()


def read(path: Path, run: str = "run-1") -> list[Entry]:
    journal = SqliteJournal(path, read_only=True)
    try:
        return journal.entries(run)
    finally:
        journal.close()


def test_the_journal_is_its_owners_alone(path: Path, run: list[Entry]) -> None:
    """Neither the folder nor any of the journal's files can be read by others, also while it is written and read."""
    journal = SqliteJournal(path)
    journal.append("run-1", 1, run)
    reader = SqliteJournal(path, read_only=True)
    reader.runs()
    names = {each.name for each in path.parent.iterdir()}
    assert names == {"journal.db", "journal.db-wal", "journal.db-shm"}
    for each in [path.parent, *path.parent.iterdir()]:
        assert not stat.S_IMODE(each.stat().st_mode) & 0o077, each
    journal.close()
    reader.close()


def test_a_file_that_others_could_read_is_closed_to_them(path: Path, run: list[Entry]) -> None:
    """A journal that was made readable by others is its owner's alone from the next time that it is written."""
    written(path, run[:2])
    path.chmod(0o644)
    journal = SqliteJournal(path)
    journal.append("run-1", 1, run[2:])
    assert [stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()] == [0o600] * 3
    journal.close()


def test_what_is_written_is_on_the_disk_before_anything_follows_it(path: Path, run: list[Entry]) -> None:
    """A machine that loses its power keeps every intent: SQLite waits for the disk after each transaction."""
    written(path, run[:2])
    with closing(open_to_write(path)) as db:
        assert db.execute("pragma synchronous").fetchone() == (2,)
        assert db.execute("pragma journal_mode").fetchone() == ("wal",)


def test_our_own_folder_is_closed_to_others_and_nobody_elses_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The usual folder is its owner's alone whoever had made it; a folder that --journal names is left as it is."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    ours, named = tmp_path / "ecs-rollout", tmp_path / "named"
    for folder in (ours, named):
        folder.mkdir()
        folder.chmod(0o755)
    for place in (JournalPlace(), JournalPlace(path=named / "journal.db")):
        with opened(place):
            pass
    assert [stat.S_IMODE(each.stat().st_mode) for each in (ours, named)] == [0o700, 0o755]


def test_a_transaction_is_whole_or_not_at_all(path: Path, run: list[Entry], monkeypatch: pytest.MonkeyPatch) -> None:
    """When a part of an append cannot be written, nothing of it is there, and the journal takes the next one."""
    written(path, run[:2])
    journal = SqliteJournal(path)

    def fail(*_: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr("orchestrator.journal.sqlite.write_head", fail)
    with pytest.raises(JournalFault, match="disk I/O error"):
        journal.append("run-1", 1, run[2:])
    monkeypatch.undo()
    assert journal.entries("run-1") == run[:2]
    journal.append("run-1", 1, run[2:])
    assert read(path) == run
    journal.close()


def test_a_full_disk_is_a_fault_and_loses_nothing(path: Path, run: list[Entry]) -> None:
    """When the disk is full an append is a fault of the journal, what was there stays, and with room it goes on."""
    journal = SqliteJournal(path)
    journal.append("run-1", 1, run[:3])
    db = journal._db  # noqa: SLF001 - the limit is the connection's own
    (pages,) = db.execute("pragma page_count").fetchone()
    db.execute(f"pragma max_page_count = {pages}")
    with pytest.raises(JournalFault, match="full") as fault:
        journal.append("run-2", 1, [*run, *run[1:] * 400])
    assert fault.value.exit_code is ExitCode.ENVIRONMENT
    assert fault.value.hint == "Free space on its disk."  # another file would not hold the run
    assert [head.run for head in journal.runs()] == ["run-1"]
    db.execute("pragma max_page_count = 1000000")
    journal.append("run-1", 1, run[3:])
    assert read(path) == run
    journal.close()


def test_a_newer_journal_is_not_guessed_at(path: Path, run: list[Entry]) -> None:
    """A file that a newer version wrote is refused by name, to writers and to readers."""
    written(path, run)
    with sqlite3.connect(path) as db:
        db.execute("pragma user_version = 99")
    db.close()
    for read_only in (False, True):
        with pytest.raises(JournalFault, match="newer version"):
            SqliteJournal(path, read_only=read_only)


def test_another_programs_file_is_left_alone(tmp_path: Path) -> None:
    """A SQLite file of somebody else is refused, and not one byte of it is changed."""
    path = tmp_path / "cookies.db"
    with sqlite3.connect(path) as db:
        db.execute("create table cookies (name text)")
    db.close()
    before = path.read_bytes()
    for read_only in (False, True):
        with pytest.raises(JournalFault, match="another program's"):
            SqliteJournal(path, read_only=read_only)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "content", [b"not a database at all, but long enough to be looked at", b"SQLite format 3\0junk"]
)
@pytest.mark.parametrize("read_only", [False, True])
def test_what_is_no_database_is_an_error_and_is_left_alone(
    tmp_path: Path,
    content: bytes,
    read_only: bool,  # noqa: FBT001 - pytest's parameter
) -> None:
    """What is no journal is refused, and not one byte of it is changed."""
    path = tmp_path / "journal.db"
    path.write_bytes(content)
    with pytest.raises(JournalFault, match="cannot be used"):
        SqliteJournal(path, read_only=read_only)
    assert path.read_bytes() == content


def test_a_reader_makes_no_file(path: Path) -> None:
    """Where there is no journal a reader finds no runs, and makes nothing."""
    journal = SqliteJournal(path, read_only=True)
    assert journal.runs() == []
    journal.close()
    assert not path.parent.exists()


def test_a_reader_cannot_write(path: Path, run: list[Entry]) -> None:
    """A journal that was opened to be read takes nothing."""
    written(path, run[:2])
    journal = SqliteJournal(path, read_only=True)
    with pytest.raises(JournalFault, match="readonly"):
        journal.append("run-1", 1, run[2:])
    journal.close()
    assert read(path) == run[:2]


def test_readers_and_the_writer_wait_for_nobody(path: Path, run: list[Entry]) -> None:
    """In the middle of a read the writer writes, in the middle of a write a reader reads what was there before."""
    journal = SqliteJournal(path)
    journal.append("run-1", 1, run[:2])
    reader = SqliteJournal(path, read_only=True)
    db = reader._db  # noqa: SLF001 - a read that lasts
    db.execute("begin")
    db.execute("select count(*) from records").fetchone()
    journal._db.execute("pragma busy_timeout = 0")  # noqa: SLF001 - to see that nobody waits
    journal.append("run-1", 1, run[2:4])
    assert db.execute("select count(*) from records").fetchone() == (1,)
    db.execute("commit")
    journal._db.execute("begin immediate")  # noqa: SLF001 - a write that lasts
    db.execute("pragma busy_timeout = 0")
    assert reader.entries("run-1") == run[:4]
    assert reader.asked("run-1") == ()
    journal._db.execute("rollback")  # noqa: SLF001
    journal.append("run-1", 1, run[4:])
    assert reader.entries("run-1") == run
    reader.close()
    journal.close()


def test_a_run_is_never_seen_half_appended(path: Path, run: list[Entry]) -> None:
    """Readers that read all the time while a run is written see beginnings of it, each a whole one."""
    journal = SqliteJournal(path)
    journal.append("run-1", 1, run[:1])
    seen: list[int] = []
    faults: list[Exception] = []
    done = threading.Event()

    def look() -> None:
        try:
            while not done.is_set():
                entries = read(path)
                assert entries == run[: len(entries)]
                seen.append(len(entries))
        except Exception as error:  # noqa: BLE001 - told by the test below
            faults.append(error)

    readers = [threading.Thread(target=look) for _ in range(2)]
    for each in readers:
        each.start()
    for entry in run[1:]:
        journal.append("run-1", 1, [entry])
    done.set()
    for each in readers:
        each.join()
    journal.close()
    assert faults == []
    assert seen
    assert read(path) == run


_CLAIM = """
import sys
from pathlib import Path
from orchestrator.errors import LockedError
from orchestrator.journal.sqlite import SqliteJournal
journal = SqliteJournal(Path(sys.argv[1]))
entries = journal.entries("template")
sys.stdin.readline()
done = 0
try:
    for number, entry in enumerate(entries[1:]):
        journal.append("run-1", int(sys.argv[2]), [entry])
        done += 1
except LockedError:
    pass
print(done)
"""


def test_two_processes_never_write_the_same_run(path: Path, run: list[Entry]) -> None:
    """Of two controllers that write to one run at once the larger fence wins, and the run has no gap and no double."""
    written(path, run, "template")
    written(path, run[:1])
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _CLAIM, str(path), str(fence)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        )
        for fence in (2, 3)
    ]
    for each in processes:
        assert each.stdin
        each.stdin.write("go\n")
        each.stdin.flush()
    old, new = (int(each.communicate()[0]) for each in processes)
    assert new == len(run) - 1
    entries = read(path)
    assert entries == [run[0], *run[1 : 1 + old], *run[1:]]
    journal = SqliteJournal(path)
    with pytest.raises(LockedError):
        journal.append("run-1", 2, run[1:2])
    journal.close()


# Copies and damage


def test_a_copy_without_its_wal_holds_what_was_there_before(path: Path, run: list[Entry], tmp_path: Path) -> None:
    """A file that was copied in the middle of a run, its -wal left behind, opens or says what is wrong."""
    written(path, run[:3])
    journal = SqliteJournal(path)
    journal.append("run-1", 1, run[3:])
    copy = tmp_path / "copy.db"
    shutil.copy(path, copy)
    assert read(copy) == run[:3]
    journal.close()


def test_an_empty_copy_says_so(path: Path, run: list[Entry], tmp_path: Path) -> None:
    """A copy of a journal whose pages are all in its -wal yet says that this was left behind."""
    journal = SqliteJournal(path)
    journal.append("run-1", 1, run)
    copy = tmp_path / "copy.db"
    shutil.copy(path, copy)
    with pytest.raises(JournalFault, match="is empty") as fault:
        SqliteJournal(copy, read_only=True)
    assert "-wal" in fault.value.hint
    journal.close()


def test_a_file_that_a_full_disk_kept_empty_is_a_journal_without_runs(path: Path, run: list[Entry]) -> None:
    """An empty file has nothing to lose: who reads finds no run and leaves it, who writes makes it new."""
    path.parent.mkdir()
    path.touch()
    journal = SqliteJournal(path, read_only=True)
    assert journal.runs() == []
    journal.close()
    assert path.stat().st_size == 0
    written(path, run)
    assert read(path) == run


@pytest.mark.parametrize("read_only", [True, False])
def test_an_empty_file_beside_its_wal_is_left_alone(path: Path, run: list[Entry], *, read_only: bool) -> None:
    """SQLite would throw the -wal away, in which everything may be."""
    journal = SqliteJournal(path)
    journal.append("run-1", 1, run)
    wal = path.with_name(f"{path.name}-wal").read_bytes()
    journal.close()
    path.write_bytes(b"")
    path.with_name(f"{path.name}-wal").write_bytes(wal)
    with pytest.raises(JournalFault, match="is empty") as fault:
        SqliteJournal(path, read_only=read_only)
    assert "-wal" in fault.value.hint
    assert path.with_name(f"{path.name}-wal").read_bytes() == wal


@pytest.mark.parametrize("empty", [True, False])
def test_a_wal_that_holds_nothing_keeps_nobody_from_beginning(path: Path, run: list[Entry], *, empty: bool) -> None:
    """A program that was killed before it wrote leaves one; whether the file beside it was removed or is empty."""
    path.parent.mkdir()
    path.with_name(f"{path.name}-wal").touch()
    if empty:
        path.touch()
    journal = SqliteJournal(path, read_only=True)
    assert journal.runs() == []
    journal.close()
    written(path, run)
    assert read(path) == run


def test_a_torn_wal_opens_up_to_the_tear(path: Path, run: list[Entry], tmp_path: Path) -> None:
    """A copy whose -wal was cut anywhere holds the whole appends before the cut, in order, and nothing else."""
    written(path, run[:1])
    journal = SqliteJournal(path)
    for entry in run[1:]:
        journal.append("run-1", 1, [entry])
    wal = path.with_name("journal.db-wal").read_bytes()
    seen = set()
    for cut in range(0, len(wal), 5003):
        copy = tmp_path / f"cut-{cut}.db"
        shutil.copy(path, copy)
        copy.with_name(f"{copy.name}-wal").write_bytes(wal[:cut])
        entries = read(copy)
        assert entries == run[: len(entries)]
        seen.add(len(entries))
    assert len(seen) > 5
    journal.close()


def test_a_damaged_page_is_never_read_as_something_else(path: Path, run: list[Entry]) -> None:
    """Whichever page is overwritten or cut off: the run is read as it was, or the journal is called damaged."""
    written(path, [*run, *run[1:] * 20])
    whole = read(path)
    good = path.read_bytes()
    faults = 0
    for start in range(0, len(good), 4096):
        for bad in filter(None, (good[:start] + b"\xa5" * 4096 + good[start + 4096 :], good[:start])):
            path.write_bytes(bad)
            try:
                assert read(path) == whole
            except JournalFault:
                faults += 1
    assert faults > len(good) // 4096


@pytest.fixture
def mine() -> Iterator[Path]:
    """A folder of somebody whom permissions bind, which root is not."""
    root = os.geteuid() == 0
    folder = Path(tempfile.mkdtemp())
    if root:
        os.chown(folder, 65534, 65534)
        os.seteuid(65534)
    try:
        yield folder
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o700)
        shutil.rmtree(folder)


def test_a_journal_in_a_read_only_folder_is_read(mine: Path, run: list[Entry]) -> None:
    """Where nothing can be made beside the journal it is read all the same; to write there is a fault with a hint."""
    path = mine / "journal.db"
    written(path, run)
    path.chmod(0o400)
    mine.chmod(0o500)
    assert read(path) == run
    with pytest.raises(JournalFault, match="cannot be used") as fault:
        SqliteJournal(path)
    assert "permissions" in fault.value.hint


# The form before records


def first_form(path: Path, entries: list[Entry], cluster: str = "c") -> None:
    """Write a journal as version 1 did: a row for each event."""
    path.parent.mkdir(mode=0o700)
    with sqlite3.connect(path) as db:
        db.execute(
            "create table events (run text not null, seq integer not null, at real not null, kind text not null,"
            " body blob not null, primary key (run, seq)) without rowid"
        )
        db.execute("create table runs (run text primary key, cluster text not null, started_at real not null)")
        for run in ("run-1", "run-2"):
            rows = [
                (run, seq, entry.at, type(entry.event).__name__, msgspec.json.encode(entry.event))
                for seq, entry in enumerate(entries, start=1)
            ]
            db.executemany("insert into events values (?, ?, ?, ?, ?)", rows)
            db.execute("insert into runs values (?, ?, ?)", (run, cluster, entries[0].at))
        db.execute("pragma user_version = 1")
    db.close()


@pytest.mark.parametrize("read_only", [False, True])
def test_a_journal_of_the_first_form_is_taken_over(path: Path, run: list[Entry], read_only: bool) -> None:  # noqa: FBT001 - pytest's parameter
    """What version 1 wrote is read with nothing lost, by readers and writers, and can be written on."""
    first_form(path, run)
    journal = SqliteJournal(path, read_only=read_only)
    assert journal.entries("run-1") == journal.entries("run-2") == run
    assert [head.run for head in journal.runs()] == ["run-2", "run-1"]
    assert journal.head("run-1").fence == 1
    journal.close()
    again = SqliteJournal(path)
    again.ask("run-1", Ask(kind=AskKind.ABORT, wave=0, by="me", at=1.0))
    assert len(again.asked("run-1")) == 1
    again.close()


def test_a_damaged_journal_of_the_first_form_is_left_as_it_is(path: Path, run: list[Entry]) -> None:
    """Where an event of version 1 cannot be read nothing is taken over, and what is there stays."""
    first_form(path, run)
    with sqlite3.connect(path) as db:
        db.execute("update events set body = '{' where seq = 3")
    db.close()
    with pytest.raises(JournalFault, match="damaged"):
        SqliteJournal(path)
    with sqlite3.connect(path) as db:
        assert db.execute("select count(*) from events").fetchone() == (2 * len(run),)
    db.close()
