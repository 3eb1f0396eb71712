"""Everything that a journal holds about one instance, in order: each decision with its evidence and its time."""

import json
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.core.events import (
    Concluded,
    EndTold,
    Entry,
    Promoted,
    Promoting,
    RunStarted,
    Surveyed,
    WaveOpened,
)
from orchestrator.core.model import Outcome, Planned
from orchestrator.core.reasons import EXPLANATIONS
from orchestrator.core.settings import typed
from orchestrator.core.state import replay
from orchestrator.errors import UsageError
from orchestrator.report import successor
from orchestrator.report.afterwards import afterwards
from orchestrator.report.layout import WIDTH, wrap
from orchestrator.report.log_lines import keys_of, snake
from orchestrator.report.sentences import Evidence, concluded, evidence, sentence
from orchestrator.report.times import moment
from orchestrator.report.visible import visible
from orchestrator.report.wording import worded

SCHEMA = 1

_BEGUN = frozenset({"admitted", "draining", "settled"})
"""Events of an instance that a run does not only judge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """One thing that happened to the instance, or that concerned it. `at` in epoch seconds."""

    at: float
    event: str
    text: str
    evidence: Evidence = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """One instance's part of a run. `outcomes`: by key, as an instance may be registered more than once.

    `afterwards`: by key, how it stood after its change was taken back; empty for others. `taken_over_by`:
    the run that has the cluster since, so that this one never will end.
    """

    run: str
    taken_over_by: str
    cluster: str
    instance: str
    outcomes: tuple[tuple[str, Outcome | None], ...]
    afterwards: Mapping[str, str]
    chapters: tuple[Chapter, ...]

    @property
    def touched(self) -> bool:
        """Whether the run has begun anything with the instance."""
        return any(each.event in _BEGUN for each in self.chapters)


def story(entries: Sequence[Entry], instance: str, *, store: tuple[str, ...] = (), taken_over_by: str = "") -> Story:
    """Tell one instance's story: by EC2 instance id, by key, or by the ARN or id of its container instance.

    Raises UsageError for one that the run does not know; `store`: the flags that name its journal.
    """
    started = entries[0].event
    if not isinstance(started, RunStarted):
        raise TypeError("a run begins with RunStarted")
    outcomes: dict[str, Outcome | None] = {}
    chapters = tuple(_followed(entries, instance, outcomes))
    if not outcomes:
        raise UsageError(
            f"The run {started.run} knows no instance {instance!r}.",
            hint=f"`{typed('report', started.run, *store)}` lists those it knows.",
        )
    state = replay(entries)
    return Story(
        run=started.run,
        taken_over_by=taken_over_by,
        cluster=started.cluster,
        instance=instance,
        outcomes=tuple(outcomes.items()),
        afterwards={key: afterwards(state.instances[key]) for key in outcomes},
        chapters=chapters,
    )


def knows(entries: Iterable[Entry], instance: str) -> bool:
    """Say whether a run has an instance of this name: from its beginning, or since it joined."""
    return any(
        instance in _names(each)
        for entry in entries
        if isinstance(entry.event, RunStarted | Surveyed)
        for each in entry.event.planned
    )


def _names(planned: Planned) -> frozenset[str]:
    arn = planned.instance.arn
    return frozenset({planned.key, planned.instance.instance_id, arn, arn.rpartition("/")[2]})


def _followed(entries: Iterable[Entry], instance: str, outcomes: dict[str, Outcome | None]) -> Iterator[Chapter]:
    """Find what names the instance or its commands, and what concerned the whole run before its outcome.

    `outcomes` is filled by key, as the instance is met.
    """
    waves: set[int] = set()
    batches: set[str] = set()
    for at, event in ((entry.at, entry.event) for entry in entries):
        if isinstance(event, RunStarted | Surveyed):
            for each in event.planned:
                if instance in _names(each):
                    outcomes[each.key] = None
                    waves.add(each.wave)
                    yield from _planned(each, at)
            continue
        named = outcomes.keys() & set(keys_of(event))
        batch = getattr(event, "batch", "")
        if named and batch:
            batches.add(batch)
        after = isinstance(event, Promoting | Promoted | EndTold)  # it comes once all have their outcomes
        followed = bool(outcomes) and after
        for_all = not keys_of(event) and not batch and (None in outcomes.values() or followed)
        if isinstance(event, WaveOpened):
            for_all = for_all and event.wave in waves
        if named or batch in batches or for_all:
            text, seen = sentence(event)
            yield Chapter(at=at, event=snake(type(event).__name__), text=text, evidence=seen)
        if isinstance(event, Concluded) and named:
            outcomes[event.key] = event.outcome


def _planned(planned: Planned, at: float) -> Iterator[Chapter]:
    """Say what was seen before anything was decided, and what was decided."""
    yield Chapter(at=at, event="discovered", text="ECS and Systems Manager say:", evidence=evidence(planned.instance))
    if planned.facts:
        yield Chapter(at=at, event="inspected", text="inspect saw:", evidence=evidence(planned.facts))
    decision = planned.decision
    wave = f" in wave {planned.wave}" if planned.wave else ""
    text = f"decided: {decision.kind}{wave} ({decision.reason}): {EXPLANATIONS[decision.reason].meaning}"
    yield Chapter(at=at, event="decided", text=text)


def story_text(told: Story) -> str:
    """Write a story for a person, in UTC: how it ended and what to do, on the first screen; then everything."""
    lines = [line for key, end in told.outcomes for line in _head(told, key, end)]
    lines.append("")
    for chapter in told.chapters:
        lines.append(wrap(visible(f"{moment(chapter.at)}  {chapter.text}")))
        lines += [_indented(visible(worded(name, text))) for name, text in chapter.evidence]
    return "\n".join(lines)


def _indented(text: str) -> str:
    """Fold a line of evidence; an ARN stays whole, to be copied."""
    return textwrap.fill(
        text, WIDTH, initial_indent="    ", subsequent_indent="      ", break_on_hyphens=False, break_long_words=False
    )


def _head(told: Story, key: str, outcome: Outcome | None) -> Iterator[str]:
    open_end = f"no outcome, {successor.words(told.taken_over_by)}" if told.taken_over_by else "no outcome yet"
    ended = f"{outcome.kind} ({outcome.reason})" if outcome else open_end
    yield wrap(visible(f"{key} in the run {told.run} on cluster {told.cluster}: {ended}"))
    if outcome is not None and not outcome.as_wanted:
        _, seen = concluded(outcome)
        yield _indented(EXPLANATIONS[outcome.reason].meaning)
        after = (("afterwards", told.afterwards[key]),) if told.afterwards[key] else ()
        yield from (_indented(visible(worded(name, text))) for name, text in (*seen[:-1], *after, *seen[-1:]))


def story_json(told: Story) -> str:
    """Write a story as JSON; keys are added to, never renamed."""
    return json.dumps(
        {
            "schema": SCHEMA,
            "run": told.run,
            "taken_over_by": told.taken_over_by,
            "cluster": told.cluster,
            "instance": told.instance,
            "outcomes": [
                {
                    "key": key,
                    "outcome": end.kind if end else None,
                    "reason": end.reason if end else None,
                    "afterwards": told.afterwards[key],
                }
                for key, end in told.outcomes
            ],
            "entries": [
                {"at": moment(each.at), "event": each.event, "message": each.text, "evidence": dict(each.evidence)}
                for each in told.chapters
            ],
        },
        indent=2,
    )
