"""What a plan says of the instances that are drained first: what moves, where it could go, what stands in the way."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestrator.core.capacity import Capacity, destinations, obstacle
from orchestrator.core.counting import counted
from orchestrator.core.model import DecisionKind, Plan
from orchestrator.core.settings import StandaloneTasks
from orchestrator.report.layout import wrap

_FEW = 5
_STANDALONE = {
    StandaloneTasks.WAIT: "the run waits for them to end (--standalone-tasks wait)",
    StandaloneTasks.STOP: "the run stops them (--standalone-tasks stop)",
    StandaloneTasks.SKIP: "with them it is left out (--standalone-tasks skip)",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainView:
    """One instance that is drained first. `goes_to`: room for how many of its tasks, by EC2 instance id.

    `standalone`: tasks that draining does not move; `obstacle`: why it would be held, empty for nothing.
    """

    instance_id: str
    moving: int
    standalone: int
    goes_to: tuple[tuple[str, int], ...]
    obstacle: str


def views(plan: Plan, capacity: Capacity) -> tuple[DrainView, ...]:
    """Look at each that the plan drains, as if it were the only one."""
    names = {each.instance.arn: each.instance.instance_id for each in plan.planned}
    return tuple(
        _view(each.instance.arn, names, capacity)
        for each in plan.planned
        if each.decision.kind is DecisionKind.DRAIN and each.instance.arn in capacity.loads
    )


def _view(arn: str, names: Mapping[str, str], capacity: Capacity) -> DrainView:
    loads = capacity.loads[arn]
    rooms = destinations(capacity, arn)
    return DrainView(
        instance_id=names[arn],
        moving=sum(bool(load.service) for load in loads),
        standalone=sum(not load.service for load in loads),
        goes_to=tuple(sorted((names.get(other, other), count) for other, count in rooms.items())),
        obstacle=obstacle(capacity, arn, unavailable=frozenset()),
    )


def drains_text(drains: Sequence[DrainView], standalone: StandaloneTasks, *, full: bool) -> str:
    """Say it in a few lines; of many instances only those with something in the way, unless `full`."""
    if not drains:
        return ""
    held = [each for each in drains if each.obstacle]
    shown = drains if full or len(drains) <= _FEW else held[:_FEW]
    lines = [wrap(_line(each, standalone), "  ") for each in shown]
    if len(shown) < len(drains):
        lines.append(wrap(f"{len(drains) - len(shown)} more, of which {len(held) - len(shown)} would be held.", "  "))
    return "\n".join(
        (
            wrap(
                f"Drained first, since their agents keep no state: {len(drains)}. Such an agent comes back under a "
                "new ARN that is ACTIVE at once, a few seconds before it is verified."
            ),
            *lines,
        )
    )


def _line(view: DrainView, standalone: StandaloneTasks) -> str:
    """Word one instance's draining."""
    said = [f"{counted(view.moving, 'task')} of services" if view.moving else "no task of a service"]
    if view.obstacle:
        said.append(f"held as it is now: {view.obstacle}")
    elif view.goes_to:
        rooms = ", ".join(f"{count} on {name}" for name, count in view.goes_to[:_FEW])
        more = len(view.goes_to) - _FEW
        said.append(f"room for {rooms}" + (f" and on {more} more" if more > 0 else ""))
    if view.standalone:
        said.append(f"{view.standalone} standalone, which draining does not move: {_STANDALONE[standalone]}")
    return f"{view.instance_id}: " + "; ".join(said)
