"""Fold what is said to a person at the width of the terminal, at blanks, and at none inside a command to be copied."""

import os
import re
import textwrap
from typing import TextIO

_WIDEST = 80
"""As wide as everything else is laid out: a longer line is hard to read, however wide the terminal."""

_NARROWEST = 20
_FIXED = "\N{NO-BREAK SPACE}"
_QUOTED = re.compile(r"`[^`]+`")
_LAID_OUT = re.compile(r"^ |\S  +\S")
_TIMED = re.compile(r"\d\d+:\d\d  ")


def fitting(text: str, terminal: TextIO) -> str:
    """Fold a text for the terminal that shows it; at one that does not tell its size, at 80 columns."""
    try:
        columns = os.get_terminal_size(terminal.fileno()).columns
    except OSError:
        columns = 0
    return folded(text, min(columns or _WIDEST, _WIDEST))


def folded(text: str, width: int) -> str:
    """Fold each sentence that is too long; what goes on is indented. A command in backticks stays in one piece.

    Lines that have been laid out, of a table or of a command that goes on, stay as they are.
    """
    width = max(width, _NARROWEST)
    return "\n".join(_folded(line, width) if len(line) > width else line for line in text.split("\n"))


def _folded(line: str, width: int) -> str:
    timed = _TIMED.match(line)
    if not timed and _LAID_OUT.search(line):
        return line
    fixed = _QUOTED.sub(lambda found: found[0].replace(" ", _FIXED), line)
    further = " " * (len(timed[0]) if timed else 2)
    lines = textwrap.wrap(fixed, width, subsequent_indent=further, break_long_words=False, break_on_hyphens=False)
    return "\n".join(lines).replace(_FIXED, " ")
