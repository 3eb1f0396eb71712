"""Which hosts are docker-run hosts, which are a unit's, and which are nobody's; and whose state lasts (F22, F31)."""

import json
import subprocess

import pytest

from tests.docker.engine import IMAGE
from tests.docker.support import OLD_DATA, DockerHost, MakeHost
from tests.documents.support import DATA

POISON = '{"poison.example":{"auth":"dTpw"}}'
REFUSED = ("refused", "no_restart_method", False)
ARN = "arn:aws:ecs:us-east-1:123456789012:task/demo/0123456789abcdef0123456789abcdef"


async def refused_untouched(host: DockerHost) -> str:
    """Apply; hold that it refuses for want of a method and touches nothing. Return the detail that it gives."""
    container, text = host.inspect_container(), host.config.read_bytes()
    result = await host.apply(DATA)
    assert (result["outcome"], result["reason"], result["changed"]) == REFUSED, result
    assert (host.inspect_container(), host.config.read_bytes()) == (container, text)
    return str(result["detail"])


async def test_a_container_that_removes_itself_is_refused(make: MakeHost) -> None:
    """With --rm the old container could not be kept aside."""
    host = await make(start=False)
    host.run_plain("--rm")
    assert await refused_untouched(host) == "the container was started with --rm"


async def test_a_container_in_the_foreground_is_refused(make: MakeHost) -> None:
    """Somebody waits for this container's end, and may start it again: a script, or a supervisor."""
    host = await make(start=False)
    command = ["docker", "run", "--name", host.name, "--net=host", f"--volume={host.root}/log:/log"]
    with subprocess.Popen(  # noqa: ASYNC220 - it stays in the foreground on purpose
        [*command, "-e", f"PORT={host.port}", f"--env-file={host.config}", IMAGE],
        env=host.environment,
        stdout=subprocess.DEVNULL,
    ) as client:
        host.wait_for_agent()
        assert "foreground" in await refused_untouched(host)
        client.terminate()


async def test_a_borrowed_network_is_refused(make: MakeHost) -> None:
    """A network that has to be put together is not put together by guess."""
    host = await make(start=False)
    lender = f"{host.name}-lender"
    host.engine.docker("run", "-d", "--name", lender, "--net=host", "--entrypoint=sleep", IMAGE, "1000")
    options = (f"--env-file={host.config}", f"--volume={host.root}/log:/log", f"--env=PORT={host.port}")
    host.engine.docker("run", "-d", "--name", host.name, f"--net=container:{lender}", *options, IMAGE)
    host.wait_for_agent()
    assert "its network is container:" in await refused_untouched(host)


async def test_an_engine_that_cannot_be_asked_is_refused(host: DockerHost) -> None:
    """Without the engine's own API nothing can be made again; the CLI alone is not enough."""
    wrapper = host.root / "bin/docker"
    wrapper.write_text(wrapper.read_text().replace("exec ", f"export DOCKER_HOST={host.engine.url}\nexec "))
    host.extra["DOCKER_HOST"] = "tcp://127.0.0.1:1"
    assert "engine API" in await refused_untouched(host)


SYSTEMCTL = """#!/bin/bash
# systemctl of a host with one unit that wraps `docker run`, as the engine's own manual has it.
case "$*" in
  'show *.service '*)
    printf '%s\\n' Id=other.service LoadState=loaded ActiveState=active \
      'ExecStart={{ path=/usr/bin/docker ; argv[]=/usr/bin/docker run --name other-{name} x ; ignore_errors=no }}' '' \
      Id={unit} LoadState=loaded ActiveState=active \
      'ExecStartPre={{ path=/usr/bin/docker ; argv[]=/usr/bin/docker {prepare} ; ignore_errors=yes }}' \
      'ExecStart={{ path=/usr/bin/docker ; argv[]=/usr/bin/docker {start} ; ignore_errors=no ; pid=7 }}'
    ;;
  show*) printf '%s\\n' LoadState=not-found ActiveState=inactive ;;
  '--no-block restart {unit}')
    echo restart >>{root}/restarts
    docker rm -f {name}
    docker {start}
    ;;
  'reset-failed {unit}') ;;
  *) exit 1 ;;
esac
"""


def wrap(host: DockerHost, prepare: str, start: str) -> None:
    unit = f"docker-container@{host.name}.service"
    text = SYSTEMCTL.format(name=host.name, unit=unit, prepare=prepare, start=start, root=host.root)
    (host.root / "bin/systemctl").write_text(text)


def run_words(host: DockerHost, *more: str) -> str:
    words = (
        "run",
        "-d",
        "--name",
        host.name,
        "--net=host",
        f"--env=PORT={host.port}",
        f"--volume={host.root}/log:/log",
    )
    return " ".join((*words, *more, IMAGE))


@pytest.mark.parametrize("removed_by", ["--rm", "rm -f"])
async def test_a_unit_that_wraps_docker_run_is_restarted_as_a_unit(make: MakeHost, removed_by: str) -> None:
    """The unit reads the env file and makes the container anew: its restart is all that is needed, and done once."""
    host = await make(start=False)
    own = ("--rm",) if removed_by == "--rm" else ()
    start = run_words(host, *own, f"--env-file={host.config}")
    host.engine.docker(*start.split())
    host.wait_for_agent()
    wrap(host, "pull x" if own else f"rm -f {host.name}", start)
    result = await host.apply(DATA, OnTasks="force")
    assert (result["outcome"], result["reason"], result["method"]) == ("updated", "verified", "systemd"), result
    assert host.pair()["ECS_ENGINE_AUTH_DATA"] == DATA
    assert (host.root / "restarts").read_text() == "restart\n"


