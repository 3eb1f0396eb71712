"""What a run measures."""

import json

import pytest

from orchestrator.core.metrics import MeterKind, Metric, Unit, embedded, metrics_of, parse_meter
from orchestrator.core.model import Ping
from orchestrator.core.settings import EVERYTHING, Policy
from orchestrator.errors import UsageError
from tests.fake_fleet import Host, fleet_of, roll


def values(metrics: tuple[Metric, ...]) -> dict[str, float]:
    return {each.name: each.value for each in metrics}


def test_a_run_is_measured_by_outcome_and_time() -> None:
    """Updated, failed, unreachable and refused are counted, and how long it took."""
    hosts = [
        *fleet_of(4),
        Host("i-0000000000000a001", behaviour="rolled_back"),
        Host("i-0000000000000a002", ping=Ping.CONNECTION_LOST),
        Host("i-0000000000000a003", persistence="ephemeral"),
    ]
    state, _, _ = roll(hosts, Policy(max_unreachable=(EVERYTHING,), max_failures=(EVERYTHING,)))
    found = values(metrics_of(state, failed=True, oldest_age=86400.0))
    assert state.ended_at is not None
    assert found == {
        "RunFailed": 1.0,
        "OldestGenerationAge": 86400.0,
        "Updated": 4.0,
        "Failed": 1.0,
        "Unreachable": 1.0,
        "Refused": 1.0,
        "Duration": state.ended_at - state.started_at,
    }


def test_a_command_without_a_run_is_measured_all_the_same() -> None:
    """A night with nothing to do, and one whose run could not begin, still say that somebody was there."""
    assert values(metrics_of(None, failed=False)) == {"RunFailed": 0.0}
    assert values(metrics_of(None, failed=True)) == {"RunFailed": 1.0}


def test_taking_a_run_back_is_no_failure() -> None:
    """What a restore restores is what was wanted."""
    state, world, _ = roll(fleet_of(2))
    back, _, _ = roll(world.hosts.values(), run="run-2", fence=2, restores="run-1")
    assert state.failed == 0
    assert values(metrics_of(back, failed=False))["Failed"] == 0.0


def test_the_embedded_format_is_cloudwatchs() -> None:
    """The line holds the directive that the specification asks for: namespace, dimensions, names with units, values."""
    metrics = (
        Metric(name="Updated", value=3.0, unit=Unit.COUNT),
        Metric(name="Duration", value=1.5, unit=Unit.SECONDS),
    )
    found = json.loads(json.dumps(embedded(metrics, namespace="team", cluster="web", at=1_700_000_000.5)))
    assert found == {
        "_aws": {
            "Timestamp": 1_700_000_000_500,
            "CloudWatchMetrics": [
                {
                    "Namespace": "team",
                    "Dimensions": [["Cluster"]],
                    "Metrics": [{"Name": "Updated", "Unit": "Count"}, {"Name": "Duration", "Unit": "Seconds"}],
                }
            ],
        },
        "Cluster": "web",
        "Updated": 3.0,
        "Duration": 1.5,
    }


@pytest.mark.parametrize(
    ("text", "kind", "namespace"),
    [
        ("cloudwatch:team/registry", MeterKind.CLOUDWATCH, "team/registry"),
        ("cloudwatch", MeterKind.CLOUDWATCH, "ecs-rollout"),
        ("emf", MeterKind.EMF, "ecs-rollout"),
        ("emf:team", MeterKind.EMF, "team"),
    ],
)
def test_places_for_metrics(text: str, kind: MeterKind, namespace: str) -> None:
    """Both kinds are read, with or without a namespace."""
    found = parse_meter(text)
    assert (found.kind, found.namespace) == (kind, namespace)


@pytest.mark.parametrize(
    "text", ["", "statsd", "cloudwatch:", "cloudwatch:AWS/ECS", "emf:a\nb", "cloudwatch:" + "x" * 256]
)
def test_bad_places_are_refused(text: str) -> None:
    """CloudWatch's own namespaces, empty ones and other services are refused."""
    with pytest.raises(UsageError):
        parse_meter(text)
