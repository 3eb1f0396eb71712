"""The instances that did not end as wanted, grouped by what is the matter with them."""

from dataclasses import dataclass

from orchestrator.core.model import OutcomeKind
from orchestrator.core.reasons import EXPLANATIONS, Explanation, Reason
from orchestrator.report.rows import Row, RunReport


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """The instances that ended with one outcome for one reason, and not as wanted."""

    outcome: OutcomeKind
    reason: Reason
    rows: tuple[Row, ...]

    @property
    def instances(self) -> tuple[str, ...]:
        """Their ids."""
        return tuple(row.instance_id for row in self.rows)

    @property
    def seen(self) -> tuple[str, ...]:
        """What was seen on them, each once."""
        return tuple(sorted({row.message for row in self.rows if row.message}))

    @property
    def afterwards(self) -> tuple[str, ...]:
        """How they stood after it was taken back, each once."""
        return tuple(sorted({row.afterwards for row in self.rows if row.afterwards}))

    @property
    def explained(self) -> Explanation:
        """What it means, and what to do about it."""
        return EXPLANATIONS[self.reason]


def troubles(report: RunReport) -> tuple[Trouble, ...]:
    """Group the instances that did not end as wanted, worst first; what is still open is no trouble yet."""
    groups: dict[tuple[OutcomeKind, Reason], list[Row]] = {}
    for row in report.rows:
        if row.needs_somebody:
            groups.setdefault((row.outcome, row.reason), []).append(row)
    return tuple(Trouble(outcome=kind, reason=why, rows=tuple(members)) for (kind, why), members in groups.items())
