"""An instance in namespaces of its own: real paths and URLs inside, and nothing of it outside or afterwards (F94)."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from orchestrator.core.documents import Kind
from orchestrator.lab.host_farm import HostFarm
from orchestrator.lab.instance import Host
from orchestrator.lab.isolation import Isolation
from orchestrator.lab.namespaces import NamespaceGround
from orchestrator.lab.scenario import Disk
from tests import support
from tests.documents.support import Bench, store_at_work
from tests.lab.host_support import eventually, run, spec

OTHER = "i-0123456789abcdef1"
GET_TOKEN = "curl -q -sS -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' http://169.254.169.254/latest/api/token"
LOOK = f"""#!/bin/bash
echo "$0"
command -v docker systemctl systemd-run
grep -c ^ECS_CLUSTER=demo /etc/ecs/ecs.config
curl -q -sS http://localhost:51678/v1/metadata | grep -o 'container-instance/demo/[0-9a-f]*'
curl -q -sS -H "X-aws-ec2-metadata-token: $({GET_TOKEN})" http://169.254.169.254/latest/meta-data/instance-id; echo
docker inspect ecs-agent | grep -o '"/var/lib/ecs/data"' | sort -u
systemctl is-active ecs
/usr/bin/env ls /etc/ecs /var/lib/ecs
"""


@pytest.fixture
async def farm(tmp_path: Path) -> AsyncIterator[HostFarm]:
    support.namespaces()
    async with HostFarm(tmp_path, isolation=Isolation.NAMESPACE) as found:
        yield found


@pytest.fixture
async def host(farm: HostFarm) -> Host:
    return await farm.add(spec())


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def gone(pid: int) -> None:
    async def ended() -> bool:
        return not alive(pid)

    await eventually(ended)


def names_of(directory: str) -> set[str]:
    return {each.name for each in Path(directory).iterdir()}


def networks() -> dict[str, list[int]]:
    """The processes of each network namespace that can be seen."""
    found: dict[str, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            found.setdefault(str((entry / "ns/net").readlink()), []).append(int(entry.name))
        except OSError:
            continue
    return found


def mounted() -> str:
    return Path("/proc/self/mountinfo").read_text()


def opened() -> list[str]:
    """What this process has open."""
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the descriptor of this very look
            found.append(str(entry.readlink()))
    return found


async def test_everything_is_where_it_really_is(farm: HostFarm) -> None:
    """Files, tools, agent and metadata service answer at their real paths and URLs, each instance its own."""
    hosts = [await farm.add(spec()), await farm.add(spec(instance_id=OTHER))]
    for number, host in enumerate(hosts, 1):
        result = await run(host, LOOK)
        assert result.stderr == ""
        script, *rest = result.stdout.splitlines()
        assert re.fullmatch(rf"/var/lib/amazon/ssm/{host.instance_id}/document/orchestration/.*/_script\.sh", script)
        assert rest == [
            "/usr/local/sbin/docker",
            "/usr/local/sbin/systemctl",
            "/usr/local/sbin/systemd-run",
            "1",
            f"container-instance/demo/{number:032x}",
            host.instance_id,
            '"/var/lib/ecs/data"',
            "active",
            "/etc/ecs:",
            "ecs.config",
            "",
            "/var/lib/ecs:",
            "data",
        ]


async def test_the_machines_own_files_are_there_too(host: Host) -> None:
    """Users, alternatives and every name under /etc are seen as ever."""
    result = await run(host, "#!/bin/bash\ngetent passwd root\nawk 'BEGIN { print 5 }'\nls -A /etc")
    root, five, *seen = result.stdout.splitlines()
    assert (root.split(":")[0], five) == ("root", "5")
    assert set(seen) == names_of("/etc") | {".machine", "ecs"}


async def test_there_is_no_way_out(host: Host) -> None:
    """Only loopback: the lab's own port answers inside, no other port of the machine, and no other address."""
    with socket.create_server(("127.0.0.1", 0)) as outside:
        port = outside.getsockname()[1]
        script = f"""#!/bin/bash
        awk 'NR > 2 {{ print $1 }}' /proc/net/dev
        awk 'NR > 1' /proc/net/route
        curl -q -sS -m 5 http://127.0.0.1:{port}/; echo "$?"
        curl -q -sS -m 5 http://192.0.2.1/; echo "$?"
        curl -q -s -o /dev/null -w '%{{http_code}}' {host.control_url}/nothing
        """
        result = await run(host, script)
    assert result.stdout.split() == ["lo:", "7", "7", "404"]


async def test_the_real_documents_run_with_their_defaults(farm: HostFarm) -> None:
    """Apply and inspect prove the change with no path and no URL rebased; the machine's own /etc/ecs is not it."""
    before = names_of("/etc")
    async with store_at_work() as store:
        host = await farm.add(spec())
        await host.place.reach(int(store.url.rpartition(":")[2]))
        store.instance_ids.add(host.instance_id)
        bench = Bench(host, farm, store)
        script = bench.prepare(Kind.APPLY, bench.apply_values()).script
        for default in ("/etc/ecs/ecs.config", "/var/lib/ecs-rollout", "http://localhost:51678", "169.254.169.254"):
            assert default in script
        assert str(host.root) not in script
        applied = await bench.apply()
        assert (applied["outcome"], applied["reason"], applied["changed"]) == ("updated", "verified", True)
        seen = await bench.inspect()
        assert (seen["outcome"], seen["agrees"], seen["generation"]) == ("inspected", True, "ab" * 16)
    assert "registry.example.com" in host.config_file.read_text()
    assert names_of("/etc") == before


