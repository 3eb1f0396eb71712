"""Live progress: what it shows, that it is honest about time, and that it keeps a terminal in order."""

import io
import os
import re
import threading
from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.text import Text

from orchestrator.core.amount import Amount
from orchestrator.core.events import Admitted, Concluded, Entry, Resumed, RunEnded, WaveOpened
from orchestrator.core.gates import GateAnswer
from orchestrator.core.model import OutcomeKind, Ping
from orchestrator.core.settings import EVERYTHING, OnEphemeral, Policy, Word
from orchestrator.core.state import RunState, replay
from orchestrator.report.following import Follower
from orchestrator.report.live import LiveProgress
from orchestrator.report.live_frame import CTRL_C, STOPPING, frame
from orchestrator.report.painter import Painter
from orchestrator.report.problem_lines import ProblemLines
from orchestrator.report.remaining import Left, remaining
from orchestrator.report.standing import Standing, standing
from tests.fake_fleet import Host, VirtualClock, fleet_of, roll

LENIENT = Policy(
    waves=(Amount(1, percent=False), Amount(50, percent=True), EVERYTHING),
    max_unavailable=Amount(4, percent=False),
    max_failures=(Amount(5, percent=False),),
    max_unreachable=(EVERYTHING,),
    bake=300,
)


def troubled() -> list[Entry]:
    hosts = [
        *fleet_of(12),
        Host("i-0000000000000a001", behaviour="rolled_back", zone="eu-central-1a"),
        Host("i-0000000000000a002", behaviour="failed", reason="container_not_replaced"),
        Host("i-0000000000000a003", behaviour="lost_restored"),
        Host("i-0000000000000a004", ping=Ping.CONNECTION_LOST),
        Host("i-0000000000000a005", persistence="ephemeral"),
    ]
    return roll(hosts, LENIENT)[2].entries


def moments(entries: Sequence[Entry]) -> list[tuple[RunState, float]]:
    """Give the state after each entry, and a moment before the next one."""
    return [
        (replay(entries[: number + 1]), before.at + share * (after.at - before.at))
        for number, (before, after) in enumerate(pairwise(entries))
        for share in (0.0, 0.9)
    ]


def test_a_standing_is_true_at_every_moment() -> None:
    """Counts, window, waves and flights are those of the state; whoever takes longest stands first."""
    for view, state in ((standing(state, now), state) for state, now in moments(troubled())):
        assert view.in_flight == len(view.flights) <= view.window == 4
        assert sum(count for _, count in view.counts) == sum(
            each.outcome is not None for each in state.instances.values()
        )
        assert view.to_change == 15
        assert view.wave_changed <= view.wave_size
        assert all(before.total >= after.total >= after.seconds >= 0 for before, after in pairwise(view.flights))
        assert view.left is None or 0 <= view.left.least <= view.left.most
    last = VIEWS[-1]
    assert (last.changed, last.wave, last.waves) == (15, 3, 3)
    budgets = {each.what: (each.count, each.allowed) for each in last.budgets}
    assert budgets == {"failed": (3, 5), "unreachable": (1, 17), "refused": (1, None)}


def test_no_time_is_told_before_one_was_measured() -> None:
    """Until the canary has ended well nothing is known; from then on something is, until the run has ended."""
    entries = troubled()
    first = next(
        number
        for number, entry in enumerate(entries)
        if isinstance(entry.event, Concluded) and entry.event.outcome.kind is OutcomeKind.UPDATED
    )
    for number in range(1, len(entries)):
        state = replay(entries[:number])
        known = remaining(state, entries[number - 1].at) is not None
        assert known == (number > first and state.ended is None)
    assert remaining(replay(entries), entries[-1].at) is None


@pytest.mark.parametrize("bake", [0, 300])
@pytest.mark.parametrize("count", [5, 23])
def test_the_time_told_is_the_time_it_takes(count: int, bake: int) -> None:
    """For a fleet of equal instances the range holds the truth, at every moment after the canary."""
    policy = Policy(max_unavailable=Amount(3, percent=False), bake=bake)
    entries = roll(fleet_of(count), policy)[2].entries
    end = entries[-1].at
    tried = 0
    for state, now in moments(entries):
        left = remaining(state, now)
        if left is not None:
            # Seconds between two looks of the engine are part of every measurement and of every end.
            assert left.least - 4 <= end - now <= left.most + 4, (now, left)
            tried += 1
    assert tried > count


def test_what_takes_longer_than_usual_is_not_promised() -> None:
    """Once an instance takes longer than any other did, no end is told but that it is not known."""
    entries = troubled()
    number = max(n for n, entry in enumerate(entries) if isinstance(entry.event, Admitted))
    state = replay(entries[: number + 1])
    late = remaining(state, entries[number].at + 5000)
    assert late is not None
    assert late.open_end
    assert "longer than usual" in str(late)