async def test_a_unit_that_wraps_docker_run_takes_back_as_a_unit(make: MakeHost) -> None:
    """The unit is found again when its container is gone, and its restart brings the old value."""
    host = await make(start=False)
    start = run_words(host, "--rm", f"--env-file={host.config}")
    host.engine.docker(*start.split())
    host.wait_for_agent()
    wrap(host, "pull x", start)
    result = await host.apply(POISON, OnTasks="force", VerifySeconds="3")
    assert (result["outcome"], result["reason"]) == ("rolled_back", "agent_did_not_return"), result
    assert host.pair()["ECS_ENGINE_AUTH_DATA"] == OLD_DATA
    assert (host.root / "restarts").read_text() == "restart\n" * 2


@pytest.mark.parametrize(
    ("prepare", "start"),
    [
        ("rm -f {name}", "run --name {name} --env ECS_CLUSTER=demo x"),
        ("rm -f {name}", "run --name {name} --env-file=/etc/other.config x"),
        ("pull x", "run --name {name} --env-file={config} x"),
        ("pull x", "start -a {name}"),
    ],
)
async def test_a_unit_that_would_not_bring_the_new_value_is_refused(make: MakeHost, prepare: str, start: str) -> None:
    """It does not read the env file, or does not make the container anew; and it would undo a docker-run restart."""
    host = await make(start=False)
    host.run_plain()
    words = {"name": host.name, "config": str(host.config)}
    wrap(host, prepare.format(**words), start.format(**words))
    assert f"docker-container@{host.name}.service" in await refused_untouched(host)


@pytest.mark.parametrize(
    ("options", "verdict", "word"),
    [
        (("-e", "ECS_DATADIR=/data", "-v", "{root}/data:/data"), "persistent", "agent_db"),
        (("-e", "ECS_DATADIR=/data/", "-v", "{root}/data:/data"), "persistent", "agent_db"),
        (("-e", "ECS_DATADIR=/data", "-v", "{name}:/data"), "persistent", "agent_db"),
        (("-e", "ECS_DATADIR=/data", "-v", "/data"), "persistent", "agent_db"),
        ((), "ephemeral", "datadir_unset"),
        (("-e", "ECS_DATADIR=", "-v", "{root}/data:/data"), "ephemeral", "datadir_empty"),
        (
            ("-e", "ECS_DATADIR=/data", "-e", "ECS_CHECKPOINT=false", "-v", "{root}/data:/data"),
            "ephemeral",
            "checkpoint_false",
        ),
        (("-e", "ECS_DATADIR=/bin"), "ephemeral", "not_mounted"),
        (("-e", "ECS_DATADIR=/data", "--tmpfs=/data"), "ephemeral", "not_mounted"),
        (("-e", "ECS_DATADIR=/data", "--mount=type=tmpfs,dst=/data"), "ephemeral", "tmpfs"),
    ],
)
async def test_the_verdict_is_what_happens(make: MakeHost, options: tuple[str, ...], verdict: str, word: str) -> None:
    """What is said of the agent's state before the restart is what the restart shows (F31)."""
    host = await make(start=False)
    host.run_plain(*(each.format(root=host.root, name=host.name) for each in options))
    seen = await host.inspect()
    assert (seen["persistence"], seen["method"]) == (verdict, "docker-run")
    assert word in seen["why"]
    result = await host.apply(DATA)
    assert (result["outcome"], result["reason"]) == ("updated", "verified"), result
    assert (result["arn"] == result["arn_before"]) is (verdict == "persistent")


async def test_tasks_of_an_ephemeral_agent_are_in_the_way(make: MakeHost) -> None:
    """While a task's container runs on the engine, an agent that would forget it is not restarted."""
    host = await make(start=False)
    host.run_plain()
    task = f"{host.name}-task"
    label = f"--label=com.amazonaws.ecs.task-arn={ARN}"
    host.engine.docker("run", "-d", "--name", task, label, "--net=host", "--entrypoint=sleep", IMAGE, "1000")
    for answer in ("refuse", "if-idle"):
        result = await host.apply(DATA, OnTasks=answer)
        assert (result["outcome"], result["reason"]) == ("refused", "tasks_running")
    assert host.pair()["ECS_ENGINE_AUTH_DATA"] == OLD_DATA
    host.engine.docker("rm", "-f", task)
    assert (await host.apply(DATA, OnTasks="if-idle"))["outcome"] == "updated"


async def test_a_lost_task_brings_the_old_container_back(host: DockerHost) -> None:
    """A persistent agent that does not know a running task again is not proven."""
    tasks = host.root / "log/tasks.json"
    tasks.write_text(json.dumps({"Tasks": [{"Arn": ARN, "KnownStatus": "RUNNING"}]}))
    host.engine.docker("restart", "-t", "0", host.name)
    host.wait_for_agent()
    label = f"--label=com.amazonaws.ecs.task-arn={ARN}"
    host.engine.docker(
        "run", "-d", "--name", f"{host.name}-task", label, "--entrypoint=sleep", "--net=host", IMAGE, "99"
    )
    before = host.inspect_container()["Id"]
    tasks.unlink()
    result = await host.apply(DATA, VerifySeconds="3")
    assert (result["outcome"], result["reason"]) == ("rolled_back", "tasks_lost"), result
    assert host.inspect_container()["Id"] == before
