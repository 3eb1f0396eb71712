"""A command reaches its instances, times out, fails, is cancelled or lost as it would on AWS."""

import pytest

from orchestrator.lab.faults import ApiFaults
from orchestrator.lab.instance import HostLostError
from orchestrator.lab.processes import ScriptJob, ScriptResult
from orchestrator.lab.scenario import InstanceSpec, Platform, Ssm
from tests.lab.bench import Bench, bench, ended, instance_id, refused
from tests.lab.test_run_command import document

FIRST = instance_id(0)


def test_an_offline_instance_times_out_at_the_delivery_deadline() -> None:
    """It waits, Delayed, and then says Delivery Timed Out, without an error counted (F71, F75)."""
    with bench(2, i0=Ssm.CONNECTION_LOST) as lab:
        command = lab.send(TimeoutSeconds=60)
        lab.advance(59)
        assert lab.details(command) == ["Delayed", "Success"]
        lab.advance(1)
        row = lab.rows(command)[FIRST]
        assert (row["Status"], row["StatusDetails"]) == ("TimedOut", "DeliveryTimedOut")
        assert lab.hosts[FIRST].jobs == []
        seen = lab.command(command)
        assert (seen["Status"], seen["ErrorCount"], seen["DeliveryTimedOutCount"]) == ("Success", 0, 1)


def test_an_instance_that_comes_back_in_time_gets_its_command() -> None:
    """Delivery is tried until the deadline."""
    with bench(1, i0=Ssm.CONNECTION_LOST) as lab:
        command = lab.send(TimeoutSeconds=60)
        lab.advance(30)
        lab.hosts[FIRST].ping_status = Ssm.ONLINE
        lab.advance(2)
        assert lab.details(command) == ["Success"]


def test_time_scale_shortens_the_services_own_timeouts() -> None:
    """A delivery timeout of 30 s, the least there is, need not cost a test 30 s."""
    with bench(1, plan=ApiFaults(time_scale=0.1), i0=Ssm.CONNECTION_LOST) as lab:
        command = lab.send(TimeoutSeconds=30)
        lab.advance(3)
        assert lab.details(command) == ["DeliveryTimedOut"]


def test_an_instance_that_has_left_is_undeliverable() -> None:
    """Undeliverable is Failed, but no error to MaxErrors (F75)."""
    with bench(2, plan=ApiFaults(delivery_delay=(1.0, 1.0))) as lab:
        command = lab.send()
        lab.hosts[FIRST].ping_status = Ssm.UNREGISTERED
        lab.advance(2)
        row = lab.rows(command)[FIRST]
        assert (row["Status"], row["StatusDetails"]) == ("Failed", "Undeliverable")
        assert lab.command(command)["Status"] == "Success"
        assert lab.command(command)["ErrorCount"] == 0


def test_a_lost_result_is_a_delivery_timeout_though_the_script_ran() -> None:
    """DeliveryTimedOut never proves that nothing ran (F61)."""
    with bench(1, plan=ApiFaults(lost_results=1.0)) as lab:
        command = lab.send(TimeoutSeconds=60)
        lab.advance(1)
        assert len(lab.hosts[FIRST].jobs) == 1
        assert lab.details(command) == ["InProgress"]
        lab.advance(60 + 3600 - 2)
        assert lab.details(command) == ["InProgress"]
        lab.advance(1)
        assert lab.details(command) == ["DeliveryTimedOut"]
        (row,) = lab.rows(command, Details=True).values()
        assert row["CommandPlugins"] == []


def test_a_result_can_be_lost_for_one_instance_only() -> None:
    """A test chooses whose result is lost."""
    with bench(2) as lab:
        lab.faults.lost.add(FIRST)
        command = lab.send(TimeoutSeconds=60)
        lab.advance(1)
        assert lab.details(command) == ["InProgress", "Success"]


def test_an_instance_that_vanishes_under_its_script_is_a_delivery_timeout() -> None:
    """Nobody ever says how the script ended (F61)."""

    def vanish(job: ScriptJob) -> ScriptResult:
        raise HostLostError(job.command_id)

    with bench(1) as lab:
        lab.hosts[FIRST].script = vanish
        command = lab.send(TimeoutSeconds=60)
        lab.advance(60 + 3600 - 1)
        assert lab.details(command) == ["InProgress"]
        lab.advance(1)
        assert lab.details(command) == ["DeliveryTimedOut"]


