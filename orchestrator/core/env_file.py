"""Change our two lines in an env file and nothing else, as all of its three readers read it (F34, F40, F41).

The same rules as `config_edit` in documents/src/envfile.sh, which works on the instances; the tests compare the two.
"""

import re
from collections.abc import Iterator, Sequence

from orchestrator.core.credential import DATA_VARIABLE, TYPE_VARIABLE, EnvLines

LARGEST = 1024 * 1024
"""Bytes; a larger file is no env file."""

_BOM = "\ufeff"
# A line that names one of the two variables, also commented out: ecs-init passes those on as well (F40).
_OURS = re.compile(
    rf"[ \t\r\f\v]*(?P<comment>[#;])?[#; \t]*(?:export[ \t]+)?(?:{TYPE_VARIABLE}|{DATA_VARIABLE})[ \t]*="
)
_VARIABLES = frozenset({TYPE_VARIABLE, DATA_VARIABLE})

# systemd's EnvironmentFile. A comment that ends with a backslash goes on in the next line, before systemd 254.
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ENTRY = re.compile(r"[ \t\r\n]*(?:(?P<comment>[#;])|(?P<key>[^\r\n][^=\r\n]*)(?P<equals>=)?)")
_COMMENT = {True: re.compile(r"(?:\\[\s\S]|[^\\\r\n])*\\?"), False: re.compile(r"(?:\\[^\n]|[^\\\r\n])*\\?")}
# Quotes mean something only in front of a value; what follows them is taken as it stands, but for backslashes.
_QUOTED = re.compile(r"""[ \t]+|'(?P<single>[^']*)'?|"(?P<double>(?:\\[\s\S]|[^"\\])*\\?)"?""")
_PLAIN = re.compile(r"(?:\\[\s\S]|[^\\\r\n])*\\?")
_PIECE = re.compile(r"(?P<escaped>\\[\s\S]?)|(?P<blanks>[ \t]+)|(?P<text>[^\\ \t]+)")
_IN_DOUBLE = re.compile(r"\\([\s\S]?)")


def edited(text: str, lines: EnvLines) -> str | None:
    """Put the pair in, in the place of the old one, else at the end, else at the start; dead copies go.

    None where in no place every other variable would stay for systemd, whose values may go on over lines.
    """
    pair = [f"{TYPE_VARIABLE}={lines.auth_type}", f"{DATA_VARIABLE}={lines.data}"]
    old = text.split("\n")
    ended = old[-1] == ""
    if ended:
        old.pop()
    ours = [_OURS.match(line.removeprefix(_BOM)) for line in old]
    before = _as_systemd_reads(text)
    for place in _places(old, [number for number, found in enumerate(ours) if found and not found["comment"]]):
        kept = [line for line, found in zip(old[:place], ours, strict=False) if not found]
        rest = [line for line, found in zip(old[place:], ours[place:], strict=True) if not found]
        final = ended or place == len(old) or ours[-1] is not None
        new = "\n".join([*kept, *pair, *rest]) + ("\n" if final else "")
        if _as_systemd_reads(new) == before:
            return new
    return None


def _places(old: Sequence[str], live: Sequence[int]) -> Iterator[int]:
    if live:
        yield live[0]
    yield len(old)
    if not old or not old[0].startswith(_BOM):
        yield 0


def _as_systemd_reads(text: str) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    return others(text, joined=False), others(text, joined=True)


def others(text: str, *, joined: bool) -> list[tuple[str, str]]:
    """Read every variable but our two as systemd does. `joined`: comments go on after a backslash (before 254)."""
    found: list[tuple[str, str]] = []
    at = 0
    while (entry := _ENTRY.match(text, at)) is not None:
        at = entry.end()
        if entry["comment"]:
            at += len(_matched(_COMMENT[joined], text, at))
        elif entry["equals"]:
            value, at = _value(text, at)
            name = entry["key"].rstrip(" \t")
            if _NAME.fullmatch(name) and name not in _VARIABLES:
                found.append((name, value))
    return found


def _matched(pattern: re.Pattern[str], text: str, at: int) -> str:
    found = pattern.match(text, at)
    return found[0] if found else ""


def _value(text: str, at: int) -> tuple[str, int]:
    """Read one value: quoted pieces, then a plain one; return it and where it ends."""
    value = ""
    while (piece := _QUOTED.match(text, at)) is not None:
        value += (piece["single"] or "") + _IN_DOUBLE.sub(_unescaped, piece["double"] or "")
        at = piece.end()
    plain = _matched(_PLAIN, text, at)
    return value + _trimmed(plain), at + len(plain)


def _unescaped(found: re.Match[str]) -> str:
    char = found[1]
    if char and char in '"\\`$':
        return char
    return "" if char in ("", "\n") else f"\\{char}"


def _trimmed(plain: str) -> str:
    """Take the blanks at the end off, unless a backslash keeps them, and the backslashes themselves."""
    value, kept = "", 0
    for piece in _PIECE.finditer(plain):
        escaped = piece["escaped"]
        value += piece[0] if escaped is None else escaped[1:].strip("\r\n")
        kept = kept if piece["blanks"] else len(value)
    return value[:kept]
