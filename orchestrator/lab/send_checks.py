"""What SendCommand checks before it accepts: the document's parameters, and whom the targets mean."""

from collections.abc import Mapping
from typing import Any

from orchestrator.lab import agent_document
from orchestrator.lab.managed import ManagedHost, is_registered, tags_of
from orchestrator.lab.wire import AwsError


def check_parameters(document: Mapping[str, Any], passed: Mapping[str, list[str]]) -> None:
    """Refuse what the service refuses; allowedPattern is the agent's business (F52)."""
    known = agent_document.definitions(document)
    unknown = sorted(set(passed) - set(known))
    if unknown:
        raise AwsError("InvalidParameters", f"Parameter {unknown[0]} is not defined in the document.")
    for name, definition in known.items():
        values = passed.get(name)
        if values is None:
            if "default" not in definition:
                raise AwsError("InvalidParameters", f"Parameter {name} has no value and no default.")
            continue
        if definition.get("type") == "String" and len(values) != 1:
            raise AwsError("InvalidParameters", f"Parameter {name} takes one value.")
        allowed = definition.get("allowedValues")
        if allowed and not {str(value) for value in allowed}.issuperset(values):
            raise AwsError("InvalidParameters", f"Parameter {name} is not one of the allowed values.")


def is_targeted(host: ManagedHost, targets: list[dict[str, Any]]) -> bool:
    """Say whether every target matches: by id, by tag, by a tag's presence."""
    if not is_registered(host):
        return False
    tags = tags_of(host.spec)
    for target in targets:
        key, values = target.get("Key", ""), target.get("Values") or []
        if key.lower() == "instanceids":
            right = host.spec.instance_id in values
        elif key == "tag-key":
            right = bool(set(values) & set(tags))
        elif key.startswith("tag:"):
            right = tags.get(key.removeprefix("tag:")) in values
        else:
            right = False
        if not right:
            return False
    return True
