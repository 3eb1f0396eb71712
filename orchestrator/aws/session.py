"""Make boto3 clients, and translate what botocore raises into errors that a user can act on."""

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,  # noqa: A004 - botocore's own; it has no other base for what never arrived
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
)
from botocore.model import OperationModel

from orchestrator.errors import EnvironmentFault, UsageError

if TYPE_CHECKING:
    from mypy_boto3_autoscaling import AutoScalingClient
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ecs import ECSClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_ssm import SSMClient

_CONNECT_SECONDS = 5
_READ_SECONDS = 30

# The one retry layer for throttling and transport (F76); tenacity waits only for named states.
_RETRIED = Config(
    retries={"mode": "adaptive", "total_max_attempts": 10},
    connect_timeout=_CONNECT_SECONDS,
    read_timeout=_READ_SECONDS,
    user_agent_extra="ecs-rollout",
)
# SendCommand has no idempotency token: one attempt, whatever happens (F70).
_ONCE = _RETRIED.merge(Config(retries={"mode": "standard", "total_max_attempts": 1}))

# Notices and metrics: nobody waits long for them.
_BRIEF = _RETRIED.merge(
    Config(retries={"mode": "standard", "total_max_attempts": 2}, connect_timeout=2, read_timeout=3)
)

# The journal: a run waits for it at every step, and can see its work through without it.
_JOURNAL = _RETRIED.merge(
    Config(retries={"mode": "standard", "total_max_attempts": 5}, connect_timeout=3, read_timeout=10)
)

RUN_AGAIN = "Read AWS's message; run again when it is mended."
"""What to do about an error that AWS answered with, where nothing better is known."""

_DENIED = frozenset({"AccessDeniedException", "AccessDenied", "AuthorizationError", "UnauthorizedOperation"})
_NAMED = re.compile(r"not authorized to perform: ([a-z0-9-]+:[A-Za-z]+)")
# Secrets Manager does not name the action that its KMS key's policy, or ours, denies.
_KEY_DENIED = "Access to KMS is not allowed"
_KEY_ACTIONS = {"secretsmanager:GetSecretValue": "kms:Decrypt"}
_BAD_CREDENTIALS = frozenset(
    {
        "ExpiredTokenException",
        "ExpiredToken",  # as STS and S3 write it
        "RequestExpired",
        "RequestTimeTooSkewed",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "UnrecognizedClientException",
        "InvalidSignatureException",
        "SignatureDoesNotMatch",
    }
)


# At DEBUG these print whole requests and answers, secrets included. Nobody who turns DEBUG on for everything means
# that, so they must be asked by name, after us.
for _noisy in ("boto3", "botocore", "urllib3", "s3transfer"):
    logging.getLogger(_noisy).setLevel(logging.WARNING)

_LOG = logging.getLogger(__name__)


def _asked(model: OperationModel, **_: object) -> None:
    """Log which operation is asked for, never with what: parameters may hold a secret."""
    _LOG.debug("%s:%s", model.service_model.service_name, model.name)


def _answered(model: OperationModel, parsed: Mapping[str, Any], **_: object) -> None:
    """Log the code of an error that AWS answered with."""
    code = parsed.get("Error", {}).get("Code")
    if code:
        _LOG.debug("%s:%s answered %s", model.service_model.service_name, model.name, code)


class CredentialsFault(EnvironmentFault):
    """There are no credentials, or AWS accepts them nowhere: no other call will fare better."""


class UnreachableFault(EnvironmentFault):
    """A service cannot be reached at all. `service`: as IAM writes it."""

    def __init__(self, message: str, *, hint: str, service: str) -> None:
        super().__init__(message, hint=hint)
        self.service = service