@pytest.mark.parametrize(
    ("left", "words"),
    [
        (Left(least=0, most=3), "a few seconds"),
        (Left(least=0, most=30), "0 s to 30 s"),
        (Left(least=598, most=601), "about 10 min"),
        (Left(least=180, most=1900), "3 min to 32 min"),
        (Left(least=180, most=1900, open_end=True), "at least 3 min"),
    ],
)
def test_time_left_is_worded(left: Left, words: str) -> None:
    """A range is a range, and never goes below nothing."""
    assert str(left) == words


def test_what_the_run_waits_for_is_said() -> None:
    """A gate that holds and the bake time, with its seconds; nothing of both once the run is halted."""

    class Closed:
        name = "window"
        closed = True

        def ask(self, now: float) -> GateAnswer:
            word = Word.HOLD if now < 1_000_100 else Word.GO
            return GateAnswer(gate="window", word=word, reason="no window is open")

    entries = roll(fleet_of(8), LENIENT, gates=[Closed()])[2].entries
    waits = [(now, standing(state, now).waits) for state, now in moments(entries)]
    assert ("gate window: no window is open",) in [each for _, each in waits]
    opened = [entry.at for entry in entries if isinstance(entry.event, WaveOpened)]
    baking = [(now, line) for now, lines in waits for line in lines if line.startswith("bake time")]
    assert baking
    for now, line in baking:
        seconds = min(at for at in opened if at > now) - now
        assert line.startswith("bake time: the next wave opens in")
        assert seconds <= 300 + 4
    halted = roll(fleet_of(8), LENIENT, stop_requested=lambda: "stopped by a signal")[0]
    assert standing(halted, 2_000_000).waits == ()


VIEWS = [standing(state, now) for state, now in moments(troubled())]


@given(st.sampled_from(VIEWS), st.integers(20, 250), st.integers(2, 60), st.booleans())
def test_a_frame_fits_any_terminal(view: Standing, columns: int, lines: int, plain: bool) -> None:  # noqa: FBT001 - drawn
    """No line is folded and none scrolls, however small the terminal; more room shows no less."""
    drawn = frame(view, columns=columns, lines=lines, plain=plain)
    assert len(drawn) < lines
    assert all(line.cell_len < columns for line in drawn)
    assert len(frame(view, columns=columns, lines=lines + 1, plain=plain)) >= len(drawn)
    if plain:
        assert all(line.plain.replace("·", "").replace("…", "").isascii() for line in drawn)


def test_a_frame_shows_what_a_decision_needs_at_80_columns() -> None:
    """At 80 by 24 nothing that matters is cut, and everybody at work stands there with phase and seconds."""
    for view in VIEWS:
        drawn = [line.plain for line in frame(view, columns=80, lines=24)]
        text = "\n".join(drawn)
        assert "…" not in text
        assert f"in flight {view.in_flight} of at most 4" in text
        assert ("time left not known yet" in text) == (view.left is None)
        for flight in view.flights:
            assert re.search(rf"{flight.key} .*{re.escape(flight.doing)} .* (s|min)$", text, re.MULTILINE)
        assert drawn[-1] == CTRL_C


def test_those_without_room_are_counted() -> None:
    """The longest at work are shown, and how many more there are."""
    busiest = max(VIEWS, key=lambda view: len(view.flights))
    drawn = [line.plain for line in frame(busiest, columns=80, lines=10)]
    rows = [line for line in drawn if line.startswith("  i-")]
    assert rows
    assert f"  + {len(busiest.flights) - len(rows)} more" in drawn
    assert busiest.flights[0].key in rows[0]


def test_a_halt_is_said_and_what_ctrl_c_does_then() -> None:
    """Once the run is halted the frame says why, and that the next Ctrl-C leaves."""
    entries = roll([Host("i-00000000000000000", behaviour="failed"), *fleet_of(5)[1:]])[2].entries
    halted = next(state for state, _ in moments(entries) if state.halted)
    drawn = [line.plain for line in frame(standing(halted, 1_000_100), columns=80, lines=24)]
    assert any(line.startswith("HALTED: 1 failed, --max-failures 0 allows 0") for line in drawn)
    assert drawn[-1] == STOPPING
    last = standing(replay(entries), entries[-1].at)
    assert (last.changed, last.to_change) == (1, 5), "whom the run never came to is no progress"


