"""The cluster while it is ours: won, and let go of; what earlier owners had begun is waited for first."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from threading import Event, Thread

from orchestrator.aws.owner import HEARTBEAT_SECONDS, Owner, Predecessor
from orchestrator.cli import loading
from orchestrator.cli.compose import Parts
from orchestrator.core.orders import PayloadReference
from orchestrator.core.settings import typed
from orchestrator.errors import EnvironmentFault, LockedError
from orchestrator.ports import Lock
from orchestrator.report.times import time_of_day

PREDECESSOR_EVERY = 5.0
SIGN_EVERY = 60.0
"""Seconds after which the wait for a predecessor says again that it goes on."""

PREDECESSOR_PATIENCE = 1800.0
LIST_LAG = 10.0
"""Seconds for which a list of commands may not know the newest one (F73)."""


@dataclass(kw_only=True)
class Hold:
    """The cluster while it is ours.

    `at_work`: the run has begun something and not ended, so the lock and the `payload` that was delivered must outlive
    us: it can be resumed. `begun`: so it is our run that counts now, and no more the one that was taken over; `others`:
    whose commands we have waited for. `inherits`: the cluster was somebody's when we won it.
    """

    parts: Parts
    say: Callable[[str], None]
    others: Sequence[Predecessor] = ()
    inherits: bool = False
    begun: bool = False
    key: bytes = b""
    at_work: bool = False
    payload: PayloadReference | None = None

    def begin(self) -> None:
        """Let our run count, whose beginning is in its journal; then put away what those taken over have delivered.

        Should we die after any line here, whoever comes next finds either the old run as it was, or ours with the rest
        to do. Raises LockedError when another owner took the cluster over.
        """
        self.parts.lock.begin()
        self.begun = True
        for each in self.others:
            depot = loading.depot_of(self.parts, each)
            again = typed("heal", "--cluster", self.parts.cluster, *depot.flags)
            failure = f"what the run {each.run} delivered to {depot.words} was not removed (`{again}` does it)"
            _tidy(self.say, failure, partial(loading.forget, self.parts, each))
        if self.others:  # last: should we die before, whoever takes us over removes it
            self.parts.lock.resolved()


@contextmanager
def locked(
    parts: Parts, *, take_over: bool, say: Callable[[str], None], resumes: bool = False, store: Sequence[str] = ()
) -> Iterator[Hold]:
    """Win the cluster, and let it go afterwards, except where a run broke off that can be resumed.

    Where another owner was taken over, its commands are waited for first; those of the run that is resumed are not:
    it finds them itself. Who leaves without having begun a run gives the cluster back as it was. `store`: the flags
    that name the run's journal.
    """
    before = parts.lock.acquire(take_over=take_over, resumes=resumes)
    others = tuple(each for each in before.to_resolve if each.run != parts.run_id) if before else ()
    # What is resumed was begun, whatever fails from here.
    hold = Hold(parts=parts, say=say, others=others, inherits=before is not None, at_work=resumes)
    lost = False
    try:
        if before is not None:
            resumed = before.run == parts.run_id
            say(
                f"{'going on where' if resumed else 'took over from'} {before.holder}"
                f"{' left off' if resumed else ''} (run {before.run})"
            )
        if others:
            _outwait(parts, others, say)
        hold.key = loading.ensure_key(parts)
        yield hold
    except LockedError:
        lost = True  # the cluster is another owner's by now, and so is everything of ours in it
        raise
    finally:
        if lost:
            pass
        elif before is not None and not hold.begun:
            say(f"nothing was begun: the cluster is the run {before.run}'s again, as it was")
            say(_goes_on(before, parts.cluster, store))
            _tidy(say, "the lock was not given back", lambda: parts.lock.hand_back(before))
        elif hold.at_work:
            command = typed("resume", parts.run_id, "--take-over", *store)
            say(f"the run {parts.run_id} broke off, and its lock stays: `{command}` goes on with it")
        else:
            _let_go(hold)


@contextmanager
def kept(lock: Lock, every: float = HEARTBEAT_SECONDS / 3) -> Iterator[None]:
    """Keep the heartbeat while a person thinks, `every` so many seconds: their answer may take hours.

    Whoever has lost the cluster meanwhile hears of it at the next look at the lock, as ever.
    """
    answered = Event()

    def beat() -> None:
        while not answered.wait(every):
            try:
                lock.keep()
            except LockedError:
                return
            except EnvironmentFault:
                continue  # the next one may come through

    thread = Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        answered.set()
        thread.join()


def _let_go(hold: Hold) -> None:
    """Take the delivery away and release the lock. What fails here is told, and does not hide how the run ended."""
    parts, payload, say = hold.parts, hold.payload, hold.say
    if payload is not None:
        _tidy(say, "the delivered credential was not removed", lambda: loading.take_away(parts, payload))
    _tidy(say, "the lock was not released", parts.lock.release)
    _tidy(say, "older locks were not removed", parts.lock.sweep)


def _still(busy: Sequence[Predecessor], left: float) -> str:
    """Say that the wait goes on: for how long at least, or for whose commands."""
    if busy:
        return f"still waiting: commands of the run {busy[0].run} are under way"
    return f"still waiting: {left:.0f} s more at least"


def _goes_on(before: Owner, cluster: str, store: Sequence[str]) -> str:
    """Say how the run goes on whose cluster is given back to it."""
    if not before.begun:
        return "that one had not begun either: a new run can say --take-over again"
    command, heal = typed("resume", before.run, *store), typed("heal", "--cluster", cluster, "--take-over")
    return f"`{command}` goes on with it; where its journal is lost, `{heal}` mends what it left"


def _tidy(say: Callable[[str], None], failure: str, step: Callable[[], None]) -> None:
    try:
        step()
    except EnvironmentFault as fault:
        say(f"warning: {failure}: {fault.message} {fault.hint}")


def _outwait(parts: Parts, predecessors: Sequence[Predecessor], say: Callable[[str], None]) -> None:
    """Wait for the old owners' commands: they may still change instances that have not seen our fence.

    The first lists are not believed: they may not know yet what was sent last (F73). An owner that only sleeps may
    wake up and send the one command that it was about to: what it could still begin with has expired afterwards.
    """
    began = parts.clock.now()
    quiet = max(began + LIST_LAG, *(each.until(began) for each in predecessors))
    said = began
    minutes = PREDECESSOR_PATIENCE / 60
    say(
        f"waiting at least {quiet - began:.0f} s, until {time_of_day(quiet)} UTC: nothing of it may be under way or "
        f"still begin then (at most {minutes:.0f} minutes; Ctrl-C gives the lock back)"
    )
    while True:
        busy = [each for each in predecessors if parts.commands.busy(each.run, each.since)]
        now = parts.clock.now()
        if not busy and now >= quiet:
            return
        if busy and now - began > PREDECESSOR_PATIENCE:
            raise EnvironmentFault(
                f"Commands of the run {busy[0].run} are still under way.",
                hint="Look at them in the Run Command console; cancel or wait, then run again.",
            )
        if now >= said + SIGN_EVERY:
            said = now
            say(_still(busy, quiet - now))
        parts.lock.keep()
        parts.clock.wait(PREDECESSOR_EVERY)
