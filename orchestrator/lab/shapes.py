"""Checks what goes in and comes out against botocore's own model of the service, so that the lab cannot drift from AWS.

The checks are compiled once per shape into closures: a page of 50 invocations costs well under a millisecond,
so they are always on.
"""

import functools
import re
from collections.abc import Callable, Mapping
from typing import Any

import botocore.loaders
import botocore.model

from orchestrator.lab.wire import AwsError

Problems = list[str]
Check = Callable[[Any, str, Problems], None]

# Members whose pattern in the model does not match what the service itself sends (an ISO duration, an empty string).
_PATTERN_EXEMPT = frozenset({"StringDateTime"})
_ECHO = 200


class ShapeSlipError(Exception):
    """The lab was about to answer something that AWS never would: a fault of the lab, not of its caller."""


class ServiceShapes:
    """Input and output checks for the operations of one service."""

    def __init__(self, service: str) -> None:
        loader = botocore.loaders.Loader()
        self._model = botocore.model.ServiceModel(loader.load_service_model(service, "service-2"), service)
        self._checks: dict[tuple[str, bool], Check] = {}

    def knows(self, operation: str) -> bool:
        """Say whether the service has this operation."""
        return operation in self._model.operation_names

    def error_message_key(self, code: str) -> str:
        """Name the member in which this service sends an error's text (`Message` in some models)."""
        for shape in self._model.error_shapes:
            named = {shape.name, shape.metadata.get("error", {}).get("code")}
            if code in named and isinstance(shape, botocore.model.StructureShape):
                return next((name for name in shape.members if name.lower() == "message"), "message")
        return "message"

    def check_input(self, operation: str, params: Mapping[str, Any]) -> None:
        """Raise AwsError ValidationException, worded as AWS words it, when `params` break the input shape."""
        shape = self._model.operation_model(operation).input_shape
        problems = self._problems(shape, params, strict=False)
        if problems:
            noun = "error" if len(problems) == 1 else "errors"
            message = f"{len(problems)} validation {noun} detected: {'; '.join(problems)}"
            raise AwsError("ValidationException", message)

    def check_output(self, operation: str, reply: Mapping[str, Any]) -> None:
        """Raise ShapeSlipError when `reply` has an unknown member, lacks a required one or breaks a constraint."""
        problems = self._problems(self._model.operation_model(operation).output_shape, reply, strict=True)
        if problems:
            raise ShapeSlipError(f"{operation}: {'; '.join(problems)}")

    def _problems(self, shape: botocore.model.Shape | None, value: Mapping[str, Any], *, strict: bool) -> Problems:
        problems: Problems = []
        if shape is None:
            if strict and value:
                problems.append(f"the operation has no output, but {sorted(value)} was given")
            return problems
        self._check_for(shape, strict=strict)(value, "", problems)
        return problems

    def _check_for(self, shape: botocore.model.Shape, *, strict: bool) -> Check:
        key = (shape.name, strict)
        known = self._checks.get(key)
        if known is None:
            # A shape may contain itself: what is compiled inside finds this entry and calls the finished check.
            self._checks[key] = self._later(key)
            known = self._checks[key] = self._compile(shape, strict=strict)
        return known

    def _later(self, key: tuple[str, bool]) -> Check:
        def check(value: Any, path: str, problems: Problems) -> None:
            self._checks[key](value, path, problems)

        return check

    def _compile(self, shape: botocore.model.Shape, *, strict: bool) -> Check:
        match shape:
            case botocore.model.StructureShape():
                members = {
                    name: (_lower(name), self._check_for(member, strict=strict))
                    for name, member in shape.members.items()
                }
                return _structure(members, tuple(shape.required_members), strict=strict)
            case botocore.model.ListShape():
                return _list(self._check_for(shape.member, strict=strict), _length(shape))
            case botocore.model.MapShape():
                key = self._check_for(shape.key, strict=strict)
                return _map(key, self._check_for(shape.value, strict=strict), _length(shape))
            case botocore.model.StringShape():
                return _string(shape)
            case _:
                return _scalar(shape)


@functools.cache
def shapes_of(service: str) -> ServiceShapes:
    """Return the checks of `service` (`ssm`, `ecs`), loaded once per process."""
    return ServiceShapes(service)


def _lower(name: str) -> str:
    return name[:1].lower() + name[1:]


