"""What doctor says: levels, exit codes, grouping, colours, and words for whatever inspect remarks."""

import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cli.doctor import _paint
from orchestrator.core.checkup import (
    Check,
    Level,
    clock_check,
    doubtful,
    exit_code_of,
    failed,
    good,
    not_tried,
)
from orchestrator.core.model import Facts, Instance, Ping, Status
from orchestrator.core.readiness import REMARKS, instance_checks
from orchestrator.core.reasons import Reason
from orchestrator.errors import EnvironmentFault, ExitCode, LockedError, RefusedError, UsageError
from orchestrator.report.checkups import checkup_json, checkup_text
from tests.unit.test_planning import GOOD, INSTANCE

SOURCES = Path(__file__).parents[2] / "documents" / "src"


def numbered(number: int, **changes: Any) -> Instance:
    return replace(INSTANCE, instance_id=f"i-{number:017x}", arn=f"{INSTANCE.arn}{number}", **changes)


def test_whatever_inspect_remarks_has_its_words() -> None:
    """Every remark in the sources of inspect says what it means and what to do."""
    names = ("agent.sh", "envfile.sh", "inspect.sh")
    found = {code for name in names for code in re.findall(r"warn ([a-z_]+)", (SOURCES / name).read_text())}
    assert found == set(REMARKS)


@pytest.mark.parametrize(
    ("skew", "level", "said"),
    [
        (0.4, "ok", "0 s off"),
        (-60.0, "ok", "60 s off"),
        (61.0, "warn", "61 s before AWS's clock: commands expire that much too late"),
        (-299.0, "warn", "299 s behind AWS's clock: commands expire that much too early"),
        (300.0, "fail", "AWS refuses requests from 300 s on"),
        (-7200.0, "fail", "7200 s behind"),
    ],
)
def test_the_clock(skew: float, level: str, said: str) -> None:
    """Up to what NotAfter tolerates all is well; from what signatures tolerate nothing is."""
    check = clock_check(skew)
    assert check.level == level
    assert said in check.seen
    assert bool(check.todo) == (level != "ok")


def test_the_gravest_failure_is_the_exit_code() -> None:
    """As a run would end: the environment before the lock, before what is refused, before single instances."""
    usage = failed("a", UsageError("u", hint="h"))
    refused = failed("b", RefusedError("r", hint="h"))
    locked = failed("c", LockedError("l", hint="h"))
    fault = failed("d", EnvironmentFault("e", hint="h"))
    checks = [good("x", "y"), doubtful("x", "y", "z"), not_tried("x", "y")]
    codes = [exit_code_of(checks)]
    for each in (usage, refused, locked, fault):
        checks = [each, *checks]
        codes.append(exit_code_of(checks))
    assert codes == [0, 2, 3, 5, 4]


def test_a_large_fleet_is_told_by_kind() -> None:
    """Of hundreds each kind is one check that names a few on screen and everybody in JSON."""
    fleet = [numbered(number) for number in range(300)]
    looks: dict[str, Facts | Reason] = {each.instance_id: GOOD for each in fleet[:200]}
    looks |= {each.instance_id: replace(GOOD, warnings=("duplicate_auth", "brand_new")) for each in fleet[200:290]}
    checks = instance_checks(fleet, looks | dict.fromkeys([each.instance_id for each in fleet[290:]], Reason.NO_RESULT))
    ready, *others = checks
    assert ready.seen.startswith("290 of 300 are ready: agent 1.105.1; restarted by systemd; fetching with curl")
    assert [(each.level.value, len(each.instances)) for each in others] == [("warn", 90), ("warn", 90), ("fail", 10)]
    assert "Inspect remarks: brand_new." in {each.seen for each in others}
    text = checkup_text(checks)
    assert max(len(line) for line in text.splitlines()) <= 80
    assert " ".join(text.split()).count("and 82 more") == 2
    assert text.startswith("fail  instances")
    names = [each["instances"] for each in json.loads(json.dumps(checkup_json(checks, cluster="c")))["checks"]]
    assert max(len(each) for each in names) == 90


