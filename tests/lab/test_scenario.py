"""Scenario files become fleets; what is wrong in one is said with its line and key."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.lab import scenario_keys
from orchestrator.lab.faults import Rate
from orchestrator.lab.scenario import AfterRestart, Deed, Event, InstanceSpec, Scenario, Ssm
from orchestrator.lab.scenario_file import ScenarioError, load, packaged, parse
from orchestrator.lab.tables import Table
from tests import scenario_table
from tests.readme import README

WHOLE = """\
seed = 11
region = "eu-west-1"
cluster = "prod"
account = "210987654321"

[api]
throttle.SendCommand = { rate = 5, burst = 10 }
list_lag_seconds = [0.2, 1.0]
latency_seconds = 0.1
lost_results = 0.25
undeliverable = ["i-0123456789"]

[service]
minimum_healthy_percent = 50

[defaults]
agent_version = "1.90.0"
restart_seconds = [0.1, 0.2]
tasks = { service = 3 }

[[instances]]
count = 2
zone = "eu-west-1b"
attributes = { rack = "7" }

[[instances]]
id = "i-0123456789"
name = "slow one"
agent_after_restart = "slow:20"
tasks = { standalone = 1 }
outcome = "updated"

[[events]]
what = "replace"
instance = "i-0123456789"
when = "begun:ecs-rollout-apply"
nth = 2
after = 0.5
joins = { id = "i-0abcdef01", auth_data = "" }

[[events]]
what = "join"
after = 3
joins = { id = "i-0abcdef02", zone = "eu-west-1b" }
"""


def test_a_whole_file_is_read() -> None:
    """Every table lands in the scenario; an instance's own words go before the defaults."""
    found = parse(WHOLE)
    assert (found.seed, found.region, found.cluster, found.account) == (11, "eu-west-1", "prod", "210987654321")
    assert found.api.seed == 11
    assert found.api.throttle == {"SendCommand": Rate(rate=5, burst=10)}
    assert (found.api.list_lag, found.api.latency, found.api.lost_results) == ((0.2, 1.0), (0.1, 0.1), 0.25)
    assert found.api.undeliverable == {"i-0123456789"}
    assert (found.service.minimum_healthy_percent, found.service.maximum_percent) == (50, 200)
    first, second, slow = found.instances
    assert first.instance_id != second.instance_id
    assert (first.zone, first.agent_version, first.attributes) == ("eu-west-1b", "1.90.0", (("rack", "7"),))
    assert (first.service_tasks, first.standalone_tasks, first.restart_seconds) == (3, 0, (0.1, 0.2))
    assert (slow.zone, slow.slow_registration, slow.after_restart) == ("eu-west-1a", 20.0, AfterRestart.RETURNS)
    assert (slow.service_tasks, slow.standalone_tasks) == (3, 1)
    replaced, joined = found.events
    assert (replaced.what, replaced.instance_id, replaced.nth) == (Deed.REPLACE, slow.instance_id, 2)
    assert (replaced.when, replaced.after) == ("begun:ecs-rollout-apply", 0.5)
    # Who replaces is like who was there; who joins, like the defaults.
    assert replaced.joins == replace(slow, instance_id="i-0abcdef01", auth_data="")
    assert (joined.what, joined.when, joined.after) == (Deed.JOIN, "", 3)
    assert joined.joins is not None
    assert (joined.joins.zone, joined.joins.agent_version) == ("eu-west-1b", "1.90.0")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("seed = 1\nclusterr = 'x'", "line 2: clusterr: there is no such key"),
        ("seed = 1\nx =\n", "no TOML: Invalid value (at line 2"),
        ("[[instances]]\n[[instances]]\n\nssm = 'offline'", "line 4: instances[2].ssm: 'offline' is none of: online"),
        ("[[instances]]\nagent_after_restart = 'slow:soon'", "line 2: instances[1].agent_after_restart: could not"),
        ("[[instances]]\nrestart_seconds = [2, 1]", "line 2: instances[1].restart_seconds: a number, or two"),
        ("[[instances]]\nid = 'i-0123456789'\ncount = 2", "line 2: instances[1].id: an id is for one instance"),
        ("[[instances]]\nid = 'i-0123456789'\n" * 2, "line 4: instances[2].id: i-0123456789 is there twice"),
        ("[[instances]]\nzone = 'eu-west-1a'", "line 2: instances[1].zone: eu-west-1a is not in us-east-1"),
        ("[[instances]]\npersistent = 'no'", "line 2: instances[1].persistent: true or false is wanted"),
        ("[[instances]]\nid = 'x'", "line 2: instances[1].id: 'x' does not look like"),
        ("[[instances]]\ntasks = { services = 1 }", "tasks.services: there is no such key"),
        ("[instances]\ncount = 1", "line 1: instances: write [[instances]]"),
        ("[api]\nlost_results = 2", "line 2: api.lost_results: a share from 0 to 1 is wanted"),
        ("[api]\nthrottle.SendCommand = 3", "line 2: api.throttle: SendCommand needs exactly a rate and a burst"),
        ("[defaults]\nname = 3", "line 2: defaults.name: a string is wanted"),
        ("[[events]]\nwhat = 'explode'", "line 2: events[1].what: 'explode' is none of: terminate"),
        ("[[events]]\nafter = 1", "line 1: events[1].what: say one of: terminate"),
        ("[[events]]\nwhat = 'drain'", "events[1].instance: say whom it happens to"),
        ("[[events]]\nwhat = 'drain'\ninstance = 'i-1'", "line 3: events[1].instance: there is no instance 'i-1'"),
        ("[[events]]\nwhat = 'join'\njoins = { id = 'i-01234567' }\nwhen = 'active'", "events[1].of: say whose"),
        ("[[events]]\nwhat = 'join'", "events[1].joins: give it an id that nobody has"),
        ("[[events]]\nwhat = 'join'\nwhen = 'sometimes'", "events[1].when: 'sometimes' does not look like"),
        ("api = 3", "line 1: api: a table is wanted here"),
        ("seed = true", "line 1: seed: a whole number is wanted"),
    ],
)
def test_what_is_wrong_is_said(text: str, complaint: str) -> None:
    """A complaint names the line, the key and what is wanted; nothing is guessed or ignored."""
    with pytest.raises(ScenarioError) as caught:
        parse(text)
    assert complaint in str(caught.value)


