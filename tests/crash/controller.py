"""The real command line in a process of its own that ends itself, or stops, right before or after one of its calls.

A call is one HTTP request to AWS or one write to a SQLite journal; with a DynamoDB journal its writes are requests.
"""

import multiprocessing
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any, Final, TypeVar

import botocore.httpsession

import orchestrator.cli.carrying
import orchestrator.cli.compose
import orchestrator.cli.recovery
import orchestrator.cli.rolling
import orchestrator.cli.rollout  # noqa: F401 - loaded once, before processes are forked
from orchestrator import dispatch
from orchestrator.cli import requests
from orchestrator.cli.main import invoke
from orchestrator.core.settings import Deadlines
from orchestrator.journal.sqlite import SqliteJournal

T = TypeVar("T")

SKEW = 2
FIND_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Point:
    """Before or after the `nth` call of that name."""

    call: str
    nth: int
    after: bool

    def __str__(self) -> str:
        return f"{'after' if self.after else 'before'} {self.call} {self.nth}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One command. `folder` takes what it prints, and the names of its calls; `number` is the signal at the point."""

    arguments: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    point: Point | None = None
    number: signal.Signals = signal.SIGKILL


class Tripwire:
    """Writes the name of every call down, and sends this process a signal at one of them."""

    def __init__(self, log: Path, point: Point | None, number: signal.Signals) -> None:
        self._log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._point = point
        self._number = number
        self._seen: Counter[str] = Counter()

    def around(self, call: str, effect: Callable[[], T]) -> T:
        """Do what the call does, with the point before and the point after it."""
        self._seen[call] += 1
        nth = self._seen[call]
        os.write(self._log, f"{call}\n".encode())
        self._reach(Point(call, nth, after=False))
        try:
            return effect()
        finally:
            self._reach(Point(call, nth, after=True))

    def _reach(self, point: Point) -> None:
        if point == self._point:
            os.kill(os.getpid(), self._number)


def _laid(wire: Tripwire) -> None:
    """Put the wire around every request to AWS and every write to SQLite."""
    send: Any = botocore.httpsession.URLLib3Session.send
    append, claim = SqliteJournal.append, SqliteJournal.claim

    def sent(session: Any, request: Any) -> Any:
        return wire.around(operation_of(request), lambda: send(session, request))

    def appended(journal: SqliteJournal, run: str, fence: int, entries: Sequence[Any]) -> None:
        kinds = "+".join(dict.fromkeys(type(each.event).__name__ for each in entries))
        wire.around(f"journal:{kinds}", lambda: append(journal, run, fence, entries))

    def claimed(journal: SqliteJournal, run: str, fence: int) -> None:
        wire.around("journal:claim", lambda: claim(journal, run, fence))

    setattr(botocore.httpsession.URLLib3Session, "send", sent)  # noqa: B010 - its own type has no such setter
    setattr(SqliteJournal, "append", appended)  # noqa: B010
    setattr(SqliteJournal, "claim", claimed)  # noqa: B010


def operation_of(request: Any) -> str:
    """Name what a request asks for."""
    target = request.headers.get("X-Amz-Target", b"")
    text = target.decode() if isinstance(target, bytes) else str(target)
    return text.rpartition(".")[2] or f"{request.method} {request.url.partition('?')[0].rpartition('/')[2]}"


def _hastened() -> None:
    """Let a lost command be looked at soon: clocks agree here, and lists lag for no longer than the lab is told."""
    setattr(dispatch, "FIND_SECONDS", FIND_SECONDS)  # noqa: B010
    setattr(requests, "Deadlines", partial(Deadlines, skew=SKEW))  # noqa: B010


def work(order: Order) -> None:
    """Be the process: run the command line as it would run anywhere."""
    os.environ.clear()
    os.environ.update(order.environment)
    for number, name in ((0, os.devnull), (1, order.folder / "out"), (2, order.folder / "err")):
        opened = os.open(name, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin, sys.stdout, sys.stderr = os.fdopen(0), os.fdopen(1, "w"), os.fdopen(2, "w")
    _hastened()
    _laid(Tripwire(order.folder / "calls", order.point, order.number))
    sys.exit(invoke(order.arguments))


_SERVER: Final = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload([__name__])


@dataclass(frozen=True, slots=True)
class Controller:
    """A process that was started, and what it leaves."""

    order: Order
    process: ForkServerProcess

    @classmethod
    def start(cls, order: Order) -> "Controller":
        """Start it: forked from a process that has everything loaded, since most of a start is imports."""
        order.folder.mkdir(parents=True)
        process = _SERVER.Process(target=work, args=(order,), daemon=True)
        process.start()
        return cls(order, process)

    def wait(self, seconds: float = 240.0) -> int | None:
        """Wait for its end; give its exit code, negative where a signal ended it, None where it does not end."""
        self.process.join(seconds)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
            return None
        return self.process.exitcode

    def stops(self) -> bool:
        """Wait until it has stopped itself; False where it came to its end."""
        stat = Path(f"/proc/{self.process.pid}/stat")
        while self.process.is_alive():
            if stat.read_text().rpartition(")")[2].split()[0] == "T":
                return True
            self.process.join(0.05)
        return False

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.process.pid or 0, number)

    @property
    def calls(self) -> list[str]:
        """The names of its calls so far, in order."""
        log = self.order.folder / "calls"
        return log.read_text().splitlines() if log.exists() else []

    @property
    def said(self) -> str:
        """What it printed to stderr."""
        return (self.order.folder / "err").read_text()

    @property
    def printed(self) -> str:
        """What it printed to stdout."""
        return (self.order.folder / "out").read_text()
