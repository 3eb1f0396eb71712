"""Draining behind the port `Drains`: ownership marks, ECS statuses, tasks, and what a new registration inherits."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from orchestrator.aws.ecs import MARK, attributes_of, describe, list_arns, sighting, tags_of
from orchestrator.aws.session import code_of, translated
from orchestrator.aws.tasks import read_capacity, service_of, tasks_on
from orchestrator.core.capacity import Capacity
from orchestrator.core.model import Sighting
from orchestrator.errors import RefusedError
from orchestrator.ports import TaskSeen

if TYPE_CHECKING:
    from mypy_boto3_ecs import ECSClient
    from mypy_boto3_ecs.literals import ContainerInstanceStatusType
    from mypy_boto3_ecs.type_defs import AttributeTypeDef, ContainerInstanceTypeDef

_AT_ONCE = 10
_NAMED_AT_ONCE = 50
_CROWDED = "AttributeLimitExceededException"
# Errors about what a call names, not about the call: alone, each is that one's failure.
_ABOUT_ONE = frozenset(
    {
        _CROWDED,
        "ClientException",
        "InvalidParameterException",
        "LimitExceededException",
        "ResourceNotFoundException",
        "TargetNotFoundException",
    }
)
_NOT_OURS = ("ecs.", "com.amazonaws.")


@dataclass(frozen=True, slots=True)
class _Trouble:
    """Why ECS did not do it for one instance."""

    code: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.code}: {self.detail}" if self.detail else self.code


_Call = Callable[[Sequence[str]], Mapping[str, _Trouble]]


class EcsDrains:
    """The draining of one cluster's container instances."""

    def __init__(self, *, client: "ECSClient", cluster: str) -> None:
        self._client = client
        self._cluster = cluster

    def own(self, arns: Sequence[str], run: str) -> Mapping[str, str]:
        """Mark these by an attribute, ten in a call, or by a tag where all ten attributes are taken (F80)."""
        failed = _by_ten("ecs:PutAttributes", arns, lambda some: self._put({arn: {MARK: run} for arn in some}))
        crowded = [arn for arn, trouble in failed.items() if trouble.code == _CROWDED]
        tagged = _one_by_one("ecs:TagResource", crowded, lambda arn: self._tag(arn, {MARK: run}))
        return _worded({arn: trouble for arn, trouble in failed.items() if arn not in crowded} | tagged)

    def disown(self, arns: Sequence[str]) -> Mapping[str, str]:
        """Take our mark off, whichever form it has. Nothing is marked on one that is gone: no failure."""
        present = [each for each in self._described(arns) if each["status"] != "INACTIVE"]
        attributed = [each["containerInstanceArn"] for each in present if MARK in attributes_of(each)]
        tagged = [each["containerInstanceArn"] for each in present if MARK in tags_of(each)]
        failed = _by_ten("ecs:DeleteAttributes", attributed, self._delete_mark)
        return _worded(failed | _one_by_one("ecs:UntagResource", tagged, self._untag))

    def drain(self, arns: Sequence[str]) -> Mapping[str, str]:
        """Set these DRAINING, ten in a call (F80)."""
        return self._set(arns, "DRAINING")

    def activate(self, arns: Sequence[str]) -> Mapping[str, str]:
        """Set these ACTIVE, ten in a call (F80)."""
        return self._set(arns, "ACTIVE")

    def tasks(self, arns: Sequence[str]) -> Mapping[str, Sequence[TaskSeen]]:
        """List the tasks that are on these, those that are being stopped, too (F81)."""
        found: dict[str, list[TaskSeen]] = {arn: [] for arn in arns}
        for arn, task in tasks_on(self._client, self._cluster, arns, leaving=True):
            found[arn].append(TaskSeen(arn=task["taskArn"], service=service_of(task)))
        return found

    def stop(self, tasks: Sequence[str], reason: str) -> None:
        """Stop tasks by ARN; one that ECS no longer knows is no error."""
        for task in tasks:
            with translated("ecs:StopTask"):
                try:
                    self._client.stop_task(cluster=self._cluster, task=task, reason=reason)
                except ClientError as error:
                    if "not found" not in error.response.get("Error", {}).get("Message", ""):
                        raise

    def registrations(self, instance_ids: Sequence[str]) -> Mapping[str, Sequence[Sighting]]:
        """Find every registration of these EC2 instances in every status but INACTIVE, oldest first (F33)."""
        found: list[ContainerInstanceTypeDef] = []
        for start in range(0, len(instance_ids), _NAMED_AT_ONCE):
            names = ", ".join(f"'{each}'" for each in instance_ids[start : start + _NAMED_AT_ONCE])
            arns = list_arns(self._client, self._cluster, query=f"ec2InstanceId in [{names}]")
            found += [each for each in self._described(arns) if each["status"] != "INACTIVE"]
        found.sort(key=lambda each: each["registeredAt"])
        return {name: [sighting(each) for each in found if each.get("ec2InstanceId") == name] for name in instance_ids}

    def carry_over(self, old: str, new: str) -> None:
        """Give `new` the custom attributes and tags of `old` that it lacks, our mark excepted (F33).

        What the agent registered with (ECS_INSTANCE_ATTRIBUTES, propagated tags) stays as it is.
        """
        known = {each["containerInstanceArn"]: each for each in self._described([old, new])}
        if old not in known or new not in known or known[new]["status"] == "INACTIVE":
            return
        before, after = known[old], known[new]
        attributes = _missing(attributes_of(before), attributes_of(after), _NOT_OURS)
        if attributes:
            with translated("ecs:PutAttributes"):
                self._inherit(new, attributes, attributes_of(after).get(MARK, ""))
        tags = _missing(tags_of(before), tags_of(after), ("aws:",))
        if tags:
            with translated("ecs:TagResource"):
                self._tag(new, tags)

    def deregister(self, arn: str) -> None:
        """Deregister a ghost; one that is gone already is no error. Raises RefusedError while its agent is connected.

        By force: no agent will ever come back under this ARN, so tasks that ECS still counts there would be counted
        for ever, and their service would wait for them (F33).
        """
        found = [each for each in self._described([arn]) if each["status"] != "INACTIVE"]
        if not found:
            return
        if found[0].get("agentConnected"):
            raise RefusedError(
                f"The agent of {arn} is connected: it is not deregistered.",
                hint="Only what an agent left behind under its old name is deregistered.",
            )
        with translated("ecs:DeregisterContainerInstance"):
            self._client.deregister_container_instance(cluster=self._cluster, containerInstance=arn, force=True)

    def capacity(self, arns: Sequence[str]) -> Capacity:
        """Read what the tasks on these would need elsewhere, and what the cluster has left."""
        return read_capacity(self._client, self._cluster, arns)

    def _described(self, arns: Sequence[str]) -> "list[ContainerInstanceTypeDef]":
        return list(describe(self._client, self._cluster, arns))

    def _set(self, arns: Sequence[str], status: "ContainerInstanceStatusType") -> Mapping[str, str]:
        def update(some: Sequence[str]) -> Mapping[str, _Trouble]:
            answer = self._client.update_container_instances_state(
                cluster=self._cluster, containerInstances=list(some), status=status
            )
            return {each["arn"]: _Trouble(each["reason"], each.get("detail", "")) for each in answer["failures"]}

        return _worded(_by_ten("ecs:UpdateContainerInstancesState", arns, update))

    def _put(self, wanted: Mapping[str, Mapping[str, str]]) -> Mapping[str, _Trouble]:
        attributes = [_attribute(arn, name, value) for arn, each in wanted.items() for name, value in each.items()]
        self._client.put_attributes(cluster=self._cluster, attributes=attributes)
        return {}

    def _delete_mark(self, arns: Sequence[str]) -> Mapping[str, _Trouble]:
        self._client.delete_attributes(cluster=self._cluster, attributes=[_attribute(arn, MARK) for arn in arns])
        return {}

    def _inherit(self, arn: str, attributes: Mapping[str, str], mark: str) -> None:
        """Put attributes; where our own mark takes the place of the tenth, it becomes a tag."""
        try:
            self._put({arn: attributes})
        except ClientError as error:
            if code_of(error) != _CROWDED or not mark:
                raise
            self._tag(arn, {MARK: mark})
            self._delete_mark([arn])
            self._put({arn: attributes})

    def _tag(self, arn: str, tags: Mapping[str, str]) -> None:
        self._client.tag_resource(resourceArn=arn, tags=[{"key": name, "value": value} for name, value in tags.items()])

    def _untag(self, arn: str) -> None:
        self._client.untag_resource(resourceArn=arn, tagKeys=[MARK])


