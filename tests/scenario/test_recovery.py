"""A controller that dies, is left or is asked to stop: resume, heal, abort, approve, and restore after a halt."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest

from orchestrator.clock import SystemClock
from orchestrator.core.events import Admitted, ApprovalAwaited, Draining, Entry, Event, RunEnded
from orchestrator.core.settings import Deadlines
from orchestrator.errors import JournalFault
from orchestrator.journal.sqlite import SqliteJournal
from orchestrator.lab.scenario import AfterRestart, InstanceSpec, Ssm
from orchestrator.lab.wire import AwsError
from tests.receiver import receiver
from tests.scenario.conftest import QUICK, Answer, Workplace, fleet
from tests.scenario.test_draining import standing
from tests.scenario.test_rollout import parameters

if TYPE_CHECKING:
    from mypy_boto3_ecs.type_defs import AttributeTypeDef

Start = Callable[..., Workplace]
HALF = "--max-unavailable=50%"


def journal_of(place: Workplace) -> Path:
    return place.directory / "state" / "ecs-rollout" / "journal.db"


def events_of(place: Workplace) -> tuple[str, list[Event]]:
    """Give the newest run and its events so far."""
    path = journal_of(place)
    if not path.exists():
        return "", []
    try:
        with closing(SqliteJournal(path, read_only=True)) as journal:
            runs = journal.runs()
            return (runs[0].run, [entry.event for entry in journal.entries(runs[0].run)]) if runs else ("", [])
    except JournalFault:  # it is just being made
        return "", []


@contextmanager
def controller(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run the tool in a process of its own, which ends with the block."""
    command = (sys.executable, "-m", "orchestrator.cli.main", *arguments)
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def run_words(place: Workplace, *more: str) -> tuple[str, ...]:
    cluster = place.lab.scenario.cluster
    source = "--credential=secretsmanager:registry"
    return ("run", "--cluster", cluster, source, "--yes", "--allow-removal", *QUICK, *more)


def killed_at(place: Workplace, kind: type[Event], *more: str) -> str:
    """Kill a controller with SIGKILL as soon as its journal holds an event of that kind; give the run."""
    with controller(*run_words(place, *more)) as process:
        wait_for(place, kind, process)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    return events_of(place)[0]


def age_lock(place: Workplace) -> None:
    """Let the lock's owner be dead for long: whoever takes over need not wait until nothing of it can begin."""
    ssm, path = boto3.client("ssm"), f"/ecs-rollout/{place.lab.scenario.cluster}/lock"
    for each in ssm.get_parameters_by_path(Path=path)["Parameters"]:
        value = json.dumps(json.loads(each["Value"]) | {"heartbeat": 0.0})
        ssm.put_parameter(Name=each["Name"], Value=value, Type="String", Overwrite=True)


def drained(place: Workplace, *specs: InstanceSpec, run: str = "gone") -> None:
    """Set instances DRAINING as a run that died has, under its mark; as somebody else has, where `run` is empty."""
    ecs, cluster = boto3.client("ecs"), place.lab.scenario.cluster
    arns = [place.registrations(each.instance_id)[-1].arn for each in specs]
    for arn in arns if run else ():
        mark: AttributeTypeDef = {"name": "ecs-rollout.run", "value": run, "targetId": arn}
        ecs.put_attributes(cluster=cluster, attributes=[mark])
    ecs.update_container_instances_state(cluster=cluster, containerInstances=arns, status="DRAINING")


