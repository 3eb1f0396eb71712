"""The ECS operations on tasks."""

from collections.abc import Callable
from typing import Any

from orchestrator.lab.cluster_query import Test, compile_query
from orchestrator.lab.ecs_instances import PAGE, instance_subject, paged
from orchestrator.lab.ecs_model import Cluster, EcsState, Instance, find_instance, find_task
from orchestrator.lab.ecs_views import read_tags
from orchestrator.lab.ecs_workload import Task, TaskDefinition
from orchestrator.lab.scheduler import Scheduler, fits
from orchestrator.lab.wire import AwsError, Clock

_AT_ONCE = 10


class TaskOperations:
    """RunTask, StartTask, StopTask, ListTasks, DescribeTasks."""

    def __init__(self, state: EcsState, clock: Clock, scheduler: Scheduler) -> None:
        self._state = state
        self._clock = clock
        self._scheduler = scheduler

    def operations(self) -> dict[str, Callable[[dict[str, Any]], dict[str, Any]]]:
        """Return what is answered here, by the API's names."""
        return {
            "RunTask": self._run,
            "StartTask": self._start,
            "StopTask": self._stop,
            "ListTasks": self._list,
            "DescribeTasks": self._describe,
        }

    def _run(self, params: dict[str, Any]) -> dict[str, Any]:
        if params.get("launchType", "EC2") != "EC2":
            raise AwsError("UnsupportedFeatureException", "The lab runs tasks on EC2 container instances only.")
        cluster = self._state.cluster(params.get("cluster"))
        count = params.get("count") or 1
        if not 1 <= count <= _AT_ONCE:
            raise AwsError("InvalidParameterException", "Count must be between 1 and 10.")
        definition = self._state.definition(params["taskDefinition"])
        if not any(each.status == "ACTIVE" for each in cluster.instances.values()):
            message = "No Container Instances were found in your cluster."
            raise AwsError("InvalidParameterException", message)
        tests = _constraints(params.get("placementConstraints") or ())
        tasks: list[Task] = []
        failures: list[dict[str, str]] = []
        for _ in range(count):
            among = [each for each in cluster.instances.values() if all(test(instance_subject(each)) for test in tests)]
            instance = self._scheduler.place(cluster, definition, among=among)
            if instance is None:
                failures += [_failure(each, definition) for each in among or cluster.instances.values()]
                break
            tasks.append(self._task(cluster, instance, definition, params))
        return {"tasks": [self._show(cluster, task) for task in tasks], "failures": failures}

    def _start(self, params: dict[str, Any]) -> dict[str, Any]:
        cluster = self._state.cluster(params.get("cluster"))
        definition = self._state.definition(params["taskDefinition"])
        references = params["containerInstances"]
        if len(references) > _AT_ONCE:
            message = f"Too many container instances: {len(references)}, at most 10 are allowed."
            raise AwsError("InvalidParameterException", message)
        tasks: list[Task] = []
        failures: list[dict[str, str]] = []
        for reference in references:
            instance = find_instance(cluster, reference)
            if instance is None or instance.status == "INACTIVE":
                failures.append({"arn": reference, "reason": "MISSING"})
            elif instance.status == "ACTIVE" and instance.connected and fits(instance, definition):
                tasks.append(self._task(cluster, instance, definition, params))
            else:
                failures.append(_failure(instance, definition))
        return {"tasks": [self._show(cluster, task) for task in tasks], "failures": failures}

    def _stop(self, params: dict[str, Any]) -> dict[str, Any]:
        cluster = self._state.cluster(params.get("cluster"))
        task = find_task(cluster, params["task"])
        if task is None:
            raise AwsError("InvalidParameterException", "The referenced task was not found.")
        reason = params.get("reason") or "Task stopped by user"
        self._scheduler.stop_task(cluster, task, reason=reason, code="UserInitiated")
        self._scheduler.reconcile(cluster)
        return {"task": self._show(cluster, task)}

    def _list(self, params: dict[str, Any]) -> dict[str, Any]:
        cluster = self._state.cluster(params.get("cluster"))
        desired = params.get("desiredStatus") or "RUNNING"
        tasks = list(cluster.tasks.values())
        if params.get("containerInstance"):
            instance = find_instance(cluster, params["containerInstance"])
            if instance is None:
                raise AwsError("InvalidParameterException", "The referenced container instance was not found.")
            tasks = list(instance.tasks.values())
        if params.get("serviceName"):
            name = params["serviceName"].rpartition("/")[2]
            if name not in cluster.services:
                raise AwsError("ServiceNotFoundException", "Service not found.")
            tasks = [task for task in tasks if task.service == name]
        if params.get("family"):
            tasks = [task for task in tasks if task.definition.family == params["family"]]
        if params.get("startedBy"):
            tasks = [task for task in tasks if task.started_by == params["startedBy"]]
        return paged("taskArns", [task.arn for task in tasks if task.desired_status == desired], params)

    def _describe(self, params: dict[str, Any]) -> dict[str, Any]:
        cluster = self._state.cluster(params.get("cluster"))
        references = params["tasks"]
        if not references:
            raise AwsError("InvalidParameterException", "Tasks cannot be empty.")
        if len(references) > PAGE:
            message = f"Too many tasks: {len(references)}, at most {PAGE} are allowed."
            raise AwsError("InvalidParameterException", message)
        with_tags = "TAGS" in params.get("include", ())
        found = [(reference, find_task(cluster, reference)) for reference in references]
        return {
            "tasks": [self._show(cluster, task, with_tags=with_tags) for _, task in found if task is not None],
            "failures": [
                {"arn": self._arn(cluster, reference), "reason": "MISSING"} for reference, task in found if task is None
            ],
        }

    def _task(self, cluster: Cluster, instance: Instance, definition: TaskDefinition, params: dict[str, Any]) -> Task:
        group = params.get("group") or f"family:{definition.family}"
        if group.startswith("service:"):
            raise AwsError("InvalidParameterException", "The group name is reserved for services.")
        task = self._scheduler.start_task(
            cluster, instance, definition, group=group, started_by=params.get("startedBy", "")
        )
        task.tags |= read_tags(params.get("tags"))
        return task

    def _show(self, cluster: Cluster, task: Task, *, with_tags: bool = False) -> dict[str, Any]:
        instance = cluster.instances.get(task.instance_arn)
        return task.show(
            connected=instance is not None and instance.connected,
            zone=instance.spec.zone if instance else "",
            with_tags=with_tags,
        )

    def _arn(self, cluster: Cluster, reference: str) -> str:
        return reference if reference.startswith("arn:") else self._state.arn("task", cluster.name, reference)


def _constraints(raw: list[dict[str, Any]] | tuple[()]) -> list[Test]:
    if any(each.get("type") != "memberOf" for each in raw):
        raise AwsError("UnsupportedFeatureException", "The lab simulates placement constraints of type memberOf only.")
    return [compile_query(each.get("expression", "")) for each in raw]


def _failure(instance: Instance, definition: TaskDefinition) -> dict[str, str]:
    if not instance.connected:
        reason = "AGENT"
    elif instance.status != "ACTIVE":
        reason = instance.status
    else:
        reason = "RESOURCE:CPU" if definition.cpu > instance.free[0] else "RESOURCE:MEMORY"
    return {"arn": instance.arn, "reason": reason}
