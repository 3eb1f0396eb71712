"""The rotation function in the lab: Secrets Manager's steps in their order, with its retries, against real labels."""

import json
import sys
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import boto3
import pytest

from orchestrator.aws.rotation import handler
from orchestrator.cli.function import StepFailedError
from orchestrator.errors import EnvironmentFault, RefusedError, RolloutError, UsageError
from tests.scenario.conftest import QUICK, Workplace, fleet
from tests.scenario.secrets_manager import STEPS, Context, announce
from tests.scenario.test_rotate import labels, passwords

Start = Callable[..., Workplace]
TRIES = 5


@dataclass
class SecretsManager:
    """Calls the function as Secrets Manager does: after a failed step the whole rotation begins anew, same token."""

    token: str
    before: Callable[[int, str], int]
    failures: list[tuple[str, RolloutError]]

    def rotate(self, tries: int = TRIES) -> bool:
        """Say whether it came to its end. `before` each step says how much time it has."""
        announce(self.token)
        return any(self._once(number) for number in range(tries))

    def _once(self, number: int) -> bool:
        for step in STEPS:
            event = {"Step": step, "SecretId": "registry", "ClientRequestToken": self.token}
            try:
                handler(event, Context(self.before(number, step)))
            except RolloutError as error:
                self.failures.append((step, error))
                return False
        return True


def rotator(before: Callable[[int, str], int] = lambda _try, _step: 600) -> SecretsManager:
    return SecretsManager(token=str(uuid.uuid4()), before=before, failures=[])


@pytest.fixture
def configured(workplace: Start, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Workplace]:
    """A cluster, a journal in DynamoDB, and the function's environment; `create` prints the next login."""

    def begin(count: int, **environment: str) -> Workplace:
        place = workplace(*fleet(count))
        place.put_secret()
        place.lab.registry.logins["puller"] = (*place.lab.registry.logins["puller"], "the-next-one")
        assert place.cli("state", "init", "--state", "dynamodb:rollouts").code == 0
        login = {place.lab.registry_name: {"username": "puller", "password": "the-next-one"}}
        maker = place.directory / "make.py"
        maker.write_text(f"print({json.dumps(login)!r})")
        chosen = {
            "ECS_ROLLOUT_CLUSTER": place.lab.scenario.cluster,
            "ECS_ROLLOUT_STATE": "dynamodb:rollouts",
            "ECS_ROLLOUT_FLAGS": " ".join((*QUICK, "--allow-removal")),
            "ECS_ROLLOUT_CREATE_COMMAND": f"{sys.executable} {maker}",
            **environment,
        }
        for name, value in chosen.items():
            monkeypatch.setenv(name, value)
        return place

    return begin


def test_four_steps_and_a_retry(configured: Callable[..., Workplace], monkeypatch: pytest.MonkeyPatch) -> None:
    """Made by the command, learnt by the registry, tried by one canary, rolled over two calls, promoted once."""
    place = configured(4)
    told = place.directory / "told"
    learner = place.directory / "learn.py"
    learner.write_text(f"import sys; open({str(told)!r}, 'w').write(sys.stdin.read())")
    monkeypatch.setenv("ECS_ROLLOUT_SET_COMMAND", f"{sys.executable} {learner}")
    flags = f"{' '.join(QUICK)} --allow-removal"
    touched: dict[tuple[int, str], int] = {}

    def before(number: int, step: str) -> int:
        touched[number, step] = len(place.touched())
        short = (number, step) == (0, "finishSecret")
        monkeypatch.setenv("ECS_ROLLOUT_FLAGS", f"{flags} --bake=60s" if short else flags)
        return 100 if short else 600  # of which 70 s are one instance's, and 20 s the report's

    manager = rotator(before)
    old = labels()["AWSCURRENT"]
    assert manager.rotate()
    assert [step for step, _ in manager.failures] == ["finishSecret"]
    assert labels() == {"AWSCURRENT": manager.token, "AWSPENDING": manager.token, "AWSPREVIOUS": old}
    assert touched[0, "finishSecret"] == touched[0, "testSecret"] + 1 == 1, "one canary"
    assert touched[1, "testSecret"] == touched[1, "finishSecret"] < 4, "no second canary; the rest was still to do"
    assert passwords(place) == {"the-next-one"}
    assert place.calls("UpdateSecretVersionStage") == 1
    assert json.loads(told.read_text())[place.lab.registry_name]["password"] == "the-next-one"
    place.said.append(place.capture.readouterr().out)
    assert not any("the-next-one" in text for text in place.said)
    calls = len(place.lab.recorder.exchanges)
    for step in STEPS:  # a step that is called once more finds everything done
        handler({"Step": step, "SecretId": "registry", "ClientRequestToken": manager.token}, Context(600))
    assert [each.operation for each in place.lab.recorder.exchanges[calls:]] == ["DescribeSecret"] * 4


