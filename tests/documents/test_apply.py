"""apply, run for real on simulated hosts."""

import asyncio
import re
import stat

import pytest

from orchestrator.core.documents import Kind
from orchestrator.core.result import Claim, Op, parse_report
from orchestrator.lab.imds import credentials_of
from orchestrator.lab.scenario import AfterRestart, Disk
from tests.documents.conftest import MakeBench
from tests.documents.support import DATA, OTHER_DATA, Bench, payload_of, result_of

NEW_LINES = f"ECS_ENGINE_AUTH_TYPE=dockercfg\nECS_ENGINE_AUTH_DATA={DATA}\n"
QUICK = {"VerifySeconds": "3", "RestoreSeconds": "12"}
# The proof that a failed change comes with: another container than before, or the very same one.
CHANGED = r"agent container (?!([0-9a-f]{12}) \w+, was \1)[0-9a-f]{12} \w+, was [0-9a-f]{12}"
SAME = r"agent container ([0-9a-f]{12}) running, was \1"


def said(result: dict[str, object]) -> tuple[object, object, object]:
    return result["outcome"], result["reason"], result["changed"]


async def test_a_common_host_is_updated(bench: Bench) -> None:
    """The two lines change, every other byte and the mode stay, the agent runs with the new value."""
    bench.config.write_text("# ours\nECS_CLUSTER=demo\nECS_ENGINE_AUTH_TYPE=docker\nECS_ENGINE_AUTH_DATA={}\nA=1")
    bench.config.chmod(0o640)
    result = await bench.apply()
    assert said(result) == ("updated", "verified", True)
    assert bench.config.read_text() == f"# ours\nECS_CLUSTER=demo\n{NEW_LINES}A=1"
    assert stat.S_IMODE(bench.config.stat().st_mode) == 0o640
    assert (result["log"], result["persistence"], result["arn"]) == ("clean", "persistent", result["arn_before"])
    assert (await bench.inspect())["agrees"] is True


async def test_the_controller_reads_the_line(bench: Bench) -> None:
    """The controller's own reader understands what apply prints."""
    result = await bench.send(Kind.APPLY, bench.apply_values())
    report = parse_report(result.stdout, Op.APPLY)
    assert report is not None
    assert (report.claim, report.method, report.agent_version) == (Claim.UPDATED, "systemd", "1.105.1")
    assert result.code == 0


async def test_a_repeat_changes_nothing(bench: Bench) -> None:
    """A current host is neither restarted nor asked to fetch."""
    await bench.apply()
    before = (bench.config.stat(), (await bench.host.agent.registered.wait()), len(bench.store.requests))
    result = await bench.apply(RunId="run-2", Fence="2")
    assert said(result) == ("current", "already_current", False)
    assert result["fence"] == 2
    assert (bench.config.stat(), True, len(bench.store.requests)) == before


async def test_a_lost_marker_costs_no_restart(bench: Bench) -> None:
    """File and agent hold the very values: the marker is written again, nothing is restarted."""
    await bench.apply()
    bench.state("marker").unlink()
    before = bench.config.stat()
    assert said(await bench.apply(Generation="cd" * 16)) == ("current", "already_current", False)
    assert bench.config.stat() == before
    assert (await bench.inspect())["generation"] == "cd" * 16


async def test_tasks_are_kept(bench: Bench) -> None:
    """On a persistent host the agent knows its running tasks again."""
    bench.farm.plain.run_tasks(next(iter(bench.farm.plain.instances)), 3)
    result = await bench.apply()
    assert said(result) == ("updated", "verified", True)
    assert (result["tasks_before"], result["tasks"]) == (3, 3)


@pytest.mark.parametrize("on_tasks", ["refuse", "if-idle"])
async def test_an_ephemeral_host_with_tasks_is_refused(make: MakeBench, on_tasks: str) -> None:
    """Where a restart would orphan tasks, not a byte changes."""
    bench = await make(persistent=False)
    bench.farm.plain.run_tasks(next(iter(bench.farm.plain.instances)), 1)
    before = bench.config.read_bytes()
    result = await bench.apply(OnTasks=on_tasks)
    assert said(result) == ("refused", "tasks_running", False)
    assert result["why"] == ["datadir_empty"]
    assert bench.config.read_bytes() == before


