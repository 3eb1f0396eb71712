"""Lay out what is to be done with a whole cluster: every registration's decision, in waves. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from orchestrator.core.amount import Amount
from orchestrator.core.deciding import UNSUPPORTED, Goal, Heal, Look, Wanted, adopted, decide, exclude_early
from orchestrator.core.model import UNSCOPED, Decision, DecisionKind, Instance, Plan, Planned, Status
from orchestrator.core.reasons import Reason
from orchestrator.core.settings import EVERYTHING, OnEphemeral, ZoneOrder
from orchestrator.core.waves import in_order, waved


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


_UNTOUCHED = frozenset({*UNSUPPORTED.values(), Reason.NOT_ACTIVE})
"""Whom no run ever touches, so that nothing of ours is there."""

_LATER = Decision(DecisionKind.SKIP, Reason.LIMITED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How a plan is laid out: in which waves, in which order, and for how many of those in scope (None: for all).

    `on_ephemeral`: what becomes of instances whose agent keeps no state.

    `left_out`: the registrations that the selection leaves out, by ARN, and why.
    """

    left_out: Mapping[str, Reason] = field(default_factory=lambda: MappingProxyType({}))
    waves: tuple[Amount, ...] = (EVERYTHING,)
    zones: ZoneOrder = ZoneOrder.SPREAD
    seed: str = ""
    limit: Amount | None = None
    on_ephemeral: OnEphemeral = OnEphemeral.REFUSE


def make_plan(
    cluster: str, instances: Iterable[Instance], looks: Mapping[str, Look], goal: Wanted, shape: Shape
) -> Plan:
    """Partition the cluster: every registration gets exactly one decision. `looks` is keyed by instance id.

    Those to change come first, in the order of admission, wave by wave, then those that the limit leaves for later.
    The same fleet and seed always give the same plan.
    """
    fleet = tuple(instances)
    ghosts = find_ghosts(fleet)
    planned = [
        _plan_ghost(each) if each.arn in ghosts else _plan_one(each, looks, goal, shape)
        for each in _with_marks(fleet, ghosts)
    ]
    generation = goal.generation if isinstance(goal, Goal) else ""
    return Plan(cluster=cluster, generation=generation, planned=_laid_out(planned, shape))


def to_inspect(fleet: Iterable[Instance], left_out: Mapping[str, Reason]) -> list[str]:
    """Name the instances that a plan must have looked at, by id. `left_out`: as in a Shape."""
    registrations = tuple(fleet)
    ghosts = find_ghosts(registrations)
    return [
        each.instance_id
        for each in _with_marks(registrations, ghosts)
        if each.arn not in ghosts and _early(each, left_out.get(each.arn)) is None
    ]


def _early(instance: Instance, left_out: Reason | None) -> Decision | None:
    """Decide what needs no look; whoever carries a dead run's mark is looked at whatever the selection says."""
    return exclude_early(instance, ghost=False, left_out=None if instance.mark else left_out)


def _laid_out(planned: Sequence[Planned], shape: Shape) -> tuple[Planned, ...]:
    """Put those to change in front, in order and with their waves; behind them those that the limit leaves."""
    in_scope = sum(each.decision.reason not in UNSCOPED for each in planned)
    ordered = in_order([each for each in planned if each.decision.changes], shape.zones, shape.seed)
    most = shape.limit.of(in_scope, at_least=1) if shape.limit else len(ordered)
    # What a dead run has drained is given back whatever the limit says.
    later = [replace(each, decision=_LATER) for each in ordered[most:] if not each.instance.mark]
    changing = [*ordered[:most], *(each for each in ordered[most:] if each.instance.mark)]
    rest = sorted((each for each in planned if not each.decision.changes), key=lambda each: each.key)
    numbers = waved(len(changing), shape.waves)
    in_waves = tuple(replace(each, wave=wave) for each, wave in zip(changing, numbers, strict=True))
    return (*in_waves, *later, *rest)


def left_for_later(planned: Iterable[Planned], within: frozenset[str]) -> tuple[Planned, ...]:
    """Leave those to change to the next run but for `within`, by key: whom the limit had a place for at first."""
    return tuple(
        replace(each, decision=_LATER, wave=0)
        if each.decision.changes and not each.instance.mark and each.key not in within
        else each
        for each in planned
    )


def without_standalone(plan: Plan, alone: frozenset[str], shape: Shape) -> Plan:
    """Leave out those to drain on which standalone tasks run: `alone`, by ARN (--standalone-tasks skip)."""
    left_out = Decision(DecisionKind.SKIP, Reason.STANDALONE_TASKS)
    planned = [
        replace(each, decision=left_out, wave=0)
        if each.decision.kind is DecisionKind.DRAIN and each.instance.arn in alone and not each.instance.mark
        else each
        for each in plan.planned
    ]
    return replace(plan, planned=_laid_out(planned, shape))


def _with_marks(fleet: Iterable[Instance], ghosts: frozenset[str]) -> list[Instance]:
    """Let a living instance carry the mark that only its ghost has: its agent came back under a new ARN (F33)."""
    registrations = tuple(fleet)
    left = {each.instance_id: each.mark for each in registrations if each.arn in ghosts and each.mark}
    return [
        each if each.mark or each.arn in ghosts else replace(each, mark=left.get(each.instance_id, ""))
        for each in registrations
    ]


def _plan_ghost(instance: Instance) -> Planned:
    key = f"{instance.instance_id}/{instance.arn.rsplit('/', 1)[-1]}"
    return Planned(key=key, instance=instance, facts=None, decision=Decision(DecisionKind.SKIP, Reason.GHOST), wave=0)


def _plan_one(instance: Instance, looks: Mapping[str, Look], goal: Wanted, shape: Shape) -> Planned:
    look = looks.get(instance.instance_id, Reason.NO_RESULT)
    left_out = shape.left_out.get(instance.arn)
    early = _early(instance, left_out)
    if early is not None and isinstance(goal, Heal) and early.reason in _UNTOUCHED:
        early = Decision(DecisionKind.SKIP, Reason.NOTHING_TO_HEAL)
    owed = bool(left_out and instance.mark)  # outside the selection: given back, and not changed any further
    decision = early or adopted(instance, decide(look, Heal() if owed else goal, shape.on_ephemeral))
    if owed and not decision.changes:
        decision = Decision(DecisionKind.SKIP, Reason.STRANDED)
    return Planned(
        key=instance.instance_id,
        instance=instance,
        facts=None if early is not None or isinstance(look, Reason) else look,
        decision=decision,
        wave=0,
    )
