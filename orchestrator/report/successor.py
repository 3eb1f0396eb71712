"""The run that has taken another one's cluster over: how that is told, and which commands show what became of both."""

from collections.abc import Sequence

from orchestrator.core.settings import spelled, typed


def words(by: str) -> str:
    """Say how a run stands whose cluster the run `by` has since."""
    return f"taken over by {by}"


def looks(by: str, *, cluster: str, region: str, store: Sequence[str]) -> tuple[str, str]:
    """Write what shows what became of the cluster since, and what the run that was taken over has left there.

    `store`: the flags that name the journal.
    """
    where = spelled({"cluster": cluster, "region": region or None})
    return typed("report", by, *store), typed("heal", *where, "--dry-run")
