"""Fixtures: a machine with a real systemd, and the documents' way to it."""

import contextlib
import hashlib
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from orchestrator.core.documents import Kind
from orchestrator.lab import agent_document, imds
from tests.documents.support import CLOCK, Store, payload_of, rendered, store_at_work
from tests.lab.host_support import ID, spec
from tests.support import root_rights, tool
from tests.systemd.machine import Machine

OLD = 'ECS_CLUSTER=demo\nECS_ENGINE_AUTH_TYPE=dockercfg\nECS_ENGINE_AUTH_DATA={"old.example":{"auth":"dTpw"}}\nA=1\n'
TIMES = {"VerifySeconds": "12", "RestoreSeconds": "12", "WatchdogSeconds": "40", "StepSeconds": "60"}


@dataclass
class Ssm:
    """Runs the real documents on a machine as its SSM agent does: inside a unit with a control group of its own."""

    machine: Machine
    store: Store
    metadata_url: str
    number: int = 0

    def _script(self, kind: Kind, values: Mapping[str, str]) -> str:
        given = {
            "RunId": "run-1",
            "Fence": "1",
            "NotAfter": str(int(CLOCK.now()) + 300),
            "Cluster": "demo",
            "IntrospectionUrl": self.machine.introspection_url,
            "MetadataServiceUrl": self.metadata_url,
            **values,
        }
        document = agent_document.parse(rendered(kind))
        passed = {name: [value] for name, value in given.items()}
        (step,) = agent_document.prepare(document, passed, platform="Amazon Linux", rebase=lambda _, texts: texts)
        return step.script

    async def begin(self, kind: Kind, values: Mapping[str, str]) -> str:
        """Start a document; return the unit that runs it."""
        self.number += 1
        unit = f"amazon-ssm-agent-{self.number}"
        script = self.machine.root / f"var/lib/lab/{unit}"
        script.write_text(self._script(kind, values))
        script.chmod(0o700)
        run = ("systemd-run", "--quiet", f"--unit={unit}", "--remain-after-exit")
        out = f"--property=StandardOutput=file:/var/lib/lab/{unit}.out"
        code, said = await self.machine.execute(*run, out, "sh", "-c", f"/var/lib/lab/{unit}; exit 0")
        assert code == 0, said
        return unit

    async def end(self, unit: str) -> dict[str, Any]:
        """Wait for a document's end; return its result line."""
        while (await self.machine.show(unit, "SubState"))["SubState"] != "exited":
            pass
        await self.machine.execute("systemctl", "stop", unit)
        text = (self.machine.root / f"var/lib/lab/{unit}.out").read_text()
        line: dict[str, Any] = json.loads(text.split("\n", 1)[0])
        return line

    def apply_values(self, payload: str = "", **values: str) -> dict[str, str]:
        payload = payload or payload_of()
        self.store.parameters["/p:1"] = payload
        return {
            "Generation": "ab" * 16,
            "Region": "us-east-1",
            "PayloadStore": "ssm",
            "PayloadName": "/p",
            "PayloadVersion": "1",
            "PayloadUrl": self.store.url,
            "PayloadDigest": hashlib.sha256(payload.encode()).hexdigest(),
            **TIMES,
            **values,
        }

    async def apply(self, **values: str) -> dict[str, Any]:
        return await self.end(await self.begin(Kind.APPLY, self.apply_values(**values)))

    async def restore(self, **values: str) -> dict[str, Any]:
        given = {"RestoreRun": "run-1", "RunId": "run-2", "Fence": "2", **TIMES, **values}
        return await self.end(await self.begin(Kind.RESTORE, given))

    async def inspect(self) -> dict[str, Any]:
        return await self.end(await self.begin(Kind.INSPECT, {}))


@contextlib.asynccontextmanager
async def metadata_service() -> AsyncIterator[str]:
    """Serve the machine's instance metadata."""
    metadata = imds.InstanceMetadata(spec(), CLOCK)

    async def answer(request: web.Request) -> web.Response:
        return await imds.answer(metadata, request, request.path)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.fixture
async def ssm(tmp_path: Path) -> AsyncIterator[Ssm]:
    """Boot a machine and serve what its documents ask for."""
    root_rights()
    for name, package in (("systemd-run", "systemd"), ("unshare", "util-linux"), ("nsenter", "util-linux")):
        tool(name, package=package)
    machine = Machine(tmp_path / "machine")
    machine.build(OLD)
    async with store_at_work() as store, metadata_service() as url:
        store.instance_ids.add(ID)
        try:
            await machine.start()
            yield Ssm(machine, store, url)
        finally:
            await machine.stop()
