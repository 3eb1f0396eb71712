"""How the ECS API writes small things: attributes, tags, resources."""

from collections.abc import Iterable
from typing import Any

from orchestrator.lab.scenario import InstanceSpec, Platform

Tags = dict[str, str]


def system_attributes(spec: InstanceSpec) -> dict[str, str]:
    """Return the attributes that the agent registers by itself."""
    windows = spec.platform is Platform.WINDOWS
    found = {
        "ecs.availability-zone": spec.zone,
        "ecs.ami-id": spec.ami_id,
        "ecs.instance-type": spec.instance_type,
        "ecs.os-type": "windows" if windows else "linux",
        "ecs.os-family": "WINDOWS_SERVER_2022_CORE" if windows else "LINUX",
        "ecs.cpu-architecture": "x86_64",
        "com.amazonaws.ecs.capability.docker-remote-api.1.41": "",
        "com.amazonaws.ecs.capability.logging-driver.json-file": "",
        "com.amazonaws.ecs.capability.private-registry-authentication.secretsmanager": "",
    }
    if spec.platform is Platform.BOTTLEROCKET:
        found["bottlerocket.variant"] = "aws-ecs-2"
    return found


def show_attributes(attributes: dict[str, str]) -> list[dict[str, Any]]:
    """Return botocore's Attributes; one without a value is a capability."""
    return [{"name": name, "value": value} if value else {"name": name} for name, value in attributes.items()]


def show_tags(tags: Tags) -> list[dict[str, str]]:
    """Return botocore's Tags."""
    return [{"key": key, "value": value} for key, value in tags.items()]


def read_tags(raw: Iterable[dict[str, Any]] | None) -> Tags:
    """Read botocore's Tags."""
    return {tag["key"]: tag.get("value", "") for tag in raw or ()}


def show_resources(amounts: tuple[int, int]) -> list[dict[str, Any]]:
    """Return botocore's Resources for CPU units and MiB."""
    return [
        {
            "name": name,
            "type": "INTEGER",
            "doubleValue": 0.0,
            "longValue": 0,
            "integerValue": amount,
        }
        for name, amount in zip(("CPU", "MEMORY"), amounts, strict=True)
    ]
