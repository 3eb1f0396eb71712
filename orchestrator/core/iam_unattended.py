"""What runs that nobody watches may do beside the rollout itself: tell somebody, and measure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from orchestrator.core.iam import ANY, Place, reads_source
from orchestrator.core.iam_document import Statement
from orchestrator.core.metrics import MeterKind, MeterTarget
from orchestrator.core.notices import BusTarget, Target, TopicTarget, WebhookTarget


@dataclass(frozen=True, slots=True, kw_only=True)
class Extras:
    """What the run is told beside the rollout: `--notify` and `--metrics`."""

    notify: Sequence[Target] = ()
    metrics: Sequence[MeterTarget] = ()


def extra_statements(place: Place, extras: Extras) -> tuple[Statement, ...]:
    """Allow just these targets."""
    return (*_tells(place, extras.notify), *_measures(extras.metrics))


def _tells(place: Place, targets: Sequence[Target]) -> Iterator[Statement]:
    topics = tuple(each.arn for each in targets if isinstance(each, TopicTarget))
    buses = tuple(_bus_arn(place, each) for each in targets if isinstance(each, BusTarget))
    if topics:
        yield Statement(sid="PublishNotices", actions=("sns:Publish",), resources=topics)
    if buses:
        yield Statement(sid="PutNotices", actions=("events:PutEvents",), resources=buses)
    for number, each in enumerate(targets):
        if isinstance(each, WebhookTarget) and each.source is not None:
            yield from reads_source(place, each.source, "", f"Webhook{number or ''}")


def _bus_arn(place: Place, target: BusTarget) -> str:
    return target.bus if target.bus.startswith("arn:") else place.arn("events", f"event-bus/{target.bus}")


def _measures(targets: Sequence[MeterTarget]) -> Iterator[Statement]:
    spaces = tuple(each.namespace for each in targets if each.kind is MeterKind.CLOUDWATCH)
    if spaces:
        # CloudWatch knows no resource for it; the namespace is what it can be narrowed by.
        only = {"StringEquals": {"cloudwatch:namespace": spaces}}
        yield Statement(sid="PutMetrics", actions=("cloudwatch:PutMetricData",), resources=(ANY,), conditions=only)
