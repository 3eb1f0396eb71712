"""What to do about a whole run: its result in words, and the command that comes next."""

import shlex
from dataclasses import dataclass

from orchestrator.core.reasons import Reason
from orchestrator.core.settings import spelled, typed
from orchestrator.report.mending import mended
from orchestrator.report.remarks import remarks
from orchestrator.report.rows import RunReport
from orchestrator.report.successor import looks
from orchestrator.report.visible import visible


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """`headline` and `result`: how the run ended; `words`: what to do now; `command`: with which command, or none."""

    headline: str
    result: str
    words: str
    command: tuple[str, ...]


def advise(report: RunReport) -> Advice:
    """Read it out of a report."""
    words, command = _next(report)
    return Advice(headline=_headline(report), result=_result(report), words=words, command=command)


def _headline(report: RunReport) -> str:
    done, total = report.converged
    if report.restores:
        back = sum(row.as_wanted for row in report.rows)
        return f"The run {report.restores} is taken back on {back:,} of {len(report.rows):,} instances"
    if report.heals:
        return mended(report)
    return f"{done:,} of {total:,} instances run the credential"


def _result(report: RunReport) -> str:
    left = sum(not row.as_wanted for row in report.rows)
    match report.result:
        case "ok":
            return f"Every instance is as wanted{', with what is remarked' if remarks(report) else ''}."
        case "running" if report.taken_over_by:
            return f"The run {report.taken_over_by} took its cluster over: this is how far its journal tells."
        case "running":
            return "The run has not ended, or it broke off: this is how far its journal tells."
        case "halted" | "interrupted":
            return f"Nothing more was admitted: {report.halted}."
        case _:
            return f"The run came to its end; {left:,} {'needs' if left == 1 else 'need'} somebody."


def _next(report: RunReport) -> tuple[str, tuple[str, ...]]:
    if report.after.unsaved:
        return _UNSAVED, ("ecs-rollout", "resume", report.run, "--take-over", *report.store)
    if report.result == "ok" and not report.after.left:
        return " ".join(each.explained.remedy for each in remarks(report)) or "Nothing to do.", ()
    if report.taken_over_by:
        newer, left = looks(report.taken_over_by, cluster=report.cluster, region=report.region, store=report.store)
        return f"`{left}` shows what it has left; what became of the cluster since:", tuple(shlex.split(newer))
    if report.running and report.awaits:
        resume = typed("resume", report.run, *report.store)
        words = f"It waits for approval of wave {report.awaits} (if its controller is gone: `{resume}`). To approve:"
        return words, ("ecs-rollout", "approve", report.run, *report.store)
    if report.running:
        return _BROKEN_OFF, ("ecs-rollout", "resume", report.run, *report.store)
    return _from_here(report)


def _from_here(report: RunReport) -> tuple[str, tuple[str, ...]]:
    """Say what comes after a run that came to its end, and left something."""
    if report.stranded and not report.heals:
        return _GIVEN_BACK, ("ecs-rollout", "heal", *_to_heal(report), *report.store)
    words = "Go on with what is left:" if report.result == "interrupted" else _MENDED
    if report.restores:
        if all(row.as_wanted or row.reason in _FOR_EVER for row in report.rows):
            return "Do what is named here: to take the run back once more would change nothing.", ()
        flags = _flags(report, rotates=False)
        return words, ("ecs-rollout", "restore", report.restores, *flags, *report.store)
    verb = "heal" if report.heals else "rotate" if report.promotion or report.after.left else "plan"
    return words, ("ecs-rollout", verb, *(_flags(report, rotates=verb == "rotate") or _least(report)), *report.store)


_BROKEN_OFF = "Wait for it. If its controller has been dead for two minutes, go on with it:"
_UNSAVED = "The journal did not take all of this. Once it is mended, go on with the run:"
_MENDED = "Mend what is named here, then see to what is left:"
_GIVEN_BACK = "Mend what is named here, then give back what was taken out of service:"
_HEALS = ("profile", "delivery", "delivery_bucket", "kms_key")
_FOR_EVER = frozenset({Reason.NO_BACKUP, Reason.WINDOWS, Reason.BOTTLEROCKET, Reason.MANAGED_INSTANCES})
"""Why an instance was not taken back, where it never will be."""


def _flags(report: RunReport, *, rotates: bool) -> tuple[str, ...]:
    """Write the flags again that the run was started with."""
    flags = dict(report.flags)
    if rotates and isinstance(whole := flags.get("credential"), str):
        flags["credential"] = whole.partition("#")[0]  # the run was given one version; a rotation follows the labels
    return tuple(map(visible, spelled(flags)))


def _to_heal(report: RunReport) -> tuple[str, ...]:
    """Name what healing needs to know: who is selected makes no difference to it."""
    about = {"cluster": report.cluster, "region": report.region or None}
    return tuple(map(visible, spelled(about | {name: report.flags.get(name) for name in _HEALS})))


def _least(report: RunReport) -> tuple[str, ...]:
    """Name what every run needs, where the journal does not tell its flags."""
    credential = None if report.heals else "SOURCE"
    return spelled({"cluster": report.cluster, "region": report.region or None, "credential": credential})
