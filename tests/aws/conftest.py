"""The adapters' ECS: a lab of the test's own, and a plain boto3 client beside the adapter to see what it did."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from orchestrator.lab.lab import Lab, LabThread
from orchestrator.lab.scenario import InstanceSpec, Scenario

if TYPE_CHECKING:
    from mypy_boto3_ecs import ECSClient
    from mypy_boto3_ecs.type_defs import ContainerInstanceTypeDef

CLUSTER = "demo"


@dataclass(frozen=True)
class Place:
    """A lab that runs, and a client of it."""

    lab: Lab
    client: "ECSClient"

    def arn(self, instance_id: str) -> str:
        """The newest registration of an instance."""
        found = list(self.lab.ecs.state.clusters[CLUSTER].instances.values())
        return [each.arn for each in found if each.spec.instance_id == instance_id][-1]

    def shown(self, arn: str) -> "ContainerInstanceTypeDef":
        """What ECS shows of a container instance."""
        answer = self.client.describe_container_instances(cluster=CLUSTER, containerInstances=[arn], include=["TAGS"])
        return answer["containerInstances"][0]

    def attributes(self, arn: str) -> dict[str, str]:
        """Its custom attributes."""
        found = {each["name"]: each.get("value", "") for each in self.shown(arn)["attributes"]}
        return {name: value for name, value in found.items() if not name.startswith(("ecs.", "com.amazonaws."))}

    def tags(self, arn: str) -> dict[str, str]:
        """Its tags."""
        return {each["key"]: each["value"] for each in self.shown(arn)["tags"]}

    def put(self, arn: str, **attributes: str) -> None:
        """Put custom attributes, as somebody else does."""
        for name, value in attributes.items():
            self.client.put_attributes(cluster=CLUSTER, attributes=[{"name": name, "value": value, "targetId": arn}])

    def calls(self, operation: str) -> list[dict[str, Any]]:
        """The parameters of every call of an operation so far."""
        return [json.loads(each.body) for each in self.lab.recorder.of(operation)]


def eventually(condition: Callable[[], bool]) -> None:
    """Wait for what the lab does by itself; the test's own timeout is the limit."""
    while not condition():
        threading.Event().wait(0.01)


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Place]]:
    """Start a lab whose fleet is these instances."""
    with ExitStack() as stack:

        def begin(*specs: InstanceSpec, **scenario: Any) -> Place:
            lab = stack.enter_context(LabThread(Lab(Scenario(instances=specs, **scenario), tmp_path / "instances")))
            for name, value in lab.exports().items():
                monkeypatch.setenv(name, value)
            return Place(lab, boto3.client("ecs"))

        yield begin
