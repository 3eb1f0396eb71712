"""The instance itself logs in to what changes, before anything is touched: to the new, and to the old by restore."""

import base64
import json
from collections.abc import AsyncIterator

import pytest

from tests.documents.private_registry import PASSWORD, Registry, registry_at_work
from tests.documents.support import Bench, payload_of


@pytest.fixture
async def registry() -> AsyncIterator[Registry]:
    async with registry_at_work() as found:
        yield found


def value(registry: Registry, form: str, password: str = PASSWORD) -> str:
    if form == "docker":
        entry = {"username": "puller", "password": password}
    else:
        entry = {"auth": base64.b64encode(f"puller:{password}".encode()).decode()}
    return payload_of(form, json.dumps({registry.name: entry}))


@pytest.mark.parametrize("form", ["docker", "dockercfg"])
@pytest.mark.parametrize("flow", ["basic", "bearer"])
async def test_a_good_login_goes_on(bench: Bench, registry: Registry, form: str, flow: str) -> None:
    """Basic and Bearer, with a password full of odd characters, in both forms."""
    registry.flow = flow
    result = await bench.apply(VerifyLogin="yes", payload=value(registry, form))
    assert (result["outcome"], result["reason"]) == ("updated", "verified")
    assert registry.asked == (["v2"] if flow == "basic" else ["v2", "lab.registry"])


@pytest.mark.parametrize("flow", ["basic", "bearer"])
async def test_a_bad_password_touches_nothing(bench: Bench, registry: Registry, flow: str) -> None:
    """What the registry refuses never reaches the file."""
    registry.flow = flow
    before = bench.config.read_bytes()
    result = await bench.apply(VerifyLogin="yes", payload=value(registry, "docker", "wrong"))
    assert (result["outcome"], result["reason"], result["changed"]) == ("failed", "login_refused", False)
    assert registry.name in str(result["detail"])
    assert bench.config.read_bytes() == before


async def test_a_broken_registry_is_no_refusal(bench: Bench, registry: Registry) -> None:
    """A registry that cannot answer is told apart from one that says no."""
    registry.flow = "broken"
    result = await bench.apply(VerifyLogin="yes", payload=value(registry, "docker"))
    assert (result["outcome"], result["reason"]) == ("failed", "login_unreachable")


async def test_only_what_is_new_is_tried(bench: Bench, registry: Registry) -> None:
    """A registry whose entry stays as it is is not asked again."""
    await bench.apply(payload=value(registry, "docker"))
    both = json.loads(base64.b64decode(value(registry, "docker")).decode().splitlines()[3])
    both["127.0.0.1:9"] = {"username": "u", "password": "p"}
    result = await bench.apply(
        RunId="run-2", Generation="cd" * 16, VerifyLogin="yes", payload=payload_of("docker", json.dumps(both))
    )
    assert result["reason"] == "login_unreachable"
    assert registry.asked == []


async def with_an_old_login(bench: Bench, registry: Registry, form: str) -> None:
    """Install a login, then another one by run-2; what the registry takes is the test's business from here."""
    old = await bench.apply(payload=value(registry, form))
    new = await bench.apply(
        RunId="run-2", Fence="2", Generation="cd" * 16, name="/q", payload=value(registry, form, "newer")
    )
    assert (old["outcome"], new["outcome"]) == ("updated", "updated")


async def taken_back(bench: Bench, **values: str) -> dict[str, object]:
    return await bench.restore(RestoreRun="run-2", RunId="run-3", Fence="3", **values)


@pytest.mark.parametrize("form", ["docker", "dockercfg"])
@pytest.mark.parametrize("flow", ["basic", "bearer"])
async def test_an_old_login_that_is_refused_is_not_brought_back(
    bench: Bench, registry: Registry, form: str, flow: str
) -> None:
    """restore asks the registry first: what it refuses by now leaves file, agent and backup as they are."""
    await with_an_old_login(bench, registry, form)
    registry.flow, registry.password = flow, "newer"
    before, starts = bench.config.read_bytes(), bench.host.agent.starts
    result = await taken_back(bench)
    assert (result["outcome"], result["reason"], result["changed"]) == ("refused", "login_refused", False)
    assert registry.name in str(result["detail"])
    assert PASSWORD not in str(result)
    assert (bench.config.read_bytes(), bench.host.agent.starts) == (before, starts)
    assert bench.state("backup-run-2").is_dir()
    assert (await taken_back(bench, VerifyLogin="no"))["reason"] == "restored"


@pytest.mark.parametrize("form", ["docker", "dockercfg"])
async def test_an_old_login_that_is_taken_is_brought_back(bench: Bench, registry: Registry, form: str) -> None:
    """What the registry still takes goes back, without a warning."""
    await with_an_old_login(bench, registry, form)
    result = await taken_back(bench)
    assert (result["outcome"], result["reason"], result["warnings"]) == ("rolled_back", "restored", [])
    assert registry.asked == ["v2"]


@pytest.mark.parametrize("flow", ["broken", "odd"])
async def test_doubt_keeps_nothing_from_being_taken_back(bench: Bench, registry: Registry, flow: str) -> None:
    """A registry that is down, or that asks in a way that nobody knows, is a warning: the old state is what was."""
    await with_an_old_login(bench, registry, "docker")
    registry.flow, registry.password = flow, "newer"
    result = await taken_back(bench)
    assert (result["outcome"], result["reason"]) == ("rolled_back", "restored")
    assert result["warnings"] == ["old_login_not_proven"]


async def test_a_refusal_counts_more_than_silence(bench: Bench, registry: Registry) -> None:
    """Of two old logins the one that is refused is found, though the other's registry does not answer."""
    entry = {"username": "puller", "password": PASSWORD}
    both = json.dumps({"127.0.0.1:9": entry, registry.name: entry})
    assert (await bench.apply(payload=payload_of("docker", both)))["outcome"] == "updated"
    new = value(registry, "docker", "newer")
    await bench.apply(RunId="run-2", Fence="2", Generation="cd" * 16, name="/q", payload=new)
    registry.password = "newer"
    assert (await taken_back(bench))["reason"] == "login_refused"
