"""Evaluates IAM policies as AWS does: explicit denials first, then whether any statement allows, else denied.

Only what is understood is accepted: an element, an operator or a value of another kind raises ValueError, so that
no condition is ever passed over in silence.
"""

import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

_ELEMENTS = frozenset({"Sid", "Effect", "Action", "Resource", "Condition", "Principal"})
_ESCAPED = re.compile(r"\$\{([*?$])\}|([*?])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """One thing that a request needs to be allowed. `context` holds the condition keys that AWS sets for it."""

    action: str
    resource: str = "*"
    context: Mapping[str, str] = field(default_factory=dict)


class Permissions:
    """A policy document, ready to be asked. Raises ValueError for one that is not understood whole."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        if document.get("Version") != "2012-10-17":
            raise ValueError("the policy's Version must be 2012-10-17")
        self._statements = tuple(_Statement(each) for each in document["Statement"])

    def allow(self, need: Need, *, principal: str = "") -> bool:
        """Say whether the need is allowed; `principal` counts where statements name principals."""
        fitting = [each for each in self._statements if each.fits(need, principal)]
        return bool(fitting) and all(each.allows for each in fitting)


class _Statement:
    def __init__(self, raw: Mapping[str, Any]) -> None:
        unknown = set(raw) - _ELEMENTS
        if unknown or raw.get("Effect") not in {"Allow", "Deny"}:
            raise ValueError(f"a statement that is not understood: {sorted(unknown) or raw.get('Effect')}")
        self.allows = raw["Effect"] == "Allow"
        self._actions = _many(raw["Action"])
        self._resources = _many(raw["Resource"])
        self._principals = _many(raw["Principal"]["AWS"]) if "Principal" in raw else None
        self._conditions = [
            (_operator(operator), key.lower(), _many(values))
            for operator, keys in raw.get("Condition", {}).items()
            for key, values in keys.items()
        ]

    def fits(self, need: Need, principal: str) -> bool:
        context = {key.lower(): value for key, value in need.context.items()}
        return (
            (self._principals is None or principal in self._principals)
            and any(matches(pattern.lower(), need.action.lower()) for pattern in self._actions)
            and any(matches(pattern, need.resource) for pattern in self._resources)
            and all(holds(context.get(key), values) for holds, key, values in self._conditions)
        )


def matches(pattern: str, text: str) -> bool:
    """Match as IAM does: `*` any run of characters, `?` any one, `${*}` the character itself."""
    return _compiled(pattern).fullmatch(text) is not None


@functools.cache
def _compiled(pattern: str) -> re.Pattern[str]:
    parts, end = [], 0
    for found in _ESCAPED.finditer(pattern):
        wild = {"*": ".*", "?": "."}.get(found[2] or "")
        parts += [re.escape(pattern[end : found.start()]), wild or re.escape(found[1])]
        end = found.end()
    return re.compile("".join([*parts, re.escape(pattern[end:])]), re.DOTALL)


Holds = Callable[[str | None, tuple[str, ...]], bool]

# A key that the request does not have fails every operator but the negated ones.
_OPERATORS: Mapping[str, Holds] = {
    "StringEquals": lambda value, wanted: value is not None and value in wanted,
    "StringNotEquals": lambda value, wanted: value is None or value not in wanted,
    "StringLike": lambda value, wanted: value is not None and any(matches(each, value) for each in wanted),
    **dict.fromkeys(  # IAM treats these two alike
        ("ArnLike", "ArnEquals"),
        lambda value, wanted: value is not None and any(matches(each, value) for each in wanted),
    ),
}


def _operator(name: str) -> Holds:
    if name not in _OPERATORS:
        raise ValueError(f"the condition operator {name} is not understood")
    return _OPERATORS[name]


def _many(value: Any) -> tuple[str, ...]:
    values = (value,) if isinstance(value, str) else tuple(value)
    if not values or not all(isinstance(each, str) for each in values):
        raise ValueError(f"neither a text nor a list of texts: {value!r}")
    return values
