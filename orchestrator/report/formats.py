"""A report as JSON, CSV and Markdown. The JSON's keys are added to, never renamed (schema 1)."""

import csv
import io
import json
from datetime import UTC, datetime

from tabulate import tabulate

from orchestrator.report.rows import Row, RunReport

SCHEMA = 1
_COLUMNS = (
    "instance_id",
    "zone",
    "wave",
    "decision",
    "outcome",
    "reason",
    "message",
    "agent_version",
    "persistence",
    "restart_method",
    "tasks_before",
    "tasks_after",
    "duration_s",
    "container_instance_arn",
)


def moment(seconds: float | None) -> str | None:
    """ISO 8601 in UTC, to the millisecond."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def as_json(report: RunReport) -> str:
    """Give the whole report as one JSON object (README, 'The JSON report')."""
    done, total = report.converged
    return json.dumps(
        {
            "schema": SCHEMA,
            "run": {
                "id": report.run,
                "cluster": report.cluster,
                "region": report.region,
                "started_at": moment(report.started_at),
                "ended_at": moment(report.ended_at),
                "result": report.result,
                "halted": report.halted,
                "exit_code": report.exit_code,
                "generation": report.generation,
                "options": report.options,
                "undelivered": list(report.undelivered),
            },
            "summary": report.summary,
            "converged": {"instances": done, "of": total},
            "instances": [_instance(row) for row in report.rows],
        },
        indent=2,
    )


def _instance(row: Row) -> dict[str, object]:
    return {
        "instance_id": row.instance_id,
        "container_instance_arn": row.container_instance_arn,
        "zone": row.zone,
        "wave": row.wave,
        "decision": row.decision,
        "outcome": row.outcome,
        "reason": row.reason,
        "message": row.message,
        "agent_version": row.agent_version,
        "persistence": row.persistence,
        "restart_method": row.restart_method,
        "tasks_before": row.tasks_before,
        "tasks_after": row.tasks_after,
        "drained": row.drained,
        "duration_s": row.duration_s,
        "restart_ms": row.restart_ms,
        "agent_log": row.log,
        "warnings": list(row.warnings),
        "phases": [
            {"phase": span.phase, "started_at": moment(span.started_at), "ended_at": moment(span.ended_at)}
            for span in row.phases
        ],
        "command_ids": list(row.command_ids),
    }


def as_csv(report: RunReport) -> str:
    """One line per instance, with a header."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_COLUMNS)
    writer.writerows([getattr(row, column) for column in _COLUMNS] for row in report.rows)
    return out.getvalue().rstrip("\n")


def as_markdown(report: RunReport) -> str:
    """Give a summary and a table for a ticket."""
    done, total = report.converged
    counts = ", ".join(f"{count} {kind}" for kind, count in report.summary.items())
    table = tabulate(
        [(row.instance_id, row.zone, row.outcome.value, row.reason.value, row.message) for row in report.rows],
        headers=("instance", "zone", "outcome", "reason", "seen"),
        tablefmt="github",
        disable_numparse=True,
    )
    head = (
        f"**{report.cluster}**, run `{report.run}`: {report.result}. {done} of {total} run the credential ({counts})."
    )
    troubles = "".join(f"\n- {each}" for each in report.undelivered)
    return f"{head}\n\n{table}" + (f"\n\nNot everybody was told:\n{troubles}" if troubles else "")
