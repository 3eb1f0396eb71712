"""What the tests on a real Docker engine share: a host of its own paths, on which the real documents run."""

import asyncio
import contextlib
import hashlib
import itertools
import os
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from orchestrator.core.documents import Kind, render
from orchestrator.documents_folder import document_sources
from orchestrator.lab import agent_document
from orchestrator.lab.imds import InstanceMetadata, answer
from orchestrator.lab.processes import ScriptJob, ScriptResult, run_script
from orchestrator.lab.scenario import InstanceSpec
from tests.docker.engine import IMAGE, Engine, pids, read_bytes
from tests.documents.support import CLOCK, Store, payload_of, result_of

OLD_DATA = '{"old.example":{"auth":"dTpw"}}'
TIMES = {"VerifySeconds": "10", "RestoreSeconds": "10", "WatchdogSeconds": "40", "StepSeconds": "60"}
POLICY = "on-failure:7"
_TEXTS = {kind: render(kind, document_sources()) for kind in Kind}
_numbers = itertools.count(1)

# What changes the engine; the wrapper in each host's bin counts these calls and can stop the world at one of them.
_WRAPPER = """#!/bin/bash
# The real docker; before or after the change whose number stands in stop-at it says so and waits to be forgotten.
root={root}
case $1 in
  update | stop | rename | start | rm)
    echo "$*" >>"$root/changes"
    if [ -f "$root/stop-at" ] && [ ! -f "$root/stopped" ]; then
      read -r at when <"$root/stop-at"
      if [ "$(grep -c . "$root/changes")" = "$at" ]; then
        if [ "$when" = after ]; then {docker} "$@"; fi
        : >"$root/stopped"
        while [ ! -f "$root/killed" ]; do sleep 0.02; done
        exit 1
      fi
    fi
    ;;
esac
exec {docker} "$@"
"""


@dataclass
class DockerHost:
    """One host: an env file, a state directory, a container's name and a port, and the engine that it shares."""

    engine: Engine
    root: Path
    store: Store
    services: str
    name: str
    port: int
    number: int = 0
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def config(self) -> Path:
        return self.root / "etc/ecs/ecs.config"

    def state(self, name: str = "") -> Path:
        return self.root / "var/lib/ecs-rollout" / name

    @property
    def environment(self) -> dict[str, str]:
        return {"PATH": f"{self.root}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", **self.extra}

    def run_agent(self, *options: str, image: str = IMAGE, command: tuple[str, ...] = (), policy: str = POLICY) -> str:
        """Start the agent as people do, from the env file; wait until it answers."""
        state = ("-e", "ECS_DATADIR=/data", "-v", f"{self.root}/data:/data", f"--restart={policy}")
        return self.run_plain(*state, *options, image=image, command=command)

    def run_plain(self, *options: str, image: str = IMAGE, command: tuple[str, ...] = ()) -> str:
        base = ("--name", self.name, "--net=host", "-v", f"{self.root}/log:/log", "-e", f"PORT={self.port}")
        made = self.engine.docker("run", "-d", "--env-file", str(self.config), *base, *options, image, *command)
        self.wait_for_agent()
        return made

    def wait_for_agent(self) -> None:
        url = f"http://127.0.0.1:{self.port}/v1/metadata"
        script = 'for i in {1..100}; do curl -q -sf "$0" && exit; sleep 0.05; done; exit 1'
        subprocess.run(["bash", "-c", script, url], check=True, capture_output=True)

    def inspect_container(self) -> dict[str, Any]:
        return self.engine.inspect(self.name)

    def agents(self, *options: str) -> list[str]:
        """List the containers that carry this host's name or one derived from it."""
        return self.engine.ids("--filter", f"name={self.name}", *options)

    def pair(self) -> dict[str, str]:
        """Return the two variables that the running container holds."""
        found = dict(each.split("=", 1) for each in self.inspect_container()["Config"]["Env"])
        return {name: value for name, value in found.items() if name.startswith("ECS_ENGINE_AUTH_")}

    def two_agents(self) -> bool:
        """Tell whether two agents of this host have ever run at the same time, by the engine's own events (F32)."""
        running: set[str] = set()
        for event in self.engine.events():
            if event["status"] == "crash":
                running.clear()
            elif event["Actor"]["Attributes"]["name"].startswith(self.name):
                (running.add if event["status"] == "start" else running.discard)(event["id"])
            if len(running) > 1:
                return True
        return False

    def rebase(self, parameters: Mapping[str, Mapping[str, Any]], values: Mapping[str, str]) -> dict[str, str]:
        found = dict(values)
        for name, definition in parameters.items():
            default = definition.get("default", "")
            if isinstance(default, str) and default.startswith("/"):
                found[name] = f"{self.root}{values.get(name, default)}"
        return found

    def script(self, kind: Kind, values: Mapping[str, str]) -> tuple[str, str]:
        """Return the step's name and its text, as the SSM agent would render it for this host."""
        given = {
            "RunId": "run-1",
            "Fence": "1",
            "NotAfter": str(int(CLOCK.now()) + 300),
            "Cluster": "demo",
            "AgentContainer": self.name,
            "IntrospectionUrl": f"http://127.0.0.1:{self.port}",
            "MetadataServiceUrl": self.services,
            "AgentUnit": "ecs-test-nothing",
            **values,
        }
        passed = {name: [value] for name, value in given.items()}
        (step,) = agent_document.prepare(
            agent_document.parse(_TEXTS[kind]), passed, platform="Amazon Linux", rebase=self.rebase
        )
        return step.name, step.script

    async def send(self, kind: Kind, values: Mapping[str, str], cancel: asyncio.Event | None = None) -> ScriptResult:
        name, text = self.script(kind, values)
        self.number += 1
        folder = self.root / f"var/lib/amazon/ssm/{self.number}"
        folder.mkdir(parents=True)
        job = ScriptJob(
            command_id=str(self.number), step=name, script=text, timeout=90, cancel=cancel or asyncio.Event()
        )
        return await run_script(job, folder, seen_at=str(folder), environment=self.environment, clock=CLOCK)

    def apply_values(self, *, data: str, **values: str) -> dict[str, str]:
        payload = payload_of("dockercfg", data)
        self.store.parameters[f"/{self.name}:1"] = payload
        return {
            "Generation": hashlib.sha256(data.encode()).hexdigest()[:32],
            "Region": "us-east-1",
            "PayloadStore": "ssm",
            "PayloadName": f"/{self.name}",
            "PayloadVersion": "1",
            "PayloadUrl": self.services,
            "PayloadDigest": hashlib.sha256(payload.encode()).hexdigest(),
            "OnTasks": "refuse",
            **TIMES,
            **values,
        }

    async def kill_at(self, number: int, when: str, data: str, times: Mapping[str, str]) -> str:
        """Apply, and SIGKILL the script before or after its change `number` to the engine; return that change.

        Fails when the script has ended before: there is no such change.
        """
        (self.root / "stop-at").write_text(f"{number} {when}\n")
        cancel = asyncio.Event()
        running = asyncio.create_task(self.send(Kind.APPLY, self.apply_values(data=data, **times), cancel))
        while not (self.root / "stopped").exists():
            if running.done():
                raise AssertionError(f"no change number {number}: {running.result()}")
            await asyncio.sleep(0.02)
        cancel.set()
        await asyncio.sleep(0.2)  # the group is dead before the call that hung comes back
        (self.root / "killed").touch()
        assert (await running).ended == "cancelled"
        return (self.root / "changes").read_text().splitlines()[number - 1].split()[0]

    def watchdogs(self) -> list[int]:
        """Find this host's watchdogs, by their command line."""
        mark = os.fsencode(self.state("script"))
        return [pid for pid in pids() if mark in read_bytes(Path(f"/proc/{pid}/cmdline"))]

    async def apply(self, data: str, **values: str) -> dict[str, Any]:
        return result_of(await self.send(Kind.APPLY, self.apply_values(data=data, **values)))

    async def restore(self, **values: str) -> dict[str, Any]:
        given = {"RestoreRun": "run-1", "RunId": "run-9", "Fence": "9", "OnTasks": "refuse", **TIMES, **values}
        return result_of(await self.send(Kind.RESTORE, given))

    async def inspect(self, **values: str) -> dict[str, Any]:
        return result_of(await self.send(Kind.INSPECT, values))


