"""How a run stands, from its journal: what it is at, what it waits for, and what is left of its budgets."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.core import judging
from orchestrator.core.asks import Ask, AskKind
from orchestrator.core.gates import GateAnswer
from orchestrator.core.model import OutcomeKind
from orchestrator.core.reasons import Reason
from orchestrator.core.settings import Budget, Word, allowed, typed
from orchestrator.core.state import RunState
from orchestrator.report import successor
from orchestrator.report.layout import columns, names, wrap
from orchestrator.report.times import moment, time_of_day
from orchestrator.report.visible import visible
from orchestrator.report.waits import doing, wanting

SCHEMA = 1
SILENT = 120.0
"""Seconds without an entry after which a run that waits for nothing looks as if its controller were gone."""

_SHOWN = 20
"""Rows of instances at work in the table; JSON has all."""


@dataclass(frozen=True, slots=True)
class AtWork:
    """One instance in flight: for how many seconds it has been in its phase, and what it waits for there.

    `until`: when that has come or is given up at the latest, in epoch seconds; None where no time bounds it.
    """

    key: str
    phase: str
    seconds: float
    waits_for: str
    until: float | None


@dataclass(frozen=True, slots=True)
class Spent:
    """A budget: how many count against it, and how many may; None where there is no limit."""

    name: str
    used: int
    allowed: int | None


@dataclass(frozen=True, slots=True)
class Problem:
    """Those that ended in one way, and not as wanted; those that a halt left unattempted are none."""

    outcome: str
    reason: str
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """How a run stands at `now`. Times in epoch seconds; `result` is empty while the run has not ended."""

    run: str
    store: tuple[str, ...]
    """The flags that name its journal."""
    cluster: str
    region: str
    now: float
    started_at: float
    last_at: float
    result: str
    taken_over_by: str
    """The run that has the cluster since, so that this one never will end; empty where none has."""
    restores: str
    """The run that it takes back; empty for a rollout."""
    heals: bool
    holder: str
    """Whose process is, or was, the last to carry it; empty where the journal does not tell."""
    halted: str
    wave: int
    waves: int
    window: int
    counts: tuple[tuple[str, int], ...]
    problems: tuple[Problem, ...]
    queued: int
    at_work: tuple[AtWork, ...]
    gates: tuple[GateAnswer, ...]
    waits: tuple[str, ...]
    """What is wanted beside the gates' word before anybody else is begun."""
    budgets: tuple[Spent, ...]
    asked: tuple[Ask, ...]


def status_of(
    state: RunState,
    *,
    last_at: float,
    asked: Sequence[Ask],
    now: float,
    store: tuple[str, ...] = (),
    taken_over_by: str = "",
) -> Status:
    """Read the status out of a run's state. `last_at`: when its last entry was written."""
    run = state.run
    return Status(
        run=run.run,
        store=store,
        cluster=run.cluster,
        region=run.region,
        now=now,
        started_at=state.started_at,
        last_at=last_at,
        result=state.ended.result if state.ended else "",
        taken_over_by=taken_over_by,
        restores=run.restores,
        heals=run.heals,
        holder=state.resumed[-1][1] if state.resumed else run.holder,
        halted=state.halted.why if state.halted else "",
        wave=state.wave,
        waves=max((each.wave for each in run.planned), default=0),
        window=state.window,
        counts=tuple((kind.value, state.counts[kind]) for kind in OutcomeKind if state.counts[kind]),
        problems=_problems(state),
        queued=len(state.roster.queue),
        at_work=tuple(_at_work(state, key, now) for key in state.roster.in_flight),
        gates=tuple(state.gates.last.values()),
        waits=() if state.ended or taken_over_by else wanting(state, now, store),
        budgets=(
            _spent(state, "failures", state.failed, run.policy.max_failures),
            _spent(state, "unreachable", state.unreachable, run.policy.max_unreachable),
            _spent(state, "refused", state.counts[OutcomeKind.REFUSED], run.policy.max_refused),
        ),
        asked=tuple(asked),
    )


def _problems(state: RunState) -> tuple[Problem, ...]:
    found: dict[tuple[str, str], list[str]] = {}
    for key, progress in state.instances.items():
        end = progress.outcome
        if end is not None and not end.as_wanted and end.reason is not Reason.HALTED:
            found.setdefault((end.kind.value, end.reason.value), []).append(key)
    return tuple(Problem(kind, reason, tuple(keys)) for (kind, reason), keys in found.items())


def _at_work(state: RunState, key: str, now: float) -> AtWork:
    progress = state.instances[key]
    span = progress.spans[-1]
    seconds = max(now - span.started_at, 0.0)
    return AtWork(key, span.phase.value, seconds, doing(progress, now), judging.latest(state, key))


def _spent(state: RunState, name: str, used: int, budget: Budget) -> Spent:
    return Spent(name, used, allowed(budget, state.roster.in_scope))


