"""Disks that are full, read-only or immutable, odd owners and links: real ones, under the real default paths."""

import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.core.documents import Kind
from tests.documents.support import DATA, until
from tests.support import lacking, tool
from tests.systemd.conftest import OLD, Ssm
from tests.systemd.machine import Machine

NEW = OLD.replace('{"old.example":{"auth":"dTpw"}}', DATA)
STATE = "/var/lib/ecs-rollout"
FILE = "/etc/ecs/ecs.config"


async def inside(machine: Machine, command: str) -> None:
    code, said = await machine.execute("sh", "-c", command)
    assert code == 0, said


async def mount_at(machine: Machine, folder: str, options: str) -> None:
    """Put a small disk there, with what the folder held."""
    keep = f"mkdir -p {folder} /tmp/kept; cp -a {folder}/. /tmp/kept"
    await inside(machine, f"{keep}; mount -t tmpfs -o {options} none {folder}; cp -a /tmp/kept/. {folder}")


async def fill(machine: Machine, folder: str, *, but: int = 0) -> None:
    """Leave `but` pages of a disk free."""
    await inside(
        machine, f"dd if=/dev/zero of={folder}/filler bs=4096 2>/dev/null; truncate -s -{but * 4096} {folder}/filler"
    )


async def nothing_happened(ssm: Ssm, done: dict[str, Any], reason: str) -> None:
    """A refusal leaves every byte, no temporary file, nothing armed, and the agent as it was."""
    assert (done["outcome"], done["reason"], done["changed"]) == ("refused", reason, False)
    assert ssm.machine.inside(FILE).read_text() == OLD
    assert [each.name for each in ssm.machine.inside("/etc/ecs").iterdir() if each.name != "filler"] == ["ecs.config"]
    assert not ssm.machine.inside(f"{STATE}/armed").exists()
    while await ssm.machine.watchdogs():
        pass
    seen = await ssm.inspect()
    assert (seen["agent"], seen["armed"], seen["generation"]) == ("up", "no", "")
    assert "restart" not in " ".join(await ssm.machine.asked())


@pytest.mark.parametrize("lacks", ["blocks", "inodes"])
async def test_a_full_disk_under_the_env_file(ssm: Ssm, lacks: str) -> None:
    """Where the new file finds no room, be it for bytes or for a name, apply refuses and nothing has happened."""
    await mount_at(ssm.machine, "/etc/ecs", "size=64k" if lacks == "blocks" else "nr_inodes=2")
    if lacks == "blocks":
        await fill(ssm.machine, "/etc/ecs")
    await nothing_happened(ssm, await ssm.apply(), "disk_full")


@pytest.mark.parametrize("lacks", ["blocks", "inodes"])
async def test_every_fullness_of_the_state_directory(ssm: Ssm, lacks: str) -> None:
    """With room for none, one, two .. pages or names, apply refuses and nothing has happened, until it can be whole."""
    refused = 0
    for left in range(0, 40, 2 if lacks == "blocks" else 1):
        await mount_at(ssm.machine, STATE, "size=512k" if lacks == "blocks" else f"nr_inodes={left + 1}")
        if lacks == "blocks":
            await fill(ssm.machine, STATE, but=left)
        done = await ssm.apply()
        if done["outcome"] == "updated":
            break
        await nothing_happened(ssm, done, "disk_full")
        refused += 1
        await inside(ssm.machine, f"umount {STATE}")
    assert refused >= 3
    assert ssm.machine.config.read_text() == NEW


