"""The DynamoDB journal under what DynamoDB does to its callers; tests/unit/test_journal.py proves its contract."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from msgspec import structs
from mypy_boto3_dynamodb import DynamoDBClient

from orchestrator.aws import journal_items
from orchestrator.aws.journal import ASKED_EVERY, DynamoJournal
from orchestrator.aws.session import Session
from orchestrator.core.asks import Ask, AskKind
from orchestrator.core.events import Entry, RunStarted
from orchestrator.errors import ExitCode, JournalFault, LockedError, RolloutError
from orchestrator.journal.head import Head
from orchestrator.lab.faults import Cut
from orchestrator.lab.lab import Lab, LabThread
from orchestrator.lab.scenario import Scenario
from orchestrator.lab.wire import AwsError
from tests.fake_fleet import VirtualClock
from tests.journal_runs import TABLE, a_table, digest, large_run, troubled_run

RUN = "run-1"


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Iterator[DynamoDBClient]:
    with a_table(monkeypatch) as client:
        yield client


@pytest.fixture(scope="module")
def run() -> list[Entry]:
    return troubled_run()


class Client:
    """A client that counts its calls, and does to the next ones of an operation what it is told."""

    def __init__(self, real: DynamoDBClient) -> None:
        self._real = real
        self.calls: list[str] = []
        self.plans: dict[str, list[str]] = {}
        self.before: Callable[[str], None] = lambda _: None

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._real, name)
        if name in {"exceptions", "close", "get_paginator"}:
            self.calls += [name] if name == "get_paginator" else []
            return real

        def call(**arguments: Any) -> Any:
            self.calls.append(name)
            self.before(name)
            plan = self.plans.get(name, [])
            happens = plan.pop(0) if plan else "done"
            if happens not in {"done", "answer lost"}:
                raise error_of(happens)
            answer = real(**arguments)
            if happens == "answer lost":
                raise ReadTimeoutError(endpoint_url="http://table")
            return answer

        return call


def error_of(code: str) -> Exception:
    if code == "request lost":
        return ReadTimeoutError(endpoint_url="http://table")
    return ClientError({"Error": {"Code": code, "Message": "No."}}, "TransactWriteItems")


def store(client: Any, clock: VirtualClock | None = None) -> DynamoJournal:
    return DynamoJournal(client=client, clock=clock or VirtualClock(), table=TABLE)


# An append is there once, whatever became of its answer


@pytest.mark.parametrize("lost", ["answer lost", "request lost", "ThrottlingException"])
@pytest.mark.parametrize("more", [0, 1])
def test_an_append_whose_end_is_unknown_can_be_repeated(
    table: DynamoDBClient, run: list[Entry], lost: str, more: int
) -> None:
    """After a fault the same entries, alone or with more behind them, are there once, had they arrived or not."""
    client = Client(table)
    journal = store(client)
    journal.append(RUN, 1, run[:3])
    client.plans["transact_write_items"] = [lost]
    with pytest.raises(JournalFault) as fault:
        journal.append(RUN, 1, run[3:6])
    assert fault.value.exit_code is ExitCode.ENVIRONMENT
    journal.append(RUN, 1, run[3 : 6 + more])
    journal.append(RUN, 1, run[6 + more :])
    assert store(table).entries(RUN) == run


def test_the_first_append_can_be_repeated_too(table: DynamoDBClient, run: list[Entry]) -> None:
    """A run whose beginning arrived although its answer was lost begins once."""
    client = Client(table)
    client.plans["transact_write_items"] = ["answer lost"]
    journal = store(client)
    with pytest.raises(JournalFault):
        journal.append(RUN, 1, run[:1])
    journal.append(RUN, 1, run)
    assert store(table).entries(RUN) == run


def test_after_several_doubts_the_one_that_arrived_counts(table: DynamoDBClient, run: list[Entry]) -> None:
    """Of two appends in doubt, of which the second repeats the first, what arrived is there once."""
    client = Client(table)
    journal = store(client)
    journal.append(RUN, 1, run[:3])
    client.plans["transact_write_items"] = ["request lost", "answer lost"]
    for end in (5, 7):
        with pytest.raises(JournalFault):
            journal.append(RUN, 1, run[3:end])
    journal.append(RUN, 1, run[3:])
    assert store(table).entries(RUN) == run


def test_nothing_is_taken_before_what_arrived_unseen(table: DynamoDBClient, run: list[Entry]) -> None:
    """A writer that does not repeat what arrived behind its back is refused: its state is not the journal's fold."""
    client = Client(table)
    journal = store(client)
    journal.append(RUN, 1, run[:3])
    client.plans["transact_write_items"] = ["answer lost"]
    with pytest.raises(JournalFault):
        journal.append(RUN, 1, run[3:5])
    for _ in range(2):
        with pytest.raises(JournalFault, match="arrived although its answer was lost"):
            journal.append(RUN, 1, run[5:7])
    assert store(table).entries(RUN) == run[:5]