MakeHost = Callable[..., Awaitable[DockerHost]]


@contextlib.asynccontextmanager
async def hosts_at_work(engine: Engine, folder: Path) -> AsyncIterator[MakeHost]:
    """Serve store and metadata service, build hosts, and remove their containers in the end."""
    spec = InstanceSpec(instance_id="i-0123456789abcdef0")
    store = Store(instance_ids={spec.instance_id})
    metadata = InstanceMetadata(spec, CLOCK)
    app = web.Application()
    app.router.add_post("/", store.answer)

    async def tell(request: web.Request) -> web.Response:
        return await answer(metadata, request, request.path)

    app.router.add_route("*", "/latest/{path:.*}", tell)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    services = f"http://127.0.0.1:{runner.addresses[0][1]}"
    hosts: list[DockerHost] = []

    async def build(*, start: bool = True) -> DockerHost:
        number = next(_numbers)
        root = folder / f"host-{number}"
        for each in ("etc/ecs", "var/log", "var/lib", "data", "log", "bin"):
            (root / each).mkdir(parents=True)
        (root / "var/log/ecs").symlink_to(root / "log")
        name = f"agent-{os.getpid()}-{number:03}"
        host = DockerHost(engine=engine, root=root, store=store, services=services, name=name, port=_free_port())
        host.extra["DOCKER_HOST"] = engine.url
        _shim(root / "bin/docker", _WRAPPER.format(root=root, docker=shutil.which("docker")))
        for absent in ("systemctl", "systemd-run", "initctl"):
            _shim(root / f"bin/{absent}", "#!/bin/sh\nexit 1\n")
        host.config.write_text(
            f"ECS_CLUSTER=demo\nECS_ENGINE_AUTH_TYPE=dockercfg\nECS_ENGINE_AUTH_DATA={OLD_DATA}\nA=1\n"
        )
        hosts.append(host)
        if start:
            host.run_agent()
        return host

    try:
        yield build
    finally:
        for host in hosts:
            for each in host.agents("-a"):
                engine.docker("rm", "-f", each, check=False)
        await runner.cleanup()


def _shim(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
