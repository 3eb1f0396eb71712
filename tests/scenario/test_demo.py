"""`ecs-rollout demo` and `ecs-rollout lab`, as a newcomer would try them."""

import json
import os
import re
import shlex
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import boto3
import pytest

from orchestrator.cli.main import invoke
from orchestrator.cli.rollout import plan as plan_command
from orchestrator.clock import SystemClock
from orchestrator.documents_folder import document_sources
from orchestrator.lab import scenario_file
from orchestrator.report.layout import SCREEN
from tests.readme import README
from tests.support import tool

TROUBLE = """
cluster = "small"
[[instances]]
id = "i-0000000000000000a"
zone = "us-east-1a"
[[instances]]
id = "i-0000000000000000b"
name = "agent stays down"
zone = "us-east-1b"
agent_after_restart = "stays_down"
outcome = "rolled_back"
"""


def normalised(table: str) -> str:
    """Take out of a report what differs from run to run: ids, seconds, and whether a container restarts just then."""
    without_ids = re.sub(r"\b\d{8}-\d{6}-[0-9a-f]{8}\b", "20261124-013006-d617fabc", table)
    without_ids = re.sub(r"(?<=agent container )[0-9a-f]{12} (running|stopped)\b", "9f5f3c1b5cac stopped", without_ids)
    without_ids = re.sub(r"(?<= was )[0-9a-f]{12}\b", "78cd1ee57977", without_ids)
    without_times = re.sub(r"(?<= time=)[-0-9T:]{19}Z", "2026-11-24T01:30:06Z", without_ids)
    began = r"(?m)^Began [-0-9]{10} [:0-9]{8} UTC, took .*\.$"
    without_times = re.sub(began, "Began 2026-11-24 01:30:06 UTC, took 35 s.", without_times)
    return re.sub(r"(?m)^(i-.* )\d+$", r"\g<1>3", without_times)


