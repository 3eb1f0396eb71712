"""Find the lines on which the keys of a TOML file stand: tomllib tells where a file is broken, not where a key is."""

import tomllib
from collections.abc import Iterator, Mapping

Path = tuple[str, ...]
"""A key with the tables around it."""


def lines_of(text: str) -> dict[Path, int]:
    """Give the line, from 1 on, on which each key and each table's header begins. `text` must be valid TOML.

    A statement is read alone, by tomllib itself: it grows line by line until it can be read, so that what strings,
    comments and brackets may hold needs no rules of ours. Inside an inline table the line is that of its statement;
    what an array holds has no line of its own.
    """
    found: dict[Path, int] = {}
    table: Path = ()
    for number, statement in _statements(text):
        loaded = tomllib.loads(statement)
        header = statement.lstrip().startswith("[")
        paths = list(_paths(loaded, () if header else table))
        if header:
            table = paths[-1]
        for path in paths:
            found.setdefault(path, number)
    return found


def line_of(lines: Mapping[Path, int], path: Path) -> int:
    """Give a key's line; where it has none, that of the nearest around it; 1 for none at all."""
    around = (path[:length] for length in range(len(path), 0, -1))
    return next((lines[each] for each in around if each in lines), 1)


def _statements(text: str) -> Iterator[tuple[int, str]]:
    first, pending = 1, ""
    for number, line in enumerate(text.split("\n"), start=1):  # only these end a line in TOML
        pending = f"{pending}\n{line}" if pending else line
        try:
            loaded = tomllib.loads(pending)
        except tomllib.TOMLDecodeError:
            continue
        if loaded:
            yield first, pending
        first, pending = number + 1, ""


def _paths(value: object, path: Path) -> Iterator[Path]:
    """Name the keys, the outer ones first."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield (*path, key)
            yield from _paths(each, (*path, key))
