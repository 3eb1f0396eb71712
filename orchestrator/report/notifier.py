"""Send notices: each channel from a thread of its own, so that none of them delays or fails a run."""

import contextlib
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, replace
from typing import Protocol

from orchestrator.core.events import ApprovalAwaited, Entry, Halted, RunEnded, RunStarted
from orchestrator.core.notices import Notice
from orchestrator.core.state import RunState
from orchestrator.errors import RolloutError
from orchestrator.report import notices
from orchestrator.report.notices import Origin

PATIENCE = 15.0
"""Seconds that the end of a command waits for notices that are under way."""


class Channel(Protocol):
    """One way to reach somebody."""

    @property
    def name(self) -> str:
        """What it is called in messages; no secret."""
        ...

    def send(self, notice: Notice) -> None:
        """Send it, within seconds. Raises RolloutError when it could not be sent."""
        ...


@dataclass(frozen=True, slots=True)
class _Post:
    notice: Notice
    done: Future[None]


class _Courier:
    """Carries the notices of one channel, in their order."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self._posts: queue.SimpleQueue[_Post | None] = queue.SimpleQueue()
        # A daemon: a name server that never answers must not keep the process from ending.
        threading.Thread(target=self._carry, name=f"notices-{channel.name}", daemon=True).start()

    def post(self, notice: Notice) -> Future[None]:
        done: Future[None] = Future()
        self._posts.put(_Post(notice, done))
        return done

    def stop(self) -> None:
        self._posts.put(None)

    def _carry(self) -> None:
        while (post := self._posts.get()) is not None:
            try:
                self.channel.send(post.notice)
            except Exception as error:  # noqa: BLE001 - whatever a channel does, the run must not know
                post.done.set_exception(error)
            else:
                post.done.set_result(None)


class Notifier:
    """Tells every channel when a run starts, waits for approval, halts and ends, with what followed its end.

    A run that has nothing to do and ends well is silent.
    """

    def __init__(self, channels: Sequence[Channel], origin: Origin) -> None:
        self._couriers = [_Courier(channel) for channel in channels]
        self.origin = origin
        self._over: RunState | None = None
        self._sent: list[tuple[str, Notice, Future[None]]] = []

    def told(self, entry: Entry, state: RunState) -> None:
        """Post the notice that this entry is worth."""
        match entry.event:
            case RunStarted():
                self.concluded()
                if notices.worth_starting(state):
                    self._post(notices.started(state, self.origin))
            case ApprovalAwaited():
                self._post(notices.waiting(state, self.origin, at=entry.at))
            case Halted():
                self._post(notices.halted(state, self.origin, at=entry.at))
            case RunEnded():
                self._over = state
            case _:
                pass

    def concluded(self, *followed: str, well: bool = True, look: Sequence[str] = ()) -> None:
        """Post how the run ended, once, and what `followed`: it is known only after the last event."""
        state, self._over = self._over, None
        if state is not None and (followed or notices.worth_ending(state)):
            self._post(notices.ended(state, self.origin, followed, well=well, look=look))

    def late(self, state: RunState, *followed: str, look: Sequence[str] = ()) -> None:
        """Post how a run ended whose controller died before it could, where that is worth a notice."""
        if followed or notices.worth_ending(state):
            told = (*followed, notices.LATE)
            self._post(notices.ended(state, self.origin, told, well=False, look=look))

    def failed(self, error: RolloutError, state: RunState | None, *, at: float, account: Callable[[], str]) -> None:
        """Post that the command ends with this error. `account` is asked where no run had told it; it may fail."""
        self.concluded()
        origin = self.origin
        if self._couriers and not origin.account:
            with contextlib.suppress(RolloutError):  # the notice is worth more than its account
                origin = replace(origin, account=account())
        self._post(notices.failed(error, state, origin, at=at))

    def finish(self) -> tuple[str, ...]:
        """Wait for what is under way, but not for long; name each notice that did not arrive, with its reason."""
        self.concluded()
        for courier in self._couriers:
            courier.stop()
        wait([done for _, _, done in self._sent], timeout=PATIENCE)
        return tuple(
            f"the notice '{notice.moment}' did not reach {name}: {problem}"
            for name, notice, done in self._sent
            if (problem := _problem_of(done))
        )

    def _post(self, notice: Notice) -> None:
        for courier in self._couriers:
            self._sent.append((courier.channel.name, notice, courier.post(notice)))


def _problem_of(done: Future[None]) -> str:
    if not done.done():
        return f"no answer within {PATIENCE:.0f} s"
    match done.exception():
        case None:
            return ""
        case RolloutError() as error:
            return f"{error.message} {error.hint}"
        case error:
            return f"unexpected: {type(error).__name__}"  # its text may hold an address
