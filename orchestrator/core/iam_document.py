"""IAM policy documents as values: statements that allow, and the JSON form of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One statement that allows. `conditions`: by operator, the values of each key. `principal`: in key policies."""

    sid: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    principal: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class IamPolicy:
    """A policy document."""

    statements: tuple[Statement, ...]

    @property
    def actions(self) -> frozenset[str]:
        """Every action that is allowed somewhere in it."""
        return frozenset(action for each in self.statements for action in each.actions)

    def document(self) -> dict[str, Any]:
        """Give the policy in the form that IAM and KMS take as JSON."""
        return {"Version": "2012-10-17", "Statement": [_statement(each) for each in self.statements]}


def _statement(statement: Statement) -> dict[str, Any]:
    conditions = {
        operator: {key: _one_or_many(values) for key, values in keys.items()}
        for operator, keys in statement.conditions.items()
    }
    return {
        "Sid": statement.sid,
        "Effect": "Allow",
        **({"Principal": {"AWS": statement.principal}} if statement.principal else {}),
        "Action": _one_or_many(statement.actions),
        "Resource": _one_or_many(statement.resources),
        **({"Condition": conditions} if conditions else {}),
    }


def _one_or_many(values: tuple[str, ...]) -> str | list[str]:
    return values[0] if len(values) == 1 else list(values)
