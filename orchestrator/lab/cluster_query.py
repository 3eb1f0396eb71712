"""The cluster query language: the expressions that `filter` and placement constraints are written in.

Subjects: agentConnected, agentVersion, registeredAt, ec2InstanceId, runningTasksCount, task:group, attribute:NAME.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from orchestrator.lab.wire import AwsError

Subject = Mapping[str, tuple[str, ...]]
Test = Callable[[Subject], bool]

_TOKEN = re.compile(
    r"""\s*(?:(?P<symbol>\(|\)|\[|\]|,|&&|\|\||==|!=|>=|<=|=~|!~|>|<|!(?!in\b|exists\b))|(?P<word>!?[^\s()\[\],=!<>&|~]+))"""
)
_OPERATORS = {
    "equals": "==",
    "not_equals": "!=",
    "greater_than": ">",
    "greater_than_equal": ">=",
    "less_than": "<",
    "less_than_equal": "<=",
    "not_exists": "!exists",
    "not_in": "!in",
    "matches": "=~",
    "not_matches": "!~",
}
_KNOWN = frozenset({*_OPERATORS.values(), "exists", "in"})
_SUBJECTS = frozenset(
    {"agentConnected", "agentVersion", "registeredAt", "ec2InstanceId", "runningTasksCount", "task:group"}
)


def compile_query(text: str) -> Test:
    """Return the test that `text` stands for; raises InvalidParameterException when it cannot be read.

    Example: `attribute:ecs.availability-zone in [us-east-1a, us-east-1b] and not(agentConnected == false)`.
    """
    parser = _Parser(_tokens(text))
    test = parser.either()
    if parser.peek() is not None:
        raise _invalid(text)
    return test


def _tokens(text: str) -> list[str]:
    found: list[str] = []
    at = 0
    text = text.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise _invalid(text)
        found.append(match["symbol"] or match["word"])
        at = match.end()
    return found


@dataclass(slots=True)
class _Parser:
    tokens: list[str]
    at: int = 0

    def peek(self) -> str | None:
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def take(self) -> str:
        token = self.peek()
        if token is None:
            raise _invalid(" ".join(self.tokens))
        self.at += 1
        return token

    def expect(self, wanted: str) -> None:
        if self.take() != wanted:
            raise _invalid(" ".join(self.tokens))

    def either(self) -> Test:
        tests = [self.both()]
        while self.peek() in {"or", "||"}:
            self.take()
            tests.append(self.both())
        return lambda subject: any(test(subject) for test in tests)

    def both(self) -> Test:
        tests = [self.single()]
        while self.peek() in {"and", "&&"}:
            self.take()
            tests.append(self.single())
        return lambda subject: all(test(subject) for test in tests)

    def single(self) -> Test:
        if self.peek() in {"not", "!"}:
            self.take()
            inner = self.single()
            return lambda subject: not inner(subject)
        if self.peek() == "(":
            self.take()
            inner = self.either()
            self.expect(")")
            return inner
        return self.comparison()

    def comparison(self) -> Test:
        name = self.take()
        if name not in _SUBJECTS and not name.startswith("attribute:"):
            raise _invalid(name)
        word = self.take()
        operator = _OPERATORS.get(word, word)
        if operator not in _KNOWN:
            raise _invalid(word)
        match operator:
            case "exists":
                return lambda subject: name in subject
            case "!exists":
                return lambda subject: name not in subject
            case "in" | "!in":
                wanted = self.members()
                return lambda subject: bool(wanted & set(subject.get(name, ()))) is (operator == "in")
            case _:
                argument = self.take()
                return lambda subject: _compare(subject.get(name, ()), operator, argument)

    def members(self) -> frozenset[str]:
        self.expect("[")
        found = [self.take()]
        while (token := self.take()) == ",":
            found.append(self.take())
        if token != "]":  # noqa: S105 - a bracket
            raise _invalid(" ".join(self.tokens))
        return frozenset(each.strip("'\"") for each in found)


def _compare(values: tuple[str, ...], operator: str, argument: str) -> bool:
    argument = argument.strip("'\"")
    match operator:
        case "==":
            return argument in values
        case "!=":
            return argument not in values
        case "=~":
            return any(_matches(value, argument) for value in values)
        case "!~":
            return not any(_matches(value, argument) for value in values)
        case _:
            return any(_ordered(value, operator, argument) for value in values)


def _matches(value: str, pattern: str) -> bool:
    try:
        return re.fullmatch(pattern, value) is not None
    except re.error as error:
        raise _invalid(pattern) from error


def _ordered(value: str, operator: str, argument: str) -> bool:
    left, right = _key(value), _key(argument)
    match operator:
        case ">":
            return left > right
        case ">=":
            return left >= right
        case "<":
            return left < right
        case _:
            return left <= right


def _key(text: str) -> tuple[tuple[int, int, str], ...]:
    """Order numbers and versions by their numbers, the rest as text."""
    parts = re.split(r"([0-9]+)", text)
    return tuple((1, int(part), "") if part.isdecimal() else (0, 0, part) for part in parts if part not in {"", "."})


def _invalid(text: str) -> AwsError:
    return AwsError("InvalidParameterException", f"Invalid expression: {text}")
