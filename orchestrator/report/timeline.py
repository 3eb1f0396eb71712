"""The picture of a run: every instance by wave and phase over time, as SVG paths. Geometry alone, no markup.

A path for each phase of a wave holds the bars of all its instances, so that 5,000 of them are a handful of elements.
Few instances have rows with names; many share the height of a screen. What is not at work is a thin line, and only
where rows have names.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from orchestrator.core.lifecycle import AT_WORK, LIFECYCLE, Phase
from orchestrator.core.progress import Span
from orchestrator.report.rows import Row, RunReport
from orchestrator.report.times import duration

WIDTH = 1000
"""Units of the time axis; the picture is stretched to the width that there is."""

_NAMED = 40
_ROW, _MARGIN = 20, 4
_SCREEN, _LOWEST = 640, 16
_TICKS = 5
_STEPS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 28800, 86400)
_NARROWEST, _SEEN = 2.0, 2.0
"""The least width of a bar, and the least height of one that did not end as wanted: it must not be lost among many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """The row of one instance: where it begins, and what it is in words."""

    row: Row
    top: float
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """One wave. `areas`: the path of each phase; `marks`: where instances ended badly (x in percent, y in pixels)."""

    wave: int
    size: int
    height: float
    areas: tuple[tuple[Phase, str], ...]
    marks: tuple[tuple[float, float], ...]
    lines: tuple[Line, ...]
    caption: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """The whole picture. `ticks`: percent of the width, and the time since the start in words.

    `row_height`: of a row with a name. `left_out`: instances that were not to be changed and have no bar.
    """

    lanes: tuple[Lane, ...]
    ticks: tuple[tuple[float, str], ...]
    phases: tuple[Phase, ...]
    left_out: int
    row_height: int = _ROW


def draw(report: RunReport) -> Timeline:
    """Draw a run, also one that has not ended."""
    begin = report.started_at
    moments = [span.ended_at or span.started_at for row in report.rows for span in row.phases]
    end = max(report.ended_at or begin, *moments, begin + 1)
    waves: dict[int, list[Row]] = {}
    for row in report.rows:
        if row.wave:
            waves.setdefault(row.wave, []).append(row)
    drawn = sum(map(len, waves.values()))
    pen = _Pen(begin=begin, end=end, rows=drawn)
    lanes = tuple(pen.lane(wave, rows) for wave, rows in sorted(waves.items()))
    shown = {phase for lane in lanes for phase, _ in lane.areas}
    return Timeline(
        lanes=lanes,
        ticks=tuple(_ticks(end - begin)),
        phases=tuple(phase for phase in LIFECYCLE if phase in shown),
        left_out=len(report.rows) - drawn,
    )


def _ticks(seconds: float) -> Iterable[tuple[float, str]]:
    step = next((each for each in _STEPS if seconds / each <= _TICKS), _STEPS[-1])
    for number in range(1, int(seconds // step) + 1):
        yield round(100 * number * step / seconds, 2), duration(number * step)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pen:
    """Knows the scale: epoch seconds `begin` to `end` over WIDTH, and how many `rows` share the height."""

    begin: float
    end: float
    rows: int

    @property
    def named(self) -> bool:
        return self.rows <= _NAMED

    def x(self, at: float) -> float:
        return (at - self.begin) / (self.end - self.begin) * WIDTH

    def lane(self, wave: int, rows: Sequence[Row]) -> Lane:
        ordered = sorted(rows, key=_begun)
        height = float(_ROW) if self.named else max(min(_SCREEN / self.rows, _MARGIN), _LOWEST / len(ordered))
        bars: dict[Phase, list[str]] = {}
        marks: dict[tuple[float, float], None] = {}
        for number, row in enumerate(ordered):
            for span in row.phases:
                if self.named or span.phase in AT_WORK:
                    tall = height if not row.needs_somebody else max(height, _SEEN)
                    bars.setdefault(span.phase, []).append(self._bar(span, (number + 0.5) * height, tall))
            if row.needs_somebody and any(span.phase in AT_WORK for span in row.phases):
                marks[self._mark(row, (number + 0.5) * height)] = None
        lines = [Line(row=row, top=number * height, words=_words(row)) for number, row in enumerate(ordered)]
        return Lane(
            wave=wave,
            size=len(ordered),
            height=round(height * len(ordered), 2),
            areas=tuple((phase, "".join(bars[phase])) for phase in LIFECYCLE if phase in bars),
            marks=tuple(marks),
            lines=tuple(lines) if self.named else (),
            caption=_caption(wave, ordered),
        )

    def _bar(self, span: Span, middle: float, height: float) -> str:
        left = self.x(span.started_at)
        width = max(self.x(self.end if span.ended_at is None else span.ended_at) - left, _NARROWEST)
        if span.phase not in AT_WORK:
            height = 1.0
        elif self.named:
            height -= 2 * _MARGIN
        return f"M{left:.1f} {middle - height / 2:.2f}h{width:.1f}v{height:.2f}h-{width:.1f}z"

    def _mark(self, row: Row, y: float) -> tuple[float, float]:
        """Place a mark; those that would lie on each other are one where rows have no names."""
        ended = row.phases[-1].ended_at
        percent = self.x(self.end if ended is None else ended) / WIDTH * 100
        return (round(percent, 2), y) if self.named else (round(percent), round(y / _MARGIN) * _MARGIN)


def _begun(row: Row) -> tuple[float, float]:
    at_work = [span for span in row.phases if span.phase in AT_WORK]
    if not at_work:
        return float("inf"), 0.0
    return at_work[0].started_at, at_work[-1].ended_at or float("inf")


def _words(row: Row) -> str:
    stays = [
        f"{span.phase} {duration(span.ended_at - span.started_at)}" for span in row.phases if span.ended_at is not None
    ]
    return f"{row.instance_id}, {row.outcome} ({row.reason}): {', '.join(stays)}"


def _caption(wave: int, rows: Sequence[Row]) -> str:
    bad = sum(row.needs_somebody for row in rows)
    canary = ", the canary" if wave == 1 and len(rows) == 1 else ""
    spans = [span for row in rows for span in row.phases if span.phase in AT_WORK]
    ended = [span.ended_at for span in spans if span.ended_at is not None]
    took = f", {duration(max(ended) - min(span.started_at for span in spans))}" if ended else ""
    count = f"{len(rows):,} instance" + ("s" if len(rows) > 1 else "")
    return f"Wave {wave}{canary}: {count}{took}" + (f"; {bad:,} not as wanted" if bad else "")