@pytest.mark.parametrize(("disk", "expected"), [(Disk.FULL, ["no", "no"]), (Disk.READ_ONLY, ["no", "yes"])])
async def test_a_disk_in_trouble_is_so_inside(farm: HostFarm, disk: Disk, expected: list[str]) -> None:
    """A full disk takes nothing, a read-only folder nothing either, though everybody is root in there."""
    host = await farm.add(spec(disk=disk))
    script = """#!/bin/bash
    for folder in /etc/ecs /var/lib/ecs; do { echo x >"$folder/new"; } 2>/dev/null && echo yes || echo no; done
    """
    assert (await run(host, script)).stdout.split() == expected


async def test_a_unit_outlives_its_script_and_stop_ends_it(host: Host) -> None:
    """What systemd-run starts stands in the instance's namespaces, and `systemctl stop` ends it there."""
    where = host.root / "var/lib/ecs/where"
    script = """#!/bin/bash
    systemd-run -q --unit=guard /bin/sh -c 'readlink /proc/self/ns/net >/var/lib/ecs/new; echo $$ >>/var/lib/ecs/new
      mv /var/lib/ecs/new /var/lib/ecs/where; exec sleep 60'
    """
    assert (await run(host, script)).code == 0

    async def written() -> bool:
        return where.exists()

    await eventually(written)
    network, pid = where.read_text().split()
    assert network == host.place.mark
    assert os.getpid() not in networks()[network]
    assert alive(int(pid))
    await run(host, "systemctl stop guard")
    await gone(int(pid))


async def test_nothing_stays(tmp_path: Path) -> None:
    """After the fleet no process, mount, namespace or descriptor of it is left, not even a child that hid."""
    support.namespaces()
    mounts = mounted()
    async with HostFarm(tmp_path, isolation=Isolation.NAMESPACE) as farm:
        host = await farm.add(spec())
        hide = "#!/bin/bash\nsetsid env -i /bin/sleep 99 </dev/null >/dev/null 2>&1 &\necho $! >/var/lib/ecs/pid"
        await run(host, hide)
        hidden = int((host.root / "var/lib/ecs/pid").read_text())
        assert alive(hidden)
        mark = host.place.mark

        async def moved() -> bool:
            return hidden in networks().get(mark, [])

        await eventually(moved)
    await gone(hidden)
    assert mark not in networks()
    assert mounted() == mounts
    assert not [name for name in opened() if name.startswith(("net:", "mnt:", "user:"))]
    shutil.rmtree(host.root)


KILLED = """
import sys, signal
from pathlib import Path
from orchestrator.lab.namespaces import NamespaceGround
ground = NamespaceGround()
ground.start()
place = ground.place(Path(sys.argv[1]))
print(ground._process.pid, place.mark, flush=True)
signal.pause()
"""


def kill_a_lab(directory: Path) -> tuple[int, str]:
    """Start a lab's namespaces in another process and kill it; return its keeper and its mark."""
    program = [sys.executable, "-c", KILLED, str(directory)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as lab:
        assert lab.stdout is not None
        keeper, mark = lab.stdout.readline().split()
        lab.send_signal(signal.SIGKILL)
    return int(keeper), mark


async def test_a_killed_lab_leaves_no_namespace(tmp_path: Path) -> None:
    """The keeper goes with the lab, SIGKILL or not, and the kernel takes the namespaces away."""
    support.namespaces()
    keeper, mark = kill_a_lab(tmp_path)
    await gone(keeper)
    assert mark not in networks()


NESTED = """
import asyncio, sys
from pathlib import Path
from orchestrator.lab.host_farm import HostFarm
from orchestrator.lab.isolation import Isolation
from tests.lab.host_support import run, spec
async def main():
    async with HostFarm(Path(sys.argv[1]), isolation=Isolation.NAMESPACE) as farm:
        host = await farm.add(spec())
        print((await run(host, sys.argv[2])).stdout, end="")
        print("--user=" in " ".join(host.place.entry))
asyncio.run(main())
"""


def test_it_works_inside_a_user_namespace(tmp_path: Path) -> None:
    """Who may make no namespaces enters a user namespace first, and all is the same inside (F94)."""
    support.namespaces()
    without = ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin"] if os.geteuid() == 0 else []
    if without:
        support.tool("setpriv", package="util-linux")
    done = subprocess.run(
        [*without, sys.executable, "-c", NESTED, str(tmp_path), LOOK], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    *seen, nested = done.stdout.splitlines()
    assert nested == "True"
    assert seen[4:8] == ["1", f"container-instance/demo/{1:032x}", spec().instance_id, '"/var/lib/ecs/data"']


@pytest.mark.parametrize("command", [["lab", "--port=0"], ["demo"]])
def test_where_there_are_none_one_error_says_so(command: list[str]) -> None:
    """Exit 4, one line of what is wrong and one of what helps; no traceback."""
    support.namespaces()
    support.tool("unshare", package="util-linux")
    forbid = (
        'echo 0 >/proc/sys/user/max_user_namespaces; exec setpriv --bounding-set=-sys_admin --inh-caps=-sys_admin "$@"'
    )
    program = [sys.executable, "-m", "orchestrator.cli.main", *command, "--isolation=namespace"]
    done = subprocess.run(
        ["unshare", "-Ur", "sh", "-c", forbid, "sh", *program], capture_output=True, text=True, check=False
    )
    error, hint = done.stderr.splitlines()
    assert done.returncode == 4
    assert error == "error: This machine gives no namespaces: unshare: the limit of namespaces is reached."
    assert hint.startswith("hint: ")
    assert "--isolation directory" in hint


def test_a_ground_can_be_stopped_at_any_time() -> None:
    """Stopping what never started, and twice, does nothing."""
    support.namespaces()
    ground = NamespaceGround()
    ground.stop()
    ground.start()
    ground.stop()
    ground.stop()
