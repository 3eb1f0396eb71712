"""The JSON report and its JSON Schema: both are made of the types here, so that they cannot differ.

Keys are added, never renamed or taken away; then SCHEMA stays. A reader passes over keys that it does not know.
"""

import json
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from orchestrator.core.lifecycle import Phase
from orchestrator.core.model import OutcomeKind, Persistence, RestartMethod
from orchestrator.core.reasons import Reason
from orchestrator.core.settings import Word
from orchestrator.report.after import BootKept
from orchestrator.report.chosen import Chosen
from orchestrator.report.gating import GateSpan
from orchestrator.report.rows import PromotionRow, Row, RunReport
from orchestrator.report.times import moment

SCHEMA: Final = 1

Moment = Annotated[
    str, Meta(description="UTC, to the millisecond.", extra_json_schema={"format": "date-time", "pattern": "Z$"})
]
Count = Annotated[int, Meta(ge=0)]
Known = Annotated[int, Meta(ge=-1, description="-1 where it is not known.")]
Result = Literal["ok", "incomplete", "halted", "interrupted", "running"]
"""How a run ended: the words of `engine.result_of`, and `running` while it has not, or where it broke off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonPhase:
    """One stay of an instance in a phase; `ended_at` is null while it lasts."""

    phase: Phase
    started_at: Moment
    ended_at: Moment | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonInstance:
    """One instance of the cluster, and how it ended."""

    instance_id: str
    container_instance_arn: Annotated[str, Meta(description="Its present one: a restart can give another.")]
    zone: str
    wave: Annotated[Count, Meta(description="From 1, the canary; 0 where nothing was to be changed.")]
    decision: Annotated[str, Meta(description="KIND(REASON), as it was planned.")]
    outcome: OutcomeKind
    reason: Reason
    message: Annotated[str, Meta(description="What was seen, in a few words; may be empty.")]
    afterwards: Annotated[str, Meta(description="How it stood after its change was taken back; empty for others.")]
    agent_version: str
    persistence: Annotated[Persistence, Meta(description="Does the agent keep its state over a restart?")]
    restart_method: RestartMethod
    tasks_before: Known
    tasks_after: Known
    drained: bool
    duration_s: Annotated[float, Meta(ge=0, description="Seconds at work; 0 where nothing was begun.")]
    restart_ms: Annotated[Known, Meta(description="Until the agent answered again; -1 where it is not known.")]
    agent_log: Annotated[str, Meta(description="What the agent's log said of the credential; may be empty.")]
    warnings: tuple[str, ...]
    phases: tuple[JsonPhase, ...]
    command_ids: Annotated[tuple[str, ...], Meta(description="SSM commands, in the order they were sent.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonBootConfig:
    """One boot configuration after the run."""

    object: str
    result: BootKept
    message: Annotated[str, Meta(description="Why it was left or could not be written; may be empty.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonPromotion:
    """Where AWSCURRENT of the secret went after the run."""

    secret: str
    version: str
    before: Annotated[str, Meta(description="The version that it was at; may be empty.")]
    moved_at: Annotated[Moment | None, Meta(description="Null where the journal does not tell whether it was moved.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonResumed:
    """Somebody went on with the run."""

    at: Moment
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonRun:
    """The run itself."""

    id: str
    cluster: str
    region: str
    started_at: Moment
    ended_at: Moment | None
    result: Result
    halted: Annotated[str, Meta(description="Why nothing more was admitted; empty where the run was not halted.")]
    restores: Annotated[str, Meta(description="The run that was taken back; empty for a rollout.")]
    taken_over_by: Annotated[
        str, Meta(description="The later run that has its cluster since; empty where it ended, or may go on.")
    ]
    exit_code: Count
    generation: Annotated[str, Meta(description="Opaque id of the credential's content; empty for a restore.")]
    source: Annotated[str, Meta(description="What the credential was read from; empty where that is not known.")]
    resumed: tuple[JsonResumed, ...]
    options: Annotated[
        dict[str, Chosen], Meta(description="What was chosen, by the flags' names; empty where nothing was set.")
    ]
    removed_copies: Annotated[
        tuple[str, ...], Meta(description="The delivered copies of a credential that healing has removed, by name.")
    ]
    undelivered: Annotated[tuple[str, ...], Meta(description="Notices and metrics that did not arrive, and why.")]
    boot_configs: Annotated[
        tuple[JsonBootConfig, ...], Meta(description="What new instances boot with: --boot-config.")
    ]
    promotion: JsonPromotion | None
    promotion_left: Annotated[str, Meta(description="Why AWSCURRENT stays where it is; empty where nothing keeps it.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonConverged:
    """How many instances run the credential, of those in scope."""

    instances: Count
    of: Count


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonGate:
    """A time in which a gate kept to one word."""

    gate: str
    word: Word
    reason: Annotated[str, Meta(description="The last reason that it gave.")]
    overruled: Annotated[bool, Meta(description="It said go because of the deadline alone.")]
    started_at: Moment
    ended_at: Moment | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonReport:
    """A report of ecs-rollout about one run."""

    schema: Literal[1]
    run: JsonRun
    summary: Annotated[
        dict[OutcomeKind, Count],
        Meta(
            description="How many instances have each outcome.",
            extra_json_schema={"propertyNames": {"enum": [kind.value for kind in OutcomeKind]}},
        ),
    ]
    converged: JsonConverged
    gates: Annotated[tuple[JsonGate, ...], Meta(description="What gates said, in the order in which they said it.")]
    overlap: Annotated[
        dict[str, Any] | None,
        Meta(description="After `rotate`: who runs which generation, as `generations --output json` tells."),
    ]
    instances: Annotated[tuple[JsonInstance, ...], Meta(description="Worst first; every instance stands here once.")]


def as_json(report: RunReport) -> str:
    """Give the whole report as one JSON object, in ASCII."""
    return json.dumps(msgspec.to_builtins(document(report)), indent=2)


def report_schema() -> dict[str, Any]:
    """Give the JSON Schema (2020-12) of `as_json`. Enumerations hold this version's words; later ones may add some."""
    (reference,), parts = msgspec.json.schema_components([JsonReport], ref_template="#/$defs/{name}")
    name = reference["$ref"].rpartition("/")[2]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:ecs-rollout:report:{SCHEMA}",
        **parts.pop(name),
        "$defs": dict(sorted(parts.items())),
    }


