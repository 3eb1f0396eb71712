"""No secret leaves its store: everything that a rollout sent, wrote, printed or ran is searched for a canary."""

import base64
import logging
import sqlite3
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import boto3
import pytest

from orchestrator.core.events import Entry, Halted
from orchestrator.journal.sqlite import SqliteJournal
from orchestrator.lab.scenario import AfterRestart
from tests.leaks import Leak, Scanner
from tests.scenario.conftest import Workplace, fleet

Start = Callable[..., Workplace]

CANARY = 'c4n4ry/"Quo\\te+Z9%&$(x)end'
USER = "canary-user-77"

# Where the secret belongs: its source being read, its delivery being written and fetched.
CARRIERS = {
    ("CreateSecret", "request body"),
    ("GetSecretValue", "response body"),
    ("PutParameter", "request body"),
    ("GetParameter", "response body"),
}


# Every text that is as good as the secret: the password itself, and the form in which the env file holds it.
SECRETS = (CANARY, base64.b64encode(f"{USER}:{CANARY}".encode()).decode())


class Processes:
    """Looks at the arguments and the environment of every process while something runs."""

    def __init__(self) -> None:
        self.seen: dict[str, bytes] = {}
        self._stop = threading.Event()

    @contextmanager
    def watched(self) -> Iterator[None]:
        thread = threading.Thread(target=self._watch)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.004):
            for process in Path("/proc").glob("[0-9]*"):
                for kind in ("cmdline", "environ"):
                    try:
                        content = (process / kind).read_bytes()
                    except OSError:
                        continue
                    self.seen[f"{kind} of {process.name}: {content[:40]!r}"] = content


def records(place: Workplace) -> dict[str, bytes]:
    """Every record of the journal, unpacked: compressed it would hide what it holds."""
    with closing(sqlite3.connect(place.directory / "state/ecs-rollout/journal.db")) as db:
        found = db.execute("select run, seq, body from records").fetchall()
    return {f"journal {run} {seq}": zlib.decompress(body) for run, seq, body in found}


def search(place: Workplace, processes: Processes, scanner: Scanner) -> list[Leak]:
    """Search everything: the wire, the instances' files, journal, output, processes, temporary files."""
    leaks = []
    assert place.lab.recorder.dropped == 0
    for where, blob in place.lab.recorder.chunks():
        _, operation, kind = where.split(" ", 2)
        login = operation.startswith(("GET", "HEAD")) and " /v2/" in where and kind.endswith("request headers")
        if (operation, kind) not in CARRIERS and not login:
            leaks += scanner.scan(where, blob)
    for host in place.lab.hosts.values():
        # The agent's own file, and Docker, which shows the environment of its containers (F10).
        allowed = [host.root / "etc/ecs/ecs.config", *host.root.glob("run/lab/docker/**/inspect.json")]
        allowed += [
            path for path in host.root.glob("var/lib/ecs-rollout/backup-*/old") if not path.stat().st_mode & 0o077
        ]
        leaks += scanner.scan_files(host.root, exempt=allowed)
    leaks += scanner.scan_files(place.directory / "state")
    leaks += scanner.scan_all(records(place))
    leaks += scanner.scan_files(place.directory / "tmp")
    leaks += scanner.scan_all({f"output {number}": text.encode() for number, text in enumerate(place.said)})
    leaks += scanner.scan_all(processes.seen)
    return leaks


