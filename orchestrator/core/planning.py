"""Decide what is to be done with each instance, and why: pure functions from facts to a plan."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from orchestrator.core.amount import Amount
from orchestrator.core.model import (
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
    Plan,
    Planned,
    Platform,
    RestartMethod,
    Status,
)
from orchestrator.core.reasons import Reason
from orchestrator.core.settings import EVERYTHING, ZoneOrder
from orchestrator.core.waves import in_order, waved

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


def exclude_early(instance: Instance, *, ghost: bool, left_out: Reason | None = None) -> Decision | None:
    """Decide what needs no look at the instance; None when it must be inspected. `left_out`: by the selection."""
    if ghost:
        return Decision(DecisionKind.SKIP, Reason.GHOST)
    if left_out is not None:
        return Decision(DecisionKind.SKIP, left_out)
    unsupported = UNSUPPORTED.get(instance.platform)
    if unsupported is not None:
        return Decision(DecisionKind.REFUSE, unsupported)
    if instance.status is Status.DRAINING:
        return Decision(DecisionKind.SKIP, Reason.DRAINING_ELSEWHERE)
    if instance.status is not Status.ACTIVE:
        return Decision(DecisionKind.SKIP, Reason.NOT_ACTIVE)
    match instance.ping:
        case Ping.ONLINE:
            return None
        case Ping.UNREGISTERED:
            return Decision(DecisionKind.SKIP, Reason.SSM_NOT_REGISTERED)
        case Ping.CONNECTION_LOST | Ping.INACTIVE:
            return Decision(DecisionKind.SKIP, Reason.SSM_OFFLINE)


def decide(look: Look, goal: Goal | TakeBack) -> Decision:
    """Decide from what the inspection saw. The order is that of safety: the first reason not to act wins."""
    if isinstance(look, Reason):
        return Decision(DecisionKind.SKIP if look in UNREACHED else DecisionKind.REFUSE, look)
    if isinstance(goal, TakeBack):
        return _decide_restore(look, goal)
    refusal = _refusal(look, goal)
    if refusal is not None:
        return Decision(DecisionKind.REFUSE, refusal)
    if look.agrees and look.generation == goal.generation and look.armed is Armed.NO:
        return Decision(DecisionKind.SKIP, Reason.ALREADY_CURRENT)
    return _by_persistence(look, Reason.NEEDS_UPDATE)


def _decide_restore(facts: Facts, goal: TakeBack) -> Decision:
    """Decide about taking a run back. An agent that is down is no obstacle: it may be why."""
    if facts.armed is Armed.LIVING:
        return Decision(DecisionKind.REFUSE, Reason.WATCHDOG_ARMED)
    if facts.run != goal.run and facts.armed is Armed.NO:
        return Decision(DecisionKind.SKIP, Reason.NOTHING_TO_RESTORE)
    if facts.method is RestartMethod.NONE:
        return Decision(DecisionKind.REFUSE, Reason.NO_RESTART_METHOD)
    return _by_persistence(facts, Reason.NEEDS_RESTORE)


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


def _by_persistence(facts: Facts, wish: Reason) -> Decision:
    match facts.persistence:
        case Persistence.PERSISTENT:
            return Decision(DecisionKind.APPLY, wish)
        case Persistence.EPHEMERAL:
            return Decision(DecisionKind.REFUSE, Reason.EPHEMERAL)
        case Persistence.UNKNOWN:
            return Decision(DecisionKind.REFUSE, Reason.PERSISTENCE_UNKNOWN)


def outcome_of(planned: Planned) -> Outcome | None:
    """Give the outcome that a decision already is; None for those that are to be applied."""
    reason = planned.decision.reason
    match planned.decision.kind:
        case DecisionKind.APPLY:
            return None
        case DecisionKind.REFUSE:
            return Outcome(OutcomeKind.REFUSED, reason, describe_look(planned.facts, reason))
        case DecisionKind.SKIP:
            if reason is Reason.ALREADY_CURRENT:
                return Outcome(OutcomeKind.CURRENT, reason)
            kind = OutcomeKind.UNREACHABLE if reason in UNREACHED else OutcomeKind.SKIPPED
            return Outcome(kind, reason)


def describe_look(facts: Facts | None, reason: Reason) -> str:
    """Say in a few words what was seen that led to a refusal."""
    if facts is None:
        return ""
    if reason in {Reason.EPHEMERAL, Reason.PERSISTENCE_UNKNOWN}:
        return f"{facts.persistence}: {', '.join(facts.why)}; {facts.tasks} task(s) running"
    if reason is Reason.REGISTRY_REMOVED:
        return f"it has logins for {', '.join(facts.registries)}"
    return ""


def find_ghosts(instances: Iterable[Instance]) -> frozenset[str]:
    """Find the ARNs of registrations that another registration of the same EC2 instance has replaced (F33)."""
    by_host: dict[str, list[Instance]] = {}
    for instance in instances:
        by_host.setdefault(instance.instance_id, []).append(instance)
    ghosts: set[str] = set()
    for registrations in by_host.values():
        living = max(registrations, key=lambda each: (each.agent_connected, each.status is Status.ACTIVE, each.arn))
        ghosts.update(each.arn for each in registrations if each is not living)
    return frozenset(ghosts)


_LATER = Decision(DecisionKind.SKIP, Reason.LIMITED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How a plan is laid out: in which waves, in which order, and for how many of those in scope (None: for all).

    `left_out`: the registrations that the selection leaves out, by ARN, and why.
    """

    left_out: Mapping[str, Reason] = field(default_factory=lambda: MappingProxyType({}))
    waves: tuple[Amount, ...] = (EVERYTHING,)
    zones: ZoneOrder = ZoneOrder.SPREAD
    seed: str = ""
    limit: Amount | None = None


