"""Live progress: the run on the last lines of a terminal, its problems above them where they stay.

One thread draws, at most four times a second and only what has changed; the run's own thread never waits for it.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import TextIO

from rich.text import Text

from orchestrator.core.events import Approved, Entry, Resumed, RunEnded, RunStarted
from orchestrator.core.model import Plan
from orchestrator.core.state import RunState
from orchestrator.ports import Clock
from orchestrator.report.following import Follower
from orchestrator.report.hush import Hush
from orchestrator.report.layout import wrap
from orchestrator.report.live_frame import STYLES, frame
from orchestrator.report.painter import Painter
from orchestrator.report.problem_lines import ProblemLines
from orchestrator.report.standing import Standing, standing
from orchestrator.report.times import duration
from orchestrator.report.waits import before

TICK = 0.25
"""Seconds between two looks at whether there is anything new to draw."""

_JOIN_SECONDS = 5.0


class LiveProgress:
    """An observer that shows a run on a terminal from its first event to its last; `close` it in any case.

    `store`: the flags that name the run's journal, for the commands that it shows.
    """

    def __init__(
        self, stream: TextIO, clock: Clock, painter: Painter | None = None, *, store: Sequence[str] = ()
    ) -> None:
        self._stream = stream
        self._clock = clock
        self._store = store
        self._painter = painter or Painter(stream)
        self._hush = Hush(stream)
        self._plain = (getattr(stream, "encoding", None) or "").lower().replace("-", "") != "utf8"
        self._follower = Follower((ProblemLines(self.above), _Edges(self.above)))
        self._lock = threading.Lock()
        self._news = False
        self._above: deque[str] = deque()
        self._done = threading.Event()
        self._ticker: threading.Thread | None = None

    def remember(self, entries: Sequence[Entry]) -> None:
        """Take in what the run did before, and begin to draw where it stands."""
        with self._lock:
            self._follower.remember(entries)
        self._begin()

    def saw(self, entries: Sequence[Entry]) -> None:
        """Follow the run; begin to draw with its start, and end with its end."""
        with self._lock:
            self._follower.saw(entries)
            self._news = self._news or bool(entries)
        if any(isinstance(entry.event, RunStarted) for entry in entries):
            self._begin()
        if any(isinstance(entry.event, RunEnded) for entry in entries):
            self.close()

    def above(self, text: str) -> None:
        """Write lines that stay. Safe in a signal handler: while there is a live part it is its thread that writes."""
        self._above.append(text)
        self._news = True
        if self._ticker is None:
            self._draw(None)

    def close(self) -> None:
        """Take the live part off the screen; what was said stays."""
        ticker, self._ticker = self._ticker, None
        if ticker is not None:
            self._done.set()
            ticker.join(_JOIN_SECONDS)
            self._draw(None)
            self._hush.end()

    def _begin(self) -> None:
        self.close()
        self._hush.begin()
        self._done = threading.Event()
        self._ticker = threading.Thread(target=self._tick, args=(self._done,), name="live progress", daemon=True)
        self._ticker.start()

    def _tick(self, done: threading.Event) -> None:
        shown = -1
        while not done.wait(TICK):
            with self._lock:
                state, now = self._follower.state, self._clock.now()
                due = self._news or int(now) != shown
                self._news, shown = False, int(now)
                view = standing(state, now, self._store) if due and state is not None else None
            if view is not None:
                self._draw(view)

    def _draw(self, view: Standing | None) -> None:
        above = []
        while self._above:
            above += [_styled(line) for line in self._above.popleft().split("\n")]
        try:
            size = self._painter.size
            lines = frame(view, columns=size.columns, lines=size.lines, plain=self._plain) if view else []
            self._painter.paint(lines, above)
        except OSError:
            self._done.set()  # the terminal has gone; the run goes on without it


class _Edges:
    """A listener that says when a run begins, who lets it go on, and how it has ended."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._to = write

    def _write(self, text: str) -> None:
        self._to(wrap(text))

    def told(self, entry: Entry, state: RunState) -> None:
        """Write a line at either end of the run, and where a person has spoken."""
        match entry.event:
            case RunStarted(run=run, planned=planned):
                changes = Plan(cluster=state.run.cluster, generation=state.run.generation, planned=planned).changes
                self._write(f"run {run}: {changes} of {len(planned)} instances to change")
            case Resumed():
                self._write(before(state))
            case Approved(wave=wave, by=by):
                self._write(f"wave {wave} approved by {by}")
            case RunEnded(result=result):
                self._write(f"ended: {result}, after {duration(entry.at - state.started_at)}")
            case _:
                pass


def _styled(line: str) -> Text:
    text = Text(line)
    for kind, style in STYLES.items():
        text.highlight_regex(rf"^\d+:\d\d  {kind}(?=\()", style)
    text.highlight_regex(r"^\d+:\d\d  HALTED", "bold red")
    return text
