"""An event of a journal in a sentence, with the evidence for it as names and texts."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from types import MappingProxyType

from msgspec import Struct

from orchestrator.core.events import (
    Admitted,
    ApprovalAwaited,
    Approved,
    Concluded,
    Deferred,
    Delivered,
    Disproven,
    Drained,
    Draining,
    EndTold,
    Event,
    GateAnswered,
    Halted,
    Held,
    Kept,
    Looked,
    Looking,
    Lost,
    NotSent,
    Promoted,
    Promoting,
    Reported,
    Resumed,
    RunEnded,
    Sent,
    Settled,
    TakingBack,
    WaveOpened,
)
from orchestrator.core.model import Outcome
from orchestrator.core.reasons import EXPLANATIONS
from orchestrator.core.result import Claim, Op, Report
from orchestrator.report.log_lines import snake
from orchestrator.report.times import moment

Evidence = tuple[tuple[str, str], ...]

SENTENCES: Mapping[type[Event], str] = MappingProxyType(
    {
        Resumed: "the run was taken over and goes on:",
        Delivered: "the credential is where instances fetch it:",
        ApprovalAwaited: "somebody is to approve:",
        Approved: "approved:",
        Draining: "to be marked as this run's and set DRAINING",
        Drained: "no task runs here any more",
        Disproven: "ECS does not bear out its new identity: to be taken back",
        TakingBack: "to be set DRAINING under its new identity, and taken back:",
        Settled: "how it ends is known; what the run took from it is to be given back:",
        Deferred: "not reached by now: tried once more after the last wave, or else:",
    }
)
"""Events whose fields stand below them as evidence."""


def sentence(event: Event) -> tuple[str, Evidence]:
    """Say an event in a sentence, with the evidence that does not stand in it; an event without one says its fields."""
    match event:
        case Admitted(batch=batch, not_after=until):
            return f"admitted: the command {batch} is to be sent, and does nothing after {moment(until)}", ()
        case Looking(batch=batch):
            return f"looked at again: the inspection {batch} is to be sent", ()
        case Sent(batch=batch, command_id=command):
            return f"SSM accepted {batch} as {command}", ()
        case NotSent(detail=detail):
            return f"SSM surely did not accept it: {detail}", ()
        case Reported(report=report):
            text = f"the instance reported {report.claim} ({report.reason}): {EXPLANATIONS[report.reason].meaning}"
            return text, _reported(report)
        case Lost(detail=detail, look_at=look_at):
            return f"no result came: {detail}; it may or may not have run, look again at {moment(look_at)}", ()
        case Looked(facts=None, reason=reason):
            return f"the second look gave nothing ({reason}): {EXPLANATIONS[reason].meaning}", ()
        case Looked(facts=facts):
            return "the second look saw:", evidence(facts)
        case Concluded(outcome=outcome):
            return concluded(outcome)
        case other:
            return _told_of_the_run(other)


def _told_of_the_run(event: Event) -> tuple[str, Evidence]:
    match event:
        case WaveOpened(wave=wave):
            return f"wave {wave} opened", ()
        case GateAnswered(answer=answer):
            return f"gate {answer.gate}: {answer.word}: {answer.reason}", ()
        case Halted(why=why):
            return f"the run stopped admitting instances: {why}", ()
        case RunEnded(result=result):
            return f"the run ended: {result}", ()
        case Promoting(secret=secret, version=version):
            return f"AWSCURRENT of {secret} is to be moved to {version}", ()
        case Promoted(secret=secret, version=version):
            return f"AWSCURRENT of {secret} is at {version}", ()
        case EndTold():
            return "those who want to know were told how the run ended", ()
        case Held(why=why, again_at=again):
            return f"held back: {why}; considered again at {moment(again)}", ()
        case Kept(detail=detail, again_at=again):
            return f"not given back yet: {detail}; tried again at {moment(again)}", ()
        case other:
            plain = snake(type(other).__name__).replace("_", " ")
            return SENTENCES.get(type(other), plain), evidence(other)


def concluded(outcome: Outcome) -> tuple[str, Evidence]:
    """Say an outcome and what it means; below it what was seen and what to do."""
    known = EXPLANATIONS[outcome.reason]
    seen = (("seen", outcome.message),) if outcome.message else ()
    to_do = () if outcome.as_wanted else (("do", known.remedy),)
    return f"outcome {outcome.kind} ({outcome.reason}): {known.meaning}", (*seen, *to_do)


def _reported(report: Report) -> Evidence:
    """Tell what apply took back as what it was: its own word is how the instance was left."""
    undone = report.op is Op.APPLY and report.claim is Claim.ROLLED_BACK
    return tuple(
        (name, "yes, and taken back" if undone and name == "changed" else text) for name, text in evidence(report)
    )


def evidence(value: object) -> Evidence:
    """Write a value's fields as names and texts; what is empty or unknown, and the other instances, is left out."""
    found: list[tuple[str, str]] = []
    for name in _fields_of(value):
        item = getattr(value, name)
        if is_dataclass(item):
            found += evidence(item)
        elif name not in {"key", "keys"} and item not in ("", (), None, -1):
            found.append((name, _text(item)))
    return tuple(found)


def _fields_of(value: object) -> Sequence[str]:
    """List the fields of an event, or of a value that it holds."""
    if isinstance(value, Struct):
        return value.__struct_fields__
    return [each.name for each in fields(value)]  # type: ignore[arg-type]  # what is no event is a dataclass


def _text(item: object) -> str:
    if isinstance(item, bool):
        return "yes" if item else "no"
    if isinstance(item, Enum):
        return str(item.value)
    if isinstance(item, tuple | list | frozenset):
        return ", ".join(_text(each) for each in item)
    return str(item)
