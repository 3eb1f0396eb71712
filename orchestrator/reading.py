"""Read what commands in flight tell: one overview of all of them, then the pages of those that have news."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from orchestrator.core.polling import has_news, wants_overview
from orchestrator.core.progress import Batch
from orchestrator.core.state import RunState
from orchestrator.ports import Clock, Commands, Invocation


@dataclass(frozen=True, slots=True)
class _Read:
    """A page that was read: when, how many invocations it showed, and how many of them had ended."""

    at: float
    total: int
    ended: int


@dataclass(slots=True)
class Reading:
    """Reads the commands of a run; remembers of each what it showed last."""

    commands: Commands
    clock: Clock
    state: RunState
    _last: dict[str, _Read] = field(default_factory=dict)

    def news(self) -> Iterator[tuple[Batch, Sequence[Invocation]]]:
        """Read the page of each command in flight that may tell something new."""
        batches = [batch for _, batch in self.state.open_batches() if batch.command_id]
        counts = self._overview(batches) if wants_overview(batches) else {}
        for batch in batches:
            if self._has_news(batch, counts.get(batch.command_id)):
                seen = self.commands.poll(batch.command_id)
                ended = sum(each.ended for each in seen)
                self._last[batch.command_id] = _Read(self.clock.now(), len(seen), ended)
                yield batch, seen

    def _overview(self, batches: Sequence[Batch]) -> Mapping[str, int]:
        since = min(batch.sent_at for batch in batches)
        counts: dict[str, int] = {}
        for op in {batch.op for batch in batches}:
            counts |= self.commands.ended(op, since)
        return counts

    def _has_news(self, batch: Batch, ended: int | None) -> bool:
        last = self._last.get(batch.command_id, _Read(batch.sent_at, 0, 0))
        return has_news(
            ended=ended,
            known=last.ended,
            total=max(last.total, len(batch.open)),
            age=self.clock.now() - last.at,
            awaited=bool(self.state.roster.queue),
        )