def test_who_is_not_inspected_is_judged_by_what_aws_says() -> None:
    """Without facts an instance is reached or not, and connected or not."""
    fleet = [numbered(0), numbered(1, ping=Ping.INACTIVE), numbered(2, agent_connected=False)]
    levels = [(each.level.value, each.instances) for each in instance_checks(fleet, None)]
    assert levels == [
        ("ok", (fleet[0].instance_id, fleet[2].instance_id)),
        ("fail", (fleet[1].instance_id,)),
        ("warn", (fleet[2].instance_id,)),
    ]


def test_what_a_dead_run_has_drained_is_told_with_its_remedy() -> None:
    """An instance that carries a run's mark can be rolled, and somebody should give it back."""
    fleet = [numbered(0, status=Status.DRAINING, mark="run-7")]
    ready, drained = instance_checks(fleet, {fleet[0].instance_id: GOOD})
    assert ready.level is Level.OK
    assert (drained.level, drained.instances) == (Level.WARN, (fleet[0].instance_id,))
    assert "heal" in drained.todo


def test_a_check_is_named_for_what_it_looks_at() -> None:
    """`instances` is who can be rolled; what is remarked beside that is told apart by its name already."""
    fleet = [numbered(0, agent_connected=False, mark="run-7"), numbered(1, ping=Ping.INACTIVE)]
    looks: dict[str, Facts | Reason] = {}
    remarks = ("config_world_readable", "docker_silent", "no_flock")
    looks[fleet[0].instance_id] = replace(GOOD, warnings=remarks)
    found = instance_checks(fleet, looks)
    assert [each.level.value for each in found if each.name == "instances"] == ["ok", "fail"]
    checks = {each.name: each for each in found if each.level is Level.WARN}
    assert checks.keys() == {"agents", "leftovers", "env file", "docker", "tools"}
    assert "connected" in checks["agents"].seen
    assert "flock" in checks["tools"].todo
    assert checks["env file"].seen.startswith("Everybody on the instance")


def test_the_last_line_names_what_is_wrong() -> None:
    """A terminal shows the end of what is longer than itself: what failed or is doubtful stands there by name."""
    checks = [
        Check(name="lock", level=Level.FAIL, seen="Held.", todo="Wait.", code=ExitCode.LOCKED),
        Check(name="instances", level=Level.WARN, seen="One."),
        Check(name="instances", level=Level.WARN, seen="Two."),
        Check(name="region", level=Level.OK, seen="There."),
    ]
    last = checkup_text(checks).splitlines()[-1]
    assert last == "1 ok, 2 warn (instances), 1 fail (lock). A run cannot begin now (exit code 5)."


def test_what_others_wrote_steers_no_terminal() -> None:
    """A name from AWS with control characters in it is written out; colour is the painter's alone."""
    check = Check(name="lock", level=Level.WARN, seen="held by \x1b[31mmallory.", todo="Wait.")
    text = checkup_text([check], lambda level, word: f"<{level}>{word}</>")
    assert text.startswith("<warn>warn</>  lock  held by \\x1b[31mmallory.\n            do: Wait.\n")
    assert "\x1b" not in text


@pytest.mark.parametrize(
    ("environment", "terminal", "word"),
    [
        ({}, "a terminal", "\x1b[31mfail\x1b[0m"),
        ({"NO_COLOR": "1"}, "a terminal", "fail"),
        ({"TERM": "dumb"}, "a terminal", "fail"),
        ({}, "", "fail"),
    ],
)
def test_colours_are_for_terminals_of_those_who_want_them(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], terminal: str, word: str
) -> None:
    """NO_COLOR, a dumb terminal and a pipe get the plain words."""
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: bool(terminal), raising=False)
    assert _paint("fail", "fail") == word
