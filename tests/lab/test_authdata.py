"""The lab's agent reads its two variables and its env file as the real one does: every recorded case."""

import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.lab.authdata import read_auth
from orchestrator.lab.envfile import EmptyName, read_env_file

VECTORS = Path(__file__).parent.parent / "vectors"


def cases(name: str) -> list[Any]:
    return [json.loads(line) for line in (VECTORS / name).read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("vector", cases("auth.jsonl"), ids=lambda vector: vector["case"]["id"])
def test_auth_is_read_as_the_agent_reads_it(vector: Any) -> None:
    """Logins, warnings and the login for each image are the recorded ones (F2-F8)."""
    case, agent = vector["case"], vector["agent"]
    env = case.get("env") or {"ECS_ENGINE_AUTH_TYPE": case["type"], "ECS_ENGINE_AUTH_DATA": case["data"]}
    reading = read_auth(env["ECS_ENGINE_AUTH_TYPE"], env["ECS_ENGINE_AUTH_DATA"])
    assert list(reading.warnings) == agent.get("warnings", [])
    assert reading.effective_type == agent["effective_type"]
    shown = {
        key: {
            "username": login.username,
            **({"password": login.password} if login.password else {}),
            **({"auth": login.auth} if login.auth else {}),
        }
        for key, login in reading.logins.items()
    }
    assert shown == agent["auths"]
    assert any(login.username for login in reading.logins.values()) is agent["usable"]
    for image, login in agent.get("images", {}).items():
        assert reading.login_for(image).username == login["username"], image


@pytest.mark.parametrize("vector", cases("env.jsonl"), ids=lambda vector: vector["id"])
def test_the_env_file_is_read_as_ecs_init_reads_it(vector: Any) -> None:
    """Quotes, comments, blanks, duplicates: as recorded (F40)."""
    assert read_env_file(vector["content"]) == vector["ecs_init"]


def test_a_nameless_line_is_an_error() -> None:
    """ecs-init makes no agent from `=x` (F40)."""
    with pytest.raises(EmptyName):
        read_env_file("A=1\n =x\n")