def document(report: RunReport) -> JsonReport:
    """Put a report into the types of the JSON."""
    done, total = report.converged
    return JsonReport(
        schema=SCHEMA,
        run=JsonRun(
            id=report.run,
            cluster=report.cluster,
            region=report.region,
            started_at=moment(report.started_at),
            ended_at=None if report.ended_at is None else moment(report.ended_at),
            result=msgspec.convert(report.result, Result),
            halted=report.halted,
            restores=report.restores,
            taken_over_by=report.taken_over_by,
            exit_code=report.exit_code,
            generation=report.generation,
            source=report.source,
            resumed=tuple(JsonResumed(at=moment(at), by=by) for at, by in report.resumed),
            options=report.options,
            removed_copies=report.after.removed,
            undelivered=report.after.undelivered,
            boot_configs=tuple(
                JsonBootConfig(object=each.place, result=each.result, message=each.message)
                for each in report.after.boots
            ),
            promotion=_promotion(report.promotion),
            promotion_left=report.after.left,
        ),
        summary={OutcomeKind(kind): count for kind, count in report.summary.items()},
        converged=JsonConverged(instances=done, of=total),
        gates=tuple(map(_gate, report.gates)),
        overlap=dict(report.after.holders.object) if report.after.holders else None,
        instances=tuple(map(_instance, report.rows)),
    )


def _promotion(row: PromotionRow | None) -> JsonPromotion | None:
    if row is None:
        return None
    moved_at = None if row.moved_at is None else moment(row.moved_at)
    return JsonPromotion(secret=row.secret, version=row.version, before=row.before, moved_at=moved_at)


def _gate(span: GateSpan) -> JsonGate:
    return JsonGate(
        gate=span.gate,
        word=span.word,
        reason=span.reason,
        overruled=span.overruled,
        started_at=moment(span.started_at),
        ended_at=None if span.ended_at is None else moment(span.ended_at),
    )


def _instance(row: Row) -> JsonInstance:
    return JsonInstance(
        instance_id=row.instance_id,
        container_instance_arn=row.container_instance_arn,
        zone=row.zone,
        wave=row.wave,
        decision=row.decision,
        outcome=row.outcome,
        reason=row.reason,
        message=row.message,
        afterwards=row.afterwards,
        agent_version=row.agent_version,
        persistence=row.persistence,
        restart_method=row.restart_method,
        tasks_before=row.tasks_before,
        tasks_after=row.tasks_after,
        drained=row.drained,
        duration_s=row.duration_s,
        restart_ms=row.restart_ms,
        agent_log=row.log,
        warnings=row.warnings,
        phases=tuple(
            JsonPhase(
                phase=span.phase,
                started_at=moment(span.started_at),
                ended_at=None if span.ended_at is None else moment(span.ended_at),
            )
            for span in row.phases
        ),
        command_ids=row.command_ids,
    )
