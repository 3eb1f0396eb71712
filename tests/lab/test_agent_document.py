"""Documents become scripts as the SSM agent makes them, oddities included."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.lab.agent_document import (
    AgentRefusalError,
    Step,
    execution_timeout,
    parse,
    prepare,
    step_timeout,
    substitute,
)


def unmoved(_parameters: Mapping[str, Mapping[str, Any]], values: Mapping[str, str]) -> Mapping[str, str]:
    return values


def steps(document: Mapping[str, Any], platform: str = "Linux", **passed: Sequence[str]) -> tuple[Step, ...]:
    return prepare(document, passed, platform=platform, rebase=unmoved)


def shell(command: str, name: str = "doIt", **extra: Any) -> dict[str, Any]:
    inputs = {"runCommand": [command]} | extra.pop("inputs", {})
    return {"name": name, "action": "aws:runShellScript", "inputs": inputs} | extra


@pytest.mark.parametrize(
    ("value", "script"),
    [
        ("plain", "echo 'plain'\n"),
        ("$$5", "echo '$5'\n"),
        ("pa$word", "echo 'pa'\n"),
        ("${word}!", "echo '!'\n"),
        ("$ 5", "echo '$ 5'\n"),
        ("a'; rm -rf /; '", "echo 'a'; rm -rf /; ''\n"),
        ("two\nlines", "echo 'two\nlines'\n"),
    ],
)
def test_a_value_is_substituted_as_raw_text(value: str, script: str) -> None:
    """Quotes and new lines run as code, `$$` becomes `$` and `$name` vanishes (F51)."""
    document = {"parameters": {"Word": {"type": "String"}}, "mainSteps": [shell("echo '{{ Word }}'")]}
    assert steps(document, Word=[value])[0].script == script


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="$")))
def test_a_value_without_a_dollar_arrives_as_it_is(value: str) -> None:
    """Only `$` is special inside a text."""
    assert substitute("<{{Word}}|{{ Word }}>", {"Word": value}) == f"<{value}|{value}>"


def test_a_name_that_is_not_alphanumeric_gets_its_default() -> None:
    """The value that was passed is ignored without a word (F50)."""
    definition = {"type": "String", "default": "default"}
    document = {
        "parameters": {"Good": definition, "not_good": definition},
        "mainSteps": [shell("echo '{{ Good }}' '{{ not_good }}'")],
    }
    (step,) = steps(document, Good=["passed"], not_good=["passed"])
    assert step.script == "echo 'passed' 'default'\n"


def test_a_list_replaces_a_whole_text_and_is_json_inside_one() -> None:
    """`{{ commands }}` alone becomes the list itself."""
    values = {"commands": ["a $$", "b"]}
    assert substitute("{{ commands }}", values) == ["a $$", "b"]
    assert substitute("run {{ commands }}", values) == 'run ["a $","b"]'


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("60", 60), (5, 5), ("4", 3600), ("172800", 172_800), ("172801", 3600), ("soon", 3600), ("", 3600)],
)
def test_a_timeout_out_of_range_is_an_hour(value: object, seconds: int) -> None:
    """Outside 5..172800 the agent silently takes 3600 (F54)."""
    assert step_timeout(value) == seconds


def test_a_timeout_may_come_from_a_parameter() -> None:
    """The step's timeout is substituted like everything else, and the service counts with it."""
    document = {
        "parameters": {"StepSeconds": {"type": "String", "default": "600"}},
        "mainSteps": [shell("true", inputs={"timeoutSeconds": "{{ StepSeconds }}"})],
    }
    assert steps(document)[0].timeout == 600
    assert steps(document, StepSeconds=["30"])[0].timeout == 30
    assert execution_timeout(document, {"StepSeconds": ["30"]}) == 30


@pytest.mark.parametrize(
    ("pattern", "value", "passes"),
    [
        ("^[a-z]+$", "abc", True),
        ("^[a-z]+$", "abc\n", False),
        ("^[a-z]+$", "ABC", False),
        ("[a-z]+", "ABCd", True),
        ("", "anything", True),
    ],
)
def test_the_agent_checks_allowed_patterns_as_go_does(pattern: str, value: str, *, passes: bool) -> None:
    """An unanchored pattern lets anything around it pass; `$` is the very end (F52)."""
    document = {
        "parameters": {"Word": {"type": "String", "allowedPattern": pattern}},
        "mainSteps": [shell("echo '{{ Word }}'")],
    }
    if passes:
        assert steps(document, Word=[value])
    else:
        with pytest.raises(AgentRefusalError):
            steps(document, Word=[value])


def test_every_value_of_a_list_is_checked() -> None:
    """A list's members obey the pattern each."""
    document = {
        "parameters": {"Words": {"type": "StringList", "allowedPattern": "^[a-z]+$"}},
        "mainSteps": [shell("echo")],
    }
    with pytest.raises(AgentRefusalError):
        steps(document, Words=["fine", "NOT"])


def test_a_step_for_another_platform_is_skipped() -> None:
    """A precondition that does not hold leaves the step out, as an unknown action does."""
    other = shell("true", precondition={"StringEquals": ["platformType", "Windows"]})
    mine = shell("true", "mine", precondition={"StringEquals": ["platformType", "Linux"]})
    plugin = {"name": "fetch", "action": "aws:downloadContent", "inputs": {}}
    assert [bool(step.skip) for step in steps({"mainSteps": [other, mine, plugin]})] == [True, False, True]


def test_a_document_without_steps_is_refused() -> None:
    """The agent calls it an unsupported schema."""
    with pytest.raises(AgentRefusalError):
        steps({"schemaVersion": "2.2"})


def test_the_older_schema_runs_too() -> None:
    """Schema 1.2, in which AWS-RunShellScript is written; the working directory comes after the first line."""
    document = {
        "parameters": {"commands": {"type": "StringList"}, "where": {"type": "String", "default": "/tmp"}},
        "runtimeConfig": {
            "aws:runShellScript": {"properties": [{"runCommand": "{{ commands }}", "workingDirectory": "{{ where }}"}]}
        },
    }
    (step,) = steps(document, commands=["#!/bin/bash", "pwd"])
    assert step.name == "aws:runShellScript"
    assert step.script == "#!/bin/bash\ncd '/tmp' || exit 1\npwd\n"
    (plain,) = steps(document, commands=["pwd"], where=[""])
    assert plain.script == "pwd\n"


@pytest.mark.parametrize("text", ["[1]", "{", "a: [", "plain"])
def test_what_is_no_mapping_is_no_document(text: str) -> None:
    """Neither JSON nor YAML nor a list is a document."""
    with pytest.raises(ValueError, match=r"JSON|mapping"):
        parse(text)
    assert parse(json.dumps({"a": 1})) == parse("a: 1\n") == {"a": 1}
