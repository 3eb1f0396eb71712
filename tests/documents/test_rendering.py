"""The shipped documents are what the sources render, and keep every rule for Command documents."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from orchestrator.core.document_parameters import PARAMETERS
from orchestrator.core.documents import Kind, lint, render, render_script
from orchestrator.core.shell_text import tightened
from orchestrator.documents_folder import document_sources, documents_folder, shipped_documents

SHELLCHECK = [str(Path(sys.executable).with_name("shellcheck")), "--shell=bash", "--format=json1"]
TEXT = render("apply", document_sources())


@pytest.mark.parametrize("kind", Kind)
def test_what_is_shipped_is_what_is_rendered(kind: Kind) -> None:
    """documents/*.yaml and documents/src never part."""
    assert shipped_documents()[kind] == render(kind, document_sources())


@pytest.mark.parametrize("kind", Kind)
def test_the_rules_are_kept(kind: Kind) -> None:
    """Our own documents pass our own lint, which no public schema could give."""
    assert lint(render(kind, document_sources())) == ()


@pytest.mark.parametrize("kind", Kind)
def test_yaml_gives_the_script_back(kind: Kind) -> None:
    """The script that an instance gets is the rendered one, byte for byte."""
    (step,) = yaml.safe_load(render(kind, document_sources()))["mainSteps"]
    assert step["inputs"]["runCommand"] == [render_script(kind, document_sources())]


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ('schemaVersion: "2.2"', "schemaVersion: 2.2", "F50"),
        ("  RunId:", "  Run_Id:", "F50"),
        ('"^[0-9a-f]{64}$"', '"[0-9a-f]{64}"', "F51"),
        ('"^[0-9a-f]{64}$"', '"^.*$"', "F51"),
        ('"^[0-9a-f]{64}$"', '"^a$|^b$"', "F51"),
        ('"^[0-9a-f]{64}$"', '"^(?=a)[0-9a-f]{64}$"', "RE2"),
        ("run_id='{{ RunId }}'", "run_id={{ RunId }}", "F51"),
        ("run_id='{{ RunId }}'", "run_id='{{ RunId }}{{ RunId }}'", "F51"),
        ("run_id='{{ RunId }}'", "run_id='{{ Nobody }}'", "F51"),
        ("#!/bin/bash", "#!/bin/sh", "F55"),
        ("set +x", "cat <<EOF", "here-document"),
        ("set +x", 'read -r x <<<"$secret"', "here-string"),
        ("set +x", "exit 194", "F57"),
        ("name: applyCredential", "name: App", "F63"),
        ("name: applyCredential", "name: applyCredential\n onFailure: exit", "F53"),
        ('default: "600"', 'default: "4"', "F54"),
        (" action: aws:runShellScript", " action: aws:runPowerShellScript", "runShellScript"),
    ],
)
def test_each_rule_bites(old: str, new: str, rule: str) -> None:
    """A document that breaks a rule is found, with the fact that says so."""
    assert old in TEXT
    assert rule in "; ".join(lint(TEXT.replace(old, new, 1)))


@pytest.mark.parametrize("text", ["[]", "a: [", "x" * 70_000, "é: 1", "a: 1"])
def test_what_is_no_document_is_said_so(text: str) -> None:
    """Whatever the text, the lint answers instead of failing."""
    assert lint(text)


def test_every_placeholder_of_a_secret_is_missing() -> None:
    """No parameter of any document is for a secret (F62)."""
    names = {each.name.lower() for parameters in PARAMETERS.values() for each in parameters}
    assert not [name for name in names if any(word in name for word in ("password", "secret", "token", "authdata"))]


def findings(path: Path, *options: str) -> list[tuple[int, str]]:
    done = subprocess.run([*SHELLCHECK, *options, str(path)], capture_output=True, check=False, timeout=120)
    return [(each["code"], each["message"].split(" ")[0]) for each in json.loads(done.stdout)["comments"]]


def test_shellcheck_finds_nothing(tmp_path: Path) -> None:
    """Rendered whole, each script is clean, and no variable is unused in all three of them.

    In the sources SC2034 and SC2154 are off, because variables cross files; here nothing is.
    """
    unused = []
    for kind in Kind:
        path = tmp_path / f"{kind}.sh"
        path.write_text(render_script(kind, document_sources()))
        found = findings(path)
        assert [each for each in found if each[0] != 2034] == []
        unused.append({name for _, name in found})
    assert set.intersection(*unused) <= {"nothing"}
    for path in sorted((documents_folder() / "src").glob("*.sh")):
        assert findings(path) == []


def meaning(text: str) -> str:
    """Let bash print what it understood of a text; blanks inside awk programs and line ends do not count."""
    done = subprocess.run(
        ["bash", "-c", f"f() {{\n{text}\n}}\ndeclare -f f"], capture_output=True, text=True, check=True, timeout=60
    )
    return re.sub(r"\s+", " ", re.sub(r"_awk='.*?\n *[^\n]*}'", "_awk", done.stdout, flags=re.DOTALL))


@pytest.mark.parametrize("name", sorted(document_sources()))
def test_less_room_is_the_same_script(name: str) -> None:
    """Bash makes the same of a source and of its tightened text, statement for statement."""
    source = document_sources()[name]
    tight = "\n".join(tightened(source)) + "\n"
    assert len(tight) < 0.95 * len(source)
    assert meaning(tight) == meaning(source)
