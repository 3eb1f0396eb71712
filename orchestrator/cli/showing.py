"""What a plan is shown with: its words, its window, what earlier runs took, and the command that comes next."""

from typing import TYPE_CHECKING

from orchestrator.cli import store
from orchestrator.core.model import DecisionKind, Plan
from orchestrator.core.state import replay
from orchestrator.errors import RolloutError
from orchestrator.report.estimates import Experience, learn, places_of
from orchestrator.report.plan_drains import DrainView, views
from orchestrator.report.plans import Wish

if TYPE_CHECKING:
    from orchestrator.cli.compose import Parts
    from orchestrator.journal.place import JournalPlace
    from orchestrator.journal.store import Store

_RUNS = 5
"""How many of a cluster's runs are looked at: the last ones tell most."""


def wish_of(parts: "Parts", planned: Plan, experience: Experience | None, *, restores: str = "") -> Wish:
    """Say what a plan is for; `restores` names the run that is taken back."""
    policy = parts.request.policy
    loaded = parts.loaded
    old = f"the old one, from before the run {restores}" if restores else "none is given; what dead runs left is mended"
    return Wish(
        words=loaded.describe() if loaded else old,
        credential=loaded.credential if loaded else None,
        places=places_of(planned, policy),
        seed=policy.seed,
        bake=policy.bake,
        experience=experience,
        drains=_drains(parts, planned),
        standalone_tasks=policy.standalone_tasks,
    )


def _drains(parts: "Parts", planned: Plan) -> tuple[DrainView, ...]:
    """Look at what draining would move, and where to; nothing is asked where nobody is drained."""
    arns = [each.instance.arn for each in planned.planned if each.decision.kind is DecisionKind.DRAIN]
    return views(planned, parts.drains.capacity(arns)) if arns else ()


def earlier(journal: "Store", cluster: str) -> Experience | None:
    """Learn from the cluster's last runs how long an instance takes. What cannot be read teaches nothing."""
    try:
        runs = [head.run for head in journal.runs() if head.summary.cluster == cluster][:_RUNS]
        return learn(replay(journal.entries(run)) for run in runs)
    except RolloutError:
        return None


def earlier_in(place: "JournalPlace", cluster: str) -> Experience | None:
    """Learn the same from a journal's file; a plan writes nothing, so it is not made where there is none."""
    try:
        with store.opened(place, read_only=True) as journal:
            return earlier(journal, cluster)
    except RolloutError:
        return None
