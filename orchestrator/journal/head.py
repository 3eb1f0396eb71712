"""What stands at the head of a run's record: who may write to it, how far it goes, and how the run stands."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from orchestrator.core.events import Concluded, EndTold, Entry, Halted, RunEnded, RunStarted
from orchestrator.core.model import Planned
from orchestrator.errors import JournalFault, LockedError, UsageError
from orchestrator.journal.codec import unpack


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A run in a list of runs: what is known of it without a fold. Times in epoch seconds.

    `place`: where its cluster is, as ARNs there begin; empty in a head that an earlier version wrote. `counts`:
    instances by outcome; `result`: empty while the run has not ended; `halted`: why, empty where it is not; `untold`:
    somebody is still to be told how it ends.
    """

    cluster: str = ""
    place: str = ""
    restores: str = ""
    planned: int = 0
    started_at: float = 0.0
    last_at: float = 0.0
    counts: Mapping[str, int] = field(default_factory=dict)
    halted: str = ""
    result: str = ""
    untold: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """`fence`: the largest that has claimed the run; `seq`: how many entries it has, which count from 1."""

    run: str
    fence: int = 0
    seq: int = 0
    summary: Summary = field(default_factory=Summary)


def taken_over_by(head: Head, heads: Iterable[Head]) -> str:
    """Name the run that ended this one's time at the cluster, of all the journal's; empty while none did.

    A cluster has one owner at a time: where a later run has begun there, one that did not end cannot be resumed any
    more. The first later one is named: it took over what had been left. An owner that begins no run leaves none here.
    """
    run = head.summary
    if run.result or not run.place:
        return ""
    later = (
        each
        for each in heads
        if (each.summary.cluster, each.summary.place) == (run.cluster, run.place)
        and each.summary.started_at > run.started_at
    )
    return min(later, key=lambda each: each.summary.started_at, default=Head(run="")).run


def claimed(head: Head, fence: int) -> Head:
    """Give the head after a claim. Raises LockedError when a larger fence has claimed the run."""
    if head.fence > fence:
        raise LockedError(
            f"Another owner took the run {head.run} over (fence {head.fence}, ours is {fence}); this one stops here.",
            hint="The newer owner resolves what this one had begun.",
        )
    return replace(head, fence=fence)


def extended(head: Head, fence: int, entries: Sequence[Entry]) -> Head:
    """Give the head after an append, which claims the run as well.

    Raises LockedError as `claimed` does, RuntimeError when RunStarted is not the first entry of its run and only that.
    """
    head = claimed(head, fence)
    begun = head.seq > 0
    for number, entry in enumerate(entries):
        if isinstance(entry.event, RunStarted) is (begun or number > 0):
            raise RuntimeError(f"the run {head.run} begins with RunStarted, and once")
    summary = _summed(head.summary, entries)
    return replace(head, seq=head.seq + len(entries), summary=summary)


def _summed(summary: Summary, entries: Sequence[Entry]) -> Summary:
    counts = Counter(summary.counts)
    for entry in entries:
        match entry.event:
            case RunStarted(cluster=cluster, restores=restores, planned=planned, tells=tells):
                begun = Summary(cluster=cluster, restores=restores, planned=len(planned), untold=tells)
                summary = replace(begun, place=_place(planned), started_at=entry.at)
            case Concluded(outcome=outcome):
                counts[outcome.kind.value] += 1
            case Halted(why=why):
                summary = replace(summary, halted=summary.halted or why)
            case RunEnded(result=result):
                summary = replace(summary, result=result)
            case EndTold():
                summary = replace(summary, untold=False)
            case _:
                pass
    return replace(summary, counts=dict(counts), last_at=entries[-1].at if entries else summary.last_at)


def _place(planned: Sequence[Planned]) -> str:
    """Give partition, Region and account: another account's cluster may have the same name in the same Region."""
    return planned[0].instance.arn.rpartition(":")[0] if planned else ""


@dataclass(frozen=True, slots=True)
class Record:
    """What one append made durable; `seq` is the number of its first entry."""

    seq: int
    body: bytes


def entries_of(head: Head, records: Iterable[Record]) -> list[Entry]:
    """Read a whole run. Raises JournalFault where an entry is missing, doubled or damaged."""
    found: list[Entry] = []
    for record in records:
        if record.seq != len(found) + 1:
            raise _gap(head, len(found) + 1)
        found += unpack(record.body)
    if len(found) != head.seq:
        raise _gap(head, len(found) + 1)
    return found


def _gap(head: Head, number: int) -> JournalFault:
    return JournalFault(
        f"The journal is damaged: of the run {head.run} the entry {number} of {head.seq} is not where it belongs.",
        hint="Look at who else wrote to the journal; a newer copy of it may hold the whole run.",
    )


def unknown_run(run: str) -> UsageError:
    """Word that there is no such run."""
    return UsageError(
        f"The journal knows no run {run!r}.",
        hint="`ecs-rollout runs` lists those it knows; where a journal is lost, `ecs-rollout heal` mends.",
    )
