"""Decide about one instance from what was seen of it, and say what outcome a decision already is. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from orchestrator.core.counting import counted
from orchestrator.core.model import (
    NOTHING_TO_DO,
    UNSCOPED,
    AgentState,
    Armed,
    Decision,
    DecisionKind,
    Facts,
    Instance,
    Outcome,
    OutcomeKind,
    Persistence,
    Ping,
    Planned,
    Platform,
    RestartMethod,
    Status,
)
from orchestrator.core.reasons import Reason
from orchestrator.core.settings import OnEphemeral

Look = Facts | Reason
"""What the inspection of an instance gave: its facts, or the reason why there are none."""

UNSUPPORTED: Mapping[Platform, Reason] = {
    Platform.WINDOWS: Reason.WINDOWS,
    Platform.BOTTLEROCKET: Reason.BOTTLEROCKET,
    Platform.MANAGED: Reason.MANAGED_INSTANCES,
}

UNREACHED = frozenset(
    {
        Reason.SSM_OFFLINE,
        Reason.SSM_NOT_REGISTERED,
        Reason.SSM_REFUSED,
        Reason.DELIVERY_TIMED_OUT,
        Reason.NO_RESULT,
    }
)
"""Reasons that say nothing about the instance but that we could not ask it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What every instance shall run: the credential's generation and the names of its registries."""

    generation: str
    registries: frozenset[str]
    allow_removal: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeBack:
    """What a restore wants: nobody runs what that run had applied."""

    run: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Heal:
    """What healing wants: nothing of a dead run is left on anybody, neither a half-way change nor a drained status."""


Wanted = Goal | TakeBack | Heal


def exclude_early(instance: Instance, *, ghost: bool, left_out: Reason | None = None) -> Decision | None:
    """Decide what needs no look at the instance; None when it must be inspected. `left_out`: by the selection."""
    if ghost:
        return Decision(DecisionKind.SKIP, Reason.GHOST)
    if left_out is not None:
        return Decision(DecisionKind.SKIP, left_out)
    unsupported = UNSUPPORTED.get(instance.platform)
    if unsupported is not None:
        return Decision(DecisionKind.REFUSE, unsupported)
    if instance.status is Status.DRAINING and not instance.mark:
        return Decision(DecisionKind.SKIP, Reason.DRAINING_ELSEWHERE)
    if instance.status not in {Status.ACTIVE, Status.DRAINING}:
        return Decision(DecisionKind.SKIP, Reason.NOT_ACTIVE)
    match instance.ping:
        case Ping.ONLINE:
            return None
        case Ping.UNREGISTERED:
            return Decision(DecisionKind.SKIP, Reason.SSM_NOT_REGISTERED)
        case Ping.CONNECTION_LOST | Ping.INACTIVE:
            return Decision(DecisionKind.SKIP, Reason.SSM_OFFLINE)


def decide(look: Look, goal: Wanted, on_ephemeral: OnEphemeral = OnEphemeral.REFUSE) -> Decision:
    """Decide from what the inspection saw. The order is that of safety: the first reason not to act wins."""
    if isinstance(look, Reason):
        return Decision(DecisionKind.SKIP if look in UNREACHED else DecisionKind.REFUSE, look)
    match goal:
        case Heal():
            return _decide_heal(look)
        case TakeBack():
            return _decide_restore(look, goal, on_ephemeral)
        case Goal():
            pass
    refusal = _refusal(look, goal)
    if refusal is not None:
        return Decision(DecisionKind.REFUSE, refusal)
    if look.agrees and look.generation == goal.generation and look.armed is Armed.NO:
        return Decision(DecisionKind.SKIP, Reason.ALREADY_CURRENT)
    return _by_persistence(look, Reason.NEEDS_UPDATE, on_ephemeral)


def _decide_heal(facts: Facts) -> Decision:
    """Decide about what a dead run has left on the instance itself."""
    if facts.armed is Armed.LIVING:
        return Decision(DecisionKind.REFUSE, Reason.WATCHDOG_ARMED)
    if facts.armed is Armed.DEAD:
        return Decision(DecisionKind.APPLY, Reason.NEEDS_HEALING)
    return Decision(DecisionKind.SKIP, Reason.NOTHING_TO_HEAL)


def _decide_restore(facts: Facts, goal: TakeBack, on_ephemeral: OnEphemeral) -> Decision:
    """Decide about taking a run back. An agent that is down is no obstacle: it may be why."""
    if facts.armed is Armed.LIVING:
        return Decision(DecisionKind.REFUSE, Reason.WATCHDOG_ARMED)
    if facts.run != goal.run and facts.armed is Armed.NO:
        return Decision(DecisionKind.SKIP, Reason.NOTHING_TO_RESTORE)
    if facts.method is RestartMethod.NONE:
        return Decision(DecisionKind.REFUSE, Reason.NO_RESTART_METHOD)
    return _by_persistence(facts, Reason.NEEDS_RESTORE, on_ephemeral)


