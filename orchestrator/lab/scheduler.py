"""Where tasks go and when they move: placement, the service scheduler's answer to draining, the life of a task."""

import asyncio
import math
from collections.abc import Callable, Iterable

from orchestrator.lab.ecs_agent import TaskToRun
from orchestrator.lab.ecs_model import Cluster, EcsState, Instance
from orchestrator.lab.ecs_workload import Service, Task, TaskDefinition
from orchestrator.lab.scenario import ServiceSpec
from orchestrator.lab.wire import Clock, Notice, unnoticed

_LOOK_AFTER = 0.02


class Scheduler:
    """Starts and stops tasks. A task's change waits while its instance's agent is not connected.

    `spec` gives the seconds that starting and stopping take. `stop` ends every change that is under way.
    """

    def __init__(self, state: EcsState, clock: Clock, spec: ServiceSpec, notice: Notice = unnoticed) -> None:
        self._state = state
        self._clock = clock
        self._spec = spec
        self._notice = notice
        self._changes: set[asyncio.Task[None]] = set()
        self._dirty: set[str] = set()
        self._parked: dict[str, list[Callable[[], None]]] = {}

    async def stop(self) -> None:
        """End every change that is under way."""
        for change in tuple(self._changes):
            change.cancel()
        await asyncio.gather(*self._changes, return_exceptions=True)

    def place(self, cluster: Cluster, definition: TaskDefinition, *, among: Iterable[Instance]) -> Instance | None:
        """Choose the ACTIVE, connected instance with room that runs the fewest tasks; None where there is none."""
        fitting = [
            each
            for each in among
            if each.cluster == cluster.arn and each.status == "ACTIVE" and each.connected and fits(each, definition)
        ]
        return min(fitting, key=lambda each: each.running + each.pending) if fitting else None

    def start_task(
        self, cluster: Cluster, instance: Instance, definition: TaskDefinition, *, group: str, started_by: str = ""
    ) -> Task:
        """Start a task: PENDING now, RUNNING a little later."""
        task = self._task(cluster, instance, definition, group, started_by)
        self._later(self._spec.start_seconds, lambda: self._running(cluster, task))
        return task

    def settle_task(self, cluster: Cluster, instance: Instance, definition: TaskDefinition, *, group: str) -> Task:
        """Make a task that runs already, as a fleet that has been up for long has them."""
        task = self._task(cluster, instance, definition, group, "")
        self._run(instance, task)
        return task

    def stop_task(self, cluster: Cluster, task: Task, *, reason: str, code: str) -> None:
        """Ask a task to stop: STOPPING now, STOPPED a little later."""
        if task.desired_status == "STOPPED":
            return
        task.desired_status = "STOPPED"
        task.stopped_reason, task.stop_code = reason, code
        if task.last_status == "RUNNING":
            task.last_status = "STOPPING"
        self._later(self._spec.stop_seconds, lambda: self._stopped(cluster, task))

    def orphan(self, cluster: Cluster, instance: Instance) -> None:
        """Give up the tasks of an instance that was deregistered: they are STOPPED for ECS at once."""
        for task in list(instance.tasks.values()):
            if task.last_status != "STOPPED":
                task.desired_status = task.last_status = "STOPPED"
                task.stopped, task.stopped_reason = self._clock.now(), "Container instance deregistered"
        self.reconcile(cluster)

    def connected(self, cluster: Cluster, instance: Instance) -> None:
        """Go on with what waited for the instance's agent."""
        for change in self._parked.pop(instance.arn, []):
            change()
        self.reconcile(cluster)

    def status_set(self, cluster: Cluster, instance: Instance) -> None:
        """Act on the status that was given to an instance."""
        self._notice(instance.status.lower(), instance.spec.instance_id)
        self._look_whether_drained(instance)
        self.reconcile(cluster)

    def reconcile(self, cluster: Cluster) -> None:
        """Let every service of the cluster move towards what it wants, soon: many causes make one look."""
        if cluster.services and cluster.arn not in self._dirty:
            self._dirty.add(cluster.arn)
            self._later(_LOOK_AFTER, lambda: self._reconcile(cluster))

    def _task(
        self, cluster: Cluster, instance: Instance, definition: TaskDefinition, group: str, started_by: str
    ) -> Task:
        task = Task(
            arn=self._state.arn("task", cluster.name, self._state.new_name()),
            cluster=cluster.arn,
            instance_arn=instance.arn,
            definition=definition,
            group=group,
            started_by=started_by,
            created=self._clock.now(),
        )
        cluster.tasks[task.arn] = instance.tasks[task.arn] = task
        return task

    def _reconcile(self, cluster: Cluster) -> None:
        self._dirty.discard(cluster.arn)
        for service in cluster.services.values():
            if service.daemon:
                self._reconcile_daemon(cluster, service)
            else:
                self._reconcile_replica(cluster, service)

    def _reconcile_replica(self, cluster: Cluster, service: Service) -> None:
        """Start what is missing within maximumPercent, then stop on draining instances within the minimum (F81)."""
        desired = service.desired if service.status == "ACTIVE" else 0
        wanted = [task for task in cluster.tasks_of(service) if task.wanted]
        leaving = [task for task in wanted if cluster.instances[task.instance_arn].status == "DRAINING"]
        room = math.floor(desired * service.maximum / 100) - len(wanted)
        for _ in range(min(desired - (len(wanted) - len(leaving)), room)):
            instance = self.place(cluster, service.definition, among=cluster.instances.values())
            if instance is None:
                break
            self.start_task(cluster, instance, service.definition, group=f"service:{service.name}")
        staying = [task for task in wanted if task not in leaving]
        surplus = staying[desired:] if len(staying) > desired else []
        healthy = sum(task.last_status == "RUNNING" for task in wanted)
        least = math.ceil(desired * service.minimum / 100)
        for task in [*leaving, *surplus]:
            if task.last_status == "RUNNING":
                if healthy - 1 < least:
                    continue
                healthy -= 1
            self.stop_task(
                cluster,
                task,
                reason=f"Scaling activity initiated by (deployment ecs-svc/{service.arn[-16:]})",
                code="ServiceSchedulerInitiated",
            )

    def _reconcile_daemon(self, cluster: Cluster, service: Service) -> None:
        """Run one task on each ACTIVE instance; on a draining one it is the last to stop."""
        tasks = {task.instance_arn: task for task in cluster.tasks_of(service) if task.wanted}
        for instance in list(cluster.instances.values()):
            own = tasks.get(instance.arn)
            stays = instance.status == "ACTIVE" and service.status == "ACTIVE"
            if own is None and stays and instance.connected:
                self.start_task(cluster, instance, service.definition, group=f"service:{service.name}")
            elif own is not None and not stays and not _serves(cluster, instance):
                self.stop_task(cluster, own, reason="Instance is draining", code="ServiceSchedulerInitiated")

    def _running(self, cluster: Cluster, task: Task) -> None:
        instance = cluster.instances[task.instance_arn]
        if task.last_status != "PENDING" or task.desired_status == "STOPPED":
            return
        if not instance.connected:
            self._park(instance, lambda: self._running(cluster, task))
            return
        self._run(instance, task)
        self.reconcile(cluster)

    def _run(self, instance: Instance, task: Task) -> None:
        task.last_status, task.started = "RUNNING", self._clock.now()
        if instance.runner is not None:
            image = str(task.definition.containers[0].get("image", "")) if task.definition.containers else ""
            family, revision = task.definition.family, str(task.definition.revision)
            instance.runner.run_task(TaskToRun(arn=task.arn, family=family, version=revision, image=image))

    def _stopped(self, cluster: Cluster, task: Task) -> None:
        instance = cluster.instances[task.instance_arn]
        if task.last_status == "STOPPED":
            return
        if not instance.connected:
            self._park(instance, lambda: self._stopped(cluster, task))
            return
        if instance.runner is not None:
            instance.runner.stop_task(task.arn)
        task.last_status, task.stopped = "STOPPED", self._clock.now()
        self._look_whether_drained(instance)
        self.reconcile(cluster)

    def _look_whether_drained(self, instance: Instance) -> None:
        if instance.status == "DRAINING" and all(task.last_status == "STOPPED" for task in instance.tasks.values()):
            self._notice("drained", instance.spec.instance_id)

    def _park(self, instance: Instance, change: Callable[[], None]) -> None:
        self._parked.setdefault(instance.arn, []).append(change)

    def _later(self, seconds: float, change: Callable[[], None]) -> None:
        async def wait() -> None:
            await self._clock.sleep(seconds)
            change()

        task = asyncio.create_task(wait())
        self._changes.add(task)
        task.add_done_callback(self._changes.discard)


def fits(instance: Instance, definition: TaskDefinition) -> bool:
    """Say whether the instance has room for one more task of this kind."""
    cpu, memory = instance.free
    return definition.cpu <= cpu and definition.memory <= memory


def _serves(cluster: Cluster, instance: Instance) -> bool:
    """Say whether a draining instance still has tasks of services that are no daemons."""
    replicas = {service.name for service in cluster.services.values() if not service.daemon}
    return instance.status == "DRAINING" and any(
        task.service in replicas and task.last_status != "STOPPED" for task in instance.tasks.values()
    )
