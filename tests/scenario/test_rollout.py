"""Whole rollouts in the lab: the command line, real scripts, a simulated AWS."""

import base64
import json
from collections.abc import Callable
from dataclasses import replace

import boto3
import pytest

from orchestrator.lab.faults import ApiFaults, Cut, Rate
from orchestrator.lab.scenario import AfterRestart, Platform, Ssm
from tests.scenario.conftest import QUICK, Workplace, fleet

Start = Callable[..., Workplace]
HALF = "--max-unavailable=50%"


def parameters() -> set[str]:
    """Name everything that lies under our prefix in Parameter Store."""
    pages = boto3.client("ssm").get_paginator("get_parameters_by_path").paginate(Path="/ecs-rollout", Recursive=True)
    return {each["Name"] for page in pages for each in page["Parameters"]}


def test_a_rollout_updates_a_fleet_and_a_second_one_changes_nothing(workplace: Start) -> None:
    """run updates every instance; a second run finds all current: no restart, no apply, nothing delivered."""
    place = workplace(*fleet(4))
    place.put_secret()
    first = place.rollout("run", HALF, "--output", "json")
    assert first.code == 0, first.err
    assert set(first.outcomes.values()) == {"updated(verified)"}
    assert first.report["converged"] == {"instances": 4, "of": 4}
    starts = {name: host.agent.starts for name, host in place.lab.hosts.items()}
    sends = place.calls("SendCommand")
    second = place.rollout("run", "--output", "json")
    assert second.code == 0
    assert set(second.outcomes.values()) == {"current(already_current)"}
    assert {name: host.agent.starts for name, host in place.lab.hosts.items()} == starts
    assert place.calls("SendCommand") == sends + 1  # one inspect
    assert first.report["run"]["generation"] == second.report["run"]["generation"]


def test_plan_reads_only(workplace: Start) -> None:
    """plan tells what would happen and touches neither an instance nor an AWS resource."""
    place = workplace(*fleet(3))
    place.put_secret()
    before = {name: (host.root / "etc/ecs/ecs.config").read_bytes() for name, host in place.lab.hosts.items()}
    writes = place.calls("PutParameter")
    plan = place.rollout("plan", "--output", "json", "--detailed-exitcode")
    assert plan.code == 6
    assert {each["decision"] for each in plan.report["instances"]} == {"apply"}
    changes = {"added": [place.lab.registry_name], "kept": [], "removed": ["registry.example.com"]}
    assert all(each["registries"] == changes for each in plan.report["instances"])
    shown = place.rollout("plan")
    assert "3 container instances in demo; inspecting 3 of them, for at most 90 s\n" in shown.err
    table = shown.out
    assert f"added: {place.lab.registry_name} (on 3)" in table
    assert "removed: registry.example.com (on 3)" in table
    assert max(len(line) for line in table.splitlines()) <= 80
    assert place.touched() == []
    assert place.calls("PutParameter") == writes
    assert before == {name: (host.root / "etc/ecs/ecs.config").read_bytes() for name, host in place.lab.hosts.items()}
    place.rollout("run", HALF)
    assert place.rollout("plan", "--detailed-exitcode").code == 0


def test_a_plan_that_changes_nobody_is_no_good_end_where_not_all_run_the_credential(workplace: Start) -> None:
    """A pipeline is told of those that are refused: 1, as `run` ends; 6 while others can be changed."""
    specs = fleet(2)
    place = workplace(replace(specs[0], persistent=False), specs[1])
    place.put_secret()
    assert place.rollout("plan", "--detailed-exitcode").code == 6
    assert place.rollout("run").code == 1
    refused = place.rollout("plan", "--detailed-exitcode")
    assert (refused.code, place.rollout("run").code) == (1, 1)
    assert "Next: nothing yet; 1 of 2 would be refused (ephemeral)." in refused.out
    assert place.rollout("plan").code == 0  # whoever asks for the plan has it
    assert place.rollout("plan", "--detailed-exitcode", "--exclude", specs[0].instance_id).code == 0


