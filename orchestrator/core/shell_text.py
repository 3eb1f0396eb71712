"""Make shell text take less room, and nothing else: a Command document ends at 64 KB (F63).

Not for any shell text: it relies on how documents/src is written (two blanks for each level, one statement or one
whole compound on a line, awk programs in single quotes). A test compares what bash makes of both texts.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

_WIDTH: Final = 240
_QUOTED: Final = re.compile(r"""\\.|'[^']*'|"(?:[^"\\]|\\.)*\"""", re.DOTALL)
_COMMENTED: Final = re.compile(rf"((?:{_QUOTED.pattern}|[^\\'\" ]| +(?!#))*) +# ", re.DOTALL)
_GOES_ON: Final = re.compile(r"(?:^|[ ;])(?:then|do|else|in|\{|\|\||&&|\||&)$|;;$|^[a-z_]+\(\) \{$")
_AWK_GOES_ON: Final = re.compile(r"(?:[{},;]|&&|\|\||(?:^| )else)$")


class _Inside(Enum):
    """What a line's end lies in."""

    SHELL = "shell"
    AWK = "awk"
    TEXT = "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    text: str
    level: int
    begins: _Inside
    ends: _Inside


def tightened(source: str) -> Iterator[str]:
    """Yield the lines of a source without comments, blank lines and indentation, statements joined to long lines."""
    held: _Line | None = None
    for line in _lines(source):
        if held is None:
            held = line
            continue
        between = _between(held, line)
        if between is None or len(held.text) + len(line.text) > _WIDTH:
            yield held.text
            held = line
        else:
            text = held.text.removesuffix("\\").rstrip(" ") + between + line.text
            held = _Line(text=text, level=line.level, begins=held.begins, ends=line.ends)
    if held is not None:
        yield held.text


def _lines(source: str) -> Iterator[_Line]:
    inside, level, continued = _Inside.SHELL, 0, False
    for line in source.splitlines():
        code = line if inside is _Inside.TEXT else line.strip(" ")
        # A rule of shellcheck that is disabled inside a file belongs to its next line, in the whole as well.
        if inside is not _Inside.TEXT and _is_idle(code):
            continue
        comment = _COMMENTED.match(code)
        if inside is _Inside.SHELL and comment:
            code = comment[1].rstrip(" ")
        level = level if continued else len(line) - len(line.lstrip(" "))
        before, inside, continued = inside, _after(code, inside), code.endswith("\\")
        yield _Line(text=code, level=level, begins=before, ends=inside)


def _is_idle(code: str) -> bool:
    return not code or (code.startswith("#") and not code.startswith("# shellcheck disable=SC2016"))


def _after(code: str, inside: _Inside) -> _Inside:
    """Say what the line's end lies in: an awk program, another text of several lines, or plain shell."""
    if code.startswith("#"):
        return inside
    match inside:
        case _Inside.AWK:
            return _Inside.SHELL if "'" in code else _Inside.AWK
        case _Inside.TEXT:
            code = '"' + code
        case _Inside.SHELL:
            pass
    left = _QUOTED.sub("", code)
    if "'" in left:
        return _Inside.AWK
    return _Inside.TEXT if '"' in left else _Inside.SHELL


def _between(first: _Line, second: _Line) -> str | None:
    """Return what may stand between two lines instead of the line's end; None: the line's end must stay."""
    if first.ends is _Inside.TEXT or "shellcheck disable" in first.text + second.text:
        return None
    if second.level == 0 and second.text != "}":
        return None
    if first.ends is _Inside.AWK:
        return None if first.begins is _Inside.SHELL else _between_awk(first, second)
    is_pattern = first.text.endswith(")") and second.level > first.level
    if first.text.endswith("\\") or is_pattern or _GOES_ON.search(first.text) or second.text.startswith(";;"):
        return " "
    return ";"


def _between_awk(first: _Line, second: _Line) -> str | None:
    if _AWK_GOES_ON.search(first.text) or second.text.startswith("}"):
        return " "
    if first.text.endswith(")"):
        return None  # the head of an if or a for, maybe
    return ";"
