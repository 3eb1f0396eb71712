"""A simulated instance runs scripts as the SSM agent does, and its tools answer as the real ones do."""

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from orchestrator.lab.host_farm import HostFarm
from orchestrator.lab.instance import Host, HostLostError
from orchestrator.lab.scenario import Disk, Ssm
from tests.lab.host_support import VECTORS, eventually, run, spec


@pytest.fixture
async def farm(tmp_path: Path) -> AsyncIterator[HostFarm]:
    async with HostFarm(tmp_path) as found:
        yield found


@pytest.fixture
async def host(farm: HostFarm) -> Host:
    return await farm.add(spec())


def content(path: Path) -> str:
    return path.read_text() if path.exists() else ""


async def until(path: Path) -> str:
    """Wait until a script has written the file."""

    async def written() -> bool:
        return content(path) != ""

    await eventually(written)
    return content(path)


def alive(pid: str) -> bool:
    try:
        state = Path(f"/proc/{int(pid)}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


async def gone(pid: str) -> None:
    async def ended() -> bool:
        return not alive(pid)

    await eventually(ended)


async def test_a_script_sees_what_the_ssm_agent_gives_it(host: Host) -> None:
    """Umask 022, an empty stdin, a minimal environment, a 0700 file, a session of its own (F55)."""
    result = await run(
        host,
        """#!/bin/bash
        echo "$BASH_VERSION" | grep -q . && echo bash
        umask
        readlink /proc/self/fd/0
        stat -c %a "$0"
        ps -o pid=,pgid=,sid= -p $$ 2>/dev/null || cut -d' ' -f1,5,6 /proc/$$/stat
        """,
    )
    lines = result.stdout.splitlines()
    assert lines[:4] == ["bash", "0022", "/dev/null", "700"]
    _, group, session = lines[4].split()
    assert group == session != str(os.getsid(0))
    names = (await run(host, "env | cut -d= -f1")).stdout.split()
    assert {"PATH", "AWS_SSM_INSTANCE_ID", "AWS_SSM_REGION_NAME"} <= set(names)
    assert not {"HOME", "LANG", "USER", "VIRTUAL_ENV"} & set(names)


async def test_without_a_first_line_the_shell_is_sh(host: Host) -> None:
    """A script that names no interpreter is sh's."""
    assert (await run(host, 'echo "${BASH_VERSION:-sh}"; exit 3')).stdout == "sh\n"


async def test_codes_and_both_streams_come_back(host: Host) -> None:
    """Exit code and streams are reported apart."""
    result = await run(host, "echo out; echo err >&2; exit 7")
    assert (result.code, result.stdout, result.stderr, result.ended) == (7, "out\n", "err\n", "exited")


async def test_only_the_first_bytes_are_kept(host: Host) -> None:
    """Of each stream the first 24,000 bytes stay, and the script is not held up by the rest (F59)."""
    result = await run(host, "echo first; head -c 300000 /dev/zero | tr '\\0' x; head -c 30000 /dev/zero >&2; exit 4")
    assert result.stdout.startswith("first\nxxx")
    assert (len(result.stdout), len(result.stderr), result.code) == (24_000, 24_000, 4)


async def test_a_timeout_kills_the_group_without_a_trap(host: Host) -> None:
    """SIGKILL goes to the process group, traps do not run, a child in its own session survives (F56)."""
    script = f"""#!/bin/bash
    trap 'echo trapped > {host.root}/trapped' EXIT TERM INT
    setsid sleep 77 </dev/null >/dev/null 2>&1 &
    echo $! > {host.root}/survivor
    sleep 88 &
    echo $! > {host.root}/victim
    echo begun
    wait
    """
    result = await run(host, script, limit=0.5)
    assert (result.ended, result.code, result.stdout) == ("timed_out", 137, "begun\n")
    assert not (host.root / "trapped").exists()
    survivor, victim = (host.root / "survivor").read_text(), (host.root / "victim").read_text()
    await gone(victim)
    assert alive(survivor)
    await host.stop()
    await gone(survivor)


async def test_a_cancel_kills_the_script(host: Host) -> None:
    """A cancelled command's script dies at once (F56)."""
    cancel = asyncio.Event()
    running = asyncio.create_task(run(host, f"echo $$ > {host.root}/pid; sleep 60", cancel=cancel))
    pid = await until(host.root / "pid")
    cancel.set()
    result = await running
    assert result.ended == "cancelled"
    await gone(pid)


async def test_a_background_child_that_holds_a_stream_delays_the_end(host: Host) -> None:
    """The step ends when nobody holds its streams any more, not when the script exits (F58)."""
    script = f"(while [ ! -e {host.root}/go ]; do sleep 0.02; done; echo late) & echo early"
    running = asyncio.create_task(run(host, script))
    done, _ = await asyncio.wait({running}, timeout=0.4)
    assert not done
    (host.root / "go").touch()
    assert (await running).stdout == "early\nlate\n"


async def test_a_child_that_let_go_outlives_its_script(host: Host) -> None:
    """A child with its streams redirected does not delay the end, and is ended with the host."""
    result = await run(host, "sleep 66 </dev/null >/dev/null 2>&1 & echo $!")
    assert alive(result.stdout)
    await host.stop()
    await gone(result.stdout)


async def test_stopping_the_host_ends_a_running_script(host: Host) -> None:
    """Whatever a host started is stopped with it."""
    running = asyncio.create_task(run(host, f"echo $$ > {host.root}/pid; sleep 60"))
    pid = await until(host.root / "pid")
    await host.stop()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    await gone(pid)


async def test_a_vanished_instance_never_answers(farm: HostFarm) -> None:
    """Its script dies, its agent too, SSM loses the connection, and nobody gets a result (F61)."""
    host = await farm.add(spec(vanish_after=0.2))
    with pytest.raises(HostLostError):
        await run(host, f"echo $$ > {host.root}/pid; sleep 60")
    await gone((host.root / "pid").read_text())
    assert host.ping_status is Ssm.CONNECTION_LOST
    assert farm.plain.connected == {host.agent.arn: False}
    with pytest.raises(HostLostError):
        await run(host, "true")


def test_rebasing_minds_the_default_alone(tmp_path: Path) -> None:
    """Paths and local URLs become the instance's own, by their defaults; everything else passes unchanged."""

    async def rebased() -> tuple[dict[str, str], Host]:
        async with HostFarm(tmp_path) as farm:
            host = await farm.add(spec())
            definitions = {
                "ConfigFile": {"default": "/etc/ecs/ecs.config"},
                "Url": {"default": "http://localhost:51678"},
                "Imds": {"default": "http://169.254.169.254"},
                "Cluster": {"type": "String"},
                "Unit": {"default": "ecs"},
            }
            return host.rebase(definitions, {"Cluster": "/demo", "ConfigFile": "/opt/x"}), host

    values, host = asyncio.run(rebased())
    assert values == {
        "ConfigFile": f"{host.root}/opt/x",
        "Url": host.introspection_url,
        "Imds": host.imds_url,
        "Cluster": "/demo",
        "Unit": "ecs",
    }


async def test_docker_inspect_has_the_real_shape(host: Host) -> None:
    """The agent's container is described with exactly the keys that Docker wrote on a real instance."""
    real = json.loads((VECTORS / "inspect-ecs-init.json").read_text())
    ours = json.loads((await run(host, "docker inspect ecs-agent")).stdout)
    assert shape(ours) == shape(real)
    config = ours[0]["Config"]
    assert "ECS_CLUSTER=demo" in config["Env"]
    assert f"ECS_ENGINE_AUTH_DATA={host.spec.auth_data}" in config["Env"]
    data = [mount for mount in ours[0]["Mounts"] if mount["Destination"] == "/data"]
    assert [mount["Source"] for mount in data] == [f"{host.root}/var/lib/ecs/data"]


def shape(value: Any) -> Any:
    """The keys of a JSON value, lists by their first element; a health log fills only later."""
    match value:
        case dict():
            return {key: shape(inner) for key, inner in value.items() if key not in {"Log", "Labels"}}
        case list():
            return [shape(value[0])] if value else []
        case _:
            return None


async def test_docker_knows_containers_by_name_and_id(host: Host, farm: HostFarm) -> None:
    """inspect takes several names and ids; absent ones are said on stderr, with code 1 and the rest printed."""
    farm.plain.run_tasks(host.agent.arn, 1)
    both = host.root / "both.json"  # two of them are more than a step's output keeps (F59)
    task = '"$(docker ps -q --filter name=^/ecs-web)"'
    result = await run(host, f"docker inspect ecs-agent nobody {task} > {both}")
    assert [entry["Name"][:5] for entry in json.loads(content(both))] == ["/ecs-", "/ecs-"]
    assert (result.code, result.stderr) == (1, "Error: No such object: nobody\n")
    absent = await run(host, "docker inspect nobody")
    assert (absent.code, absent.stdout) == (1, "[]\n")


async def test_docker_ps_lists_task_containers(host: Host, farm: HostFarm) -> None:
    """One line per running container of a task; stopped ones only with --all."""
    ask = "--filter label=com.amazonaws.ecs.task-arn --no-trunc --format '{{.Label \"com.amazonaws.ecs.task-arn\"}}'"
    arns = farm.plain.run_tasks(host.agent.arn, 3)
    host.agent.stop_task(arns[0])
    result = await run(host, f"docker ps {ask}; echo; docker ps --all {ask} | wc -l; docker ps -q | wc -l")
    running, count = result.stdout.split("\n\n")
    assert sorted(running.split()) == sorted(arns[1:])
    assert count.split() == ["3", "3"]


async def test_docker_logs_are_the_new_container_s(host: Host) -> None:
    """docker logs of a re-created agent hold only its own lines; the file holds all of them (F19)."""
    await run(host, "systemctl restart ecs")
    await host.agent.registered.wait()
    count = "grep -c 'Starting Amazon ECS Agent'"
    result = await run(host, f"docker logs ecs-agent | {count}; {count} {host.root}/var/log/ecs/ecs-agent.log")
    assert result.stdout.split() == ["1", "2"]
    since = await run(
        host, "docker logs --since 10m ecs-agent | wc -l; docker logs --since 2999-01-01T00:00:00Z ecs-agent"
    )
    assert int(since.stdout) > 5


async def test_a_dead_docker_says_so(farm: HostFarm) -> None:
    """Without a daemon every docker call fails as the real client does."""
    host = await farm.add(spec(docker_down=True))
    result = await run(host, "docker version --format '{{.Server.Version}}'")
    assert result.code == 1
    assert "Cannot connect to the Docker daemon" in result.stderr
    assert (await run(host, "docker frobnicate")).code == 1


async def test_what_is_not_simulated_is_said(host: Host) -> None:
    """A call that the shims do not know never passes for a success."""
    for call in ("docker network ls", "systemctl isolate rescue", "systemd-run --scope true"):
        result = await run(host, call)
        assert (result.code, "not simulated" in result.stderr) == (64, True), call


async def test_systemctl_shows_what_the_real_one_showed(host: Host) -> None:
    """The properties that were recorded on a real instance come in the same order with the same values."""
    recorded = (VECTORS / "systemctl-show-active.txt").read_text().split()
    names = ",".join(line.partition("=")[0] for line in recorded)
    shown = (await run(host, f"systemctl show ecs -p {names}")).stdout.split()
    assert [line for line in shown if "MainPID" not in line] == [line for line in recorded if "MainPID" not in line]
    values = await run(host, "systemctl show -p ActiveState,SubState --value ecs.service; systemctl is-active ecs")
    assert values.stdout.split() == ["active", "running", "active"]
    others = "systemctl is-active nobody; echo $?; systemctl is-failed ecs; echo $?; systemctl is-system-running"
    assert (await run(host, others)).stdout.split() == ["inactive", "3", "active", "1", "running"]
    files = await run(host, "systemctl list-unit-files ecs.service; systemctl cat ecs | grep EnvironmentFile")
    assert files.stdout.splitlines()[0].startswith("ecs.service enabled")
    assert "EnvironmentFile=-/etc/ecs/ecs.config" in files.stdout


async def test_a_transient_unit_outlives_its_script(host: Host) -> None:
    """What systemd-run starts is outside the script's group: a kill of the script leaves it alone."""
    script = f"""
    systemd-run --unit=guard --collect --quiet -p RuntimeMaxSec=60 /bin/sh -c 'echo $$ > {host.root}/pid; sleep 60'
    systemctl is-active guard.service
    sleep 60
    """
    result = await run(host, script, limit=0.6)
    pid = await until(host.root / "pid")
    assert (result.ended, result.stdout) == ("timed_out", "active\n")
    assert alive(pid)
    stopped = await run(host, "systemctl stop guard; echo $?; systemctl is-active guard; systemctl stop guard; echo $?")
    assert stopped.stdout.split() == ["0", "inactive", "1"]
    await gone(pid)


async def test_a_transient_unit_has_the_instance_s_tools(host: Host) -> None:
    """Its environment is minimal and finds the shims; words with blanks arrive unbroken."""
    worker = host.root / "worker.sh"
    worker.write_text("docker ps --format '{{.Names}}' >> $0.out; echo \"$A|$1|$#|$AWS_SSM_INSTANCE_ID\" >> $0.out\n")
    result = await run(host, f"systemd-run --unit=w --setenv=A='b c' sh {worker} 'x y'")
    assert result.code == 0, result.stderr
    assert result.stderr == "Running as unit: w.service\n"

    async def finished() -> bool:
        return (await run(host, "systemctl is-active w")).code == 3

    await eventually(finished)
    assert (host.root / "worker.sh.out").read_text().splitlines() == ["ecs-agent", "b c|x y|1|"]


async def test_a_failed_transient_unit_stays_until_it_is_reset(host: Host) -> None:
    """Without --collect a failed unit blocks its name; systemctl knows it as failed."""
    await run(host, "systemd-run --unit=bad false")

    async def failed() -> bool:
        return (await run(host, "systemctl is-failed bad")).code == 0

    await eventually(failed)
    again = await run(host, "systemd-run --unit=bad true")
    assert (again.code, "already loaded" in again.stderr) == (1, True)
    assert (await run(host, "systemctl reset-failed bad; systemd-run --quiet --unit=bad true")).code == 0


async def test_transient_units_end_with_the_host(host: Host) -> None:
    """No unit of a stopped host is left."""
    await run(host, f"systemd-run --unit=long sh -c 'echo $$ > {host.root}/pid; sleep 60'")
    pid = await until(host.root / "pid")
    await host.stop()
    assert not alive(pid)


async def test_a_full_disk_takes_nothing(farm: HostFarm) -> None:
    """Every write to a file fails, for the script and for what it starts; reading and pipes go on."""
    host = await farm.add(spec(disk=Disk.FULL))
    result = await run(host, f"#!/bin/bash\ncat {host.config_file} | wc -l\necho x > {host.root}/new || echo failed")
    assert result.stdout.split() == ["3", "failed"]


async def test_a_read_only_directory_holds_even_for_root(farm: HostFarm) -> None:
    """The env file can be read and not replaced; other directories take files."""
    host = await farm.add(spec(disk=Disk.READ_ONLY))
    script = f"""#!/bin/bash
    cd {host.root}/etc/ecs && cat ecs.config | wc -l
    echo x > new || echo failed
    echo x > ../../var/lib/fine && echo fine
    """
    assert (await run(host, script)).stdout.split() == ["3", "failed", "fine"]


async def test_a_mended_instance_has_no_trouble_any_more(farm: HostFarm) -> None:
    """Its disk takes files, Docker answers, ECS and Systems Manager see it; one that is gone cannot be mended."""
    lame = spec(docker_down=True, disk=Disk.READ_ONLY, ecs_connected=False, ssm=Ssm.CONNECTION_LOST)
    host = await farm.add(lame)
    assert (host.agent.connected, host.ping_status) == (False, Ssm.CONNECTION_LOST)
    await host.mend()
    await host.agent.registered.wait()
    assert (host.agent.connected, host.ping_status) == (True, Ssm.ONLINE)
    script = f"#!/bin/bash\ndocker ps -q && cd {host.root}/etc/ecs && echo x >new && echo fine"
    assert (await run(host, script)).stdout.split()[-1:] == ["fine"]
    await host.vanish()
    async with aiohttp.ClientSession() as session, session.post(f"{host.control_url}/mend") as reply:
        assert reply.status == 409


async def test_the_metadata_service_wants_a_token(host: Host) -> None:
    """IMDSv2: 401 without a token, credentials of this very instance with one, 404 for what is not there."""
    script = f"""#!/bin/bash
    base={host.imds_url}/latest
    get() {{ curl -q -s --noproxy '*' -o /dev/null -w '%{{http_code}}\\n' "$@"; }}
    get "$base/meta-data/placement/region"
    token=$(curl -q -s -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' "$base/api/token")
    get -H "X-aws-ec2-metadata-token: $token" "$base/meta-data/nothing"
    get -X PUT "$base/api/token"
    role=$(curl -q -s -H "X-aws-ec2-metadata-token: $token" "$base/meta-data/iam/security-credentials/")
    curl -q -s -H "X-aws-ec2-metadata-token: $token" "$base/meta-data/iam/security-credentials/$role"
    """
    *codes, document = (await run(host, script)).stdout.split("\n", 3)
    assert codes == ["401", "404", "400"]
    given = json.loads(document)
    assert given["Code"] == "Success"
    assert given["AccessKeyId"].startswith("ASIA")


async def test_an_instance_without_a_role_has_no_credentials(farm: HostFarm) -> None:
    """Without an instance profile there is no role to name."""
    host = await farm.add(spec(role=False))
    async with aiohttp.ClientSession() as session:
        ttl = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
        async with session.put(f"{host.imds_url}/latest/api/token", headers=ttl) as reply:
            token = {"X-aws-ec2-metadata-token": await reply.text()}
        url = f"{host.imds_url}/latest/meta-data/iam/security-credentials/"
        async with session.get(url, headers=token) as reply:
            assert reply.status == 404