def test_trouble_of_every_kind_has_its_outcome(workplace: Start) -> None:
    """Each trouble of a fleet ends as it must, and everybody stands in the report."""
    specs = fleet(8)
    place = workplace(
        specs[0],
        replace(specs[1], persistent=False),
        replace(specs[2], ssm=Ssm.CONNECTION_LOST),
        replace(specs[3], ssm=Ssm.UNREGISTERED),
        replace(specs[4], after_restart=AfterRestart.STAYS_DOWN),
        replace(specs[5], platform=Platform.WINDOWS),
        replace(specs[6], platform=Platform.BOTTLEROCKET),
        replace(specs[7], managed_instances=True),
    )
    place.put_secret()
    old = (place.lab.hosts[specs[4].instance_id].root / "etc/ecs/ecs.config").read_bytes()
    done = place.rollout("run", HALF, "--max-failures=1", "--max-unreachable=50%", "--output", "json")
    assert done.code == 1
    assert [done.outcomes[spec.instance_id] for spec in specs] == [
        "updated(verified)",
        "refused(ephemeral)",
        "unreachable(ssm_offline)",
        "unreachable(ssm_not_registered)",
        "rolled_back(agent_did_not_return)",
        "refused(windows)",
        "refused(bottlerocket)",
        "refused(managed_instances)",
    ]
    assert (place.lab.hosts[specs[4].instance_id].root / "etc/ecs/ecs.config").read_bytes() == old
    assert done.report["run"]["result"] == "incomplete"


def test_a_failing_canary_halts(workplace: Start) -> None:
    """With the default budget the first failure halts: at most the window was touched, the rest is not attempted."""
    place = workplace(*fleet(6, after_restart=AfterRestart.STAYS_DOWN))
    place.put_secret()
    done = place.rollout("run", "--output", "json")
    assert done.code == 1
    assert done.report["run"]["result"] == "halted"
    assert sorted(done.outcomes.values()) == ["not_attempted(halted)"] * 5 + ["rolled_back(agent_did_not_return)"]


def test_the_api_may_be_as_mean_as_aws(workplace: Start) -> None:
    """Throttling, lists that lag and late results make a run slower, never wrong."""
    throttle = {"SendCommand": Rate(rate=4, burst=1), "ListCommandInvocations": Rate(rate=20, burst=2)}
    api = ApiFaults(seed=3, throttle=throttle, list_lag=(0.1, 0.6), result_delay=(0.0, 0.5), spaced_details=True)
    place = workplace(*fleet(5), api=api)
    place.put_secret()
    done = place.rollout("run", HALF, "--output", "json")
    assert done.code == 0, done.err
    assert set(done.outcomes.values()) == {"updated(verified)"}


def test_a_cut_connection_makes_no_second_command(workplace: Start) -> None:
    """SendCommand that was carried out but never answered is found again: every instance is applied to once."""
    place = workplace(*fleet(3))
    place.put_secret()
    place.lab.faults.cut("SendCommand", call=2, where=Cut.AFTER)  # the first is the run's own inspect
    done = place.rollout("run", "--max-unavailable=100%", "--output", "json")
    assert done.code == 0, done.err
    assert {host.agent.starts for host in place.lab.hosts.values()} == {2}


def test_the_report_can_be_had_again(workplace: Start) -> None:
    """runs lists the run; report gives the same JSON from the journal alone, and CSV and Markdown."""
    place = workplace(*fleet(2))
    place.put_secret()
    done = place.rollout("run", "--max-unavailable=100%", "--output", "json")
    run = done.report["run"]["id"]
    assert run in place.cli("runs").out
    assert place.cli("report", run, "--output", "json").out == done.out
    assert place.cli("report", run, "--output", "csv").out.count("\n") == 3
    assert "| updated" in place.cli("report", run, "--output", "markdown").out
    assert "2 of 2 instances run the credential" in place.cli("report", run).out


def test_a_removed_registry_is_refused_unless_allowed(workplace: Start) -> None:
    """An instance that would lose a login is refused, until --allow-removal says that it may."""
    both = '{"registry.example.com":{"auth":"YTpi"},"other.example.com":{"auth":"YTpi"}}'
    place = workplace(*fleet(2, auth_data=both))
    place.put_secret()
    place.allow_removal = False
    refused = place.rollout("run", "--output", "json")
    assert refused.code == 1
    assert set(refused.outcomes.values()) == {"refused(registry_removed)"}
    assert place.touched() == []
    allowed = place.rollout("run", "--allow-removal", "--max-unavailable=100%", "--output", "json")
    assert allowed.code == 0, allowed.err


