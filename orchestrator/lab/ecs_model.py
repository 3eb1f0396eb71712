"""What the ECS engine remembers: clusters, container instances and what is in them; and how the API shows each."""

import hashlib
from dataclasses import dataclass, field
from typing import Any

from orchestrator.lab.ecs_agent import TaskRunner
from orchestrator.lab.ecs_views import Tags, show_attributes, show_resources, show_tags, system_attributes
from orchestrator.lab.ecs_workload import Service, Task, TaskDefinition
from orchestrator.lab.scenario import InstanceSpec
from orchestrator.lab.wire import AwsError

SIZES = {"large": (2048, 7680), "xlarge": (4096, 15_360), "2xlarge": (8192, 31_232), "medium": (1024, 3584)}


@dataclass(slots=True)
class Instance:
    """One registration of a container instance. `custom` are attributes that PutAttributes made."""

    arn: str
    cluster: str
    spec: InstanceSpec
    registered: float
    runner: TaskRunner | None
    status: str = "ACTIVE"
    connected: bool = False
    version: int = 1
    custom: dict[str, str] = field(default_factory=dict)
    system: dict[str, str] = field(default_factory=dict)
    tags: Tags = field(default_factory=dict)
    tasks: dict[str, Task] = field(default_factory=dict)

    @property
    def attributes(self) -> dict[str, str]:
        """All attributes, the agent's own and those that were put."""
        return self.system | self.custom

    @property
    def running(self) -> int:
        """Tasks that run and are to go on; one that was asked to stop no longer counts, though it still runs (F81)."""
        return sum(task.last_status == "RUNNING" and task.desired_status == "RUNNING" for task in self.tasks.values())

    @property
    def pending(self) -> int:
        """Tasks that are to run."""
        return sum(task.last_status == "PENDING" for task in self.tasks.values())

    @property
    def capacity(self) -> tuple[int, int]:
        """CPU units and MiB of this instance type."""
        return SIZES.get(self.spec.instance_type.partition(".")[2], SIZES["large"])

    @property
    def free(self) -> tuple[int, int]:
        """CPU units and MiB that no task holds."""
        holding = [task.definition for task in self.tasks.values() if task.last_status != "STOPPED"]
        cpu, memory = self.capacity
        return cpu - sum(each.cpu for each in holding), memory - sum(each.memory for each in holding)

    def register(self, spec: InstanceSpec) -> None:
        """Take what the agent says of itself at (re-)registration."""
        self.spec = spec
        self.system = system_attributes(spec)
        self.version += 1

    def show(self, *, with_tags: bool) -> dict[str, Any]:
        """Return botocore's ContainerInstance."""
        found: dict[str, Any] = {
            "containerInstanceArn": self.arn,
            "ec2InstanceId": self.spec.instance_id,
            "version": self.version,
            "versionInfo": {
                "agentVersion": self.spec.agent_version,
                "agentHash": "a8b3e7d3",
                "dockerVersion": "DockerVersion: 20.10.24",
            },
            "remainingResources": show_resources(self.free),
            "registeredResources": show_resources(self.capacity),
            "status": self.status,
            "agentConnected": self.connected,
            "runningTasksCount": self.running,
            "pendingTasksCount": self.pending,
            "attributes": show_attributes(self.attributes),
            "registeredAt": self.registered,
            "attachments": [],
            "tags": show_tags(self.tags) if with_tags else [],
        }
        if self.spec.managed_instances:
            found["capacityProviderName"] = MANAGED
        return found


MANAGED = "managed-instances"


@dataclass(slots=True)
class Cluster:
    """A cluster and what is in it."""

    arn: str
    name: str
    status: str = "ACTIVE"
    tags: Tags = field(default_factory=dict)
    instances: dict[str, Instance] = field(default_factory=dict)
    tasks: dict[str, Task] = field(default_factory=dict)
    services: dict[str, Service] = field(default_factory=dict)
    providers: tuple[str, ...] = ()

    def tasks_of(self, service: Service) -> list[Task]:
        """Return the service's tasks that have not stopped."""
        return [task for task in self.tasks.values() if task.service == service.name and task.last_status != "STOPPED"]

    def show(self, *, with_tags: bool) -> dict[str, Any]:
        """Return botocore's Cluster."""
        present = [each for each in self.instances.values() if each.status != "INACTIVE"]
        return {
            "clusterArn": self.arn,
            "clusterName": self.name,
            "status": self.status,
            "registeredContainerInstancesCount": len(present),
            "runningTasksCount": sum(task.last_status == "RUNNING" for task in self.tasks.values()),
            "pendingTasksCount": sum(task.last_status == "PENDING" for task in self.tasks.values()),
            "activeServicesCount": sum(each.status == "ACTIVE" for each in self.services.values()),
            "statistics": [],
            "tags": show_tags(self.tags) if with_tags else [],
            "settings": [],
            "capacityProviders": list(self.providers),
            "defaultCapacityProviderStrategy": [],
        }


@dataclass(slots=True)
class EcsState:
    """Everything that ECS remembers of one account in one Region."""

    region: str
    account: str
    seed: int = 0
    made: int = 0
    clusters: dict[str, Cluster] = field(default_factory=dict)
    definitions: dict[str, list[TaskDefinition]] = field(default_factory=dict)

    def arn(self, kind: str, *path: object) -> str:
        """Return an ECS ARN of this account and Region."""
        return f"arn:aws:ecs:{self.region}:{self.account}:{kind}/" + "/".join(str(part) for part in path)

    def new_name(self, *about: object) -> str:
        """Return 32 hexadecimal digits to end an ARN with: those of `about`, else of a running number."""
        self.made += 1
        return hashlib.sha256(repr((self.seed, *(about or (self.made,)))).encode()).hexdigest()[:32]

    def cluster(self, reference: str | None) -> Cluster:
        """Find an active cluster by name or ARN, `default` when unsaid; raises ClusterNotFoundException."""
        found = self.clusters.get((reference or "default").rpartition("/")[2])
        if found is None or found.status != "ACTIVE":
            raise AwsError("ClusterNotFoundException", "Cluster not found.")
        return found

    def create_cluster(self, name: str) -> Cluster:
        """Create a cluster, or return the one of this name."""
        found = self.clusters.get(name)
        if found is None or found.status != "ACTIVE":
            found = self.clusters[name] = Cluster(arn=self.arn("cluster", name), name=name)
        return found

    def definition(self, reference: str) -> TaskDefinition:
        """Find a task definition by family, family:revision or ARN; raises ClientException."""
        family, _, revision = reference.rpartition("/")[2].partition(":")
        revisions = self.definitions.get(family, [])
        if revision.isdecimal() and 0 < int(revision) <= len(revisions):
            return revisions[int(revision) - 1]
        active = [each for each in revisions if each.status == "ACTIVE"]
        if revision or not active:
            raise AwsError("ClientException", "Unable to describe task definition.")
        return active[-1]


def find_instance(cluster: Cluster, reference: str) -> Instance | None:
    """Find a registration by ARN or id; deregistered ones are found too."""
    if reference.startswith("arn:"):
        return cluster.instances.get(reference)
    prefix = cluster.arn.replace(":cluster/", ":container-instance/")
    return cluster.instances.get(f"{prefix}/{reference}")


def find_task(cluster: Cluster, reference: str) -> Task | None:
    """Find a task by ARN or id."""
    if reference.startswith("arn:"):
        return cluster.tasks.get(reference)
    prefix = cluster.arn.replace(":cluster/", ":task/")
    return cluster.tasks.get(f"{prefix}/{reference}")
