"""The ECS operations on clusters, container instances, attributes and tags."""

import json
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from orchestrator.lab.cluster_query import compile_query
from orchestrator.lab.ecs_agent import Registration, TaskRunner
from orchestrator.lab.ecs_model import Cluster, EcsState, Instance, find_instance, find_task
from orchestrator.lab.ecs_views import Tags, read_tags, show_attributes, show_tags
from orchestrator.lab.scenario import InstanceSpec
from orchestrator.lab.scheduler import Scheduler
from orchestrator.lab.wire import AwsError, Clock, page

T = TypeVar("T")

PAGE = 100
_UPDATE_AT_ONCE = 10
_ATTRIBUTES_PER_INSTANCE = 10
_ATTRIBUTES_AT_ONCE = 10
_LISTED = frozenset({"ACTIVE", "DRAINING", "REGISTERING", "DEREGISTERING", "REGISTRATION_FAILED"})


class Register(Protocol):
    """How a registration is made."""

    def __call__(self, registration: Registration, runner: TaskRunner | None) -> Instance:
        """Register and return the container instance."""
        ...


class InstanceOperations:
    """Clusters, container instances, attributes, tags."""

    def __init__(self, state: EcsState, clock: Clock, scheduler: Scheduler, *, register: Register) -> None:
        self._state = state
        self._clock = clock
        self._scheduler = scheduler
        self._register = register

    def operations(self) -> dict[str, Callable[[dict[str, Any]], dict[str, Any]]]:
        """Return what is answered here, by the API's names."""
        return {
            "CreateCluster": self._create_cluster,
            "DescribeClusters": self._describe_clusters,
            "ListClusters": self._list_clusters,
            "DeleteCluster": self._delete_cluster,
            "RegisterContainerInstance": self._register_instance,
            "DeregisterContainerInstance": self._deregister,
            "ListContainerInstances": self._list,
            "DescribeContainerInstances": self._describe,
            "UpdateContainerInstancesState": self._update_state,
            "PutAttributes": self._put_attributes,
            "DeleteAttributes": self._delete_attributes,
            "ListAttributes": self._list_attributes,
            "TagResource": self._tag,
            "UntagResource": self._untag,
            "ListTagsForResource": self._list_tags,
        }

    def _create_cluster(self, params: dict[str, Any]) -> dict[str, Any]:
        cluster = self._state.create_cluster(params.get("clusterName") or "default")
        cluster.tags |= read_tags(params.get("tags"))
        return {"cluster": cluster.show(with_tags=True)}

    def _describe_clusters(self, params: dict[str, Any]) -> dict[str, Any]:
        found: list[dict[str, Any]] = []
        failures: list[dict[str, str]] = []
        for reference in params.get("clusters") or ["default"]:
            name = reference.rpartition("/")[2]
            cluster = self._state.clusters.get(name)
            if cluster is None:
                failures.append({"arn": self._state.arn("cluster", name), "reason": "MISSING"})
            else:
                found.append(cluster.show(with_tags="TAGS" in params.get("include", ())))
        return {"clusters": found, "failures": failures}

    def _list_clusters(self, params: dict[str, Any]) -> dict[str, Any]:
        arns = [each.arn for each in self._state.clusters.values() if each.status == "ACTIVE"]
        return paged("clusterArns", arns, params)

    def _delete_cluster(self, params: dict[str, Any]) -> dict[str, Any]:
        cluster = self._state.cluster(params["cluster"])
        if any(each.status != "INACTIVE" for each in cluster.instances.values()):
            message = "The Cluster cannot be deleted while Container Instances are active or draining."
            raise AwsError("ClusterContainsContainerInstancesException", message)
        if any(each.status == "ACTIVE" for each in cluster.services.values()):
            message = "The Cluster cannot be deleted while Services are active."
            raise AwsError("ClusterContainsServicesException", message)
        cluster.status = "INACTIVE"
        return {"cluster": cluster.show(with_tags=False)}

    def _register_instance(self, params: dict[str, Any]) -> dict[str, Any]:
        identity = json.loads(params.get("instanceIdentityDocument") or "{}")
        if not identity.get("instanceId"):
            raise AwsError("InvalidParameterException", "Instance identity document is not valid.")
        spec = InstanceSpec(
            instance_id=identity["instanceId"],
            zone=identity.get("availabilityZone", f"{self._state.region}a"),
            instance_type=identity.get("instanceType", "m5.large"),
            ami_id=identity.get("imageId", "ami-0abcdef1234567890"),
            agent_version=params.get("versionInfo", {}).get("agentVersion", "1.105.1"),
            service_tasks=0,
        )
        registration = Registration(
            cluster=params.get("cluster") or "default", arn=params.get("containerInstanceArn", ""), spec=spec
        )
        instance = self._register(registration, None)
        instance.system |= {each["name"]: each.get("value", "") for each in params.get("attributes", ())}
        instance.tags |= read_tags(params.get("tags"))
        # Whoever registers by the API alone has no agent to lose.
        instance.connected = True
        return {"containerInstance": instance.show(with_tags=True)}

    def _deregister(self, params: dict[str, Any]) -> dict[str, Any]:
        cluster = self._state.cluster(params.get("cluster"))
        instance = find_instance(cluster, params["containerInstance"])
        if instance is None or instance.status == "INACTIVE":
            raise AwsError("InvalidParameterException", "The referenced container instance was not found.")
        if not params.get("force") and any(task.last_status != "STOPPED" for task in instance.tasks.values()):
            raise AwsError("InvalidParameterException", "Found running tasks on the instance.")
        instance.status, instance.connected = "INACTIVE", False
        instance.version += 1
        self._scheduler.orphan(cluster, instance)
        return {"containerInstance": instance.show(with_tags=False)}

    def _list(self, params: dict[str, Any]) -> dict[str, Any]:
        cluster = self._state.cluster(params.get("cluster"))
        status = params.get("status")
        if status is not None and status not in _LISTED:
            raise AwsError("InvalidParameterException", "Container instance status is not valid.")
        # Without a status: every one but INACTIVE (F80).
        chosen = [
            each for each in cluster.instances.values() if (each.status == status if status else each.status in _LISTED)
        ]
        if params.get("filter"):
            test = compile_query(params["filter"])
            chosen = [each for each in chosen if test(instance_subject(each))]
        return paged("containerInstanceArns", [each.arn for each in chosen], params)

    def _describe(self, params: dict[str, Any]) -> dict[str, Any]:
        cluster = self._state.cluster(params.get("cluster"))
        references = _at_most(params["containerInstances"], PAGE, "container instances")
        with_tags = "TAGS" in params.get("include", ())
        found = [(reference, find_instance(cluster, reference)) for reference in references]
        return {
            "containerInstances": [each.show(with_tags=with_tags) for _, each in found if each is not None],
            "failures": [self._missing(cluster, reference) for reference, each in found if each is None],
        }

    def _update_state(self, params: dict[str, Any]) -> dict[str, Any]:
        cluster = self._state.cluster(params.get("cluster"))
        references = _at_most(params["containerInstances"], _UPDATE_AT_ONCE, "container instances")
        status = params["status"]
        if status not in {"ACTIVE", "DRAINING"}:
            raise AwsError("InvalidParameterException", "Container instance status should be one of [ACTIVE,DRAINING]")
        done: list[dict[str, Any]] = []
        failures: list[dict[str, str]] = []
        for reference in references:
            instance = find_instance(cluster, reference)
            if instance is None:
                failures.append(self._missing(cluster, reference))
            elif instance.status == "INACTIVE":
                failures.append({"arn": instance.arn, "reason": "INACTIVE"})
            else:
                instance.status = status
                instance.version += 1
                done.append(instance.show(with_tags=False))
                self._scheduler.status_set(cluster, instance)
        return {"containerInstances": done, "failures": failures}

    def _put_attributes(self, params: dict[str, Any]) -> dict[str, Any]:
        cluster = self._state.cluster(params.get("cluster"))
        wanted = self._attributed(cluster, params)
        for target, each in wanted:
            names = {*target.custom, *(other["name"] for owner, other in wanted if owner is target)}
            if each["name"] in target.system or each["name"].startswith(("ecs.", "com.amazonaws.ecs.")):
                message = f"The attribute {each['name']} is reserved."
                raise AwsError("InvalidParameterException", message)
            if len(names) > _ATTRIBUTES_PER_INSTANCE:
                message = "You can apply up to 10 custom attributes per resource."
                raise AwsError("AttributeLimitExceededException", message)
        for target, each in wanted:
            target.custom[each["name"]] = each.get("value", "")
            target.version += 1
        return {"attributes": [_shown(target, each) for target, each in wanted]}

    def _delete_attributes(self, params: dict[str, Any]) -> dict[str, Any]:
        cluster = self._state.cluster(params.get("cluster"))
        wanted = self._attributed(cluster, params)
        for target, each in wanted:
            value = target.custom.get(each["name"])
            if value is not None and each.get("value", value) == value:
                del target.custom[each["name"]]
                target.version += 1
        return {"attributes": [_shown(target, each) for target, each in wanted]}

    def _list_attributes(self, params: dict[str, Any]) -> dict[str, Any]:
        cluster = self._state.cluster(params.get("cluster"))
        name, value = params.get("attributeName"), params.get("attributeValue")
        found = [
            shown | {"targetType": "container-instance", "targetId": each.arn}
            for each in cluster.instances.values()
            if each.status != "INACTIVE"
            for shown in show_attributes(each.attributes)
            if name in {None, shown["name"]} and value in {None, shown.get("value", "")}
        ]
        return paged("attributes", found, params)

    def _tag(self, params: dict[str, Any]) -> dict[str, Any]:
        tags = self._tags_of(params["resourceArn"])
        tags |= read_tags(params["tags"])
        return {}

    def _untag(self, params: dict[str, Any]) -> dict[str, Any]:
        tags = self._tags_of(params["resourceArn"])
        for key in params["tagKeys"]:
            tags.pop(key, None)
        return {}

    def _list_tags(self, params: dict[str, Any]) -> dict[str, Any]:
        return {"tags": show_tags(self._tags_of(params["resourceArn"]))}

    def _tags_of(self, arn: str) -> Tags:
        kind, *path = arn.rpartition(":")[2].split("/")
        missing = AwsError("InvalidParameterException", "The specified resource is not valid or cannot be found.")
        if not path:
            raise missing
        if kind == "task-definition":
            return self._state.definition(arn).tags
        cluster = self._state.cluster(path[0])
        owner = {
            "cluster": cluster,
            "container-instance": find_instance(cluster, arn),
            "task": find_task(cluster, arn),
            "service": cluster.services.get(path[-1]),
        }.get(kind)
        if owner is None:
            raise missing
        return owner.tags

    def _attributed(self, cluster: Cluster, params: dict[str, Any]) -> list[tuple[Instance, dict[str, Any]]]:
        attributes = _at_most(params["attributes"], _ATTRIBUTES_AT_ONCE, "attributes")
        return [(self._target(cluster, each), each) for each in attributes]

    def _target(self, cluster: Cluster, attribute: dict[str, Any]) -> Instance:
        target = find_instance(cluster, attribute.get("targetId", ""))
        if target is None or target.status == "INACTIVE":
            raise AwsError("TargetNotFoundException", "The specified target wasn't found.")
        return target

    def _missing(self, cluster: Cluster, reference: str) -> dict[str, str]:
        full = reference.startswith("arn:")
        arn = reference if full else self._state.arn("container-instance", cluster.name, reference)
        return {"arn": arn, "reason": "MISSING"}


