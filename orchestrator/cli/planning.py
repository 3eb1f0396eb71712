"""The plan of a run: discover, select, inspect, decide. And the looks at the cluster after its last wave."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from orchestrator.cli import loading
from orchestrator.cli.compose import Parts
from orchestrator.core.deciding import Goal, Wanted
from orchestrator.core.model import DecisionKind, Instance, Plan, Planned
from orchestrator.core.orders import INSPECT_STEP_SECONDS
from orchestrator.core.planning import Shape, find_ghosts, make_plan, to_inspect, without_standalone
from orchestrator.core.reasons import Reason
from orchestrator.core.selection import NO_LABELS, Labels
from orchestrator.core.settings import EVERYTHING, StandaloneTasks, spelled, typed
from orchestrator.errors import RolloutError, UsageError
from orchestrator.gates import CommandGate
from orchestrator.inspection import EVERY, Inspection
from orchestrator.ports import Survey
from orchestrator.report.estimates import Expected
from orchestrator.report.times import duration


def apply_goal(parts: Parts, key: bytes | None) -> Goal:
    """Say what a run wants: this credential everywhere. Without a `key` no instance can be current yet."""
    loaded = parts.credential
    return Goal(
        generation=loading.wanted_generation(parts, key),
        registries=frozenset(loaded.registries),
        allow_removal=parts.request.allow_removal,
    )


def try_gates(parts: Parts) -> None:
    """Raise UsageError for a gate that can never be asked, such as an alarm that is not there.

    Any other trouble, and whatever the gates say, is the engine's: it holds and asks again. A command is not run.
    """
    for gate in parts.gates(Expected()):
        try:
            if isinstance(gate, CommandGate):
                gate.require()
            else:
                gate.ask(parts.clock.now())
        except UsageError:
            raise
        except RolloutError:
            continue


def plan(parts: Parts, goal: Wanted, *, fence: int, say: Callable[[str], None]) -> Plan:
    """Discover, inspect, decide. Reads only."""
    fleet = parts.fleet.discover()
    if not fleet:
        parts.fleet.require_instances()
    ghosts = find_ghosts(fleet)
    living = [each for each in fleet if each.arn not in ghosts]
    shape = _shape(parts, _left_out(parts, living, goal, say))
    wanted = to_inspect(fleet, shape.left_out)
    most = duration(parts.request.policy.deadlines.delivery + INSPECT_STEP_SECONDS)
    say(f"{len(fleet)} container instances in {parts.cluster}; inspecting {len(wanted)} of them, for at most {most}\n")
    return _decided(parts, fleet, wanted, goal, shape, fence)


def survey(parts: Parts, goal: Wanted, fence: int) -> Survey:
    """Look at the cluster again after the last wave: those that have joined, and those that lag."""

    def look(known: frozenset[str], lagging: frozenset[str]) -> tuple[Planned, ...]:
        fleet = [
            each for each in parts.fleet.discover() if each.instance_id not in known or each.instance_id in lagging
        ]
        ghosts = find_ghosts(fleet)
        living = [each for each in fleet if each.arn not in ghosts]
        # How many the limit still lets through is the run's to know.
        shape = replace(_shape(parts, _outside(parts, living, _labels(parts, living))), waves=(EVERYTHING,), limit=None)
        return _decided(parts, fleet, to_inspect(fleet, shape.left_out), goal, shape, fence).planned

    return look


def _shape(parts: Parts, left_out: Mapping[str, Reason]) -> Shape:
    policy = parts.request.policy
    return Shape(
        left_out=left_out,
        waves=policy.waves,
        zones=policy.zones,
        seed=policy.seed,
        limit=policy.limit,
        on_ephemeral=policy.on_ephemeral,
    )


def _decided(
    parts: Parts, fleet: Sequence[Instance], wanted: Sequence[str], goal: Wanted, shape: Shape, fence: int
) -> Plan:
    every = min(EVERY, parts.request.pace.shortest)
    inspection = Inspection(
        commands=parts.commands,
        clock=parts.clock,
        context=parts.context(fence),
        every=every,
        keep=parts.lock.keep if fence else lambda: None,  # a plan holds no lock
    )
    planned = make_plan(parts.cluster, fleet, inspection.look(wanted), goal, shape)
    if parts.request.policy.standalone_tasks is not StandaloneTasks.SKIP:
        return planned
    arns = [each.instance.arn for each in planned.planned if each.decision.kind is DecisionKind.DRAIN]
    alone = {arn for arn, tasks in parts.drains.tasks(arns).items() if any(not each.service for each in tasks)}
    return without_standalone(planned, frozenset(alone), shape) if alone else planned


def _left_out(
    parts: Parts, living: Sequence[Instance], goal: Wanted, say: Callable[[str], None]
) -> Mapping[str, Reason]:
    """Say whom the selection leaves out, by ARN.

    Raises UsageError for an instance that is not there, and where nobody is left. A zone, attribute or tag that fits
    nobody besides others that do, or an exclusion of somebody who is gone, is a warning: a schedule outlives them.
    So is an instance that a run had changed and that is gone when the run is taken back.
    """
    selection = parts.request.selection
    labels = _labels(parts, living)
    unmatched = selection.unmatched(living, labels)
    missing = [each.removeprefix("--instance ") for each in unmatched if each.startswith("--instance ")]
    if missing and isinstance(goal, Goal):
        raise UsageError(
            f"Not in the cluster: {', '.join(missing)}.",
            hint=f"`{command_about(parts, 'plan')}` lists the instances there are.",
        )
    left_out = _outside(parts, living, labels)
    if len(left_out) == len(living):
        alone = f"Alone already {', '.join(unmatched)} fits none. " if unmatched else "Together they fit none. "
        raise UsageError(
            "The selection fits no instance of the cluster.",
            hint=alone + _there(living, unmatched),
        )
    for each in unmatched:
        say(f"warning: {each} fits no instance of the cluster")
    return left_out


def _there(living: Sequence[Instance], unmatched: Sequence[str]) -> str:
    """Say what could have been selected: the zones where a zone fits nobody, else where attributes and tags are."""
    if any(each.startswith("--zone ") for each in unmatched):
        return f"The zones there are: {', '.join(sorted({each.zone for each in living if each.zone}))}."
    return "`aws ecs describe-container-instances --include TAGS` shows attributes and tags."


def _labels(parts: Parts, living: Sequence[Instance]) -> Mapping[str, Labels]:
    return parts.fleet.labels([each.arn for each in living]) if parts.request.selection.asks_labels else {}


def _outside(parts: Parts, living: Sequence[Instance], labels: Mapping[str, Labels]) -> dict[str, Reason]:
    selection = parts.request.selection
    reasons = {each.arn: selection.leaves_out(each, labels.get(each.arn, NO_LABELS)) for each in living}
    return {arn: reason for arn, reason in reasons.items() if reason is not None}


def command_about(parts: Parts, verb: str) -> str:
    """Write a command about the same cluster and credential, as a hint names it."""
    request = parts.request
    place = {"region": request.region, "profile": request.profile}
    about = spelled({"cluster": request.cluster, "credential": request.credential or "SOURCE", **place})
    return typed(verb, *about)
