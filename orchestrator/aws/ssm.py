"""SSM Run Command behind the port `Commands`: one call, page it fully, translate."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    HTTPClientError,
    NoCredentialsError,
    ParamValidationError,
)
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from orchestrator.aws.documents import Pin
from orchestrator.aws.session import client_fault, code_of, translated
from orchestrator.core.model import Ping
from orchestrator.core.orders import comment_of
from orchestrator.core.result import Op
from orchestrator.ports import Accepted, Answer, Clock, Doubtful, Invocation, Order, Rejected

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient
    from mypy_boto3_ssm.type_defs import CommandFilterTypeDef, CommandTypeDef

_PAGE = 50
_THROTTLED = frozenset({"ThrottlingException", "Throttling", "TooManyRequestsException"})
_ENDED = frozenset(
    {
        "success",
        "failed",
        "cancelled",
        "terminated",
        "deliverytimedout",
        "executiontimedout",
        "undeliverable",
        "invalidplatform",
        "accessdenied",
        "timedout",
    }
)
# Of a command as a whole, whose StatusDetails are other words than an invocation's (Incomplete, NoInstancesInTag).
_UNDER_WAY = frozenset({"Pending", "InProgress", "Cancelling"})
_SURELY_NOT_SENT = 500


class SsmCommands:
    """Run Command with our documents at pinned versions."""

    def __init__(
        self, *, client: "SSMClient", once: "SSMClient", pins: Mapping[Op, Pin], clock: Clock, attempts: int = 8
    ) -> None:
        self._client = client
        self._once = once
        self._pins = pins
        self._clock = clock
        self._attempts = attempts

    def send(self, order: Order) -> Answer:
        """Send once. Only throttling is tried again: AWS says by it that nothing was begun (F70, F76)."""
        retrying = Retrying(
            retry=retry_if_exception(lambda error: isinstance(error, ClientError) and code_of(error) in _THROTTLED),
            stop=stop_after_attempt(self._attempts),
            wait=wait_random_exponential(multiplier=0.5, max=10),
            sleep=self._clock.wait,
            reraise=True,
        )
        try:
            return retrying(self._send, order)
        except (NoCredentialsError, EndpointConnectionError, ParamValidationError) as error:
            return Rejected(str(error), instances=False)  # it never left this machine
        except ClientError as error:
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            if status >= _SURELY_NOT_SENT:
                return Doubtful(client_fault("ssm:SendCommand", error).message)
            return Rejected(client_fault("ssm:SendCommand", error).message, code_of(error) == "InvalidInstanceId")
        except (HTTPClientError, BotoCoreError) as error:
            # Whatever happened on the wire: the request may have arrived.
            return Doubtful(f"{type(error).__name__}")

    def _send(self, order: Order) -> Answer:
        pin = self._pins[order.op]
        answer = self._once.send_command(
            DocumentName=pin.name,
            DocumentVersion=pin.version,
            DocumentHash=pin.digest,
            DocumentHashType="Sha256",
            InstanceIds=list(order.instance_ids),
            Parameters={name: [value] for name, value in order.parameters.items()},
            Comment=order.comment,
            TimeoutSeconds=order.delivery_seconds,
            MaxConcurrency="100%",  # our window and budget rule, not SSM's (F70: the default is 50)
            MaxErrors="100%",
        )
        return Accepted(answer["Command"]["CommandId"])

    def find(self, comment: str, since: float) -> str | None:
        """Find a command by its comment."""
        return next((each["CommandId"] for each in self._sent(since) if each.get("Comment") == comment), None)

    def ended(self, op: Op, since: float) -> Mapping[str, int]:
        """Count what has ended of each of our commands: 50 commands a page, that is 2,500 instances."""
        name = self._pins[op].name
        return {each["CommandId"]: each.get("CompletedCount", 0) for each in self._sent(since, document=name)}

    def busy(self, run: str, since: float) -> bool:
        """Say whether a command of that run may still be at work."""
        prefix = comment_of(run, "")
        return any(
            each.get("Comment", "").startswith(prefix) and each["Status"] in _UNDER_WAY for each in self._sent(since)
        )

    def _sent(self, since: float, document: str = "") -> "Iterator[CommandTypeDef]":
        """List the commands, or those of a document, requested since then; a minute earlier, for the clocks."""
        after = datetime.fromtimestamp(since - 60, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        filters: list[CommandFilterTypeDef] = [{"key": "InvokedAfter", "value": after}]
        if document:
            filters.append({"key": "DocumentName", "value": document})
        with translated("ssm:ListCommands"):
            pages = self._client.get_paginator("list_commands").paginate(
                Filters=filters, PaginationConfig={"PageSize": _PAGE}
            )
            for page in pages:
                yield from page["Commands"]

    def poll(self, command_id: str) -> Sequence[Invocation]:
        """Read every invocation, output included: pages of 50 (F72)."""
        with translated("ssm:ListCommandInvocations"):
            pages = self._client.get_paginator("list_command_invocations").paginate(
                CommandId=command_id, Details=True, PaginationConfig={"PageSize": _PAGE}
            )
            return [
                Invocation(
                    instance_id=each["InstanceId"],
                    status=each.get("StatusDetails", "") or each.get("Status", ""),
                    ended=normalised(each.get("StatusDetails", "") or each.get("Status", "")) in _ENDED,
                    stdout=each["CommandPlugins"][0].get("Output", "") if each.get("CommandPlugins") else "",
                )
                for page in pages
                for each in page["CommandInvocations"]
            ]

    def full_output(self, command_id: str, instance_id: str) -> str:
        """Read up to 24,000 characters of one invocation's stdout."""
        with translated("ssm:GetCommandInvocation"):
            answer = self._client.get_command_invocation(CommandId=command_id, InstanceId=instance_id)
        return answer["StandardOutputContent"]

    def ping(self, instance_ids: Iterable[str]) -> Mapping[str, Ping]:
        """Ask for the SSM agents' state, 50 ids a call (F71)."""
        wanted = sorted(set(instance_ids))
        found: dict[str, Ping] = {}
        with translated("ssm:DescribeInstanceInformation"):
            paginator = self._client.get_paginator("describe_instance_information")
            for start in range(0, len(wanted), _PAGE):
                chunk = wanted[start : start + _PAGE]
                for page in paginator.paginate(
                    Filters=[{"Key": "InstanceIds", "Values": chunk}], PaginationConfig={"PageSize": _PAGE}
                ):
                    for each in page["InstanceInformationList"]:
                        found[each["InstanceId"]] = Ping(each["PingStatus"])
        return {each: found.get(each, Ping.UNREGISTERED) for each in wanted}


def normalised(status: str) -> str:
    """Give one spelling of a status: AWS writes `Delivery Timed Out` and `DeliveryTimedOut` (F74)."""
    return status.replace(" ", "").lower()
