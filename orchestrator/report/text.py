"""A report for a person: a table of at most 80 columns, then the problems, each with what to do."""

import re
import textwrap
from collections.abc import Sequence

from tabulate import tabulate

from orchestrator.report.rows import Row, RunReport

WIDTH = 80
_GROUPED = 8
_ZONE = re.compile(r"^[a-z]{2}(-[a-z]+)+-\d+(?=[a-z]$)")


def report_text(report: RunReport) -> str:
    """Give the table, the problems with their remedies, and the closing lines."""
    table = columns(
        ("INSTANCE", "ZONE", "OUTCOME", "REASON", "TASKS", "SEC"),
        [
            (row.instance_id, short_zone(row.zone), row.outcome.value, row.reason.value, _tasks(row), _seconds(row))
            for row in report.rows
        ],
    )
    parts = [table, _problems(report), _closing(report)]
    return "\n\n".join(part for part in parts if part)


def _problems(report: RunReport) -> str:
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in report.rows:
        if not row.as_wanted:
            groups.setdefault((row.outcome, row.reason), []).append(row)
    return "\n".join(_problem(rows) for rows in groups.values())


def _problem(rows: list[Row]) -> str:
    first = rows[0]
    names = ", ".join(row.instance_id for row in rows[:_GROUPED])
    more = f" and {len(rows) - _GROUPED} more" if len(rows) > _GROUPED else ""
    lines = [wrap(f"{first.outcome}({first.reason}): {names}{more}")]
    lines.append(wrap(first.meaning, "    "))
    seen = sorted({row.message for row in rows if row.message})
    lines += [wrap(f"seen: {message}", "    ") for message in seen[:3]]
    lines.append(wrap(f"do: {first.remedy}", "    "))
    return "\n".join(lines)


def _closing(report: RunReport) -> str:
    done, total = report.converged
    counts = ", ".join(f"{count} {kind}" for kind, count in report.summary.items())
    if report.restores:
        lines = [wrap(f"Taking back the run {report.restores}: {counts}.")]
    else:
        lines = [wrap(f"{done} of {total} instances run the credential: {counts}.")]
    if report.halted:
        lines.append(wrap(f"The run stopped admitting instances: {report.halted}."))
    lines += [wrap(f"Not everybody was told: {each}") for each in report.undelivered]
    lines.append(f"Run {report.run} on cluster {report.cluster}: {report.result} (exit code {report.exit_code}).")
    return "\n".join(lines)


def _tasks(row: Row) -> str:
    if row.tasks_before == row.tasks_after or row.tasks_after < 0:
        return str(row.tasks_before)
    return f"{row.tasks_before}->{row.tasks_after}"


def _seconds(row: Row) -> str:
    return f"{row.duration_s:.0f}" if row.duration_s else "-"


def columns(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lay out a table as narrow as it can be."""
    # As a row among rows: tabulate pads headers by two more blanks each.
    return tabulate([headers, *rows], tablefmt="plain", disable_numparse=True)


def short_zone(zone: str) -> str:
    """Give the letter of an availability zone, so that a line fits a terminal; other zones stay as they are."""
    return _ZONE.sub("", zone)


def wrap(text: str, indent: str = "") -> str:
    """Fold a sentence at the width of a terminal."""
    return textwrap.fill(text, WIDTH, initial_indent=indent, subsequent_indent=indent or "  ", break_on_hyphens=False)
