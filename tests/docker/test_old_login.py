"""Taking a change back where plain `docker run` has started the agent: the login of before is tried first."""

import base64
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from tests.docker.support import OLD_DATA, DockerHost, MakeHost
from tests.documents.private_registry import PASSWORD, Registry, registry_at_work


@pytest.fixture
async def registry() -> AsyncIterator[Registry]:
    async with registry_at_work() as found:
        yield found


def login(registry: Registry, password: str = PASSWORD) -> str:
    auth = base64.b64encode(f"puller:{password}".encode()).decode()
    return json.dumps({registry.name: {"auth": auth}}, separators=(",", ":"))


async def changed(make: MakeHost, registry: Registry, *options: str, data: str | None = None) -> DockerHost:
    """Let an agent run the registry's login, from the env file or by `options`; then give it another one by run-1."""
    host = await make(start=False)
    host.config.write_text(host.config.read_text().replace(OLD_DATA, data or login(registry)))
    host.run_agent(*options)
    assert (await host.apply(login(registry, "newer")))["outcome"] == "updated"
    assert registry.asked == []
    return host


def said(result: Mapping[str, Any]) -> tuple[str, str, bool]:
    return result["outcome"], result["reason"], result["changed"]


@pytest.mark.parametrize("flow", ["basic", "bearer"])
async def test_a_refused_login_leaves_the_container_running(make: MakeHost, registry: Registry, flow: str) -> None:
    """What the registry refuses by now is not brought back: same container, same file, the backup kept for who insists.

    Whoever insists has it back.
    """
    host = await changed(make, registry)
    registry.flow, registry.password = flow, "newer"
    container, text = host.inspect_container(), host.config.read_bytes()
    result = await host.restore()
    assert said(result) == ("refused", "login_refused", False), result
    assert registry.name in str(result["detail"])
    assert PASSWORD not in str(result)
    assert (host.inspect_container(), host.config.read_bytes()) == (container, text)
    assert host.state("backup-run-1").is_dir()
    assert said(await host.restore(RunId="run-10", Fence="10", VerifyLogin="no")) == ("rolled_back", "restored", True)
    assert host.pair()["ECS_ENGINE_AUTH_DATA"] == login(registry)
    assert len(host.agents("-a")) == 1
    assert not host.two_agents()


async def test_a_login_that_is_taken_comes_back(make: MakeHost, registry: Registry) -> None:
    """The registry is asked once, from the host, and nothing is warned of."""
    host = await changed(make, registry)
    result = await host.restore()
    assert (said(result), result["warnings"]) == (("rolled_back", "restored", True), [])
    assert registry.asked == ["v2"]
    assert host.pair()["ECS_ENGINE_AUTH_DATA"] == login(registry)


async def test_silence_is_a_warning(make: MakeHost, registry: Registry) -> None:
    """A registry that is down keeps nothing from being taken back."""
    host = await changed(make, registry)
    registry.flow = "broken"
    result = await host.restore()
    assert (said(result), result["warnings"]) == (("rolled_back", "restored", True), ["old_login_not_proven"])


async def test_the_login_that_is_tried_is_the_containers(make: MakeHost, registry: Registry) -> None:
    """What `docker run -e` gave comes back on the container, whatever the env file says: that one is tried."""
    options = ("-e", f"ECS_ENGINE_AUTH_DATA={login(registry)}")
    host = await changed(make, registry, *options, data=OLD_DATA)
    registry.password = "newer"
    result = await host.restore()
    assert said(result) == ("refused", "login_refused", False), result
    registry.password = PASSWORD
    assert said(await host.restore(RunId="run-10", Fence="10")) == ("rolled_back", "restored", True)
    assert host.pair()["ECS_ENGINE_AUTH_DATA"] == login(registry)
    assert f"ECS_ENGINE_AUTH_DATA={OLD_DATA}\n" in host.config.read_text()


async def test_an_agent_that_had_no_login_has_none_to_try(make: MakeHost, registry: Registry) -> None:
    """Where nothing was set before, nothing is asked, and nothing is what comes back."""
    host = await make(start=False)
    host.config.write_text("ECS_CLUSTER=demo\nA=1\n")
    host.run_agent()
    assert (await host.apply(login(registry)))["outcome"] == "updated"
    registry.flow = "broken"
    result = await host.restore()
    assert (said(result), result["warnings"]) == (("rolled_back", "restored", True), [])
    assert (registry.asked, host.pair()) == ([], {})
