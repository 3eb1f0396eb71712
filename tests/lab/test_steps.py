"""A document of several steps runs as the agent runs it (F53, F56)."""

import json
from typing import Any

from orchestrator.lab.processes import ScriptJob, ScriptResult
from tests.lab.bench import Bench, bench, ended, instance_id, refused

FIRST = instance_id(0)


def publish(lab: Bench, *steps: tuple[str, dict[str, Any]]) -> None:
    rows = [
        {"name": name, "action": "aws:runShellScript", "inputs": {"runCommand": [name]} | inputs}
        for name, inputs in steps
    ]
    content = json.dumps({"schemaVersion": "2.2", "mainSteps": rows})
    lab.ssm_client.create_document(Name="steps", DocumentType="Command", Content=content)


def run(lab: Bench, **codes: int) -> list[str]:
    """Run the document, each step ending with its code; return the names of those that ran."""
    lab.hosts[FIRST].script = lambda job: ended(job.step, code=codes.get(job.step, 0))
    lab.send([FIRST], DocumentName="steps", Parameters={})
    lab.advance(1)
    return [job.step for job in lab.hosts[FIRST].jobs]


def test_a_failed_step_does_not_stop_the_next() -> None:
    """Without onFailure the document goes on, and fails as a whole (F53)."""
    with bench(1) as lab:
        publish(lab, ("first", {}), ("second", {}))
        assert run(lab, first=1) == ["first", "second"]
        listed = lab.ssm_client.list_command_invocations(Details=True)["CommandInvocations"][0]
        assert listed["Status"] == "Failed"
        assert [plugin["Status"] for plugin in listed["CommandPlugins"]] == ["Failed", "Success"]


def test_on_failure_exit_stops_but_not_the_finally_step() -> None:
    """`onFailure: exit` inside inputs ends the document; a finallyStep still runs (F53)."""
    with bench(1) as lab:
        last = {"finallyStep": "true"}
        publish(lab, ("first", {"onFailure": "exit"}), ("second", {}), ("last", last))
        assert run(lab, first=1) == ["first", "last"]


def test_on_failure_exit_does_not_fire_on_a_timeout() -> None:
    """A step that timed out does not count as failed there (F53)."""
    with bench(1) as lab:
        publish(lab, ("first", {"onFailure": "exit"}), ("second", {}))
        assert run(lab, first=137) == ["first", "second"]


def test_168_skips_the_rest() -> None:
    """Exit 168 ends the document with success, 169 with failure (F57)."""
    with bench(1) as lab:
        publish(lab, ("first", {}), ("second", {}))
        assert run(lab, first=168) == ["first"]


def test_after_a_cancel_nothing_more_runs() -> None:
    """Not even a finallyStep (F56)."""
    with bench(1) as lab:
        publish(lab, ("first", {}), ("last", {"finallyStep": "true"}))
        lab.hosts[FIRST].takes = 50
        command = lab.send([FIRST], DocumentName="steps", Parameters={})
        lab.advance(1)
        lab.ssm_client.cancel_command(CommandId=command)
        lab.advance(100)
        assert [job.step for job in lab.hosts[FIRST].jobs] == ["first"]
        assert lab.details(command) == ["Cancelled"]


def test_a_step_among_several_is_asked_for_by_name() -> None:
    """GetCommandInvocation wants PluginName where there are several (F63)."""
    with bench(1) as lab:
        publish(lab, ("first", {}), ("second", {}))
        run(lab)
        command = lab.ssm_client.list_commands()["Commands"][0]["CommandId"]
        with refused("InvalidPluginName"):
            lab.ssm_client.get_command_invocation(CommandId=command, InstanceId=FIRST)
        got = lab.ssm_client.get_command_invocation(CommandId=command, InstanceId=FIRST, PluginName="second")
        assert got["StandardOutputContent"] == "second"


def test_a_host_that_breaks_is_a_fault_of_the_lab() -> None:
    """An exception in the lab's own machinery surfaces when the lab ends; it is never taken for a result."""

    def explode(_job: ScriptJob) -> ScriptResult:
        raise RuntimeError("a bug")

    caught: list[BaseException] = []
    try:
        with bench(1) as lab:
            lab.hosts[FIRST].script = explode
            lab.send([FIRST])
            lab.advance(1)
    except* RuntimeError as group:
        caught.extend(group.exceptions)
    assert len(caught) == 1
