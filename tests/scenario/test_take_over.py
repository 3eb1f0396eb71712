"""A take-over that begins no run of its own: the dead run is as it was, and can be resumed."""

import os
import shlex
import signal
from collections.abc import Callable
from dataclasses import replace

import boto3
import pytest

from orchestrator.cli.compose import holder
from orchestrator.clock import SystemClock
from orchestrator.core.events import Draining
from orchestrator.lab.scenario import ServiceSpec
from tests.scenario.conftest import QUICK, Workplace, fleet
from tests.scenario.test_draining import standing
from tests.scenario.test_hangup import seated
from tests.scenario.test_recovery import HALF, age_lock, controller, events_of, resumed, run_words, wait_for
from tests.scenario.test_rollout import parameters
from tests.scenario.test_screens import OURS

Start = Callable[..., Workplace]
DRAIN = ("--on-ephemeral=drain", HALF, "--waves=100%")


def killed_while_it_drains(workplace: Start, *flags: str) -> tuple[Workplace, str]:
    """Kill a controller that has drained instances and delivered a credential; give the run, dead for long."""
    place = workplace(*(replace(each, persistent=False) for each in fleet(4)), service=ServiceSpec(stop_seconds=3))
    place.put_secret()
    with controller(*run_words(place, *DRAIN, *flags)) as process:
        wait_for(place, Draining, process)
        while not place.marked():  # the intent is in the journal before its effect
            SystemClock().wait(0.01)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    age_lock(place)
    return place, events_of(place)[0]


def check_that_it_goes_on(place: Workplace, run: str) -> None:
    """Its copy is there, it is resumed, changes everybody, and nobody is DRAINING at its end."""
    assert sum("/payload/" in each for each in parameters()) == 1
    done = place.cli("resume", run, "--output", "json")
    assert done.code == 0, (done.err, done.out)
    assert set(done.outcomes.values()) == {"updated(verified)"}
    assert standing(place) == {each.instance_id: [("ACTIVE", True, ())] for each in fleet(4)}
    assert not any("/payload/" in each for each in parameters())


def asking(place: Workplace, command: str) -> tuple[str, ...]:
    """Write a command that takes over and asks first."""
    if command == "heal":
        return (*OURS, "heal", "--cluster", place.lab.scenario.cluster, *QUICK, "--take-over")
    return tuple(each for each in (*OURS, *run_words(place, *DRAIN, "--take-over")) if each != "--yes")


@pytest.mark.parametrize("command", ["run", "heal"])
def test_who_declines_leaves_the_dead_run_as_it_was(workplace: Start, command: str) -> None:
    """After a no at the question of a run or a healing the dead run goes on; the command says so."""
    place, run = killed_while_it_drains(workplace)
    with seated(*asking(place, command)) as seat:
        seat.wait("[y/N]")
        os.write(seat.master, b"n\n")
        assert seat.ended() == 3, seat.screen
    assert "took over from " in seat.screen
    assert f"`ecs-rollout resume {run}` goes on with it" in seat.screen
    check_that_it_goes_on(place, run)


def test_a_plan_that_is_refused_leaves_the_dead_run_as_it_was(workplace: Start) -> None:
    """One of another run, and one that names an instance that is not there: nothing was begun."""
    place, run = killed_while_it_drains(workplace)
    refused = place.rollout("run", *DRAIN, "--take-over", "--instance=i-0123456789abcdef0")
    assert (refused.code, "Not in the cluster" in refused.err) == (2, True), refused.err
    assert f"nothing was begun: the cluster is the run {run}'s again, as it was" in refused.err
    check_that_it_goes_on(place, run)


def test_who_dies_at_the_question_leaves_the_dead_run_as_it_was(workplace: Start) -> None:
    """Killed there, it gives nothing back; the run that it took over is resumed all the same."""
    place, run = killed_while_it_drains(workplace)
    with seated(*asking(place, "run")) as seat:
        seat.wait("[y/N]")
        seat.process.send_signal(signal.SIGKILL)
        seat.process.wait()
    refused = place.cli("resume", run)
    assert (refused.code, "may still be there for the run" in refused.err) == (5, True), refused.err
    age_lock(place)
    check_that_it_goes_on(place, run)


