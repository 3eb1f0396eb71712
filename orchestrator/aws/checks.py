"""What only `doctor` asks AWS: who we are, what time it is there, and whether calls are allowed. Reads only."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from orchestrator.aws.session import Session, client_fault, code_of, translated
from orchestrator.errors import EnvironmentFault, RefusedError, RolloutError
from orchestrator.ports import Clock

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_ssm import SSMClient

_NOBODY = "i-00000000000000000"
_NO_COMMAND = "00000000-0000-0000-0000-000000000000"

READS: "Mapping[str, Callable[[SSMClient], object]]" = {
    "ssm:ListCommands": lambda client: client.list_commands(MaxResults=1),
    "ssm:ListCommandInvocations": lambda client: client.list_command_invocations(MaxResults=1),
    "ssm:GetCommandInvocation": lambda client: client.get_command_invocation(CommandId=_NO_COMMAND, InstanceId=_NOBODY),
}
"""Calls that a run needs and that no other check makes; IAM answers before SSM looks for what is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Greeting:
    """What STS answered. `arn`: who we are, empty where `fault` says why not. `skew`: our clock against AWS's."""

    arn: str = ""
    fault: RolloutError | None = None
    skew: float | None = None


def greet(session: Session, clock: Clock) -> Greeting:
    """Ask STS who we are, which needs no permission. Its answer has AWS's time, also where it is a refusal."""
    before = clock.now()
    arn, fault = "", None
    answer: Any = {}
    try:
        with translated("sts:GetCallerIdentity"):
            try:
                answer = session.sts_brief().get_caller_identity()
                arn = str(answer["Arn"])
            except ClientError as error:
                answer = error.response
                raise
    except RolloutError as error:
        fault = error
    date = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", "")
    return Greeting(arn=arn, fault=fault, skew=_skew(date, before, clock.now()))


def _skew(date: str, before: float, after: float) -> float | None:
    try:
        theirs = parsedate_to_datetime(date).timestamp() + 0.5  # written in whole seconds
    except ValueError:
        return None
    return (before + after) / 2 - theirs


def reads(client: "SSMClient") -> Iterator[tuple[str, EnvironmentFault | None]]:
    """Try each of READS; say of each what AWS has against it, None where it is allowed."""
    for action, call in READS.items():
        fault = None
        with translated(action):
            try:
                call(client)
            except ClientError as error:
                if code_of(error) != "InvocationDoesNotExist":
                    fault = client_fault(action, error)
        yield action, fault


def require_bucket(client: "S3Client", bucket: str) -> None:
    """Raise RefusedError where there is no such bucket; one that we may not look at is there all the same."""
    with translated("s3:ListBucket"):
        try:
            client.head_bucket(Bucket=bucket)
        except ClientError as error:
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
            if status == 404:  # noqa: PLR2004 - HTTP's own number; HEAD answers have no code of AWS
                raise RefusedError(f"There is no bucket {bucket}.", hint="Check --delivery-bucket.") from error
            if status not in {301, 400, 403}:
                raise
