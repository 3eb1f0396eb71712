"""The run that has taken another one's cluster over: how that is told, and which commands show what became of both."""

from collections.abc import Sequence

from orchestrator.core.settings import spelled, typed

NOT_ENDED = "not ended"
"""How a run stands that is under way, or broke off: its journal alone cannot tell."""


def words(by: str) -> str:
    """Say how a run stands whose cluster the run `by` has since."""
    return f"taken over by {by}"


def standing(result: str, by: str) -> str:
    """Say how a run stands: by its `result`, which is empty while it has not ended, or by whom took it over."""
    return result or (words(by) if by else NOT_ENDED)


def looks(by: str, *, cluster: str, region: str, store: Sequence[str]) -> tuple[str, str]:
    """Write what shows what became of the cluster since, and what the run that was taken over has left there.

    `store`: the flags that name the journal.
    """
    where = spelled({"cluster": cluster, "region": region or None})
    return typed("report", by, *store), typed("heal", *where, "--dry-run")
