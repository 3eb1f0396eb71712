"""The ECS operations on services and task definitions."""

from collections.abc import Callable
from typing import Any

from orchestrator.lab.ecs_instances import paged
from orchestrator.lab.ecs_model import Cluster, EcsState
from orchestrator.lab.ecs_views import read_tags, show_tags
from orchestrator.lab.ecs_workload import Service, TaskDefinition
from orchestrator.lab.scenario import ServiceSpec
from orchestrator.lab.scheduler import Scheduler
from orchestrator.lab.wire import AwsError, Clock

_AT_ONCE = 10


class ServiceOperations:
    """Services enough that draining moves their tasks, and the task definitions they need."""

    def __init__(self, state: EcsState, clock: Clock, scheduler: Scheduler) -> None:
        self._state = state
        self._clock = clock
        self._scheduler = scheduler

    def operations(self) -> dict[str, Callable[[dict[str, Any]], dict[str, Any]]]:
        """Return what is answered here, by the API's names."""
        return {
            "RegisterTaskDefinition": self._register_definition,
            "DescribeTaskDefinition": self._describe_definition,
            "CreateService": self._create,
            "UpdateService": self._update,
            "DescribeServices": self._describe,
            "ListServices": self._list,
            "DeleteService": self._delete,
        }

    @staticmethod
    def fleet_service(state: EcsState, cluster: Cluster, definition: TaskDefinition, spec: ServiceSpec) -> Service:
        """Return the scenario's own service, made when it is first asked for; nothing is desired of it yet."""
        found = cluster.services.get(spec.name)
        if found is None:
            found = cluster.services[spec.name] = Service(
                arn=state.arn("service", cluster.name, spec.name),
                name=spec.name,
                cluster=cluster.arn,
                definition=definition,
                created=definition.registered,
                desired=0,
                minimum=spec.minimum_healthy_percent,
                maximum=spec.maximum_percent,
            )
        return found

    def register_definition(
        self, family: str, containers: list[dict[str, Any]], *, cpu: int = 0, memory: int = 0
    ) -> TaskDefinition:
        """Add a revision to a family; a container that says no size takes 64 CPU units and 64 MiB."""
        containers = [{"cpu": 64} | ({} if _memory(each) else {"memory": 64}) | each for each in containers]
        revisions = self._state.definitions.setdefault(family, [])
        revision = len(revisions) + 1
        definition = TaskDefinition(
            arn=self._state.arn("task-definition", f"{family}:{revision}"),
            family=family,
            revision=revision,
            registered=self._clock.now(),
            containers=containers,
            cpu=cpu or sum(int(each["cpu"]) for each in containers),
            memory=memory or sum(_memory(each) for each in containers),
            requires=["EC2"],
            size=(cpu, memory),
        )
        revisions.append(definition)
        return definition

    def _register_definition(self, params: dict[str, Any]) -> dict[str, Any]:
        containers = params["containerDefinitions"]
        if not containers:
            raise AwsError("ClientException", "Container list cannot be empty.")
        definition = self.register_definition(
            params["family"], containers, cpu=int(params.get("cpu") or 0), memory=int(params.get("memory") or 0)
        )
        definition.tags |= read_tags(params.get("tags"))
        return {"taskDefinition": definition.show(), "tags": show_tags(definition.tags)}

    def _describe_definition(self, params: dict[str, Any]) -> dict[str, Any]:
        definition = self._state.definition(params["taskDefinition"])
        with_tags = "TAGS" in params.get("include", ())
        return {"taskDefinition": definition.show(), "tags": show_tags(definition.tags) if with_tags else []}

    def _create(self, params: dict[str, Any]) -> dict[str, Any]:
        if params.get("launchType", "EC2") != "EC2":
            raise AwsError("UnsupportedFeatureException", "The lab runs services on EC2 container instances only.")
        cluster = self._state.cluster(params.get("cluster"))
        name = params["serviceName"]
        known = cluster.services.get(name)
        if known is not None and known.status == "ACTIVE":
            raise AwsError("InvalidParameterException", "Creation of service was not idempotent.")
        daemon = params.get("schedulingStrategy") == "DAEMON"
        limits = params.get("deploymentConfiguration") or {}
        service = Service(
            arn=self._state.arn("service", cluster.name, name),
            name=name,
            cluster=cluster.arn,
            definition=self._state.definition(params["taskDefinition"]),
            created=self._clock.now(),
            desired=params.get("desiredCount") or 0,
            minimum=limits.get("minimumHealthyPercent", 0 if daemon else 100),
            maximum=limits.get("maximumPercent", 100 if daemon else 200),
            daemon=daemon,
            tags=read_tags(params.get("tags")),
        )
        cluster.services[name] = service
        self._scheduler.reconcile(cluster)
        return {"service": self._show(cluster, service)}

    def _update(self, params: dict[str, Any]) -> dict[str, Any]:
        cluster, service = self._find(params)
        if service.status != "ACTIVE":
            raise AwsError("ServiceNotActiveException", "Service was not ACTIVE.")
        if params.get("taskDefinition") or params.get("forceNewDeployment"):
            raise AwsError("UnsupportedFeatureException", "The lab does not simulate deployments of a service.")
        if params.get("desiredCount") is not None:
            service.desired = params["desiredCount"]
        limits = params.get("deploymentConfiguration") or {}
        service.minimum = limits.get("minimumHealthyPercent", service.minimum)
        service.maximum = limits.get("maximumPercent", service.maximum)
        self._scheduler.reconcile(cluster)
        return {"service": self._show(cluster, service)}

    def _describe(self, params: dict[str, Any]) -> dict[str, Any]:
        cluster = self._state.cluster(params.get("cluster"))
        names = [each.rpartition("/")[2] for each in params["services"]]
        if not 1 <= len(names) <= _AT_ONCE:
            raise AwsError("InvalidParameterException", "Services must hold between 1 and 10 entries.")
        return {
            "services": [self._show(cluster, cluster.services[name]) for name in names if name in cluster.services],
            "failures": [
                {"arn": self._state.arn("service", cluster.name, name), "reason": "MISSING"}
                for name in names
                if name not in cluster.services
            ],
        }

    def _list(self, params: dict[str, Any]) -> dict[str, Any]:
        cluster = self._state.cluster(params.get("cluster"))
        arns = [each.arn for each in cluster.services.values() if each.status == "ACTIVE"]
        return paged("serviceArns", arns, {"maxResults": _AT_ONCE} | params)

    def _delete(self, params: dict[str, Any]) -> dict[str, Any]:
        cluster, service = self._find(params)
        if service.desired and not service.daemon and not params.get("force"):
            message = "The service cannot be stopped while it is scaled above 0."
            raise AwsError("InvalidParameterException", message)
        service.desired, service.status = 0, "DRAINING"
        self._scheduler.reconcile(cluster)
        return {"service": self._show(cluster, service)}

    def _find(self, params: dict[str, Any]) -> tuple[Cluster, Service]:
        cluster = self._state.cluster(params.get("cluster"))
        service = cluster.services.get(params["service"].rpartition("/")[2])
        if service is None:
            raise AwsError("ServiceNotFoundException", "Service not found.")
        return cluster, service

    @staticmethod
    def _show(cluster: Cluster, service: Service) -> dict[str, Any]:
        return service.show(cluster.tasks_of(service)) | {"tags": show_tags(service.tags)}


def _memory(container: dict[str, Any]) -> int:
    """MiB that are reserved for a container: its soft limit, else its hard one."""
    return int(container.get("memoryReservation") or container.get("memory") or 0)
