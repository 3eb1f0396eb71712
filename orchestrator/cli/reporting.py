"""`--output` and `--out` of `report`, `run` and `restore`: in which form a run is reported, and where to."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from orchestrator.cli import files, speech
from orchestrator.cli.speech import say
from orchestrator.core.settings import typed
from orchestrator.errors import EnvironmentFault, ExitCode, UsageError
from orchestrator.journal.place import JournalPlace

if TYPE_CHECKING:
    from orchestrator.core.state import RunState
    from orchestrator.report.after import After

_SUFFIXES = {".html": "html", ".json": "json", ".csv": "csv", ".md": "markdown", ".xml": "junit", ".txt": "table"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The form of a report; `out`: the file that it is written to, stdout then shows the table.

    `err`: the report goes to stderr, beside that of another run. `store`: the flags that name the run's journal.
    """

    form: str
    out: Path | None = None
    store: tuple[str, ...] = ()
    err: bool = False


def wanted(output: str, out: Path | None, journal: JournalPlace) -> Wanted:
    """Read the flags of the present command. Where nobody said --output, the file's name tells the form.

    Raises UsageError where no file can be, and for a name that tells no form.
    """
    if out is None:
        return Wanted(form=output, store=journal.words)
    files.check_place(out, "report")
    said = click.get_current_context().get_parameter_source("output") is not ParameterSource.DEFAULT
    form = output if said else _SUFFIXES.get(out.suffix.lower())
    if form is None:
        raise UsageError(
            f"{out.name} tells no form of a report.",
            hint=f"Name a file that ends with {', '.join(_SUFFIXES)}; or say --output, too.",
        )
    return Wanted(form=form, out=out, store=journal.words)


def beside(journal: JournalPlace) -> Wanted:
    """Want the table on stderr: stdout holds the report of another run."""
    return Wanted(form="table", err=True, store=journal.words)


def show(
    wish: Wanted, state: "RunState", code: ExitCode, after: "After | None" = None, *, taken_over_by: str = ""
) -> None:
    """Print the report, and write its file. Raises EnvironmentFault where that cannot be written."""
    from orchestrator.report.after import NOTHING
    from orchestrator.report.render import render_report

    def rendered(form: str) -> str:
        return render_report(state, form, code, after or NOTHING, store=wish.store, taken_over_by=taken_over_by)

    write = speech.tell if wish.err else speech.show
    write(rendered(wish.form if wish.out is None else "table"))
    if wish.out is not None:
        files.save(wish.out, f"{rendered(wish.form)}\n".encode(), "report")
        say(f"The report is written to {wish.out}.")


def conclude(wish: Wanted, state: "RunState", code: ExitCode, after: "After") -> None:
    """Show the report of a run that has just ended: what became of the fleet decides its exit code, not the file."""
    try:
        show(wish, state, code, after)
    except EnvironmentFault as error:
        again = typed("report", state.run.run, "--out", "FILE", *wish.store)
        say(f"warning: {error.message} `{again}` writes it from the journal.")
