"""Read JSON, base64 and white space as Go's standard library does, because the ECS agent is written in Go.

Python's own readers are a little kinder or stricter in places that decide whether a credential works: repeated
keys, field names in another case, padding, what counts as white space (F3-F8).
"""

import base64
import json
import re
from dataclasses import dataclass
from typing import NoReturn

_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
_SURROGATE = re.compile("[\ud800-\udfff]")
# unicode.IsSpace. str.strip() would also take U+001C to U+001F, which Go leaves alone.
_SPACE = "\t\n\v\f\r \u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
_SPACE += "\u2028\u2029\u202f\u205f\u3000"
# The only runes outside ASCII whose simple case folding is an ASCII letter.
_FOLDS = str.maketrans({"\u017f": "s", "\u212a": "k"})


class NotJsonError(ValueError):
    """The text is not JSON as Go reads it. Holds the position only, never a piece of the text.

    `cut`: it ends before all that was opened is closed. `behind`: a whole JSON text stands before the position.
    """

    def __init__(self, line: int, column: int, *, cut: bool = False, behind: bool = False) -> None:
        super().__init__(f"not JSON at line {line}, column {column}")
        self.line = line
        self.column = column
        self.cut = cut
        self.behind = behind


class NumberValue:
    """A JSON number; its value never matters to the agent, and it may be a secret."""


@dataclass(frozen=True, slots=True)
class ObjectValue:
    """A JSON object with its keys in order, repeated ones included."""

    pairs: tuple[tuple[str, "JsonValue"], ...]


@dataclass(frozen=True, slots=True)
class ArrayValue:
    """A JSON array."""

    items: tuple["JsonValue", ...]


JsonValue = ObjectValue | ArrayValue | NumberValue | str | bool | None


def read_json(text: str) -> JsonValue:
    """Read one JSON text; raise NotJsonError on a byte order mark, text behind it, or a syntax error.

    Unpaired surrogates become U+FFFD as in Go. A text nested deeper than Python's stack counts as no JSON; Go
    gives up at 10,000 levels.
    """
    try:
        raw: object = json.loads(
            text,
            object_pairs_hook=_object,
            parse_int=_number,
            parse_float=_number,
            parse_constant=_no_constant,
        )
        return _value(raw)
    except json.JSONDecodeError as error:
        # The decoder's error carries the whole document: it must not stay chained to ours.
        cut = error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated string")
        behind = error.msg.startswith("Extra data")
        raise NotJsonError(error.lineno, error.colno, cut=cut, behind=behind) from None
    except RecursionError:
        raise NotJsonError(1, 1) from None


def _object(pairs: list[tuple[str, object]]) -> ObjectValue:
    return ObjectValue(tuple((well_formed(key), _value(value)) for key, value in pairs))


def _value(raw: object) -> JsonValue:
    match raw:
        case str():
            return well_formed(raw)
        case list():
            return ArrayValue(tuple(_value(item) for item in raw))
        case None | bool() | NumberValue() | ObjectValue():
            return raw
        case _:  # pragma: no cover - json.loads makes nothing else
            raise TypeError(type(raw).__name__)


def _number(_digits: str) -> NumberValue:
    return NumberValue()


def _no_constant(_name: str) -> NoReturn:
    # NaN and Infinity, which Python reads and Go does not.
    raise NotJsonError(1, 1)


def well_formed(text: str) -> str:
    """Put U+FFFD in the place of every unpaired surrogate."""
    return _SURROGATE.sub("\ufffd", text)


def folded(name: str) -> str:
    """Return `name` so that two names are equal exactly where Go's field matching says so, for ASCII fields."""
    return "".join(char.lower() if char.isascii() else char for char in name.translate(_FOLDS))


def trim_space(text: str) -> str:
    """Trim what Go's strings.TrimSpace trims."""
    return text.strip(_SPACE)


def read_base64(text: str) -> bytes | None:
    """Decode Go's base64.StdEncoding: padding is demanded, CR and LF are skipped, spare bits are ignored."""
    compact = text.replace("\r", "").replace("\n", "")
    if not _BASE64.fullmatch(compact):
        return None
    return base64.b64decode(compact)
