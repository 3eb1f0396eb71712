"""A Docker engine of the tests' own: a real dockerd below a temporary directory, and a small agent's image."""

import io
import json
import os
import shutil
import signal
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from tests.support import lacking, tool

IMAGE = "ecs-agent-test:v1"
_NO_ENGINE = "no Docker engine"
_EVENTS = ("type=container", "event=start", "event=die")


class Engine:
    """One dockerd; `start` raises nothing but skips by name where none can run. `stop` leaves nothing behind."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ecs-rollout-docker-"))
        self.url = f"unix://{self.folder}/docker.sock"
        self._process: subprocess.Popen[bytes] | None = None
        self._watcher: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start dockerd and wait until it answers."""
        arguments = [
            *("--bridge=none", "--iptables=false", "--log-level=warn", f"--host={self.url}"),  # F95
            *(f"--data-root={self.folder}/data", f"--exec-root={self.folder}/exec", f"--pidfile={self.folder}/pid"),
        ]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                ["dockerd", *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        script = 'for i in {1..200}; do "$@" && exit; kill -0 "$0" || exit 1; sleep 0.1; done; exit 1'
        ping = ("curl", "-q", "-sf", "--unix-socket", f"{self.folder}/docker.sock", "http://localhost/_ping")
        answer = subprocess.run(["bash", "-c", script, str(self._process.pid), *ping], check=False, capture_output=True)
        if answer.returncode != 0:
            said = (self.folder / "log").read_text(errors="replace")[-600:]
            self.stop()
            lacking(f"{_NO_ENGINE}: dockerd does not start here: {said}")

        with (self.folder / "events").open("ab") as events:
            self._watcher = subprocess.Popen(
                ["docker", "events", *(f"--filter={each}" for each in _EVENTS), "--format={{json .}}"],
                stdin=subprocess.DEVNULL,
                stdout=events,
                stderr=subprocess.DEVNULL,
                env=self._environment,
            )

    @property
    def _environment(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "DOCKER_HOST": self.url, "HOME": str(self.folder)}

    def events(self) -> list[dict[str, Any]]:
        """Return every start and end of a container so far; `crash` stands for the end of all of them."""
        lines = (self.folder / "events").read_text().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def import_agent(self, name: str = IMAGE, note: str = "") -> None:
        """Make the agent's image from Debian's busybox-static."""
        busybox = tool("busybox", package="busybox-static")
        script = (Path(__file__).parent / "agent.sh").read_bytes() + f"\n# {note}\n".encode()
        names = subprocess.run([busybox, "--list"], check=True, capture_output=True, text=True).stdout.split()
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            tar.add(Path(busybox).resolve(), "bin/busybox")
            entry = tarfile.TarInfo("agent.sh")
            entry.size = len(script)
            tar.addfile(entry, io.BytesIO(script))
            for each in set(names) - {"busybox"}:
                link = tarfile.TarInfo(f"bin/{each}")
                link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                tar.addfile(link)
        changes = ("ENV PATH=/bin", 'ENTRYPOINT ["/bin/sh", "/agent.sh"]', "LABEL from=image")
        self.docker("import", *(f"--change={each}" for each in changes), "-", name, stdin=packed.getvalue())

    def docker(self, *arguments: str, stdin: bytes = b"", check: bool = True) -> str:
        """Run the docker CLI against this engine; return what it prints."""
        done = subprocess.run(
            ["docker", *arguments],
            input=stdin,
            capture_output=True,
            check=False,
            timeout=60,
            env=self._environment,
        )
        assert not check or done.returncode == 0, (arguments, done.stderr.decode())
        return done.stdout.decode().strip()

    def inspect(self, name: str) -> dict[str, Any]:
        """Return what `docker inspect` says of one container, its mounts in order: the engine lists them in any."""
        (found,) = json.loads(self.docker("inspect", "--type", "container", name))
        found["Mounts"].sort(key=lambda each: str(each["Destination"]))
        return dict(found)

    def ids(self, *options: str) -> list[str]:
        """List containers' ids."""
        return self.docker("ps", "-q", "--no-trunc", *options).split()

    def crash(self) -> None:
        """End dockerd and every container at once, as a reboot does."""
        assert self._process is not None
        pids = [self.inspect(each)["State"]["Pid"] for each in self.ids()]
        family = _descendants(self._process.pid) + self._shims()
        for pid in (self._process.pid, *family, *pids):
            _kill(pid)
        self._process.wait()
        self._end_watcher()
        with (self.folder / "events").open("a") as events:
            events.write('{"status":"crash"}\n')
        # /run is empty after a boot, and nothing is mounted.
        self._unmount()
        shutil.rmtree(self.folder / "exec", ignore_errors=True)
        (self.folder / "pid").unlink(missing_ok=True)

    def stop(self) -> None:
        """Remove the containers, end dockerd by its pid, and clear away its directory."""
        if self._process is not None and self._process.poll() is None:
            for each in self.ids("-a"):
                self.docker("rm", "-f", each, check=False)
            self._process.terminate()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._end_watcher()
        for pid in self._shims():
            _kill(pid)
        self._unmount()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _end_watcher(self) -> None:
        if self._watcher is not None:
            self._watcher.terminate()
            self._watcher.wait()

    def _shims(self) -> list[int]:
        """Find the processes that name our directory: containerd's shims outlive a killed dockerd."""
        mark = os.fsencode(f"{self.folder}/exec/")
        return [pid for pid in pids() if mark in read_bytes(Path(f"/proc/{pid}/cmdline"))]

    def _unmount(self) -> None:
        for line in reversed(Path("/proc/self/mounts").read_text().splitlines()):
            place = line.split(" ")[1]
            if place.startswith(f"{self.folder}/"):
                subprocess.run(["umount", "-l", place], check=False, capture_output=True)


def new_engine() -> Engine:
    """Start an engine that has the agent's image."""
    if os.geteuid() != 0:
        lacking(f"{_NO_ENGINE}: this is not root")
    for name in ("dockerd", "docker"):
        if shutil.which(name) is None:
            lacking(f"{_NO_ENGINE}: {name} is not installed (Debian package docker.io)")
    tool("busybox", package="busybox-static")
    engine = Engine()
    engine.start()
    engine.import_agent()
    return engine


def pids() -> list[int]:
    """List the processes there are; each may be gone when it is looked at."""
    return [int(each.name) for each in Path("/proc").iterdir() if each.name.isdecimal()]


def read_bytes(path: Path) -> bytes:
    """Read what may vanish meanwhile, as a process's files do."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _descendants(pid: int) -> list[int]:
    children = [
        each
        for each in pids()
        if read_bytes(Path(f"/proc/{each}/stat")).rpartition(b")")[2].split()[1:2] == [b"%d" % pid]
    ]
    return [each for child in children for each in (child, *_descendants(child))]


def _kill(pid: int) -> None:
    if pid == 0:  # a container that is between two starts; to kill() it would mean ourselves
        return
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
