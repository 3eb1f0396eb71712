"""What to do about a whole run: its result in words, and the command that comes next."""

import shlex
from dataclasses import dataclass

from orchestrator.report.rows import RunReport


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """`headline` and `result`: how the run ended; `words`: what to do now; `command`: with which command, or empty."""

    headline: str
    result: str
    words: str
    command: str


def advise(report: RunReport) -> Advice:
    """Read it out of a report."""
    words, command = _next(report)
    return Advice(headline=_headline(report), result=_result(report), words=words, command=shlex.join(command))


def _headline(report: RunReport) -> str:
    done, total = report.converged
    if report.restores:
        back = sum(row.as_wanted for row in report.rows)
        return f"The run {report.restores} is taken back on {back:,} of {len(report.rows):,} instances"
    return f"{done:,} of {total:,} instances run the credential"


def _result(report: RunReport) -> str:
    left = sum(not row.as_wanted for row in report.rows)
    match report.result:
        case "ok":
            return "Every instance is as wanted."
        case "running":
            return "The run has not ended, or it broke off: this is how far its journal tells."
        case "halted" | "interrupted":
            return f"Nothing more was admitted: {report.halted}."
        case _:
            return f"The run came to its end; {left:,} {'needs' if left == 1 else 'need'} somebody."


def _next(report: RunReport) -> tuple[str, tuple[str, ...]]:
    if report.result == "ok":
        return "Nothing to do.", ()
    cluster = ("--cluster", report.cluster, *(("--region", report.region) if report.region else ()))
    credential = ("--credential", "SOURCE")
    if report.result == "running":
        return "If nobody runs it any more, go on with it:", ("ecs-rollout", "resume", report.run)
    if report.restores:
        return "Mend what stands below, then take back the rest:", ("ecs-rollout", "restore", report.restores)
    return "Mend what stands below, then see what is left to do:", ("ecs-rollout", "plan", *cluster, *credential)
