"""`ecs-rollout runs`, `status`, `report` and `why`: from the journal alone, also while the run runs."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli import options, reporting, speech, store
from orchestrator.core.settings import typed
from orchestrator.errors import UsageError
from orchestrator.journal.place import JournalPlace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.core.events import Entry
    from orchestrator.journal.store import Store

_RUN = re.compile(r"\d{8}-\d{6}-[0-9a-f]{8}")
"""What a run is called (compose.new_run_id); no instance is called so."""

_LOOKED = 30
"""In how many of the newest runs an instance is looked for."""


@click.command()
@options.only_journal
def runs(journal: JournalPlace) -> None:
    """List the runs that the journal knows, newest first. A run's name begins with when it began, in UTC.

    A run that has not ended is under way, or broke off: the journal alone cannot tell; `status` has its last sign.
    Where a later run has begun on its cluster, it was taken over and cannot be resumed any more.

    \b
      ecs-rollout runs
    """
    from orchestrator.core.model import WORST_FIRST
    from orchestrator.journal.head import taken_over_by
    from orchestrator.report import successor
    from orchestrator.report.layout import FIRM, columns

    with store.opened(journal, read_only=True) as found:
        heads = found.runs()
    if not heads:
        speech.say("The journal knows no run yet.")
    rows, notes = [], []
    for head in heads:
        summary = head.summary
        counts = ", ".join(f"{summary.counts[kind]}{FIRM}{kind}" for kind in WORST_FIRST if summary.counts.get(kind))
        by = taken_over_by(head, heads)
        notes += [f"{head.run}: takes back {summary.restores}"] if summary.restores else []
        notes += [f"{head.run}: {successor.words(by)}"] if by else []
        result = summary.result or ("taken over" if by else successor.NOT_ENDED)
        rows.append((head.run, summary.cluster, result, counts))
    speech.show(columns(("RUN", "CLUSTER", "RESULT", "INSTANCES"), rows))
    for line in notes:
        speech.show(line)


@click.command()
@click.argument("run", required=False)
@options.plan_output
@options.only_journal
def status(run: str | None, output: str, journal: JournalPlace) -> None:
    """Show how the run RUN stands: by default the newest one.

    \b
      ecs-rollout status
      ecs-rollout status 20261124-013006-d617fabc --output json
    """
    from orchestrator.clock import SystemClock
    from orchestrator.core.state import replay
    from orchestrator.report.status import status_json, status_of, status_text

    with store.opened(journal, read_only=True) as found:
        name = run or _newest_first(found)[0]
        entries = found.entries(name)
        asked = found.asked(name)
        by = store.taken_over_by(found, name)
    seen = status_of(
        replay(entries),
        last_at=entries[-1].at,
        asked=asked,
        now=SystemClock().now(),
        store=journal.words,
        taken_over_by=by,
    )
    speech.show(status_json(seen) if output == "json" else status_text(seen))


def _newest_first(journal: "Store") -> list[str]:
    runs = [head.run for head in journal.runs()]
    if not runs:
        raise UsageError(
            "The journal knows no run yet.",
            hint="`ecs-rollout run` writes it; another one is named with --journal or --state.",
        )
    return runs


@click.command()
@click.argument("run", required=False)
@options.output
@options.report_out
@options.only_journal
def report(run: str | None, output: str, out: Path | None, journal: JournalPlace) -> None:
    """Report the run RUN, as it was or as it stands: by default the newest one.

    \b
      ecs-rollout report
      ecs-rollout report 20261124-013006-d617fabc --out report.html
    """
    from orchestrator.core.state import replay
    from orchestrator.report.render import exit_code_of

    wish = reporting.wanted(output, out, journal)
    with store.opened(journal, read_only=True) as found:
        name = run or _named(_newest_first(found)[0])
        state = replay(found.entries(name))
        by = store.taken_over_by(found, name)
    reporting.show(wish, state, exit_code_of(state), taken_over_by=by)


def _named(run: str) -> str:
    """Say which run was taken where none was named."""
    speech.say(f"the newest run: {run}")
    return run


@click.command()
@click.argument("words", nargs=-1, required=True, metavar="[RUN] INSTANCE")
@options.plan_output
@options.only_journal
def why(words: tuple[str, ...], output: str, journal: JournalPlace) -> None:
    """Tell every decision of the run RUN about INSTANCE, with its evidence and time.

    INSTANCE is an EC2 instance id, or the ARN or id of a container instance. Without RUN it is the newest run that
    knows it.

    \b
      ecs-rollout why i-0123456789abcdef0
      ecs-rollout why 20261124-013006-d617fabc i-0123456789abcdef0
    """
    from orchestrator.report.story import story, story_json, story_text

    run, instance = _told_apart(words, journal.words)
    with store.opened(journal, read_only=True) as found:
        name, entries = (run, found.entries(run)) if run else _newest_about(found, instance, journal.words)
        by = store.taken_over_by(found, name)
        told = story(entries, instance, store=journal.words, taken_over_by=by)
        earlier = "" if run or told.touched else _earlier(found, name, instance, journal.words)
    speech.show(story_json(told) if output == "json" else story_text(told))
    if earlier:
        speech.say(earlier)


def _earlier(journal: "Store", run: str, instance: str, store: tuple[str, ...]) -> str:
    """Name the newest run before this one that has begun anything with the instance; empty where none has."""
    from orchestrator.report.story import knows, story

    runs = _newest_first(journal)
    for name in runs[runs.index(run) + 1 :][:_LOOKED]:
        entries = journal.entries(name)
        if knows(entries, instance) and (told := story(entries, instance)).touched:
            ends = ", ".join(f"{end.kind} ({end.reason})" for _, end in told.outcomes if end) or "no outcome"
            return (
                f"That run began nothing with it; the newest that did: {ends}: `{typed('why', name, instance, *store)}`"
            )
    return ""


def _told_apart(words: tuple[str, ...], store: tuple[str, ...]) -> tuple[str, str]:
    """Tell RUN and INSTANCE apart, in whatever order they come; RUN is empty where it is left out.

    `store`: the flags that name the journal.
    """
    match words:
        case (run,) if _RUN.fullmatch(run):
            raise UsageError(
                f"Why what? The run {run} is named, and no instance of it.",
                hint=f"`{typed('report', run, *store)}` lists them; then `{typed('why', run, 'INSTANCE', *store)}`.",
            )
        case (instance,):
            return "", instance
        case (instance, run) if _RUN.fullmatch(run) and not _RUN.fullmatch(instance):
            return run, instance
        case (run, instance):
            return run, instance
        case _:
            raise UsageError("`why` takes a run and one instance.", hint="Ask about one instance at a time.")


def _newest_about(journal: "Store", instance: str, store: tuple[str, ...]) -> "tuple[str, Sequence[Entry]]":
    """Read the newest run that knows an instance, with its name. Raises UsageError where none of the last ones does."""
    from orchestrator.report.story import knows

    newest, *others = _newest_first(journal)
    for run in (newest, *others[: _LOOKED - 1]):
        entries = journal.entries(run)
        if knows(entries, instance):
            speech.say(f"the newest run{'' if run == newest else ' that knows it'}: {run}")
            return run, entries
    raise UsageError(
        f"None of the last {_LOOKED} runs knows an instance {instance!r}.",
        hint=f"`{typed('report', newest, *store)}` lists those of the newest; `{typed('runs', *store)}` the runs.",
    )
