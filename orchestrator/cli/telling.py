"""Around a run: tell those who want to know, measure, and log. What fails here never fails the run."""

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Protocol, assert_never

from orchestrator.aws.metrics import CloudWatchMeter
from orchestrator.aws.notices import BusChannel, TopicChannel
from orchestrator.aws.session import Session
from orchestrator.aws.sources import read_source
from orchestrator.cli import display, manners, speech
from orchestrator.cli.unattended import Told
from orchestrator.core import overlap
from orchestrator.core.metrics import MeterKind, MeterTarget, Metric, embedded, metrics_of
from orchestrator.core.notices import BusTarget, Target, TopicTarget, WebhookTarget
from orchestrator.core.state import RunState
from orchestrator.errors import DefectError, ExitCode, RolloutError, UsageError
from orchestrator.ports import Clock, Observer
from orchestrator.report.following import Follower, Listener
from orchestrator.report.log_lines import Level, LogLines, QuietLines, json_line
from orchestrator.report.notices import Origin
from orchestrator.report.notifier import Channel, Notifier
from orchestrator.report.problem_lines import ProblemLines
from orchestrator.report.progress import PlainProgress
from orchestrator.report.silence import Silence
from orchestrator.report.times import elapsed, moment
from orchestrator.webhook import WebhookChannel


