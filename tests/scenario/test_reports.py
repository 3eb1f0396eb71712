"""Reports of real runs in the lab: every form, and the schema that is published for them."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

from jsonschema import Draft202012Validator

from orchestrator.lab.scenario import AfterRestart, Ssm
from tests.scenario.conftest import Workplace, fleet


def test_a_run_reports_into_a_file_and_keeps_its_schema(workplace: Callable[..., Workplace], tmp_path: Path) -> None:
    """`run --out` writes JSON that its published schema takes; `report` gives the same run in every other form."""
    specs = fleet(5)
    place = workplace(
        *specs[:2],
        replace(specs[2], after_restart=AfterRestart.STAYS_DOWN),
        replace(specs[3], persistent=False),
        replace(specs[4], ssm=Ssm.CONNECTION_LOST),
    )
    place.put_secret()
    path = tmp_path / "run.json"
    flags = ("--max-unavailable=50%", "--max-failures=5", "--max-unreachable=5", "--out", str(path))
    done = place.rollout("run", *flags)
    assert done.code == 1
    assert "2 of 5 instances run the credential" in done.out
    report = json.loads(path.read_text())
    schema = place.cli("schema", "report").report
    for part in (schema, *schema["$defs"].values()):
        part.update({"additionalProperties": False} if "properties" in part else {})
    Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(report)
    assert all(each["command_ids"] for each in report["instances"] if each["outcome"] in {"updated", "rolled_back"})
    run = report["run"]["id"]
    assert place.cli("report", run, "--output", "json").report == report
    suite = ET.fromstring(place.cli("report", run, "--output", "junit").out).find("testsuite")
    assert suite is not None
    assert (suite.attrib["failures"], suite.attrib["errors"], suite.attrib["tests"]) == ("2", "1", "6")