def test_a_file_is_loaded(tmp_path: Path) -> None:
    """A path is read as UTF-8; a missing one is an OSError."""
    (tmp_path / "s.toml").write_text(WHOLE, encoding="utf-8")
    assert load(tmp_path / "s.toml") == parse(WHOLE)
    with pytest.raises(OSError, match=r"missing\.toml"):
        load(tmp_path / "missing.toml")


def test_the_demo_has_its_trouble() -> None:
    """Twelve instances in three zones, each trouble with the outcome that it implies."""
    demo = packaged("demo")
    assert len(demo.instances) == 12
    assert {spec.zone for spec in demo.instances} == {"us-east-1a", "us-east-1b", "us-east-1c"}
    assert {spec.name: spec.outcome for spec in demo.instances if spec.troubled} == {
        "keeps no state": "refused",
        "SSM agent offline": "unreachable",
        "already current": "current",
        "agent stays down": "rolled_back",
    }
    ephemeral = next(spec for spec in demo.instances if not spec.persistent)
    assert ephemeral.service_tasks + ephemeral.standalone_tasks > 0
    assert [spec.outcome for spec in demo.instances if spec.ssm is Ssm.CONNECTION_LOST] == ["unreachable"]


@pytest.mark.parametrize("count", [1, 3, 4, 5, 11, 12, 13, 100, 1000])
def test_a_fleet_scales_and_keeps_its_trouble(count: int) -> None:
    """Any size is possible, ids stay unique, and as much trouble as fits stays."""
    scaled = packaged("demo").with_instances(count)
    assert len({spec.instance_id for spec in scaled.instances}) == len(scaled.instances) == count
    assert sum(spec.troubled for spec in scaled.instances) == min(count, 4)