def test_a_claim_between_a_doubt_and_its_repetition_wins(table: DynamoDBClient, run: list[Entry]) -> None:
    """Where the run was taken over meanwhile the old owner is told so; nothing is doubled."""
    client = Client(table)
    journal = store(client)
    journal.append(RUN, 1, run[:3])
    client.plans["transact_write_items"] = ["answer lost"]
    with pytest.raises(JournalFault):
        journal.append(RUN, 1, run[3:5])
    store(table).claim(RUN, 2)
    with pytest.raises(LockedError):
        journal.append(RUN, 1, run[3:6])
    assert store(table).entries(RUN) == run[:5]


def test_a_claim_in_the_middle_of_an_append_wins(table: DynamoDBClient, run: list[Entry]) -> None:
    """Where a claim comes between an owner's look and its write, the write is refused."""
    client = Client(table)
    journal = store(client)
    journal.append(RUN, 1, run[:3])

    def claim(operation: str) -> None:
        if operation == "transact_write_items":
            client.before = lambda _: None
            store(table).claim(RUN, 2)

    client.before = claim
    with pytest.raises(LockedError, match="fence 2, ours is 1"):
        journal.append(RUN, 1, run[3:5])
    assert store(table).entries(RUN) == run[:3]


def test_a_claim_that_comes_too_late_is_refused(table: DynamoDBClient, run: list[Entry]) -> None:
    """Of two claims at once the larger fence wins, also where the smaller one looked first."""
    client = Client(table)
    store(table).append(RUN, 1, run[:3])

    def claim(operation: str) -> None:
        if operation == "update_item":
            client.before = lambda _: None
            store(table).claim(RUN, 9)

    client.before = claim
    with pytest.raises(LockedError, match="fence 9, ours is 8"):
        store(client).claim(RUN, 8)


def test_one_append_is_one_transaction(table: DynamoDBClient, run: list[Entry]) -> None:
    """An owner that goes on writes without a look: one call for each append."""
    client = Client(table)
    journal = store(client)
    journal.append(RUN, 1, run[:3])
    client.calls.clear()
    journal.append(RUN, 1, run[3:6])
    journal.append(RUN, 1, run[6:])
    assert client.calls == ["transact_write_items"] * 2


# Records larger than an item


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_items, "PIECE", 300)


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("after", range(4))
def test_a_crash_between_pieces_leaves_nothing_of_the_append(
    table: DynamoDBClient, run: list[Entry], after: int
) -> None:
    """Wherever a large append breaks off nothing of it is read; another owner writes another one in its place."""
    client = Client(table)
    journal = store(client)
    journal.append(RUN, 1, run[:1])
    client.plans["put_item"] = ["done"] * after + ["request lost"]
    with pytest.raises(JournalFault):
        journal.append(RUN, 1, run[1:])
    assert store(table).entries(RUN) == run[:1]
    store(table).claim(RUN, 2)
    store(table).append(RUN, 2, run[1:9])
    assert store(table).entries(RUN) == run[:9]


