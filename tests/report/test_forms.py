"""JSON and its schema, JUnit, CSV and Markdown: what pipelines and other programs read."""

import csv
import io
import json
from dataclasses import fields, replace
from html import unescape
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from jsonschema import Draft202012Validator
from msgspec import structs

from orchestrator.cli.main import invoke
from orchestrator.cli.rollout import run as run_command
from orchestrator.core.events import Entry, Promoted, Promoting
from orchestrator.core.lifecycle import Phase
from orchestrator.core.model import OutcomeKind
from orchestrator.core.reasons import Reason
from orchestrator.core.settings import Deadlines, Policy
from orchestrator.core.state import RunState
from orchestrator.errors import ExitCode
from orchestrator.report import json_report
from orchestrator.report.after import After, Holders
from orchestrator.report.chosen import flag_of, options_of, setting
from orchestrator.report.render import exit_code_of, render_report
from orchestrator.report.visible import visible
from tests.report.reports import CONTROL, FORMULA, STATES, large


@pytest.fixture(params=STATES)
def state(request: pytest.FixtureRequest) -> RunState:
    return STATES[request.param]()


def rendered(state: RunState, form: str) -> str:
    return render_report(state, form, exit_code_of(state), After(undelivered=("sns:x: =cmd|'/c'!A1 <b>",)))


def strict(schema: dict[str, Any]) -> Draft202012Validator:
    """The published schema, with unknown keys forbidden in every object that names its keys."""
    for part in (schema, *schema["$defs"].values()):
        if "properties" in part:
            part["additionalProperties"] = False
    return Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)


@pytest.fixture
def published(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """What `ecs-rollout schema report` prints."""
    capsys.readouterr()
    assert invoke(["schema", "report"]) == 0
    loaded: dict[str, Any] = json.loads(capsys.readouterr().out)
    Draft202012Validator.check_schema(loaded)
    return loaded


def test_every_report_keeps_its_schema(state: RunState, published: dict[str, Any]) -> None:
    """The JSON of every kind of run is valid, without a key that the schema does not name."""
    strict(published).validate(json.loads(rendered(state, "json")))


def test_the_schema_knows_every_word(published: dict[str, Any]) -> None:
    """Outcomes, reasons and phases stand in the schema as the code has them, and its version is the report's."""
    parts = published["$defs"]
    for words in (OutcomeKind, Reason, Phase):
        assert set(parts[words.__name__]["enum"]) == {each.value for each in words}
    assert published["$id"].endswith(f":{json_report.SCHEMA}")
    assert published["properties"]["schema"]["enum"] == [json_report.SCHEMA]


@pytest.mark.parametrize("path", ["", "run", "converged", "instances.0", "instances.0.phases.0"])
def test_a_key_too_few_or_too_many_is_noticed(path: str, published: dict[str, Any]) -> None:
    """The validation above can fail: at every level, for each key that is missing and for one that nobody knows."""
    validator = strict(published)

    def place(report: Any) -> dict[str, Any]:
        found: Any = report
        for part in filter(None, path.split(".")):
            found = found[int(part) if part.isdigit() else part]
        assert isinstance(found, dict)
        return found

    text = rendered(STATES["troubled"](), "json")
    for key in place(json.loads(text)):
        report = json.loads(text)
        del place(report)[key]
        assert not validator.is_valid(report), key
    report = json.loads(text)
    place(report)["unknown"] = 1
    assert not validator.is_valid(report)


def test_the_options_leave_nothing_out() -> None:
    """Every field of the policy and of its deadlines stands among a report's options, as text or number."""
    names = {each.name for each in fields(Policy)} - {"deadlines"} | {each.name for each in fields(Deadlines)}
    options = options_of(Policy())
    assert {name.removesuffix("_seconds") for name in options} == names
    assert options["waves"] == "1,10%,50%,100%"
    assert (options["bake_seconds"], options["watchdog_seconds"]) == (0, 420)
    assert options["verify_login"] == "never"
    assert {type(value) for value in options.values()} == {str, int, bool}


def test_a_person_reads_the_flags_of_what_was_chosen() -> None:
    """The page names each choice by a flag that `run` has, with a unit where the flag does not tell it."""
    options = options_of(Policy())
    flags = {flag for option in run_command.params for flag in option.opts}
    assert {each for each in map(flag_of, options) if each not in flags} == {"connect seconds", "skew seconds"}
    assert [setting(name, options[name]) for name in ("bake_seconds", "approve_timeout_seconds")] == ["0 s", "24 h"]
    assert [setting(name, options[name]) for name in ("verify_seconds", "approve")] == ["180", "no"]
    page = unescape(rendered(STATES["fine"](), "html"))
    assert "<dt>--bake</dt><dd>0 s</dd>" in page


def test_the_page_says_remarks_in_sentences() -> None:
    """What inspect or apply remarks of an instance with trouble is no bare name there."""
    state = STATES["troubled"]()
    for progress in state.instances.values():
        if progress.report:
            progress.report = replace(progress.report, warnings=("config_world_readable",))
    page = unescape(rendered(state, "html"))
    assert "remarked: Everybody on the instance can read" in page
    assert "config_world_readable" not in page


def test_junit_fails_where_the_run_did(state: RunState) -> None:
    """A case for the run and one for each instance; the suite passes only with exit code 0; its counts are true."""
    suite = ET.fromstring(rendered(state, "junit")).find("testsuite")
    assert suite is not None
    cases = suite.findall("testcase")
    assert len(cases) == int(suite.attrib["tests"]) == len(state.instances) + 1
    found = {kind: sum(case.find(kind) is not None for case in cases) for kind in ("failure", "error", "skipped")}
    assert [int(suite.attrib[name]) for name in ("failures", "errors", "skipped")] == list(found.values())
    assert (found["failure"] + found["error"] > 0) == (exit_code_of(state) is not ExitCode.OK)
    assert all(float(case.attrib["time"]) >= 0 for case in cases)


@pytest.mark.parametrize("form", ["table", "html", "markdown", "junit"])
def test_every_form_for_a_person_tells_of_a_rotation(form: str) -> None:
    """Where AWSCURRENT is and why, and whether the previous credential is still used; hostile words stay words."""
    verdict = "The previous credential is no longer used by any instance, since T."
    holders = Holders(text=verdict, object={"summary": verdict})
    state = STATES["fine"]()
    for event in (Promoting(secret="registry", version="v2", before="v1"), Promoted(secret="registry", version="v2")):
        state.fold(Entry(state.started_at + 900, event))

    def shown(after: After) -> str:
        text = unescape(render_report(state, form, ExitCode.OK, after))
        return " ".join(text.replace("\\", "").split())

    moved = shown(After(holders=holders))
    assert f"AWSCURRENT of registry was moved to v2, from v1. {'' if form == 'table' else verdict}" in moved
    assert verdict in moved
    left = shown(After(left="AWSCURRENT of registry stays at v1: <b>why", holders=holders))
    assert "AWSCURRENT of registry stays at v1: <b>why." in left
    assert "was moved" not in left
    if form == "html":
        assert "Nothing to do." in moved
        assert "Nothing to do." not in left


def test_junit_tells_of_an_awscurrent_that_stays() -> None:
    """The fleet is as wanted, the rotation is not: the run's own case fails."""
    text = render_report(STATES["fine"](), "junit", ExitCode.NOT_ALL_UPDATED, After(left="AWSCURRENT stays at v1"))
    (failure,) = ET.fromstring(text).iter("failure")
    assert failure.attrib == {"type": "not_promoted", "message": "AWSCURRENT stays at v1"}


def test_junit_tells_what_is_broken_from_what_nobody_knows() -> None:
    """A failure is an instance that was seen without the credential; what could not be seen is an error."""
    suite = ET.fromstring(rendered(STATES["troubled"](), "junit"))
    told = {(case[0].attrib["type"].partition(".")[0], case[0].tag) for case in suite.iter("testcase") if len(case)}
    assert told == {
        ("failed", "failure"),
        ("rolled_back", "failure"),
        ("refused", "failure"),
        ("skipped", "failure"),  # somebody else drains it: it lacks the credential
        ("unverified", "error"),
        ("unreachable", "error"),
    }
    texts = [case[0].text or "" for case in suite.iter("testcase") if len(case)]
    assert all("Do: " in text for text in texts)
    halted = ET.fromstring(rendered(STATES["halted"](), "junit"))
    assert "--max-failures" in halted.findall(".//testcase")[0][0].attrib["message"]
    assert len(halted.findall(".//skipped")) == 5


def test_a_spreadsheet_runs_nothing_of_a_report() -> None:
    """No cell begins like a formula, whatever an instance is called; numbers stay numbers."""
    rows = list(csv.reader(io.StringIO(rendered(STATES["hostile"](), "csv"))))
    assert any(cell.startswith("'=HYPERLINK") for row in rows for cell in row)
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "@", "\t", "\r"))]
    assert {cell for row in rows for cell in row if cell.startswith("-")} <= {"-1"}