def test_a_result_waits_for_a_lost_connection() -> None:
    """An agent that loses its connection while the script runs reports when it is back (F61)."""
    with bench(1) as lab:
        lab.hosts[FIRST].takes = 5
        command = lab.send()
        lab.advance(1)
        lab.hosts[FIRST].ping_status = Ssm.CONNECTION_LOST
        lab.advance(20)
        assert lab.details(command) == ["InProgress"]
        lab.hosts[FIRST].ping_status = Ssm.ONLINE
        lab.advance(1)
        assert lab.details(command) == ["Success"]


def test_a_result_can_be_late() -> None:
    """The service learns of the end later than it came (F61)."""
    plan = ApiFaults(result_delay=(2.0, 2.0), late_results=1.0, late_by=(90.0, 90.0))
    with bench(1, plan=plan) as lab:
        command = lab.send()
        lab.advance(91)
        assert lab.details(command) == ["InProgress"]
        lab.advance(1)
        assert lab.details(command) == ["Success"]


@pytest.mark.parametrize(
    ("code", "status", "details"),
    [
        (0, "Success", "Success"),
        (3, "Failed", "Failed"),
        (137, "TimedOut", "ExecutionTimedOut"),
        (168, "Success", "Success"),
        (169, "Failed", "Failed"),
    ],
)
def test_exit_codes_mean_what_the_agent_takes_them_for(code: int, status: str, details: str) -> None:
    """137 counts as a timeout, 168 as success, whatever the script meant (F57)."""
    with bench(1) as lab:
        lab.hosts[FIRST].script = lambda _job: ended("out\n", code=code, stderr="err\n")
        command = lab.send()
        lab.advance(1)
        (row,) = lab.rows(command, Details=True).values()
        assert (row["Status"], row["StatusDetails"]) == (status, details)
        assert row["CommandPlugins"][0]["ResponseCode"] == code
        failed = f"failed to run commands: exit status {code}" in row["CommandPlugins"][0]["Output"]
        assert failed == (status == "Failed")


def test_exit_194_runs_the_step_again() -> None:
    """The agent reboots the machine and starts the step anew (F57)."""
    with bench(1) as lab:
        codes = iter([194, 0])
        lab.hosts[FIRST].script = lambda _job: ended(code=next(codes))
        command = lab.send()
        lab.advance(1)
        assert len(lab.hosts[FIRST].jobs) == 2
        assert lab.details(command) == ["Success"]


def test_a_step_that_takes_too_long_is_killed() -> None:
    """The step's own timeout ends it: TimedOut, Execution Timed Out, code 137 (F56)."""
    with bench(1) as lab:
        lab.hosts[FIRST].takes = 600
        command = lab.send(Parameters={"commands": ["sleep 600"], "executionTimeout": ["60"]})
        lab.advance(59)
        assert lab.details(command) == ["InProgress"]
        lab.advance(1)
        (row,) = lab.rows(command, Details=True).values()
        assert (row["Status"], row["StatusDetails"]) == ("TimedOut", "ExecutionTimedOut")
        assert row["CommandPlugins"][0]["ResponseCode"] == 137
        assert lab.command(command)["StatusDetails"] == "ExecutionTimedOut"


def test_status_details_are_spelt_both_ways() -> None:
    """A reader must cope with 'ExecutionTimedOut' and with 'Execution Timed Out' (F74)."""
    with bench(1, plan=ApiFaults(spaced_details=True)) as lab:
        lab.hosts[FIRST].script = lambda _job: ended(code=137)
        command = lab.send()
        lab.advance(1)
        assert lab.details(command) == ["Execution Timed Out"]


def test_cancel_ends_what_waits_and_kills_what_runs() -> None:
    """A waiting invocation is Cancelled at once, a running one is Cancelling until its script is dead."""
    with bench(2, i1=Ssm.CONNECTION_LOST) as lab:
        lab.hosts[FIRST].takes = 100
        command = lab.send()
        lab.advance(2)
        lab.ssm_client.cancel_command(CommandId=command)
        lab.advance(0)
        assert lab.details(command) == ["Cancelled", "Cancelled"]
        lab.hosts[instance_id(1)].ping_status = Ssm.ONLINE
        lab.advance(5)
        assert lab.hosts[instance_id(1)].jobs == []
        assert lab.command(command)["Status"] == "Cancelled"


def test_cancel_may_name_instances_and_spares_the_others() -> None:
    """CancelCommand takes instances of the command only."""
    with bench(3) as lab:
        for host in lab.hosts.values():
            host.takes = 10
        command = lab.send([FIRST, instance_id(1)])
        lab.advance(1)
        with refused("InvalidInstanceId"):
            lab.ssm_client.cancel_command(CommandId=command, InstanceIds=[instance_id(2)])
        lab.ssm_client.cancel_command(CommandId=command, InstanceIds=[FIRST])
        lab.advance(10)
        assert lab.details(command) == ["Cancelled", "Success"]
        with refused("InvalidCommandId"):
            lab.ssm_client.cancel_command(CommandId="0" * 36)


