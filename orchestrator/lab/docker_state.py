"""The simulated Docker's containers, kept as files that the docker shim reads (see host_bin/docker.sh)."""

import copy
import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

AGENT = "ecs-agent"
AGENT_IMAGE = "amazon/amazon-ecs-agent:latest"
TASK_ARN_LABEL = "com.amazonaws.ecs.task-arn"
_NEVER = "0001-01-01T00:00:00Z"
_PATH = "PATH=/host/sbin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """What a container is made of. `mounts` are (source on the host, destination, read only)."""

    container_id: str
    name: str
    image: str
    created: float
    environment: Sequence[str] = ()
    labels: Mapping[str, str] | None = None
    agent: bool = False


class DockerState:
    """The containers of one instance. Every change is one rename, so that a reader never sees half of it.

    `base` stands in front of the host's paths as `docker inspect` shows them.
    """

    def __init__(self, root: Path, *, base: str) -> None:
        self._root = root
        self._base = base
        self._state = root / "run/lab"
        self._names = self._state / "docker/names"
        self._containers = self._state / "docker/containers"
        self._objects: dict[str, dict[str, Any]] = {}
        self._ids: dict[str, str] = {}

    def prepare(self) -> None:
        """Make the directories."""
        self._names.mkdir(parents=True, exist_ok=True)
        self._containers.mkdir(parents=True, exist_ok=True)

    def set_down(self, *, down: bool) -> None:
        """Let the daemon answer, or not."""
        mark = self._state / "docker.down"
        if down:
            mark.touch()
        else:
            mark.unlink(missing_ok=True)

    def running(self, name: str) -> bool:
        """Say whether a container of this name runs."""
        return name in self._ids and bool(self._objects[self._ids[name]]["State"]["Running"])

    def exists(self, name: str) -> bool:
        """Say whether there is a container of this name, running or not."""
        return name in self._ids

    def container_id(self, name: str) -> str:
        """Return the container's id, or "" where there is none."""
        return self._ids.get(name, "")

    def environment(self, name: str) -> dict[str, str]:
        """Return the environment that the container was created with."""
        entries = self._objects[self._ids[name]]["Config"]["Env"]
        return dict(entry.split("=", 1) for entry in entries)

    def run(self, container: Container) -> None:
        """Create a container and start it; one of the same name is removed first."""
        self.remove(container.name)
        directory = self._containers / container.container_id
        directory.mkdir()
        (directory / "log").touch()
        self._objects[container.container_id] = self._describe(container)
        self._ids[container.name] = container.container_id
        self._write(container.name)
        fresh = self._names / f".{container.name}"
        fresh.symlink_to(Path("../containers") / container.container_id)
        fresh.replace(self._names / container.name)

    def exited(self, name: str, code: int, at: float) -> None:
        """Note that the container's process has ended."""
        if not self.running(name):
            return
        state = self._objects[self._ids[name]]["State"]
        state.update(Status="exited", Running=False, Pid=0, ExitCode=code, FinishedAt=timestamp(at))
        self._write(name)

    def restarted(self, name: str, at: float) -> None:
        """Note that the same container was started again, as `docker restart` does (F22)."""
        state = self._objects[self._ids[name]]["State"]
        state.update(Status="running", Running=True, Pid=_pid(self._ids[name]), ExitCode=0, StartedAt=timestamp(at))
        self._write(name)

    def remove(self, name: str) -> None:
        """Remove a container, if there is one of this name."""
        container_id = self._ids.pop(name, None)
        if container_id is None:
            return
        del self._objects[container_id]
        (self._names / name).unlink()
        shutil.rmtree(self._containers / container_id)

    def log(self, name: str, line: str) -> None:
        """Append a line to what the container printed."""
        if name in self._ids:
            with (self._containers / self._ids[name] / "log").open("a", encoding="utf-8") as file:
                file.write(line + "\n")

    def mount_source(self, path: str) -> Path | None:
        """Return the place on the host of a path in the agent's container; None where nothing is mounted."""
        wanted = os.path.normpath(path)
        found: list[tuple[Path, str]] = [
            (Path(mount["Destination"]), mount["Source"])
            for mount in _template()["Mounts"]
            if Path(wanted).is_relative_to(mount["Destination"])
        ]
        if not found:
            return None
        destination, source = max(found, key=lambda pair: len(pair[0].parts))
        return self._root / source.lstrip("/") / Path(wanted).relative_to(destination)

    def _describe(self, container: Container) -> dict[str, Any]:
        found = copy.deepcopy(_template())
        started = timestamp(container.created + 0.18)
        old_id = found["Id"]
        found.update(Id=container.container_id, Created=timestamp(container.created), Name=f"/{container.name}")
        for key in ("ResolvConfPath", "HostnamePath", "HostsPath", "LogPath"):
            found[key] = found[key].replace(old_id, container.container_id)
        found["State"].update(StartedAt=started, FinishedAt=_NEVER, Pid=_pid(container.container_id))
        found["State"]["Health"] = {"Status": "starting", "FailingStreak": 0, "Log": []}
        found["Config"].update(
            Env=[*container.environment, _PATH], Image=container.image, Labels=dict(container.labels or {})
        )
        if container.agent:
            for mount in found["Mounts"]:
                mount["Source"] = f"{self._base}{mount['Source']}"
            found["HostConfig"]["Binds"] = [f"{self._base}{bind}" for bind in found["HostConfig"]["Binds"]]
        else:
            found.update(Path="/app", Mounts=[])
            found["HostConfig"]["Binds"] = None
        return found

    def _write(self, name: str) -> None:
        container_id = self._ids[name]
        found = self._objects[container_id]
        directory = self._containers / container_id
        config = found["Config"]
        row = (
            container_id,
            name,
            config["Image"],
            found["State"]["Status"],
            config["Labels"].get(TASK_ARN_LABEL, ""),
        )
        write_atomically(directory / "inspect.json", json.dumps(found, indent=4))
        write_atomically(directory / "row", "\t".join(row) + "\n")


def write_atomically(path: Path, text: str) -> None:
    """Replace a file by one rename; only its owner may read it, for an environment may hold a secret (F10)."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.touch(mode=0o600)
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)


def new_id(*about: object) -> str:
    """Return 64 hexadecimal digits that depend on nothing but `about`."""
    return hashlib.sha256(repr(about).encode()).hexdigest()


def timestamp(at: float) -> str:
    """Return a time as Docker writes it, with nanoseconds."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "322Z"


def _pid(container_id: str) -> int:
    return 1000 + int(container_id[:4], 16)


@cache
def _template() -> dict[str, Any]:
    text = resources.files("orchestrator.lab").joinpath("agent_container.json").read_text(encoding="utf-8")
    template: dict[str, Any] = json.loads(text)
    return template