def test_the_demo_ends_as_its_trouble_implies(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All 12 instances end as their trouble implies; the demo ends 0; the README shows its report."""
    shown: list[str] = []
    monkeypatch.setattr("orchestrator.cli.lab._shown", lambda _output: lambda *forms: shown.extend(forms))
    assert invoke(["demo"]) == 0
    captured = capsys.readouterr()
    table, as_json = shown
    report = json.loads(as_json)
    outcomes = {each["instance_id"]: each["outcome"] for each in report["instances"]}
    specs = scenario_file.packaged("demo").instances
    assert len(outcomes) == len(specs) == 12
    assert {spec.instance_id: spec.outcome or "updated" for spec in specs} == outcomes
    assert sorted(report["summary"].items()) == [
        ("current", 1),
        ("refused", 1),
        ("rolled_back", 1),
        ("unreachable", 1),
        ("updated", 8),
    ]
    assert (report["run"]["exit_code"], report["run"]["result"]) == (1, "incomplete")
    said = captured.err.partition("goes on after trouble:\n")[2].partition("\n\n")[0].replace("\\\n", " ")
    words = shlex.split(said)
    assert words[:2] == ["ecs-rollout", "run"]
    for flag, value in (("--max-failures", "100%"), ("--waves", "1,100%"), ("--max-unavailable", "34%")):
        assert words[words.index(flag) + 1] == value
    policy = plan_command.make_context("plan", words[2:]).params
    assert [str(each) for each in policy["max_failures"]] == ["100%"]
    assert "0 restarts, 0 drains" in captured.err
    assert "so the demo ends with 0" in captured.err
    assert "The rollout itself would end with 1" in captured.err
    assert "nothing above can be run any more; `ecs-rollout lab` serves one" in captured.err
    assert "  ecs-rollout" not in captured.err.partition("so the demo ends with 0")[2]
    block = f"<!-- begin demo -->\n```\n{normalised(table)}\n```\n<!-- end demo -->"
    text = README.read_text(encoding="utf-8")
    if os.environ.get("UPDATE_README"):
        README.write_text(re.sub(r"<!-- begin demo -->.*?<!-- end demo -->", lambda _: block, text, flags=re.DOTALL))
    else:
        assert block in text, "run `UPDATE_README=1 pytest tests/scenario/test_demo.py`"


def test_the_demo_prints_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--output json prints the first rollout's report and nothing else on stdout."""
    path = tmp_path / "small.toml"
    path.write_text(TROUBLE)
    assert invoke(["demo", "--scenario", str(path), "--output", "json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [each["outcome"] for each in report["instances"]] == ["rolled_back", "updated"]


def test_what_the_demo_says_at_its_end_can_be_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With --journal the commands that the demo ends with need no lab, and tell of the first rollout's trouble."""
    (tmp_path / "small.toml").write_text(TROUBLE)
    monkeypatch.chdir(tmp_path)
    assert invoke(["demo", "--scenario", "small.toml", "--journal", "demo.db"]) == 0
    said = capsys.readouterr().err.partition("Its journal stays")[2].partition("\n")[2]
    commands = [shlex.split(line) for line in said.replace("\\\n", " ").splitlines()]
    assert [words[:2] for words in commands] == [["ecs-rollout", name] for name in ("status", "report", "why")]
    for words in commands:
        assert invoke(words[1:]) == 0
    assert "i-0000000000000000b" in capsys.readouterr().out
    assert "agent_did_not_return" in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize("size", [4, 5])
def test_the_packaged_demo_may_be_of_any_size(size: int, capsys: pytest.CaptureFixture[str]) -> None:
    """A small fleet with the same trouble ends as it implies, too: no budget is a share that rounds to nobody."""
    assert invoke(["demo", "--instances", str(size)]) == 0
    assert f"of {size} instances run the credential" in capsys.readouterr().out


def test_the_demo_notices_a_broken_restore(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """When the documents cannot restore, the demo ends 1 and names the instance: it judges what happened."""
    sources = dict(document_sources())
    broken = re.sub(r"(?m)^take_back\(\) \{.*$", r"\g<0>\n  return 1", sources["takeback.sh"])
    assert broken != sources["takeback.sh"]
    monkeypatch.setattr("orchestrator.cli.compose.document_sources", lambda: {**sources, "takeback.sh": broken})
    path = tmp_path / "small.toml"
    path.write_text(TROUBLE)
    assert invoke(["demo", "--scenario", str(path)]) == 1
    captured = capsys.readouterr()
    assert "The demo FAILED" in captured.err
    assert "i-0000000000000000b (agent stays down): failed, expected rolled_back" in captured.err


def test_the_demo_scales(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--scenario and --instances work together: a fleet of another size with the same trouble."""
    path = tmp_path / "small.toml"
    path.write_text(TROUBLE)
    assert invoke(["demo", "--scenario", str(path), "--instances", "3"]) == 0
    out = capsys.readouterr().out
    assert "2 of 3 instances run the credential" in out
    assert max(len(line) for line in out.splitlines()) <= 80


@contextmanager
def lab_in_another_process(tmp_path: Path, *flags: str) -> Iterator[tuple[Mapping[str, str], Path]]:
    """Start `ecs-rollout lab` as a process; give the environment that its exports make."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    program = [sys.executable, "-m", "orchestrator.cli.main", "lab", *(flags or ("--instances", "20")), "--port", "0"]
    said = (tmp_path / "said").open("w")
    process = subprocess.Popen(program, stdout=subprocess.PIPE, stderr=said, text=True, env=clean)
    try:
        assert process.stdout is not None
        exports: dict[str, str] = {}
        for line in process.stdout:
            name, _, value = line.removeprefix("export ").strip().partition("=")
            exports[name] = value.strip("'")
            if name == "NO_PROXY":
                break
        configuration = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
        yield {**clean, **exports, **configuration, "XDG_STATE_HOME": str(tmp_path / "state")}, tmp_path
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0
        said.close()
        process.stdout.close()  # type: ignore[union-attr]  # it was a pipe


OURS = f'ecs-rollout() {{ {sys.executable} -m orchestrator.cli.main "$@"; }}'


def introduction(tmp_path: Path) -> str:
    """What the lab has said, once that is all."""
    while not (text := (tmp_path / "said").read_text(encoding="utf-8")).endswith("Ctrl-C ends it.\n"):
        SystemClock().wait(0.05)
    return text


def run(environment: Mapping[str, str], *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_the_lab_serves_other_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the printed exports unmodified boto3 and our own tool list, describe, send, plan and run."""
    ours = (sys.executable, "-m", "orchestrator.cli.main")
    with lab_in_another_process(tmp_path) as (environment, _):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        ecs, ssm = boto3.client("ecs"), boto3.client("ssm")
        arns = ecs.list_container_instances(cluster="lab")["containerInstanceArns"]
        described = ecs.describe_container_instances(cluster="lab", containerInstances=arns)["containerInstances"]
        assert len(described) == 20
        one = described[0]["ec2InstanceId"]
        command = ssm.send_command(
            DocumentName="AWS-RunShellScript", InstanceIds=[one], Parameters={"commands": ["echo hello from $0"]}
        )["Command"]["CommandId"]
        ssm.get_waiter("command_executed").wait(CommandId=command, InstanceId=one, WaiterConfig={"Delay": 1})
        assert "hello" in ssm.get_command_invocation(CommandId=command, InstanceId=one)["StandardOutputContent"]
        registry = environment["AWS_ENDPOINT_URL"].removeprefix("http://")
        login = {registry: {"username": "puller", "password": "new-password"}}
        boto3.client("secretsmanager").create_secret(Name="registry", SecretString=json.dumps(login))
        assert run(environment, *ours, "documents", "publish").returncode == 0
        common = (
            "--cluster",
            "lab",
            "--credential",
            "secretsmanager:registry",
            "--allow-removal",
            "--poll-seconds",
            "0.3",
        )
        plan = run(environment, *ours, "plan", *common)
        assert "20 of 20 instances would be changed" in plan.stdout, plan.stderr
        done = run(environment, *ours, "run", *common, "--yes", "--max-unavailable", "50%")
        assert done.returncode == 0, done.stderr
        assert "20 of 20 instances run the credential" in done.stdout


def test_what_the_lab_prints_can_be_done(tmp_path: Path) -> None:
    """Its steps are as narrow as a terminal, need no AWS CLI, and end with a fleet that is rolled."""
    with lab_in_another_process(tmp_path) as (environment, _):
        text = introduction(tmp_path)
        assert max(map(len, text.splitlines())) <= 80
        assert "/mend" not in text
        steps = text.partition("PATH:\n")[2].partition("Each instance's files")[0]
        assert steps.count("ecs-rollout ") == 3
        quick = "--poll-seconds 0.3 --max-unavailable 50%"
        program = f"set -e; {OURS}; cd {tmp_path}\n{steps.rstrip()} --yes {quick}\n"
        done = run(environment, "bash", "-c", program)
        assert "20 of 20 instances would be changed" in done.stdout, done.stderr
        assert "20 of 20 instances run the credential" in done.stdout, done.stderr
        assert stat.S_IMODE((tmp_path / "lab.json").stat().st_mode) == 0o600


def test_a_failing_canary_is_mended_as_the_documentation_says(tmp_path: Path) -> None:
    """The transcript of docs/lab.md is what one sees, with its scenario and in the directory that the lab names."""
    page = (README.parent / "docs" / "lab.md").read_text(encoding="utf-8")
    scenario = next(text for text in re.findall(r"```toml\n(.*?)```", page, re.DOTALL) if "stays_down" in text)
    (tmp_path / "web.toml").write_text(scenario)
    transcript = page.partition("<!-- begin canary -->\n```\n")[2].partition("```\n<!-- end canary -->")[0]
    flags = ("--scenario", str(tmp_path / "web.toml"), "--directory", str(tmp_path / "fleet"))
    with lab_in_another_process(tmp_path, *flags) as (environment, _):
        text = introduction(tmp_path)
        assert f"  {tmp_path / 'fleet'}\n" in text
        exports = 8  # on stdout, above it
        assert exports + len(text.splitlines()) < SCREEN, "the exports scroll away"
        assert "/-/instances/INSTANCE/mend" in text
        login = text.partition("PATH:\n")[2].partition("  ecs-rollout documents")[0]
        for step in transcript.split("$ ")[1:]:
            command, _, shown = step.partition("\n")
            quick = "--poll-seconds 0.3 --max-unavailable 50%" if command.startswith("ecs-rollout run") else ""
            done = run(environment, "bash", "-c", f"{OURS}; cd {tmp_path}\n{login}\n{command} {quick}")
            seen = iter(normalised(done.stdout).splitlines())
            for line in shown.splitlines():
                assert line == "..." or line in seen, f"{line!r} after {command!r}:\n{done.stdout}\n{done.stderr}"


def test_the_lab_serves_the_aws_cli(tmp_path: Path) -> None:
    """With the printed exports the AWS CLI lists, describes, sends a command and reads its output."""
    tool("aws", package="awscli")
    with lab_in_another_process(tmp_path) as (environment, _):
        listed = run(environment, "aws", "ecs", "list-container-instances", "--cluster", "lab")
        arns = json.loads(listed.stdout)["containerInstanceArns"]
        assert len(arns) == 20, listed.stderr
        described = run(
            environment, "aws", "ecs", "describe-container-instances", "--cluster", "lab",
            "--container-instances", arns[0], "--query", "containerInstances[0].ec2InstanceId", "--output", "text",
        )  # fmt: skip
        instance = described.stdout.strip()
        sent = run(
            environment, "aws", "ssm", "send-command", "--document-name", "AWS-RunShellScript",
            "--instance-ids", instance, "--parameters", "commands=echo hello", "--query", "Command.CommandId",
            "--output", "text",
        )  # fmt: skip
        command = sent.stdout.strip()
        read = ("--command-id", command, "--instance-id", instance)
        run(environment, "aws", "ssm", "wait", "command-executed", *read)
        answer = run(environment, "aws", "ssm", "get-command-invocation", *read)
        assert json.loads(answer.stdout)["StandardOutputContent"] == "hello\n", answer.stderr
