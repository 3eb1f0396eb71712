"""What each request needs to be allowed: actions, resources, condition keys, as AWS's authorization reference has it.

A key of KMS is needed by whoever stores or reads under a customer key; which key something is stored under is learnt
from the requests that stored it. The default keys of the stores need no permission of their own.
"""

import re
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.lab.messages import PlainRequest, json_params
from orchestrator.lab.permissions import Need
from orchestrator.lab.wire import AwsError

Tags = Callable[[str], Mapping[str, str]]

_ADVANCED = "Advanced"
_SELECTOR = re.compile(r"(?<=[A-Za-z0-9_.-]):[A-Za-z0-9_.-]+$")
# The end that Secrets Manager puts behind a name; in the lab, where names are ARNs enough, always this one.
_SUFFIX = "-Lab001"
# Where a service signs under another name than IAM's.
_PREFIXES = {"monitoring": "cloudwatch"}
_PARTS = {"Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem", "ConditionCheck": "ConditionCheckItem"}
_FREE = frozenset({("sts", "GetCallerIdentity")})
_S3_ACTIONS = {"GET": "GetObject", "HEAD": "GetObject", "PUT": "PutObject", "DELETE": "DeleteObject"}
_S3_ASPECTS = {"tagging": "GetObjectTagging", "acl": "GetObjectAcl"}
_S3_KEY = "x-amz-server-side-encryption-aws-kms-key-id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request as its service understands it; `service` is the one that it was signed for."""

    service: str
    operation: str
    region: str
    params: Mapping[str, Any]
    request: PlainRequest


def call_of(request: PlainRequest, service: str, region: str) -> Call:
    """Read a request's operation and, in the JSON protocol, its parameters."""
    params = json_params(request.body) if request.header("X-Amz-Target") else {}
    return Call(service=service, operation=request.operation, region=region, params=params, request=request)


