"""When a command's page of invocations is worth reading: it costs a call for 50 instances, an overview hardly any."""

from collections.abc import Sequence

from orchestrator.core.progress import Batch

FEW = 2
"""Commands up to which each is simply read: an overview would not save a call."""

AT_LEAST_EVERY = 60.0
"""Seconds after which a page is read whatever the overview says: counts may be late, too (F73)."""


def wants_overview(batches: Sequence[Batch]) -> bool:
    """Say whether one call that counts what has ended, for every command, comes before their pages."""
    return len(batches) > FEW


def has_news(*, ended: int | None, known: int, total: int, age: float, awaited: bool) -> bool:
    """Say whether a page tells something that is worth a call.

    `ended`: how many of its `total` invocations have ended by the overview, None where it does not know the command
    (F73); `known`: how many had ended on the page that was read last, `age` seconds ago. `awaited`: somebody waits for
    a place in the window. Where nobody does, a command is read once all of it has ended.
    """
    if ended is None or age >= AT_LEAST_EVERY:
        return True
    return ended > known and (awaited or ended >= total)
