"""What the journal tells of the last time, where a new plan is shown: who failed then, and what was taken back."""

from collections.abc import Iterable, Sequence

from orchestrator.core.model import OutcomeKind, Plan
from orchestrator.core.settings import typed
from orchestrator.core.state import RunState
from orchestrator.report.layout import names
from orchestrator.report.visible import visible

_FAILED = frozenset({OutcomeKind.ROLLED_BACK, OutcomeKind.FAILED})


def last_time(plan: Plan, states: Iterable[RunState], store: Sequence[str] = ()) -> str:
    """Tell of the cluster's last run what somebody must know who rolls it again; empty where there is nothing.

    `states`: the cluster's runs, newest first; healings are passed over. `store`: the flags that name the journal.
    """
    last = _last(states)
    if last is None:
        return ""
    if last.run.restores:
        return taken_back([last])
    wanted = [each for each in sorted(plan.planned, key=lambda each: each.wave) if each.decision.changes]
    failed = [each for each in wanted if _failed(last, each.instance.instance_id)]
    if not failed:
        return ""
    first = failed[0].instance.instance_id
    outcome = last.instances[first].outcome
    how = f"{outcome.kind}({outcome.reason})" if outcome else ""
    canary = ", the canary again," if failed[0].wave == 1 else ""
    same = " with this same credential" if last.run.generation and last.run.generation == plan.generation else ""
    others = [each.instance.instance_id for each in failed[1:]]
    more = f"; {names(others)} failed, too" if others else ""
    why = typed("why", last.run.run, first, *store)
    return f"In the last run here{same}, {visible(first)}{canary} ended {how}{more}. `{why}` says why."


def taken_back(states: Iterable[RunState]) -> str:
    """Tell where the cluster's last run took an earlier one back; empty where it did not."""
    last = _last(states)
    if last is None or not last.run.restores:
        return ""
    return f"The last run here, {last.run.run}, took the run {last.run.restores} back."


def _last(states: Iterable[RunState]) -> RunState | None:
    return next((each for each in states if not each.run.heals), None)


def _failed(state: RunState, key: str) -> bool:
    progress = state.instances.get(key)
    outcome = progress.outcome if progress else None
    return outcome is not None and outcome.kind in _FAILED and not outcome.as_wanted
