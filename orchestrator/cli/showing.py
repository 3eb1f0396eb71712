"""What a plan is shown with: its words, its window, what earlier runs took, and the command that comes next."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.aws.owner import held_by
from orchestrator.cli import store
from orchestrator.core.amount import Amount
from orchestrator.core.model import DecisionKind, Plan
from orchestrator.core.settings import EVERYTHING
from orchestrator.core.state import RunState, replay
from orchestrator.core.waves import out_of_order
from orchestrator.errors import RolloutError
from orchestrator.report.estimates import Experience, learn, places_of
from orchestrator.report.last_time import last_time
from orchestrator.report.plan_drains import DrainView, views
from orchestrator.report.plans import Wish

if TYPE_CHECKING:
    from orchestrator.cli.compose import Parts
    from orchestrator.journal.place import JournalPlace
    from orchestrator.journal.store import Store

_RUNS = 5
"""How many of a cluster's runs are looked at: the last ones tell most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What the journal knows of a cluster: how many `runs` were looked at, and what they teach.

    `last`: the newest one that was no healing, if there is one; the others may be large, and are not kept.
    """

    runs: int = 0
    last: tuple[RunState, ...] = ()
    experience: Experience | None = None


NOTHING = Memory()


def wish_of(
    parts: "Parts", planned: Plan, memory: Memory = NOTHING, *, restores: str = "", store: Sequence[str] = ()
) -> Wish:
    """Say what a plan is for; `restores` names the run that is taken back, `store` the journal, as flags."""
    policy = parts.request.policy
    loaded = parts.loaded
    old = f"the old one, from before the run {restores}" if restores else "none is given; what dead runs left is mended"
    last = last_time(planned, memory.last, store) if loaded else ""
    notes = (_waves(planned, policy.waves), last)
    return Wish(
        words=loaded.describe() if loaded else old,
        credential=loaded.credential if loaded else None,
        places=places_of(planned, policy),
        seed=policy.seed,
        bake=policy.bake,
        experience=memory.experience,
        runs=memory.runs,
        notes=tuple(note for note in notes if note),
        drains=_drains(parts, planned),
        standalone_tasks=policy.standalone_tasks,
    )


def _waves(planned: Plan, waves: Sequence[Amount]) -> str:
    """Say which wave adds nobody since an earlier one reaches further; empty where none does."""
    pair = out_of_order(planned.changes, waves) if planned.changes else None
    if pair is None:
        return ""
    before, after = pair
    fewer = after.of(planned.changes, at_least=1)
    percent = f" Is {before}% meant?" if not before.percent and before.value <= EVERYTHING.value else ""
    return f"--waves: {before} comes before {after}, which is {fewer} of {planned.changes} and adds nobody.{percent}"


def _drains(parts: "Parts", planned: Plan) -> tuple[DrainView, ...]:
    """Look at what draining would move, and where to; nothing is asked where nobody is drained."""
    arns = [each.instance.arn for each in planned.planned if each.decision.kind is DecisionKind.DRAIN]
    return views(planned, parts.drains.capacity(arns)) if arns else ()


def place_of(parts: "Parts", planned: Plan) -> str:
    """Say where the cluster is: a person may have the same name elsewhere."""
    return f"{parts.cluster} in {parts.session.region}, account {planned.planned[0].instance.arn.split(':')[4]}"


def held(parts: "Parts") -> tuple[str, ...]:
    """Look who holds the cluster, if anybody does: a run would be refused, and its hint says what can be done."""
    owner = parts.lock.owner()
    if owner is None:
        return ()
    refusal = held_by(owner, parts.clock.now())
    return (f"a run would be refused: {refusal.message} {refusal.hint}",)


def earlier(journal: "Store", cluster: str) -> Memory:
    """Remember the cluster's last runs. What cannot be read teaches nothing."""
    try:
        runs = [head.run for head in journal.runs() if head.summary.cluster == cluster][:_RUNS]
        last: list[RunState] = []

        def each() -> Iterator[RunState]:
            for run in runs:
                state = replay(journal.entries(run))
                if not (last or state.run.heals):
                    last.append(state)
                yield state

        experience = learn(each())
        return Memory(runs=len(runs), last=tuple(last), experience=experience)
    except RolloutError:
        return NOTHING


def earlier_in(place: "JournalPlace", cluster: str) -> Memory:
    """Remember the same from a journal's file; a plan writes nothing, so it is not made where there is none."""
    try:
        with store.opened(place, read_only=True) as journal:
            return earlier(journal, cluster)
    except RolloutError:
        return NOTHING
