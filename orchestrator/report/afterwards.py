"""How an instance whose change was taken back stood afterwards, in words: no more than the journal proves."""

from orchestrator.core.model import AgentState, OutcomeKind
from orchestrator.core.progress import Progress
from orchestrator.core.reasons import Reason
from orchestrator.core.result import Claim

_FLAWS = {
    "auth_warning": "its log complains of the old credential, too",
    "identity_changed": "it came back as another container instance",
    "tasks_lost": "it does not know all of its running tasks",
}
"""What apply and restore warn of where the old state is back, and not all is well with it."""


def afterwards(progress: Progress) -> str:
    """Say it in a line; empty for all that have no such end, also where a restore did what it was for.

    apply and the watchdog say that they took a change back only where the agent was seen to answer with the old value.
    ECS is asked about those alone whose change the run itself has disproven.
    """
    outcome = progress.outcome or progress.pending
    if outcome is None or outcome.kind is not OutcomeKind.ROLLED_BACK or outcome.reason is Reason.RESTORED:
        return ""
    report, seen = progress.report, progress.seen
    answered = seen.agent is AgentState.UP if seen else report is not None and report.claim is Claim.ROLLED_BACK
    parts = ["the old state was put back"]
    if answered:
        parts.append("the agent answered with it")
    if progress.disproven is not None:
        parts.append(f"ECS saw {'it' if answered else 'the agent'} connected")
    if len(parts) == 1:
        return f"{parts[0]}; the agent did not answer when it was looked at"
    flaws = (
        "".join(f"; but {_FLAWS[each]}" for each in report.warnings if each in _FLAWS) if report and not seen else ""
    )
    return f"{', '.join(parts[:-1])} and {parts[-1]}{flaws}"
