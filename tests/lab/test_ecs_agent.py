"""The simulated ECS agent behaves as the real one was seen to (F1-F33)."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from orchestrator.lab.host_farm import HostFarm
from orchestrator.lab.instance import Host
from orchestrator.lab.scenario import AfterRestart
from tests.lab.host_support import VECTORS, eventually, run, spec

NEW = '{"registry.example.com":{"auth":"cHVsbGVyOm5ldw=="}}'


@pytest.fixture
async def farm(tmp_path: Path) -> AsyncIterator[HostFarm]:
    async with HostFarm(tmp_path) as found:
        yield found


async def add(farm: HostFarm, **changes: Any) -> Host:
    return await farm.add(spec(**changes))


async def get(host: Host, path: str) -> Any:
    async with aiohttp.ClientSession() as session, session.get(host.introspection_url + path) as reply:
        assert reply.status == 200
        return await reply.json()


async def refuses(host: Host) -> bool:
    try:
        await get(host, "/v1/metadata")
    except aiohttp.ClientConnectorError:
        return True
    return False


async def restart(host: Host, *, wait: bool = True) -> None:
    assert await host.unit.command("restart") == ""
    if wait:
        await host.agent.registered.wait()


def set_variable(host: Host, name: str, value: str | None) -> None:
    """Replace, add or (with None) remove one line of the env file."""
    kept = [line for line in host.config_file.read_text().splitlines() if not line.startswith(f"{name}=")]
    added = [] if value is None else [f"{name}={value}"]
    host.config_file.write_text("\n".join(kept + added) + "\n")


async def state(host: Host, name: str) -> str:
    return (await run(host, f"systemctl show ecs -p {name} --value")).stdout.strip()


async def container(host: Host) -> Any:
    """The agent's container; between the old one's end and the new one's beginning there is none for a moment."""
    while not (found := json.loads((await run(host, "docker inspect ecs-agent")).stdout)):
        pass
    return found[0]


async def test_it_answers_as_the_real_one(farm: HostFarm) -> None:
    """Metadata, tasks and unknown paths have the recorded shapes, all with 200 (F11, F13, F14)."""
    host = await add(farm)
    arns = farm.plain.run_tasks(host.agent.arn, 2)
    metadata = await get(host, "/v1/metadata")
    assert metadata == {
        "Cluster": "demo",
        "ContainerInstanceArn": host.agent.arn,
        "Version": "Amazon ECS Agent - v1.105.1 (*a8b3e7d3)",
    }
    assert metadata.keys() == json.loads((VECTORS / "metadata.json").read_text()).keys()
    real = json.loads((VECTORS / "tasks.json").read_text())["Tasks"][0]
    ours = (await get(host, "/v1/tasks"))["Tasks"]
    assert [task["Arn"] for task in ours] == list(arns)
    assert ours[0].keys() == real.keys()
    assert ours[0]["Containers"][0].keys() == real["Containers"][0].keys()
    unknown = json.loads((VECTORS / "unknown-path.json").read_text())
    assert await get(host, "/v1/metadata/") == await get(host, "/") == unknown


async def test_a_restart_keeps_identity_and_tasks(farm: HostFarm) -> None:
    """With persisted state the ARN stays, the tasks are in the first answer, the container is another (F14, F31)."""
    host = await add(farm)
    arns = farm.plain.run_tasks(host.agent.arn, 2)
    before, arn = await container(host), host.agent.arn
    set_variable(host, "ECS_ENGINE_AUTH_DATA", NEW)
    assert f"ECS_ENGINE_AUTH_DATA={NEW}" not in (await container(host))["Config"]["Env"], "read once, at start (F1)"
    await restart(host)
    after = await container(host)
    assert host.agent.arn == arn
    assert [task["Arn"] for task in (await get(host, "/v1/tasks"))["Tasks"]] == list(arns)
    assert after["Id"] != before["Id"]
    assert after["State"]["StartedAt"] > before["State"]["StartedAt"]
    assert f"ECS_ENGINE_AUTH_DATA={NEW}" in after["Config"]["Env"]
    assert farm.plain.connected == {arn: True}