def test_a_cancel_after_the_end_changes_nothing() -> None:
    """CancelCommand gives no guarantee, and no error (F76)."""
    with bench(1) as lab:
        command = lab.send()
        lab.advance(1)
        lab.ssm_client.cancel_command(CommandId=command)
        assert lab.details(command) == ["Success"]


def test_one_instance_runs_at_most_five_commands_at_once() -> None:
    """The sixth waits for a worker (F60)."""
    with bench(1) as lab:
        lab.hosts[FIRST].takes = 10
        commands = [lab.send() for _ in range(7)]
        lab.advance(5)
        assert lab.hosts[FIRST].at_once == 5
        lab.advance(15)
        assert lab.hosts[FIRST].most_at_once == 5
        assert [lab.details(command) for command in commands] == [["Success"]] * 7


@pytest.mark.parametrize(("limit", "at_once"), [("2", 2), ("50%", 3), ("1%", 1)])
def test_max_concurrency_bounds_the_instances_at_work(limit: str, at_once: int) -> None:
    """A number or a percentage of the targets, rounded down, one at least (F70)."""
    with bench(6) as lab:
        for host in lab.hosts.values():
            host.takes = 10
        command = lab.send(MaxConcurrency=limit)
        lab.advance(5)
        assert sum(host.at_once for host in lab.hosts.values()) == at_once
        lab.advance(60)
        assert lab.details(command) == ["Success"] * 6


@pytest.mark.parametrize(("limit", "sent"), [("0", 1), ("1", 2), ("50%", 4)])
def test_max_errors_stops_the_sending(limit: str, sent: int) -> None:
    """One failure more than MaxErrors and the rest is Terminated unsent; the command has Failed (F70)."""
    with bench(6) as lab:
        for host in lab.hosts.values():
            host.script = lambda _job: ended(code=1)
        command = lab.send(MaxConcurrency="1", MaxErrors=limit)
        lab.advance(1)
        assert lab.details(command) == ["Failed"] * sent + ["Terminated"] * (6 - sent)
        assert lab.command(command)["Status"] == "Failed"


def test_failures_within_max_errors_leave_the_command_incomplete() -> None:
    """A command whose errors fit its limit has not failed as a whole, nor succeeded."""
    with bench(3) as lab:
        lab.hosts[FIRST].script = lambda _job: ended(code=1)
        command = lab.send(MaxErrors="100%")
        lab.advance(1)
        assert lab.details(command) == ["Failed", "Success", "Success"]
        assert lab.command(command)["StatusDetails"] == "Incomplete"


def test_a_value_that_breaks_its_pattern_fails_on_the_agent_and_is_echoed() -> None:
    """The agent refuses without a step, and TraceOutput shows the value (F52)."""
    with bench(1) as lab:
        word = {"type": "String", "allowedPattern": "^[a-z]{1,8}$"}
        lab.ssm_client.create_document(Name="say", DocumentType="Command", Content=document(Word=word))
        command = lab.send(DocumentName="say", Parameters={"Word": ["NO; rm"]})
        lab.advance(1)
        (row,) = lab.rows(command, Details=True).values()
        assert (row["Status"], row["CommandPlugins"]) == ("Failed", [])
        assert "NO; rm" in row["TraceOutput"]
        assert lab.hosts[FIRST].jobs == []


def test_a_target_on_the_wrong_platform_is_invalid_platform() -> None:
    """A tag may match a Windows machine; it fails alone."""
    specs = (
        InstanceSpec(instance_id=FIRST, name="same", platform=Platform.WINDOWS),
        InstanceSpec(instance_id=instance_id(1), name="same"),
    )
    with Bench(specs, ApiFaults()) as lab:
        command = lab.send(Targets=[{"Key": "tag:Name", "Values": ["same"]}], MaxErrors="1")
        lab.advance(1)
        assert lab.details(command) == ["InvalidPlatform", "Success"]


def test_paths_are_moved_below_the_hosts_root_after_the_check() -> None:
    """The pattern judges the value that was sent, the script gets the host's own path."""
    with bench(1) as lab:
        word = {"type": "String", "default": "/etc/a", "allowedPattern": "^/etc/[a-z]$"}
        lab.ssm_client.create_document(Name="say", DocumentType="Command", Content=document(Word=word))
        command = lab.send(DocumentName="say", Parameters={"Word": ["/etc/b"]})
        lab.advance(1)
        assert lab.details(command) == ["Success"]
        assert f"echo '/root-of-{FIRST}/etc/b'" in lab.hosts[FIRST].jobs[0].script
