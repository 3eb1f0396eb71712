"""`rotate` in the lab: the fleet first, then AWSCURRENT; and everything that happens where nobody watches."""

import contextlib
import json
import shlex
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import boto3
import pytest

from orchestrator.cli import crew
from orchestrator.clock import SystemClock
from orchestrator.core.events import Concluded, Delivered, Event, Promoted, Promoting, RunEnded, Sent
from orchestrator.lab.scenario import AfterRestart, Ssm
from orchestrator.report.notices import LATE
from tests.receiver import Received, receiver
from tests.scenario.conftest import QUICK, Answer, Workplace, fleet
from tests.scenario.iam_steps import hold, largest_lock
from tests.scenario.test_recovery import applied, controller, events_of, wait_for

Start = Callable[..., Workplace]


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Received]:
    with receiver() as received:
        monkeypatch.setenv("TEAM_HOOK", received.url)
        yield received


WRITES = ("Put", "Create", "Update", "Delete", "Register", "Deregister", "Start", "Stop", "Terminate")


def words(place: Workplace, *more: str) -> tuple[str, ...]:
    source = "--credential=secretsmanager:registry"
    return ("rotate", "--cluster", place.lab.scenario.cluster, source, "--allow-removal", *QUICK, *more)


def rotate(place: Workplace, *more: str) -> Answer:
    return place.cli(*words(place, *more))


def pend(place: Workplace, password: str, *, good: bool = True) -> str:
    """Put a pending version with another password, which the registry takes; give the version's id."""
    if good:
        place.lab.registry.logins["puller"] = (*place.lab.registry.logins["puller"], password)
    login = {place.lab.registry_name: {"username": "puller", "password": password}}
    client = boto3.client("secretsmanager")
    put = client.put_secret_value(SecretId="registry", SecretString=json.dumps(login), VersionStages=["AWSPENDING"])
    return put["VersionId"]


def labels() -> dict[str, str]:
    """Say at which version each label of the secret is."""
    found = boto3.client("secretsmanager").describe_secret(SecretId="registry")["VersionIdsToStages"]
    return {label: version for version, those in found.items() for label in those}


def passwords(place: Workplace) -> set[str]:
    """Read every password that a running agent has."""
    return {
        word
        for host in place.lab.hosts.values()
        for word in ("new-password", "the-next-one", "another-one")
        if word in (host.root / "etc/ecs/ecs.config").read_text()
    }


def begin_rotation() -> str:
    """Let Secrets Manager begin a rotation with a function that does nothing; give the pending version's id."""
    client = boto3.client("secretsmanager")
    with contextlib.suppress(client.exceptions.ResourceNotFoundException):  # there is no such function
        client.rotate_secret(
            SecretId="registry", RotationLambdaARN="arn:aws:lambda:us-east-1:123456789012:function:none"
        )
    return labels()["AWSPENDING"]


def come_back(place: Workplace, name: str) -> None:
    """Let an instance that was out of reach of SSM be in reach again."""
    host = place.lab.hosts[name]
    host.spec = replace(host.spec, ssm=Ssm.ONLINE)