class Screen(io.StringIO):
    """A terminal that knows what the painter uses: it folds, scrolls, moves up, and erases."""

    encoding = "utf-8"

    def __init__(self, columns: int = 80, lines: int = 24) -> None:
        super().__init__()
        self.columns, self.lines = columns, lines
        self.rows: list[str] = [""]
        self.row = 0
        self.column = 0
        self.writes: list[str] = []

    def size(self, _stream: object) -> os.terminal_size:
        return os.terminal_size((self.columns, self.lines))

    def write(self, text: str) -> int:
        self.writes.append(text)
        for token in re.findall(r"\x1b\[[0-9;]*[A-Za-z]|\r|\n|[^\x1b\r\n]", text):
            self._take(token)
        return len(text)

    def _take(self, token: str) -> None:
        if token == "\r":
            self.column = 0
        elif token == "\n":
            self.column = 0
            self._down()
        elif token.endswith("A") and token.startswith("\x1b"):
            top = max(len(self.rows) - self.lines, 0)
            self.row = max(self.row - int(token[2:-1]), top)
        elif token == "\x1b[K":
            self.rows[self.row] = self.rows[self.row][: self.column]
        elif token == "\x1b[J":
            self.rows[self.row] = self.rows[self.row][: self.column]
            del self.rows[self.row + 1 :]
        elif not token.startswith("\x1b"):
            if self.column == self.columns:
                self.column = 0
                self._down()
            line = self.rows[self.row].ljust(self.column)
            self.rows[self.row] = line[: self.column] + token + line[self.column + 1 :]
            self.column += 1

    def _down(self) -> None:
        self.row += 1
        if self.row == len(self.rows):
            self.rows.append("")

    @property
    def text(self) -> list[str]:
        return [row.rstrip() for row in self.rows if row.strip()]


def texts(*lines: str) -> list[Text]:
    return [Text(line) for line in lines]


@given(
    st.lists(
        st.tuples(
            st.lists(st.text("abc ", max_size=100), max_size=12), st.lists(st.text("XYZ", max_size=100), max_size=3)
        ),
        max_size=12,
    )
)
def test_whatever_is_painted_the_screen_shows_the_last(paintings: list[tuple[list[str], list[str]]]) -> None:
    """After any sequence the screen holds every line that was written above, in order, and the last lines alone."""
    screen = Screen()
    painter = Painter(screen, screen.size)
    said: list[str] = []
    shown: list[str] = []
    for lines, above in paintings:
        painter.paint(texts(*lines), texts(*above))
        said += [line[start : start + 80] for line in above for start in range(0, len(line), 80)]
        shown = [line if len(line) < 80 else line[:78] + "…" for line in lines]
    assert screen.text == [line.rstrip() for line in [*said, *shown] if line.strip()]


def test_only_what_has_changed_is_written() -> None:
    """The same lines again write nothing; one new line writes that one; each call is one write."""
    screen = Screen()
    painter = Painter(screen, screen.size)
    painter.paint(texts("same", "1 s", "end"))
    painter.paint(texts("same", "1 s", "end"))
    assert len(screen.writes) == 1
    painter.paint(texts("same", "2 s", "end"))
    assert len(screen.writes) == 2
    assert "2 s" in screen.writes[1]
    assert "same" not in screen.writes[1]
    assert screen.text == ["same", "2 s", "end"]


def test_a_resize_leaves_nothing_behind() -> None:
    """When the terminal becomes narrower it folds the old lines; all of their rows are taken away."""
    screen = Screen(columns=80)
    painter = Painter(screen, screen.size)
    painter.paint(texts("a" * 70, "b" * 10), texts("above"))
    screen.columns = 30
    screen.rows = ["above", "a" * 30, "a" * 30, "a" * 10, "b" * 10, ""]
    screen.row, screen.column = 5, 0
    painter.paint(texts("a" * 70, "b" * 10))
    assert screen.text == ["above", "a" * 28 + "…", "b" * 10]


class Ticking(VirtualClock):
    """A virtual clock of which each look takes a second, so that every tick draws."""

    def now(self) -> float:
        self.time += 1
        return self.time


def waited_for(condition: Callable[[], bool]) -> None:
    """Wait until the display's thread has done something."""
    for _ in range(100):
        if condition():
            return
        threading.Event().wait(0.05)
    raise AssertionError("it never came")


def test_a_whole_run_on_a_terminal() -> None:
    """While it lasts the live part is there; afterwards only what stays: start, each problem with its remedy, end."""
    entries = troubled()
    screen = Screen(lines=200)
    live = LiveProgress(screen, Ticking(entries[0].at), Painter(screen, screen.size))
    live.saw(entries[:-1])
    waited_for(lambda: any("in flight" in line for line in screen.text))
    live.above("said meanwhile")
    waited_for(lambda: "said meanwhile" in screen.text)
    assert screen.text[-1] == CTRL_C
    live.saw(entries[-1:])
    text = "\n".join(screen.text)
    assert "in flight" not in text
    assert CTRL_C not in text
    assert screen.text[0] == "run run-1: 15 of 17 instances to change"
    assert screen.text[-1].startswith("ended: incomplete, after ")
    for told in ("rolled_back(", "failed(container_not_replaced)", "unreachable(ssm_offline)", "refused(ephemeral)"):
        assert told in text
    assert "no result from i-0000000000000a003" in text
    live.above("the next thing")
    assert screen.text[-1] == "the next thing"


