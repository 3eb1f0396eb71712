"""What a plan says to somebody who has to decide."""

import json
import shlex
from dataclasses import replace
from typing import Any

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.cli import flags, options
from orchestrator.cli.rollout_options import rollout_options
from orchestrator.core.agent_auth import Login
from orchestrator.core.amount import Amount
from orchestrator.core.credential import Credential, Entry
from orchestrator.core.model import Decision, DecisionKind, Ping, Plan, Planned
from orchestrator.core.reasons import EXPLANATIONS, Reason
from orchestrator.core.settings import EVERYTHING, Policy, ZoneOrder
from orchestrator.report.estimates import USUAL, Expected, Experience, Places, expect, learn, times, whole_run
from orchestrator.report.layout import folded_command
from orchestrator.report.plans import Wish, plan_json, plan_text
from orchestrator.report.times import duration
from tests.fake_fleet import Host, Rollout, VirtualClock, World, fleet_of, roll

WISH = Wish(words="secretsmanager:registry", credential=None, places=Places(window=2))
COMMAND = ("ecs-rollout", "run", "--cluster", "web", "--credential", "secretsmanager:registry")


def planned_for(hosts: list[Host], policy: Policy | None = None) -> Plan:
    rollout = Rollout(World(hosts, VirtualClock()), policy or Policy())
    return Plan(cluster="c", generation="g", planned=rollout.plan(fence=1))


def test_the_table_goes_by_wave() -> None:
    """Each wave has its caption with its size, its instances below in the order of admission, the others last."""
    planned = planned_for([*fleet_of(10), Host("i-0000000000000a001", ping=Ping.CONNECTION_LOST)])
    lines = plan_text(planned, WISH).split("\n\n")[0].splitlines()
    captions = [line for line in lines if line.startswith("--")]
    assert captions == ["-- wave 1, the canary: 1", "-- wave 2: 4", "-- wave 3: 5", "-- not changed: 1"]
    keys = [line.split()[0] for line in lines if line.startswith("i-")]
    assert keys == [each.key for each in planned.planned]
    assert lines[-1].split()[-2:] == ["skip", "ssm_offline"]


def test_those_who_stay_are_named_with_what_to_do() -> None:
    """Why an instance is not changed stands below the table: who, what it means, what to do."""
    hosts = [*fleet_of(2), *(Host(f"i-0000000000000a00{number}", persistence="ephemeral") for number in range(5))]
    text = " ".join(plan_text(planned_for(hosts), WISH).split())
    assert (
        "- ephemeral (i-0000000000000a000, i-0000000000000a001, i-0000000000000a002 and 2 more): The agent keeps no"
        in text
    )


def test_registries_are_counted_on_those_that_are_changed() -> None:
    """The numbers agree with how many would be changed; for whom others are refused stands apart, with its flag."""
    hosts = fleet_of(5)
    for host in hosts:
        host.registries = ("old.example",)
    apply = Decision(DecisionKind.APPLY, Reason.NEEDS_UPDATE)
    current = Decision(DecisionKind.SKIP, Reason.ALREADY_CURRENT)
    refused = Decision(DecisionKind.REFUSE, Reason.REGISTRY_REMOVED)
    planned = tuple(
        Planned(key=each.key, instance=each.instance, facts=each.facts, decision=decision, wave=int(decision.changes))
        for each, decision in zip(planned_for(hosts).planned, (apply, apply, apply, current, refused), strict=True)
    )
    entry = Entry(key="new.example", login=Login(username="u", password="p"))
    wish = replace(WISH, credential=Credential(entries=(entry,)))
    text = plan_text(Plan(cluster="c", generation="g", planned=planned), wish)
    assert "  added: new.example (on 3)\n  removed: old.example (on 3)\n" in text
    assert "\n  not removed without --allow-removal: old.example (on 1)\n3 of 5 instances would be changed" in text


def test_a_large_fleet_is_summed_up_by_kind() -> None:
    """5,000 instances make a plan of one screen that accounts for each; --full and JSON name everybody."""
    hosts = [*fleet_of(4990), *(Host(f"i-0000000000000a00{number}", persistence="ephemeral") for number in range(10))]
    planned = planned_for(hosts)
    text = plan_text(planned, WISH)
    assert len(text.splitlines()) <= 24
    rows = [line.split() for line in text.split("\n\n")[0].splitlines()[1:]]
    assert [(row[0], row[1], row[-1]) for row in rows] == [
        ("1", "1", "needs_update"),
        ("2", "498", "needs_update"),
        ("3", "1996", "needs_update"),
        ("4", "2495", "needs_update"),
        ("-", "10", "ephemeral"),
    ]
    assert "Every instance by name: --full, or --output json." in text
    full = plan_text(planned, replace(WISH, full=True))
    assert sum(line.startswith("i-") for line in full.splitlines()) == 5000
    assert "--full" not in full
    assert len(json.loads(plan_json(planned, WISH))["instances"]) == 5000


