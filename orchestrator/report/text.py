"""A report for a person, in at most 80 columns: the problems, each with what to do, then the table."""

from collections.abc import Iterator
from statistics import median

from orchestrator.core.reasons import Reason
from orchestrator.core.settings import typed
from orchestrator.report.advice import advise
from orchestrator.report.formats import boot_words, drifts, label_words
from orchestrator.report.gating import sentences
from orchestrator.report.layout import FIRM, MANY, SCREEN, columns, folded_command, names, short_zone, wrap
from orchestrator.report.mending import mended
from orchestrator.report.remarks import remarks
from orchestrator.report.rows import Row, RunReport
from orchestrator.report.times import clock, duration
from orchestrator.report.troubles import Trouble, troubles

_GROUPED = 8
_SEEN = 3


def report_text(report: RunReport) -> str:
    """Give the problems with their remedies, so that they stand on the first screen; the table; the closing lines."""
    holders = report.after.holders.text if report.after.holders else ""
    found = troubles(report)
    parts = ["\n".join(_problem(each) for each in found), _table(report), holders, _closing(report)]
    left = [each for each in found if each.reason is not Reason.HALTED]  # nothing is the matter with those it spared
    following = _next(report)
    if left and not report.running and sum(part.count("\n") + 2 for part in [*parts, following] if part) > SCREEN:
        # A terminal shows the end of what is longer than itself: the worst has to stand there, too.
        parts.append(_worst(left[0]))
    return "\n\n".join(part for part in [*parts, following] if part)


def _worst(trouble: Trouble) -> str:
    name = names(trouble.instances, 1)
    after = "".join(f" Afterwards: {each}." for each in trouble.afterwards[:1])
    return (
        wrap(f"Look first at {name}: {trouble.outcome}({trouble.reason}). {trouble.explained.meaning}{after}")
        + f"\n{_to_do(trouble)}"
    )


def _next(report: RunReport) -> str:
    advice = advise(report)
    return f"{wrap(advice.words)}\n{folded_command(advice.command)}" if advice.command else ""


def _table(report: RunReport) -> str:
    if len(report.rows) > MANY:
        return _by_kind(report)
    return columns(
        ("INSTANCE", "ZONE", "OUTCOME", "REASON", "TASKS", "SEC"),
        [
            (row.instance_id, short_zone(row.zone), row.word, row.reason.value, _tasks(row), _seconds(row))
            for row in report.rows
        ],
    )


def _by_kind(report: RunReport) -> str:
    """Count a large fleet by outcome and reason, with the median of what its instances took."""
    kinds: dict[tuple[str, str], list[Row]] = {}
    for row in report.rows:
        kinds.setdefault((row.word, row.reason), []).append(row)
    rows = []
    for (outcome, reason), members in kinds.items():
        tasks = sum(max(row.tasks_before, 0) for row in members)
        taken = [row.duration_s for row in members if row.duration_s]
        seconds = f"{median(taken):.0f}" if taken else "-"
        rows.append((str(len(members)), outcome, reason, str(tasks), seconds))
    return columns(("COUNT", "OUTCOME", "REASON", "TASKS", "SEC"), rows)


def _problem(trouble: Trouble) -> str:
    who = names(trouble.instances, _GROUPED)
    lines = [wrap(f"{trouble.outcome}({trouble.reason}): {who}"), wrap(trouble.explained.meaning, "    ")]
    lines += [wrap(f"seen: {message}", "    ") for message in trouble.seen[:_SEEN]]
    lines += [wrap(f"afterwards: {each}", "    ") for each in trouble.afterwards]
    lines.append(_to_do(trouble))
    return "\n".join(lines)


def _to_do(trouble: Trouble) -> str:
    return wrap(f"do: {trouble.explained.remedy}", "    ")


def _closing(report: RunReport) -> str:
    done, total = report.converged
    counts = ", ".join(f"{count}{FIRM}{kind.replace(' ', FIRM)}" for kind, count in report.tally.items())
    if report.restores:
        lines = [wrap(f"Taking back the run {report.restores}: {counts}.")]
    elif report.heals:
        lines = [wrap(f"{mended(report, FIRM)}.")]
    else:
        lines = [
            wrap(f"{done} of {total} instances run the credential{' so far' if report.running else ''}: {counts}.")
        ]
    limited = sum(row.reason is Reason.LIMITED for row in report.rows)
    if limited:
        lines.append(wrap(f"{limited} more need it and are left by --limit: run the same command again."))
    lines += [wrap(f"{each.words} {each.explained.remedy}") for each in remarks(report)]
    lines += map(wrap, drifts(report))
    lines += map(wrap, sentences(report.gates))
    if report.halted:
        lines.append(wrap(f"The run stopped admitting instances: {report.halted}."))
    if len(report.rows) > MANY:
        command = typed("report", report.run, "--output", "csv", *report.store)
        lines.append(wrap(f"Every instance by name: `{command}`."))
    lines += [wrap(label)] if (label := label_words(report)) else []
    lines += [wrap(f"Boot configuration {boot_words(each)}") for each in report.after.boots]
    lines += [wrap(f"Not everybody was told: {each}") for each in report.after.undelivered]
    code = "" if report.running else f" (exit code {report.exit_code})"
    lines.append(wrap(f"Run {report.run} on cluster {report.cluster}: {report.standing}{code}."))
    lines += map(wrap, _course(report))
    return "\n".join(lines)


def _course(report: RunReport) -> Iterator[str]:
    """Say when the run began and how long it took, with which credential, and who has resumed it."""
    took = "" if report.ended_at is None else f", took {duration(report.ended_at - report.started_at)}"
    yield f"Began {clock(report.started_at)} UTC{took}."
    if report.source:
        yield f"Credential: {report.source}"
    for at, by in report.resumed:
        yield f"Resumed {clock(at)} UTC by {by}."


def _tasks(row: Row) -> str:
    if row.tasks_before < 0:
        return "-"
    if row.tasks_before == row.tasks_after or row.tasks_after < 0:
        return str(row.tasks_before)
    return f"{row.tasks_before}->{row.tasks_after}"


def _seconds(row: Row) -> str:
    return f"{row.duration_s:.0f}" if row.duration_s else "-"
