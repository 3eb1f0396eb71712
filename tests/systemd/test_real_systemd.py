"""The documents under a real systemd: a unit like ecs.service, real restarts, a real transient watchdog."""

from pathlib import Path

import pytest

from orchestrator.core.documents import Kind
from tests.documents.support import DATA, until
from tests.documents.test_env_file import AWKS, CASES, edit, others
from tests.lab.host_support import VECTORS
from tests.systemd.conftest import OLD, Ssm

NEW = OLD.replace('{"old.example":{"auth":"dTpw"}}', DATA)
# Long enough to kill in, short enough to wait for.
QUICK = {"VerifySeconds": "3", "RestoreSeconds": "4", "WatchdogSeconds": "8"}
TRUST = "registry.example.com"  # a word of the new credential only


def trouble(ssm: Ssm, what: str) -> None:
    """Give the agent a trouble with the new credential."""
    (ssm.machine.root / "opt/lab/trouble").write_text(f"{TRUST} {what}")


async def half_way(ssm: Ssm, **values: str) -> str:
    """Begin an apply whose agent never answers; return its unit once the new bytes stand in the file."""
    trouble(ssm, "silent")
    unit = await ssm.begin(Kind.APPLY, ssm.apply_values(**QUICK, **values))
    await until(lambda: ssm.machine.config.read_text() == NEW)
    return unit


async def test_a_whole_life(ssm: Ssm) -> None:
    """inspect, apply, a repeat and restore work with the real systemctl: reset first, never blocking, never more."""
    seen = await ssm.inspect()
    assert (seen["method"], seen["persistence"], seen["agent"]) == ("systemd", "persistent", "up")
    before = await ssm.machine.show("ecs", "MainPID")
    done = await ssm.apply()
    assert (done["outcome"], done["reason"]) == ("updated", "verified")
    assert ssm.machine.config.read_text() == NEW
    assert await ssm.machine.show("ecs", "MainPID") != before
    assert await ssm.machine.asked() == ["reset-failed ecs.service", "--no-block restart ecs.service"]
    assert (await ssm.apply(RunId="run-2", Fence="2"))["reason"] == "already_current"
    assert len(await ssm.machine.asked()) == 2
    assert (await ssm.restore(Fence="3", RunId="run-3"))["reason"] == "restored"
    assert ssm.machine.config.read_text() == OLD
    assert (await ssm.inspect())["armed"] == "no"


async def test_the_watchdog_goes_when_it_is_disarmed(ssm: Ssm) -> None:
    """After a success its unit is gone: no failed unit, no unit that is merely dead."""
    await ssm.apply()
    while await ssm.machine.watchdogs():
        pass
    assert (await ssm.inspect())["armed"] == "no"


async def test_the_sixth_restart_is_no_death(ssm: Ssm) -> None:
    """After five quick restarts a sixth would leave the agent down (F24); apply counts from zero again."""
    for _ in range(4):  # and the boot's own start
        assert (await ssm.machine.execute("systemctl", "restart", "ecs"))[0] == 0
    await ssm.machine.agent_answers()
    done = await ssm.apply()
    assert (done["outcome"], done["reason"]) == ("updated", "verified")


async def test_the_start_limit_is_real(ssm: Ssm) -> None:
    """The same restarts without a reset hit the limit here, and such a host is refused, not touched."""
    codes = [(await ssm.machine.execute("systemctl", "restart", "ecs"))[0] for _ in range(6)]
    assert codes[:4] == [0] * 4
    assert codes[-1] != 0
    assert (await ssm.machine.show("ecs", "Result"))["Result"] == "start-limit-hit"
    done = await ssm.apply()
    assert (done["outcome"], done["changed"]) == ("refused", False)
    assert ssm.machine.config.read_text() == OLD


async def test_exit_5_is_seen_and_taken_back(ssm: Ssm) -> None:
    """An agent that gives up for good makes the unit failed (F23): no waiting, the old agent is back."""
    trouble(ssm, "exit5")
    done = await ssm.apply(VerifySeconds="25", RestoreSeconds="12")
    assert (done["outcome"], done["reason"], done["changed"]) == ("rolled_back", "agent_did_not_return", False)
    assert ssm.machine.config.read_text() == OLD
    assert (await ssm.machine.show("ecs", "ActiveState", "Result")) == {"ActiveState": "active", "Result": "success"}
    restart = ["reset-failed ecs.service", "--no-block restart ecs.service"]
    assert await ssm.machine.asked() == restart * 2


