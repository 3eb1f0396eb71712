"""What every store of the journal promises, proven of each."""

import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from msgspec import structs

from orchestrator.aws.journal import DynamoJournal
from orchestrator.core.asks import Ask, AskKind
from orchestrator.core.events import Entry, Halted, RunStarted, WaveOpened
from orchestrator.core.state import replay
from orchestrator.errors import ExitCode, JournalFault, LockedError, UsageError
from orchestrator.journal.codec import decode, pack, unpack
from orchestrator.journal.head import Head, Record, entries_of, extended
from orchestrator.journal.sqlite import SqliteJournal
from orchestrator.journal.store import RunJournal, Store
from tests.fake_fleet import VirtualClock
from tests.journal_runs import TABLE, a_table, large_run, troubled_run

Opener = Callable[[], Store]


@pytest.fixture(params=["sqlite", "dynamodb"])
def opened(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Opener]:
    """Open the same journal again and again, as processes would."""
    with ExitStack() as stack:
        if request.param == "dynamodb":
            client = stack.enter_context(a_table(monkeypatch))

        def open_it() -> Store:
            if request.param == "dynamodb":
                return DynamoJournal(client=client, clock=VirtualClock(), table=TABLE)
            store = SqliteJournal(tmp_path / "state" / "journal.db")
            stack.callback(store.close)
            return store

        yield open_it


@pytest.fixture(scope="module")
def run() -> list[Entry]:
    return troubled_run()


def test_a_run_survives_the_process(opened: Opener, run: list[Entry]) -> None:
    """A journal that is opened anew gives the same entries in the same order, however they were appended."""
    journal = RunJournal(opened(), "run-1", 7)
    journal.append(run[:1])
    journal.append(run[1:9])
    for entry in run[9:]:
        journal.append([entry])
    again = opened()
    assert again.entries("run-1") == run
    assert replay(again.entries("run-1")).ended is not None


def test_the_list_of_runs_tells_how_each_stands(opened: Opener, run: list[Entry]) -> None:
    """Newest first, with cluster, counts and result, which agree with the fold of the entries."""
    store = opened()
    later = [structs.replace(entry, at=entry.at + 60) for entry in run[:5]]
    store.append("run-1", 1, run)
    store.append("run-2", 2, later)
    second, first = opened().runs()
    state = replay(run)
    assert (first.run, second.run) == ("run-1", "run-2")
    assert first.summary.counts == {kind.value: count for kind, count in state.counts.items()}
    assert (first.summary.cluster, first.summary.planned, first.summary.started_at) == ("c", 12, run[0].at)
    assert first.summary.result == (state.ended.result if state.ended else None)
    assert first.summary.halted == (state.halted.why if state.halted else "")
    assert (second.summary.result, second.seq, second.summary.last_at) == ("", 5, later[-1].at)
    assert opened().head("run-2") == second


def test_an_old_owner_writes_nothing(opened: Opener, run: list[Entry]) -> None:
    """After a claim with a larger fence the old owner's append is refused, and nothing of it is written."""
    old, new = opened(), opened()
    old.append("run-1", 3, run[:4])
    new.claim("run-1", 4)
    with pytest.raises(LockedError, match="run-1") as refused:
        old.append("run-1", 3, run[4:6])
    assert refused.value.exit_code is ExitCode.LOCKED
    with pytest.raises(LockedError):
        old.claim("run-1", 3)
    assert opened().entries("run-1") == run[:4]
    new.append("run-1", 4, run[4:])
    assert opened().entries("run-1") == run


def test_the_first_append_claims(opened: Opener, run: list[Entry]) -> None:
    """Nobody with a smaller fence may claim or go on with a run, from its first entry on."""
    opened().append("run-1", 3, run[:1])
    with pytest.raises(LockedError):
        opened().claim("run-1", 2)
    with pytest.raises(LockedError):
        opened().append("run-1", 2, run[1:2])
    opened().claim("run-1", 3)
    assert opened().head("run-1").fence == 3


def test_an_append_by_a_larger_fence_claims(opened: Opener, run: list[Entry]) -> None:
    """Whoever writes with a larger fence has claimed the run by that."""
    first, second = opened(), opened()
    first.append("run-1", 1, run[:2])
    second.append("run-1", 2, run[2:3])
    with pytest.raises(LockedError):
        first.append("run-1", 1, run[3:4])
    assert opened().entries("run-1") == run[:3]


def test_runs_do_not_mix(opened: Opener, run: list[Entry]) -> None:
    """Entries, claims and asks of one run are nobody else's, also where a run's name begins another's."""
    store = opened()
    for name in ("run-1", "run-11"):
        store.append(name, 1, run[:3])
    store.claim("run-11", 9)
    store.ask("run-11", Ask(kind=AskKind.ABORT, wave=0, by="anna@bastion", at=1.0))
    store.append("run-1", 1, run[3:])
    assert opened().entries("run-1") == run
    assert opened().entries("run-11") == run[:3]
    assert opened().asked("run-1") == ()


def test_what_was_asked_is_read_in_order(opened: Opener, run: list[Entry]) -> None:
    """Asks of other shells come back oldest first, each once, and are no part of the run's entries."""
    store = opened()
    store.append("run-1", 1, run)
    asks = [
        Ask(kind=AskKind.APPROVE, wave=3, by="anna@bastion", at=20.0),
        Ask(kind=AskKind.ABORT, wave=0, by="bob@laptop", at=100.0),
        Ask(kind=AskKind.APPROVE, wave=2, by="anna@bastion", at=9.5),
    ]
    for ask in [*asks, asks[0]]:
        opened().ask("run-1", ask)
    assert opened().asked("run-1") == (asks[2], asks[0], asks[1])
    assert RunJournal(opened(), "run-1", 1).asked() == (asks[2], asks[0], asks[1])
    assert opened().entries("run-1") == run