def status_text(status: Status) -> str:
    """Write it for a person, in at most 80 columns."""
    standing = successor.standing(status.result, status.taken_over_by)
    lines = [
        f"Run {status.run} on cluster {status.cluster} ({status.region}): {standing}",
        *([f"takes the run {status.restores} back"] if status.restores else []),
        *(["heals what dead runs have left"] if status.heals else []),
        *([f"by {status.holder}"] if status.holder else []),
        f"started {moment(status.started_at)}, last entry {_age(status.now - status.last_at)} ago",
        _place(status),
        "outcomes: " + (", ".join(f"{count} {kind}" for kind, count in status.counts) or "none yet"),
        "budgets: " + "; ".join(_budget(each) for each in status.budgets),
    ]
    lives = not (status.result or status.taken_over_by)
    held = [
        f"gate {each.gate}: {each.word}: {each.reason}" for each in status.gates if lives and each.word is not Word.GO
    ]
    lines += [*held, *(f"waits for {each}" for each in status.waits)]
    lines += [f"asked: {_asked(each)} by {each.by} at {moment(each.at)}" for each in status.asked]
    lines += [f"{each.outcome}({each.reason}): {names(each.keys)}" for each in status.problems]
    if status.problems:
        report = typed("report", status.run, *status.store)
        lines.append(f"what that means and what to do: `{report}`")
    if status.halted:
        lines.append(f"HALTED, nothing more is admitted: {status.halted}")
    if lives and not (status.waits or held) and status.now - status.last_at > SILENT:
        resume = typed("resume", status.run, *status.store)
        in_time = any(each.until is not None and each.until > status.now for each in status.at_work)
        by = f", {status.holder}," if status.holder else ""
        doubt = f"those at work are in time; if its controller{by} is gone,"
        if not in_time:
            doubt = f"is its controller{by} gone?"
        lines.append(f"{doubt} `{resume}` sees to it")
    if status.taken_over_by:
        newer, left = successor.looks(
            status.taken_over_by, cluster=status.cluster, region=status.region, store=status.store
        )
        lines.append(f"what became of the cluster since: `{newer}`; what this run has left: `{left}`")
    parts = ["\n".join(wrap(visible(line)) for line in lines)]
    if status.at_work and status.taken_over_by:
        rows = [(each.key, each.phase) for each in status.at_work[:_SHOWN]]
        parts.append(columns(("WAS AT WORK", "PHASE"), rows))
    elif status.at_work:
        longest = sorted(status.at_work, key=lambda each: -each.seconds)
        times = [
            (each.key, f"{each.seconds:.0f}", time_of_day(each.until) if each.until else "", each.waits_for)
            for each in longest[:_SHOWN]
        ]
        parts.append(columns(("AT WORK", "SEC", "UNTIL UTC", "DOING"), times))
    if len(status.at_work) > _SHOWN:
        parts.append(f"and {len(status.at_work) - _SHOWN} more")
    return "\n\n".join(parts)


def _place(status: Status) -> str:
    """Say how far it is. Once it has halted, whom it never began with has an outcome for that."""
    if status.result:
        return f"ended in wave {status.wave} of {status.waves}" if status.wave else "ended before any wave was opened"
    if status.taken_over_by:
        place = f"broke off in wave {status.wave} of {status.waves}; {len(status.at_work)} at work"
        return f"{place}, {status.queued} not begun"
    place = f"wave {status.wave} of {status.waves}; {len(status.at_work)} of at most {status.window} at work"
    return place if status.halted else f"{place}, {status.queued} not begun"


def _budget(spent: Spent) -> str:
    return f"{spent.name} {spent.used}, {'no limit' if spent.allowed is None else f'at most {spent.allowed}'}"


def _asked(ask: Ask) -> str:
    return f"{ask.kind} of wave {ask.wave}" if ask.kind is AskKind.APPROVE else ask.kind.value


def _age(seconds: float) -> str:
    minutes, rest = divmod(int(max(seconds, 0.0)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


def status_json(status: Status) -> str:
    """Write it as JSON; keys are added to, never renamed."""
    return json.dumps(
        {
            "schema": SCHEMA,
            "run": {
                "id": status.run,
                "cluster": status.cluster,
                "region": status.region,
                "started_at": moment(status.started_at),
                "last_entry_at": moment(status.last_at),
                "last_entry_age_s": round(status.now - status.last_at, 3),
                "result": status.result or "running",
                "taken_over_by": status.taken_over_by,
                "holder": status.holder,
                "restores": status.restores,
                "heals": status.heals,
                "halted": status.halted,
            },
            "wave": {"now": status.wave, "of": status.waves},
            "window": {"used": len(status.at_work), "of": status.window},
            "summary": dict(status.counts),
            "problems": [
                {"outcome": each.outcome, "reason": each.reason, "instances": each.keys} for each in status.problems
            ],
            "not_begun": status.queued,
            "at_work": [
                {
                    "instance": each.key,
                    "phase": each.phase,
                    "seconds": round(each.seconds, 3),
                    "waits_for": each.waits_for,
                    "until": moment(each.until) if each.until else None,
                }
                for each in status.at_work
            ],
            "waits_for": list(status.waits),
            "gates": [{"gate": each.gate, "word": each.word, "reason": each.reason} for each in status.gates],
            "budgets": {each.name: {"used": each.used, "allowed": each.allowed} for each in status.budgets},
            "asked": [
                {"kind": each.kind, "wave": each.wave, "by": each.by, "at": moment(each.at)} for each in status.asked
            ],
        },
        indent=2,
    )
