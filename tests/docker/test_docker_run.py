"""Agents that plain `docker run --env-file` has started (F22), on a real Docker engine."""

import copy
import json
import stat
from pathlib import Path
from typing import Any

from tests.docker.engine import Engine
from tests.docker.support import OLD_DATA, POLICY, DockerHost, MakeHost
from tests.documents.support import DATA

NEW_PAIR = {"ECS_ENGINE_AUTH_TYPE": "dockercfg", "ECS_ENGINE_AUTH_DATA": DATA}
OLD_PAIR = {"ECS_ENGINE_AUTH_TYPE": "dockercfg", "ECS_ENGINE_AUTH_DATA": OLD_DATA}
POISON = '{"poison.example":{"auth":"dTpw"}}'
EVERYTHING = (
    *("--pid=host", "--ipc=host", "--init", "--stop-timeout=7", "--user=0:0", "--workdir=/tmp", "--group-add=4"),
    *("--cap-add=SYS_ADMIN", "--cap-add=NET_ADMIN", "--cap-drop=MKNOD", "--security-opt=no-new-privileges"),
    *("--device=/dev/null:/dev/other", "--ulimit=nofile=1024:2048", "--label=who=me", "--label=dotted.key=a b"),
    *("--log-driver=json-file", "--log-opt=max-size=1m", "--log-opt=max-file=3", "--tmpfs=/scratch:size=1m"),
    *("--memory=100m", "--shm-size=8m", "--add-host=there:10.0.0.1", "--dns=10.0.0.2", "--hostname=a-host"),
    *("--health-cmd=true", "--health-interval=1h", "--oom-score-adj=100", "--volume=/anonymous"),
    *("--volume=a-volume:/named:ro", "--mount=type=bind,src=/tmp,dst=/mounted,readonly", '--env=QUOTED=a"b\\c\td$e'),
    *("--env=EMPTY=", "--env=UNICODE=gr\u00fcn", "--entrypoint=/bin/sh"),
)


def settings(found: dict[str, Any]) -> dict[str, Any]:
    """Leave out of `docker inspect` what no two containers share: ids, times, places, and our two variables."""
    kept = copy.deepcopy(found)
    for name in ("Id", "Created", "State", "ResolvConfPath", "HostnamePath", "HostsPath", "LogPath", "GraphDriver"):
        del kept[name]
    for name in ("SandboxID", "SandboxKey"):
        del kept["NetworkSettings"][name]
    for network in kept["NetworkSettings"]["Networks"].values():
        del network["EndpointID"]
    kept["Config"]["Env"] = [each for each in kept["Config"]["Env"] if not each.startswith("ECS_ENGINE_AUTH_")]
    # An anonymous volume can come back only by its name.
    anonymous = {each["Name"]: each["Destination"] for each in kept["Mounts"] if len(each.get("Name", "")) == 64}
    for mount in kept["Mounts"]:
        mount["Mode"] = "" if mount.get("Name") in anonymous else mount["Mode"]
    binds = kept["HostConfig"]["Binds"]
    kept["HostConfig"]["Binds"] = [each for each in binds if each.split(":")[0] not in anonymous]
    return kept


def said(result: dict[str, Any]) -> tuple[str, str, bool]:
    return result["outcome"], result["reason"], result["changed"]


async def test_everything_stays_but_the_two_variables(make: MakeHost) -> None:
    """The new container is the old one in all that `docker inspect` shows, but for its two variables, id and times."""
    host = await make(start=False)
    host.run_agent(*EVERYTHING, command=("/agent.sh", "an argument"))
    before = host.inspect_container()
    result = await host.apply(DATA)
    assert said(result) == ("updated", "verified", True), result
    assert (result["method"], result["persistence"], result["arn"]) == (
        "docker-run",
        "persistent",
        result["arn_before"],
    )
    after = host.inspect_container()
    assert settings(after) == settings(before)
    assert after["Id"] != before["Id"]
    assert host.pair() == NEW_PAIR
    assert f"ECS_ENGINE_AUTH_DATA={DATA}\n" in host.config.read_text()
    assert host.agents("-a") == [after["Id"]]
    assert not host.two_agents()


async def test_running_it_twice_changes_nothing(host: DockerHost) -> None:
    """A second apply finds file, marker and container in agreement, and lets the container run on."""
    first = await host.apply(DATA)
    container = host.inspect_container()
    second = await host.apply(DATA, RunId="run-2", Fence="2")
    assert (said(first), said(second)) == (("updated", "verified", True), ("current", "already_current", False))
    assert host.inspect_container() == container
    seen = await host.inspect()
    assert (seen["agent"], seen["agrees"], seen["method"], seen["armed"]) == ("up", True, "docker-run", "no")