class Session:
    """The clients of one account and Region.

    Raises UsageError where no such profile is configured, or, unless none is `needed`, no Region.
    """

    def __init__(self, *, region: str | None, profile: str | None, needed: bool = True) -> None:
        try:
            self._boto = boto3.session.Session(region_name=region, profile_name=profile)
        except ProfileNotFound as error:
            raise UsageError(f"{error}.", hint="Name a profile of your AWS configuration with --profile.") from error
        self._boto.events.register("before-call", _asked)
        self._boto.events.register("after-call", _answered)
        if needed and not self._boto.region_name:
            raise UsageError("No AWS Region is configured.", hint="Say --region, or set AWS_DEFAULT_REGION.")
        self.region: str = self._boto.region_name or ""

    def partition(self) -> str:
        """Name the Region's partition: `aws`, `aws-cn`, `aws-us-gov`. Raises UsageError for no such Region."""
        try:
            return self._boto.get_partition_for_region(self.region)
        except BotoCoreError as error:
            raise UsageError(f"{self.region!r} is not an AWS Region.", hint="Check --region.") from error

    def account(self) -> str:
        """Ask for the account's id; needs credentials, and no permission."""
        with translated("sts:GetCallerIdentity"):
            return str(self._boto.client("sts", config=_RETRIED).get_caller_identity()["Account"])

    def sts_brief(self) -> Any:  # noqa: ANN401 - one call, of which the reply's headers are wanted
        """AWS STS, given up after seconds: private networks often have no way to it."""
        return self._boto.client("sts", config=_BRIEF)

    def ecs(self) -> "ECSClient":
        """Amazon ECS."""
        return self._boto.client("ecs", config=_RETRIED)

    def ssm(self) -> "SSMClient":
        """Systems Manager, for everything that may be retried."""
        return self._boto.client("ssm", config=_RETRIED)

    def ssm_once(self) -> "SSMClient":
        """Systems Manager, for SendCommand alone: never retried."""
        return self._boto.client("ssm", config=_ONCE)

    def secretsmanager(self) -> "SecretsManagerClient":
        """Secrets Manager."""
        return self._boto.client("secretsmanager", config=_RETRIED)

    def cloudwatch(self) -> "CloudWatchClient":
        """Amazon CloudWatch."""
        return self._boto.client("cloudwatch", config=_RETRIED)

    def cloudwatch_brief(self) -> "CloudWatchClient":
        """Amazon CloudWatch, given up after seconds."""
        return self._boto.client("cloudwatch", config=_BRIEF)

    def sns_brief(self, region: str) -> "SNSClient":
        """Amazon SNS in a topic's Region, given up after seconds."""
        return self._boto.client("sns", config=_BRIEF, region_name=region)

    def events_brief(self, region: str | None) -> "EventBridgeClient":
        """Amazon EventBridge in a bus's Region, given up after seconds."""
        return self._boto.client("events", config=_BRIEF, region_name=region)

    def autoscaling(self) -> "AutoScalingClient":
        """Amazon EC2 Auto Scaling."""
        return self._boto.client("autoscaling", config=_RETRIED)

    def dynamodb(self) -> "DynamoDBClient":
        """Amazon DynamoDB, for the journal."""
        return self._boto.client("dynamodb", config=_JOURNAL)

    def ec2(self) -> "EC2Client":
        """Amazon EC2."""
        return self._boto.client("ec2", config=_RETRIED)

    def s3(self) -> "S3Client":
        """Amazon S3."""
        return self._boto.client("s3", config=_RETRIED)


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Turn botocore's exceptions into ours. `doing` names the call as IAM does: `ssm:SendCommand`.

    AWS's own message is passed on: none of the calls made here carries a secret.
    """
    try:
        yield
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise CredentialsFault(
            "No AWS credentials were found.", hint="Log in (aws sso login), or set AWS_PROFILE or the access key."
        ) from error
    except NoRegionError as error:
        raise UsageError("No AWS Region is configured.", hint="Say --region, or set AWS_DEFAULT_REGION.") from error
    except ConnectionError as error:
        hint = "Check the network, the Region and AWS_ENDPOINT_URL."
        raise UnreachableFault(f"{doing}: {error}", hint=hint, service=doing.partition(":")[0]) from error
    except ClientError as error:
        raise client_fault(doing, error) from error
    except BotoCoreError as error:
        raise EnvironmentFault(f"{doing}: {error}", hint="Check the network and your AWS configuration.") from error


def code_of(error: ClientError) -> str:
    """AWS's error code."""
    return error.response.get("Error", {}).get("Code", "")


def client_fault(doing: str, error: ClientError) -> EnvironmentFault:
    """Word an error that AWS answered with."""
    code = code_of(error)
    message = error.response.get("Error", {}).get("Message", "")
    if code in _DENIED:
        action = denied_action(doing, error)
        hint = (
            f"Allow {action} to the role that runs ecs-rollout; `ecs-rollout iam --help` tells what prints its policy."
        )
        return EnvironmentFault(f"Not allowed: {action}.", hint=hint)
    if code in _BAD_CREDENTIALS:
        return CredentialsFault(
            f"AWS does not accept the credentials ({code}).", hint="Log in again, and check the clock and the Region."
        )
    return EnvironmentFault(f"{doing}: {code}: {message}", hint=RUN_AGAIN)


def denied_action(doing: str, error: ClientError) -> str:
    """Name the action that was denied: a call can need others than its own, as of KMS."""
    message = error.response.get("Error", {}).get("Message", "")
    named = _NAMED.search(message)
    if named:
        return named[1]
    if _KEY_DENIED in message:
        return f"{_KEY_ACTIONS.get(doing, 'kms:GenerateDataKey or kms:Decrypt')} (for {doing})"
    return doing
