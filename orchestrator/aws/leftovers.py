"""Find the copies of a credential that dead runs have delivered and not removed, by the path that all share."""

from typing import TYPE_CHECKING

from orchestrator.aws.secrets import UNVERSIONED, Delivery, S3Delivery, SecretsManagerDelivery, SsmDelivery
from orchestrator.aws.session import translated
from orchestrator.core.orders import PayloadReference
from orchestrator.core.payload import Store

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_ssm import SSMClient


def leftovers(delivery: Delivery, path: str) -> tuple[PayloadReference, ...]:
    """List what lies under `path`, the folder of a cluster's payloads; nothing of it is decrypted or read."""
    match delivery:
        case SsmDelivery(client=ssm):
            return tuple(_copy(Store.SSM, name) for name in _parameters(ssm, path))
        case SecretsManagerDelivery(client=manager):
            return tuple(_copy(Store.SECRETSMANAGER, name) for name in _secrets(manager, f"{path}/"))
        case S3Delivery(client=s3, bucket=bucket):
            return tuple(
                _copy(Store.S3, f"{bucket}/{key}", version) for key, version in _objects(s3, bucket, f"{path}/")
            )
        case _:
            raise AssertionError(f"not a store of ours: {delivery}")


def copies_of(delivery: Delivery, name: str) -> tuple[PayloadReference, ...]:
    """Name every copy that one run may have delivered under `name`: in a bucket each version is one of its own."""
    match delivery:
        case S3Delivery(bucket=bucket):
            key = f"{bucket}/{name.removeprefix('/')}"
            found = leftovers(delivery, name.rpartition("/")[0])
            return tuple(each for each in found if each.name == key)
        case SecretsManagerDelivery():
            return (_copy(Store.SECRETSMANAGER, name),)
        case _:
            return (_copy(Store.SSM, name),)


def _copy(store: Store, name: str, version: str = UNVERSIONED) -> PayloadReference:
    return PayloadReference(store=store, name=name, version=version, url="", region="", digest="")


def _parameters(client: "SSMClient", path: str) -> list[str]:
    with translated("ssm:GetParametersByPath"):
        pages = client.get_paginator("get_parameters_by_path").paginate(Path=path)
        return [each["Name"] for page in pages for each in page["Parameters"]]


def _secrets(client: "SecretsManagerClient", prefix: str) -> list[str]:
    with translated("secretsmanager:ListSecrets"):
        pages = client.get_paginator("list_secrets").paginate(Filters=[{"Key": "name", "Values": [prefix]}])
        names = [each["Name"] for page in pages for each in page["SecretList"]]
    return [name for name in names if name.startswith(prefix)]  # the filter also matches inside of words


def _objects(client: "S3Client", bucket: str, prefix: str) -> list[tuple[str, str]]:
    with translated("s3:ListBucketVersions"):
        pages = client.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix.removeprefix("/"))
        return [(each["Key"], each["VersionId"]) for page in pages for each in page.get("Versions", ())]