def _attribute(arn: str, name: str, value: str = "") -> "AttributeTypeDef":
    target: AttributeTypeDef = {"name": name, "targetType": "container-instance", "targetId": arn}
    return {**target, "value": value} if value else target


def _missing(old: Mapping[str, str], new: Mapping[str, str], reserved: tuple[str, ...]) -> dict[str, str]:
    return {
        name: value for name, value in old.items() if name not in new and name != MARK and not name.startswith(reserved)
    }


def _by_ten(action: str, arns: Sequence[str], call: _Call) -> dict[str, _Trouble]:
    """Call for ten at a time, and collect what failed."""
    batches = [arns[start : start + _AT_ONCE] for start in range(0, len(arns), _AT_ONCE)]
    return {arn: trouble for some in batches for arn, trouble in _together(action, some, call).items()}


def _together(action: str, arns: Sequence[str], call: _Call) -> Mapping[str, _Trouble]:
    """Call once; where one of them makes the whole call fail, for each alone."""
    with translated(action):
        try:
            return call(arns)
        except ClientError as error:
            if code_of(error) not in _ABOUT_ONE:
                raise
            if len(arns) == 1:
                return {arns[0]: _Trouble(code_of(error), error.response.get("Error", {}).get("Message", ""))}
    return {arn: trouble for each in arns for arn, trouble in _together(action, [each], call).items()}


def _one_by_one(action: str, arns: Sequence[str], call: Callable[[str], None]) -> dict[str, _Trouble]:
    def alone(some: Sequence[str]) -> Mapping[str, _Trouble]:
        call(some[0])
        return {}

    return {arn: trouble for each in arns for arn, trouble in _together(action, [each], alone).items()}


def _worded(failed: Mapping[str, _Trouble]) -> dict[str, str]:
    return {arn: str(trouble) for arn, trouble in failed.items()}
