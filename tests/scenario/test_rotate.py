"""`rotate` in the lab: the fleet first, then AWSCURRENT; and everything that happens where nobody watches."""

import json
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import boto3
import pytest

from orchestrator.core.events import Admitted, Promoted, Promoting
from orchestrator.lab.scenario import AfterRestart
from tests.receiver import Received, receiver
from tests.scenario.conftest import QUICK, Answer, Workplace, fleet
from tests.scenario.test_recovery import controller, events_of, journal_of, killed_at, wait_for

Start = Callable[..., Workplace]
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


def test_a_pending_version_is_rolled_and_promoted(workplace: Start) -> None:
    """The fleet gets the pending version, then AWSCURRENT moves, once; the report says so, and who runs what."""
    place = workplace(*fleet(3))
    place.put_secret()
    assert rotate(place).code == 0  # the current version, which the fleet lacks
    before = labels()["AWSCURRENT"]
    version = pend(place, "the-next-one")
    done = rotate(place, "--output", "json")
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
    run = done.report["run"]["id"]
    assert f"AWSCURRENT of registry was moved to {version}" in " ".join(place.cli("report", run).out.split())
    told = " ".join(place.cli("why", run, fleet(1)[0].instance_id).out.split())
    assert f"AWSCURRENT of registry is at {version}" in told
    assert not any("the-next-one" in line for line in place.said)


def test_nothing_to_do_touches_nothing(workplace: Start) -> None:
    """A fleet that runs the current version: exit 0, a sentence, a handful of calls, and nothing written anywhere."""
    place = workplace(*fleet(2))
    place.put_secret()
    assert rotate(place).code == 0
    runs = place.cli("runs", "--output", "json").out
    before = len(place.lab.recorder.exchanges)
    done = rotate(place)
    assert done.code == 0, done.err
    version = labels()["AWSCURRENT"]
    said = " ".join(done.out.split())
    assert f"Nothing to do: AWSCURRENT of registry ({version}) runs on 2 of 2 instances." in said
    assert "The previous credential is no longer used by any instance, since " in said
    asked = [each.operation for each in place.lab.recorder.exchanges[before:]]
    assert not [each for each in asked if each.startswith(WRITES)], asked
    sent = [each for each in place.lab.recorder.exchanges[before:] if each.operation == "SendCommand"]
    assert [json.loads(each.body)["DocumentName"] for each in sent] == ["ecs-rollout-inspect"]
    assert len(asked) <= 30, asked
    assert place.cli("runs", "--output", "json").out == runs
    told = rotate(place, "--output", "json")
    assert told.report["verdict"] == "unused"
    assert told.report["nothing_to_do"].startswith("Nothing to do: ")


def test_a_failing_canary_leaves_the_label(workplace: Start) -> None:
    """A canary that does not come back: AWSCURRENT stays, the exit code is 1, report and notice say so."""
    specs = fleet(3)
    place = workplace(*(replace(each, after_restart=AfterRestart.STAYS_DOWN) for each in specs))
    place.put_secret()
    before = labels()["AWSCURRENT"]
    pend(place, "the-next-one")
    done = rotate(place, "--output", "json")
    assert done.code == 1, done.err
    assert labels()["AWSCURRENT"] == before
    assert sorted(done.outcomes.values())[0].startswith("not_attempted")
    assert done.report["run"]["promotion"] is None
    assert done.report["run"]["promotion_left"].startswith(f"AWSCURRENT of registry stays at {before}: ")
    assert place.calls("UpdateSecretVersionStage") == 0


def test_a_bad_pending_version_reaches_nobody(workplace: Start) -> None:
    """A login that the registry refuses is found by the probe: exit 3, nothing was touched, the label stays."""
    place = workplace(*fleet(2))
    place.put_secret()
    before = labels()["AWSCURRENT"]
    pend(place, "the-next-one", good=False)
    done = rotate(place)
    assert done.code == 3, done.err
    assert place.touched() == []
    assert labels()["AWSCURRENT"] == before