class Needs:
    """Knows what requests need in one account, and under which customer key things are stored."""

    def __init__(self, account: str, tags: Tags) -> None:
        self._account = account
        self._tags = tags
        self._keys: dict[str, str] = {}

    def of(self, call: Call) -> tuple[Need, ...]:
        """List everything that must be allowed. Raises AwsError where the request lacks what it is about."""
        try:
            return self._of(call)
        except KeyError as error:
            raise AwsError("ValidationException", f"The request has no {error}.") from error

    def _of(self, call: Call) -> tuple[Need, ...]:
        if (call.service, call.operation) in _FREE:
            return ()
        service = _PREFIXES.get(call.service, call.service)
        action = f"{service}:{call.operation}"
        match service:
            case "ssm":
                return self._ssm(call, action)
            case "ecs":
                return self._ecs(call, action)
            case "secretsmanager":
                return self._secret(call, action)
            case "s3":
                return self._object(call)
            case "dynamodb":
                return self._table(call, action)
            case "sns":
                fields = urllib.parse.parse_qs(call.request.body.decode())
                return (Need(action=action, resource=fields.get("TopicArn", ["*"])[0]),)
            case "events":
                return self._events(call, action)
            case "cloudwatch" if call.operation == "PutMetricData":
                return (Need(action=action, context={"cloudwatch:namespace": call.params["Namespace"]}),)
            case _:
                return (Need(action=action),)

    def note(self, call: Call) -> None:
        """Remember the customer key of what an allowed request stores."""
        match call.operation:
            case "PutParameter":
                stored, key = self._parameter(call, call.params.get("Name", "")), call.params.get("KeyId", "")
            case "CreateSecret":
                stored, key = self._secret_arn(call, call.params.get("Name", "")), call.params.get("KmsKeyId", "")
            case _ if call.service == "s3" and call.request.method == "PUT":
                stored, key = _object_arn(call), call.request.header(_S3_KEY)
            case _:
                return
        self._keys[stored] = "" if key.startswith("alias/aws/") else self._key(call, key)

    def _table(self, call: Call, action: str) -> tuple[Need, ...]:
        """Tell what a table's use needs: a transaction is no action of its own, its parts are."""
        if call.operation != "TransactWriteItems":
            return (Need(action=action, resource=self._arn(call, f"table/{call.params.get('TableName', '')}")),)
        return tuple(
            Need(action=f"dynamodb:{_PARTS[kind]}", resource=self._arn(call, f"table/{part['TableName']}"))
            for item in call.params["TransactItems"]
            for kind, part in item.items()
        )

    def _events(self, call: Call, action: str) -> tuple[Need, ...]:
        """Tell what an event needs: its bus, which is named or given by its ARN."""
        buses = [each.get("EventBusName", "default") for each in call.params.get("Entries", ())]
        return tuple(
            Need(action=action, resource=bus if bus.startswith("arn:") else self._arn(call, f"event-bus/{bus}"))
            for bus in buses or ["*"]
        )

    def _ssm(self, call: Call, action: str) -> tuple[Need, ...]:
        params = call.params
        match call.operation:
            case "SendCommand":
                return (self._document(call, action, params["DocumentName"]), *self._instances(call, action))
            case "GetParametersByPath":
                return (Need(action=action, resource=self._parameter(call, params["Path"])),)
            case "GetParameter" | "DeleteParameter" | "PutParameter":
                return self._one_parameter(call, action, params["Name"])
            case "GetParameters" | "DeleteParameters":
                return tuple(need for name in params["Names"] for need in self._one_parameter(call, action, name))
            case _ if "Document" in call.operation and "Name" in params:
                return (self._document(call, action, params["Name"]),)
            case _:
                return (Need(action=action),)

    def _document(self, call: Call, action: str, name: str) -> Need:
        owner = "" if name.startswith("AWS-") else self._account
        arn = name if name.startswith("arn:") else f"arn:aws:ssm:{call.region}:{owner}:document/{name}"
        return Need(action=action, resource=arn)

    def _instances(self, call: Call, action: str) -> tuple[Need, ...]:
        needs = []
        # With targets instead of ids, nothing less than every instance is asked for.
        for each in call.params.get("InstanceIds") or ["*"]:
            managed = each.startswith("mi-")
            arn = self._arn(
                call, f"managed-instance/{each}" if managed else f"instance/{each}", "" if managed else "ec2"
            )
            context = {
                f"{prefix}/{key}": value
                for key, value in self._tags(each).items()
                for prefix in ("ssm:resourceTag", "aws:ResourceTag")
            }
            needs.append(Need(action=action, resource=arn, context=context))
        return tuple(needs)

    def _one_parameter(self, call: Call, action: str, name: str) -> tuple[Need, ...]:
        params = call.params
        arn = self._parameter(call, name)
        context = {}
        if call.operation == "PutParameter":
            context = {"ssm:Overwrite": "true"} if params.get("Overwrite") else {"ssm:Overwrite": "false"}
        need = Need(action=action, resource=arn, context=context)
        key = self._keys.get(arn, "")
        if call.operation == "PutParameter" and params.get("KeyId"):
            encrypting = "GenerateDataKey" if params.get("Tier") == _ADVANCED else "Encrypt"
            return (need, self._key_need(call, encrypting, params["KeyId"], {"PARAMETER_ARN": arn}))
        if key and params.get("WithDecryption"):
            return (need, self._key_need(call, "Decrypt", key, {"PARAMETER_ARN": arn}))
        return (need,)

    def _ecs(self, call: Call, action: str) -> tuple[Need, ...]:
        params = call.params
        cluster = self._ecs_arn(call, "cluster", params.get("cluster") or "default")
        context = {"ecs:cluster": cluster}
        many = params.get("containerInstances") or [each["targetId"] for each in params.get("attributes") or ()]
        match call.operation:
            case "DescribeClusters":
                wanted = params.get("clusters") or ["default"]
                return tuple(Need(action=action, resource=self._ecs_arn(call, "cluster", each)) for each in wanted)
            case "DescribeCapacityProviders":
                wanted = params.get("capacityProviders") or ["*"]
                return tuple(
                    Need(action=action, resource=self._ecs_arn(call, "capacity-provider", each)) for each in wanted
                )
            case "ListContainerInstances" | "DeregisterContainerInstance" | "ListAttributes":
                return (Need(action=action, resource=cluster),)
            case "ListTasks":
                where = f"{cluster.rpartition('/')[2]}/{params.get('containerInstance', '*').rpartition('/')[2]}"
                return (
                    Need(action=action, resource=self._ecs_arn(call, "container-instance", where), context=context),
                )
            case "DescribeTasks" | "StopTask":
                wanted = params.get("tasks") or [params.get("task", "")]
                return tuple(
                    Need(action=action, resource=self._ecs_arn(call, "task", each), context=context) for each in wanted
                )
            case "DescribeServices":
                where = cluster.rpartition("/")[2]
                named = [
                    each if each.startswith("arn:") else self._ecs_arn(call, "service", f"{where}/{each}")
                    for each in params["services"]
                ]
                return tuple(Need(action=action, resource=each, context=context) for each in named)
            case "TagResource" | "UntagResource" | "ListTagsForResource":
                return (Need(action=action, resource=params["resourceArn"]),)
            case _ if many:
                return tuple(
                    Need(action=action, resource=self._ecs_arn(call, "container-instance", each), context=context)
                    for each in many
                )
            case _:
                return (Need(action=action),)

    def _secret(self, call: Call, action: str) -> tuple[Need, ...]:
        name = call.params.get("SecretId") or call.params.get("Name")
        if not name:
            return (Need(action=action),)
        arn = self._secret_arn(call, name)
        need = Need(action=action, resource=arn)
        key = call.params.get("KmsKeyId") or self._keys.get(arn, "")
        actions = {
            "CreateSecret": ("GenerateDataKey", "Decrypt"),
            "PutSecretValue": ("GenerateDataKey", "Decrypt"),
            "GetSecretValue": ("Decrypt",),
        }.get(call.operation, ())
        if not key:
            return (need,)
        return (need, *(self._key_need(call, each, key, {"SecretARN": arn}) for each in actions))

    def _object(self, call: Call) -> tuple[Need, ...]:
        path, _, query = call.request.raw_path.partition("?")
        bucket, _, key = path.removeprefix("/").partition("/")
        method = call.request.method
        if not key or method not in _S3_ACTIONS:
            named = {"PUT": "CreateBucket", "DELETE": "DeleteBucket"}.get(method, "ListBucket")
            named = "GetBucketPolicyStatus" if "policyStatus" in query else named
            asked = urllib.parse.parse_qs(query, keep_blank_values=True)
            if named == "ListBucket" and "versions" in asked:
                prefix = {"s3:prefix": asked.get("prefix", [""])[0]}
                return (Need(action="s3:ListBucketVersions", resource=f"arn:aws:s3:::{bucket}", context=prefix),)
            return (Need(action=f"s3:{named}", resource=f"arn:aws:s3:::{bucket}"),)
        aspect = next((name for name in _S3_ASPECTS if name in query.split("&")), "")
        if aspect:
            return (Need(action=f"s3:{_S3_ASPECTS[aspect]}", resource=_object_arn(call)),)
        pinned = "versionId" in urllib.parse.parse_qs(query)
        action = _S3_ACTIONS[method] + ("Version" if pinned and method != "PUT" else "")
        arn = _object_arn(call)
        tags = (Need(action="s3:PutObjectTagging", resource=arn),) if call.request.header("x-amz-tagging") else ()
        needs = (Need(action=f"s3:{action}", resource=arn), *tags)
        context = {"aws:s3:arn": arn}
        if method == "PUT" and call.request.header(_S3_KEY):
            return (*needs, self._key_need(call, "GenerateDataKey", call.request.header(_S3_KEY), context))
        if method in {"GET", "HEAD"} and self._keys.get(arn):
            return (*needs, self._key_need(call, "Decrypt", self._keys[arn], context))
        return needs

    def _key_need(self, call: Call, action: str, key: str, encryption: Mapping[str, str]) -> Need:
        context = {f"kms:EncryptionContext:{name}": value for name, value in encryption.items()}
        context["kms:ViaService"] = f"{call.service}.{call.region}.amazonaws.com"
        return Need(action=f"kms:{action}", resource=self._key(call, key), context=context)

    def _key(self, call: Call, key: str) -> str:
        return key if not key or key.startswith("arn:") else self._arn(call, f"key/{key}", "kms")

    def _arn(self, call: Call, resource: str, service: str = "") -> str:
        return f"arn:aws:{service or call.service}:{call.region}:{self._account}:{resource}"

    def _ecs_arn(self, call: Call, kind: str, name: str) -> str:
        return name if name.startswith("arn:") else self._arn(call, f"{kind}/{name}")

    def _parameter(self, call: Call, name: str) -> str:
        plain = _SELECTOR.sub("", name)
        return plain if plain.startswith("arn:") else self._arn(call, f"parameter/{plain.removeprefix('/')}")

    def _secret_arn(self, call: Call, name: str) -> str:
        return name if name.startswith("arn:") else self._arn(call, f"secret:{name}{_SUFFIX}")


def _object_arn(call: Call) -> str:
    path = urllib.parse.unquote(call.request.raw_path.partition("?")[0])
    return f"arn:aws:s3:::{path.removeprefix('/')}"
