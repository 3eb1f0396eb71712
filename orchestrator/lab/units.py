"""The transient units of one instance: what systemd-run starts, outside the caller's session and group."""

import asyncio
import contextlib
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.lab.ecs_unit import write_unit_state
from orchestrator.lab.processes import UMASK, kill_group
from orchestrator.lab.wire import Clock

_STOP_PATIENCE = 5.0  # between SIGTERM and SIGKILL; systemd's own default is 90 s


@dataclass(slots=True)
class _Unit:
    process: asyncio.subprocess.Process
    collect: bool
    watcher: asyncio.Task[None] | None = None
    stopping: bool = False


class TransientUnits:
    """Starts, watches and ends transient units. Only what it started itself is ever signalled, by pid."""

    def __init__(
        self, root: Path, environment: Mapping[str, str], clock: Clock, *, base: str, prefix: Sequence[str] = ()
    ) -> None:
        self._root = root
        self._base = base
        self._environment = dict(environment)
        self._clock = clock
        self._prefix = tuple(prefix)
        self._units: dict[str, _Unit] = {}
        self._failed: set[str] = set()
        self._unnamed = 0

    def prepare(self) -> None:
        """Make the directory of unit states."""
        (self._root / "run/lab/units").mkdir(parents=True, exist_ok=True)

    async def run(
        self, name: str, argv: Sequence[str], *, collect: bool, settings: Sequence[str] = ()
    ) -> tuple[int, str]:
        """Start a unit; return systemd-run's exit code and what it says."""
        if not name:
            self._unnamed += 1
            name = f"run-r{self._unnamed:032x}"
        unit = name if name.endswith(".service") else f"{name}.service"
        if unit in self._units or unit in self._failed:
            return 1, (
                f"Failed to start transient service unit: Unit {unit} was already loaded or has a fragment file."
            )
        environment = dict(self._environment)
        limit = None
        for setting in settings:
            key, _, value = setting.partition("=")
            if key == "Environment":
                variable, _, text = value.partition("=")
                environment[variable] = text
            elif key == "RuntimeMaxSec":
                limit = float(value)
        process = await asyncio.create_subprocess_exec(
            *self._prefix,
            "/usr/bin/env",
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            env=environment,
            cwd="/",
            umask=UMASK,
            start_new_session=True,
        )
        found = self._units[unit] = _Unit(process=process, collect=collect)
        self._show(unit, pid=process.pid, active="active", sub="running")
        found.watcher = asyncio.create_task(self._watch(unit, found, limit))
        return 0, f"Running as unit: {unit}"

    def known(self, unit: str) -> bool:
        """Say whether the unit is loaded: running, or failed and not collected."""
        return unit in self._units or unit in self._failed

    async def stop(self, unit: str) -> None:
        """End a unit: SIGTERM to its group, then SIGKILL."""
        found = self._units.get(unit)
        if found is None or found.watcher is None:
            return
        found.stopping = True
        kill_group(found.process.pid, signal.SIGTERM)
        patience = asyncio.ensure_future(self._clock.sleep(_STOP_PATIENCE))
        await asyncio.wait({found.watcher, patience}, return_when=asyncio.FIRST_COMPLETED)
        patience.cancel()
        kill_group(found.process.pid)
        await asyncio.shield(found.watcher)

    def kill(self, unit: str) -> None:
        """Send SIGKILL to a unit's group."""
        if unit in self._units:
            kill_group(self._units[unit].process.pid)

    def reset_failed(self, unit: str) -> None:
        """Forget that a unit failed."""
        if unit in self._failed:
            self._failed.discard(unit)
            self._path(unit).unlink(missing_ok=True)

    async def close(self) -> None:
        """Kill whatever still runs."""
        running = [found.watcher for found in self._units.values() if found.watcher is not None]
        for found in self._units.values():
            found.stopping = True
            kill_group(found.process.pid)
        await asyncio.gather(*running)

    @property
    def running(self) -> tuple[str, ...]:
        """The names of the units that run."""
        return tuple(self._units)

    async def _watch(self, unit: str, found: _Unit, limit: float | None) -> None:
        process = found.process
        if limit is not None:
            timer = asyncio.ensure_future(self._clock.sleep(limit))
            exit_ = asyncio.ensure_future(process.wait())
            await asyncio.wait({timer, exit_}, return_when=asyncio.FIRST_COMPLETED)
            timer.cancel()
            kill_group(process.pid)
        code = await process.wait()
        # systemd ends what the main process leaves in its control group; the process group is what we can see.
        kill_group(process.pid)
        del self._units[unit]
        if code == 0 or found.stopping or found.collect:
            with contextlib.suppress(FileNotFoundError):
                self._path(unit).unlink()
            return
        self._failed.add(unit)
        self._show(unit, pid=0, active="failed", sub="failed", result="exit-code", status=code)

    def _show(self, unit: str, *, pid: int, active: str, sub: str, result: str = "success", status: int = 0) -> None:
        write_unit_state(
            self._root,
            unit,
            base=self._base,
            pid=pid,
            result=result,
            status=status,
            active=active,
            sub=sub,
            file_state="transient",
        )

    def _path(self, unit: str) -> Path:
        return self._root / "run/lab/units" / unit
