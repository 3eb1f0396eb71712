"""What runs on the ECS engine's instances: task definitions, tasks, services; and how the API shows each."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from orchestrator.lab.ecs_views import Tags, show_tags


@dataclass(slots=True)
class TaskDefinition:
    """One revision of a family. `cpu` and `memory` are what its tasks take, `size` what it says itself, 0 if unsaid."""

    arn: str
    family: str
    revision: int
    registered: float
    containers: list[dict[str, Any]]
    cpu: int
    memory: int
    requires: list[str]
    size: tuple[int, int] = (0, 0)
    status: str = "ACTIVE"
    tags: Tags = field(default_factory=dict)

    def show(self) -> dict[str, Any]:
        """Return botocore's TaskDefinition."""
        return {
            "taskDefinitionArn": self.arn,
            "family": self.family,
            "revision": self.revision,
            "status": self.status,
            "containerDefinitions": self.containers,
            "volumes": [],
            "placementConstraints": [],
            "compatibilities": ["EC2"],
            "requiresCompatibilities": self.requires,
            "registeredAt": self.registered,
        } | self.own_size

    @property
    def own_size(self) -> dict[str, str]:
        """The size of a task as a whole, which is optional on container instances."""
        return {name: str(each) for name, each in zip(("cpu", "memory"), self.size, strict=True) if each}


@dataclass(slots=True)
class Task:
    """A task. `group` is `service:NAME` for a service's task, else `family:NAME`."""

    arn: str
    cluster: str
    instance_arn: str
    definition: TaskDefinition
    group: str
    started_by: str
    created: float
    last_status: str = "PENDING"
    desired_status: str = "RUNNING"
    started: float | None = None
    stopped: float | None = None
    stopped_reason: str = ""
    stop_code: str = ""
    tags: Tags = field(default_factory=dict)

    @property
    def service(self) -> str:
        """The service's name, "" for a standalone task."""
        kind, _, name = self.group.partition(":")
        return name if kind == "service" else ""

    @property
    def wanted(self) -> bool:
        """Whether it runs or is to run, and nobody has asked it to stop."""
        return self.desired_status == "RUNNING" and self.last_status in {"PENDING", "RUNNING"}

    def show(self, *, connected: bool, zone: str, with_tags: bool) -> dict[str, Any]:
        """Return botocore's Task. `connected`, `zone`: whether its instance's agent is, and where that is, if there."""
        containers = [
            {
                "containerArn": f"{self.arn.replace(':task/', ':container/')}/{each.get('name', 'app')}",
                "taskArn": self.arn,
                "name": each.get("name", "app"),
                "image": each.get("image", ""),
                "lastStatus": self.last_status,
                **{name: str(each[name]) for name in ("cpu", "memory", "memoryReservation") if name in each},
            }
            for each in self.definition.containers
        ]
        found: dict[str, Any] = {
            "taskArn": self.arn,
            "clusterArn": self.cluster,
            "containerInstanceArn": self.instance_arn,
            "taskDefinitionArn": self.definition.arn,
            "group": self.group,
            "startedBy": self.started_by,
            "launchType": "EC2",
            "lastStatus": self.last_status,
            "desiredStatus": self.desired_status,
            "connectivity": "CONNECTED" if connected else "DISCONNECTED",
            "createdAt": self.created,
            "containers": containers,
            "attachments": [],
            "overrides": {"containerOverrides": []},
            "version": 1,
            "tags": show_tags(self.tags) if with_tags else [],
        }
        if zone:
            found["availabilityZone"] = zone
        extra = {
            "startedAt": self.started,
            "stoppedAt": self.stopped,
            "stoppedReason": self.stopped_reason,
            "stopCode": self.stop_code,
        }
        return found | self.definition.own_size | {name: value for name, value in extra.items() if value}


@dataclass(slots=True)
class Service:
    """A service, as far as draining needs one."""

    arn: str
    name: str
    cluster: str
    definition: TaskDefinition
    created: float
    desired: int
    minimum: int
    maximum: int
    daemon: bool = False
    status: str = "ACTIVE"
    tags: Tags = field(default_factory=dict)

    def show(self, tasks: Iterable[Task]) -> dict[str, Any]:
        """Return botocore's Service."""
        own = list(tasks)
        counts = {
            "desiredCount": self.desired,
            "runningCount": sum(task.last_status == "RUNNING" for task in own),
            "pendingCount": sum(task.last_status == "PENDING" for task in own),
        }
        deployment = {
            "id": f"ecs-svc/{self.arn[-16:]}",
            "status": "PRIMARY",
            "taskDefinition": self.definition.arn,
            "createdAt": self.created,
            "updatedAt": self.created,
            "rolloutState": "COMPLETED",
        }
        return counts | {
            "serviceArn": self.arn,
            "serviceName": self.name,
            "clusterArn": self.cluster,
            "status": self.status,
            "launchType": "EC2",
            "taskDefinition": self.definition.arn,
            "deploymentConfiguration": {
                "maximumPercent": self.maximum,
                "minimumHealthyPercent": self.minimum,
            },
            "deployments": [deployment | counts],
            "events": [],
            "createdAt": self.created,
            "schedulingStrategy": "DAEMON" if self.daemon else "REPLICA",
        }