@pytest.mark.usefixtures("small_pieces")
def test_a_missing_piece_is_an_error(table: DynamoDBClient, run: list[Entry]) -> None:
    """A record of which somebody deleted a piece is not read."""
    store(table).append(RUN, 1, run)
    found = table.query(
        TableName=TABLE, KeyConditionExpression="pk = :pk", ExpressionAttributeValues={":pk": {"S": f"run#{RUN}"}}
    )["Items"]
    assert len(found) > 3
    table.delete_item(TableName=TABLE, Key={"pk": found[1]["pk"], "sk": found[1]["sk"]})
    with pytest.raises(JournalFault, match="piece of the entry 1 is missing"):
        store(table).entries(RUN)


def test_a_missing_record_is_an_error(table: DynamoDBClient, run: list[Entry]) -> None:
    """A run of which somebody deleted a record is not read."""
    journal = store(table)
    for start in range(0, 9, 3):
        journal.append(RUN, 1, run[start : start + 3])
    table.delete_item(TableName=TABLE, Key={"pk": {"S": f"run#{RUN}"}, "sk": {"S": f"record#{4:012}"}})
    with pytest.raises(JournalFault, match="the entry 4 of 9"):
        store(table).entries(RUN)


def test_what_is_appended_during_a_read_is_left_out(table: DynamoDBClient, run: list[Entry]) -> None:
    """A reader sees the run as it was when it began to read."""
    client = Client(table)
    journal = store(table)
    journal.append(RUN, 1, run[:3])
    reader = store(client)
    head = reader.head(RUN)
    journal.append(RUN, 1, run[3:])
    assert journal_items.stand_of({**journal_items.head_item(journal_items.Stand(head))}).head == head
    items = reader._query(journal_items.records_query(RUN))  # noqa: SLF001 - the second half of a read
    assert [record.seq for record in journal_items.records_of(items, head)] == [1]


# What is no journal, or cannot be used


def test_a_newer_table_is_not_guessed_at(
    table: DynamoDBClient, run: list[Entry], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a newer version wrote is refused by name."""
    monkeypatch.setattr(journal_items, "FORM", 2)
    store(table).append(RUN, 1, run)
    monkeypatch.undo()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    for each in (
        lambda: store(table).entries(RUN),
        lambda: store(table).runs(),
        lambda: store(table).append(RUN, 1, run),
    ):
        with pytest.raises(JournalFault, match="newer version"):
            each()


@pytest.mark.parametrize(
    "damage", [{"summary": {"B": b"{"}}, {"fence": {"S": "one"}}, {"seq": {"N": "x"}}, {"summary": {"B": b'{"seq'}}]
)
def test_a_damaged_head_is_an_error(damage: dict[str, Any]) -> None:
    """A head that somebody else wrote over is refused."""
    item = journal_items.head_item(journal_items.Stand(Head(run=RUN)))
    with pytest.raises(JournalFault, match="damaged"):
        journal_items.stand_of({**item, **damage})


def test_what_keeps_a_run_from_its_table_does_not_say_to_run_again(
    table: DynamoDBClient, run: list[Entry], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run goes on with `resume`, which its command names: another run would be refused or would take it over."""
    journal = store(table)
    journal.append(RUN, 1, run[:2])

    def throttled(**_: object) -> None:
        code = "ProvisionedThroughputExceededException"
        raise ClientError({"Error": {"Code": code, "Message": "Rate exceeded"}}, "TransactWriteItems")

    monkeypatch.setattr(table, "transact_write_items", throttled)
    with pytest.raises(JournalFault, match="Rate exceeded") as fault:
        journal.append(RUN, 1, run[2:])
    assert fault.value.hint == "Read AWS's message, and mend that."


def test_a_table_that_is_not_there_says_how_to_make_it(table: DynamoDBClient, run: list[Entry]) -> None:
    """Every use of a table that was never made, or is gone in the middle of a run, names the command that makes it."""
    journal = store(table)
    journal.append(RUN, 1, run[:2])
    table.delete_table(TableName=TABLE)
    ask = Ask(kind=AskKind.ABORT, wave=0, by="me", at=1.0)
    uses: list[Callable[[], object]] = [
        lambda: journal.append(RUN, 1, run[2:]),
        lambda: journal.entries(RUN),
        lambda: journal.claim(RUN, 2),
        lambda: journal.ask(RUN, ask),
        lambda: journal.asked(RUN),
        journal.runs,
    ]
    for use in uses:
        with pytest.raises(JournalFault, match="no such table") as fault:
            use()
        assert "ecs-rollout state init --state dynamodb:rollouts" in fault.value.hint


def test_making_the_table_again_changes_nothing(table: DynamoDBClient, run: list[Entry]) -> None:
    """`make` is idempotent, and what is in the table stays."""
    store(table).append(RUN, 1, run)
    assert store(table).make() is False
    assert store(table).entries(RUN) == run
    assert table.describe_table(TableName=TABLE)["Table"]["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"


def test_another_table_of_that_name_is_left_alone(table: DynamoDBClient) -> None:
    """A table with other keys is refused by name, as a journal and to be made."""
    table.create_table(
        TableName="orders",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "order", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "order", "KeyType": "HASH"}],
    )
    journal = DynamoJournal(client=table, clock=VirtualClock(), table="orders")
    with pytest.raises(JournalFault, match="other keys than a journal"):
        journal.make()
    with pytest.raises(JournalFault):
        journal.head(RUN)