@pytest.mark.parametrize(("on_tasks", "tasks"), [("if-idle", 0), ("force", 1)])
async def test_an_ephemeral_host_gets_a_new_identity(make: MakeBench, on_tasks: str, tasks: int) -> None:
    """Drained or forced, an ephemeral host is updated, and the new ARN is reported beside the old one."""
    bench = await make(persistent=False)
    bench.farm.plain.run_tasks(next(iter(bench.farm.plain.instances)), tasks)
    result = await bench.apply(OnTasks=on_tasks)
    assert said(result) == ("updated", "verified", True)
    assert result["arn"] != result["arn_before"]


async def test_another_cluster_is_refused(bench: Bench) -> None:
    """The agent must serve the cluster that the run is about."""
    before = bench.config.read_bytes()
    assert said(await bench.apply(Cluster="other")) == ("refused", "cluster_mismatch", False)
    assert bench.config.read_bytes() == before


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        (AfterRestart.STAYS_DOWN, "agent_did_not_return"),
        (AfterRestart.EXIT5, "agent_did_not_return"),
        (AfterRestart.NOT_REPLACED, "container_not_replaced"),
    ],
)
async def test_a_failed_change_is_rolled_back(make: MakeBench, trouble: AfterRestart, reason: str) -> None:
    """When the agent does not come back with the new value, every old byte and the old agent do."""
    bench = await make(after_restart=trouble)
    before = bench.config.read_bytes()
    result = await bench.apply(**QUICK)
    assert said(result) == ("rolled_back", reason, False)
    assert bench.config.read_bytes() == before
    seen = await bench.inspect()
    assert (seen["agent"], seen["armed"], seen["generation"]) == ("up", "no", "")
    assert not list(bench.config.parent.glob(".ecs-rollout*"))


@pytest.mark.parametrize(
    ("trouble", "outcome", "reason", "proof"),
    [
        (AfterRestart.STAYS_DOWN, "rolled_back", "agent_did_not_return", rf"{CHANGED}; metadata: no answer"),
        (AfterRestart.EXIT5, "rolled_back", "agent_did_not_return", rf"{CHANGED}; metadata: no answer"),
        (
            AfterRestart.NOT_REPLACED,
            "rolled_back",
            "container_not_replaced",
            rf"{SAME}; metadata: [0-9a-f]{{32}} of demo",
        ),
        (AfterRestart.FORGETS, "rolled_back", "identity_changed", rf"{CHANGED}; metadata: [0-9a-f]{{32}} of demo"),
        (
            AfterRestart.NEVER_RETURNS,
            "failed",
            "restore_failed",
            rf"after agent_did_not_return: {CHANGED}; metadata: no answer; then agent_did_not_return: agent .*",
        ),
    ],
)
@pytest.mark.parametrize("seconds", [0.02, 4.0])
async def test_a_slow_restart_changes_no_reason(
    make: MakeBench, trouble: AfterRestart, outcome: str, reason: str, proof: str, seconds: float
) -> None:
    """Whether or not the first looks fall into a slow stop of the old agent: the same fault, reason and proof."""
    bench = await make(after_restart=trouble, restart_seconds=(seconds, seconds))
    result = await bench.apply(VerifySeconds="8", RestoreSeconds="6")
    assert said(result) == (outcome, reason, outcome == "failed")
    assert re.fullmatch(proof, str(result["detail"]))
    assert result["log"] == ""  # nothing was said of a log: not of the failed agent's, nor of the one that is back


async def test_a_stop_longer_than_the_time_is_no_replacement(make: MakeBench) -> None:
    """An old container that still runs at the end was not replaced; the restart that follows finds the old file."""
    bench = await make(restart_seconds=(20.0, 20.0))
    before = bench.config.read_bytes()
    result = await bench.apply(**QUICK)
    assert said(result) == ("rolled_back", "container_not_replaced", False)
    assert re.match(SAME, str(result["detail"]))
    assert bench.config.read_bytes() == before


