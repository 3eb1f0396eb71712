"""Look at the cluster as a whole: who needs nothing done, who lags, who has joined."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from orchestrator.core.deciding import outcome_of
from orchestrator.core.draining import TERMINATED
from orchestrator.core.events import Concluded, Deferred, Event, Surveyed
from orchestrator.core.judging import GONE
from orchestrator.core.lifecycle import Phase
from orchestrator.core.model import OutcomeKind, Planned
from orchestrator.core.planning import left_for_later
from orchestrator.core.state import RunState
from orchestrator.ledger import Ledger
from orchestrator.ports import Fleet, Survey


@dataclass(slots=True)
class Surveyor:
    """Takes a plan, the first one or a survey's, into a run."""

    survey: Survey
    fleet: Fleet
    state: RunState
    ledger: Ledger

    def conclude_decided(self) -> None:
        """End those whose decision is their outcome already; unreachable ones lag, as long as a survey may come."""
        events: list[Event] = []
        for key in self.state.roster.queue:
            progress = self.state.instances[key]
            outcome = outcome_of(progress.planned)
            if outcome is None:
                continue
            lags = outcome.kind is OutcomeKind.UNREACHABLE and progress.deferred is None
            events.append(Deferred(key=key, outcome=outcome) if lags else Concluded(key=key, outcome=outcome))
        self.ledger.observe(*events)

    def look_around(self) -> None:
        """List the cluster again: laggards, those that are gone among them, and instances that have joined."""
        state = self.state
        lagging = state.roster.phases[Phase.LAGGING]
        known = frozenset(each.planned.instance.instance_id for each in state.instances.values())
        laggards = frozenset(state.instances[key].planned.instance.instance_id for key in lagging)
        seen = self.survey(known, laggards)
        found = self._limited(each for each in seen if each.key in lagging or each.key not in state.instances)
        wave = state.roster.last_wave + 1
        gone = self._gone(frozenset(lagging).difference(each.key for each in found))
        self.ledger.observe(
            Surveyed(planned=tuple(replace(each, wave=wave if each.decision.changes else 0) for each in found)),
            *(Concluded(key=key, outcome=TERMINATED) for key in gone),
        )
        self.conclude_decided()

    def _limited(self, found: Iterable[Planned]) -> tuple[Planned, ...]:
        """Keep to the limit: of those that could not be reached, it has a place for whom it had one at first."""
        if self.state.run.policy.limit is None:
            return tuple(found)
        lagging = self.state.roster.phases[Phase.LAGGING]
        return left_for_later(found, frozenset(key for key in lagging if self.state.instances[key].planned.wave))

    def _gone(self, missing: frozenset[str]) -> list[str]:
        """Tell laggards that were terminated from those that a list has only left out: by what ECS says of each."""
        arns = {self.state.instances[key].arn: key for key in sorted(missing)}
        seen = self.fleet.describe(tuple(arns)) if arns else {}
        return [arns[arn] for arn, each in seen.items() if each.status in GONE]