class Becoming(Client):
    """A table that is not ready at once."""

    def __init__(self, real: DynamoDBClient, looks: int) -> None:
        super().__init__(real)
        self.looks = looks

    def describe_table(self, **arguments: Any) -> Any:
        answer: Any = self._real.describe_table(**arguments)
        self.looks -= 1
        return {"Table": {**answer["Table"], "TableStatus": "ACTIVE" if self.looks < 0 else "CREATING"}}


def test_it_is_waited_for_the_table(table: DynamoDBClient) -> None:
    """`make` comes back when the table can be used, and gives up after some minutes with what it saw."""
    clock = VirtualClock()
    store(Becoming(table, 3), clock).make()
    assert clock.now() == VirtualClock().now() + 6
    with pytest.raises(JournalFault, match="still CREATING"):
        store(Becoming(table, 10_000), clock).make()


# Asks


def test_the_table_is_not_asked_at_every_tick(table: DynamoDBClient, run: list[Entry]) -> None:
    """What other shells asked is looked up every few seconds, also while the table does not answer."""
    client, clock = Client(table), VirtualClock()
    store(table).append(RUN, 1, run[:1])
    journal = store(client, clock)
    assert journal.asked(RUN) == ()
    ask = Ask(kind=AskKind.APPROVE, wave=2, by="me", at=1.0)
    store(table).ask(RUN, ask)
    clock.wait(ASKED_EVERY - 0.1)
    assert journal.asked(RUN) == ()
    clock.wait(0.2)
    assert journal.asked(RUN) == journal.asked(RUN) == (ask,)
    assert client.calls.count("get_paginator") == 2


# Over the wire


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with LabThread(Lab(Scenario(), tmp_path_factory.mktemp("lab"))) as lab:
        yield lab