def test_a_pending_version_is_rolled_and_promoted(workplace: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fleet gets the pending version, then AWSCURRENT moves, once; the report says so, and who runs what."""
    place = workplace(*fleet(3))
    place.put_secret()
    assert rotate(place).code == 0  # the current version, which the fleet lacks
    before = labels()["AWSCURRENT"]
    version = pend(place, "the-next-one")
    with receiver() as hook:
        monkeypatch.setenv("TEAM_HOOK", hook.url)
        done = rotate(place, "--notify=webhook:env:TEAM_HOOK", "--output", "json")
    assert done.code == 0, (done.err, done.out)
    assert set(done.outcomes.values()) == {"updated(verified)"}
    assert labels() == {"AWSCURRENT": version, "AWSPENDING": version, "AWSPREVIOUS": before}
    assert passwords(place) == {"the-next-one"}
    promotion = done.report["run"]["promotion"]
    assert (promotion["secret"], promotion["version"], promotion["before"]) == ("registry", version, before)
    assert promotion["moved_at"] >= done.report["run"]["ended_at"]
    overlap = done.report["overlap"]
    assert overlap["verdict"] == "unused"
    assert overlap["summary"].startswith("The previous credential is no longer used by any instance, since ")
    assert place.calls("UpdateSecretVersionStage") == 1
    message = hook.texts[-1].splitlines()
    assert f"AWSCURRENT of registry was moved to {version}, from {before}." in message
    assert message[message.index(overlap["summary"]) + 1] == "Nothing to do."
    run = done.report["run"]["id"]
    assert f"AWSCURRENT of registry was moved to {version}" in " ".join(place.cli("report", run).out.split())
    told = " ".join(place.cli("why", run, fleet(1)[0].instance_id).out.split())
    assert f"AWSCURRENT of registry is at {version}" in told
    assert not any("the-next-one" in line for line in place.said)


def test_nothing_to_do_touches_nothing(workplace: Start) -> None:
    """A fleet that runs the current version: exit 0, a sentence, each thing read once, and nothing written anywhere."""
    place = workplace(*fleet(2))
    place.put_secret()
    assert rotate(place).code == 0
    runs = place.cli("runs", "--output", "json").out
    version = labels()["AWSCURRENT"]
    before = len(place.lab.recorder.exchanges)
    done = rotate(place)
    assert done.code == 0, done.err
    said = " ".join(done.out.split())
    assert f"Nothing to do: AWSCURRENT of registry ({version}) runs on 2 of 2 instances." in said
    assert "The previous credential is no longer used by any instance, since " in said
    asked = [each.operation for each in place.lab.recorder.exchanges[before:]]
    assert not [each for each in asked if each.startswith(WRITES)], asked
    sent = [each for each in place.lab.recorder.exchanges[before:] if each.operation == "SendCommand"]
    assert [json.loads(each.body)["DocumentName"] for each in sent] == ["ecs-rollout-inspect"]
    assert sorted(each for each in asked if each not in {"SendCommand", "ListCommandInvocations", "GET /v2/"}) == [
        "DescribeAutoScalingInstances",
        "DescribeClusters",
        "DescribeContainerInstances",
        *["DescribeDocument"] * 3,
        "DescribeInstanceInformation",
        "DescribeSecret",
        "GetParameter",
        "GetParametersByPath",
        "GetSecretValue",
        "ListContainerInstances",
    ], "12 calls beside the inspection, its polls and the registry"
    assert place.cli("runs", "--output", "json").out == runs
    told = rotate(place, "--output", "json")
    assert told.report["verdict"] == "unused"
    assert told.report["nothing_to_do"].startswith("Nothing to do: ")


def test_a_shared_journal_is_read_no_further_than_needed(workplace: Start) -> None:
    """With the journal in a table a night with nothing to do lists the runs twice and reads the newest two."""
    place = workplace(*fleet(1))
    place.put_secret()
    shared = "--state=dynamodb:rollouts"
    assert place.cli("state", "init", shared).code == 0
    assert rotate(place, shared).code == 0
    for password in ("the-next-one", "another-one"):
        pend(place, password)
        assert rotate(place, shared).code == 0
    before = len(place.lab.recorder.exchanges)
    done = rotate(place, shared)
    assert done.code == 0, done.err
    assert "no longer used by any instance, since " in " ".join(done.out.split())
    asked = Counter(each.operation for each in place.lab.recorder.exchanges[before:])
    assert {name: asked[name] for name in ("Query", "GetItem", "PutItem", "TransactWriteItems")} == {
        "Query": 4,
        "GetItem": 2,
        "PutItem": 0,
        "TransactWriteItems": 0,
    }


def test_a_journal_that_is_not_there_is_told(workplace: Start, hook: Received) -> None:
    """A table that nobody made ends the night before anything is touched, and somebody hears of it."""
    place = workplace(*fleet(1))
    place.put_secret()
    ended = rotate(place, "--state=dynamodb:nowhere", "--notify=webhook:env:TEAM_HOOK")
    assert ended.code == 4, ended.err
    (told,) = hook.texts
    assert "DID NOT RUN on cluster demo" in told
    assert "there is no such table" in told


def test_a_failing_canary_leaves_the_label(workplace: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """A canary that does not come back: AWSCURRENT stays, the exit code is 1, report and notice say so."""
    specs = fleet(3)
    place = workplace(*(replace(each, after_restart=AfterRestart.STAYS_DOWN) for each in specs))
    place.put_secret()
    before = labels()["AWSCURRENT"]
    pend(place, "the-next-one")
    with receiver() as hook:
        monkeypatch.setenv("TEAM_HOOK", hook.url)
        done = rotate(place, "--notify=webhook:env:TEAM_HOOK", "--output", "json")
    assert done.code == 1, done.err
    assert any("HALTED" in text for text in hook.texts)
    assert labels()["AWSCURRENT"] == before
    assert min(done.outcomes.values()).startswith("not_attempted")
    assert done.report["run"]["promotion"] is None
    assert done.report["run"]["promotion_left"].startswith(f"AWSCURRENT of registry stays at {before}: ")
    assert place.calls("UpdateSecretVersionStage") == 0


def test_a_bad_pending_version_reaches_nobody(workplace: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """A login that the registry refuses is found by the probe: exit 3, nothing was touched, the label stays.

    The command that the notice names looks at that version, not at the current one, which is good.
    """
    place = workplace(*fleet(2))
    place.put_secret()
    before = labels()["AWSCURRENT"]
    pend(place, "the-next-one", good=False)
    with receiver() as hook:
        monkeypatch.setenv("TEAM_HOOK", hook.url)
        done = rotate(place, "--notify=webhook:env:TEAM_HOOK")
    assert done.code == 3, done.err
    assert place.touched() == []
    assert labels()["AWSCURRENT"] == before
    (told,) = hook.texts
    assert told.endswith("Next: ecs-rollout plan --cluster demo --credential 'secretsmanager:registry#AWSPENDING'")
    assert place.cli(*shlex.split(told.rpartition("Next: ecs-rollout ")[2])).code == 3


def test_a_pending_version_without_a_value(workplace: Start) -> None:
    """Secrets Manager's own rotation has begun and its first step has not: said as what it is, and nothing touched."""
    place = workplace(*fleet(1))
    place.put_secret()
    version = begin_rotation()
    refused = rotate(place)
    assert refused.code == 3, refused.err
    assert f"error: The version {version} of registry is AWSPENDING and has no value yet: createSecret" in refused.err
    assert "aws secretsmanager cancel-rotate-secret --secret-id registry" in refused.err
    assert place.touched() == []


def test_the_region_is_named_where_the_secret_is_not(workplace: Start) -> None:
    """A schedule that looks in another Region than it should is told where it looked, and at which flag to look."""
    place = workplace(*fleet(1))
    place.put_secret()
    for name in ("rotate", "plan"):
        refused = place.cli(name, *words(place, "--region=eu-central-1")[1:])
        assert refused.code == 2, refused.err
        assert "registry in eu-central-1." in refused.err
        assert "--region" in refused.err.partition("hint: ")[2]


def test_a_held_cluster_is_left_or_waited_for(workplace: Start) -> None:
    """Another living run holds the cluster: exit 5 at once; with --wait-for-lock it is waited for, said once."""
    place = workplace(*fleet(1))
    place.put_secret()
    now = SystemClock().now()
    hold(1, since=now, heartbeat=now)
    refused = rotate(place)
    assert refused.code == 5, refused.err
    assert "anna@bastion holds this cluster" in refused.err
    looked = place.calls("GetParametersByPath")

    def let_go() -> None:
        while place.calls("GetParametersByPath") == looked:
            threading.Event().wait(0.1)
        threading.Event().wait(1)  # the answer is on its way
        hold(1, since=now, heartbeat=now, released=True)

    free = threading.Thread(target=let_go)
    free.start()
    done = rotate(place, "--wait-for-lock=2m")
    free.join()
    assert done.code == 0, done.err
    assert done.err.count("waiting until anna@bastion lets go of the cluster") == 1
    assert place.touched() == [fleet(1)[0].instance_id]


def test_time_that_runs_out_is_no_failure_of_the_fleet(workplace: Start) -> None:
    """--max-duration stops admission in time, exit 1 and its own words; the next schedule does the rest, promotes."""
    place = workplace(*fleet(3))
    place.put_secret()
    before = labels()["AWSCURRENT"]
    version = pend(place, "the-next-one")
    # 70 s are what one instance may take (delivery and watchdog); the canary is begun within the rest, and no second.
    short = rotate(place, "--max-duration=71s", "--bake=30s", "--on-halt=restore", "--output", "json")
    assert short.code == 1, short.err
    assert short.report["run"]["result"] == "interrupted"
    assert short.report["run"]["halted"].startswith("out of time: --max-duration 71s")
    assert "taking back" not in short.err
    assert labels()["AWSCURRENT"] == before
    assert place.cli(*words(place, "--max-duration=70s")).code == 2
    rest = rotate(place, "--output", "json")
    assert rest.code == 0, rest.err
    assert labels()["AWSCURRENT"] == version
    assert sorted(applied(place)) == sorted(place.lab.hosts)


def killed(place: Workplace, at: type[Event] = Sent, *more: str, released: bool = False) -> str:
    """Kill a rotation with SIGKILL once its journal holds this, and let its heartbeat grow old; give its run.

    `released`: not before it has let go of the cluster, too.
    """
    with controller(*words(place, "--max-unavailable=50%", *more)) as process:
        wait_for(place, at, process)
        while released and not largest_lock()[1]["released"]:
            assert process.poll() is None
            threading.Event().wait(0.05)
        process.kill()
        process.wait()
    number, owner = largest_lock()
    hold(number, **{**owner, "heartbeat": 2.0})
    return events_of(place)[0]


@pytest.mark.parametrize("at", [Delivered, Concluded, RunEnded, Promoting])
def test_killed_anywhere_it_is_promoted_once(workplace: Start, at: type[Event]) -> None:
    """Killed as soon as something is journaled, and started again: the fleet has it, and AWSCURRENT moved once."""
    place = workplace(*fleet(2))
    place.put_secret()
    version = pend(place, "the-next-one")
    killed(place, at)
    done = rotate(place)
    assert done.code == 0, (done.err, done.out)
    assert labels()["AWSCURRENT"] == version
    assert passwords(place) == {"the-next-one"}
    assert place.calls("UpdateSecretVersionStage") == 1
    assert sorted(applied(place)) == sorted(place.lab.hosts)


@pytest.mark.parametrize(("at", "released"), [(RunEnded, False), (Promoted, True)])
def test_an_end_that_nobody_was_told_of_is_told_late(
    workplace: Start, hook: Received, monkeypatch: pytest.MonkeyPatch, at: type[Event], *, released: bool
) -> None:
    """Killed after the run's end and before its notice: the next schedule tells how it ended, once."""
    place = workplace(*fleet(2))
    place.put_secret()
    version = pend(place, "the-next-one")
    notify = "--notify=webhook:env:TEAM_HOOK"
    if not released:  # it would be through with the rest before it is seen that it has ended
        place.lab.faults.hold("UpdateSecretVersionStage", 5.0)
    run = killed(place, at, notify, released=released)
    assert not any("ended" in text for text in hook.texts)
    if released:  # it could live, and be about to tell
        assert rotate(place, notify).code == 0
        assert not any(LATE in text for text in hook.texts)
        monkeypatch.setattr(crew, "TELLING_SECONDS", 0.0)
    for _ in range(2):
        assert rotate(place, notify).code == 0
    (late,) = (text for text in hook.texts if LATE in text)
    assert f"\nRun {run}.\nNext: ecs-rollout generations --cluster demo " in late
    assert "2 of 2 instances run the credential (2 updated)" in late
    assert (f"AWSCURRENT of registry was moved to {version}" in late) is released
    assert "those who want to know were told how the run ended" in place.cli("why", run, fleet(1)[0].instance_id).out


def test_a_label_that_may_not_be_moved(workplace: Start) -> None:
    """Without the permission the fleet has the version, AWSCURRENT stays, exit 1, and the error names the action."""
    place = workplace(*fleet(1))
    place.put_secret()
    before = labels()["AWSCURRENT"]
    version = pend(place, "the-next-one")
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    denied = {"Effect": "Deny", "Action": "secretsmanager:UpdateSecretVersionStage", "Resource": "*"}
    place.lab.access.enforce({"Version": "2012-10-17", "Statement": [everything, denied]})
    done = rotate(place, "--output", "json")
    assert done.code == 1
    assert set(done.outcomes.values()) == {"updated(verified)"}
    assert labels()["AWSCURRENT"] == before
    left = done.report["run"]["promotion_left"]
    assert left.endswith("Not allowed: secretsmanager:UpdateSecretVersionStage.")
    assert done.report["run"]["promotion"]["moved_at"] is None
    place.lab.access.enforce(None)
    assert rotate(place).code == 0
    assert labels()["AWSCURRENT"] == version


@pytest.mark.parametrize("stood_for", [False, True])
def test_an_interrupted_run_is_finished_first(workplace: Start, stood_for: bool) -> None:  # noqa: FBT001 - a case
    """Killed in the middle and started again by the schedule: the old run ends first, then AWSCURRENT moves, once.

    So it is where somebody had taken the cluster over meanwhile, and died before a run of theirs began.
    """
    place = workplace(*fleet(4))
    place.put_secret()
    version = pend(place, "the-next-one")
    run = killed(place)
    if stood_for:
        number, owner = largest_lock()
        hold(number + 1, run="another", heartbeat=2.0, before=owner)
    done = rotate(place, "--output", "json")
    assert done.code == 0, (done.err, done.out)
    assert f"first the run {run} is finished, which was interrupted" in done.err
    assert done.report["run"]["id"] != run
    assert set(done.outcomes.values()) == {"current(already_current)"}
    assert labels()["AWSCURRENT"] == version
    assert place.calls("UpdateSecretVersionStage") == 1
    assert sorted(applied(place)) == sorted(place.lab.hosts)
    assert place.cli("report", run, "--output", "json").report["run"]["result"] == "ok"


def test_a_dead_run_that_nobody_knows_is_taken_over(workplace: Start, tmp_path: Path) -> None:
    """Where the journal does not know the dead run, its commands are waited for and the cluster is taken over."""
    place = workplace(*fleet(2))
    place.put_secret()
    version = pend(place, "the-next-one")
    killed(place)
    done = rotate(place, "--journal", str(tmp_path / "another.db"))
    assert done.code == 0, done.err
    assert "cannot be resumed from here: its cluster is taken over" in done.err
    assert labels()["AWSCURRENT"] == version


def test_laggards_are_retried_and_a_share_may_do(workplace: Start) -> None:
    """One is out of reach: the label stays; with --promote-at it moves, with a warning; once it is back it is done."""
    specs = fleet(4)
    place = workplace(*specs[:3], replace(specs[3], ssm=Ssm.CONNECTION_LOST))
    place.put_secret()
    before = labels()["AWSCURRENT"]
    version = pend(place, "the-next-one")
    allowed = "--max-unreachable=50%"
    first = rotate(place, allowed)
    assert first.code == 1
    assert f"AWSCURRENT of registry stays at {before}: 3 of 4 instances run it" in " ".join(first.out.split())
    assert labels()["AWSCURRENT"] == before
    second = rotate(place, allowed, "--promote-at=75%", "--output", "json")
    assert second.code == 1
    assert "--promote-at 75% is a weaker promise than the whole fleet: 3 of 4 instances run it" in second.err
    assert second.report["overlap"]["verdict"] == "unknown"
    assert labels()["AWSCURRENT"] == version
    assert specs[3].instance_id not in place.touched()
    come_back(place, specs[3].instance_id)
    third = rotate(place, "--output", "json")
    assert third.code == 0, third.err
    there = dict.fromkeys((each.instance_id for each in specs[:3]), "current(already_current)")
    assert third.outcomes == {**there, specs[3].instance_id: "updated(verified)"}
    assert third.report["overlap"]["verdict"] == "unused"
    assert sorted(applied(place)) == sorted(place.lab.hosts), "each was changed once, in whichever night"


def test_the_label_waits_for_a_laggard(workplace: Start) -> None:
    """The night in which the last instance gets the pending version moves AWSCURRENT; the report names its command."""
    specs = fleet(2)
    place = workplace(specs[0], replace(specs[1], ssm=Ssm.CONNECTION_LOST))
    place.put_secret()
    version = pend(place, "the-next-one")
    first = rotate(place, "--max-unreachable=50%")
    assert first.code == 1
    come_back(place, specs[1].instance_id)
    advised = shlex.split(first.out.rpartition("\n  ecs-rollout rotate ")[2].replace("\\\n", " "))
    done = place.cli("rotate", *advised, "--output", "json")
    assert done.code == 0, done.err
    assert done.report["run"]["promotion"]["version"] == labels()["AWSCURRENT"] == version
    assert place.calls("UpdateSecretVersionStage") == 1


def test_a_failing_night_takes_back_what_it_had_updated(workplace: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """--on-halt restore: who got the version has the old login again, AWSCURRENT stays, exit 1; notices say so."""
    specs = fleet(3)
    place = workplace(*specs[:2], replace(specs[2], after_restart=AfterRestart.STAYS_DOWN))
    place.put_secret()
    before = labels()["AWSCURRENT"]
    booted = {host.instance_id: host.config_file.read_bytes() for host in place.lab.hosts.values()}
    pend(place, "the-next-one")
    with receiver() as hook:
        monkeypatch.setenv("TEAM_HOOK", hook.url)
        done = rotate(place, "--notify=webhook:env:TEAM_HOOK", "--on-halt=restore", "--output", "json")
    assert done.code == 1, done.err
    assert sorted(done.outcomes.values()) == ["rolled_back(agent_did_not_return)", *["updated(verified)"] * 2]
    assert labels()["AWSCURRENT"] == before
    assert {host.instance_id: host.config_file.read_bytes() for host in place.lab.hosts.values()} == booted
    assert done.report["overlap"] is None, "it would be wrong once they are taken back"
    ended, back = hook.texts[2], hook.texts[-1]
    assert f"\nAWSCURRENT of registry stays at {before}: 1 failed, --max-failures 0 allows 0 of 3" in ended
    assert "\n--on-halt restore: what was changed is taken back now, on 2 of 3 instances; a message follows.\n" in ended
    run = done.report["run"]["id"]
    assert f"Taking back the run {run} ended on cluster demo" in back
    assert "2 rolled_back, 1 skipped" in back
    assert f"\nNext: ecs-rollout report {run}" in back


def test_a_doubt_names_the_command_that_tells_of_it(workplace: Start, hook: Received) -> None:
    """Where it is not known whether the old one may be revoked, the notice's command lists the doubts as it stands."""
    specs = fleet(2)
    place = workplace(specs[0], replace(specs[1], ssm=Ssm.CONNECTION_LOST))
    place.put_secret()
    done = rotate(place, "--notify=webhook:env:TEAM_HOOK", f"--exclude={specs[1].instance_id}")
    assert done.code == 0, done.err
    assert done.err.count("2 container instances in demo; inspecting 1 of them") == 1
    told = hook.texts[-1]
    assert (
        f"Unknown: no instance is seen to use the previous credential, but it may come back by {specs[1].instance_id}."
        in told
    )
    following = told.rpartition("\nNext: ecs-rollout ")[2]
    assert following.startswith("generations --cluster demo --credential secretsmanager:registry ")
    shown = place.cli(*shlex.split(following))
    assert shown.code == 0, shown.err
    assert f"unknown(not_inspected): {specs[1].instance_id}" in shown.out


def test_flags_that_do_not_fit_are_told(workplace: Start, hook: Received, tmp_path: Path) -> None:
    """What ends the night before AWS is asked is told as well: a time that is too short, a journal that is none."""
    place = workplace(*fleet(1))
    (tmp_path / "no.db").write_text("no journal")
    for wrong, code in ((("--max-duration=5s",), 2), (("--journal", str(tmp_path / "no.db")), 4)):
        ended = rotate(place, "--notify=webhook:env:TEAM_HOOK", *wrong)
        assert ended.code == code, ended.err
        assert f"DID NOT RUN on cluster demo (account 123456789012, us-east-1) (exit code {code})" in hook.texts[-1]
        assert ended.err.partition("error: ")[2].partition("\n")[0] in hook.texts[-1]
    assert len(hook.texts) == 2


@pytest.mark.parametrize("source", ["ssm:/registry", "secretsmanager:registry#AWSPENDING", "file:x"])
def test_only_a_secret_has_labels(workplace: Start, source: str) -> None:
    """Any other source than a secret by its name is refused before AWS is asked anything."""
    place = workplace(publish=False)
    refused = place.cli("rotate", "--cluster", "demo", "--credential", source)
    assert refused.code == 2
    assert "Write --credential secretsmanager:NAME, without a stage or version" in refused.err
    assert len(place.lab.recorder.exchanges) == 0