def test_a_run_that_breaks_off_takes_its_live_part_away() -> None:
    """`close` in the middle leaves what was said and nothing else; closing again does nothing."""
    entries = troubled()
    screen = Screen()
    live = LiveProgress(screen, Ticking(entries[0].at), Painter(screen, screen.size))
    live.saw(entries[:20])
    waited_for(lambda: any("in flight" in line for line in screen.text))
    live.close()
    live.close()
    assert not [line for line in screen.text if "in flight" in line or line == CTRL_C]
    assert threading.active_count() == 1 or not any(each.name == "live progress" for each in threading.enumerate())


def test_what_a_run_had_done_before_is_folded_between_words() -> None:
    """The line of a run that goes on is longer than a terminal: what follows is indented as everywhere."""
    entries = troubled()
    screen = Screen()
    live = LiveProgress(screen, Ticking(entries[0].at), Painter(screen, screen.size))
    live.remember(entries[:-1])
    live.saw([Entry(entries[-1].at, Resumed(fence=9, holder="anna"))])
    live.close()
    at = next(number for number, line in enumerate(screen.text) if line.startswith("run run-1 goes on: "))
    assert re.match(r"  \w", screen.text[at + 1])


def test_a_terminal_that_goes_away_does_not_fail_the_run() -> None:
    """When the terminal cannot be written to any more, the run is followed on without it."""

    class Gone(Screen):
        def write(self, text: str) -> int:
            raise OSError(5, f"gone with {len(text)} characters")

    entries = troubled()
    screen = Gone()
    live = LiveProgress(screen, Ticking(entries[0].at), Painter(screen, screen.size))
    live.saw(entries)
    live.close()
    assert isinstance(entries[-1].event, RunEnded)


def test_a_reason_is_explained_once() -> None:
    """The second instance with the same reason has its line; the sentences are not repeated."""
    hosts = [*fleet_of(4), *(Host(f"i-0000000000000a00{n}", behaviour="rolled_back") for n in range(2))]
    said: list[str] = []
    Follower((ProblemLines(said.append),)).saw(roll(hosts, LENIENT)[2].entries)
    lines = "\n".join(said).splitlines()
    assert len([line for line in lines if "rolled_back(" in line]) == 2
    assert len([line for line in lines if line.startswith("       do: ")]) == 1
    assert max(map(len, lines)) <= 80


def test_decided_ones_are_told_together() -> None:
    """A fleet with many that the plan has decided about has one block for each reason, not one for each instance."""
    hosts = [*fleet_of(2), *(Host(f"i-000000000000b{n:04d}", persistence="ephemeral") for n in range(300))]
    said: list[str] = []
    Follower((ProblemLines(said.append),)).saw(roll(hosts, LENIENT)[2].entries)
    assert len(said) == 1
    assert "and 294 more" in said[0]


def test_an_approval_is_waited_for_by_its_command() -> None:
    """While a wave waits for a person, the command that approves it is shown, and until when."""
    policy = Policy(max_unavailable=Amount(4, percent=False), approve=True, approve_timeout=600)
    entries = roll(fleet_of(6), policy, run="20261124-013006-d617fabc")[2].entries
    views = [standing(state, now) for state, now in moments(entries)]
    waiting = [view for view in views if any(line.startswith("approval of wave 2: ") for line in view.waits)]
    assert waiting
    shared = next(view for state, now in moments(entries) if (view := standing(state, now, ("--state", "x"))).waits)
    assert "`ecs-rollout approve 20261124-013006-d617fabc --state x`" in shared.waits[0]
    for view in waiting:
        command = "`ecs-rollout approve 20261124-013006-d617fabc`"
        assert re.fullmatch(rf"approval of wave 2: {command} within [\dmins ]+", view.waits[0])
        drawn = "\n".join(line.plain for line in frame(view, columns=80, lines=24))
        assert view.waits[0] in " ".join(drawn.split())
        assert "once it goes on" in drawn
        assert "…" not in drawn


def test_draining_is_shown_and_measured() -> None:
    """An instance that is drained first shows each of its phases; what that took counts for the time left."""
    policy = Policy(on_ephemeral=OnEphemeral.DRAIN, max_unavailable=Amount(1, percent=False))
    entries = roll(fleet_of(3, persistence="ephemeral"), policy)[2].entries
    views = [standing(state, now) for state, now in moments(entries)]
    doing = {flight.doing for view in views for flight in view.flights}
    assert {"draining: ECS moves its tasks away", "activating: it is given back to ECS"} <= doing
    assert any(view.left for view in views)