def paged(key: str, items: list[Any], params: dict[str, Any]) -> dict[str, Any]:
    """Return one page under `key`, with `nextToken` where more follow (F80)."""
    size = params.get("maxResults") or PAGE
    if not 1 <= size <= PAGE:
        raise AwsError("InvalidParameterException", "maxResults must be between 1 and 100.")
    chunk, follow = page(items, params.get("nextToken"), size, bad_token="InvalidParameterException")  # noqa: S106 - an error's code
    return {key: chunk} | ({"nextToken": follow} if follow else {})


def _at_most(references: list[T], limit: int, what: str) -> list[T]:
    if not references:
        raise AwsError("InvalidParameterException", f"{what.capitalize()} can not be empty.")
    if len(references) > limit:
        message = f"Too many {what}: {len(references)}, at most {limit} are allowed."
        raise AwsError("InvalidParameterException", message)
    return references


def _shown(target: Instance, attribute: dict[str, Any]) -> dict[str, Any]:
    kept = {name: attribute[name] for name in ("name", "value") if name in attribute}
    return kept | {"targetType": "container-instance", "targetId": target.arn}


def instance_subject(instance: Instance) -> dict[str, tuple[str, ...]]:
    """Return what a cluster query can ask of an instance."""
    found: dict[str, tuple[str, ...]] = {
        "agentConnected": ("true" if instance.connected else "false",),
        "agentVersion": (instance.spec.agent_version,),
        "registeredAt": (str(instance.registered),),
        "ec2InstanceId": (instance.spec.instance_id,),
        "runningTasksCount": (str(instance.running),),
        "task:group": tuple({task.group for task in instance.tasks.values() if task.wanted}),
    }
    return found | {f"attribute:{name}": (value,) for name, value in instance.attributes.items()}
