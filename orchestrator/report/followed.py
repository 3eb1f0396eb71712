"""What followed a run, in sentences for those who are told of its end."""

from collections.abc import Iterable

from orchestrator.core.state import RunState
from orchestrator.report.after import BootKept, BootRow
from orchestrator.report.formats import boot_words, promotion_words
from orchestrator.report.rows import promotion_of

_DONE = frozenset({BootKept.UPDATED, BootKept.FAILED})


def what_followed(state: RunState, left: str, boots: Iterable[BootRow], *, taken_back: bool) -> tuple[str, ...]:
    """Say what became of AWSCURRENT and of the boot configurations, and what comes next; nothing where all stayed.

    `left`: why AWSCURRENT stays, empty where it moved or was never to move. `taken_back`: by --on-halt restore.
    """
    moved = promotion_of(state)
    label = left or (promotion_words(moved) if moved else "")
    changed = f"{sum(each.holds_change for each in state.instances.values())} of {len(state.instances)} instances"
    back = f"--on-halt restore: what was changed is taken back now, on {changed}; a message follows."
    return (
        *((f"{label}.",) if label else ()),
        *(f"Boot configuration {boot_words(each)}" for each in boots if each.result in _DONE),
        *((back,) if taken_back else ()),
    )