class Meter(Protocol):
    """One place for metrics."""

    @property
    def name(self) -> str:
        """What it is called in messages."""
        ...

    def put(self, metrics: Sequence[Metric], *, cluster: str, at: float) -> None:
        """Put them there. Raises RolloutError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LogMeter:
    """The embedded metric format, on stderr: the logs of Lambda and ECS turn it into metrics."""

    namespace: str

    @property
    def name(self) -> str:
        """What it is called in messages."""
        return f"emf:{self.namespace}"

    def put(self, metrics: Sequence[Metric], *, cluster: str, at: float) -> None:
        """Write one line."""
        speech.write_line(json.dumps(embedded(metrics, namespace=self.namespace, cluster=cluster, at=at)))


class Telling:
    """Who watches one command. `ended` or `failed` is called once, at its end."""

    def __init__(self, told: Told, session: Session, origin: Origin, clock: Clock) -> None:
        self._told = told
        self._session = session
        self._origin = origin
        self._clock = clock
        self._notifier = Notifier([_channel(each, session) for each in told.notify], origin)
        self._meters = [_meter(each, session) for each in told.metrics]
        self.live = display.make(clock, origin.store) if told.live else None
        self.follower = Follower()
        self._silence = Silence(clock, self.follower, self._present, origin.store)
        self.follower.listeners = (self._notifier, *self._lines())

    @property
    def observers(self) -> tuple[Observer, ...]:
        """Everybody who watches the run."""
        if self.live is not None:
            return (self.follower, self.live)
        return (self.follower,) if self._told.quiet else (self.follower, self._silence)

    @property
    def shows_plans(self) -> bool:
        """Whether somebody may want to read a plan before it is carried out."""
        return (self._told.watched and not self._told.quiet) or (self._told.attended and not self._told.json)

    def say(self, line: str) -> None:
        """Say a line; to a person with its time in the run, as the lines around it have."""
        state = self.follower.state
        if state is not None and not self._told.json:
            line = f"{elapsed(self._clock.now() - state.started_at)}  {line}".replace("\n", "\n       ")
        speech.say(line)

    def _lines(self) -> tuple[Listener, ...]:
        """Say who writes the lines of stderr; none where a display shows what changes."""
        told, write = self._told, self._silence.heard(speech.write_line)
        if told.json:
            return (LogLines(write, least=Level.WARNING if told.quiet else Level.INFO),)
        if told.quiet:
            return (ProblemLines(write),)
        if told.watched:
            return () if told.live else (PlainProgress(self._silence.heard(speech.say)),)
        return (QuietLines(write, self._origin.store),)

    def _present(self, at: float, state: RunState, words: str) -> None:
        """Write what a run does at present, in the form of the lines around it."""
        if self._told.json:
            where = {"run": state.run.run, "cluster": state.run.cluster}
            speech.write_line(json_line(at, Level.INFO, "present", words, **where))
        elif self._told.watched:
            self.say(words)
        else:
            speech.write_line(f"{moment(at)} {words}")

    def about(self, again: tuple[str, ...]) -> None:
        """Name the command that shows how things are, now that it is known what this is about."""
        self._notifier.origin = replace(self._notifier.origin, again=again)

    def concluded(self, *followed: str, well: bool, look: Sequence[str] = ()) -> None:
        """Tell how the run ended, what `followed`, whether all of it went `well`, and which command says more."""
        self._notifier.concluded(*followed, well=well, look=look)

    def late(self, state: RunState, *followed: str, look: Sequence[str]) -> None:
        """Tell how an earlier run ended, of which nobody was told; nothing else is told any more."""
        self._notifier.late(state, *followed, look=look)
        for trouble in self._notifier.finish():
            speech.say(f"warning: {trouble}")

    def troubled(self, error: RolloutError) -> None:
        """Tell of something that went wrong beside the fleet, after the run had ended; it decides the metrics later."""
        self._notifier.failed(error, self.follower.state, at=self._clock.now(), account=self._session.account)

    def ended(self, state: RunState | None, code: ExitCode, *, oldest_age: float | None = None) -> tuple[str, ...]:
        """Measure what was done, and wait for the notices; name what did not arrive. `state` None: nothing to do.

        `oldest_age`: seconds since the oldest generation that some instance runs was first installed; None: as far as
        the run itself has seen it.
        """
        age = self._age(state) if oldest_age is None else oldest_age
        return self._finish(metrics_of(state, failed=code is not ExitCode.OK, oldest_age=age))

    def _age(self, state: RunState | None) -> float | None:
        if state is None or state.started is None:
            return None
        return overlap.oldest_age(overlap.running_after(state), self._clock.now())

    def failed(self, error: RolloutError) -> None:
        """Tell and measure that the command ends with an error, unless somebody sees it on the screen."""
        state = self.follower.state
        if self._told.attended and state is None:
            return
        self._notifier.failed(error, state, at=self._clock.now(), account=self._session.account)
        self._finish(metrics_of(state, failed=True, oldest_age=self._age(state)))

    def _finish(self, metrics: Sequence[Metric]) -> tuple[str, ...]:
        troubles = [*self._measured(metrics), *self._notifier.finish()]
        for trouble in troubles:
            speech.say(f"warning: {trouble}")
        return tuple(troubles)

    def _measured(self, metrics: Sequence[Metric]) -> Iterator[str]:
        for meter in self._meters:
            try:
                meter.put(metrics, cluster=self._origin.cluster, at=self._clock.now())
            except RolloutError as error:
                yield f"the metrics did not reach {meter.name}: {error.message} {error.hint}"


@contextmanager
def telling(told: Told, session: Session, origin: Origin, clock: Clock) -> Iterator[Telling]:
    """Watch a command, and tell of an error that ends it. Raises UsageError for a webhook without its variable."""
    watch = Telling(told, session, origin, clock)
    with display.shown(watch.live):
        try:
            yield watch
        except RolloutError as error:
            watch.failed(error)
            raise
        except Exception as error:
            # Nobody watches: what nobody expected must be told as well. Its own words may hold a secret, so they stay.
            watch.failed(DefectError(error, manners.where(error)))
            raise


def _channel(target: Target, session: Session) -> Channel:
    match target:
        case TopicTarget():
            return TopicChannel(session.sns_brief(target.region), target)
        case BusTarget():
            return BusChannel(session.events_brief(target.region), target)
        case WebhookTarget():
            return WebhookChannel(target, _url(target, session), environment=os.environ)
        case _:
            assert_never(target)


def _url(target: WebhookTarget, session: Session) -> Callable[[], str]:
    """Say how a webhook's URL is had: a variable is looked for now, another store is asked when it is needed."""
    source = target.source
    if source is not None:
        return lambda: read_source(source, session, stdin=sys.stdin.buffer).text
    url = os.environ.get(target.variable, "")
    if not url:
        raise UsageError(
            f"--notify {target}: there is no such environment variable.", hint="Put the webhook's URL into it."
        )
    return lambda: url


def _meter(target: MeterTarget, session: Session) -> Meter:
    match target.kind:
        case MeterKind.CLOUDWATCH:
            return CloudWatchMeter(client=session.cloudwatch_brief(), namespace=target.namespace)
        case MeterKind.EMF:
            return LogMeter(namespace=target.namespace)
        case _:
            assert_never(target.kind)
