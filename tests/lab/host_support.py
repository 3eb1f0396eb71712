"""What the tests of simulated instances share."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from orchestrator.lab.instance import Host, ScriptJob, ScriptResult
from orchestrator.lab.scenario import InstanceSpec

VECTORS = Path(__file__).parent.parent / "vectors" / "agent"
ID = "i-0123456789abcdef0"


def spec(**changes: Any) -> InstanceSpec:
    """A healthy instance whose agent restarts at once, with `changes`."""
    fields: dict[str, Any] = {"instance_id": ID, "restart_seconds": (0.02, 0.04), "retry_seconds": (0.02, 0.05)}
    return InstanceSpec(**(fields | changes))


async def run(host: Host, script: str, *, limit: float = 20, cancel: asyncio.Event | None = None) -> ScriptResult:
    """Run `script` as one step of a command of its own."""
    number = len(list((host.root / "var/lib/amazon/ssm").rglob("_script.sh")))
    return await host.execute(
        ScriptJob(
            command_id=f"command-{number}",
            step="stepOne",
            script=script,
            timeout=limit,
            cancel=cancel or asyncio.Event(),
        )
    )


async def eventually(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait for something that only polling can see; the test's own timeout is the limit."""
    while not await condition():  # noqa: ASYNC110 - files and processes raise no events here
        await asyncio.sleep(0.01)
