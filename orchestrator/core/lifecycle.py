"""The lifecycle of one instance, as one table.

Each phase stands here with what is true in it, what bounds it, and which event leads where. An event that the
table does not know is an error. README's diagram is generated from it (`diagram`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from orchestrator.core.model import OutcomeKind


class Phase(StrEnum):
    """Where an instance is in its lifecycle."""

    QUEUED = "queued"
    DRAINING = "draining"
    APPLYING = "applying"
    SETTLING = "settling"
    ACTIVATING = "activating"
    LAGGING = "lagging"

    __hash__ = str.__hash__  # a run of thousands is folded through dicts of these, and enum's own is slow


AT_WORK: Final = frozenset({Phase.DRAINING, Phase.APPLYING, Phase.SETTLING, Phase.ACTIVATING})
"""Phases in which an instance holds a place of the window."""


class Step(StrEnum):
    """What can happen to one instance; each event of the journal is one of these for the instances it names."""

    HELD = "held"
    DRAINING = "draining"
    DRAINED = "drained"
    ADMITTED = "admitted"
    NOT_SENT = "not_sent"
    NOT_SENT_DRAINED = "not_sent_drained"
    REPORTED = "reported"
    LOST = "lost"
    LOOKING = "looking"
    LOOKED = "looked"
    DISPROVEN = "disproven"
    TAKING_BACK = "taking_back"
    SETTLED = "settled"
    KEPT = "kept"
    DEFERRED = "deferred"
    REVISITED = "revisited"
    CONCLUDED = "concluded"

    __hash__ = str.__hash__


ENDED: Final = None
"""Where a transition leads that ends the lifecycle with an outcome."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseRule:
    """What is true in a phase, what bounds its time, where its events lead, and how it may end."""

    invariant: str
    bounded_by: str
    exits: Mapping[Step, Phase | None]
    outcomes: frozenset[OutcomeKind]


LIFECYCLE: Mapping[Phase, PhaseRule] = MappingProxyType(
    {
        Phase.QUEUED: PhaseRule(
            invariant="Nothing of this run was done to the instance.",
            bounded_by="the run",
            exits=MappingProxyType(
                {
                    Step.HELD: Phase.QUEUED,
                    Step.DRAINING: Phase.DRAINING,
                    Step.ADMITTED: Phase.APPLYING,
                    Step.SETTLED: Phase.ACTIVATING,
                    Step.DEFERRED: Phase.LAGGING,
                    Step.CONCLUDED: ENDED,
                }
            ),
            outcomes=frozenset(
                {
                    OutcomeKind.CURRENT,
                    OutcomeKind.SKIPPED,
                    OutcomeKind.REFUSED,
                    OutcomeKind.UNREACHABLE,
                    OutcomeKind.NOT_ATTEMPTED,
                }
            ),
        ),
        Phase.DRAINING: PhaseRule(
            invariant=(
                "The instance carries our mark, or is about to, and ECS moves its tasks away; nothing was sent to it."
            ),
            bounded_by="drain timeout",
            exits=MappingProxyType(
                {
                    Step.DRAINING: Phase.DRAINING,
                    Step.DRAINED: Phase.DRAINING,
                    Step.ADMITTED: Phase.APPLYING,
                    Step.SETTLED: Phase.ACTIVATING,
                    Step.CONCLUDED: ENDED,
                }
            ),
            outcomes=frozenset({OutcomeKind.SKIPPED}),
        ),
        Phase.APPLYING: PhaseRule(
            invariant="The apply or restore document may have been sent; the instance holds one place of the window.",
            bounded_by="delivery timeout + step timeout",
            exits=MappingProxyType(
                {
                    Step.NOT_SENT: Phase.QUEUED,
                    Step.NOT_SENT_DRAINED: Phase.DRAINING,
                    Step.REPORTED: Phase.SETTLING,
                    Step.LOST: Phase.SETTLING,
                    Step.SETTLED: Phase.ACTIVATING,
                    Step.CONCLUDED: ENDED,
                }
            ),
            outcomes=frozenset({OutcomeKind.SKIPPED}),
        ),
        Phase.SETTLING: PhaseRule(
            invariant=(
                "The document has ended or was lost; its effect is being read, from ECS and, where the result was "
                "lost, from the instance once its watchdog's time is over."
            ),
            bounded_by="verify timeout; after a lost result first the watchdog's deadline",
            exits=MappingProxyType(
                {
                    Step.LOOKING: Phase.SETTLING,
                    Step.LOOKED: Phase.SETTLING,
                    Step.NOT_SENT: Phase.QUEUED,
                    Step.NOT_SENT_DRAINED: Phase.DRAINING,
                    Step.DISPROVEN: Phase.SETTLING,
                    Step.TAKING_BACK: Phase.APPLYING,
                    Step.SETTLED: Phase.ACTIVATING,
                    Step.DEFERRED: Phase.LAGGING,
                    Step.CONCLUDED: ENDED,
                }
            ),
            outcomes=frozenset(
                {
                    OutcomeKind.UPDATED,
                    OutcomeKind.CURRENT,
                    OutcomeKind.SKIPPED,
                    OutcomeKind.REFUSED,
                    OutcomeKind.ROLLED_BACK,
                    OutcomeKind.FAILED,
                    OutcomeKind.UNREACHABLE,
                    OutcomeKind.UNVERIFIED,
                }
            ),
        ),
        Phase.ACTIVATING: PhaseRule(
            invariant=(
                "The outcome is known; what the run took from the instance is given back: attributes and tags of a new "
                "registration, its status, our mark, our ghost."
            ),
            bounded_by="a few tries; one that stays DRAINING is reported by name",
            exits=MappingProxyType({Step.KEPT: Phase.ACTIVATING, Step.DEFERRED: Phase.LAGGING, Step.CONCLUDED: ENDED}),
            outcomes=frozenset(OutcomeKind),
        ),
        Phase.LAGGING: PhaseRule(
            invariant="The instance could not be reached; it is tried once more after the last wave.",
            bounded_by="the run",
            exits=MappingProxyType({Step.REVISITED: Phase.QUEUED, Step.CONCLUDED: ENDED}),
            outcomes=frozenset({OutcomeKind.UNREACHABLE, OutcomeKind.SKIPPED}),
        ),
    }
)


class UnknownTransitionError(Exception):
    """An event came that the lifecycle's table does not know for that phase: a defect of ours."""


def advance(phase: Phase | None, step: Step) -> Phase | None:
    """Say where `step` leads from `phase`; None when the lifecycle ends there.

    Raises UnknownTransitionError for a pair that the table does not hold; outcomes are final, so every step
    after the end is one.
    """
    if phase is None:
        raise UnknownTransitionError(f"{step} after the outcome: outcomes are final")
    exits = LIFECYCLE[phase].exits
    if step not in exits:
        raise UnknownTransitionError(f"{step} in phase {phase}")
    return exits[step]


def diagram() -> str:
    """Draw the table as a Mermaid state diagram, for the README."""
    lines = ["stateDiagram-v2", f"    [*] --> {next(iter(LIFECYCLE))}"]
    for phase, rule in LIFECYCLE.items():
        for step, target in rule.exits.items():
            if target is not ENDED:
                lines.append(f"    {phase} --> {target}: {step}")
        if rule.outcomes:
            every = rule.outcomes == frozenset(OutcomeKind)
            names = "any outcome" if every else ", ".join(kind for kind in OutcomeKind if kind in rule.outcomes)
            lines.append(f"    {phase} --> [*]: {names}")
    return "\n".join(lines) + "\n"
