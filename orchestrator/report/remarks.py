"""What apply and restore remark on an instance beside its outcome, in full sentences."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from orchestrator.core.progress import Progress
from orchestrator.core.reasons import EXPLANATIONS, Explanation, Reason
from orchestrator.report.afterwards import afterwards
from orchestrator.report.layout import names
from orchestrator.report.rows import RunReport

CHANGE_REMARKS: Mapping[str, Explanation] = MappingProxyType(
    {
        "old_login_not_proven": Explanation(
            "The old login is not proven: a registry gave no clear answer from the instance.",
            "See that the registry answers there, and try the login, before a task needs it.",
        ),
        "marker_not_written": Explanation(
            "The change is proven, but not recorded on the instance: a `restore` of the run finds nothing there.",
            "Make room in /var/lib/ecs-rollout there; then run again, which records it without a restart.",
        ),
        "auth_warning": Explanation(
            "The old credential is back, and the agent warns in its log that it cannot use it.",
            "Find out whether it ever could; then roll out one that works.",
        ),
        "identity_changed": EXPLANATIONS[Reason.IDENTITY_CHANGED],
        "tasks_lost": EXPLANATIONS[Reason.TASKS_LOST],
    }
)
"""What each means, and what to do about it. What inspect remarks is there before a run: `doctor` tells of that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """The instances of which one thing is remarked."""

    name: str
    instances: tuple[str, ...]

    @property
    def explained(self) -> Explanation:
        """What it means, and what to do about it."""
        return CHANGE_REMARKS[self.name]

    @property
    def words(self) -> str:
        """Say of whom it is remarked, and what it means."""
        return f"{self.name}: {names(self.instances)}. {self.explained.meaning}"


def remarks(report: RunReport) -> tuple[Remark, ...]:
    """Group them; `afterwards` tells already what is remarked where a change was taken back."""
    found: dict[str, list[str]] = {}
    for row in report.rows:
        for name in row.warnings:
            if name in CHANGE_REMARKS and not row.afterwards:
                found.setdefault(name, []).append(row.instance_id)
    return tuple(Remark(name=name, instances=tuple(instances)) for name, instances in sorted(found.items()))


def remarked(progress: Progress) -> tuple[str, ...]:
    """Name what is remarked on one instance."""
    if progress.report is None or afterwards(progress):
        return ()
    return tuple(name for name in progress.report.warnings if name in CHANGE_REMARKS)
