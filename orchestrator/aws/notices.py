"""Send notices to an SNS topic or an EventBridge bus."""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.aws.session import translated
from orchestrator.core.notices import BusTarget, Notice, TopicTarget
from orchestrator.core.reasons import EXPLANATIONS
from orchestrator.errors import EnvironmentFault

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sns.type_defs import PublishInputTypeDef

SOURCE = "ecs-rollout"
"""What EventBridge rules match as `source`."""

_NAMED = 100


@dataclass(frozen=True, slots=True)
class TopicChannel:
    """An SNS topic; the attributes `moment` and `cluster` are for filter policies."""

    client: "SNSClient"
    target: TopicTarget

    @property
    def name(self) -> str:
        """The topic's ARN."""
        return str(self.target)

    def send(self, notice: Notice) -> None:
        """Publish it. Raises EnvironmentFault."""
        attributes = {"moment": notice.moment.value, "cluster": notice.cluster}
        request: PublishInputTypeDef = {
            "TopicArn": self.target.arn,
            "Subject": notice.subject,
            "Message": notice.text,
            "MessageAttributes": {
                key: {"DataType": "String", "StringValue": value} for key, value in attributes.items()
            },
        }
        if self.target.arn.endswith(".fifo"):
            request["MessageGroupId"] = notice.cluster[:128]
            request["MessageDeduplicationId"] = f"{notice.run}-{notice.moment}-{notice.at:.0f}"
        with translated("sns:Publish"):
            self.client.publish(**request)


@dataclass(frozen=True, slots=True)
class BusChannel:
    """An EventBridge bus; what is put there can start whatever a rule says."""

    client: "EventBridgeClient"
    target: BusTarget

    @property
    def name(self) -> str:
        """The bus."""
        return str(self.target)

    def send(self, notice: Notice) -> None:
        """Put the event. Raises EnvironmentFault, also where the bus takes the call and not the event."""
        with translated("events:PutEvents"):
            answer = self.client.put_events(
                Entries=[
                    {
                        "Source": SOURCE,
                        "DetailType": f"ECS Rollout {notice.moment.value.capitalize()}",
                        "Detail": json.dumps(detail(notice)),
                        "EventBusName": self.target.bus,
                    }
                ]
            )
        if answer["FailedEntryCount"]:
            entry = answer["Entries"][0]
            raise EnvironmentFault(
                f"events:PutEvents: {entry.get('ErrorCode', '')}: {entry.get('ErrorMessage', '')}",
                hint="Read AWS's message.",
            )


def detail(notice: Notice) -> dict[str, object]:
    """Write the event's detail; keys are added, never renamed (schema 1)."""
    return {
        "schema": 1,
        "moment": notice.moment,
        "cluster": notice.cluster,
        "account": notice.account,
        "region": notice.region,
        "run": notice.run,
        "result": notice.result,
        "why": notice.why,
        "counts": dict(notice.counts),
        "problems": [
            {
                "outcome": each.outcome,
                "reason": each.reason,
                "count": len(each.instances),
                "instances": list(each.instances[:_NAMED]),
                "meaning": EXPLANATIONS[each.reason].meaning,
                "seen": list(each.seen),
                "remedy": EXPLANATIONS[each.reason].remedy,
            }
            for each in notice.problems
        ],
        "next": notice.next,
        "text": notice.text,
    }
