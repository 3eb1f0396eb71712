"""What `heal --dry-run` shows: what dead runs have left in a cluster, who holds it, and the command that mends it."""

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.core.model import Plan
from orchestrator.report.layout import folded_command, wrap
from orchestrator.report.mending import later, to_mend
from orchestrator.report.plans import Wish, seen_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Remnants:
    """What lies around. `copies`: the delivered credentials' names; `lock`: who holds the cluster, empty for nobody.

    `alive`: the holder's heartbeat is so young that it may be at work.
    """

    copies: Sequence[str]
    lock: str
    alive: bool


def remnants_text(plan: Plan, wish: Wish, left: Remnants) -> str:
    """Give the plan's table; what is to be mended on instances and beside them; and what comes next."""
    lines = _on_instances(plan, wish)
    lines += [wrap(f"delivered copy to be removed: {each}") for each in left.copies]
    if not left.copies:
        lines.append("Delivered copies of a credential: none.")
    lines.append(wrap(f"Lock: {left.lock}" if left.lock else "Lock: nobody holds the cluster."))
    return "\n\n".join((seen_text(plan, wish), "\n".join(lines), _next(plan, wish, left)))


def _on_instances(plan: Plan, wish: Wish) -> list[str]:
    """Say what is to be mended on instances, now and later."""
    waiting = later(plan)
    if not plan.changes and not waiting:
        return ["To mend on instances: nothing."]
    now = (
        f"{plan.changes} of {plan.machines}, at most {wish.places.window} at a time" if plan.changes else "nothing now"
    )
    return [
        f"To mend on instances: {now}.",
        wrap(f"With that, {to_mend(plan)}."),
        *(wrap(f"To mend later: {each}.") for each in waiting),
    ]


def _next(plan: Plan, wish: Wish, left: Remnants) -> str:
    if not (plan.changes or left.copies or left.lock or later(plan)):
        return "Next: nothing; dead runs have left nothing here."
    if not left.lock and not plan.changes and not left.copies:
        return f"Next, once that is so:\n{folded_command(wish.next_command)}"
    if not left.lock:
        return f"Next:\n{folded_command(wish.next_command)}"
    command = folded_command((*wish.next_command, "--take-over"))
    if left.alive:
        return f"Next: wait until that run has ended. Where it is dead for certain:\n{command}"
    return f"Next, where that run is dead:\n{command}"
