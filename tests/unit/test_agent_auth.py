"""The agent's rules as we model them agree with what real agents did."""

import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.core.agent_auth import AgentView, Login, agent_view, keys_for, login_for
from orchestrator.core.credential_formats import Recognised, recognise
from orchestrator.core.credential_lint import lint

VECTORS = Path(__file__).parents[1] / "vectors"


def read_vectors(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (VECTORS / name).read_text(encoding="utf-8").splitlines()]


LINES = read_vectors("auth.jsonl")
# Generated documents as Go 1.19's encoding/json and encoding/base64 decoded them into the agent's two structures.
GO = read_vectors("go.jsonl")


def case_id(line: dict[str, Any]) -> str:
    return str(line["case"]["id"])


def pair(line: dict[str, Any]) -> tuple[str, str]:
    case = line["case"]
    env = case.get("env", {"ECS_ENGINE_AUTH_TYPE": case.get("type"), "ECS_ENGINE_AUTH_DATA": case.get("data")})
    return env["ECS_ENGINE_AUTH_TYPE"], env["ECS_ENGINE_AUTH_DATA"]


def as_recorded(login: Login | None) -> dict[str, str]:
    found = login or Login(username="", password="")
    rest = {"password": found.password, "auth": found.auth}
    return {"username": found.username} | {name: value for name, value in rest.items() if value}


def view_of(auths: dict[str, str]) -> AgentView:
    return agent_view("docker", json.dumps({key: {"username": user} for key, user in auths.items()}))


@pytest.mark.parametrize("line", LINES, ids=case_id)
def test_every_vector_is_read_as_the_agent_read_it(line: dict[str, Any]) -> None:
    """Accepted, usable, warnings, logins and each image's login are what the recorded agent had."""
    agent = line["agent"]
    view = agent_view(*pair(line))
    assert view.accepted == agent["accepted"]
    assert view.usable == agent["usable"]
    assert list(view.warnings) == agent.get("warnings", [])
    assert view.effective_type == agent["effective_type"]
    assert {key: as_recorded(login) for key, login in view.auths.items()} == agent["auths"]
    images = agent.get("images", {})
    assert {image: as_recorded(login_for(view.auths, image)) for image in images} == images


@pytest.mark.parametrize("line", LINES, ids=case_id)
def test_the_lint_refuses_whatever_the_agent_rejects_or_cannot_use(line: dict[str, Any]) -> None:
    """A declared pair that the agent does not wholly accept, or that logs in nowhere, is an error."""
    auth_type, data = pair(line)
    recognised: Recognised = recognise(f"ECS_ENGINE_AUTH_TYPE={auth_type}\nECS_ENGINE_AUTH_DATA={data}\n")
    if not (line["agent"]["accepted"] and line["agent"]["usable"]):
        assert lint(recognised).refused


@pytest.mark.parametrize(
    ("keys", "image", "wins"),
    [
        (["reg.io"], "reg.io/a@sha256:00", ["reg.io"]),
        (["reg.io"], "reg.io:5000/a", []),
        (["reg.io:5000"], "reg.io:5000/a:1", ["reg.io:5000"]),
        (["reg.io/"], "reg.io/a", ["reg.io/"]),
        (["reg.io/team"], "reg.io/other", ["reg.io/team"]),
        (["reg.io/a", "reg.io/longer"], "reg.io/a/x", ["reg.io/a", "reg.io/longer"]),
        (["reg.io/a", "reg.io/longer"], "reg.io/longer/x", ["reg.io/longer"]),
        (["reg.io/a", "reg.io/longer"], "reg.io/z", ["reg.io/a", "reg.io/longer"]),
        (["reg.io", "reg.io/a", "reg.io/a/b"], "reg.io/a/b/c:1", ["reg.io/a/b"]),
        (["localhost"], "localhost/x", ["localhost"]),
        (["myreg"], "myreg/x", []),
        (["docker.io", "index.docker.io/v1", "index.docker.io/v2/"], "index.docker.io/a/b", []),
        (["index.docker.io/v1/"], "team/app:2", ["index.docker.io/v1/"]),
        (["Reg.io"], "reg.io/x", []),
    ],
)
def test_keys_win_as_in_the_agents_map_walk(keys: list[str], image: str, wins: list[str]) -> None:
    """The keys that may win are named, all of them where the order of Go's map decides (F7)."""
    view = view_of({key: f"user{place}" for place, key in enumerate(keys)})
    assert list(keys_for(view.auths, image)) == wins
    expected = view.auths[wins[0]] if len(wins) == 1 else None
    assert login_for(view.auths, image) == expected


