"""A run's report in the form that was asked for."""

from dataclasses import replace

from orchestrator.core.state import RunState
from orchestrator.errors import ExitCode
from orchestrator.report import formats, html, json_report, junit, rows, text
from orchestrator.report.after import NOTHING, After
from orchestrator.report.visible import visible


def exit_code_of(state: RunState, interrupted_as: ExitCode = ExitCode.INTERRUPTED) -> ExitCode:
    """Give the run's exit code: 0 only when nothing is left to do about any instance."""
    if state.ended is not None and state.ended.result == "ok":
        return ExitCode.OK
    if state.halted is not None and state.halted.interrupted:
        return interrupted_as
    return ExitCode.NOT_ALL_UPDATED


def render_report(
    state: RunState,
    output: str,
    code: ExitCode,
    after: After = NOTHING,
    *,
    store: tuple[str, ...] = (),
    taken_over_by: str = "",
) -> str:
    """Render in one of the forms of --output. `store`: the flags that name the run's journal."""
    report = replace(rows.build(state, exit_code=code, taken_over_by=taken_over_by), after=_shown(after), store=store)
    match output:
        case "json":
            return json_report.as_json(report)
        case "csv":
            return formats.as_csv(report)
        case "markdown":
            return formats.as_markdown(report)
        case "junit":
            return junit.as_junit(report)
        case "html":
            return html.as_html(report)
        case _:
            return text.report_text(report)


def _shown(after: After) -> After:
    boots = tuple(replace(each, place=visible(each.place), message=visible(each.message)) for each in after.boots)
    return replace(after, undelivered=tuple(map(visible, after.undelivered)), boots=boots, left=visible(after.left))
