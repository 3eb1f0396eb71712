"""Keep the delivered payload where instances can fetch it, and the key that names generations.

Every call here that carries a secret leaves AWS's own message out of its errors: validation messages repeat the
value that they complain about.
"""

import base64
import binascii
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit, urlunsplit

from botocore.exceptions import ClientError, ParamValidationError

from orchestrator.aws.session import client_fault, code_of, denied_action, translated
from orchestrator.core.orders import PayloadReference
from orchestrator.core.payload import Store, payload_digest
from orchestrator.errors import EnvironmentFault, RefusedError

if TYPE_CHECKING:
    from botocore.awsrequest import AWSRequest
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import PutObjectRequestTypeDef
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_secretsmanager.type_defs import CreateSecretRequestTypeDef
    from mypy_boto3_ssm import SSMClient
    from mypy_boto3_ssm.type_defs import PutParameterRequestTypeDef

DEFAULT_PREFIX = "/ecs-rollout"
KEY_BYTES = 32
_STANDARD_TIER = 4 * 1024
_ADVANCED_TIER = 8 * 1024
_LARGEST_SECRET = 64 * 1024
# What S3 calls the version of an object in a bucket that keeps none.
UNVERSIONED = "null"


class Delivery(Protocol):
    """One store: put a payload there at a pinned version, take it away again."""

    def deliver(self, name: str, payload: str) -> PayloadReference:
        """Store it under `name`, which `payload_name` makes; raises RefusedError where it is too large."""
        ...

    def remove(self, reference: PayloadReference) -> None:
        """Take it away for good; one that is gone already is no error."""
        ...


def payload_name(cluster: str, run: str, *, prefix: str = DEFAULT_PREFIX) -> str:
    """Name a run's payload; all of a cluster's lie under one path, for policies and for sweeping."""
    return f"{prefix.rstrip('/')}/{cluster}/payload/{run}"


def cluster_key(client: "SSMClient", cluster: str, fresh: bytes, *, prefix: str = DEFAULT_PREFIX) -> bytes:
    """Return the cluster's key for generations, and make it of `fresh`, 32 random bytes, where there is none.

    Created without overwrite, which is atomic: of two controllers at once one creates, and both return that key.
    """
    if len(fresh) != KEY_BYTES:
        raise ValueError("a key is made of 32 bytes")
    name = f"{prefix.rstrip('/')}/{cluster}/key"
    found = _read_key(client, name)
    if found is not None:
        return found
    with silent("ssm:PutParameter"):
        try:
            client.put_parameter(
                Name=name, Value=base64.b64encode(fresh).decode("ascii"), Type="SecureString", Overwrite=False
            )
        except ClientError as error:
            if code_of(error) != "ParameterAlreadyExists":
                raise
    # Read back even after our own creation: the answer to a first attempt may have been lost, and what is
    # stored is what every later run will find.
    found = _read_key(client, name)
    if found is None:
        raise EnvironmentFault(f"The key {name} was made and cannot be found.", hint="Run again.")
    return found


def existing_key(client: "SSMClient", cluster: str, *, prefix: str = DEFAULT_PREFIX) -> bytes | None:
    """Return the cluster's key; None where no run has made one yet."""
    return _read_key(client, f"{prefix.rstrip('/')}/{cluster}/key")


def _read_key(client: "SSMClient", name: str) -> bytes | None:
    with translated("ssm:GetParameter"):
        try:
            value = client.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"]
        except ClientError as error:
            if code_of(error) == "ParameterNotFound":
                return None
            raise
    try:
        key = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise EnvironmentFault(
            f"{name} does not hold a key that ecs-rollout made.",
            hint="Find out who wrote to it. Deleting it makes every instance look outdated once.",
        )
    return key


@dataclass(frozen=True, slots=True)
class SsmDelivery:
    """SSM SecureString. Without `kms_key` it is the account's default key, which F78 says who can use."""

    client: "SSMClient"
    kms_key: str | None = None

    def deliver(self, name: str, payload: str) -> PayloadReference:
        """Put a new version, in the advanced tier where it is over 4 KiB."""
        if len(payload) > _ADVANCED_TIER:
            raise _too_large(len(payload), _ADVANCED_TIER, "--delivery secretsmanager (64 KiB) or --delivery s3")
        request: PutParameterRequestTypeDef = {
            "Name": name,
            "Value": payload,
            "Type": "SecureString",
            "Tier": "Standard" if len(payload) <= _STANDARD_TIER else "Advanced",
            "Overwrite": True,
        }
        if self.kms_key:
            request["KeyId"] = self.kms_key
        with silent("ssm:PutParameter"):
            version = self.client.put_parameter(**request)["Version"]
        return PayloadReference(
            store=Store.SSM,
            name=name,
            version=str(version),
            url=self.client.meta.endpoint_url,
            region=self.client.meta.region_name,
            digest=payload_digest(payload),
        )

    def remove(self, reference: PayloadReference) -> None:
        """Delete the parameter with all its versions."""
        with translated("ssm:DeleteParameter"):
            try:
                self.client.delete_parameter(Name=reference.name)
            except ClientError as error:
                if code_of(error) != "ParameterNotFound":
                    raise


