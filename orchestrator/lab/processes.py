"""Runs processes as an instance would: a script under the SSM agent, and the end of whatever was left behind."""

import asyncio
import contextlib
import os
import shlex
import signal
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from orchestrator.lab.wire import Clock

KEPT_BYTES = 24_000  # of each stream, the first ones (F59)
UMASK = 0o022


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptJob:
    """One step to run: `script` has its parameters substituted already; `cancel` may be set at any time."""

    command_id: str
    step: str
    script: str
    timeout: float
    cancel: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptResult:
    """How a step ended. A killed script's code is 128 + the signal's number, as a shell says it."""

    code: int
    stdout: str
    stderr: str
    ended: Literal["exited", "timed_out", "cancelled"]


class _FirstBytes(asyncio.Protocol):
    """Keeps the first bytes of a pipe, drains the rest, and knows when nobody holds the other end."""

    def __init__(self) -> None:
        self._kept = bytearray()
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        self._kept += data[: KEPT_BYTES - len(self._kept)]

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        if not self.ended.done():
            self.ended.set_result(None)

    @property
    def text(self) -> str:
        """What was kept, with undecodable bytes replaced."""
        return self._kept.decode("utf-8", "replace")


async def run_script(
    job: ScriptJob,
    directory: Path,
    *,
    seen_at: str,
    environment: Mapping[str, str],
    clock: Clock,
    prefix: Sequence[str] = (),
) -> ScriptResult:
    """Run the step in `directory` as the SSM agent does (F55-F59).

    The script is a 0700 file, run as `sh -c <path>` in a session of its own; timeout and cancel send SIGKILL to its
    process group, and the step ends only when nobody holds its streams any more (F58). Cancelling the call kills
    the group too. `prefix` is an argv to run it under, `seen_at` the directory's path for the script.
    """
    path = directory / "_script.sh"
    path.write_text(job.script, encoding="utf-8")
    path.chmod(stat.S_IRWXU)
    streams = [await _pipe(), await _pipe()]
    try:
        process = await asyncio.create_subprocess_exec(
            *prefix,
            "/bin/sh",
            "-c",
            shlex.quote(f"{seen_at}/{path.name}"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=streams[0].write_end,
            stderr=streams[1].write_end,
            env=dict(environment),
            cwd=directory,
            umask=UMASK,
            start_new_session=True,
        )
        for stream in streams:
            stream.close_write_end()
        return await _watch(job, process, [stream.reader for stream in streams], clock)
    finally:
        for stream in streams:
            stream.close()


async def _watch(
    job: ScriptJob, process: asyncio.subprocess.Process, readers: Sequence[_FirstBytes], clock: Clock
) -> ScriptResult:
    ended: Literal["exited", "timed_out", "cancelled"] = "exited"
    exit_ = asyncio.ensure_future(_end_of(process, readers))
    timeout = asyncio.ensure_future(clock.sleep(job.timeout))
    cancel = asyncio.ensure_future(job.cancel.wait())
    try:
        await asyncio.wait({exit_, timeout, cancel}, return_when=asyncio.FIRST_COMPLETED)
        if not exit_.done():
            ended = "cancelled" if cancel.done() else "timed_out"
            kill_group(process.pid)
        code = await exit_
    finally:
        if not exit_.done():
            kill_group(process.pid)
        for waiter in (exit_, timeout, cancel):
            waiter.cancel()
        await process.wait()
    return ScriptResult(code=code, stdout=readers[0].text, stderr=readers[1].text, ended=ended)


async def _end_of(process: asyncio.subprocess.Process, readers: Iterable[_FirstBytes]) -> int:
    code = await process.wait()
    for reader in readers:
        await asyncio.shield(reader.ended)
    return code if code >= 0 else 128 - code


@dataclass(slots=True)
class _Pipe:
    reader: _FirstBytes
    transport: asyncio.ReadTransport
    write_end: int

    def close_write_end(self) -> None:
        if self.write_end >= 0:
            os.close(self.write_end)
            self.write_end = -1

    def close(self) -> None:
        self.close_write_end()
        self.transport.close()


async def _pipe() -> _Pipe:
    read_end, write_end = os.pipe()
    transport, reader = await asyncio.get_running_loop().connect_read_pipe(
        _FirstBytes, os.fdopen(read_end, "rb", buffering=0)
    )
    return _Pipe(reader=reader, transport=transport, write_end=write_end)


def kill_group(pid: int, number: signal.Signals = signal.SIGKILL) -> None:
    """Send a signal to the process group that `pid` leads, if it is still there."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def end_strays(marks: Iterable[str]) -> tuple[int, ...]:
    """Kill the processes that bear a mark of ours; return their pids. Does nothing where there is no /proc.

    A script may leave children in sessions of their own (F56). A mark is `PATH=` and an instance's bin directory,
    with which only what a script of ours started can have its PATH begin, or `net:[...]`, a network namespace.
    """
    wanted = frozenset(marks)
    found: list[int] = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if not wanted.isdisjoint(_marks_of(entry)):
                os.kill(int(entry.name), signal.SIGKILL)
                found.append(int(entry.name))
    return tuple(found)


def _marks_of(process: Path) -> Iterator[str]:
    yield str((process / "ns/net").readlink())
    for variable in (process / "environ").read_bytes().split(b"\0"):
        yield os.fsdecode(variable.partition(b":")[0])
