"""Tables of a TOML file read strictly: every complaint names the line and the key."""

import re
from collections.abc import Callable
from enum import StrEnum
from typing import Any, TypeVar

from orchestrator.lab.faults import Range

T = TypeVar("T")
Read = Callable[[Any], Any]


class ScenarioError(ValueError):
    """A scenario file says something that the lab does not understand."""


class Table:
    """One table of the file; knows which of its keys were asked for, and on which line each stands."""

    def __init__(self, raw: object, text: str, name: str, number: int = 0) -> None:
        self._text = text
        self._name = name
        self._number = number
        if not isinstance(raw, dict):
            raise self.error("", "a table is wanted here")
        self._left = dict(raw)

    def take(self, key: str, read: Callable[[Any], T], default: T) -> T:
        """Read one value, `default` where it is unsaid."""
        if key not in self._left:
            return default
        try:
            return read(self._left.pop(key))
        except (ValueError, TypeError) as error:
            raise self.error(key, str(error)) from error

    def take_into(self, found: dict[str, Any], key: str, field: str, read: Read) -> None:
        """Read a value into `found[field]` if it is said."""
        if key in self._left:
            found[field] = self.take(key, read, None)

    def table(self, key: str) -> "Table":
        """Return a table inside, an empty one where it is unsaid."""
        return Table(self._left.pop(key, {}), self._text, key)

    def tables(self, key: str) -> tuple["Table", ...]:
        """Return an array of tables."""
        raw = self._left.pop(key, [])
        if not isinstance(raw, list):
            raise self.error(key, f"write [[{key}]]")
        return tuple(Table(each, self._text, key, number) for number, each in enumerate(raw, 1))

    def has(self, key: str) -> bool:
        """Say whether a key is still to be read."""
        return key in self._left

    def finish(self) -> None:
        """Raise ScenarioError when something was said that nobody asked for."""
        for key in self._left:
            raise self.error(key, "there is no such key")

    def error(self, key: str, what: str) -> ScenarioError:
        """Return an error that names line and key."""
        where = f"{self._name}[{self._number}]" if self._number else self._name
        full = ".".join(filter(None, (where, key)))
        line = self._line(key)
        return ScenarioError(f"line {line}: {full}: {what}" if line else f"{full or 'the file'}: {what}")

    def _line(self, key: str) -> int:
        """Find the line of a key, or of the table's header; 0 where a search by eye must do."""
        lines = self._text.splitlines()
        start = self._start(lines)
        name = re.compile(rf"""\s*["']?{re.escape(key)}["']?\s*[.=]""")
        for number in range(start + 1, len(lines)):
            if lines[number].lstrip().startswith("["):
                break
            if key and name.match(lines[number]):
                return number + 1
        whole = re.compile(rf"\s*(\[\[?\s*)?{re.escape(self._name or key)}\b")
        return start + 1 or next((number for number, line in enumerate(lines, 1) if whole.match(line)), 0)

    def _start(self, lines: list[str]) -> int:
        """Return the index of the table's header, -1 for the top and for what has none."""
        header = re.compile(rf"\s*\[\[?\s*{re.escape(self._name)}\s*\]")
        starts = [number for number, line in enumerate(lines) if self._name and header.match(line)]
        wanted = max(self._number, 1)
        return starts[wanted - 1] if len(starts) >= wanted else -1


def text(value: object) -> str:
    """Read a text."""
    if not isinstance(value, str):
        raise ValueError("a string is wanted")  # noqa: TRY004 - one error for a file
    return value


def texts(value: object) -> tuple[str, ...]:
    """Read a list of texts."""
    if not isinstance(value, list):
        raise ValueError("a list of strings is wanted")  # noqa: TRY004 - one error for a file
    return tuple(text(each) for each in value)


def pairs(value: object) -> tuple[tuple[str, str], ...]:
    """Read a table of texts."""
    if not isinstance(value, dict):
        raise ValueError("a table of strings is wanted")  # noqa: TRY004 - one error for a file
    return tuple((name, text(each)) for name, each in value.items())


def boolean(value: object) -> bool:
    """Read true or false."""
    if not isinstance(value, bool):
        raise ValueError("true or false is wanted")  # noqa: TRY004 - one error for a file
    return value


def integer(value: object) -> int:
    """Read a whole number."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError("a whole number is wanted")  # noqa: TRY004 - one error for a file
    return value


def seconds(value: object) -> float:
    """Read a number from 0 on."""
    if not isinstance(value, int | float) or isinstance(value, bool) or value < 0:
        raise ValueError("a number from 0 on is wanted")
    return float(value)


def share(value: object) -> float:
    """Read a number from 0 to 1."""
    found = seconds(value)
    if found > 1:
        raise ValueError("a share from 0 to 1 is wanted")
    return found


def span(value: object) -> Range:
    """Read a number, or two to draw from."""
    pair = value if isinstance(value, list) else [value, value]
    if len(pair) != 2 or seconds(pair[0]) > seconds(pair[1]):  # noqa: PLR2004 - a pair
        raise ValueError("a number, or two of them with the smaller one first, is wanted")
    return seconds(pair[0]), seconds(pair[1])


def within(least: int, most: int) -> Callable[[Any], int]:
    """Read a whole number between two, which are allowed."""

    def read(value: object) -> int:
        found = integer(value)
        if not least <= found <= most:
            raise ValueError(f"a number from {least} to {most} is wanted")
        return found

    return read


def matching(pattern: re.Pattern[str]) -> Callable[[Any], str]:
    """Read a text that looks like this."""

    def read(value: object) -> str:
        found = text(value)
        if not pattern.fullmatch(found):
            raise ValueError(f"{found!r} does not look like {pattern.pattern}")
        return found

    return read


def one_of(kind: type[StrEnum]) -> Callable[[Any], StrEnum]:
    """Read a member of an enumeration."""

    def read(value: object) -> StrEnum:
        found = text(value)
        if found not in set(kind):
            raise ValueError(f"{found!r} is none of: {', '.join(kind)}")
        return kind(found)

    return read
