"""Read what SSM and ECS say of the instances at work, and tell the ledger what it means."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from orchestrator.core import judging
from orchestrator.core.events import Event
from orchestrator.core.lifecycle import Phase
from orchestrator.core.progress import Batch
from orchestrator.core.state import RunState
from orchestrator.ledger import Ledger
from orchestrator.ports import Clock, Drains, Fleet, Invocation
from orchestrator.reading import Reading


@dataclass(slots=True)
class Lookout:
    """Watches a run's commands, and its instances from their command's end on.

    `reads`: how often in a row ECS was seen to call an instance's agent connected.
    """

    reading: Reading
    fleet: Fleet
    drains: Drains
    clock: Clock
    state: RunState
    ledger: Ledger
    reads: dict[str, int] = field(default_factory=dict)

    def look(self) -> None:
        """Take in the news of every open command, judge those whose time is over, then read who settles from ECS."""
        for batch, seen in self.reading.news():
            self.ledger.observe(*self._news(batch, seen))
        for _, batch in self.state.open_batches():
            if judging.overdue(self.state, batch, self.clock.now()):
                self.ledger.observe(*judging.judge_overdue(self.state, batch, self.clock.now()))
        self._sight()

    def _news(self, batch: Batch, seen: Sequence[Invocation]) -> list[Event]:
        events: list[Event] = []
        for each in seen:
            if each.ended and each.instance_id in batch.open:
                events += judging.judge_end(
                    self.state, each.instance_id, batch, each.status, each.stdout, self.clock.now()
                )
        return events

    def _sight(self) -> None:
        slow = judging.slow(self.state, self.clock.now())
        arns = {self.state.instances[key].arn: key for key in (*self.state.roster.phases[Phase.SETTLING], *slow)}
        if not arns:
            return
        seen = self.fleet.describe(tuple(arns))
        gone = self._gone({arn: key for arn, key in arns.items() if seen[arn].status in judging.GONE})
        events: list[Event] = []
        for arn, key in arns.items():
            sighting = seen[arn]
            certain = judging.settling(self.state.instances[key])
            self.reads[key] = self.reads.get(key, 0) + 1 if sighting.agent_connected and certain else 0
            if certain or key in gone:
                events += judging.judge_sighting(
                    self.state,
                    key,
                    status=sighting.status,
                    agent_connected=sighting.agent_connected,
                    reads=self.reads[key],
                    now=self.clock.now(),
                )
        self.ledger.observe(*events)

    def _gone(self, arns: Mapping[str, str]) -> frozenset[str]:
        """Tell who was terminated from who has another registration by now, though no result told of it (F33)."""
        instances = {key: self.state.instances[key] for key in arns.values()}
        ids = tuple(each.planned.instance.instance_id for each in instances.values())
        found = self.drains.registrations(ids) if ids else {}
        elsewhere = {name for name, each in found.items() if not self.state.listed.issuperset(one.arn for one in each)}
        return frozenset(
            key
            for key, each in instances.items()
            if not each.to_take_back and each.planned.instance.instance_id not in elsewhere
        )