@pytest.mark.parametrize(
    ("lines", "kept"),
    [
        ({"ECS_DATADIR": "/data/"}, True),
        ({"ECS_DATADIR": ""}, False),
        ({"ECS_CHECKPOINT": "false"}, False),
        ({"ECS_CHECKPOINT": "true"}, True),
        ({"ECS_DATADIR": "/var/lib/ecs/data"}, True),
    ],
)
async def test_identity_depends_on_where_state_is(farm: HostFarm, lines: dict[str, str], kept: bool) -> None:  # noqa: FBT001
    """The table of F31: a persisted state keeps ARN and tasks, none means a new ARN, a ghost and an empty list."""
    host = await add(farm, config_lines=tuple(f"{name}={value}" for name, value in lines.items()))
    arn = host.agent.arn
    arns = farm.plain.run_tasks(arn, 2)
    await restart(host)
    assert (host.agent.arn == arn) is kept
    assert host.agent.running_tasks == (arns if kept else ())
    assert farm.plain.connected == ({arn: True} if kept else {arn: False, host.agent.arn: True})
    assert len((await run(host, "docker ps -q")).stdout.split()) == 3, "containers outlive their agent"


async def test_another_mounted_directory_means_a_new_identity_once(farm: HostFarm) -> None:
    """State in another mounted directory orphans the old one, once (F31)."""
    host = await add(farm)
    arn = host.agent.arn
    set_variable(host, "ECS_DATADIR", "/var/cache/ecs")
    await restart(host)
    second = host.agent.arn
    assert second != arn
    await restart(host)
    assert host.agent.arn == second


@pytest.mark.parametrize("value", ['"/data"', "/no/such/directory"])
async def test_an_unusable_directory_is_a_crash_loop(farm: HostFarm, value: str) -> None:
    """The agent ends at once, again and again, while the unit says active (F23, F31)."""
    host = await add(farm)
    set_variable(host, "ECS_DATADIR", value)
    await restart(host, wait=False)

    async def done() -> bool:
        return bool((await container(host))["State"]["Status"] == "exited")

    await eventually(done)
    assert await refuses(host)
    assert await state(host, "ActiveState") == "active"
    first = (await container(host))["Id"]

    async def again() -> bool:
        return bool((await container(host))["Id"] != first)

    await eventually(again)


@pytest.mark.parametrize("change", ["ECS_CLUSTER=other", 'ECS_CLUSTER="demo"', "export ECS_CLUSTER=demo", "#none"])
async def test_another_cluster_with_saved_state_is_terminal(farm: HostFarm, change: str) -> None:
    """Exit code 5, and only that makes the unit fail (F23, F31)."""
    host = await add(farm)
    set_variable(host, "ECS_CLUSTER", None)
    host.config_file.write_text(host.config_file.read_text() + change + "\n")
    await restart(host, wait=False)

    async def done() -> bool:
        return await state(host, "ActiveState") == "failed"

    await eventually(done)
    recorded = (VECTORS / "systemctl-show-exit5.txt").read_text().split()
    names = ",".join(line.partition("=")[0] for line in recorded)
    assert (await run(host, f"systemctl show ecs -p {names}")).stdout.split() == recorded
    assert (await container(host))["State"]["ExitCode"] == 5
    assert await refuses(host)


async def test_the_port_is_closed_until_it_has_registered(farm: HostFarm) -> None:
    """Throttled registration is retried with the port closed, the container running, the unit active (F12)."""
    farm.plain.refuse = 4
    host = await farm.add(spec(), registered=False)

    async def done() -> bool:
        return farm.plain.attempts >= 2

    await eventually(done)
    assert await refuses(host)
    assert (await container(host))["State"]["Running"]
    assert await state(host, "ActiveState") == "active"
    await host.agent.registered.wait()
    assert farm.plain.attempts == 5
    assert (await get(host, "/v1/metadata"))["ContainerInstanceArn"] == host.agent.arn


