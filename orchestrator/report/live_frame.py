"""Where a run stands, drawn as the lines of a live display that fit a terminal. Pure."""

import textwrap
from collections.abc import Iterator

from rich.text import Text

from orchestrator.core.model import OutcomeKind
from orchestrator.report.layout import short_zone
from orchestrator.report.standing import Flight, Standing, Used
from orchestrator.report.times import duration

CTRL_C = "Ctrl-C: stop admitting, see in-flight instances through; twice: leave at once"
STOPPING = "Stopping: in-flight instances are seen through. Ctrl-C: leave at once"

_BAR = 24
_GAP = " · "
_WAITING = "waiting for "
_FOLDS = 3

STYLES = {
    OutcomeKind.UPDATED: "green",
    OutcomeKind.CURRENT: "green",
    OutcomeKind.ROLLED_BACK: "bold red",
    OutcomeKind.FAILED: "bold red",
    OutcomeKind.UNVERIFIED: "bold red",
    OutcomeKind.UNREACHABLE: "bold yellow",
    OutcomeKind.REFUSED: "bold yellow",
    OutcomeKind.SKIPPED: "yellow",
    OutcomeKind.NOT_ATTEMPTED: "yellow",
}


def frame(view: Standing, *, columns: int, lines: int, plain: bool = False) -> list[Text]:
    """Draw at most `lines` - 1 lines, none as long as `columns`. `plain`: ASCII alone.

    What a decision needs comes first; of the instances at work as many are listed as there is room for.
    """
    head = [*_head(view, plain=plain), *_waits(view, columns)]
    foot = Text(STOPPING if view.halted else CTRL_C, style="dim")
    room = lines - 1
    if room <= len(head):
        return [_cut(line, columns) for line in head[: max(room, 0)]]
    flights = list(_flights(view.flights, room - len(head) - 1, columns))
    return [_cut(line, columns) for line in (*head, *flights, foot)]


def _cut(line: Text, columns: int) -> Text:
    line.truncate(columns - 1, overflow="ellipsis")
    return line


def _head(view: Standing, *, plain: bool) -> Iterator[Text]:
    yield Text.assemble((f"{view.verb} {view.cluster}", "bold"), f"{_GAP}run {view.run}{_GAP}{duration(view.elapsed)}")
    wave = f"wave {view.wave} of {view.waves}" if view.wave else f"{view.waves} waves"
    share = view.changed / view.to_change if view.to_change else 0.0
    yield Text.assemble(
        *_bar(share, plain=plain),
        f"  {view.changed} of {view.to_change}{_GAP}{wave}",
        f": {view.wave_changed} of {view.wave_size}" if view.wave else "",
    )
    yield Text.assemble(
        f"in flight {view.in_flight} of at most {view.window}{_GAP}",
        ("time left ", "dim"),
        _left(view),
    )
    parts: list[Text | str] = []
    for kind, count in view.counts:
        parts += [Text(f"{count} {kind}", style=STYLES[kind]), _GAP]
    if view.later:
        parts += [Text(f"{view.later} to be tried again later", style="yellow"), _GAP]
    yield Text.assemble(*parts[:-1]) if parts else Text("no outcome yet", style="dim")
    yield Text.assemble(("budget  ", "dim"), *_between([_used(each) for each in view.budgets]))


def _left(view: Standing) -> str:
    if view.left is None:
        return "not known yet"
    return f"{view.left}, once it goes on" if view.held else str(view.left)


def _between(parts: list[Text]) -> list[Text | str]:
    joined: list[Text | str] = []
    for part in parts:
        joined += [part, _GAP]
    return joined[:-1]


def _used(each: Used) -> Text:
    """Word a budget; red once it is exceeded, yellow once the next one would exceed it."""
    if each.allowed is None:
        return Text(f"{each.what} {each.count}, no limit")
    text = f"{each.what} {each.count}, at most {each.allowed}"
    if each.count > each.allowed:
        return Text(text, style="bold red")
    return Text(text, style="yellow" if each.count and each.count == each.allowed else "")


def _bar(share: float, *, plain: bool) -> tuple[tuple[str, str], tuple[str, str]]:
    full = round(share * _BAR)
    done, left = ("#", "-") if plain else ("━", "─")
    return (done * full, "green"), (left * (_BAR - full), "dim")


def _waits(view: Standing, columns: int) -> Iterator[Text]:
    """Say what stops the run, or what it waits for: folded, since a decision needs all of it."""
    if view.halted:
        yield from (Text(line, style="bold red") for line in _folded(f"HALTED: {view.halted}", columns))
    for each in view.waits:
        for line in _folded(f"{_WAITING}{each}", columns):
            text = Text(line)
            text.highlight_regex(f"^{_WAITING}", "bold yellow")
            yield text


def _folded(text: str, columns: int) -> list[str]:
    width = max(columns - 1, len(_WAITING) * 2)
    return textwrap.wrap(text, width, subsequent_indent="  ", max_lines=_FOLDS, placeholder=" …")


def _flights(flights: tuple[Flight, ...], room: int, columns: int) -> Iterator[Text]:
    shown = flights if len(flights) <= room else flights[: max(room - 1, 0)]
    for each in shown:
        tail = f"  {duration(each.seconds):>8}"
        line = Text(f"  {each.key}  {short_zone(each.zone):<2} {each.doing}")
        line.truncate(columns - 1 - len(tail), overflow="ellipsis")
        line.pad_right(max(min(columns, 100) - 1 - len(tail) - line.cell_len, 0))
        yield line.append(tail)
    if len(shown) < len(flights) and room > 0:
        yield Text(f"  + {len(flights) - len(shown)} more", style="dim")