async def test_an_agent_between_two_restarts_fails_nothing(bench: Bench) -> None:
    """A container that somebody made anew from the old file, while our restart still waits (F25), is no verdict."""
    queued = """{
 cp "$config_real" "$state_directory/ours"; cp "$state_directory/armed/old" "$config_real"
 systemctl restart "$unit"; until metadata; do nap 1; done; cp "$state_directory/ours" "$config_real"
 { sleep 2; systemctl restart "$unit"; } & }"""
    result = result_of(
        await bench.send(
            Kind.APPLY,
            bench.apply_values(),
            change=lambda text: text.replace('limited 20 systemctl --no-block restart "$unit"', queued, 1),
        )
    )
    assert said(result) == ("updated", "verified", True)
    assert bench.host.agent.starts == 3


async def test_a_warning_of_the_agent_is_a_failure(bench: Bench) -> None:
    """A value that the agent cannot use shows only in its log, and is taken back (F2)."""
    before = bench.config.read_bytes()
    result = await bench.apply(payload=payload_of("dockercfg", '{"auths":{"r.example":{"auth":"dTpw"}}}'))
    assert said(result) == ("rolled_back", "auth_warning", False)
    assert bench.config.read_bytes() == before


async def test_an_agent_that_forgets_is_reported(make: MakeBench) -> None:
    """A persistent agent that returns as somebody else is no success."""
    bench = await make(after_restart=AfterRestart.FORGETS)
    before = bench.config.read_bytes()
    result = await bench.apply(**QUICK)
    assert said(result) == ("rolled_back", "identity_changed", False)
    assert result["arn"] != result["arn_before"]
    assert "identity_changed" in result["warnings"]
    assert bench.config.read_bytes() == before
    assert (await bench.inspect())["armed"] == "no"


async def test_an_old_fence_changes_nothing(bench: Bench) -> None:
    """A queued old apply that arrives after a newer run is refused."""
    await bench.apply(Fence="5")
    before = bench.config.read_bytes()
    old = await bench.apply(Fence="4", RunId="old", Generation="cd" * 16, payload=payload_of(data=OTHER_DATA))
    assert said(old) == ("refused", "fence_stale", False)
    assert old["fence"] == 5
    assert bench.config.read_bytes() == before


async def test_a_late_delivery_changes_nothing(bench: Bench) -> None:
    """After NotAfter nothing begins."""
    before = bench.config.read_bytes()
    assert said(await bench.apply(NotAfter="1000")) == ("refused", "expired", False)
    assert bench.config.read_bytes() == before


async def test_two_at_once_restart_once(bench: Bench) -> None:
    """Of two commands at once one works; the other waits and finds it done, or is told so (F60)."""
    values = bench.apply_values()
    results = [result_of(r) for r in await asyncio.gather(*(bench.send(Kind.APPLY, values) for _ in range(2)))]
    assert "updated" in {r["outcome"] for r in results}
    assert {str(r["reason"]) for r in results} <= {"verified", "locked", "already_current"}
    assert sum(bool(r["changed"]) for r in results) == 1


@pytest.mark.parametrize(
    ("status", "kind", "reason"),
    [
        (400, "AccessDeniedException", "payload_denied"),
        (400, "ParameterVersionNotFound", "payload_missing"),
        (400, "ParameterNotFound", "payload_missing"),
        (400, "UnrecognizedClientException", "payload_denied"),
    ],
)
async def test_a_store_that_says_no_is_named(bench: Bench, status: int, kind: str, reason: str) -> None:
    """The store's refusal becomes a reason, and nothing was touched."""
    before = bench.config.read_bytes()
    bench.store.failures.append((status, kind))
    assert said(await bench.apply()) == ("failed", reason, False)
    assert bench.config.read_bytes() == before


async def test_throttling_is_waited_out(bench: Bench) -> None:
    """A throttled fetch is tried again."""
    bench.store.failures += [(400, "ThrottlingException")]
    assert (await bench.apply())["outcome"] == "updated"


async def test_another_payload_than_announced_is_refused(bench: Bench) -> None:
    """What was fetched must be what was delivered."""
    before = bench.config.read_bytes()
    assert said(await bench.apply(PayloadDigest="0" * 64)) == ("failed", "payload_digest", False)
    assert bench.config.read_bytes() == before


@pytest.mark.parametrize(
    "payload",
    [payload_of("Docker"), payload_of(data="no json"), payload_of(nonce="short"), payload_of(data='{"a":1}\n{}'), "!"],
)
async def test_a_malformed_payload_is_refused(bench: Bench, payload: str) -> None:
    """Only a payload of this tool reaches the file."""
    assert said(await bench.apply(payload=payload)) == ("failed", "payload_malformed", False)


