"""What a run measures for CloudWatch, as values and in the embedded metric format."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from orchestrator.core.model import OutcomeKind
from orchestrator.core.state import RunState
from orchestrator.errors import UsageError

DEFAULT_NAMESPACE = "ecs-rollout"
_NAMESPACE = re.compile(r"(?!AWS/)[A-Za-z0-9._/#: -]{1,255}")


class Unit(StrEnum):
    """CloudWatch's words for units."""

    COUNT = "Count"
    SECONDS = "Seconds"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One value; its name is CloudWatch's."""

    name: str
    value: float
    unit: Unit


class MeterKind(StrEnum):
    """How metrics travel: by PutMetricData, or as a line of the log (embedded metric format)."""

    CLOUDWATCH = "cloudwatch"
    EMF = "emf"


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterTarget:
    """What `--metrics` names."""

    kind: MeterKind
    namespace: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.namespace}"


def parse_meter(text: str) -> MeterTarget:
    """Parse `--metrics`: `cloudwatch[:NAMESPACE]` or `emf[:NAMESPACE]`. Raises UsageError."""
    kind, colon, namespace = text.partition(":")
    if kind not in set(MeterKind) or (colon and not _NAMESPACE.fullmatch(namespace)):
        raise UsageError(
            f"{text!r} is no place for metrics", hint="Write cloudwatch:NAMESPACE or emf:NAMESPACE; not AWS/..."
        )
    return MeterTarget(kind=MeterKind(kind), namespace=namespace or DEFAULT_NAMESPACE)


def metrics_of(state: RunState | None, *, failed: bool, oldest_age: float | None = None) -> tuple[Metric, ...]:
    """Measure a run. `state` None: none had begun. `failed`: the command ended with another exit code than 0.

    `oldest_age`: seconds since the oldest generation that an instance still runs was first delivered; None where
    that is not known, and then it is left out.
    """
    found = [Metric(name="RunFailed", value=float(failed), unit=Unit.COUNT)]
    if oldest_age is not None:
        found.append(Metric(name="OldestGenerationAge", value=oldest_age, unit=Unit.SECONDS))
    if state is None or state.started is None:
        return tuple(found)
    counts = {
        "Updated": state.counts[OutcomeKind.UPDATED],
        "Failed": state.failed,
        "Unreachable": state.counts[OutcomeKind.UNREACHABLE],
        "Refused": state.counts[OutcomeKind.REFUSED],
    }
    found += [Metric(name=name, value=float(count), unit=Unit.COUNT) for name, count in counts.items()]
    if state.ended_at is not None:
        found.append(Metric(name="Duration", value=round(state.ended_at - state.started_at, 3), unit=Unit.SECONDS))
    return tuple(found)


def embedded(metrics: Sequence[Metric], *, namespace: str, cluster: str, at: float) -> dict[str, object]:
    """Write the metrics in CloudWatch's embedded metric format; `at` in epoch seconds."""
    definitions = [{"Name": each.name, "Unit": each.unit.value} for each in metrics]
    directive = {"Namespace": namespace, "Dimensions": [["Cluster"]], "Metrics": definitions}
    values = {each.name: each.value for each in metrics}
    return {"_aws": {"Timestamp": int(at * 1000), "CloudWatchMetrics": [directive]}, "Cluster": cluster, **values}