@pytest.fixture
def rolled(
    workplace: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> tuple[Workplace, Processes]:
    """Two rollouts of canaries, with a failure and its restore, every format and output, all watched."""
    caplog.set_level(logging.DEBUG)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    specs = fleet(3)
    place = workplace(*specs[:2], *fleet(3, after_restart=AfterRestart.STAYS_DOWN)[2:])
    processes = Processes()
    with processes.watched():
        place.lab.registry.logins[USER] = (CANARY,)
        source = place.put_secret({place.lab.registry_name: {"username": USER, "password": CANARY}})
        place.rollout("plan", source=source)
        done = place.rollout("run", "--max-unavailable=100%", "--max-failures=1", "--output", "json", source=source)
        assert min(done.outcomes.values()).startswith("rolled_back"), done.err
        place.rollout("run", "--max-failures=1", source=source)
        place.cli("credential", "lint", source, "--image", f"{place.lab.registry_name}/x")
        run = done.report["run"]["id"]
        for form in ("table", "json", "csv", "markdown"):
            place.cli("report", run, "--output", form)
    place.said.append(caplog.text)
    return place, processes


def test_nothing_leaks(rolled: tuple[Workplace, Processes]) -> None:
    """After whole rollouts, with a failure and a restore, the canary is nowhere but where it belongs."""
    place, processes = rolled
    scanner = Scanner(SECRETS)
    assert search(place, processes, scanner) == []
    # The search looked at something: scripts ran, files were there, the secret did arrive.
    assert any(b"_script.sh" in content for content in processes.seen.values())
    assert len(place.lab.recorder.exchanges) > 30
    assert "DEBUG" in place.said[-1]
    config = (next(iter(place.lab.hosts.values())).root / "etc/ecs/ecs.config").read_bytes()
    assert scanner.scan("config", config)


def plant_in_a_request(place: Workplace, secret: str) -> None:
    boto3.client("ssm").send_command(
        DocumentName="AWS-RunShellScript",
        InstanceIds=list(place.lab.hosts),
        Comment=secret,
        Parameters={"commands": ["true"]},
    )


def plant_in_a_commands_output(place: Workplace, secret: str) -> None:
    host = next(iter(place.lab.hosts.values()))
    encoded = secret.encode().hex()
    boto3.client("ssm").send_command(
        DocumentName="AWS-RunShellScript",
        InstanceIds=[host.spec.instance_id],
        Parameters={"commands": [f"echo {encoded}"]},
    )


def plant_in_the_instances_log(place: Workplace, secret: str) -> None:
    host = next(iter(place.lab.hosts.values()))
    with (host.root / "var/lib/ecs-rollout/log").open("a") as log:
        log.write(base64.b64encode(f"fetched {secret}".encode()).decode())


def plant_in_the_journal(place: Workplace, secret: str) -> None:
    journal = SqliteJournal(place.directory / "state/ecs-rollout/journal.db")
    newest = journal.runs()[0]
    journal.append(newest.run, newest.fence, [Entry(1.0, Halted(why=f"seen: {secret}"))])
    journal.close()


def plant_in_a_report(place: Workplace, secret: str) -> None:
    place.said.append(f"seen: login {secret[4:12]} refused")


def plant_in_a_temporary_file(place: Workplace, secret: str) -> None:
    (place.directory / "tmp/here-document").write_text(secret)


@pytest.mark.parametrize(
    "plant",
    [
        plant_in_a_request,
        plant_in_a_commands_output,
        plant_in_the_instances_log,
        plant_in_the_journal,
        plant_in_a_report,
        plant_in_a_temporary_file,
    ],
)
def test_a_planted_leak_is_found(workplace: Start, tmp_path: Path, plant: Callable[[Workplace, str], None]) -> None:
    """A leak in any kind of place that is searched is found there."""
    place = workplace(*fleet(1))
    for folder in ("tmp", "state/ecs-rollout"):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    place.put_secret()
    assert place.rollout("run").code == 0
    scanner = Scanner([CANARY])
    assert search(place, Processes(), scanner) == []
    plant(place, CANARY)
    assert search(place, Processes(), scanner)


@pytest.mark.parametrize("where", ["argument", "environment"])
def test_a_leak_in_a_process_is_found(where: str) -> None:
    """A secret in the arguments or the environment of a process, however short-lived, is seen.

    It is a secret of its own: another worker may be watching every process for the canary meanwhile.
    """
    planted = "pl4nted.7Xq/processes"
    processes = Processes()
    arguments = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    with (
        processes.watched(),
        subprocess.Popen(
            [*arguments, planted] if where == "argument" else arguments,
            env={"LEAK": planted} if where == "environment" else {},
            stdin=subprocess.PIPE,
        ) as process,
    ):
        threading.Event().wait(0.1)
        assert process.stdin is not None
        process.stdin.close()
    assert Scanner([planted]).scan_all(processes.seen)