def _refusal(facts: Facts, goal: Goal) -> Reason | None:
    if facts.armed is Armed.LIVING:
        return Reason.WATCHDOG_ARMED
    # A dead watchdog's armed state is restored by the next document first, so a down agent is no obstacle there.
    if facts.armed is Armed.NO and facts.agent is AgentState.ABSENT:
        return Reason.AGENT_ABSENT
    if facts.armed is Armed.NO and facts.agent is AgentState.DOWN:
        return Reason.AGENT_DOWN
    if facts.method is RestartMethod.NONE:
        return Reason.NO_RESTART_METHOD
    if facts.fetch == "none":
        return Reason.TOOL_MISSING
    if not goal.allow_removal and frozenset(facts.registries) - goal.registries:
        return Reason.REGISTRY_REMOVED
    return None


def _by_persistence(facts: Facts, wish: Reason, on_ephemeral: OnEphemeral) -> Decision:
    """Decide by whether a restart costs the agent its state: then it is drained first, or left, or the user insists."""
    if facts.persistence is Persistence.PERSISTENT:
        return Decision(DecisionKind.APPLY, wish)
    match on_ephemeral:
        case OnEphemeral.DRAIN:
            return Decision(DecisionKind.DRAIN, wish)
        case OnEphemeral.FORCE:
            return Decision(DecisionKind.APPLY, wish)
        case OnEphemeral.REFUSE:
            unknown = facts.persistence is Persistence.UNKNOWN
            return Decision(DecisionKind.REFUSE, Reason.PERSISTENCE_UNKNOWN if unknown else Reason.EPHEMERAL)


def adopted(instance: Instance, decision: Decision) -> Decision:
    """Decide about an instance that carries the mark of a dead run: whatever else happens, it is given back.

    Not while its watchdog may still restart its agent, nor where it cannot be asked: then the report names it.
    """
    if not instance.mark or decision.reason in UNREACHED | {Reason.WATCHDOG_ARMED}:
        return decision
    if not decision.changes:
        healed = decision.reason is Reason.NOTHING_TO_HEAL
        return Decision(DecisionKind.RELEASE, Reason.NEEDS_RELEASE if healed else decision.reason)
    if instance.status is Status.DRAINING:
        return Decision(DecisionKind.DRAIN, decision.reason)
    return decision


def outcome_of(planned: Planned) -> Outcome | None:
    """Give the outcome that a decision already is; None for those with which something is to be done."""
    return None if planned.decision.changes else ending_of(planned)


def unserved(planned: Iterable[Planned]) -> tuple[Outcome, ...]:
    """Give the outcomes, not as wanted, of those whom a plan leaves as they are."""
    return tuple(end for each in planned if (end := outcome_of(each)) is not None and not end.as_wanted)


def ending_of(planned: Planned) -> Outcome:
    """Give the outcome of an instance to which nothing is sent, by the reason of its decision."""
    kind, reason = planned.decision.kind, planned.decision.reason
    left = _left_marked(planned)
    if reason is Reason.ALREADY_CURRENT:
        return Outcome(OutcomeKind.CURRENT, reason, left)
    if reason is Reason.NEEDS_RELEASE:
        return Outcome(OutcomeKind.SKIPPED, Reason.RELEASED)
    if reason in UNREACHED:
        return Outcome(OutcomeKind.UNREACHABLE, reason, left)
    if reason is Reason.STRANDED:
        return Outcome(OutcomeKind.SKIPPED, reason, f"{left}; {_hindrance(planned)}")
    if kind is DecisionKind.SKIP or reason in UNSCOPED | NOTHING_TO_DO:
        return Outcome(OutcomeKind.SKIPPED, reason, left)
    message = "; ".join(part for part in (describe_look(planned.facts, reason), left) if part)
    return Outcome(OutcomeKind.REFUSED, reason, message)


def _left_marked(planned: Planned) -> str:
    """Name what a dead run has left on an instance that this run does not release."""
    instance = planned.instance
    if not instance.mark or planned.decision.changes:
        return ""
    drained = instance.status is Status.DRAINING
    return f"left DRAINING by the run {instance.mark}" if drained else f"it carries the mark of the run {instance.mark}"


def _hindrance(planned: Planned) -> str:
    """Say what kept an instance from being given back."""
    if planned.facts is not None and planned.facts.armed is Armed.LIVING:
        return "a watchdog is armed there"
    ping = planned.instance.ping
    return "it did not answer the inspection" if ping is Ping.ONLINE else f"Systems Manager says {ping}"


def describe_look(facts: Facts | None, reason: Reason) -> str:
    """Say in a few words what was seen that led to a refusal."""
    if facts is None:
        return ""
    if reason in {Reason.EPHEMERAL, Reason.PERSISTENCE_UNKNOWN}:
        return f"{facts.persistence}: {', '.join(facts.why)}; {counted(facts.tasks, 'task')} running"
    if reason is Reason.REGISTRY_REMOVED:
        return f"it has logins for {', '.join(facts.registries)}"
    return ""
