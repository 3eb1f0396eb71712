"""What `heal --dry-run` shows: what dead runs have left in a cluster, who holds it, and the command that mends it."""

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.core.model import Plan
from orchestrator.report.layout import folded_command, wrap
from orchestrator.report.mending import later, to_mend
from orchestrator.report.plans import Wish, seen_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Copies:
    """Which copies of a credential lie in one store, by their names; `unseen`: why that could not be seen."""

    place: str
    names: Sequence[str] = ()
    unseen: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remnants:
    """What lies around. `copies`: in each store that was looked at; `lock`: who holds the cluster, empty for nobody.

    `alive`: the holder's heartbeat is so young that it may be at work.
    """

    copies: Sequence[Copies]
    lock: str
    alive: bool

    @property
    def strays(self) -> bool:
        """Whether a copy lies there, or may lie where nothing could be seen."""
        return any(each.names or each.unseen for each in self.copies)


def remnants_text(plan: Plan, wish: Wish, left: Remnants) -> str:
    """Give the plan's table; what is to be mended on instances and beside them; and what comes next."""
    lines = _on_instances(plan, wish)
    lines += [wrap(line) for each in left.copies for line in _of_copies(each)]
    if not left.strays:
        places = " and ".join(each.place for each in left.copies)
        lines.append(wrap(f"Delivered copies of a credential: none in {places}; --delivery names another store."))
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


def _of_copies(found: Copies) -> Sequence[str]:
    if found.unseen:
        return (f"Delivered copies of a credential in {found.place}: not seen. {found.unseen}",)
    return [f"delivered copy to be removed from {found.place}: {each}" for each in found.names]


def _next(plan: Plan, wish: Wish, left: Remnants) -> str:
    if not (plan.changes or left.strays or left.lock or later(plan)):
        return "Next: nothing; dead runs have left nothing here."
    if not left.lock and not plan.changes and not left.strays:
        return f"Next, once that is so:\n{folded_command(wish.next_command)}"
    if not left.lock:
        return f"Next:\n{folded_command(wish.next_command)}"
    command = folded_command((*wish.next_command, "--take-over"))
    if left.alive:
        return f"Next: wait until that run has ended. Where it is dead for certain:\n{command}"
    return f"Next, where that run is dead:\n{command}"