def test_a_run_without_asks_was_asked_nothing(opened: Opener) -> None:
    """Before anybody asks there is nothing, also for a run that has not begun."""
    assert opened().asked("run-1") == ()


def test_an_unknown_run_is_a_usage_error(opened: Opener) -> None:
    """A run that nobody knows is said so, whatever is wanted of it."""
    store = opened()
    ask = Ask(kind=AskKind.ABORT, wave=0, by="anna@bastion", at=1.0)
    wanted: list[Callable[[], object]] = [
        lambda: store.entries("nobody"),
        lambda: store.head("nobody"),
        lambda: store.claim("nobody", 1),
        lambda: store.ask("nobody", ask),
    ]
    for each in wanted:
        with pytest.raises(UsageError, match="knows no run 'nobody'"):
            each()
    assert store.runs() == []


def test_a_run_begins_once(opened: Opener, run: list[Entry]) -> None:
    """A run without its beginning, or with a second one, is a defect, and nothing of it is written."""
    store = opened()
    with pytest.raises(RuntimeError):
        store.append("run-1", 1, run[1:2])
    assert store.runs() == []
    store.append("run-1", 1, run[:2])
    with pytest.raises(RuntimeError):
        store.append("run-1", 1, [run[2], run[0]])
    assert opened().entries("run-1") == run[:2]


def test_an_append_of_nothing_writes_nothing(opened: Opener, run: list[Entry]) -> None:
    """No entries are no record."""
    store = opened()
    store.append("run-1", 1, run[:2])
    store.append("run-1", 1, [])
    store.append("run-1", 1, run[2:])
    assert opened().entries("run-1") == run


def test_ten_thousand_instances_fit(opened: Opener) -> None:
    """A run of 10,000 instances comes back as it was."""
    entries = large_run(10_000, stopped=True)
    opened().append("run-1", 1, entries[:1])
    assert opened().entries("run-1") == entries[:1]
    assert opened().head("run-1").summary.planned == 10_000


# The record

ADLER = 4
"""Bytes of the checksum at the end of compressed text."""


def test_every_event_comes_back_as_it_was(run: list[Entry]) -> None:
    """Packing and unpacking loses nothing of any event of a whole run."""
    assert unpack(pack(run)) == run


@pytest.mark.parametrize(("kind", "body"), [("Exploded", b"{}"), ("Halted", b'{"why":5}'), ("Halted", b"{")])
def test_a_damaged_event_is_an_error(kind: str, body: bytes) -> None:
    """An event that this version cannot read is an error, never skipped."""
    with pytest.raises(JournalFault):
        decode(kind, body)


def test_a_damaged_record_is_an_error(run: list[Entry]) -> None:
    """Whatever single byte of a record is changed or missing, it is an error and never another record.

    The bits that fill up the last byte of the compressed text mean nothing: changed, they leave the record as it was.
    """
    record = pack(run[-2:])
    for place in range(len(record)):
        for damaged in (record[:place] + bytes([record[place] ^ 0x40]) + record[place + 1 :], record[:place]):
            try:
                assert unpack(damaged) == run[-2:]
                assert place == len(record) - ADLER - 1
            except JournalFault:
                continue


def test_a_record_of_a_newer_version_is_not_guessed_at(run: list[Entry], monkeypatch: pytest.MonkeyPatch) -> None:
    """A record that a newer version wrote is refused by name, whatever else it holds."""
    monkeypatch.setattr("orchestrator.journal.codec.VERSION", 3)
    record = pack(run)
    monkeypatch.undo()
    for newer in (record, zlib.compress(b'[3,{"lines":[]},"more"]'), zlib.compress(b"[4]")):
        with pytest.raises(JournalFault, match="newer version"):
            unpack(newer)
    for damaged in (b"[2]", b'[2,{"lines":[]}]', b'["3",[]]', b"[]", b"3", b"\xff"):
        with pytest.raises(JournalFault, match="damaged"):
            unpack(zlib.compress(damaged))


@pytest.mark.parametrize("left", [[0, 1], [0, 2], [1, 2], [0, 1, 1, 2], [0, 2, 1], []])
def test_a_missing_or_doubled_record_is_an_error(run: list[Entry], left: list[int]) -> None:
    """A run from which a record is missing, or in which one stands twice or in a wrong place, is not read."""
    parts = [run[:2], run[2:5], run[5:7]]
    records = [Record(1, pack(parts[0])), Record(3, pack(parts[1])), Record(6, pack(parts[2]))]
    head = extended(Head(run="run-1"), 1, run[:7])
    assert entries_of(head, records) == run[:7]
    with pytest.raises(JournalFault, match="run-1"):
        entries_of(head, [records[each] for each in left])


def test_the_first_halt_is_the_one_that_is_told(run: list[Entry]) -> None:
    """The summary keeps the first reason of a halt, as the state does."""
    started = next(entry for entry in run if isinstance(entry.event, RunStarted))
    halts = [Entry(2.0, Halted(why="budget")), Entry(3.0, WaveOpened(wave=1)), Entry(4.0, Halted(why="signal"))]
    head = extended(Head(run="run-1"), 1, [started, *halts])
    assert (head.summary.halted, head.summary.last_at, head.seq) == ("budget", 4.0, 4)
