"""How text fits a terminal: sentences folded, tables, commands that can be copied."""

import re
import shlex
import textwrap
from collections.abc import Sequence

WIDTH = 80
MANY = 50
"""Instances above which a table shows kinds instead: more rows are scrolled past, not read."""

SCREEN = 24
"""Lines of a small terminal."""

FIRM = "\u00a0"
"""A blank at which nothing is folded: between a number and what it counts."""

_NARROWEST = 16
_ZONE = re.compile(r"^[a-z]{2}(-[a-z]+)+-\d+(?=[a-z]$)")


def columns(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lay out a table as narrow as it can be; the last column is folded where it does not fit a terminal."""
    from tabulate import tabulate  # noqa: PLC0415 - slow to load, and `status` seldom needs one

    first = sum(max(map(len, column)) + 2 for column in list(zip(headers, *rows, strict=True))[:-1])
    room = max(WIDTH - first, _NARROWEST)
    rows = [(*row[:-1], "\n".join(textwrap.wrap(row[-1], room, break_on_hyphens=False))) for row in rows]
    # As a row among rows: tabulate pads headers by two more blanks each.
    return tabulate([headers, *rows], tablefmt="plain", disable_numparse=True).replace(FIRM, " ")


def names(keys: Sequence[str], few: int = 3) -> str:
    """Name the first of them, and say how many more there are."""
    return ", ".join(keys[:few]) + (f" and {len(keys) - few} more" if len(keys) > few else "")


def short_zone(zone: str) -> str:
    """Give the letter of an availability zone, so that a line fits a terminal; other zones stay as they are."""
    return _ZONE.sub("", zone)


def wrap(text: str, indent: str = "") -> str:
    """Fold a sentence at the width of a terminal."""
    folded = textwrap.fill(text, WIDTH, initial_indent=indent, subsequent_indent=indent or "  ", break_on_hyphens=False)
    return folded.replace(FIRM, " ")


def folded_command(words: Sequence[str], width: int = WIDTH) -> str:
    """Write a command so that it can be copied: quoted for the shell, continued by backslashes at 80 columns."""
    lines: list[str] = []
    line = " "
    for word in with_values([shlex.quote(word) for word in words]):
        if len(line) + 1 + len(word) > width - 2 and line.strip():
            lines.append(line + " \\")
            line = "   "
        line += f" {word}"
    return "\n".join([*lines, line])


def with_values(words: Sequence[str]) -> list[str]:
    """Keep a flag and its value on one line."""
    joined: list[str] = []
    for word in words:
        if joined and joined[-1].startswith("--") and " " not in joined[-1] and not word.startswith("--"):
            joined[-1] += f" {word}"
        else:
            joined.append(word)
    return joined