def test_the_duration_is_that_of_earlier_runs() -> None:
    """With earlier runs the plan says how long it takes by their median; without, that it is a guess."""
    first, _, _ = roll(fleet_of(6, apply_seconds=20, reconnect_seconds=0))
    experience = learn([first])
    assert experience is not None
    assert (experience.instances, experience.runs) == (6, 1)
    planned = planned_for(fleet_of(10))
    text = " ".join(plan_text(planned, replace(WISH, experience=experience)).split())
    # Waves of 1, 4 and 5, two at a time: 1 + 2 + 3 turns.
    assert f"Duration: about {duration(6 * experience.seconds)}; in this cluster's last run an instance took" in text
    assert "(median of 6)" in text
    unknown = " ".join(plan_text(planned, WISH).split())
    assert "Duration: unknown, this cluster has no earlier run in the journal; about 6 min if" in unknown
    taught_nothing = " ".join(plan_text(planned, replace(WISH, runs=2)).split())
    assert "unknown, no earlier run of this cluster in the journal has updated an instance; about" in taught_nothing


def test_failures_teach_nothing_about_time() -> None:
    """An instance that failed or was rolled back does not count for the median; a run of only those is none."""
    state, _, _ = roll(fleet_of(1, behaviour="failed"))
    assert learn([state]) is None


def test_bake_time_counts() -> None:
    """Between waves comes the bake time, not after the last."""
    planned = planned_for(fleet_of(10))  # in waves of 1, 4 and 5
    assert whole_run(planned, Places(window=2), each=10, bake=300) == 10 * (1 + 2 + 3) + 2 * 300
    assert whole_run(replace(planned, planned=()), Places(window=2), each=10, bake=300) == 0


@pytest.mark.parametrize(
    ("zones", "per_zone", "turns"),
    [
        (ZoneOrder.SPREAD, None, 3),
        (ZoneOrder.SPREAD, "2", 4),
        (ZoneOrder.ONE_BY_ONE, None, 1 + 2 + 1),
        (ZoneOrder.ONE_BY_ONE, "2", 1 + 4 + 1),
    ],
)
def test_zones_take_time(zones: ZoneOrder, per_zone: str | None, turns: int) -> None:
    """Where so many of a zone or one zone at a time are taken, a run takes the turns that it is given room for."""
    policy = Policy(
        waves=(EVERYTHING,),
        zones=zones,
        max_unavailable=Amount.parse("5"),
        max_unavailable_per_zone=Amount.parse(per_zone) if per_zone else None,
    )
    hosts = [Host(f"i-{number:017x}", zone=zone) for number, zone in enumerate("aabbbbbbbcc")]
    state, _, _ = roll(hosts, policy)
    each = Experience(seconds=50, most=50, instances=1, runs=1)
    assert expect(Plan(cluster="c", generation="g", planned=state.run.planned), policy, each).whole == turns * 50
    assert state.ended_at is not None
    assert round((state.ended_at - state.started_at) / max(times(state))) == turns


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (45, "45 s"), (119, "119 s"), (203, "3 min 20 s"), (598, "10 min"), (1500, "25 min"),
     (7500, "2 h 5 min"), (10800, "3 h")],
)  # fmt: skip
def test_times_are_worded_for_somebody_who_waits(seconds: float, text: str) -> None:
    """As exact as it is of use."""
    assert duration(seconds) == text


def test_the_next_command_is_exact() -> None:
    """The plan ends with the command that carries it out; where nobody is to change there is none."""
    wish = replace(WISH, next_command=COMMAND)
    text = plan_text(planned_for(fleet_of(2)), wish)
    assert shlex.split(text.partition("Next:\n")[2].replace("\\\n", " ")) == list(COMMAND)


def test_a_plan_that_refuses_everybody_says_why_and_what_to_do() -> None:
    """Nobody to change is good only where all is as wanted; else the commonest reason stands there, with its remedy."""
    wish = replace(WISH, next_command=COMMAND)
    refused = planned_for([*fleet_of(2, persistence="unknown"), Host("i-0000000000000a001", ping=Ping.CONNECTION_LOST)])
    idle = " ".join(plan_text(refused, wish).partition("Next: ")[2].split())
    reason = Reason.PERSISTENCE_UNKNOWN
    assert idle == (
        f"nothing yet; 2 of 3 would be refused ({reason}), and 1 more are not changed either. "
        f"{EXPLANATIONS[reason].remedy}"
    )
    current = plan_text(Plan(cluster="c", generation="g", planned=()), wish)
    assert current.endswith("Next: nothing; no instance would be changed.")


@given(st.lists(st.text(min_size=1, max_size=30).filter(lambda word: "\0" not in word), min_size=1, max_size=12))
def test_a_folded_command_is_the_same_command(words: list[str]) -> None:
    """Whatever its words hold, the shell reads the folded command as the words that it was made of."""
    assert shlex.split(folded_command(words).replace(" \\\n", " ")) == words