async def test_the_unit_fails_as_the_real_one_did(ssm: Ssm) -> None:
    """What this systemd shows of exit 5 is what the real agent's unit showed."""
    trouble(ssm, "exit5")
    ssm.machine.config.write_text(NEW)
    assert (await ssm.machine.execute("systemctl", "restart", "ecs"))[0] == 0
    while (await ssm.machine.show("ecs", "ActiveState"))["ActiveState"] != "failed":
        pass
    shown = dict(line.split("=", 1) for line in (VECTORS / "systemctl-show-exit5.txt").read_text().splitlines())
    assert await ssm.machine.show("ecs", *shown) == shown


async def test_a_restart_while_cloud_init_runs_does_not_hang(ssm: Ssm) -> None:
    """While cloud-final is at work systemd holds the restart back (F25); apply polls, and is updated when it may be."""
    assert (await ssm.machine.execute("systemctl", "start", "--no-block", "cloud-final"))[0] == 0
    done = await ssm.apply()
    assert (done["outcome"], done["reason"]) == ("updated", "verified")
    assert done["restart_ms"] > 2000  # of the four seconds that cloud-final takes
    assert (await ssm.machine.show("cloud-final", "Result"))["Result"] == "success"


async def test_the_watchdog_survives_the_whole_control_group(ssm: Ssm) -> None:
    """SIGKILL of every process in the SSM agent's group leaves the watchdog, which restores and goes away (F56)."""
    unit = await half_way(ssm)
    (watchdog,) = await ssm.machine.watchdogs()
    groups = {name: await ssm.machine.show(name, "ControlGroup") for name in (unit, watchdog)}
    assert groups[watchdog] == {"ControlGroup": f"/system.slice/{watchdog}"} != groups[unit]
    kill = Path("/sys/fs/cgroup" + groups[unit]["ControlGroup"]) / "cgroup.kill"
    assert await ssm.machine.execute("sh", "-c", f"echo 1 >{kill}") == (0, "")
    assert (await ssm.inspect())["armed"] == "living"
    assert (await ssm.apply(RunId="run-2", Fence="2"))["reason"] == "watchdog_armed"
    await until(lambda: ssm.machine.state("last").exists() and not ssm.machine.state("restoring").exists())
    assert ssm.machine.config.read_text() == OLD
    while await ssm.machine.watchdogs():
        pass
    seen = await ssm.inspect()
    assert (seen["agent"], seen["armed"], seen["last"]) == ("up", "no", "watchdog_restored")


@pytest.mark.parametrize("kind", ["as it was", "edited"])
async def test_the_real_reader_of_env_files(ssm: Ssm, kind: str) -> None:
    """What systemd reads of each odd env file (F40) is what the vectors say, and apply's edit changes none of it."""
    wanted = {}
    for number, case in enumerate(case for case in CASES if "ERR" not in case["systemd"]):
        content = case["content"].encode()
        if kind == "edited":
            edited = edit(ssm.machine.root / "edited", content, AWKS[0])
            if edited is None:
                continue
            content = edited
        (ssm.machine.root / f"var/lib/lab/{number}.env").write_bytes(content)
        wanted[str(number)] = case["systemd"]
    # Each file is read for a process of its own, which prints what it was given.
    one = "systemd-run -q -p Type=oneshot -p EnvironmentFile=$PWD/$n.env -p StandardOutput=file:$PWD/$n env -0"
    every = f"cd /var/lib/lab; for n in {' '.join(wanted)}; do {one} & done; wait"
    assert await ssm.machine.execute("sh", "-c", every) == (0, "")
    for name, found in wanted.items():
        text = (ssm.machine.root / f"var/lib/lab/{name}").read_text()
        read = dict(line.split("=", 1) for line in text.split("\0") if line)
        assert {key: value for key, value in read.items() if key in set("ABCD")} == others(found), name


async def test_a_reboot_half_way(ssm: Ssm) -> None:
    """After a reboot there is no watchdog: inspect says so, the next apply restores first and then goes on (F56)."""
    await half_way(ssm)
    await ssm.machine.stop()
    (ssm.machine.root / "opt/lab/trouble").unlink()
    await ssm.machine.start()
    assert ssm.machine.config.read_text() == NEW
    assert (await ssm.inspect())["armed"] == "dead"
    done = await ssm.apply(RunId="run-2", Fence="2")
    assert (done["outcome"], done["reason"]) == ("updated", "verified")
    seen = await ssm.inspect()
    assert (seen["armed"], seen["run"], seen["last"], seen["last_run"]) == ("no", "run-2", "watchdog_restored", "run-1")