async def test_without_a_role_there_is_a_reason(make: MakeBench) -> None:
    """An instance without an instance profile is told apart from a store that says no."""
    bench = await make(role=False)
    assert said(await bench.apply()) == ("failed", "no_instance_credentials", False)


ACTIVATED = "mi-0123456789abcdef0"


@pytest.mark.parametrize("file", ["as the agent writes it", "another profile", "none"])
async def test_an_activated_instance_has_keys_in_a_file(make: MakeBench, file: str) -> None:
    """ECS Anywhere (F82): there is no role; the default profile that the SSM agent keeps up to date is used."""
    bench = await make(instance_id=ACTIVATED, role=False)
    keys = credentials_of(ACTIVATED)
    path = bench.host.root / "root/.aws/credentials"
    path.parent.mkdir(parents=True)
    if file != "none":
        profile = "default" if file.startswith("as") else "team"
        path.write_text(
            f"[other]\naws_access_key_id = AKIAX\n\n[{profile}]\naws_access_key_id     = {keys.access_key_id}\n"
            f"aws_secret_access_key = {keys.secret_access_key}\naws_session_token     = {keys.token}\n"
        )
    right = ("updated", "verified", True) if file.startswith("as") else ("failed", "no_instance_credentials", False)
    assert said(await bench.apply()) == right


async def test_an_unreachable_store_is_named(bench: Bench) -> None:
    """A store that does not answer is a reason of its own."""
    assert said(await bench.apply(PayloadUrl="http://127.0.0.1:9")) == ("failed", "payload_unreachable", False)


@pytest.mark.parametrize(
    ("disk", "reason"), [(Disk.FULL, "disk_full"), (Disk.READ_ONLY, "config_unwritable")], ids=["full", "read-only"]
)
async def test_a_disk_that_takes_nothing_refuses(make: MakeBench, disk: Disk, reason: str) -> None:
    """A full or read-only disk ends in a refusal that leaves every byte."""
    bench = await make(disk=disk)
    before = bench.config.read_bytes()
    assert said(await bench.apply()) == ("refused", reason, False)
    assert bench.config.read_bytes() == before


async def test_an_agent_that_is_away_for_a_moment_is_waited_for(bench: Bench) -> None:
    """One that updates itself does not run just then (F18): it is changed when it is back, refused if it is not."""
    await bench.host.unit.command("stop")
    assert said(await bench.apply()) == ("refused", "agent_down", False)

    async def come_back() -> None:
        await asyncio.sleep(2)
        await bench.host.unit.command("start")

    coming = asyncio.create_task(come_back())
    assert said(await bench.apply()) == ("updated", "verified", True)
    await coming


async def test_a_silent_docker_is_refused(make: MakeBench) -> None:
    """Where Docker does not answer nothing can be proven, so nothing is done."""
    bench = await make(docker_down=True)
    assert said(await bench.apply()) == ("refused", "agent_down", False)


async def test_a_folder_in_its_place_is_refused(bench: Bench) -> None:
    """What is no file is not edited."""
    bench.config.unlink()
    bench.config.mkdir()
    assert said(await bench.apply()) == ("refused", "config_unsupported", False)


async def test_a_link_stays_a_link(bench: Bench) -> None:
    """A symlink keeps pointing, and what it points to is edited."""
    real = bench.config.with_name("real.config")
    bench.config.rename(real)
    bench.config.symlink_to("real.config")
    assert (await bench.apply())["outcome"] == "updated"
    assert bench.config.is_symlink()
    assert NEW_LINES in real.read_text()


async def test_the_methods_of_a_host_without_systemd_are_none(bench: Bench) -> None:
    """Where no restart method can be told, apply refuses."""
    assert said(await bench.apply(AgentUnit="nothing")) == ("refused", "no_restart_method", False)


async def test_deadlines_that_do_not_nest_are_refused(bench: Bench) -> None:
    """Verify and restore must fit into the watchdog's time, and that into the step's."""
    assert said(await bench.apply(WatchdogSeconds="20")) == ("refused", "internal", False)
