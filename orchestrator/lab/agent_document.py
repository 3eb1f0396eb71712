"""What the SSM agent makes of a document: parameters checked and substituted, steps ready to run (F50-F57).

Pure, and as odd as the agent is: documents are tried against its real habits, not against the wished-for ones.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

Value = str | list[str]
Rebase = Callable[[Mapping[str, Mapping[str, Any]], Mapping[str, str]], Mapping[str, str]]

_NAME = re.compile(r"[a-zA-Z0-9]+")
_GO_TEMPLATE = re.compile(r"\$(?:(?P<dollar>\$)|\{(?P<braced>\w+)\}|(?P<plain>\w+))")
_SHELL_ACTION = "aws:runShellScript"
_TIMEOUT_RANGE = range(5, 172_800 + 1)
DEFAULT_TIMEOUT = 3600


class AgentRefusalError(Exception):
    """The agent would not start the document: Failed without any step, the reason in TraceOutput (F52)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step as the agent will run it; `skip` is why it will not."""

    name: str
    script: str
    timeout: int
    exits_on_failure: bool = False
    is_finally: bool = False
    skip: str = ""


def parse(content: str) -> dict[str, Any]:
    """Read a document's text, JSON or YAML, into plain values. Raises ValueError when it is neither."""
    try:
        document = json.loads(content)
    except ValueError:
        try:
            document = yaml.safe_load(content)
        except yaml.YAMLError as error:
            raise ValueError(f"neither JSON nor YAML: {error}") from error
    if not isinstance(document, dict):
        raise ValueError("a document is a mapping")  # noqa: TRY004 - its caller knows one kind of bad document
    return document


