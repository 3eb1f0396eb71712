"""`ecs-rollout approve` and `abort`: ask something of a run that is under way, through its journal."""

import shlex
from typing import TYPE_CHECKING

import click

from orchestrator.cli import identity, options, store
from orchestrator.cli.speech import say
from orchestrator.core.asks import Ask, AskKind, asked_before
from orchestrator.errors import UsageError
from orchestrator.journal.place import JournalPlace

if TYPE_CHECKING:
    from orchestrator.core.state import RunState


@click.command()
@click.argument("run")
@click.option("--wave", type=click.IntRange(min=1), help="The wave to approve. [default: the one that comes next]")
@options.only_journal
def approve(run: str, wave: int | None, journal: JournalPlace) -> None:
    """Let the run RUN go on with its next wave.

    \b
      ecs-rollout approve 20261124-013006-d617fabc
      ecs-rollout approve 20261124-013006-d617fabc --wave 3
    """
    approved, before = _ask(journal, run, AskKind.APPROVE, wave)
    if before is None:
        how = "is approved: it opens when the run next looks, and every gate says go"
    else:
        how = f"was approved already, {_when(before)}"
    say(f"Wave {approved.wave} of the run {run} {how}.")


@click.command()
@click.argument("run")
@options.only_journal
def abort(run: str, journal: JournalPlace) -> None:
    """Stop the run RUN: nothing more is admitted, and what is under way is seen to its end.

    \b
      ecs-rollout abort 20261124-013006-d617fabc
    """
    _, before = _ask(journal, run, AskKind.ABORT, None)
    about = shlex.join((run, *journal.words))
    how = "is asked to stop" if before is None else f"was asked to stop already, {_when(before)}"
    say(
        f"The run {run} {how}: it admits nobody more, sees its instances to their end and reports. "
        f"`ecs-rollout status {about}` shows it; where its controller has died, `ecs-rollout resume {about}` does it."
    )


def _when(ask: Ask) -> str:
    from orchestrator.report.times import moment
    from orchestrator.report.visible import visible

    return f"at {moment(ask.at)} by {visible(ask.by)}"


def _ask(journal: JournalPlace, run: str, kind: AskKind, wave: int | None) -> tuple[Ask, Ask | None]:
    """Write the ask down, unless the same was asked before; give both. Raises UsageError where nothing is to ask."""
    from orchestrator.clock import SystemClock
    from orchestrator.core.state import replay
    from orchestrator.report import successor

    names = shlex.join((run, *journal.words))
    with store.opened(journal) as found:
        summary = found.head(run).summary
        if summary.result:
            raise UsageError(
                f"The run {run} has ended ({summary.result}): there is nothing to {kind}.",
                hint=f"`ecs-rollout report {names}` shows what became of it.",
            )
        by = store.taken_over_by(found, run)
        if by:
            started = replay(found.entries(run)).run
            newer, left = successor.looks(by, cluster=started.cluster, region=started.region, store=journal.words)
            raise UsageError(
                f"The run {run} was {successor.words(by)}: there is nothing to {kind}.",
                hint=f"`{newer}` shows what became of its cluster since, `{left}` what this run has left.",
            )
        about = 0 if kind is AskKind.ABORT else _wave(replay(found.entries(run)), wave, names)
        ask = Ask(kind=kind, wave=about, by=identity.who(), at=SystemClock().now())
        before = asked_before(ask, found.asked(run))
        if before is None:
            found.ask(run, ask)
    return ask, before


def _wave(state: "RunState", wanted: int | None, names: str) -> int:
    """Choose the wave: the one that is named, or the next that has not opened. Raises UsageError for none such.

    `names`: the run, and the flags that name its journal.
    """
    left = sorted({each.planned.wave for each in state.instances.values() if each.planned.wave > state.wave})
    name = state.run.run
    if wanted in left or (wanted is None and left):
        return left[0] if wanted is None else wanted
    hint = f"`ecs-rollout status {names}` shows where it is."
    if wanted is None:
        raise UsageError(f"The run {name} has no wave left to approve.", hint=hint)
    raise UsageError(f"The run {name} has no wave {wanted} that is still to open.", hint=hint)
