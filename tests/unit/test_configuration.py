"""The configuration file: what it may hold, what it says when it is wrong, and where each value comes from."""

import json
import subprocess
import sys
import tomllib
from datetime import datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from orchestrator import config
from orchestrator.cli import settings
from orchestrator.cli.main import invoke
from orchestrator.config_model import Kind, schema_of
from tests.readme import README

GOOD = """\
cluster = "staging"
credential = "secretsmanager:registry"
max-unavailable = "25%"
max-failures = 0
waves = 1
poll-seconds = 3
verify-seconds = 90
allow-removal = true
window = ["Mon-Fri 02:00-05:00 Europe/Berlin", "Sat 02:00-05:00 UTC"]
alarm = "web-errors"
deadline = 2026-12-01T06:00:00+01:00
log-format = "json"
notify = ["webhook:env:TEAM_HOOK"]

[use.web]
cluster = "web"
max-failures = [0, "10%"]
bake = "5m"

[use.night]
output = "csv"
"""

# What a file is wrong by: its text, the line and the words of the error, the words of the hint.
BAD = (
    ('\n\nclster = "web"', 3, "there is no setting 'clster'", "Did you mean cluster?"),
    ('max_unavailable = "1"', 1, "there is no setting 'max_unavailable'", "Did you mean max-unavailable?"),
    ('zzz = "web"', 1, "there is no setting 'zzz'", "config show"),
    ("bake = 90", 1, "bake: '90' is no time", "--bake"),
    ('cluster = "c"\nmax-failures = ["many"]', 2, "max-failures: 'many' is neither", "--max-failures"),
    ("max-failures = true", 1, "max-failures must be a text in quotes of the form N|P%, or a list", "--max-failures"),
    ('waves = "1,150%"', 1, "waves: '150%' is more than everything", "--waves"),
    ("verify-seconds = 0", 1, "verify-seconds: 0 is not in the range", "--verify-seconds"),
    ('verify-seconds = "90"', 1, "verify-seconds must be a whole number", "--verify-seconds"),
    ('poll-seconds = "2"', 1, "poll-seconds must be a number", "--poll-seconds"),
    ('allow-removal = "yes"', 1, "allow-removal must be true or false", "--allow-removal"),
    ('output = "yaml"', 1, "output must be one of table, json", "--output"),
    ("region = 5", 1, "region must be a text in quotes", "--region"),
    ('cluster = ["a", "b"]', 1, "cluster must be a text in quotes", "--cluster"),
    ('deadline = "2026-12-01T06:00"', 1, "deadline: '2026-12-01T06:00' lacks its offset", "--deadline"),
    ("deadline = 2026-12-01", 1, "deadline must be a text", "--deadline"),
    ('window = ["Mon 02:00-05:00 UTC",\n "Mon"]', 1, "window: 'Mon' is no window", "--window"),
    ("yes = true", 1, "--yes is no setting of a file", "command line"),
    ('[use.web]\nplan = "web.plan"', 2, "--plan is no setting of a file", "command line"),
    ("use = 3", 1, "use is no table of settings", "[use.NAME]"),
    ("[use]\nweb = 3", 2, "use.web is no table of settings", "[use.NAME]"),
    ('[use.other]\nregion = "x"\n\nCluster = "c"', 4, "there is no setting 'Cluster'", "Did you mean cluster?"),
    ('[use.web.use.x]\ncluster = "c"', 1, "--use is no setting of a file", "command line"),
    ('[web]\ncluster = "c"', 1, "there is no setting 'web'", "config show"),
    ('use.web.bake = "1"\nzones = "none"', 1, "bake: '1' is no time", "--bake"),
)

ONLY_THE_FLAG_SEES = ("'2026-12-01T06:00' lacks", "deadline must be", "is no window")
"""What a schema does not say."""


def written(directory: Path, text: str) -> Path:
    path = directory / "rollout.toml"
    path.write_text(text, encoding="utf-8")
    return path


def as_json(text: str) -> Any:
    """A TOML file as editors show it to a schema."""
    return json.loads(json.dumps(tomllib.loads(text), default=lambda value: value.isoformat()))


def schema() -> dict[str, Any]:
    return schema_of(settings.settings())


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, dict[str, Any]]:
    """What `config show` says of each setting."""
    assert invoke(["config", "show", *arguments, "--output", "json"]) == 0
    return {each["name"]: each for each in json.loads(capsys.readouterr().out)["settings"]}