async def test_it_warns_as_the_real_one(farm: HostFarm) -> None:
    """Bad auth changes nothing but one line, byte for byte the recorded one (F2, F19)."""
    host = await add(farm)
    cases = re.findall(r"# (\S+) (.*) -> 200\n((?:level.*\n)?)", (VECTORS / "log-bad-auth.txt").read_text())
    assert len(cases) == 5
    for number, (kind, data, expected) in enumerate(cases):
        set_variable(host, "ECS_ENGINE_AUTH_TYPE", kind)
        set_variable(host, "ECS_ENGINE_AUTH_DATA", data)
        if number % 4 == 3:
            await host.unit.command("reset-failed")
        await restart(host)
        log = (await run(host, "docker logs ecs-agent | grep module=dockerauth.go")).stdout
        assert untimed(log) == untimed(expected), data
        assert data not in (host.root / "var/log/ecs/ecs-agent.log").read_text(), "the log redacts (F10)"


def untimed(text: str) -> str:
    return re.sub(r"time=\S+", "", text)


async def test_log_levels_hide_the_warning(farm: HostFarm) -> None:
    """At a level above warn neither stdout nor the file shows a bad credential (F19)."""
    host = await add(farm, auth_type="Docker", config_lines=("ECS_LOGLEVEL=error",))
    log = (await run(host, f"docker logs ecs-agent; cat {host.root}/var/log/ecs/ecs-agent.log")).stdout
    assert "level=error" in log
    assert "dockerauth" not in log


async def test_too_long_a_line_leaves_the_old_agent(farm: HostFarm) -> None:
    """The new agent cannot start and the old one keeps answering (F15, F40)."""
    host = await add(farm)
    before = await container(host)
    set_variable(host, "ECS_ENGINE_AUTH_DATA", "x" * 131_072)
    await restart(host)
    assert await container(host) == before
    assert (await get(host, "/v1/metadata"))["ContainerInstanceArn"] == host.agent.arn


async def test_a_line_without_a_name_makes_no_agent(farm: HostFarm) -> None:
    """ecs-init makes no container from such a file, and tries for ever (F40)."""
    host = await add(farm)
    host.config_file.write_text(host.config_file.read_text() + "=x\n")
    await restart(host, wait=False)

    async def done() -> bool:
        return (await run(host, "docker inspect ecs-agent")).code == 1

    await eventually(done)
    assert await state(host, "ActiveState") == "active"
    assert await refuses(host)


async def test_both_env_files_are_read(farm: HostFarm) -> None:
    """/var/lib/ecs/ecs.config comes first and /etc/ecs/ecs.config overrides it (F9)."""
    host = await add(farm)
    (host.root / "var/lib/ecs/ecs.config").write_text("ECS_ENGINE_AUTH_TYPE=docker\nECS_X=1\n")
    await restart(host)
    environment = (await container(host))["Config"]["Env"]
    assert {"ECS_ENGINE_AUTH_TYPE=dockercfg", "ECS_X=1"} <= set(environment)


async def test_the_json_file_serves_where_the_environment_is_silent(farm: HostFarm) -> None:
    """ecs.config.json is read after the environment (F9)."""
    host = await add(farm, auth_type="", auth_data="")
    config = {"EngineAuthType": "dockercfg", "EngineAuthData": {"bad": {"auth": ""}}}
    (host.root / "etc/ecs/ecs.config.json").write_text(json.dumps(config))
    await restart(host)
    log = (await run(host, "docker logs ecs-agent")).stdout
    assert "Malformed auth data for registry bad; must contain ':'" in log


async def test_the_sixth_start_within_ten_seconds_leaves_it_down(farm: HostFarm) -> None:
    """systemd's start limit stops the agent until the unit is reset (F24)."""
    host = await add(farm)
    codes = (await run(host, "for n in 1 2 3 4 5; do systemctl restart ecs; echo $?; done")).stdout.split()
    assert codes == ["0", "0", "0", "0", "1"]
    assert await state(host, "Result") == "start-limit-hit"
    assert await refuses(host)
    assert (await run(host, "systemctl reset-failed ecs && systemctl start ecs")).code == 0
    await host.agent.registered.wait()


async def test_docker_restart_ends_the_unit(farm: HostFarm) -> None:
    """On an ecs-init host docker restart leaves the unit inactive and the agent down (F21)."""
    host = await add(farm)
    assert (await run(host, "docker restart ecs-agent")).code == 0
    assert (await state(host, "ActiveState"), await state(host, "Result")) == ("inactive", "success")
    assert await refuses(host)
    assert (await container(host))["State"]["Status"] == "exited"