def wait_for(place: Workplace, kind: type[Event], process: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        if any(isinstance(event, kind) for event in events_of(place)[1]):
            return
        if process.poll() is not None:
            raise AssertionError(process.communicate())
        time.sleep(0.05)  # noqa: TID251 - another process is waited for
    raise AssertionError(f"no {kind.__name__} came")


def applied(place: Workplace) -> list[str]:
    """Name the instances of every SendCommand of apply, in order."""
    sent = [json.loads(each.body) for each in place.lab.recorder.exchanges if each.operation == "SendCommand"]
    return [name for each in sent if each["DocumentName"].endswith("apply") for name in each["InstanceIds"]]


def resumed(place: Workplace, run: str) -> Answer:
    return place.cli("resume", run, "--take-over", "--output", "json")


def test_a_run_whose_controller_was_killed_is_resumed(workplace: Start) -> None:
    """resume finds the command that was under way, goes on with the waves, and applies to nobody twice."""
    place = workplace(*fleet(6))
    place.put_secret()
    run = killed_at(place, Admitted, HALF)
    refused = place.cli("resume", run)
    assert refused.code == 5, refused.err
    assert "may still be at work" in refused.err
    done = resumed(place, run)
    assert done.code == 0, (done.err, done.out)
    assert set(done.outcomes.values()) == {"updated(verified)"}
    assert done.report["run"]["id"] == run
    assert f"run {run} goes on: 0 of 6 had ended before, 1 at work, 5 not begun" in done.err
    assert not re.search(r"to change$|wave 1", done.err, re.MULTILINE), "what was told before is not told again"
    assert sorted(applied(place)) == sorted(place.lab.hosts)
    assert not any("/payload/" in name for name in parameters())
    again = place.cli("resume", run)
    assert (again.code, "has ended (ok)" in again.err) == (2, True)
    assert f"hint: `ecs-rollout report {run}` shows what became of it" in again.err


def test_a_run_whose_journal_takes_nothing_any_more_is_reported_from_memory(
    workplace: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is under way is seen through, everybody is in the report on stdout, and the hint's command goes on."""
    place = workplace(*fleet(3))
    place.put_secret()
    append = SqliteJournal.append

    def broken(self: SqliteJournal, run: str, fence: int, entries: Sequence[Entry]) -> None:
        append(self, run, fence, entries)
        if any(isinstance(each.event, Admitted) for each in entries):
            self._db.execute("pragma query_only = on")

    with monkeypatch.context() as patch:
        patch.setattr(SqliteJournal, "append", broken)
        done = place.rollout("run", "--output", "json")
    assert done.code == 4
    run = done.report["run"]["id"]
    assert (done.report["run"]["result"], done.report["run"]["exit_code"]) == ("halted", 4)
    assert sorted(done.outcomes.values()) == ["not_attempted(halted)", "not_attempted(halted)", "updated(verified)"]
    hint = done.err.rpartition("hint: ")[2]
    command = f"ecs-rollout resume {run} --take-over"
    assert hint == f"Mend its permissions or its disk. Then `{command}` goes on with the run.\n"
    told = place.cli("report", run, "--output", "json")
    assert told.report["run"]["result"] == "running"
    again = place.cli(*shlex.split(command)[1:], "--output", "json")
    assert set(again.outcomes.values()) == {"updated(verified)"}
    assert len(applied(place)) == len(set(applied(place))) == 3


def test_a_resumed_run_that_was_stopped_before_ends_by_what_resume_did(
    workplace: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody stopped the resume: it ends with 1 for whom the run had not begun with, not with 130 or 143."""
    place = workplace(*fleet(2))
    place.put_secret()
    append = SqliteJournal.append

    def stopped(self: SqliteJournal, run: str, fence: int, entries: Sequence[Entry]) -> None:
        if any(isinstance(each.event, RunEnded) for each in entries):
            raise JournalFault("The journal is full.", hint="Make room.")
        append(self, run, fence, entries)
        if any(isinstance(each.event, Admitted) for each in entries):
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(SqliteJournal, "append", stopped)
        done = place.rollout("run", "--output", "json")
    assert (done.code, done.report["run"]["result"]) == (4, "interrupted")
    again = resumed(place, done.report["run"]["id"])
    assert (again.code, again.report["run"]["exit_code"]) == (1, 1)
    assert (again.report["run"]["result"], again.outcomes) == ("interrupted", done.outcomes)


def test_a_drained_instance_of_a_dead_run_is_resumed(workplace: Start) -> None:
    """A run that died while it drained goes on: the instance is changed and given back."""
    specs = fleet(3)
    place = workplace(*(replace(each, persistent=False) for each in specs))
    place.put_secret()
    run = killed_at(place, Draining, "--on-ephemeral=drain", HALF)
    done = resumed(place, run)
    assert done.code == 0, (done.err, done.out)
    assert set(done.outcomes.values()) == {"updated(verified)"}
    assert standing(place) == {spec.instance_id: [("ACTIVE", True, ())] for spec in specs}


def test_heal_mends_without_a_journal(workplace: Start) -> None:
    """With the journal lost, heal sets ACTIVE what the dead run had drained, and removes what it had delivered."""
    specs = fleet(2)
    place = workplace(*(replace(each, persistent=False) for each in specs))
    place.put_secret()
    with controller(*run_words(place, "--on-ephemeral=drain", HALF)) as process:
        wait_for(place, Draining, process)
        while not place.marked():  # the intent is in the journal before its effect
            SystemClock().wait(0.01)
    age_lock(place)
    for path in journal_of(place).parent.iterdir():
        path.unlink()
    preview = place.cli("heal", "--cluster", place.lab.scenario.cluster, "--dry-run", *QUICK)
    assert preview.code == 0, preview.err
    assert "needs_release" in preview.out
    assert re.search(r"^To mend on instances: [12] of 2, at most 1 at a time\.$", preview.out, re.MULTILINE)
    assert "delivered copy to be removed" in preview.out
    assert "holds this cluster since" in preview.out
    said = preview.out.partition("Next, where that run is dead:\n")[2].replace("\\\n", " ")
    assert shlex.split(said) == [
        "ecs-rollout",
        "heal",
        "--cluster",
        place.lab.scenario.cluster,
        *_apart(QUICK),
        "--take-over",
    ]
    done = place.cli("heal", "--cluster", place.lab.scenario.cluster, "--yes", "--take-over", *QUICK)
    assert done.code == 0, (done.err, done.out)
    told = " ".join(done.out.split())
    assert re.search(
        r"What dead runs have left, on 2 instances: given back: ([12]); (nothing left on 1; )?removed 1 copy of a ",
        told,
    )
    assert standing(place) == {spec.instance_id: [("ACTIVE", True, ())] for spec in specs}
    assert not any("/payload/" in name for name in parameters())
    quiet = place.cli("heal", "--cluster", place.lab.scenario.cluster, "--dry-run", *QUICK)
    assert "To mend on instances: nothing.\n" in quiet.out
    assert quiet.out.endswith("Lock: nobody holds the cluster.\n\nNext: nothing; dead runs have left nothing here.\n")
    assert place.rollout("run", "--on-ephemeral=drain").code == 0


def test_a_restore_that_nobody_can_confirm_shows_its_plan_first(workplace: Start) -> None:
    """Without a terminal and --yes, restore shows what it would do, asks for --yes, and changes nothing."""
    place = workplace(*fleet(2))
    place.put_secret()
    run = place.rollout("run", "--output", "json").report["run"]["id"]
    before = place.touched(), applied(place)
    refused = place.cli("restore", run, *QUICK)
    assert refused.code == 2
    plan, _, said = refused.err.partition("error: There is nobody to confirm the plan: no terminal, and no --yes.\n")
    assert said == f"hint: `ecs-rollout restore {run} {' '.join(QUICK)} --yes` carries it out. It stands above.\n"
    assert "2 of 2 instances would be changed" in plan
    quiet = place.cli("restore", run, *QUICK, "--log-format", "json")
    assert "Without --log-format json it is shown first." in quiet.err
    assert (place.touched(), applied(place)) == before
    assert place.cli("restore", run, *QUICK, "--yes").code == 0  # the lock was let go of


def _apart(flags: tuple[str, ...]) -> list[str]:
    return [word for each in flags for word in each.split("=")]


def test_a_halted_run_is_taken_back_where_that_was_wanted(workplace: Start) -> None:
    """--on-halt restore gives the old credential back to those that the halted run had updated."""
    specs = fleet(4)
    place = workplace(*specs[:3], replace(specs[3], after_restart=AfterRestart.STAYS_DOWN))
    place.put_secret()
    old = {name: (host.root / "etc/ecs/ecs.config").read_bytes() for name, host in place.lab.hosts.items()}
    done = place.rollout("run", "--on-halt=restore", "--waves=100%", "--max-unavailable=1", "--output", "json")
    assert done.code == 1
    assert "updated(verified)" in done.outcomes.values()
    assert "taking back what was changed, on " in done.err
    assert "rolled_back" in done.err
    assert old == {name: (host.root / "etc/ecs/ecs.config").read_bytes() for name, host in place.lab.hosts.items()}


def with_an_old_login(place: Workplace, *more: str) -> None:
    """Let the healthy ones run a login of the lab's registry, which then only takes the one that comes next."""
    old = {place.lab.registry_name: {"username": "puller", "password": "old-password"}}
    first = place.rollout("run", "--max-unavailable=100%", *more, source=place.put_secret(old, name="old"))
    assert first.code == 0, first.err
    place.put_secret()


def env_files(place: Workplace) -> dict[str, bytes]:
    return {name: host.config_file.read_bytes() for name, host in place.lab.hosts.items()}


def test_a_login_that_was_revoked_is_not_brought_back(workplace: Start) -> None:
    """restore is refused by every instance whose old login its registry refuses: said with what to do, nothing touched.

    Where somebody insists, it is brought back.
    """
    place = workplace(*fleet(2))
    with_an_old_login(place)
    run = place.rollout("run", "--max-unavailable=100%", "--output", "json").report["run"]["id"]
    place.lab.registry.logins = {"puller": ("new-password",)}
    before, starts = env_files(place), [host.agent.starts for host in place.lab.hosts.values()]
    refused = place.cli("restore", run, "--yes", *QUICK, "--max-unavailable=100%")
    assert refused.code == 1, refused.err
    assert "login_refused" in refused.out
    assert "--no-probe-old" in refused.out
    assert (env_files(place), [host.agent.starts for host in place.lab.hosts.values()]) == (before, starts)
    insisted = place.cli("restore", run, "--yes", "--no-probe-old", *QUICK, "--output", "json")
    assert insisted.code == 0, insisted.err
    assert set(insisted.outcomes.values()) == {"rolled_back(restored)"}


def test_a_halted_run_is_not_taken_back_to_a_login_that_was_revoked(workplace: Start) -> None:
    """--on-halt restore tries the old login as well: an instance that works is not given one that does not."""
    specs = fleet(4)
    place = workplace(*specs[:3], replace(specs[3], after_restart=AfterRestart.STAYS_DOWN))
    with_an_old_login(place, f"--exclude={specs[3].instance_id}")
    place.lab.registry.logins = {"puller": ("new-password",)}
    done = place.rollout("run", "--on-halt=restore", "--waves=100%", "--max-unavailable=1", "--output", "json")
    updated = [name for name, outcome in done.outcomes.items() if outcome == "updated(verified)"]
    assert updated, done.err
    assert "login_refused" in done.err
    for name in updated:
        assert b"new-password" in place.lab.hosts[name].config_file.read_bytes()


def test_a_canary_that_ecs_never_sees_is_taken_back(workplace: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """A canary that applied and does not reconnect ends failed, holding the change; --on-halt restore takes it back."""
    monkeypatch.setattr("orchestrator.cli.requests.Deadlines", partial(Deadlines, connect=2))
    place = workplace(*fleet(2, ecs_connected=False))
    place.put_secret()
    old = env_files(place)
    done = place.rollout("run", "--on-halt=restore", "--waves=1,100%", "--output", "json")
    assert sorted(done.outcomes.values()) == ["failed(not_connected)", "not_attempted(halted)"], done.err
    assert "taking back what was changed, on 1 of 2 instances" in done.err
    (canary,) = place.touched()
    assert place.lab.hosts[canary].agent.starts == 3
    assert old == env_files(place)


def test_a_wave_waits_for_its_approval_from_another_shell(workplace: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """With --approve the canary's wave ends, the next waits; the command that the notice names lets it go on."""
    place = workplace(*fleet(3))
    place.put_secret()
    with receiver() as hook:
        monkeypatch.setenv("TEAM_HOOK", hook.url)
        words = run_words(place, "--approve", "--waves=1,100%", "--notify=webhook:env:TEAM_HOOK")
        with controller(*words) as process:
            wait_for(place, ApprovalAwaited, process)
            assert len(applied(place)) == 1
            while len(hook.texts) < 2:
                SystemClock().wait(0.05)
            assert "Rollout WAITS for approval on cluster demo" in hook.texts[1]
            assert place.cli(*shlex.split(hook.texts[1].rpartition("Next: ecs-rollout ")[2])).code == 0
            out, err = process.communicate(timeout=120)
            assert process.returncode == 0, (out, err)
        assert b"wave 2 waits for approval: ecs-rollout approve " in err
    assert len(hook.texts) == 3
    assert len(applied(place)) == 3


def test_a_run_is_aborted_from_another_shell(workplace: Start) -> None:
    """`abort` stops admission; what was in flight is seen through, and the rest is not attempted."""
    place = workplace(*fleet(3))
    place.put_secret()
    with controller(*run_words(place, "--approve", "--waves=1,100%")) as process:
        wait_for(place, ApprovalAwaited, process)
        run, _ = events_of(place)
        assert place.cli("abort", run).code == 0
        process.communicate(timeout=60)
        assert process.returncode == 130
    assert place.cli("report", run, "--output", "json").report["summary"] == {"not_attempted": 2, "updated": 1}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_gives_back_what_was_being_drained(workplace: Start, number: signal.Signals) -> None:
    """The first signal lets go of an instance that is drained and not changed yet, and ends with 130 or 143."""
    specs = fleet(2)
    place = workplace(*(replace(each, persistent=False, standalone_tasks=1) for each in specs))
    place.put_secret()
    with controller(*run_words(place, "--on-ephemeral=drain", HALF)) as process:
        wait_for(place, Draining, process)
        process.send_signal(number)
        process.communicate(timeout=60)
        assert process.returncode == 128 + number
    assert standing(place) == {spec.instance_id: [("ACTIVE", True, ())] for spec in specs}


def test_heal_leaves_and_names_what_it_cannot_reach_and_what_is_anothers(workplace: Start) -> None:
    """Of three that are drained it gives back the one of a dead run; one that is offline keeps its mark, and ends in 1.

    A living controller's cluster is not healed without --take-over.
    """
    ours, offline, foreign = fleet(3)
    place = workplace(ours, replace(offline, ssm=Ssm.CONNECTION_LOST), foreign)
    drained(place, ours, offline)
    drained(place, foreign, run="")
    ssm, cluster = boto3.client("ssm"), place.lab.scenario.cluster
    owner = {"holder": "anna@laptop", "run": "gone", "since": 1.0, "heartbeat": 2.0}
    ssm.put_parameter(Name=f"/ecs-rollout/{cluster}/lock/1", Value=json.dumps(owner), Type="String")
    words = ("heal", "--cluster", cluster, "--yes", *QUICK)
    held = place.cli(*words)
    assert (held.code, "anna@laptop holds this cluster" in held.err) == (5, True)
    done = place.cli(*words, "--take-over", "--output", "json")
    assert done.code == 1, done.err
    assert done.outcomes == {
        ours.instance_id: "skipped(released)",
        offline.instance_id: "unreachable(ssm_offline)",
        foreign.instance_id: "skipped(draining_elsewhere)",
    }
    assert standing(place) == {
        ours.instance_id: [("ACTIVE", True, ())],
        offline.instance_id: [("DRAINING", True, ("gone",))],
        foreign.instance_id: [("DRAINING", True, ())],
    }


def test_a_run_whose_credential_is_gone_is_not_resumed_and_keeps_its_lock(workplace: Start, tmp_path: Path) -> None:
    """Before the delivery the source is read again: one that is gone is named, and the cluster is not taken over."""
    place = workplace(*fleet(1))
    source = tmp_path / "login.json"
    source.write_text(json.dumps(place.login))
    source.chmod(0o600)
    place.lab.faults.fail("PutParameter", AwsError("AccessDeniedException", "Not now."), call=4)
    broken = place.rollout("run", source=f"file:{source}")
    assert broken.code == 4, broken.err
    run, _ = events_of(place)
    before = parameters()
    source.unlink()
    gone = place.cli("resume", run)
    assert gone.code in {2, 3, 4}
    assert str(source) in gone.err
    assert parameters() == before
    source.write_text(json.dumps(place.login))
    source.chmod(0o600)
    assert place.cli("resume", run).code == 0
