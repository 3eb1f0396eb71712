"""The CloudFormation template: clean, its policies those that `iam` prints, its alarms on what a run measures."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator.cli.main import invoke
from orchestrator.core.metrics import DEFAULT_NAMESPACE, metrics_of
from orchestrator.documents_folder import shipped_documents
from tests.deploy.support import DEPLOY, resources, substituted, template
from tests.deploy_policies import TEMPLATE, with_policies
from tests.fake_fleet import fleet_of, roll

ACCOUNT, REGION = "123456789012", "eu-central-1"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:night"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555"
NAMES = {
    "AWS::Partition": "aws", "AWS::AccountId": ACCOUNT, "AWS::Region": REGION, "Cluster": "web", "Secret": "registry",
    "StateTable": "rollouts", "Topic": TOPIC, "DeliveryKey": KEY, "BootBucket": "conf", "BootKey": "ecs.config",
}  # fmt: skip
DIRECT = 51_200
"""Bytes of a template that CloudFormation takes without a bucket."""


def printed(capsys: pytest.CaptureFixture[str], which: str, *flags: str) -> list[Any]:
    """The statements that `ecs-rollout iam` prints for the same names."""
    assert invoke(("iam", which, "--cluster", "web", "--account", ACCOUNT, "--region", REGION, *flags)) == 0
    statements: list[Any] = json.loads(capsys.readouterr().out)["Statement"]
    return statements


def deployed(*path: str | int) -> list[Any]:
    """The statements of one of the template's policies."""
    found: Any = resources()
    for step in path:
        found = found[step]
    statements: list[Any] = substituted(found, NAMES)["PolicyDocument"]["Statement"]
    return statements


def test_the_policies_are_those_that_iam_prints(capsys: pytest.CaptureFixture[str]) -> None:
    """Statement by statement: what the template gives its roles is what the command prints for the same flags."""
    told = ("--notify", f"sns:{TOPIC}", "--metrics", "cloudwatch:ecs-rollout", "--state", "dynamodb:rollouts")
    whole = printed(capsys, "controller", "--credential", "secretsmanager:registry", "--gates", "--rotate", *told)
    assert deployed("ControllerRole", "Properties", "Policies", 0) == whole
    plain = printed(capsys, "controller")
    boot = printed(capsys, "controller", "--boot-config", "s3://conf/ecs.config")
    assert deployed("ControllerBootPolicy", "Properties") == [each for each in boot if each not in plain]
    keyed = printed(capsys, "controller", "--kms-key", KEY)
    assert deployed("ControllerKeyPolicy", "Properties") == [each for each in keyed if each not in plain]
    fetch = printed(capsys, "instance")
    assert deployed("InstancePolicy", "Properties") == fetch
    decrypt = [each for each in printed(capsys, "instance", "--kms-key", KEY) if each not in fetch]
    assert deployed("InstanceKeyPolicy", "Properties") == decrypt


def test_the_template_is_written_from_the_code() -> None:
    """`make readme` writes the policies; nobody edits them by hand."""
    text = TEMPLATE.read_text(encoding="utf-8")
    assert with_policies(text) == text, "run `make readme`"
    assert len(text.encode()) < DIRECT


def test_the_documents_stand_in_their_template_byte_for_byte(capsys: pytest.CaptureFixture[str]) -> None:
    """`documents template` holds what documents/*.yaml hold, as a text; it is over the limit, and says so."""
    assert invoke(("documents", "template")) == 0
    text = capsys.readouterr().out
    found = template(text)
    contents = {name.lower(): each["Properties"]["Content"] for name, each in found["Resources"].items()}
    assert contents == shipped_documents()
    assert len(text) > DIRECT
    assert "--s3-bucket" in found["Description"]


@pytest.mark.parametrize("which", ["template", "documents"])
def test_cfn_lint_finds_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str], which: str) -> None:
    """Both templates are clean."""
    path = DEPLOY / "template.yaml"
    if which == "documents":
        assert invoke(("documents", "template")) == 0
        path = tmp_path / "documents.yaml"
        path.write_text(capsys.readouterr().out)
    done = subprocess.run(
        [Path(sys.executable).with_name("cfn-lint"), path], capture_output=True, check=False, timeout=240
    )
    assert (done.returncode, done.stdout.decode()) == (0, "")


def test_the_alarms_watch_what_a_run_measures() -> None:
    """Namespace, metric and dimension of both alarms are those that the code sends."""
    state, _, _ = roll(fleet_of(1))
    sent = {each.name for each in metrics_of(state, failed=False)}
    for name in ("FailedNight", "MissedNight"):
        alarm = resources()[name]["Properties"]
        assert alarm["Namespace"] == DEFAULT_NAMESPACE
        assert alarm["MetricName"] in sent
        assert [each["Name"] for each in alarm["Dimensions"]] == ["Cluster"]
        assert alarm["AlarmActions"] == [{"Ref": "Topic"}]


def test_only_short_forms_that_are_known_are_used() -> None:
    """The template is plain YAML for CloudFormation: no aliases, which it rejects."""
    tokens = yaml.scan((DEPLOY / "template.yaml").read_text())
    assert not any(isinstance(token, yaml.AnchorToken | yaml.AliasToken) for token in tokens)
