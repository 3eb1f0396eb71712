"""What a plan says of the last run: nobody rolls into the same failure unawares."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest

from orchestrator.cli import showing
from orchestrator.core.amount import Amount
from orchestrator.core.model import Plan
from orchestrator.core.settings import Policy
from orchestrator.core.waves import out_of_order
from orchestrator.report.estimates import Places
from orchestrator.report.last_time import last_time
from orchestrator.report.plans import Wish, plan_json, plan_text
from tests.fake_fleet import Host, Rollout, VirtualClock, World, fleet_of, roll


def planned_for(hosts: list[Host], generation: str = "g") -> Plan:
    rollout = Rollout(World(hosts, VirtualClock()), Policy())
    return Plan(cluster="c", generation=generation, planned=rollout.plan(fence=1))


def test_the_canary_that_was_rolled_back_is_named_where_it_comes_first_again() -> None:
    """With its reason, whether the credential is still that one, and the command that says why."""
    state, _, _ = roll(fleet_of(3, behaviour="rolled_back"))
    canary = next(key for key, each in state.instances.items() if each.outcome and each.outcome.kind == "rolled_back")
    outcome = state.instances[canary].outcome
    assert outcome is not None
    told = last_time(planned_for(fleet_of(3), state.run.generation), [state], ("--journal", "j.db"))
    assert told == (
        f"In the last run here with this same credential, {canary}, the canary again, ended "
        f"rolled_back({outcome.reason}). `ecs-rollout why {state.run.run} {canary} --journal j.db` says why."
    )
    assert "same credential" not in last_time(planned_for(fleet_of(3), "another"), [state])


def test_others_that_failed_are_counted_in() -> None:
    """Several failures are one line; who is not to be changed any more is not in it."""
    state, _, _ = roll(fleet_of(4, behaviour="failed"), Policy(max_failures=(Amount(value=9, percent=False),)))
    told = last_time(planned_for(fleet_of(4)), [state])
    assert told.count(" failed, too. `ecs-rollout why") == 1
    assert all(key in told for key in state.instances)
    none = Plan(cluster="c", generation="g", planned=())
    assert last_time(none, [state]) == ""


def test_a_restore_is_told_and_a_healing_or_a_good_run_is_not_worth_a_line() -> None:
    """Somebody took the last rollout back: whoever plans the next one is to know."""
    good, _, _ = roll(fleet_of(2))
    taken, healed = roll(fleet_of(2), run="run-2", restores="run-1")[0], roll(fleet_of(2), run="run-3", heals=True)[0]
    planned = planned_for(fleet_of(2))
    assert last_time(planned, [healed, taken, good]) == "The last run here, run-2, took the run run-1 back."
    assert last_time(planned, [good, taken]) == ""
    assert last_time(planned, []) == ""


def test_notes_stand_right_before_the_command_that_comes_next() -> None:
    """One line each, in JSON, too."""
    planned = planned_for(fleet_of(2))
    notes = ("a run would be refused: anna holds this cluster.", "The last run here, b, took the run a back.")
    wish = Wish(
        words="ssm:/a", credential=None, places=Places(window=1), notes=notes, next_command=("ecs-rollout", "run")
    )
    text = plan_text(planned, replace(wish, place="web in us-east-1, account 123456789012"))
    assert "\n\nNote: " + "\nNote: ".join(notes) + "\n\nNext:\n" in text
    assert "\nCluster: web in us-east-1, account 123456789012\nCredential: ssm:/a\n" in text
    assert json.loads(plan_json(planned, wish))["plan"]["notes"] == list(notes)


@pytest.mark.parametrize(
    ("waves", "count", "pair"),
    [
        ("1,50,10%", 12, ("50", "10%")),
        ("3,10%,100%", 12, ("3", "10%")),
        ("1,50%,3", 12, ("50%", "3")),
        ("1,50,10%", 1000, None),
        ("1,10%,50%,100%", 3, None),
        ("1,10%,50%,100%", 1, None),
    ],
)
def test_a_wave_that_an_earlier_one_reaches_beyond_is_found(
    waves: str, count: int, pair: tuple[str, str] | None
) -> None:
    """Only the fleet tells a count from a share; waves that are merely the same in a small one are no slip."""
    found = out_of_order(count, [Amount.parse(each) for each in waves.split(",")])
    assert (tuple(map(str, found)) if found else None) == pair


def test_a_percent_sign_that_was_forgotten_is_asked_for() -> None:
    """The plan says what the wave means here, and what may be meant."""
    policy = Policy(waves=tuple(Amount.parse(each) for each in ("1", "50", "10%")), seed="web")
    request = SimpleNamespace(policy=policy, parameter_prefix="/x")
    parts = SimpleNamespace(request=request, loaded=None, cluster="web")
    wish = showing.wish_of(parts, planned_for(fleet_of(12)))  # type: ignore[arg-type]  # what it reads of them
    assert wish.notes == ("--waves: 50 comes before 10%, which is 1 of 12 and adds nobody. Is 50% meant?",)


def test_of_the_runs_that_were_read_one_is_kept() -> None:
    """All of them teach how long an instance takes; of a large fleet's only the newest that was no healing is held."""
    runs = {
        "run-3": roll(fleet_of(2), run="run-3", heals=True)[2].entries,
        "run-2": roll(fleet_of(2), run="run-2")[2].entries,
        "run-1": roll(fleet_of(2), run="run-1")[2].entries,
    }
    heads = [SimpleNamespace(run=run, summary=SimpleNamespace(cluster="c")) for run in runs]
    journal = SimpleNamespace(runs=lambda: heads, entries=runs.__getitem__)
    memory = showing.earlier(journal, "c")
    assert [each.run.run for each in memory.last] == ["run-2"]
    assert memory.runs == 3
    assert memory.experience is not None
    assert memory.experience.runs == 2
