"""What the tests of the documents share: the rendered scripts on simulated hosts, and a store to fetch from."""

import asyncio
import base64
import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from orchestrator.core.documents import Kind, render
from orchestrator.documents_folder import document_sources
from orchestrator.lab import agent_document
from orchestrator.lab.host_farm import HostFarm
from orchestrator.lab.imds import credentials_of
from orchestrator.lab.instance import Host, ScriptJob, ScriptResult
from orchestrator.lab.wire import SystemClock

SECRET = "Zq7-canary-Password+42"
DATA = json.dumps(
    {"registry.example.com": {"auth": base64.b64encode(f"puller:{SECRET}".encode()).decode()}}, separators=(",", ":")
)
OTHER_DATA = DATA.replace("registry", "mirror")
CLOCK = SystemClock()
# Short enough for tests, long enough for a busy machine; verify + restore < watchdog < step.
TIMES = {"VerifySeconds": "12", "RestoreSeconds": "12", "WatchdogSeconds": "40", "StepSeconds": "60"}


def payload_of(auth_type: str = "dockercfg", data: str = DATA, nonce: str = "ab" * 32) -> str:
    text = f"ecs-rollout-payload 1\n{nonce}\n{auth_type}\n{data}\n"
    return base64.b64encode(text.encode()).decode()


@dataclass
class Store:
    """A Systems Manager that knows GetParameter, and checks every signature as AWS does."""

    parameters: dict[str, str] = field(default_factory=dict)
    failures: list[tuple[int, str]] = field(default_factory=list)
    requests: list[Mapping[str, str]] = field(default_factory=list)
    url: str = ""
    instance_ids: set[str] = field(default_factory=set)

    async def answer(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.requests.append(dict(request.headers))
        if self.failures:
            status, kind = self.failures.pop(0)
            return web.json_response({"__type": kind, "message": "no"}, status=status)
        if not self._is_signed(request, body):
            return web.json_response({"__type": "InvalidSignatureException"}, status=400)
        value = self.parameters.get(json.loads(body)["Name"])
        if value is None:
            return web.json_response({"__type": "ParameterVersionNotFound"}, status=400)
        return web.json_response({"Parameter": {"Name": "n", "Type": "SecureString", "Value": value, "Version": 3}})

    def _is_signed(self, request: web.Request, body: bytes) -> bool:
        fields = dict(
            part.strip().split("=", 1) for part in request.headers["Authorization"].split(" ", 1)[1].split(",")
        )
        key, _, region, service, _ = fields["Credential"].split("/")
        role = next((each for each in map(credentials_of, self.instance_ids) if each.access_key_id == key), None)
        if role is None or request.headers.get("X-Amz-Security-Token") != role.token:
            return False
        signer = SigV4Auth(Credentials(key, role.secret_access_key, role.token), service, region)
        signed = {name: request.headers[name] for name in fields["SignedHeaders"].split(";")}
        again = AWSRequest(method=request.method, url=str(request.url), data=body, headers=signed)
        again.context["timestamp"] = request.headers["X-Amz-Date"]
        text = signer.string_to_sign(again, signer.canonical_request(again))
        return bool(signer.signature(text, again) == fields["Signature"])


@contextlib.asynccontextmanager
async def on_loopback(app: web.Application) -> AsyncIterator[str]:
    """Serve an application; give its host and port."""
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def store_at_work(**parameters: str) -> AsyncIterator[Store]:
    store = Store(parameters=dict(parameters))
    app = web.Application()
    app.router.add_post("/", store.answer)
    async with on_loopback(app) as address:
        store.url = f"http://{address}"
        yield store


def rendered(kind: Kind) -> str:
    return render(kind, document_sources())


@dataclass
class Bench:
    """One host and one store; `apply`, `inspect` and `restore` run the real documents there."""

    host: Host
    farm: HostFarm
    store: Store
    number: int = 0

    def state(self, name: str = "") -> Path:
        return self.host.root / "var/lib/ecs-rollout" / name

    @property
    def config(self) -> Path:
        return self.host.config_file

    def prepare(self, kind: Kind, values: Mapping[str, str]) -> agent_document.Step:
        """Render the step as the SSM agent does, with this host's own paths."""
        given = {"RunId": "run-1", "Fence": "1", "NotAfter": str(int(CLOCK.now()) + 300), "Cluster": "demo"} | dict(
            values
        )
        document = agent_document.parse(rendered(kind))
        passed = {name: [value] for name, value in given.items()}
        (step,) = agent_document.prepare(document, passed, platform="Amazon Linux", rebase=self.host.rebase)
        return step

    async def send(
        self, kind: Kind, values: Mapping[str, str], *, change: Callable[[str], str] = str, limit: float = 60
    ) -> ScriptResult:
        step = self.prepare(kind, values)
        self.number += 1
        job = ScriptJob(command_id=f"{kind}-{self.number}", step=step.name, script=change(step.script), timeout=limit)
        return await self.host.execute(job)

    def apply_values(self, *, name: str = "/p", payload: str = "", **values: str) -> dict[str, str]:
        payload = payload or payload_of()
        self.store.parameters[f"{name}:1"] = payload
        return {
            "Generation": "ab" * 16,
            "Region": "us-east-1",
            "PayloadStore": "ssm",
            "PayloadName": name,
            "PayloadVersion": "1",
            "PayloadUrl": self.store.url,
            "PayloadDigest": hashlib.sha256(payload.encode()).hexdigest(),
            "OnTasks": "refuse",
            **TIMES,
            **values,
        }

    async def apply(self, **values: Any) -> dict[str, Any]:
        return result_of(await self.send(Kind.APPLY, self.apply_values(**values)))

    async def restore(self, **values: str) -> dict[str, Any]:
        given = {"RestoreRun": "run-1", "RunId": "run-2", "Fence": "2", "OnTasks": "refuse", **TIMES, **values}
        return result_of(await self.send(Kind.RESTORE, given))

    async def inspect(self, **values: str) -> dict[str, Any]:
        return result_of(await self.send(Kind.INSPECT, values))


def result_of(result: ScriptResult) -> dict[str, Any]:
    """Read the first line as the controller does; a script that says anything else fails the test."""
    first = result.stdout.split("\n", 1)[0]
    assert first, f"no result line; {result}"
    assert result.stderr == ""
    assert len(first) <= 2000
    assert first.isascii()
    line: dict[str, Any] = json.loads(first)
    assert all(isinstance(value, str | int | list) for value in line.values())
    return line


def needs(*tools: str) -> pytest.MarkDecorator:
    """Skip by name what this machine lacks; in CI nothing may be lacking."""
    missing = [tool for tool in tools if shutil.which(tool) is None]
    return pytest.mark.skipif(bool(missing) and not os.environ.get("CI"), reason=f"skipped, no {', '.join(missing)}")


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what only polling can see: files and processes raise no events here."""
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.03)
