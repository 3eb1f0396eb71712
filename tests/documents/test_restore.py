"""restore, run for real on simulated hosts."""

import stat

from tests.documents.support import OTHER_DATA, Bench, payload_of


async def test_a_run_is_taken_back(bench: Bench) -> None:
    """The old bytes and the old agent come back, and the marker goes."""
    before = bench.config.read_bytes()
    await bench.apply()
    result = await bench.restore()
    assert (result["outcome"], result["reason"]) == ("rolled_back", "restored")
    assert bench.config.read_bytes() == before
    seen = await bench.inspect()
    assert (seen["generation"], seen["armed"], seen["agent"]) == ("", "no", "up")


async def test_twice_is_once(bench: Bench) -> None:
    """A second restore finds nothing to do."""
    await bench.apply()
    await bench.restore()
    result = await bench.restore(RunId="run-3", Fence="3")
    assert (result["outcome"], result["reason"]) == ("current", "nothing_to_restore")


async def test_a_file_that_was_not_there_goes_again(bench: Bench) -> None:
    """Where there was no env file there is none afterwards."""
    bench.config.rename(bench.host.root / "var/lib/ecs/ecs.config")
    assert (await bench.apply())["outcome"] == "updated"
    assert bench.config.read_text().startswith("ECS_ENGINE_AUTH_TYPE=")
    assert stat.S_IMODE(bench.config.stat().st_mode) == 0o600
    assert (await bench.restore())["reason"] == "restored"
    assert not bench.config.exists()


async def test_a_file_that_has_lost_the_cluster_is_refused(bench: Bench) -> None:
    """A restart would move the agent to the cluster `default` (F41), so there is none."""
    bench.config.unlink()
    result = await bench.apply()
    assert (result["outcome"], result["reason"], result["changed"]) == ("refused", "cluster_mismatch", False)


async def test_what_others_wrote_meanwhile_stays(bench: Bench) -> None:
    """When somebody edited the file after us, only the two lines go back."""
    old = bench.config.read_text()
    await bench.apply()
    bench.config.write_text(bench.config.read_text() + "ECS_RESERVED_MEMORY=64\n")
    result = await bench.restore()
    assert result["reason"] == "restored"
    assert bench.config.read_text() == old + "ECS_RESERVED_MEMORY=64\n"


async def test_a_newer_run_is_left_alone(bench: Bench) -> None:
    """What a later run installed is not the business of taking back an earlier one."""
    await bench.apply()
    await bench.apply(RunId="run-9", Fence="9", Generation="cd" * 16, name="/q", payload=payload_of(data=OTHER_DATA))
    before = bench.config.read_bytes()
    result = await bench.restore(RestoreRun="run-1", Fence="10")
    assert (result["outcome"], result["reason"]) == ("current", "nothing_to_restore")
    assert bench.config.read_bytes() == before


async def test_a_lost_backup_is_named(bench: Bench) -> None:
    """Without its backup a run cannot be taken back, and that is said."""
    await bench.apply()
    (bench.state("backup-run-1")).rename(bench.state("elsewhere"))
    result = await bench.restore()
    assert (result["outcome"], result["reason"]) == ("failed", "no_backup")