def test_the_flags_are_said_again_as_they_were() -> None:
    """Flags of the next command are those of this one, in its order, without those that only this one has."""
    said: list[Any] = []

    @click.command(cls=flags.RememberingCommand)
    @options.credential_options
    @rollout_options
    @options.plan_output
    def probe(**_: object) -> None:
        context = click.get_current_context()
        said.append(flags.words(context, without={"output"}))
        said.append(flags.given(context, without={"output"}))

    window = "Mon-Fri 02:00-05:00 Europe/Berlin"
    probe.main(
        ["--cluster=a", "--allow-removal", "--window", window, "--instance=i-2", "--credential", "ssm:/x", "--output",
         "json", "--instance", "i-1", "--cluster", "web"],
        standalone_mode=False,
    )  # fmt: skip
    assert said[0] == (
        "--cluster", "web", "--allow-removal", "--window", window, "--instance", "i-2", "--credential", "ssm:/x",
        "--instance", "i-1",
    )  # fmt: skip
    assert said[1] == {
        "cluster": "web",
        "allow_removal": True,
        "window": [window],
        "instance": ["i-2", "i-1"],
        "credential": "ssm:/x",
    }


def test_the_json_tells_what_the_text_tells() -> None:
    """Waves, estimate and next command stand in the JSON, too."""
    planned = planned_for(fleet_of(10))
    wish = replace(WISH, experience=Experience(seconds=5, most=9, instances=3, runs=2), next_command=COMMAND)
    told = json.loads(plan_json(planned, wish))["plan"]
    assert told["waves"] == [1, 4, 5]
    assert told["estimate"] == {"seconds": 30, "from_earlier_runs": True, "seconds_per_instance": 5}
    assert told["next_command"] == list(COMMAND)


_hosts = st.builds(
    Host,
    instance_id=st.integers(0, 10**6).map(lambda number: f"i-{number:017x}"),
    zone=st.sampled_from(["us-east-1a", "us-east-1b", "eu-central-1c"]),
    ping=st.sampled_from([Ping.ONLINE] * 4 + list(Ping)),
    persistence=st.sampled_from(["persistent"] * 4 + ["ephemeral", "unknown"]),
    tasks=st.integers(0, 3),
)


@given(st.lists(_hosts, max_size=70, unique_by=lambda host: host.instance_id), st.booleans())
def test_the_table_accounts_for_everybody_exactly_once(hosts: list[Host], full: bool) -> None:  # noqa: FBT001 - drawn
    """Whatever the fleet, by name or by kind: each instance to be changed stands in its wave once, no line is wide."""
    planned = planned_for(hosts)
    text = plan_text(planned, replace(WISH, full=full))
    assert max(map(len, text.splitlines())) <= 80
    lines = text.split("\n\n")[0].splitlines()
    if full or len(hosts) <= 50:
        named = [line.split()[0] for line in lines if line.startswith("i-")]
        assert sorted(named) == sorted(host.instance_id for host in hosts)
        assert _by_wave(lines) == _waves(planned.planned)
    else:
        rows = [line.split() for line in lines[1:]]
        assert sum(int(row[1]) for row in rows) == len(hosts)
        for wave, keys in _waves(planned.planned).items():
            assert sum(int(row[1]) for row in rows if row[0] == (wave or "-")) == len(keys)


def _by_wave(lines: list[str]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    wave = ""
    for line in lines[1:]:
        if line.startswith("--"):
            words = line.replace(",", " ").replace(":", " ").split()
            wave = words[2] if words[1] == "wave" else ""
            continue
        found.setdefault(wave, set()).add(line.split()[0])
    return found


def _waves(planned: tuple[Planned, ...]) -> dict[str, set[str]]:
    waves: dict[str, set[str]] = {}
    for each in planned:
        waves.setdefault(str(each.wave or ""), set()).add(each.key)
    return waves


def test_room_is_left_for_what_nine_of_ten_took() -> None:
    """An instance is given what nine of ten took, the whole run that for each turn of the window; 120 s if unknown."""
    planned = planned_for(fleet_of(20))  # in waves of 1, 1, 8 and 10
    policy = Policy(max_unavailable=Amount.parse("25%"), bake=60)
    known = Experience(seconds=5, most=30, instances=9, runs=1)
    assert expect(planned, policy, known) == Expected(each=30, whole=(1 + 1 + 2 + 2) * 30 + 3 * 60)
    assert expect(planned, policy, None).each == USUAL


def test_most_is_what_nine_of_ten_took() -> None:
    """One slow instance of ten does not count, two do."""
    hosts = fleet_of(20, apply_seconds=20.0)
    for host in hosts[:2]:
        host.apply_seconds = 150.0
    state, _, _ = roll(hosts, Policy())
    found = learn([state])
    assert found is not None
    assert found.most < 60
    hosts = fleet_of(20, apply_seconds=20.0)
    for host in hosts[:3]:
        host.apply_seconds = 150.0
    state, _, _ = roll(hosts, Policy())
    found = learn([state])
    assert found is not None
    assert (found.most > 140, found.seconds < 60) == (True, True)
