"""What is sent to an instance: the parameters of each document. Names, numbers and references only (F62)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from orchestrator.core.settings import Deadlines

INSPECT_STEP_SECONDS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class PayloadReference:
    """Where an instance fetches the credential: a store, a name in it, the exact version and URL, its digest."""

    store: str
    name: str
    version: str
    url: str
    region: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HostPaths:
    """Parameters by which hosts that are not ECS-optimized differ; empty means the document's own defaults."""

    overrides: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What every order of a run has in common."""

    run: str
    cluster: str
    fence: int
    deadlines: Deadlines
    paths: HostPaths


def comment_of(run: str, batch: str) -> str:
    """Name one SendCommand so that it can be found again (F70: no idempotency token, 100 characters)."""
    return f"ecs-rollout {run} {batch}"


def _common(context: Context, not_after: int) -> dict[str, str]:
    return {
        **context.paths.overrides,
        "RunId": context.run,
        "Fence": str(context.fence),
        "NotAfter": str(not_after),
        "Cluster": context.cluster,
    }


def inspect_parameters(context: Context, not_after: int) -> dict[str, str]:
    """Parameters of the inspect document."""
    return _common(context, not_after) | {"StepSeconds": str(INSPECT_STEP_SECONDS)}


def _times(deadlines: Deadlines) -> dict[str, str]:
    return {
        "VerifySeconds": str(deadlines.verify),
        "RestoreSeconds": str(deadlines.restore),
        "WatchdogSeconds": str(deadlines.watchdog),
        "StepSeconds": str(deadlines.step),
    }


def restore_parameters(
    context: Context, not_after: int, *, run: str, on_tasks: str, verify_login: bool
) -> dict[str, str]:
    """Parameters of the restore document: `run` is the one that is taken back, `verify_login` is about the old one."""
    return (
        _common(context, not_after)
        | _times(context.deadlines)
        | {"RestoreRun": run, "OnTasks": on_tasks, "VerifyLogin": "yes" if verify_login else "no"}
    )


def apply_parameters(
    context: Context, not_after: int, *, generation: str, payload: PayloadReference, on_tasks: str, verify_login: bool
) -> dict[str, str]:
    """Parameters of the apply document."""
    return (
        _common(context, not_after)
        | _times(context.deadlines)
        | {
            "Generation": generation,
            "Region": payload.region,
            "PayloadStore": payload.store,
            "PayloadName": payload.name,
            "PayloadVersion": payload.version,
            "PayloadUrl": payload.url,
            "PayloadDigest": payload.digest,
            "OnTasks": on_tasks,
            "VerifyLogin": "yes" if verify_login else "no",
        }
    )