@pytest.mark.parametrize(("text", "line", "said", "hint"), BAD)
def test_a_wrong_file_is_one_error_with_its_line_and_key(
    text: str, line: int, said: str, hint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever is wrong, in a table that was chosen or not: file, line, key, and what to do; nothing else happens."""
    path = written(tmp_path, text)
    assert invoke(["plan", "--cluster", "c", "--credential", "-", "--config", str(path)]) == 2
    captured = capsys.readouterr()
    first, second = captured.err.splitlines()
    assert first.startswith(f"error: {path}:{line}: ")
    assert said in first
    assert hint in second
    assert captured.out == ""


def test_the_first_line_that_is_wrong_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of several mistakes the uppermost is told."""
    path = written(tmp_path, 'region = "x"\n[use.a]\nzones = "none"\n[use.b]\nbake = 1\n')
    assert invoke(["documents", "check", "--config", str(path)]) == 2
    assert f"{path}:3: zones" in capsys.readouterr().err


def test_a_value_that_may_be_a_secret_is_not_repeated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A webhook's URL, written where its place should be, stands in no message."""
    path = written(tmp_path, 'notify = "https://hooks.example.com/T0/B0/very-secret"')
    assert invoke(["config", "show", "--config", str(path)]) == 2
    captured = capsys.readouterr()
    assert "notify: a webhook's URL is a secret" in captured.err
    assert "very-secret" not in captured.err + captured.out


@pytest.mark.parametrize(("text", "line", "said", "hint"), BAD)
def test_the_schema_refuses_what_the_tool_refuses(text: str, line: int, said: str, hint: str) -> None:
    """An editor that knows the schema marks the same files, but for forms that only the flag can read."""
    del line, hint
    valid = jsonschema.Draft202012Validator(schema()).is_valid(as_json(text))
    assert valid == any(each in said for each in ONLY_THE_FLAG_SEES)


def test_the_schema_takes_what_the_tool_takes(tmp_path: Path) -> None:
    """A good file is good for both, and the schema itself is one."""
    jsonschema.Draft202012Validator.check_schema(schema())
    jsonschema.validate(as_json(GOOD), schema())
    assert config.read(written(tmp_path, GOOD), settings.settings(), "web").given["cluster"].value == "web"


def test_the_file_in_the_docs_is_good(tmp_path: Path) -> None:
    """What docs/configuration.md shows can be used as it stands."""
    page = (README.parent / "docs" / "configuration.md").read_text(encoding="utf-8")
    _, _, after = page.partition("<!-- tested: tests/unit/test_configuration.py -->\n")
    text = after.partition("```toml\n")[2].partition("```")[0]
    jsonschema.validate(as_json(text), schema())
    for use in ("web", "batch"):
        assert config.read(written(tmp_path, text), settings.settings(), use).given["cluster"].value == use


def test_schema_config_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    """`schema config` prints JSON, with every setting and what its flag says of it."""
    assert invoke(["schema", "config"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == schema()
    assert set(printed["properties"]) == {*settings.flags(), "use"}
    assert printed["properties"]["cluster"]["description"] == "Name of the ECS cluster."


def test_a_flag_means_the_same_in_every_command() -> None:
    """One setting serves all commands: a flag of one name is of one kind and repeated or not, wherever it is."""
    for flag in settings.flags().values():
        kinds = {(type(each.type), each.multiple, each.is_flag) for each in flag.options}
        assert len(kinds) == 1, f"--{flag.name} differs between commands"


def test_every_flag_s_own_default_can_stand_in_a_file(tmp_path: Path) -> None:
    """Whatever flags there are: each one's default, written into a file, is accepted and is what the flag had."""
    lines, expected = [], {}
    for flag in settings.flags().values():
        default = flag.option.default
        if isinstance(default, str | int | float | list) and default not in (False, []):
            lines.append(f"{flag.name} = {json.dumps(default)}")
            expected[flag.name] = default
    assert len(lines) > 12
    given = config.read(written(tmp_path, "\n".join(lines)), settings.settings()).given
    assert {name: each.value for name, each in given.items()} == expected


def test_flags_that_are_only_said_exist() -> None:
    """The list of flags that no file may hold names no flag that is gone."""
    said = {settings.flag_of(param) for _, command in settings.commands() for param in command.params}
    assert said >= settings.ONLY_SAID
    assert not settings.ONLY_SAID & set(settings.flags())


def test_a_pattern_for_editors_takes_what_its_flag_takes() -> None:
    """Where a setting has a form, the schema's pattern and the flag agree on texts of every form."""
    texts = ("1", "10%", "101%", "1,10%,100%", "1,", "5m", "5", "m", "cloudwatch:a/b", "sns", "emf:", "", "x:y")
    for setting in settings.settings():
        if setting.kind is Kind.FORM and setting.pattern and setting.name != "notify":
            validator = jsonschema.Draft202012Validator({"type": "string", "pattern": setting.pattern})
            for text in texts:
                assert validator.is_valid(text) == _taken(setting, text), f"{setting.name} = {text!r}"


def _taken(setting: Any, text: str) -> bool:
    try:
        setting.check(text)
    except ValueError:
        return False
    return True


def test_a_flag_beats_the_table_that_beats_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each setting's value and where it was said: a flag, a line of the table, a line of the file, or nowhere."""
    path = str(written(tmp_path, GOOD))
    found = shown(capsys, "--use", "web", "--max-unavailable", "1", "--config", path)
    known = settings.flags()
    assert all(tuple(each.pop("commands")) == known[name].commands for name, each in found.items())
    assert found["max-unavailable"] == _row("max-unavailable", "1", "flag")
    assert found["cluster"] == _row("cluster", "web", "file", 16, "web")
    assert found["max-failures"] == _row("max-failures", ["0", "10%"], "file", 17, "web")
    assert found["credential"] == _row("credential", "secretsmanager:registry", "file", 2)
    assert found["bake"] == _row("bake", "5m", "file", 18, "web")
    assert found["zones"] == _row("zones", "spread", "default")
    assert found["profile"] == _row("profile", None, "default")
    moment = datetime.fromisoformat("2026-12-01T06:00:00+01:00").isoformat()
    assert found["deadline"] == _row("deadline", moment, "file", 11)
    assert set(found) == set(settings.flags())
    without = shown(capsys, "--config", path)
    assert (without["cluster"]["value"], without["cluster"]["line"]) == ("staging", 1)
    assert (without["bake"]["value"], without["bake"]["source"]) == ("0s", "default")
    assert {each["source"] for each in shown(capsys).values()} == {"default", "flag"}


def _row(name: str, value: object, source: str, line: int | None = None, use: str | None = None) -> dict[str, object]:
    return {"name": name, "value": value, "source": source, "line": line, "use": use}


def test_the_table_fits_a_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For a person: one line a setting, one more for each further value, at most 80 columns; above, who takes it."""
    path = written(tmp_path, GOOD)
    assert invoke(["config", "show", "--config", str(path), "--use", "web"]) == 0
    file, _, *lines = capsys.readouterr().out.splitlines()
    assert file == str(path)
    assert lines[0].split() == ["SETTING", "FROM", "VALUE"]
    by_name = {line.split()[0]: line for line in lines}
    assert by_name["cluster"].split() == ["cluster", "line", "16", "[use.web]", "web"]
    assert by_name["allow-removal"].split() == ["allow-removal", "line", "8", "true"]
    window = lines.index(by_name["window"])
    value = " ".join(" ".join(lines[window : window + 4]).split()).partition("[")[2]
    assert value.startswith('"Mon-Fri 02:00-05:00 Europe/Berlin", "Sat 02:00-05:00 UTC"]')
    assert max(len(line) for line in lines) <= 80
    assert by_name["allow-removal"] in lines[lines.index("-- for plan, run, rotate, doctor") :]
    assert lines[lines.index(by_name["promote-at"]) - 1] == "-- for rotate"


@pytest.mark.parametrize(
    ("arguments", "said", "hint"),
    [
        (("--use", "web"), "--use names a table of a configuration file", "--config"),
        (("--use", "wob", "--config", "{}"), "has no table [use.wob]", "[use.web], [use.night]"),
        (("--config", "{}", "--use", "night"), ":21: output: 'csv' is not one of 'table', 'json'", "flag"),
    ],
)
def test_what_cannot_be_used_is_said(
    arguments: tuple[str, ...], said: str, hint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A table without a file, one that is not there, and a form that this command does not know."""
    path = str(written(tmp_path, GOOD))
    assert invoke(["plan", *(each.format(path) for each in arguments)]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert said in first
    assert hint in second


@pytest.mark.parametrize(
    "arguments",
    [("--help",), ("plan", "--help"), ("plan", "--cluster", "c", "--credential", "-"), ("config", "--help")],
)
def test_without_a_file_there_is_no_pydantic(arguments: tuple[str, ...]) -> None:
    """Help, and commands without a configuration file, do not wait for pydantic."""
    program = (
        "import sys; from orchestrator.cli.main import invoke\n"
        f"invoke({list(arguments)!r})\n"
        "sys.exit('pydantic' in sys.modules)\n"
    )
    environment = {"AWS_CONFIG_FILE": "/dev/null", "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, env=environment, timeout=60
    )
    assert done.returncode == 0, done.stderr
