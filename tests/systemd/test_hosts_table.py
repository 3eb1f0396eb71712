"""The rows of the README's table that a real systemd and real disks can show, each tried."""

import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest

from orchestrator.core.model import OutcomeKind
from tests.documents.support import DATA, until
from tests.hosts_table import Ground, Row, name_of, rows
from tests.support import tool
from tests.systemd.conftest import Ssm
from tests.systemd.test_real_file_systems import FILE, STATE, fill, inside, mount_at
from tests.systemd.test_real_systemd import half_way, trouble

Result = dict[str, Any]
Act = Callable[[Ssm], Awaitable[Result]]


async def nothing(ssm: Ssm) -> Result:
    return await ssm.apply()


async def large_file(ssm: Ssm) -> Result:
    ssm.machine.config.write_text(ssm.machine.config.read_text() + "# a long note\n" * 80_000)
    return await ssm.apply()


async def other_owner(ssm: Ssm) -> Result:
    os.chown(ssm.machine.config, 1234, 4321)
    ssm.machine.config.chmod(0o640)
    return await ssm.apply()


async def full_disk(ssm: Ssm) -> Result:
    await mount_at(ssm.machine, "/etc/ecs", "size=64k")
    await fill(ssm.machine, "/etc/ecs")
    return await ssm.apply()


async def full_state(ssm: Ssm) -> Result:
    await mount_at(ssm.machine, STATE, "size=64k")
    await fill(ssm.machine, STATE)
    return await ssm.apply()


def after(command: str) -> Act:
    async def act(ssm: Ssm) -> Result:
        await inside(ssm.machine, command)
        return await ssm.apply()

    return act


async def immutable(ssm: Ssm) -> Result:
    chattr = tool("chattr", package="e2fsprogs")
    await inside(ssm.machine, f"{chattr} +i {FILE}")
    try:
        return await ssm.apply()
    finally:
        await inside(ssm.machine, f"{chattr} -i {FILE}")


async def restarts(ssm: Ssm) -> Result:
    await inside(ssm.machine, "for i in 1 2 3 4; do systemctl restart ecs || exit; done")
    await ssm.machine.agent_answers()
    return await ssm.apply()


async def exit_5(ssm: Ssm) -> Result:
    trouble(ssm, "exit5")
    return await ssm.apply(VerifySeconds="25", RestoreSeconds="12")


async def killed(ssm: Ssm) -> Result:
    """What the watchdog did is told by the next inspect; the controller makes this outcome of it."""
    unit = await half_way(ssm)
    await inside(ssm.machine, f"echo 1 >/sys/fs/cgroup/system.slice/{unit}.service/cgroup.kill")
    await until(lambda: ssm.machine.state("last").exists() and not ssm.machine.state("restoring").exists())
    seen = await ssm.inspect()
    return {"outcome": OutcomeKind.ROLLED_BACK if seen["agent"] == "up" else "", "reason": seen["last"]}


async def reboot(ssm: Ssm) -> Result:
    await half_way(ssm)
    await ssm.machine.stop()
    (ssm.machine.root / "opt/lab/trouble").unlink()
    await ssm.machine.start()
    return await ssm.apply(RunId="run-2", Fence="2")


HOW: Mapping[str, Act] = {
    "": nothing,
    "large file": large_file,
    "other owner": other_owner,
    "link": after(f"mkdir /srv; mount -t tmpfs none /srv; mv {FILE} /srv/real; ln -s /srv/real {FILE}"),
    "full disk": full_disk,
    "full state": full_state,
    "read-only": after("mount --bind /etc/ecs /etc/ecs; mount -o remount,bind,ro /etc/ecs"),
    "immutable": immutable,
    "cloud-init": after("systemctl start --no-block cloud-final"),
    "restarts": restarts,
    "start limit": after("for i in 1 2 3 4 5 6; do systemctl restart ecs; done; ! systemctl -q is-active ecs"),
    "exit 5": exit_5,
    "killed": killed,
    "reboot": reboot,
}


@pytest.mark.parametrize("row", rows(Ground.SYSTEMD), ids=name_of)
async def test_a_row_of_the_table(ssm: Ssm, row: Row) -> None:
    """The host ends as the README says; where it was not updated, its file holds the old value."""
    done = await HOW[row.how](ssm)
    assert (done["outcome"], done["reason"]) == (row.outcome, row.reason), done
    assert (DATA in await ssm.machine.run("cat", FILE)) is (row.outcome is OutcomeKind.UPDATED)
