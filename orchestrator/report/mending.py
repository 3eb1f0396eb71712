"""What healing mends, counted in machines: a registration that another one has replaced is part of its machine."""

from collections import Counter
from collections.abc import Iterable
from types import MappingProxyType

from orchestrator.core.model import Armed, Ping, Plan, Planned
from orchestrator.core.reasons import Reason
from orchestrator.report.layout import FIRM
from orchestrator.report.rows import RunReport

_WORDS = MappingProxyType(
    {
        Reason.RELEASED: "given back:",
        Reason.TAKEN_BACK: "taken back:",
        Reason.NOTHING_TO_HEAL: "nothing left on",
        Reason.DRAINING_ELSEWHERE: "drained by somebody else:",
        Reason.NOT_SELECTED: "not looked at:",
        Reason.EXCLUDED: "not looked at:",
        Reason.TERMINATED: "gone:",
    }
)
_PLANNED = MappingProxyType({Reason.NEEDS_RELEASE: Reason.RELEASED, Reason.NEEDS_HEALING: Reason.TAKEN_BACK})
_OTHER = "not mended:"


def mended(report: RunReport, blank: str = " ") -> str:
    """Say what a healing has come to, for each machine once: the numbers add up to all of them.

    `blank`: what stands beside numbers; FIRM where the text is folded.
    """
    reasons = [row.reason for row in report.rows if row.reason is not Reason.GHOST]
    machines = f"{len(reasons)}{blank}instance" + ("" if len(reasons) == 1 else "s")
    return f"What dead runs have left, on {machines}: {_counts(reasons, blank)}{_removed(report, blank)}"


def _removed(report: RunReport, blank: str) -> str:
    count = len(report.after.removed)
    noun = "copy" if count == 1 else "copies"
    return f"; removed{blank}{count} {noun} of a credential" if count else ""


def to_mend(plan: Plan) -> str:
    """Say in the same words what a healing would come to, to be folded."""
    return _counts(
        (
            _PLANNED.get(each.decision.reason, each.decision.reason)
            for each in plan.planned
            if each.decision.reason is not Reason.GHOST
        ),
        FIRM,
    )


def _counts(reasons: Iterable[Reason], blank: str) -> str:
    found = Counter(_WORDS.get(each, _OTHER) for each in reasons)
    ordered = dict.fromkeys((*_WORDS.values(), _OTHER))
    return "; ".join(f"{words}{blank}{found[words]}" for words in ordered if found[words])


def later(plan: Plan) -> tuple[str, ...]:
    """Name those whom a dead run has marked, or a watchdog guards, and who cannot be mended now; say from when on."""
    return tuple(f"{each.instance.instance_id}, {_when(each)}" for each in plan.planned if _waits(each))


def _waits(each: Planned) -> bool:
    guarded = each.decision.reason is Reason.WATCHDOG_ARMED
    marked = bool(each.instance.mark) and each.decision.reason is not Reason.GHOST
    return guarded or (marked and not each.decision.changes)


def _when(each: Planned) -> str:
    if each.facts is not None and each.facts.armed is Armed.LIVING:
        return (
            "once its watchdog has ended (7 minutes after the change began, unless --watchdog-seconds said otherwise)"
        )
    ping = each.instance.ping
    return "once it answers" if ping is Ping.ONLINE else f"once its SSM agent is online (now {ping})"