def test_markdown_stays_a_table() -> None:
    """Others' words end no cell, open no link and hold no HTML."""
    text = rendered(STATES["hostile"](), "markdown")
    lines = [line.replace("\\|", "") for line in text.splitlines() if line.startswith("| ")]
    assert {line.count("|") for line in lines} == {6}
    assert not [text[at - 1 : at + 1] for at, sign in enumerate(text) if sign in "<>[]" and text[at - 1] != "\\"]


@pytest.mark.parametrize("form", ["table", "json", "csv", "markdown", "junit", "html"])
def test_no_form_holds_what_nobody_sees(form: str) -> None:
    """A terminal's escape sequences, NUL, turned text and lone surrogates are written out in every form."""
    text = rendered(STATES["hostile"](), form)
    assert all(character.isprintable() or character == "\n" for character in text)
    text.encode()
    assert "\\x1b[31m" in text.replace("\\\\", "\\").replace("\\[", "[")


@pytest.mark.parametrize("form", ["json", "junit", "html"])
def test_what_machines_read_is_ascii(form: str) -> None:
    """These forms survive every locale: what is not ASCII is written as a reference, and reads as it was."""
    state = STATES["fine"]()
    state.started = structs.replace(state.run, cluster="Größe 日本")
    text = rendered(state, form)
    assert text.isascii()
    read = json.loads(text)["run"]["cluster"] if form == "json" else unescape(text)
    assert "Größe 日本" in read


def test_what_is_visible_stays() -> None:
    """Text of any language is left as it is; white space becomes a blank."""
    assert visible("zone eu-1a, Größe 5, 日本") == "zone eu-1a, Größe 5, 日本"
    assert visible("a\nb\tc") == "a b c"
    assert visible(CONTROL) == "a\\x00b\\x1b[31mc\\u202ed\\ud800e"
    assert visible(FORMULA) == FORMULA


def test_a_large_fleet_is_reported_in_every_form() -> None:
    """Every instance of 2,000 stands once in each form."""
    state = large(2000)
    for form in ("csv", "markdown", "junit"):
        text = rendered(state, form)
        assert all(text.count(key) == 1 for key in state.instances), form