def make_plan(
    cluster: str, instances: Iterable[Instance], looks: Mapping[str, Look], goal: Goal | TakeBack, shape: Shape
) -> Plan:
    """Partition the cluster: every registration gets exactly one decision. `looks` is keyed by instance id.

    Those to change come first, in the order of admission, wave by wave, then those that the limit leaves for later.
    The same fleet and seed always give the same plan.
    """
    fleet = tuple(instances)
    ghosts = find_ghosts(fleet)
    planned = [_plan_one(each, looks, goal, shape, ghost=each.arn in ghosts) for each in fleet]
    in_scope = sum(each.decision.reason not in UNSCOPED for each in planned)
    applying = [each for each in planned if each.decision.kind is DecisionKind.APPLY]
    ordered = in_order(applying, shape.zones, shape.seed)
    most = shape.limit.of(in_scope, at_least=1) if shape.limit else len(ordered)
    changing, later = ordered[:most], [replace(each, decision=_LATER) for each in ordered[most:]]
    rest = sorted((each for each in planned if each.decision.kind is not DecisionKind.APPLY), key=lambda each: each.key)
    numbers = waved(len(changing), shape.waves)
    in_waves = tuple(replace(each, wave=wave) for each, wave in zip(changing, numbers, strict=True))
    generation = goal.generation if isinstance(goal, Goal) else ""
    return Plan(cluster=cluster, generation=generation, planned=(*in_waves, *later, *rest))


def _plan_one(
    instance: Instance, looks: Mapping[str, Look], goal: Goal | TakeBack, shape: Shape, *, ghost: bool
) -> Planned:
    key = f"{instance.instance_id}/{instance.arn.rsplit('/', 1)[-1]}" if ghost else instance.instance_id
    look = looks.get(instance.instance_id, Reason.NO_RESULT)
    decision = exclude_early(instance, ghost=ghost, left_out=shape.left_out.get(instance.arn))
    early = decision is not None
    return Planned(
        key=key,
        instance=instance,
        facts=None if early or isinstance(look, Reason) else look,
        decision=decision or decide(look, goal),
        wave=0,
    )