@pytest.fixture
def wire(lab: Lab, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> DynamoJournal:
    """A journal over HTTP, as the command line makes it."""
    for name, value in lab.exports().items():
        monkeypatch.setenv(name, value)
    name = f"table-{tmp_path.name[:100]}".replace("[", "-").replace("]", "")
    journal = DynamoJournal(client=Session(region=None, profile=None).dynamodb(), clock=VirtualClock(), table=name)
    journal.make()
    return journal


def test_a_retried_append_is_there_once(wire: DynamoJournal, lab: Lab, run: list[Entry]) -> None:
    """Where the connection is cut after DynamoDB took the append, botocore's retry neither fails nor doubles it."""
    wire.append(RUN, 1, run[:3])
    lab.faults.cut("TransactWriteItems", where=Cut.AFTER)
    wire.append(RUN, 1, run[3:6])
    lab.faults.cut("TransactWriteItems", where=Cut.BEFORE)
    wire.append(RUN, 1, run[6:])
    assert wire.entries(RUN) == run


def test_a_throttled_append_arrives(wire: DynamoJournal, lab: Lab, run: list[Entry]) -> None:
    """Throttling is waited out."""
    wire.append(RUN, 1, run[:3])
    error = AwsError("ProvisionedThroughputExceededException", "Slow down.")
    lab.faults.fail("TransactWriteItems", error, times=2)
    wire.append(RUN, 1, run[3:])
    assert wire.entries(RUN) == run


def test_throttling_that_lasts_is_a_fault_of_the_journal(wire: DynamoJournal, lab: Lab, run: list[Entry]) -> None:
    """When the table takes nothing for long the caller is told so, and may repeat the append later."""
    wire.append(RUN, 1, run[:3])
    lab.faults.fail("TransactWriteItems", AwsError("ThrottlingException", "Slow down."), times=5)
    with pytest.raises(JournalFault, match="ThrottlingException"):
        wire.append(RUN, 1, run[3:])
    wire.append(RUN, 1, run[3:])
    assert wire.entries(RUN) == run


def test_an_end_that_is_not_allowed_names_the_permission(wire: DynamoJournal, lab: Lab, run: list[Entry]) -> None:
    """Who may not write is told which action to allow."""
    wire.append(RUN, 1, run[:3])
    denied = AwsError("AccessDeniedException", "User is not authorized to perform: dynamodb:PutItem on resource: x")
    lab.faults.fail("TransactWriteItems", denied)
    with pytest.raises(JournalFault, match="Not allowed: dynamodb:PutItem"):
        wire.append(RUN, 1, run[3:])


def test_a_large_record_lies_in_items_that_dynamodb_takes(wire: DynamoJournal, lab: Lab) -> None:
    """The beginning of a run of 10,000 instances that have little in common is written in pieces and read in pages."""
    entries = varied(large_run(10_000, stopped=True)[:1])
    wire.append(RUN, 1, entries)
    assert calls(lab, "PutItem") > 3
    before = calls(lab, "Query")
    assert wire.entries(RUN) == entries
    assert calls(lab, "Query") > before + 1


def calls(lab: Lab, operation: str) -> int:
    return sum(each.operation == operation for each in lab.recorder.exchanges)


def varied(entries: list[Entry]) -> list[Entry]:
    """Make a run's instances as different as they can be: what is alike takes no room."""
    started = entries[0].event
    assert isinstance(started, RunStarted)
    planned = [
        replace(each, instance=replace(each.instance, arn=digest(number), ami=digest(-number), mark=digest(number * 7)))
        for number, each in enumerate(started.planned, start=1)
    ]
    return [Entry(entries[0].at, structs.replace(started, planned=tuple(planned)))]


def test_writers_at_once_leave_no_gap_and_no_double(wire: DynamoJournal, run: list[Entry]) -> None:
    """Several owners that write to a run at once: the largest fence gets everything in, each entry has its place."""
    wire.append(RUN, 1, run[:1])
    begin = threading.Barrier(4)
    done: dict[int, int] = {}

    def write(fence: int) -> None:
        client = Session(region=None, profile=None).dynamodb()
        journal = DynamoJournal(client=client, clock=VirtualClock(), table=wire.table)
        begin.wait()
        done[fence] = 0
        try:
            for entry in run[1:]:
                journal.append(RUN, fence, [entry])
                done[fence] += 1
        except RolloutError:
            pass

    threads = [threading.Thread(target=write, args=(fence,)) for fence in (2, 3, 4, 5)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    entries = wire.entries(RUN)
    assert done[5] == len(run) - 1
    assert len(entries) == 1 + sum(done.values())
    assert entries[-done[5] :] == run[1:]