def test_the_scenarios_in_the_docs_are_some() -> None:
    """The examples that docs/lab.md shows are read as they stand."""
    page = (README.parent / "docs" / "lab.md").read_text(encoding="utf-8")
    fleet, events = (each.partition("```")[0] for each in page.split("```toml\n")[1:])
    *healthy, lame = parse(fleet).instances
    assert {each.after_restart for each in healthy} == {AfterRestart.RETURNS}
    assert (len(healthy), lame.after_restart, lame.service_tasks) == (11, AfterRestart.STAYS_DOWN, 1)
    event = parse(events).events[0]
    assert (event.what, event.when, event.after) == (Deed.REPLACE, "begun:ecs-rollout-apply", 0.5)
    kinds = next(line for line in events.splitlines() if line.startswith("what")).partition("#")[2]
    assert {each.strip() for each in kinds.split(",")} == set(Deed)


def test_the_docs_name_every_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked of a file's tables when it is read is what docs/lab.md lists, and nothing else."""
    asked: dict[str, set[str]] = {}

    def noting(method: str) -> Callable[..., Any]:
        original = getattr(Table, method)

        def noted(table: Table, *given: Any) -> Any:
            key = next(each for each in given if isinstance(each, str))
            asked.setdefault(table._name, set()).add(key)  # noqa: SLF001 - a table's name is nobody else's business
            return original(table, *given)

        return noted

    for method in ("take", "take_into", "table", "tables", "has"):
        monkeypatch.setattr(Table, method, noting(method))
    parse(WHOLE)
    listed = {table: {row[0].partition(".")[0] for row in rows} for table, rows in scenario_table.TABLES.items()}
    assert asked[""] == listed[""] | {"api", "service", "defaults", "instances", "events"}
    assert asked["api"] == listed["[api]"]
    assert asked["service"] == listed["[service]"]
    assert asked["instances"] == listed["[[instances]]"]
    assert asked["defaults"] == listed["[[instances]]"] - {"count", "id", "zone"}
    assert asked["joins"] == listed["[[instances]]"] - {"count"}
    assert asked["events"] == listed["[[events]]"]
    assert set(scenario_keys.AFTER_RESTART) == set(AfterRestart)
    assert set(scenario_keys.DEEDS) == set(Deed)


def test_events_go_with_their_instances() -> None:
    """A scaled fleet has no event about somebody who is not there."""
    healthy = [InstanceSpec(instance_id=f"i-0000000{number}") for number in range(3)]
    events = tuple(Event(what=Deed.DRAIN, instance_id=each.instance_id) for each in healthy)
    scaled = Scenario(instances=tuple(healthy), events=events).with_instances(1)
    assert [each.instance_id for each in scaled.events] == [each.instance_id for each in scaled.instances]


def test_zones_stay_balanced() -> None:
    """A plain fleet of any size is spread over its zones."""
    for count in (3, 20, 31):
        zones = [spec.zone for spec in packaged("plain").with_instances(count).instances]
        sizes = [zones.count(zone) for zone in set(zones)]
        assert len(sizes) == 3
        assert max(sizes) - min(sizes) <= 1


def test_a_fleet_of_trouble_grows_by_healthy_ones() -> None:
    """New instances are healthy even where nothing else is."""
    lone = InstanceSpec(instance_id="i-0123456789", name="x", zone="us-east-1c", persistent=False)
    scaled = Scenario(instances=(lone,)).with_instances(3)
    assert [spec.persistent for spec in scaled.instances] == [False, True, True]
    assert {spec.zone for spec in scaled.instances} == {"us-east-1c"}


def test_an_empty_fleet_cannot_be_asked_for() -> None:
    """Zero instances are no fleet."""
    with pytest.raises(ValueError, match="at least one"):
        packaged("plain").with_instances(0)