@dataclass(frozen=True, slots=True)
class SecretsManagerDelivery:
    """A secret of its own for every run."""

    client: "SecretsManagerClient"
    kms_key: str | None = None

    def deliver(self, name: str, payload: str) -> PayloadReference:
        """Create the secret, or put another version where this run made it before."""
        if len(payload) > _LARGEST_SECRET:
            raise _too_large(len(payload), _LARGEST_SECRET, "--delivery s3")
        digest = payload_digest(payload)
        version = self._create(name, payload, digest) or self._add(name, payload, digest)
        return PayloadReference(
            store=Store.SECRETSMANAGER,
            name=name,
            version=version,
            url=self.client.meta.endpoint_url,
            region=self.client.meta.region_name,
            digest=digest,
        )

    def _create(self, name: str, payload: str, token: str) -> str:
        """Return the version's id, or nothing where the secret is there already.

        The request token becomes the version's id. The payload's nonce makes it unique, and a retry repeats it.
        """
        request: CreateSecretRequestTypeDef = {
            "Name": name,
            "SecretString": payload,
            "ClientRequestToken": token,
        }
        if self.kms_key:
            request["KmsKeyId"] = self.kms_key
        with silent("secretsmanager:CreateSecret"):
            try:
                return self.client.create_secret(**request)["VersionId"]
            except ClientError as error:
                if code_of(error) == "ResourceExistsException":
                    return ""
                raise

    def _add(self, name: str, payload: str, token: str) -> str:
        with silent("secretsmanager:PutSecretValue"):
            answer = self.client.put_secret_value(SecretId=name, SecretString=payload, ClientRequestToken=token)
            return answer["VersionId"]

    def remove(self, reference: PayloadReference) -> None:
        """Delete the secret at once, without the recovery window in which it could still be restored."""
        with translated("secretsmanager:DeleteSecret"):
            try:
                self.client.delete_secret(SecretId=reference.name, ForceDeleteWithoutRecovery=True)
            except ClientError as error:
                if code_of(error) != "ResourceNotFoundException":
                    raise


@dataclass(frozen=True, slots=True)
class S3Delivery:
    """An object per run, encrypted with KMS, as the ECS guide recommends for credentials."""

    client: "S3Client"
    bucket: str
    kms_key: str | None = None

    def deliver(self, name: str, payload: str) -> PayloadReference:
        """Put the object; `name` without its leading slash is the key."""
        key = name.removeprefix("/")
        request: PutObjectRequestTypeDef = {
            "Bucket": self.bucket,
            "Key": key,
            "Body": payload.encode("ascii"),
            "ContentType": "text/plain",
            "ServerSideEncryption": "aws:kms",
        }
        if self.kms_key:
            request["SSEKMSKeyId"] = self.kms_key
        with silent("s3:PutObject"), _signed_requests(self.client) as requests:
            version = self.client.put_object(**request).get("VersionId")
        url, region = requests[-1]
        return PayloadReference(
            store=Store.S3,
            name=f"{self.bucket}/{key}",
            version=version or UNVERSIONED,
            url=url,
            region=region,
            digest=payload_digest(payload),
        )

    def remove(self, reference: PayloadReference) -> None:
        """Delete that very version: in a versioned bucket a plain delete would only hide it."""
        key = reference.name.removeprefix(f"{self.bucket}/")
        with translated("s3:DeleteObject"):
            if reference.version == UNVERSIONED:
                self.client.delete_object(Bucket=self.bucket, Key=key)
            else:
                self.client.delete_object(Bucket=self.bucket, Key=key, VersionId=reference.version)


@contextmanager
def _signed_requests(client: "S3Client") -> Iterator[list[tuple[str, str]]]:
    """Collect URL and signing Region of every request that the client makes meanwhile.

    botocore knows every endpoint rule, and follows a bucket into its Region: where the object was put is where
    it can be fetched.
    """
    seen: list[tuple[str, str]] = []

    def note(request: "AWSRequest", region_name: str, **_: object) -> None:
        region = request.context.get("signing", {}).get("region") or region_name
        url = urlsplit(str(request.url))
        seen.append((urlunsplit(url._replace(query="", fragment="")), region))

    client.meta.events.register("before-sign.s3.PutObject", note)
    try:
        yield seen
    finally:
        client.meta.events.unregister("before-sign.s3.PutObject", note)


@contextmanager
def silent(action: str) -> Iterator[None]:
    """Translate the errors of a call that carries a secret by their code alone."""
    with translated(action):
        try:
            yield
        except ClientError as error:
            message = "AWS's message is not shown, since it may repeat what was sent"
            told = ClientError({"Error": {"Code": code_of(error), "Message": message}}, error.operation_name)
            # `from None`: a chained error would stand in the traceback with AWS's message.
            raise client_fault(denied_action(action, error), told) from None
        except ParamValidationError:
            hint = "Check the delivery's options (KMS key, bucket)."
            raise EnvironmentFault(f"{action}: botocore does not take the request.", hint=hint) from None


def _too_large(size: int, limit: int, alternative: str) -> RefusedError:
    return RefusedError(
        f"The credential takes {size} bytes, and its store holds {limit}.", hint=f"Deliver with {alternative}."
    )