def test_who_is_refused_by_a_run_at_its_question_is_told_where_that_is(workplace: Start) -> None:
    """It has not begun, so no journal knows it: neither `abort` nor `resume` is named, nor would they find it."""
    place = workplace(*fleet(1))
    place.put_secret()
    with seated(*(each for each in (*OURS, *run_words(place)) if each != "--yes")) as seat:
        seat.wait("[y/N]")
        plan = place.rollout("plan")
        refused = place.rollout("run", "--yes")
        os.write(seat.master, b"n\n")
        assert seat.ended() == 3, seat.screen
    assert refused.code == 5, refused.err
    said = " ".join(refused.err.split())
    assert f"the answer to its question at {holder().partition(' ')[0]} (pid {seat.process.pid}). Answer it" in said
    assert "`ecs-rollout" not in said
    assert "Note: a run would be refused: " in plan.out
    assert "It seems to be alive, and has not begun" in " ".join(plan.out.split())
    assert "Note:" not in place.rollout("plan").out


def test_a_healing_takes_over_from_one_that_died_before_it_began(workplace: Start) -> None:
    """The dead run is waited for and put away by the second one: nobody is DRAINING, no copy is left."""
    place, run = killed_while_it_drains(workplace)
    with seated(*asking(place, "run")) as seat:
        seat.wait("[y/N]")
        seat.process.send_signal(signal.SIGKILL)
        seat.process.wait()
    age_lock(place)
    healed = place.cli("heal", "--cluster", place.lab.scenario.cluster, "--yes", "--take-over", *QUICK)
    assert healed.code == 0, healed.err
    assert f"(run {run})" in healed.err
    assert {each[0][0] for each in standing(place).values()} == {"ACTIVE"}
    assert not any("/payload/" in each for each in parameters())
    gone = resumed(place, run)
    assert gone.code == 3, gone.err


SECRETS = "--delivery=secretsmanager"


@pytest.mark.parametrize("command", ["heal", "run"])
def test_a_copy_is_removed_from_the_store_that_the_dead_run_delivered_to(workplace: Start, command: str) -> None:
    """Whoever takes over looks where the lock says that the dead run delivered, whatever its own flags say."""
    place, run = killed_while_it_drains(workplace, SECRETS)
    copy = f"/ecs-rollout/{place.lab.scenario.cluster}/payload/{run}"
    assert copy in secrets()
    heal = ("heal", "--cluster", place.lab.scenario.cluster, *QUICK)
    preview = place.cli(*heal, "--dry-run")
    assert f"delivered copy to be removed from Secrets Manager: {copy}" in " ".join(preview.out.split()), preview.out
    flags = (*DRAIN, "--take-over")
    done = place.cli(*heal, "--yes", "--take-over") if command == "heal" else place.rollout("run", *flags)
    assert done.code == 0, done.err
    assert copy not in secrets()
    after = place.cli(*heal, "--dry-run")
    assert "none in Parameter Store; --delivery names another store." in " ".join(after.out.split())


def test_a_copy_that_may_not_be_removed_is_said_to_be_there(workplace: Start) -> None:
    """Without rights in the dead run's store the healing goes on, and names the command that removes the copy."""
    place, run = killed_while_it_drains(workplace, SECRETS)
    copy = f"/ecs-rollout/{place.lab.scenario.cluster}/payload/{run}"
    every = {"Action": "*", "Resource": "*"}
    denied = {"Effect": "Deny", "Action": "secretsmanager:*", "Resource": "*"}
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **every}, denied]}
    place.lab.access.enforce(policy)
    heal = ("heal", "--cluster", place.lab.scenario.cluster, *QUICK)
    preview = place.cli(*heal, "--dry-run")
    unseen = "Delivered copies of a credential in Secrets Manager: not seen. Not allowed: secretsmanager:ListSecrets."
    assert unseen in " ".join(preview.out.split()), preview.out
    done = place.cli(*heal, "--yes", "--take-over")
    assert done.code == 0, done.err
    again = f"ecs-rollout heal --cluster {place.lab.scenario.cluster} --delivery secretsmanager"
    assert f"what the run {run} delivered to Secrets Manager was not removed (`{again}` does it)" in done.err
    place.lab.access.enforce(None)
    assert copy in secrets()
    assert place.cli(*shlex.split(again)[1:], "--yes", *QUICK).code == 0
    assert copy not in secrets()


def secrets() -> list[str]:
    return [each["Name"] for each in boto3.client("secretsmanager").list_secrets()["SecretList"]]
