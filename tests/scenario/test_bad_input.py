"""Bad input: one error, one hint, and nothing is touched."""

from collections.abc import Callable

import boto3
import pytest

from tests.scenario.conftest import Answer, Workplace, fleet

Start = Callable[..., Workplace]


def refused(answer: Answer, code: int, expected: str) -> None:
    """Check that, beside progress, stderr is one error line that says it and one hint line, and stdout is empty."""
    lines = [line for line in answer.err.splitlines() if not line.startswith("warning: ")]
    accepted = "the registry accepts the login"
    lines = [line for line in lines if accepted not in line and "container instances in" not in line]
    assert answer.code == code, answer.err
    assert answer.out == ""
    assert [line.partition(":")[0] for line in lines] == ["error", "hint"], answer.err
    assert expected in lines[0]


@pytest.mark.parametrize("command", ["plan", "run"])
def test_an_unknown_cluster(workplace: Start, command: str) -> None:
    """A cluster that is not there is refused by name."""
    place = workplace(*fleet(1))
    place.put_secret()
    answer = place.rollout(command, "--cluster", "nowhere")
    refused(answer, 3, "no active cluster 'nowhere'")
    assert place.calls("SendCommand") == 0


@pytest.mark.parametrize("command", ["plan", "run"])
def test_no_such_secret(workplace: Start, command: str) -> None:
    """A source that is not there is refused."""
    place = workplace(*fleet(1))
    refused(place.rollout(command), 2, "There is no secretsmanager:registry")
    assert place.calls("SendCommand") == 0


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('{"registry.example.com": ', "JSON"),
        ('{"auths":{"registry.example.com":{}},"credsStore":"desktop"}', "credsStore"),
        ('{"auths":{"registry.example.com":{}}}', "registry.example.com"),
        ('{"docker.io":{"username":"u","password":"p"}}', "Docker Hub"),
        ("{}", "credential"),
    ],
)
def test_a_bad_credential(workplace: Start, content: str, expected: str) -> None:
    """Malformed JSON, an empty wrapper, a key that never matches: refused before anything is touched."""
    place = workplace(*fleet(1))
    place.put_secret(content)
    answer = place.rollout("run")
    refused(answer, 3, expected)
    assert place.calls("SendCommand") == 0
    assert place.calls("RegisterContainerInstance") == 0


def test_an_empty_fleet(workplace: Start) -> None:
    """A cluster without container instances is refused, with a word about Fargate."""
    place = workplace(*fleet(1))
    place.put_secret()
    boto3.client("ecs").create_cluster(clusterName="empty")
    answer = place.rollout("run", "--cluster", "empty")
    refused(answer, 3, "has no container instances")
    assert "Fargate" in answer.err
    assert place.calls("PutParameter") == 0


def test_documents_that_are_not_published(workplace: Start) -> None:
    """Without documents the error says how to publish them."""
    place = workplace(*fleet(1), publish=False)
    place.put_secret()
    answer = place.rollout("plan")
    refused(answer, 3, "is not published")
    assert "documents publish" in answer.err


def test_a_document_with_other_content(workplace: Start) -> None:
    """A document that somebody changed is never sent; publish mends it, and doing that twice changes nothing."""
    place = workplace(*fleet(1))
    place.put_secret()
    ssm = boto3.client("ssm")
    content = ssm.get_document(Name="ecs-rollout-apply", DocumentFormat="YAML")["Content"]
    changed = content.replace("umask 077", "umask 022")
    assert changed != content
    version = ssm.update_document(
        Name="ecs-rollout-apply", Content=changed, DocumentFormat="YAML", DocumentVersion="$LATEST"
    )["DocumentDescription"]["DocumentVersion"]
    ssm.update_document_default_version(Name="ecs-rollout-apply", DocumentVersion=version)
    refused(place.rollout("run"), 3, "holds other content")
    assert place.cli("documents", "check").code == 3
    assert place.calls("SendCommand") == 0
    assert "updated" in place.cli("documents", "publish").out
    assert "updated" not in place.cli("documents", "publish").out
    assert place.cli("documents", "check").code == 0
    assert place.rollout("plan").code == 0


def test_an_instance_that_is_not_there(workplace: Start) -> None:
    """--instance with an id that is not in the cluster is an error that names it, and the command that lists them."""
    place = workplace(*fleet(1))
    place.put_secret()
    planned = place.rollout("plan", "--instance", "i-nobody")
    refused(planned, 2, "i-nobody")
    assert "`ecs-rollout plan --cluster demo --credential secretsmanager:registry`" in planned.err


def test_no_credentials_of_aws(workplace: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without AWS credentials there is one error and nothing else."""
    place = workplace(*fleet(1))
    place.put_secret()
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    refused(place.rollout("plan"), 4, "No AWS credentials")
