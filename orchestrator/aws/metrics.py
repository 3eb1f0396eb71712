"""Put a run's metrics into CloudWatch."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from orchestrator.aws.session import translated
from orchestrator.core.metrics import Metric

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudWatchMeter:
    """PutMetricData under one namespace, with the dimension Cluster."""

    client: "CloudWatchClient"
    namespace: str

    @property
    def name(self) -> str:
        """What it is called in messages."""
        return f"cloudwatch:{self.namespace}"

    def put(self, metrics: Sequence[Metric], *, cluster: str, at: float) -> None:
        """Put them in one call; `at` in epoch seconds. Raises EnvironmentFault."""
        with translated("cloudwatch:PutMetricData"):
            self.client.put_metric_data(
                Namespace=self.namespace,
                MetricData=[
                    {
                        "MetricName": each.name,
                        "Dimensions": [{"Name": "Cluster", "Value": cluster}],
                        "Timestamp": datetime.fromtimestamp(at, UTC),
                        "Value": each.value,
                        "Unit": each.unit.value,
                    }
                    for each in metrics
                ],
            )
