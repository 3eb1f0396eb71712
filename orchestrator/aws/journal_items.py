"""The items of the journal's DynamoDB table: how heads, records, pieces of records and asks are laid out.

A run's head stands in the partition `runs`, so that one query lists them; the rest in a partition of the run's own.
A record that fits no item lies in pieces, which count for nothing until a record names them.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.core.asks import Ask
from orchestrator.core.events import Entry
from orchestrator.errors import JournalFault
from orchestrator.journal.codec import dump, load, pack
from orchestrator.journal.head import Head, Record, Summary

FORM = 1
"""Of the items. It grows when a reader of the older form could misread the newer."""

PIECE = 350_000
"""Bytes of a record in one item: an item is at most 400 KB, names included."""

RUNS = "runs"
Item = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Stand:
    """A run's head, and the digest of the last record, by which a writer knows its own again."""

    head: Head
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Trial:
    """An append as it would be: the stand after it, its entries, its record."""

    stand: Stand
    entries: tuple[Entry, ...]
    seq: int
    body: bytes

    @classmethod
    def of(cls, before: Head, after: Head, entries: Sequence[Entry]) -> "Trial":
        """Pack the entries that lead from one head to the other."""
        body = pack(entries)
        return cls(Stand(after, hashlib.sha256(body).hexdigest()), tuple(entries), before.seq + 1, body)

    def arrived(self, stand: Stand) -> bool:
        """Say whether a stand that was read is the one after this append; somebody may have claimed the run since."""
        return (stand.head.seq, stand.digest) == (self.stand.head.seq, self.stand.digest)

    @property
    def record(self) -> Item:
        """The record's item."""
        number = len(list(self.pieces()))
        body = {"pieces": {"N": str(number)}, "digest": {"S": self.stand.digest}} if number else {"body": _b(self.body)}
        return {**_key(_run(self.stand.head.run), f"record#{self.seq:012}"), "seq": {"N": str(self.seq)}, **body}

    def pieces(self) -> Iterator[Item]:
        """Give the items of its pieces; none where it fits into its own item."""
        if len(self.body) <= PIECE:
            return
        for number, start in enumerate(range(0, len(self.body), PIECE)):
            key = _key(_run(self.stand.head.run), _piece(self.seq, self.stand.digest, number))
            yield {**key, "body": _b(self.body[start : start + PIECE])}


def head_key(run: str) -> Item:
    """Name a head."""
    return _key(RUNS, run)


def head_item(stand: Stand) -> Item:
    """Write a head."""
    head = stand.head
    return {
        **head_key(head.run),
        "form": {"N": str(FORM)},
        "fence": {"N": str(head.fence)},
        "seq": {"N": str(head.seq)},
        "digest": {"S": stand.digest},
        "summary": _b(dump(head.summary)),
    }


def stand_of(item: Mapping[str, Any]) -> Stand:
    """Read a head. Raises JournalFault for one that is damaged or of a newer version."""
    with_hint = "Use the version of ecs-rollout that wrote it, or find out who else writes to the table."
    try:
        if int(item["form"]["N"]) > FORM:
            raise JournalFault("The journal's table was written by a newer version of ecs-rollout.", hint=with_hint)
        summary = load(bytes(item["summary"]["B"]), Summary)
        numbers = {name: int(item[name]["N"]) for name in ("fence", "seq")}
        return Stand(Head(run=item["sk"]["S"], summary=summary, **numbers), item["digest"]["S"])
    except (KeyError, TypeError, ValueError) as error:
        raise JournalFault("The journal's table holds a damaged head of a run.", hint=with_hint) from error


def records_of(items: Iterable[Mapping[str, Any]], head: Head) -> Iterator[Record]:
    """Put a run's records together, as far as its head goes. Raises JournalFault where a piece is missing."""
    bodies: dict[str, bytes] = {}
    for item in items:  # pieces come before records
        name = item["sk"]["S"]
        if not name.startswith("record#"):
            bodies[name] = bytes(item["body"]["B"])
        elif (seq := int(item["seq"]["N"])) <= head.seq:
            yield Record(seq, _whole(item, bodies, seq))


def _whole(item: Mapping[str, Any], bodies: Mapping[str, bytes], seq: int) -> bytes:
    if "body" in item:
        return bytes(item["body"]["B"])
    names = [_piece(seq, item["digest"]["S"], number) for number in range(int(item["pieces"]["N"]))]
    if not bodies.keys() >= set(names):
        raise JournalFault(
            f"The journal is damaged: a piece of the entry {seq} is missing.",
            hint="Find out who else writes to the table; its backups may hold it.",
        )
    return b"".join(bodies[name] for name in names)


def records_query(run: str) -> Mapping[str, Any]:
    """Ask for everything of a run's entries: pieces, then records."""
    values = {":pk": {"S": _run(run)}, ":from": {"S": "piece#"}, ":to": {"S": "record$"}}
    return {"KeyConditionExpression": "pk = :pk and sk between :from and :to", "ExpressionAttributeValues": values}


def ask_item(run: str, ask: Ask) -> Item:
    """Write an ask, under a name that is the same whenever the same is asked."""
    body = dump(ask)
    name = f"ask#{ask.at:020.6f}#{hashlib.sha256(body).hexdigest()[:16]}"
    return {**_key(_run(run), name), "body": _b(body)}


def asks_query(run: str) -> Mapping[str, Any]:
    """Ask for what was asked of a run."""
    values = {":pk": {"S": _run(run)}, ":from": {"S": "ask#"}}
    return {"KeyConditionExpression": "pk = :pk and begins_with(sk, :from)", "ExpressionAttributeValues": values}


def runs_query() -> Mapping[str, Any]:
    """Ask for every run's head."""
    return {"KeyConditionExpression": "pk = :pk", "ExpressionAttributeValues": {":pk": {"S": RUNS}}}


def _run(run: str) -> str:
    return f"run#{run}"


def _piece(seq: int, digest: str, number: int) -> str:
    return f"piece#{seq:012}#{digest[:16]}#{number:04}"


def _key(pk: str, sk: str) -> Item:
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def _b(body: bytes) -> Item:
    return {"B": body}
