"""The configuration file: TOML with the flags' names, and tables of them to choose from. A flag beats the file."""

import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from orchestrator.config_model import REFUSED, UNKNOWN, USE, Setting, model_of, text_of
from orchestrator.core.settings import OptionValue
from orchestrator.core.toml_lines import line_of, lines_of
from orchestrator.errors import UsageError, in_words


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A value that a file gives, and where: its line, and the table that was chosen, if it stands in one."""

    value: OptionValue
    line: int
    table: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """What a file says for one command. `given` by setting; `use`: the chosen one of the `tables`."""

    path: Path
    use: str
    given: Mapping[str, Given]
    tables: tuple[str, ...] = ()


def read(path: Path, settings: Sequence[Setting], use: str = "", *, only_said: Collection[str] = ()) -> Configuration:
    """Read the file: its defaults, overridden by the table that was chosen. All of it must be right, not only that.

    `only_said`: flags that no file may hold. Raises UsageError with file, line and key for what is no setting or no
    setting's value, and for a table that is not there.
    """
    text, loaded = _load(path)
    lines = lines_of(text)
    problem = next(iter(_problems(loaded, settings, lines, only_said)), None)
    if problem is not None:
        raise UsageError(f"{path}:{problem.line}: {problem.text}.", hint=problem.hint)
    tables = loaded.pop(USE, {})
    if use and use not in tables:
        known = f"It has {', '.join(f'[{USE}.{name}]' for name in tables)}." if tables else f"Write [{USE}.{use}]."
        raise UsageError(f"{path} has no table [{USE}.{use}].", hint=known)
    given = {name: Given(value=_plain(each), line=lines[(name,)]) for name, each in loaded.items()}
    for name, each in (tables[use] if use else {}).items():
        given[name] = Given(value=_plain(each), line=line_of(lines, (USE, use, name)), table=use)
    return Configuration(path=path, use=use, given=given, tables=tuple(tables))


def _load(path: Path) -> tuple[str, dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = in_words(error)
        raise UsageError(f"The configuration {path} cannot be read: {why}.", hint="Check --config.") from error
    try:
        return text, tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path} is not TOML: {error}.", hint="Mend the line it names.") from error


def _plain(value: object) -> OptionValue:
    """Give a value as a flag takes it: texts but for switches and numbers."""
    if isinstance(value, list):
        return [text_of(each) for each in value]
    return value if isinstance(value, str | int | float) else text_of(value)


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class _Problem:
    line: int
    text: str
    hint: str


def _problems(
    loaded: Mapping[str, Any],
    settings: Sequence[Setting],
    lines: Mapping[tuple[str, ...], int],
    only_said: Collection[str],
) -> list[_Problem]:
    """List what is wrong, in the order of the lines."""
    try:
        model_of(settings).model_validate(loaded)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
    else:
        return []
    by_name = {each.name: each for each in settings}
    # A value of a flag that may be repeated is tried in two ways; what the flag itself said comes first.
    found.sort(key=lambda each: each["type"] != REFUSED)
    problems: dict[tuple[str, ...], _Problem] = {}
    for each in found:
        path = _key_of(tuple(str(part) for part in each["loc"]))
        if each["type"] == UNKNOWN and path[-1] in only_said:
            text, hint = f"--{path[-1]} is no setting of a file", "Say it on the command line, each time."
        else:
            text, hint = _worded(path, each["type"], each["msg"], by_name)
        problems.setdefault(path, _Problem(line=line_of(lines, path), text=text, hint=hint))
    return sorted(problems.values())


def _key_of(location: tuple[str, ...]) -> tuple[str, ...]:
    """Leave out what pydantic says about the inside of a value."""
    return location[: 3 if location[0] == USE else 1]


def _worded(path: tuple[str, ...], kind: str, said: str, settings: Mapping[str, Setting]) -> tuple[str, str]:
    name = path[-1]
    if path[0] == USE and len(path) < len((USE, "NAME", "setting")):
        return f"{'.'.join(path)} is no table of settings", f"Write [{USE}.NAME], and the settings below it."
    if kind == UNKNOWN:
        near = get_close_matches(name.replace("_", "-"), settings, n=1)
        known = "`ecs-rollout config show` lists those that a file may hold."
        return f"there is no setting {name!r}", f"Did you mean {near[0]}? {known}" if near else known
    if kind == REFUSED:
        return f"{name}: {said.rstrip('.')}", f"Write it as --{name} takes it."
    return f"{name} must be {settings[name].expected}", f"Write it as --{name} takes it."
