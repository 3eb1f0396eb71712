"""The journal in a DynamoDB table that several machines share; every write is conditional."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from orchestrator.aws import journal_items as items
from orchestrator.aws.journal_items import Stand, Trial
from orchestrator.aws.session import RUN_AGAIN, code_of, translated
from orchestrator.core.asks import Ask
from orchestrator.core.events import Entry
from orchestrator.errors import EnvironmentFault, JournalFault
from orchestrator.journal.codec import load
from orchestrator.journal.head import Head, claimed, entries_of, extended, unknown_run
from orchestrator.ports import Clock

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.literals import KeyTypeType
    from mypy_boto3_dynamodb.type_defs import PutTypeDef

ASKED_EVERY = 5.0
"""Seconds between two looks at what was asked of a run: the engine asks at every tick."""

_PAUSES = (0.05, 0.2, 0.5, 1.0, 2.0)
"""Seconds before an append that another write came in between of is tried again."""

_KEYS: "Final[tuple[tuple[str, KeyTypeType], ...]]" = (("pk", "HASH"), ("sk", "RANGE"))
_TABLE_SECONDS = 180.0
_LOOK_EVERY = 2.0


class DynamoJournal:
    """Every run of one table (journal.store.Store). Raises JournalFault where the table cannot be used.

    One transaction writes a record and moves its run's head, on the condition that the head is where the writer left
    it: so entries have no gap and no double, whoever else writes, and an append whose answer was lost is known again
    by its digest.
    """

    def __init__(self, *, client: "DynamoDBClient", clock: Clock, table: str) -> None:
        self._client = client
        self._clock = clock
        self.table = table
        self._stands: dict[str, Stand] = {}
        self._doubts: dict[str, list[Trial]] = {}
        self._asked: dict[str, tuple[float, Sequence[Ask]]] = {}

    def append(self, run: str, fence: int, entries: Sequence[Entry]) -> None:
        """Make entries durable in one transaction, and claim the run. Raises as `Store.append` does."""
        left, why = tuple(entries), ""
        for pause in _PAUSES:
            if not left:
                return
            before = self._stands.pop(run, None) or self._read(run) or Stand(Head(run=run))
            if before.head.seq and before.head.fence < fence:
                self.claim(run, fence)  # first, so that the old owner cannot come in between for ever
                before = self._known(run)
            left = self._not_arrived(run, before, left)
            if not left:
                return
            trial = Trial.of(before.head, extended(before.head, fence, left), left)
            self._doubts.setdefault(run, []).append(trial)
            why = self._write(before, trial)
            if not why:
                del self._doubts[run]
                self._stands[run] = trial.stand
                return
            self._clock.wait(pause)
        raise self._fault(f"the run {run} cannot be written to ({why})", "Wait until others write to the table less.")

    def claim(self, run: str, fence: int) -> None:
        """Keep writers with a smaller fence out from now on. Raises as `Store.claim` does."""
        claimed(self._known(run).head, fence)
        self._stands.pop(run, None)
        with self._translated("dynamodb:UpdateItem"):
            try:
                self._client.update_item(
                    TableName=self.table,
                    Key=items.head_key(run),
                    UpdateExpression="set fence = :fence",
                    ConditionExpression="fence <= :fence",
                    ExpressionAttributeValues={":fence": {"N": str(fence)}},
                )
            except ClientError as error:
                if code_of(error) != "ConditionalCheckFailedException":
                    raise
                claimed(self._known(run).head, fence)  # raises: fences only grow

    def entries(self, run: str) -> list[Entry]:
        """Read a whole run, as it was at one moment. Raises UsageError when there is none of that name."""
        head = self._known(run).head  # first: what is appended after it is left out
        return entries_of(head, items.records_of(self._query(items.records_query(run)), head))

    def head(self, run: str) -> Head:
        """Read how a run stands, without its entries. Raises UsageError when there is none of that name."""
        return self._known(run).head

    def runs(self) -> list[Head]:
        """List the runs, newest first."""
        heads = [items.stand_of(item).head for item in self._query(items.runs_query())]
        return sorted(heads, key=lambda head: (head.summary.started_at, head.run), reverse=True)

    def ask(self, run: str, ask: Ask) -> None:
        """Ask something of a run. Raises UsageError when there is no such run."""
        self._known(run)
        with self._translated("dynamodb:PutItem"):
            self._client.put_item(TableName=self.table, Item=items.ask_item(run, ask))

    def asked(self, run: str) -> Sequence[Ask]:
        """Read what was asked of a run, oldest first; at most ASKED_EVERY seconds old."""
        now = self._clock.now()
        looked_at, asks = self._asked.get(run, (-ASKED_EVERY, ()))
        if now - looked_at < ASKED_EVERY:
            return asks
        self._asked[run] = now, asks  # a table that does not answer is not asked more often, either
        found = tuple(load(bytes(item["body"]["B"]), Ask) for item in self._query(items.asks_query(run)))
        self._asked[run] = now, found
        return found

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def make(self) -> bool:
        """Make the table and wait until it can be used; say whether it was made, or there already.

        Raises JournalFault for a table of that name with other keys, and where it does not become ready.
        """
        made = self._create()
        until = self._clock.now() + _TABLE_SECONDS
        while True:
            with self._translated("dynamodb:DescribeTable"):
                found = self._client.describe_table(TableName=self.table)["Table"]
            if tuple((key["AttributeName"], key["KeyType"]) for key in found["KeySchema"]) != _KEYS:
                raise self._fault("it has other keys than a journal", "Name another table with --state.")
            if found["TableStatus"] == "ACTIVE":
                return made
            if self._clock.now() >= until:
                raise self._fault(f"it is still {found['TableStatus']}", "Look at it in the DynamoDB console.")
            self._clock.wait(_LOOK_EVERY)

    def _create(self) -> bool:
        with self._translated("dynamodb:CreateTable"):
            try:
                self._client.create_table(
                    TableName=self.table,
                    BillingMode="PAY_PER_REQUEST",
                    AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name, _ in _KEYS],
                    KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in _KEYS],
                )
            except ClientError as error:
                if code_of(error) != "ResourceInUseException":
                    raise
                return False
        return True

    def _write(self, before: Stand, trial: Trial) -> str:
        """Write a record and move its head; say why not where it may be tried again, as when the head has moved."""
        for piece in trial.pieces():
            with self._translated("dynamodb:PutItem"):
                self._client.put_item(TableName=self.table, Item=piece)
        new = "attribute_not_exists(pk)"
        record: PutTypeDef = {"TableName": self.table, "Item": trial.record, "ConditionExpression": new}
        head: PutTypeDef = {"TableName": self.table, "Item": items.head_item(trial.stand), "ConditionExpression": new}
        if before.head.seq:
            head["ConditionExpression"] = "seq = :seq and fence = :fence"
            was = {":seq": before.head.seq, ":fence": before.head.fence}
            head["ExpressionAttributeValues"] = {name: {"N": str(value)} for name, value in was.items()}
        with self._translated("dynamodb:PutItem"):
            try:
                self._client.transact_write_items(TransactItems=[{"Put": head}, {"Put": record}])
            except self._client.exceptions.TransactionCanceledException as error:
                reasons = error.response.get("CancellationReasons", ())
                return ", ".join(sorted({each.get("Code", "") for each in reasons} - {"", "None"})) or code_of(error)
        return ""

    def _not_arrived(self, run: str, stand: Stand, entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
        """Leave out what an earlier append of these brought there although its answer was lost.

        Raises JournalFault where something arrived that the caller does not repeat: it must not go on without it.
        """
        arrived = next((trial for trial in self._doubts.get(run, ()) if trial.arrived(stand)), None)
        if arrived is None:
            return entries
        if entries[: len(arrived.entries)] != arrived.entries:
            raise self._fault(
                f"an append to the run {run} arrived although its answer was lost, and was not repeated",
                "Read the run anew: the journal is ahead of this process.",
            )
        del self._doubts[run]
        return entries[len(arrived.entries) :]

    def _read(self, run: str) -> Stand | None:
        with self._translated("dynamodb:GetItem"):
            answer = self._client.get_item(TableName=self.table, Key=items.head_key(run), ConsistentRead=True)
        return items.stand_of(answer["Item"]) if "Item" in answer else None

    def _known(self, run: str) -> Stand:
        stand = self._read(run)
        if stand is None:
            raise unknown_run(run)
        return stand

    def _query(self, terms: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        with self._translated("dynamodb:Query"):
            pages = self._client.get_paginator("query").paginate(TableName=self.table, ConsistentRead=True, **terms)
            for page in pages:
                yield from page["Items"]

    def _fault(self, what: str, hint: str) -> JournalFault:
        return JournalFault(f"The journal's table {self.table} cannot be used: {what}.", hint=hint)

    @contextmanager
    def _translated(self, doing: str) -> Iterator[None]:
        try:
            with translated(doing):
                yield
        except JournalFault:
            raise
        except EnvironmentFault as fault:
            cause = fault.__cause__
            if isinstance(cause, ClientError) and code_of(cause) == "ResourceNotFoundException":
                hint = f"`ecs-rollout state init --state dynamodb:{self.table}` makes it; check --region, too."
                raise self._fault("there is no such table", hint) from cause
            hint = "Read AWS's message, and mend that." if fault.hint == RUN_AGAIN else fault.hint  # a run goes on
            raise JournalFault(fault.message, hint=hint) from cause
