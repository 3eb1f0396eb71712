"""The lab's ECS: what agents register with, and the engine behind the ECS API (F80-F82, F33)."""

from collections import Counter
from collections.abc import Callable
from typing import Any

from orchestrator.lab.ecs_agent import Registration, TaskRunner
from orchestrator.lab.ecs_instances import InstanceOperations
from orchestrator.lab.ecs_model import MANAGED, Cluster, EcsState, Instance
from orchestrator.lab.ecs_services import ServiceOperations
from orchestrator.lab.ecs_tasks import TaskOperations
from orchestrator.lab.scenario import Scenario
from orchestrator.lab.scheduler import Scheduler
from orchestrator.lab.wire import AwsError, Clock, Notice, unnoticed

Operation = Callable[[dict[str, Any]], dict[str, Any]]

_FAMILY = "web"


class ContainerService:
    """One account's ECS in one Region. Agents use `register` and `set_connected`, API callers `handle`.

    The scenario's cluster is there from the beginning. When an instance of the scenario registers for the first
    time, the tasks that the scenario gives it run there at once.
    """

    def __init__(self, scenario: Scenario, clock: Clock, notice: Notice = unnoticed) -> None:
        self._scenario = scenario
        self._clock = clock
        self._seen: Counter[str] = Counter()
        self.state = EcsState(region=scenario.region, account=scenario.account, seed=scenario.seed)
        self.scheduler = Scheduler(self.state, clock, scenario.service, notice)
        self._providers = any(spec.managed_instances for spec in scenario.instances)
        services = ServiceOperations(self.state, clock, self.scheduler)
        self._instances = InstanceOperations(self.state, clock, self.scheduler, register=self._register)
        self._operations: dict[str, Operation] = (
            self._instances.operations()
            | TaskOperations(self.state, clock, self.scheduler).operations()
            | services.operations()
            | {"DescribeCapacityProviders": self._describe_capacity_providers}
        )
        self.state.create_cluster(scenario.cluster)
        self.state.clusters[scenario.cluster].providers = scenario.scaling_groups
        services.register_definition(_FAMILY, [{"name": "app", "image": "registry.example.com/web:1"}])

    async def handle(self, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        """Answer one operation; what is not simulated is an UnsupportedFeatureException that says so."""
        found = self._operations.get(operation)
        if found is None:
            raise AwsError("UnsupportedFeatureException", f"The lab does not simulate ecs:{operation}.")
        return found(params)

    async def stop(self) -> None:
        """End every task change that is under way."""
        await self.scheduler.stop()

    async def register(self, registration: Registration, runner: TaskRunner) -> str:
        """Return the container instance's ARN: the one of the saved state, else a new one that is ACTIVE (F33).

        Raises ClusterNotFoundException, and InvalidParameterException for a saved ARN that ECS does not know.
        """
        return self._register(registration, runner).arn

    def set_connected(self, arn: str, connected: bool) -> None:  # noqa: FBT001 - the contract's signature
        """Note that an agent's connection is up or gone; tasks stay where they are."""
        cluster = self.state.clusters.get(arn.split("/")[1])
        instance = cluster.instances.get(arn) if cluster else None
        if cluster is None or instance is None or instance.status == "INACTIVE":
            return
        instance.connected = connected
        instance.version += 1
        if connected:
            self.scheduler.connected(cluster, instance)

    def registrations(self, instance_id: str) -> list[Instance]:
        """List an instance's registrations in the scenario's cluster that are not INACTIVE, oldest first."""
        known = self.state.clusters[self._scenario.cluster].instances.values()
        return [each for each in known if each.spec.instance_id == instance_id and each.status != "INACTIVE"]

    async def set_status(self, instance_id: str, status: str) -> None:
        """Set the status of an instance's newest registration, as somebody else's call does."""
        newest = self.registrations(instance_id)[-1:]
        if newest:
            arns = [each.arn for each in newest]
            params = {"cluster": self._scenario.cluster, "containerInstances": arns, "status": status}
            await self.handle("UpdateContainerInstancesState", params)

    async def terminated(self, instance_id: str) -> None:
        """Deregister a terminated EC2 instance, as ECS does by itself where the agent was connected."""
        for each in self.registrations(instance_id):
            params = {"cluster": self._scenario.cluster, "containerInstance": each.arn, "force": True}
            await self.handle("DeregisterContainerInstance", params)

    def _register(self, registration: Registration, runner: TaskRunner | None) -> Instance:
        cluster = self.state.cluster(registration.cluster)
        spec = registration.spec
        if registration.arn:
            known = cluster.instances.get(registration.arn)
            if known is None or known.status == "INACTIVE":
                raise AwsError("InvalidParameterException", "The container instance is not registered.")
            # Status, custom attributes and tags survive: it is the same container instance (F31).
            known.register(spec)
            known.runner = runner
            return known
        instance = Instance(
            arn=self.state.arn("container-instance", cluster.name, self._new_name(cluster, spec.instance_id)),
            cluster=cluster.arn,
            spec=spec,
            registered=self._clock.now(),
            runner=runner,
        )
        instance.register(spec)
        cluster.instances[instance.arn] = instance
        if self._seen[spec.instance_id] == 1:
            self._settle(cluster, instance)
        return instance

    def _new_name(self, cluster: Cluster, instance_id: str) -> str:
        self._seen[instance_id] += 1
        return self.state.new_name(cluster.name, instance_id, self._seen[instance_id])

    def _settle(self, cluster: Cluster, instance: Instance) -> None:
        """Give a new instance what the scenario says it has had for long: attributes, tasks."""
        instance.custom = dict(instance.spec.attributes)
        definition = self.state.definition(_FAMILY)
        if instance.spec.service_tasks and cluster.name == self._scenario.cluster:
            service = ServiceOperations.fleet_service(self.state, cluster, definition, self._scenario.service)
            service.desired += instance.spec.service_tasks
            for _ in range(instance.spec.service_tasks):
                self.scheduler.settle_task(cluster, instance, definition, group=f"service:{service.name}")
        for _ in range(instance.spec.standalone_tasks):
            self.scheduler.settle_task(cluster, instance, definition, group=f"family:{_FAMILY}")

    def _describe_capacity_providers(self, params: dict[str, Any]) -> dict[str, Any]:
        known: dict[str, dict[str, Any]] = {
            name: {"name": name, "status": "ACTIVE", "type": name, "tags": []} for name in ("FARGATE", "FARGATE_SPOT")
        }
        if self._providers:
            known[MANAGED] = {
                "name": MANAGED,
                "status": "ACTIVE",
                "type": "MANAGED_INSTANCES",
                "managedInstancesProvider": {
                    "infrastructureRoleArn": f"arn:aws:iam::{self.state.account}:role/ecsInfrastructureRole"
                },
                "tags": [],
            }
        for name in self._scenario.scaling_groups:
            arn = f"arn:aws:autoscaling:{self.state.region}:{self.state.account}:autoScalingGroup:lab:"
            group = {"autoScalingGroupArn": f"{arn}autoScalingGroupName/{name}"}
            known[name] = {"name": name, "status": "ACTIVE", "autoScalingGroupProvider": group, "tags": []}
        for name, provider in known.items():
            provider["capacityProviderArn"] = self.state.arn("capacity-provider", name)
        wanted = params.get("capacityProviders") or list(known)
        names = [name.rpartition("/")[2] for name in wanted]
        return {
            "capacityProviders": [known[name] for name in names if name in known],
            "failures": [
                {"arn": self.state.arn("capacity-provider", name), "reason": "MISSING"}
                for name in names
                if name not in known
            ],
        }