def definitions(document: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    """Return the document's parameter definitions by name."""
    return document.get("parameters") or {}


def step_names(document: Mapping[str, Any]) -> tuple[str, ...]:
    """Name the document's steps as GetCommandInvocation's PluginName does."""
    if "mainSteps" in document:
        return tuple(str(step.get("name", "")) for step in document["mainSteps"])
    return tuple(document.get("runtimeConfig") or {})


def prepare(
    document: Mapping[str, Any], passed: Mapping[str, Sequence[str]], *, platform: str, rebase: Rebase
) -> tuple[Step, ...]:
    """Turn a document and the parameters of SendCommand into steps.

    `rebase` moves the paths of a lab host below its own root, after the agent's checks have seen the true values.
    Raises AgentRefusalError for a value that breaks its allowedPattern, and for a document without steps.
    """
    known = definitions(document)
    values = _values(known, passed)
    for name, value in values.items():
        _check_pattern(value, str(known[name].get("allowedPattern") or ""))
    texts = {name: value for name, value in values.items() if isinstance(value, str)}
    values.update(rebase({name: known[name] for name in texts}, texts))
    if "mainSteps" in document:
        steps = tuple(_main_step(step, values, platform) for step in document["mainSteps"])
    else:
        steps = tuple(_runtime_steps(document.get("runtimeConfig") or {}, values))
    if not steps:
        raise AgentRefusalError("Unsupported schema format")
    return steps


def step_timeout(value: object) -> int:
    """Return the seconds a step may take: out of range or unreadable silently becomes an hour (F54)."""
    try:
        seconds = int(float(str(value)))
    except ValueError:
        return DEFAULT_TIMEOUT
    return seconds if seconds in _TIMEOUT_RANGE else DEFAULT_TIMEOUT


def execution_timeout(document: Mapping[str, Any], passed: Mapping[str, Sequence[str]]) -> int:
    """Return the longest step's timeout, by which the service computes a command's total timeout (F70)."""
    known = definitions(document)
    values = _values(known, passed)
    inputs: list[Mapping[str, Any]] = [step.get("inputs") or {} for step in document.get("mainSteps") or ()]
    for plugin in (document.get("runtimeConfig") or {}).values():
        inputs += plugin.get("properties") or ()
    timeouts = [step_timeout(substitute(entry.get("timeoutSeconds", ""), values)) for entry in inputs]
    return max(timeouts, default=DEFAULT_TIMEOUT)


def substitute(node: Any, values: Mapping[str, Value]) -> Any:
    """Replace `{{ Name }}` in every text of `node`, as raw text (F51).

    A text that is one placeholder and nothing else becomes the value itself, lists included. Elsewhere the value goes
    through Go's regexp template: `$$` becomes `$`, and `$name` vanishes.
    """
    match node:
        case str():
            return _substitute_text(node, values)
        case list():
            return [substitute(item, values) for item in node]
        case dict():
            return {key: substitute(item, values) for key, item in node.items()}
        case _:
            return node


def _substitute_text(text: str, values: Mapping[str, Value]) -> Value:
    for name, value in values.items():
        if re.fullmatch(rf"\{{\{{\s*{re.escape(name)}\s*\}}\}}", text):
            return value
    for name, value in values.items():
        plain = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
        text = re.sub(rf"\{{\{{\s*{re.escape(name)}\s*\}}\}}", _expansion(plain), text)
    return text


def _expansion(value: str) -> Callable[[re.Match[str]], str]:
    def expand(match: re.Match[str]) -> str:
        def replace(part: re.Match[str]) -> str:
            if part["dollar"]:
                return "$"
            # Group 0 is the placeholder itself; there are no others, and an unknown one is empty.
            return match[0] if (part["braced"] or part["plain"]) == "0" else ""

        return _GO_TEMPLATE.sub(replace, value)

    return expand


def _values(known: Mapping[str, Mapping[str, Any]], passed: Mapping[str, Sequence[str]]) -> dict[str, Value]:
    """Return what the agent substitutes: names that are not alphanumeric are not even looked for (F50)."""
    values: dict[str, Value] = {}
    for name, definition in known.items():
        default = definition.get("default")
        given = passed.get(name) if _NAME.fullmatch(name) else None
        if given is not None:
            values[name] = list(given) if definition.get("type") == "StringList" else given[0] if given else ""
        elif default is not None:
            values[name] = [str(item) for item in default] if isinstance(default, list) else _text(default)
    return values


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _check_pattern(value: Value, pattern: str) -> None:
    if not pattern:
        return
    # Go's `$` is the end of the text only, Python's also the place before a final new line.
    compiled = re.compile(re.sub(r"(?<!\\)\$$", r"\\Z", pattern))
    for text in [value] if isinstance(value, str) else value:
        if not compiled.search(text):
            raise AgentRefusalError(f"parameter value /{text}/ does not match the allowed pattern /{pattern}/")


def _main_step(step: Mapping[str, Any], values: Mapping[str, Value], platform: str) -> Step:
    inputs = substitute(step.get("inputs") or {}, values)
    action = step.get("action")
    skip = "" if action == _SHELL_ACTION else f"the lab does not run {action}"
    for operator, operands in (step.get("precondition") or {}).items():
        resolved = {substitute(operand, values) for operand in operands}
        if operator != "StringEquals" or resolved != {"platformType", platform}:
            skip = "Step execution skipped due to unsatisfied preconditions"
    return Step(
        name=str(step.get("name", "")),
        script=_script(inputs),
        timeout=step_timeout(inputs.get("timeoutSeconds", "")),
        exits_on_failure=inputs.get("onFailure") == "exit",
        is_finally=str(inputs.get("finallyStep", "")).lower() == "true",
        skip=skip,
    )


def _runtime_steps(config: Mapping[str, Any], values: Mapping[str, Value]) -> list[Step]:
    """Read the steps of schema 1.2, where a plugin's name is the step's."""
    steps = []
    for plugin, body in config.items():
        for entry in substitute(body.get("properties") or [], values):
            skip = "" if plugin == _SHELL_ACTION else f"the lab does not run {plugin}"
            timeout = step_timeout(entry.get("timeoutSeconds", ""))
            steps.append(Step(name=plugin, script=_script(entry), timeout=timeout, skip=skip))
    return steps


def _script(inputs: Mapping[str, Any]) -> str:
    lines = inputs.get("runCommand") or []
    text = lines if isinstance(lines, str) else "\n".join(str(line) for line in lines)
    directory = inputs.get("workingDirectory")
    if not directory:
        return f"{text}\n"
    # The agent sets the directory of the process; a host of the lab only takes a script.
    first, newline, rest = text.partition("\n") if text.startswith("#!") else ("", "", text)
    return f"{first}{newline}cd {_quote(directory)} || exit 1\n{rest}\n"


def _quote(text: object) -> str:
    quoted = str(text).replace("'", "'\\''")
    return f"'{quoted}'"
