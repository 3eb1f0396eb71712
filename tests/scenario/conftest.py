"""Whole runs: the command line against a lab of the test's own."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.loaders import JSONFileLoader

from orchestrator.aws.ecs import MARK
from orchestrator.cli.main import invoke
from orchestrator.lab.ecs_model import Instance
from orchestrator.lab.lab import Lab, LabThread
from orchestrator.lab.scenario import InstanceSpec, Scenario

QUICK = (
    "--poll-seconds=0.2",
    "--delivery-seconds=30",
    "--verify-seconds=6",
    "--restore-seconds=12",
    "--watchdog-seconds=40",
    "--step-seconds=60",
)


@dataclass
class Answer:
    """What one command printed, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def report(self) -> dict[str, Any]:
        """stdout as JSON."""
        loaded: dict[str, Any] = json.loads(self.out)
        return loaded

    @property
    def outcomes(self) -> dict[str, str]:
        """Outcome and reason by instance, of a JSON report."""
        return {each["instance_id"]: f"{each['outcome']}({each['reason']})" for each in self.report["instances"]}


@dataclass
class Workplace:
    """A lab that runs, and the command line pointed at it."""

    lab: Lab
    directory: Path
    capture: pytest.CaptureFixture[str]
    said: list[str] = field(default_factory=list)
    allow_removal: bool = True

    @property
    def login(self) -> dict[str, dict[str, str]]:
        """A credential that the lab's registry accepts."""
        return {self.lab.registry_name: {"username": "puller", "password": "new-password"}}

    def put_secret(self, value: object = None, name: str = "registry") -> str:
        """Store a secret, by default a good one; return its source."""
        client = boto3.client("secretsmanager")
        text = value if isinstance(value, str) else json.dumps(value or self.login)
        client.create_secret(Name=name, SecretString=text)
        return f"secretsmanager:{name}"

    def cli(self, *arguments: str) -> Answer:
        """Run one command of the tool in this process."""
        self.capture.readouterr()
        code = invoke(arguments)
        captured = self.capture.readouterr()
        self.said += [captured.out, captured.err]
        return Answer(code, captured.out, captured.err)

    def rollout(self, command: str, *more: str, source: str = "secretsmanager:registry") -> Answer:
        """Plan or run with quick deadlines."""
        yes = ("--yes",) if command == "run" else ()
        cluster = self.lab.scenario.cluster
        # The lab's instances start with a login for another registry; most tests are not about that.
        removal = ("--allow-removal",) if self.allow_removal else ()
        return self.cli(command, "--cluster", cluster, "--credential", source, *yes, *QUICK, *removal, *more)

    def touched(self) -> list[str]:
        """Instances whose agent was restarted since the lab started."""
        return [name for name, host in self.lab.hosts.items() if host.agent.starts > 1]

    def registrations(self, name: str) -> list[Instance]:
        """Every registration that ECS has had of an instance, oldest first."""
        known = self.lab.ecs.state.clusters[self.lab.scenario.cluster].instances.values()
        return [each for each in known if each.spec.instance_id == name]

    def marked(self) -> list[str]:
        """Registrations that still carry our mark."""
        known = self.lab.ecs.state.clusters[self.lab.scenario.cluster].instances.values()
        return [each.arn for each in known if each.status != "INACTIVE" and MARK in {*each.custom, *each.tags}]

    def applied(self, name: str) -> int:
        """How often an apply was sent to an instance."""
        sent = [each.body for each in self.lab.recorder.of("SendCommand")]
        return sum(b"ecs-rollout-apply" in body and name.encode() in body for body in sent)

    def calls(self, operation: str) -> int:
        """How often an operation was asked for."""
        return sum(each.operation == operation for each in self.lab.recorder.exchanges)


def fleet(count: int, **changes: Any) -> tuple[InstanceSpec, ...]:
    """Make `count` equal instances in three zones."""
    return tuple(
        InstanceSpec(instance_id=f"i-{number:017x}", zone=f"us-east-1{'abc'[number % 3]}", **changes)
        for number in range(count)
    )


@pytest.fixture(scope="session", autouse=True)
def models_read_once() -> Iterator[None]:
    """Read botocore's models once: every command makes its own clients, and megabytes of JSON were a quarter of it."""
    read = cache(JSONFileLoader().load_file)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(JSONFileLoader, "load_file", lambda _loader, path: read(path))
        yield


@pytest.fixture
def workplace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., Workplace]]:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with ExitStack() as stack:

        def start(*specs: InstanceSpec, publish: bool = True, **scenario: Any) -> Workplace:
            lab = stack.enter_context(LabThread(Lab(Scenario(instances=specs, **scenario), tmp_path / "instances")))
            for name, value in lab.exports().items():
                monkeypatch.setenv(name, value)
            place = Workplace(lab, tmp_path, capsys)
            if publish:
                assert place.cli("documents", "publish").code == 0
            return place

        yield start
