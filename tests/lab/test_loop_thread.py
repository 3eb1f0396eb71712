"""The lab's event loop."""

import asyncio

from orchestrator.lab.loop_thread import LoopThread


def test_what_still_runs_ends_with_the_loop() -> None:
    """A task that nobody waits for is cancelled and has cleaned up when the loop is gone."""
    loop = LoopThread()
    loop.start()
    seen: list[str] = []

    async def lasting() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            seen.append("cleaned up")

    async def begin() -> "asyncio.Task[None]":
        task = asyncio.create_task(lasting())
        await asyncio.sleep(0)
        return task

    task = loop.call(begin())
    loop.stop()
    assert task.cancelled()
    assert seen == ["cleaned up"]
