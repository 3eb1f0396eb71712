"""What the journal's values are called where a person reads them: names and values of evidence in words."""

from collections.abc import Mapping
from types import MappingProxyType

from orchestrator.core.readiness import REMARKS
from orchestrator.report.remarks import CHANGE_REMARKS
from orchestrator.report.times import moment

NAMES: Mapping[str, str] = MappingProxyType(
    {
        # an instance, as ECS and Systems Manager describe it
        "instance_id": "EC2 instance",
        "arn": "container instance",
        "zone": "zone",
        "status": "status in ECS",
        "platform": "platform",
        "ping": "its SSM agent",
        "agent_connected": "agent connected to ECS",
        "agent_version": "agent version",
        "running_tasks": "running tasks",
        "pending_tasks": "pending tasks",
        "mark": "drained by the run",
        "ami": "image (AMI)",
        # what inspect saw there
        "agent": "ECS agent",
        "cluster": "cluster",
        "method": "restarted by",
        "persistence": "agent's state over a restart",
        "why": "known by",
        "tasks": "tasks known to the agent",
        "generation": "generation applied last",
        "run": "by the run",
        "agrees": "file and agent hold what a run applied",
        "fence": "largest lock number seen there",
        "armed": "half-way change",
        "last": "its watchdog did last",
        "last_run": "for the run",
        "registries": "has logins for",
        "registries_total": "logins in all",
        "warnings": "remarks",
        "fetch": "can fetch with",
        # what apply or restore reported
        "op": "document",
        "claim": "it says",
        "reason": "reason",
        "changed": "changed anything",
        "detail": "in detail",
        "arn_before": "container instance before",
        "tasks_before": "tasks before",
        "tasks_after": "tasks afterwards",
        "restart_ms": "restart took, in ms",
        "log": "agent's log",
        # where the credential is delivered
        "store": "store",
        "name": "name",
        "version": "version",
        "url": "fetched from",
        "region": "Region",
        "digest": "digest of what is delivered",
        # other events
        "kind": "outcome",
        "message": "seen",
        "wave": "wave",
        "by": "by",
        "holder": "by",
        "batch": "command",
        "again_at": "looked at again",
        "not_after": "does nothing after",
        "seen": "seen",
        "do": "do",
    }
)
"""How the fields of instances, facts, reports and events are called."""

_MOMENTS = frozenset({"again_at", "not_after"})

_VALUES: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        ("persistence", "persistent"): "kept",
        ("persistence", "ephemeral"): "lost",
        ("persistence", "unknown"): "not known",
        ("last", "watchdog_restored"): "brought the old state back",
        ("last", "restore_failed"): "could not bring the old state back",
        ("armed", "no"): "none",
        ("armed", "living"): "under way, its watchdog lives",
        ("armed", "dead"): "left behind, its watchdog is dead",
    }
)

_SEEN: Mapping[str, str] = MappingProxyType(
    {
        "no_container": "no container of the agent is there",
        "checkpoint_true": "ECS_CHECKPOINT is true",
        "checkpoint_false": "ECS_CHECKPOINT is false",
        "datadir_set": "ECS_DATADIR is set",
        "datadir_unset": "ECS_DATADIR is not set",
        "datadir_empty": "ECS_DATADIR is empty",
        "datadir_odd": "ECS_DATADIR is no absolute path",
        "mounted": "it is mounted from the host",
        "not_mounted": "it is not mounted from the host",
        "tmpfs": "it is in memory (tmpfs)",
        "mount_odd": "it is mounted in an unusual way",
        "mount_read_only": "its mount is read-only",
        "agent_db": "agent.db is there",
        "no_agent_db": "agent.db is not there",
        "file_differs": "the file holds an edit that changes its identity at the next restart",
    }
)
"""By what the documents know whether the agent keeps its state."""


def worded(name: str, text: str) -> str:
    """Say one piece of evidence in words; what has none is said as it is."""
    return f"{NAMES.get(name, name.replace('_', ' '))}: {_value(name, text)}"


def _value(name: str, text: str) -> str:
    if name in _MOMENTS:
        return moment(float(text))
    if name == "why":
        return ", ".join(_SEEN.get(each, each) for each in text.split(", "))
    if name == "warnings":
        return " ".join(map(remark, text.split(", ")))
    return _VALUES.get((name, text), text)


def remark(name: str) -> str:
    """Say what a document remarks in a sentence; one without words is said as it is."""
    if name in CHANGE_REMARKS:
        return CHANGE_REMARKS[name].meaning
    return REMARKS[name][0] if name in REMARKS else f"{name}."
