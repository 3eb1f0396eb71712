"""A report as CSV and Markdown."""

import csv
import io
import re

from orchestrator.report.after import BootRow
from orchestrator.report.gating import sentences
from orchestrator.report.mending import mended
from orchestrator.report.remarks import remarks
from orchestrator.report.rows import PromotionRow, RunReport

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
_NAMED = 8
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What makes a spreadsheet take a text for a formula that it runs."""


def as_csv(report: RunReport) -> str:
    """One line per instance, with a header. A text that a spreadsheet would run is quoted with an apostrophe."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_COLUMNS)
    writer.writerows([_cell(getattr(row, column)) for column in _COLUMNS] for row in report.rows)
    return out.getvalue().rstrip("\n")


def _cell(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def as_markdown(report: RunReport) -> str:
    """Give a summary and a table for a ticket."""
    from tabulate import tabulate  # noqa: PLC0415 - slow to load, and `status` needs none

    done, total = report.converged
    counts = ", ".join(f"{count} {kind}" for kind, count in report.tally.items())
    table = tabulate(
        [
            (_plain(row.instance_id), _plain(row.zone), row.word, row.reason.value, _plain(row.message))
            for row in report.rows
        ],
        headers=("instance", "zone", "outcome", "reason", "seen"),
        tablefmt="github",
        disable_numparse=True,
    )
    cluster, result = _plain(report.cluster), _plain(report.standing)
    run = f"{done} of {total} run the credential ({counts})"
    came_to = mended(report) if report.heals else run
    head = f"**{cluster}**, run `{report.run}`: {result}. {came_to}."
    troubles = "".join(f"\n- {_plain(each)}" for each in report.after.undelivered)
    boots = "".join(f"\n- {_plain(boot_words(each))}" for each in report.after.boots)
    told = f"\n\nNot everybody was told:\n{troubles}" if troubles else ""
    gates = "".join(f"\n- {_plain(each)}" for each in sentences(report.gates))
    held = f"\n\nGates:\n{gates}" if gates else ""
    remarked = [each.words for each in remarks(report)]
    head += "".join(f" {_plain(each)}" for each in (*rotated(report), *remarked, *drifts(report)))
    return f"{head}\n\n{table}{held}" + (f"\n\nBoot configuration:\n{boots}" if boots else "") + told


def drifts(report: RunReport) -> tuple[str, ...]:
    """Say who joined with another credential, and what that means; nothing where nobody did."""
    if not report.drifted:
        return ()
    names = ", ".join(report.drifted[:_NAMED])
    more = f" and {len(report.drifted) - _NAMED} more" if len(report.drifted) > _NAMED else ""
    joined = f"Joined during the run with another credential (template drift): {names}{more}."
    return (f"{joined} Their launch template, or what they boot from otherwise, has it: put the new one there.",)


def boot_words(row: BootRow) -> str:
    """Say what became of a boot configuration."""
    return f"{row.place} {row.result}" + (f": {row.message}" if row.message else "")


def rotated(report: RunReport) -> tuple[str, ...]:
    """Say what came of AWSCURRENT, and whether the previous credential is still used, as far as a rotation told."""
    holders = report.after.holders
    return tuple(each for each in (label_words(report), holders.summary if holders else "") if each)


def label_words(report: RunReport) -> str:
    """Say what came of AWSCURRENT; empty where it was never to move. Why it stays is only known right after the run."""
    words = report.after.left or (promotion_words(report.promotion) if report.promotion else "")
    return f"{words}." if words else ""


def promotion_words(row: PromotionRow) -> str:
    """Say where AWSCURRENT went."""
    if row.moved_at is None:
        return f"AWSCURRENT of {row.secret} was to be moved to {row.version}; the journal does not tell whether it was"
    since = f", from {row.before}" if row.before else ""
    return f"AWSCURRENT of {row.secret} was moved to {row.version}{since}"


def _plain(text: str) -> str:
    """Take every meaning in Markdown and HTML from others' words."""
    return re.sub(r"([\\`*<>\[\]|&])", r"\\\1", text)
