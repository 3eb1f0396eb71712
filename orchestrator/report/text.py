"""A report and a plan for a person: tables of at most 80 columns, problems first, each with what to do."""

import textwrap
from collections import Counter

from tabulate import tabulate

from orchestrator.core.model import DecisionKind, Plan, Planned
from orchestrator.core.planning import outcome_of
from orchestrator.core.reasons import EXPLANATIONS
from orchestrator.report.rows import Row, RunReport

WIDTH = 80
_GROUPED = 8


def report_text(report: RunReport) -> str:
    """Give the table, the problems with their remedies, and the closing lines."""
    table = tabulate(
        [
            (row.instance_id, row.zone, row.outcome.value, row.reason.value, _tasks(row), _seconds(row))
            for row in report.rows
        ],
        headers=("INSTANCE", "ZONE", "OUTCOME", "REASON", "TASKS", "TIME"),
        tablefmt="plain",
        colalign=("left", "left", "left", "left", "right", "right"),
        disable_numparse=True,
    )
    parts = [table, _problems(report), _closing(report)]
    return "\n\n".join(part for part in parts if part)


def plan_text(plan: Plan, *, window: int, credential: str) -> str:
    """Give the plan's table, what it means, and what running tasks miss."""
    table = tabulate(
        [_plan_row(each) for each in plan.planned],
        headers=("INSTANCE", "ZONE", "AGENT", "TASKS", "STATE", "DECISION", "WHY"),
        tablefmt="plain",
        disable_numparse=True,
    )
    why = Counter(each.decision.reason for each in plan.planned if outcome_of(each) is not None)
    notes = [
        _bullet(f"{count} x {reason}: {EXPLANATIONS[reason].meaning} {EXPLANATIONS[reason].remedy}")
        for reason, count in why.most_common()
    ]
    closing = [
        f"Credential: {credential}",
        f"{plan.changes} of {len(plan.planned)} instances would be changed, at most {window} at a time.",
    ]
    if plan.changes:
        closing.append(
            _wrap(
                "Each agent restarts, typically for one to a few seconds. Its tasks keep running, but meanwhile they "
                "get no new role credentials and no task metadata."
            )
        )
    return "\n\n".join(part for part in (table, "\n".join(notes), "\n".join(closing)) if part)


def _plan_row(each: Planned) -> tuple[str, ...]:
    instance, facts = each.instance, each.facts
    return (
        instance.instance_id,
        instance.zone,
        instance.agent_version or "-",
        str(instance.running_tasks),
        facts.persistence.value if facts else "-",
        each.decision.kind.value if each.decision.kind is not DecisionKind.APPLY else "apply",
        each.decision.reason.value,
    )


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
    lines = [_wrap(f"{first.outcome}({first.reason}): {names}{more}")]
    lines.append(_wrap(first.meaning, "    "))
    seen = sorted({row.message for row in rows if row.message})
    lines += [_wrap(f"seen: {message}", "    ") for message in seen[:3]]
    lines.append(_wrap(f"do: {first.remedy}", "    "))
    return "\n".join(lines)


def _closing(report: RunReport) -> str:
    done, total = report.converged
    counts = ", ".join(f"{count} {kind}" for kind, count in report.summary.items())
    lines = [f"{done} of {total} instances run the credential: {counts}."]
    if report.halted:
        lines.append(_wrap(f"The run stopped admitting instances: {report.halted}."))
    lines.append(f"Run {report.run} on cluster {report.cluster}: {report.result} (exit code {report.exit_code}).")
    return "\n".join(lines)


def _tasks(row: Row) -> str:
    if row.tasks_before == row.tasks_after or row.tasks_after < 0:
        return str(row.tasks_before)
    return f"{row.tasks_before}->{row.tasks_after}"


def _seconds(row: Row) -> str:
    return f"{row.duration_s:.0f} s" if row.duration_s else "-"


def _wrap(text: str, indent: str = "") -> str:
    return textwrap.fill(text, WIDTH, initial_indent=indent, subsequent_indent=indent or "  ", break_on_hyphens=False)


def _bullet(text: str) -> str:
    return textwrap.fill(text, WIDTH, initial_indent="- ", subsequent_indent="  ", break_on_hyphens=False)