async def test_a_run_is_taken_back_later(host: DockerHost) -> None:
    """`restore` makes the container again with the pair of before, when the old one is long gone."""
    before, text = host.inspect_container(), host.config.read_bytes()
    await host.apply(DATA)
    assert said(await host.restore()) == ("rolled_back", "restored", True)
    assert host.config.read_bytes() == text
    assert host.pair() == OLD_PAIR
    assert settings(host.inspect_container()) == settings(before)
    assert len(host.agents("-a")) == 1


async def test_a_bad_start_brings_the_old_container_back(host: DockerHost) -> None:
    """When the new agent fails, the very container of before runs again, under its name and with its policy."""
    before, text = host.inspect_container(), host.config.read_bytes()
    result = await host.apply(POISON, VerifySeconds="5")
    assert said(result) == ("rolled_back", "agent_did_not_return", False), result
    after = host.inspect_container()
    assert (after["Id"], after["Name"]) == (before["Id"], before["Name"])
    assert after["HostConfig"] == before["HostConfig"]
    assert after["State"]["Running"] is True
    assert host.config.read_bytes() == text
    assert host.agents("-a") == [before["Id"]]
    assert not host.two_agents()


async def test_a_warning_of_the_agent_brings_the_old_container_back(host: DockerHost) -> None:
    """An agent that answers but could not read the credential is no success (F2)."""
    before = host.inspect_container()
    result = await host.apply('{ "odd":{"auth":"dTpw"}}')
    assert said(result) == ("rolled_back", "auth_warning", False), result
    assert host.inspect_container()["Id"] == before["Id"]


async def test_what_cannot_be_made_again_is_not_stopped(make: MakeHost) -> None:
    """Where the engine would not make the same container, the old one has never stopped for a moment."""
    host = await make(start=False)
    host.run_agent("--mount=type=volume,dst=/nameless")
    before = host.inspect_container()
    result = await host.apply(DATA)
    assert said(result) == ("rolled_back", "restart_failed", False), result
    assert host.inspect_container() == before
    assert host.agents("-a") == [before["Id"]]


async def test_the_image_is_the_same_when_its_name_has_moved(make: MakeHost, engine: Engine) -> None:
    """A newer image under the old name is not what a credential's change brings in."""
    host = await make(start=False)
    tag = f"{host.name}:latest"
    engine.docker("tag", "ecs-agent-test:v1", tag)
    host.run_agent(image=tag)
    before = host.inspect_container()
    engine.import_agent(tag, note="newer")
    assert said(await host.apply(DATA)) == ("updated", "verified", True)
    after = host.inspect_container()
    assert after["Image"] == before["Image"]
    engine.docker("rmi", tag)


async def test_variables_of_the_command_line_stay(make: MakeHost) -> None:
    """What `docker run -e` gave is kept, though the env file does not know it: nothing of it is read again."""
    host = await make(start=False)
    host.config.write_text("# nothing here\n")
    host.run_agent(
        "-e", "ECS_CLUSTER=demo", "-e", f"ECS_ENGINE_AUTH_DATA={OLD_DATA}", "-e", "ECS_ENGINE_AUTH_TYPE=dockercfg"
    )
    assert said(await host.apply(DATA)) == ("updated", "verified", True)
    assert host.pair() == NEW_PAIR
    assert said(await host.restore()) == ("rolled_back", "restored", True)
    assert host.pair() == OLD_PAIR
    assert host.config.read_text() == "# nothing here\n"


async def test_the_secret_stays_off_disk_and_out_of_the_log(host: DockerHost) -> None:
    """Neither the log nor a file that others may read holds the new value."""
    await host.apply(DATA)
    for path in host.state().rglob("*"):
        if path.is_file():
            assert DATA not in path.read_text()
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0
    assert DATA not in (host.root / "changes").read_text()


async def test_a_name_that_somebody_else_holds_is_left_alone(host: DockerHost, tmp_path: Path) -> None:
    """A leftover of ours under the new container's name does not stop a later run."""
    del tmp_path
    host.engine.docker("create", "--name", f"{host.name}-by-ecs-rollout", "ecs-agent-test:v1")
    assert said(await host.apply(DATA)) == ("updated", "verified", True)
    assert len(host.agents("-a")) == 1


async def test_restart_policy_survives(host: DockerHost) -> None:
    """The policy that was taken away meanwhile is there again on the new container."""
    await host.apply(DATA)
    policy = host.inspect_container()["HostConfig"]["RestartPolicy"]
    assert f"{policy['Name']}:{policy['MaximumRetryCount']}" == POLICY
    changes = (host.root / "changes").read_text().splitlines()
    assert next(each for each in changes if each.startswith("update")).startswith("update --restart=no")
    assert json.dumps(DATA) not in "".join(changes)
