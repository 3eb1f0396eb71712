"""Keeps the last lines of a terminal up to date: writes what has changed and nothing else, and other lines above."""

import io
import os
from collections.abc import Callable, Sequence
from typing import TextIO

from rich.console import Console
from rich.text import Text

_TO_THE_END_OF_THE_LINE = "\x1b[K"
_TO_THE_END_OF_THE_SCREEN = "\x1b[J"


def size_of(stream: TextIO) -> os.terminal_size:
    """Ask the terminal itself, whatever COLUMNS says: it may have been resized. A serial console may not know it."""
    found = os.get_terminal_size(stream.fileno())
    return os.terminal_size((found.columns or 80, found.lines or 24))


class Painter:
    """The lowest lines of `stream`. The cursor rests below them, so whatever comes next begins a line of its own.

    Nothing is erased before it is overwritten, and a call is one write: nothing flickers.
    """

    def __init__(self, stream: TextIO, size: Callable[[TextIO], os.terminal_size] = size_of) -> None:
        self._stream = stream
        self._size = size
        # It only turns styles into escape sequences; nothing is printed through it.
        self._console = Console(file=io.StringIO(), force_terminal=True, highlight=False, markup=False, emoji=False)
        self._shown: list[str] = []
        self._lengths: list[int] = []
        self._columns = 0

    @property
    def size(self) -> os.terminal_size:
        """Columns and lines of the terminal now."""
        return self._size(self._stream)

    def paint(self, lines: Sequence[Text], above: Sequence[Text] = ()) -> None:
        """Show `lines` in place of those shown before; write those `above` where they stay. Raises OSError."""
        columns = self.size.columns
        for line in lines:
            line.truncate(columns - 1, overflow="ellipsis")
        rendered = [self._rendered(line) for line in lines]
        moved = columns != self._columns
        if rendered == self._shown and not above and not moved:
            return
        text = self._up(self._rows(columns))
        text += "".join(f"{self._rendered(line)}{_TO_THE_END_OF_THE_LINE}\n" for line in above)
        anew = bool(above) or moved
        for number, new in enumerate(rendered):
            same = not anew and number < len(self._shown) and self._shown[number] == new
            text += "\n" if same else f"{new}{_TO_THE_END_OF_THE_LINE}\n"
        self._stream.write(text + _TO_THE_END_OF_THE_SCREEN)
        self._stream.flush()
        self._shown, self._lengths, self._columns = rendered, [line.cell_len for line in lines], columns

    def _rows(self, columns: int) -> int:
        """Count the rows that the shown lines take by now: a terminal that became narrower has folded them."""
        return sum(max(-(-length // columns), 1) for length in self._lengths)

    @staticmethod
    def _up(rows: int) -> str:
        return f"\x1b[{rows}A\r" if rows else "\r"

    def _rendered(self, line: Text) -> str:
        with self._console.capture() as captured:
            self._console.print(line, end="", soft_wrap=True)
        return captured.get()