@pytest.mark.parametrize(
    ("data", "user"),
    [
        ('{"r.io":{"USERNAME":"a"}}', "a"),
        ('{"r.io":{"u\\u017fername":"a"}}', "a"),
        ('{"r.io":{"username":"a","username":null}}', "a"),
        ('{"r.io":{"username":"a","UserName":"b"}}', "b"),
        ('{"r.io":{"username":"a"},"r.io":{"password":"b"}}', ""),
        ('{"r.io":{"username":"a","other":[1,{"x":NaN}]}}', None),
        ('{"r.io":{"username":"a","other":[1,{"x":1e400}]}}', "a"),
        ('{"r.io":{"username":"\\ud800"}}', "\ufffd"),
        ('{"r.io":null}', ""),
        ('{"r.io":{"email":1}}', None),
        ("[" * 200_000, None),
    ],
)
def test_json_is_read_as_go_reads_it(data: str, user: str | None) -> None:
    """Case, repeats, nulls, wrong types and what only Python takes for JSON end as encoding/json ends them."""
    view = agent_view("docker", data)
    assert [login.username for login in view.auths.values()] == ([] if user is None else [user])


@pytest.mark.parametrize(
    ("encoded", "login"),
    [
        ("dTpwYR==", ("u", "pa")),
        ("dTpwYQ=\\r\\n=", ("u", "pa")),
        ("OnA=", ("", "p")),
        ("dTpw=", None),
        ("dTpw ", None),
        ("dTo_Pz8=", None),
        ("dTr/", ("u", "\udcff")),
    ],
)
def test_base64_is_read_as_go_reads_it(encoded: str, login: tuple[str, str] | None) -> None:
    """Padding is demanded, line ends are skipped, the URL alphabet and blanks are not taken (F4)."""
    view = agent_view("dockercfg", f'{{"r.io":{{"auth":"{encoded}"}}}}')
    assert [(found.username, found.password) for found in view.auths.values()] == ([login] if login else [])


def test_the_scheme_decides_by_chance_and_is_named() -> None:
    """A registry with and without its scheme is contested."""
    view = agent_view("docker", '{"r.io":{"username":"a"},"http://r.io":{"username":"b"}}')
    assert view.contested == {"r.io"}


def test_nothing_of_a_view_is_in_its_repr() -> None:
    """Neither logins nor the agent's own warnings, which quote keys, show in a repr."""
    view = agent_view("dockercfg", '{"r.io":{"auth":"Y2FuYXJ5OnBhc3M="},"sesame":{"auth":"x"}}')
    for secret in ("canary", "pass", "sesame"):
        assert secret not in repr(view)
        assert secret not in repr(view.auths["r.io"])


def shown_by_go(text: str) -> str:
    """Go's JSON writer puts U+FFFD in the place of each byte that is no UTF-8."""
    return "".join("\ufffd" if "\ud800" <= char <= "\udfff" else char for char in text)


def test_generated_documents_are_read_as_go_read_them() -> None:
    """Whatever is rejected, malformed or read, is so for the same documents and with the same values."""
    for line in GO:
        view = agent_view(line["type"], line["data"])
        assert len(view.warnings) == (1 if line["rejected"] else line["malformed"]), line
        found = {
            key: {"username": shown_by_go(each.username), "password": shown_by_go(each.password), "auth": each.auth}
            for key, each in view.auths.items()
        }
        assert found == line["auths"], line