def test_steps_that_come_twice_or_too_early(
    configured: Callable[..., Workplace], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A login is made once however often its step is called; a step that comes before it hands out and changes nothing.

    finishSecret needs no step but the first: it tries the login and begins with one instance itself.
    """
    place = configured(2)
    made, told = place.directory / "made", place.directory / "told"
    script = place.directory / "twice.sh"
    script.write_text(f"echo x >>{made}; {sys.executable} {place.directory / 'make.py'}")
    monkeypatch.setenv("ECS_ROLLOUT_CREATE_COMMAND", f"sh {script}")
    monkeypatch.setenv("ECS_ROLLOUT_SET_COMMAND", f"tee -a {told}")
    token = str(uuid.uuid4())
    announce(token)

    def step(name: str) -> None:
        handler({"Step": name, "SecretId": "registry", "ClientRequestToken": token}, Context(600))

    with pytest.raises(RefusedError, match="The pending version of registry has no value yet"):
        step("setSecret")
    for early in ("testSecret", "finishSecret"):
        with pytest.raises(StepFailedError, match=f"{early} ended with the exit code 3"):
            step(early)
    assert (place.touched(), told.exists()) == ([], False)
    before = labels()["AWSCURRENT"]
    for name in ("createSecret", "createSecret", "setSecret", "setSecret", "createSecret"):
        step(name)
    assert made.read_text() == "x\n"
    assert told.read_text().count("the-next-one") == 2
    assert labels()["AWSCURRENT"] == before
    step("finishSecret")
    assert labels()["AWSCURRENT"] == token
    for late in ("testSecret", "createSecret", "finishSecret"):
        step(late)
    assert made.read_text() == "x\n"
    assert place.calls("UpdateSecretVersionStage") == 1
    assert [place.applied(name) for name in place.lab.hosts] == [1, 1]


def test_nobody_makes_the_new_login(configured: Callable[..., Workplace]) -> None:
    """Without a command the step is refused with what to do; a version that somebody has filled is taken as it is."""
    place = configured(1, ECS_ROLLOUT_CREATE_COMMAND="")
    manager = rotator()
    assert not manager.rotate(tries=2)
    step, error = manager.failures[-1]
    assert (step, type(error)) == ("createSecret", RefusedError)
    assert "Set ECS_ROLLOUT_CREATE_COMMAND" in error.hint
    assert place.touched() == []
    event = {"Step": "createSecret", "SecretId": "registry", "ClientRequestToken": manager.token}
    boto3.client("secretsmanager").put_secret_value(
        SecretId="registry", SecretString="{}", ClientRequestToken=manager.token, VersionStages=["AWSPENDING"]
    )
    handler(event, Context(600))


@pytest.mark.parametrize(
    ("step", "environment", "kind", "words"),
    [
        ("createSecret", {"ECS_ROLLOUT_CREATE_COMMAND": "/nowhere"}, EnvironmentFault, "FileNotFoundError"),
        ("createSecret", {"ECS_ROLLOUT_CREATE_COMMAND": "false"}, EnvironmentFault, "ended with 1"),
        ("createSecret", {"ECS_ROLLOUT_CREATE_COMMAND": "true"}, RefusedError, "printed nothing"),
        ("testSecret", {"ECS_ROLLOUT_STATE": ""}, UsageError, "no ECS_ROLLOUT_STATE"),
        ("otherSecret", {}, UsageError, "no step of a rotation"),
    ],
)
def test_what_is_wrong_is_named(
    configured: Callable[..., Workplace],
    step: str,
    environment: Mapping[str, str],
    kind: type[RolloutError],
    words: str,
) -> None:
    """A command that fails, one that prints nothing, a missing setting and an unknown step are errors of their own."""
    place = configured(1, **environment)
    token = str(uuid.uuid4())
    announce(token)
    with pytest.raises(kind, match=words):
        handler({"Step": step, "SecretId": "registry", "ClientRequestToken": token}, Context(600))
    stranger = {"Step": step, "SecretId": "registry", "ClientRequestToken": str(uuid.uuid4())}
    with pytest.raises(RefusedError, match="neither the pending nor the current version"):
        handler(stranger, Context(600))
    assert place.touched() == []