def test_a_held_cluster_is_left_alone(workplace: Start) -> None:
    """A second run exits with 5, says who holds the cluster, and touches nothing; --take-over takes it."""
    place = workplace(*fleet(2))
    place.put_secret()
    value = '{"holder": "anna@bastion", "run": "20260101-000000-00000000", "since": 1.0, "heartbeat": 2.0}'
    boto3.client("ssm").put_parameter(Name="/ecs-rollout/demo/lock/7", Value=value, Type="String")
    held = place.rollout("run")
    assert held.code == 5
    assert "anna@bastion holds this cluster" in held.err
    assert place.touched() == []
    left = "/ecs-rollout/demo/payload/20260101-000000-00000000"
    boto3.client("ssm").put_parameter(Name=left, Value="left behind", Type="SecureString")
    taken = place.rollout("run", "--take-over", "--max-unavailable=100%")
    assert taken.code == 0, taken.err
    assert "took over from anna@bastion" in taken.err
    assert "20260101-000000-00000000" not in " ".join(name for name in parameters() if "payload" in name)


def test_what_was_delivered_is_taken_away(workplace: Start) -> None:
    """After the run the delivered credential is gone; only the key and the released lock stay."""
    place = workplace(*fleet(2))
    place.put_secret()
    assert place.rollout("run", "--max-unavailable=100%").code == 0
    assert parameters() == {"/ecs-rollout/demo/key", "/ecs-rollout/demo/lock/1"}


@pytest.mark.parametrize("store", ["ssm", "file"])
def test_other_sources(workplace: Start, store: str) -> None:
    """A SecureString and a file of one's own work as sources, in either of the agent's formats."""
    place = workplace(*fleet(1))
    auth = base64.b64encode(b"puller:new-password").decode()
    data = json.dumps({f"http://{place.lab.registry_name}": {"auth": auth}})
    if store == "ssm":
        boto3.client("ssm").put_parameter(Name="/team/registry", Value=data, Type="SecureString")
        source = "ssm:/team/registry"
    else:
        path = place.directory / "credential.json"
        path.touch(mode=0o600)
        path.write_text(data)
        source = f"file:{path}"
    done = place.rollout("run", "--output", "json", source=source)
    assert done.code == 0, done.err
    config = (place.lab.hosts[fleet(1)[0].instance_id].root / "etc/ecs/ecs.config").read_text()
    assert auth in config


def test_a_run_can_be_taken_back(workplace: Start) -> None:
    """restore RUN gives every instance its old file again, byte for byte; a second restore finds nothing to do."""
    place = workplace(*fleet(3))
    place.put_secret()
    before = {name: (host.root / "etc/ecs/ecs.config").read_bytes() for name, host in place.lab.hosts.items()}
    run = place.rollout("run", "--max-unavailable=100%", "--output", "json").report["run"]["id"]
    arguments = ("restore", run, "--yes", *QUICK, "--max-unavailable=100%", "--output", "json")
    back = place.cli(*arguments)
    assert back.code == 0, back.err
    assert set(back.outcomes.values()) == {"rolled_back(restored)"}
    assert before == {name: (host.root / "etc/ecs/ecs.config").read_bytes() for name, host in place.lab.hosts.items()}
    again = place.cli(*arguments)
    assert again.code == 0, again.err
    assert set(again.outcomes.values()) == {"skipped(nothing_to_restore)"}
    assert {host.agent.starts for host in place.lab.hosts.values()} == {3}


def test_a_refused_login_stops_before_anything_is_touched(workplace: Start) -> None:
    """A password that the registry refuses is refused at once; with --no-probe the canary finds out, and it halts."""
    place = workplace(*fleet(4))
    place.put_secret({place.lab.registry_name: {"username": "puller", "password": "wrong"}})
    refused = place.rollout("run")
    assert refused.code == 3
    assert "refuses the login" in refused.err
    assert place.calls("SendCommand") == 0
    canary = place.rollout("run", "--no-probe", "--output", "json")
    assert canary.code == 1
    assert sorted(canary.outcomes.values()) == ["failed(login_refused)", *["not_attempted(halted)"] * 3]
    assert place.touched() == []
    good = place.put_secret(name="good")
    assert place.rollout("run", "--no-probe", "--max-unavailable=100%", source=good).code == 0


def test_an_image_is_asked_for(workplace: Start) -> None:
    """--probe-image proves the right to pull; an image that the credential has no login for is refused."""
    place = workplace(*fleet(1))
    place.put_secret()
    image = f"{place.lab.registry_name}/team/app:1"
    asked = place.rollout("plan", "--probe-image", image)
    assert asked.code == 0
    assert f"{image}: the login may pull this image" in asked.err
    assert place.rollout("plan", "--probe-image", "other.example.com/app").code == 3