async def test_a_restart_that_is_not_waited_for_happens(farm: HostFarm) -> None:
    """--no-block returns at once, the job goes on when its caller is gone (F25)."""
    host = await add(farm)
    before = (await container(host))["Id"]
    assert (await run(host, "systemctl --no-block restart ecs.service")).code == 0

    async def done() -> bool:
        return bool((await container(host))["Id"] != before)

    await eventually(done)
    await host.agent.registered.wait()


@pytest.mark.parametrize(
    ("trouble", "active", "exit_code"), [(AfterRestart.STAYS_DOWN, "active", 1), (AfterRestart.EXIT5, "failed", 5)]
)
async def test_the_old_credential_heals_what_the_new_one_broke(
    farm: HostFarm, trouble: AfterRestart, active: str, exit_code: int
) -> None:
    """With a new credential the agent stays down; with the old file back it returns under its ARN."""
    host = await add(farm, after_restart=trouble)
    arn = host.agent.arn
    await restart(host)
    set_variable(host, "ECS_ENGINE_AUTH_DATA", NEW)
    await restart(host, wait=False)

    async def done() -> bool:
        exited: bool = (await container(host))["State"]["ExitCode"] == exit_code
        return exited and await state(host, "ActiveState") == active

    await eventually(done)
    assert await refuses(host)
    assert f"ends this agent: {trouble}" in (host.root / "var/log/ecs/ecs-agent.log").read_text()
    set_variable(host, "ECS_ENGINE_AUTH_DATA", host.spec.auth_data)
    await restart(host)
    assert host.agent.arn == arn


async def test_an_agent_that_never_returns(farm: HostFarm) -> None:
    """No credential brings it back."""
    host = await add(farm, after_restart=AfterRestart.NEVER_RETURNS)
    await restart(host, wait=False)

    async def done() -> bool:
        return bool((await container(host))["State"]["ExitCode"] == 1)

    await eventually(done)
    assert await refuses(host)


@pytest.mark.parametrize("trouble", [AfterRestart.STAYS_DOWN, AfterRestart.EXIT5, AfterRestart.NEVER_RETURNS])
async def test_a_mended_agent_returns(farm: HostFarm, trouble: AfterRestart) -> None:
    """Once its trouble is taken away it comes back by itself, with whatever the file holds, and after each restart."""
    host = await add(farm, after_restart=trouble)
    set_variable(host, "ECS_ENGINE_AUTH_DATA", NEW)
    await restart(host, wait=False)
    assert await refuses(host)
    async with aiohttp.ClientSession() as session, session.post(f"{host.control_url}/mend") as reply:
        assert (reply.status, await reply.text()) == (200, f"{host.instance_id} has no trouble any more\n")
    await host.agent.registered.wait()
    await restart(host)
    assert not await refuses(host)


async def test_an_agent_that_is_not_replaced(farm: HostFarm) -> None:
    """The restart says 0 and the old container keeps answering with the old environment (F15)."""
    host = await add(farm, after_restart=AfterRestart.NOT_REPLACED)
    before = await container(host)
    set_variable(host, "ECS_ENGINE_AUTH_DATA", NEW)
    await restart(host)
    assert await container(host) == before


async def test_an_agent_that_forgets(farm: HostFarm) -> None:
    """Its state looks persistent, and it comes back under a new ARN all the same."""
    host = await add(farm, after_restart=AfterRestart.FORGETS)
    arn = host.agent.arn
    await restart(host)
    assert host.agent.arn != arn


async def test_slow_registration_keeps_the_port_closed(farm: HostFarm) -> None:
    """After a restart the container runs for a while before the port opens (F12)."""
    host = await add(farm, slow_registration=0.5)
    await restart(host, wait=False)
    for _ in range(5):
        assert await refuses(host)
        await asyncio.sleep(0.02)
    await host.agent.registered.wait()


async def test_nothing_is_left_after_the_end(tmp_path: Path) -> None:
    """A stopped host has no task and no open socket."""
    before = set(asyncio.all_tasks())
    async with HostFarm(tmp_path) as farm:
        host = await add(farm)
        await run(host, "systemd-run --quiet sleep 60; systemctl --no-block restart ecs")
        port = host.agent.port.number
    assert set(asyncio.all_tasks()) == before
    server = await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", port)
    server.close()
    await server.wait_closed()