async def test_a_disk_that_fills_after_the_change(ssm: Ssm) -> None:
    """A restore that finds no room says so and stays armed; with room again the next document restores."""
    await mount_at(ssm.machine, "/etc/ecs", "size=64k")
    (ssm.machine.root / "opt/lab/trouble").write_text("registry.example.com silent")
    times = {"VerifySeconds": "3", "RestoreSeconds": "3", "WatchdogSeconds": "7"}
    unit = await ssm.begin(Kind.APPLY, ssm.apply_values(**times))
    await until(lambda: ssm.machine.inside(FILE).read_text() == NEW)
    await fill(ssm.machine, "/etc/ecs")
    done = await ssm.end(unit)
    assert (done["outcome"], done["reason"]) == ("failed", "restore_failed")
    while await ssm.machine.watchdogs():
        pass
    seen = await ssm.inspect()
    assert (seen["armed"], seen["last"]) == ("dead", "restore_failed")
    await inside(ssm.machine, "rm /etc/ecs/filler")
    again = await ssm.restore()
    assert (again["outcome"], again["reason"]) == ("rolled_back", "restored")
    assert ssm.machine.inside(FILE).read_text() == OLD
    assert (await ssm.inspect())["agent"] == "up"


@pytest.mark.parametrize("where", ["/etc/ecs", STATE, FILE])
async def test_a_read_only_mount(ssm: Ssm, where: str) -> None:
    """A folder that is mounted read-only, and a file that is a mount point of its own, are refused."""
    make = "" if where == FILE else f"mkdir -p {where};"
    protect = "" if where == FILE else f"; mount -o remount,bind,ro {where}"
    await inside(ssm.machine, f"{make} mount --bind {where} {where}{protect}")
    await nothing_happened(ssm, await ssm.apply(), "config_unwritable")


@pytest.fixture
async def immutable(ssm: Ssm) -> AsyncIterator[Ssm]:
    """Offer a file system that knows the immutable flag, and take the flag away in the end."""
    chattr = tool("chattr", package="e2fsprogs")
    code, said = await ssm.machine.execute("sh", "-c", f": >/var/lib/lab/f && {chattr} +i /var/lib/lab/f")
    if code != 0:
        lacking(f"the tests' file system knows no immutable flag: {said}")
    yield ssm
    await inside(ssm.machine, "chattr -R -i -a /etc/ecs /var/lib")


@pytest.mark.parametrize("what", [f"+i {FILE}", "+i /etc/ecs", f"+a {FILE}", f"+i {STATE}"])
async def test_the_immutable_flag(immutable: Ssm, what: str) -> None:
    """What even root may not replace is refused, before and after anything was prepared."""
    await inside(immutable.machine, f"mkdir -p {STATE}; chattr {what}")
    await nothing_happened(immutable, await immutable.apply(), "config_unwritable")


async def test_a_file_over_1_mb(ssm: Ssm) -> None:
    """What is too large for an env file is refused, and keeps every byte."""
    text = OLD + "# a long note\n" * 80_000
    ssm.machine.config.write_text(text)
    done = await ssm.apply()
    assert (done["outcome"], done["reason"], done["changed"]) == ("refused", "config_unsupported", False)
    assert ssm.machine.config.read_text() == text


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o4460])
async def test_owner_and_mode_stay(ssm: Ssm, mode: int) -> None:
    """Whosever the file is, and whatever its mode: the same after apply and after restore."""
    os.chown(ssm.machine.config, 1234, 4321)
    ssm.machine.config.chmod(mode)
    for act, text in ((ssm.apply, NEW), (ssm.restore, OLD)):
        assert (await act())["changed"] is True
        about = ssm.machine.config.stat()
        assert (about.st_uid, about.st_gid, stat.S_IMODE(about.st_mode)) == (1234, 4321, mode)
        assert ssm.machine.config.read_text() == text


async def test_a_link_to_another_disk(ssm: Ssm) -> None:
    """The link stays a link; the file on the other disk is replaced there, and comes back there."""
    await inside(ssm.machine, "mkdir /srv; mount -t tmpfs none /srv; mkdir /srv/a; ln -s /srv/a /etc/ecs/there")
    await inside(ssm.machine, f"mv {FILE} /srv/a/real; ln -s there/real {FILE}")
    for act, text in ((ssm.apply, NEW), (ssm.restore, OLD)):
        assert (await act())["changed"] is True
        assert ssm.machine.config.is_symlink()
        assert ssm.machine.config.readlink() == Path("there/real")
        assert ssm.machine.inside("/srv/a/real").read_text() == text
    assert [each.name for each in ssm.machine.inside("/srv/a").iterdir()] == ["real"]
