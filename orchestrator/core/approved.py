"""A plan that was approved: what it holds, and what has changed since. Names, ids and numbers only, no secret."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from orchestrator.core.credential import Credential, canonical
from orchestrator.core.model import Decision, DecisionKind, Facts, Instance, Plan, Planned
from orchestrator.core.reasons import Reason
from orchestrator.core.settings import OptionValue, Policy

VERSION = 1
"""Of the saved plan's form. It grows when a reader of the older form could misread the newer."""

_INSTANCE = {
    "arn": "registered as",
    "status": "status",
    "platform": "platform",
    "zone": "zone",
    "agent_version": "agent version",
}
_FACTS = {
    "agent": "agent",
    "cluster": "cluster of its agent",
    "method": "restart method",
    "persistence": "agent's state",
    "generation": "credential on it",
    "agrees": "marker, file and agent agree",
    "armed": "watchdog armed",
    "registries": "registries",
    "fetch": "tool to fetch with",
}
"""The facts that a decision rests on, in words. Tasks come and go by themselves: they are not among them."""


_NEEDED = Decision(DecisionKind.APPLY, Reason.NEEDS_UPDATE)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovedPlan:
    """A plan as it was saved: whom it changes, in which order and waves, under which rules, and what that rested on.

    `made_at` in epoch seconds. `options`: the flags that it was made with. `generation` is empty where the cluster had
    no key yet; then `salt` and `fingerprint` stand for the credential's content (a slow hash of it).
    """

    version: int = VERSION
    made_at: float
    cluster: str
    region: str
    credential: str
    generation: str
    salt: str = ""
    fingerprint: str = ""
    options: Mapping[str, OptionValue] = field(default_factory=dict)
    policy: Policy
    planned: tuple[Planned, ...]


def fingerprint_of(credential: Credential, salt: str) -> str:
    """Stand for a credential's content where there is no key yet: slow to compute, so that nobody tries passwords."""
    return hashlib.scrypt(canonical(credential), salt=bytes.fromhex(salt), n=2**14, r=8, p=1, dklen=32).hex()


def changes_since(approved: ApprovedPlan, now: Plan) -> Mapping[str, tuple[str, ...]]:
    """Say what is not as it was when the plan was made, and of whom; nothing where the plan still fits."""
    then = {each.key: each for each in approved.planned}
    found = {each.key: each for each in now.planned}
    changes: dict[str, list[str]] = {}
    for key, old in then.items():
        new = found.get(key)
        gone = (f"left the cluster; the plan says {_decision(old)}",)
        for change in gone if new is None else _differences(old, new):
            changes.setdefault(change, []).append(key)
    for key, new in found.items():
        if key not in then:
            changes.setdefault(f"joined the cluster; it would be {_decision(new)}", []).append(key)
    return {change: tuple(keys) for change, keys in changes.items()}


def _differences(old: Planned, new: Planned) -> Iterator[str]:
    if _wish(old.decision) != _wish(new.decision):
        yield f"{_decision(old)} in the plan, {_decision(new)} now"
    yield from _fields(old.instance, new.instance, _INSTANCE)
    if old.facts and new.facts:
        yield from _fields(old.facts, new.facts, _FACTS)


def _fields(old: Instance | Facts, new: Instance | Facts, names: Mapping[str, str]) -> Iterator[str]:
    for name, words in names.items():
        was, is_now = getattr(old, name), getattr(new, name)
        if was != is_now:
            yield f"{words}: {_text(was)} then, {_text(is_now)} now"


def _text(value: object) -> str:
    """Word a field's value; of an ARN its last part, which tells registrations of one cluster apart."""
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value).rsplit("/", 1)[-1] if str(value).startswith("arn:") else str(value) or "none"


def _wish(decision: Decision) -> Decision:
    """Say what an instance needs. Whom a limit leaves for later hangs on who has tasks just now: the plan decides."""
    return _NEEDED if decision.reason is Reason.LIMITED else decision


def _decision(each: Planned) -> str:
    return f"{each.decision.kind}({each.decision.reason})"


def as_approved(approved: ApprovedPlan, now: Plan) -> Plan:
    """Give what was seen now in the order and the waves that were approved. Only for a plan that still fits."""
    found = {each.key: each for each in now.planned}
    planned = tuple(replace(found[each.key], wave=each.wave, decision=each.decision) for each in approved.planned)
    return replace(now, planned=planned)