def _constraint(value: Any, path: str, rule: str) -> str:
    shown = "null" if value is None else f"'{str(value)[:_ECHO]}'"
    return f"Value {shown} at '{path or 'input'}' failed to satisfy constraint: Member must {rule}"


def _kind(value: Any, path: str, wanted: str, types: tuple[type, ...], problems: Problems) -> bool:
    right = isinstance(value, types) and (bool in types or not isinstance(value, bool))
    if not right:
        problems.append(_constraint(value, path, f"be of type {wanted}"))
    return right


def _length(shape: botocore.model.Shape) -> Check:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")

    def check(value: Any, path: str, problems: Problems) -> None:
        if low is not None and len(value) < low:
            problems.append(_constraint(value, path, f"have length greater than or equal to {low}"))
        if high is not None and len(value) > high:
            problems.append(_constraint(value, path, f"have length less than or equal to {high}"))

    return check


def _structure(members: Mapping[str, tuple[str, Check]], required: tuple[str, ...], *, strict: bool) -> Check:
    def check(value: Any, path: str, problems: Problems) -> None:
        if not _kind(value, path, "structure", (dict,), problems):
            return
        prefix = f"{path}." if path else ""
        for name in required:
            if value.get(name) is None:
                problems.append(_constraint(None, f"{prefix}{_lower(name)}", "not be null"))
        for name, item in value.items():
            known = members.get(name)
            if known is None:
                if strict:
                    problems.append(f"'{prefix}{name}' is not a member of the shape")
            elif item is not None:
                known[1](item, prefix + known[0], problems)
            elif strict:
                problems.append(f"'{prefix}{name}' is null; AWS leaves such a member out")

    return check


def _list(member: Check, length: Check) -> Check:
    def check(value: Any, path: str, problems: Problems) -> None:
        if not _kind(value, path, "list", (list,), problems):
            return
        length(value, path, problems)
        for number, item in enumerate(value, 1):
            member(item, f"{path}.{number}.member", problems)

    return check


def _map(key: Check, entry: Check, length: Check) -> Check:
    def check(value: Any, path: str, problems: Problems) -> None:
        if not _kind(value, path, "map", (dict,), problems):
            return
        length(value, path, problems)
        for name, item in value.items():
            key(name, f"{path}.key", problems)
            entry(item, f"{path}.{name}", problems)

    return check


def _string(shape: botocore.model.StringShape) -> Check:
    length = _length(shape)
    allowed = frozenset(shape.enum)
    names = ", ".join(shape.enum)
    pattern = _pattern(shape)

    def check(value: Any, path: str, problems: Problems) -> None:
        if not _kind(value, path, "string", (str,), problems):
            return
        length(value, path, problems)
        if allowed and value not in allowed:
            problems.append(_constraint(value, path, f"satisfy enum value set: [{names}]"))
        if pattern is not None and not pattern.fullmatch(value):
            wanted = shape.metadata["pattern"]
            problems.append(_constraint(value, path, f"satisfy regular expression pattern: {wanted}"))

    return check


def _pattern(shape: botocore.model.Shape) -> re.Pattern[str] | None:
    text = shape.metadata.get("pattern")
    if text is None or shape.name in _PATTERN_EXEMPT:
        return None
    # The model's patterns are Java's; Python has no Unicode classes by letter.
    for java, python in (
        (r"\p{L}", r"\w"),
        (r"\p{Z}", r"\s"),
        (r"\p{N}", r"\d"),
        (r"\p{IsAlphabetic}", r"\w"),
    ):
        text = text.replace(java, python)
    try:
        return re.compile(text)
    except re.error:
        return None


_SCALARS: Mapping[str, tuple[type, ...]] = {
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "boolean": (bool,),
    "timestamp": (int, float),
    "blob": (str,),
}


def _scalar(shape: botocore.model.Shape) -> Check:
    types = _SCALARS[shape.type_name]
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    bounded = shape.type_name in {"integer", "long", "float", "double"}

    def check(value: Any, path: str, problems: Problems) -> None:
        if not _kind(value, path, shape.type_name, types, problems) or not bounded:
            return
        if low is not None and value < low:
            problems.append(_constraint(value, path, f"have value greater than or equal to {low}"))
        if high is not None and value > high:
            problems.append(_constraint(value, path, f"have value less than or equal to {high}"))

    return check
