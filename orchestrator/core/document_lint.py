"""The rules for Command documents that no public schema states: F50-F58 and F63, as checks."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

import yaml

SIZE_LIMIT: Final = 64 * 1024
_STEP_LIMITS: Final = range(5, 172_800 + 1)
_PLACEHOLDER: Final = re.compile(r"\{\{\s*([^}\s]*)\s*\}\}")
_QUOTED: Final = re.compile(r"^[a-z_]+='\{\{ ([A-Za-z0-9]+) \}\}'$", re.MULTILINE)
# Look-around, back-references, possessive and atomic groups: Java has them, RE2 has not.
_NOT_RE2: Final = re.compile(r"\(\?(?!:)|\\[1-9]|[*+?}]\+|\\[GZzk]")
_HERE: Final = re.compile(r"<<[<~-]?\s*['\"\\A-Za-z_$]")
_ODD_EXIT: Final = re.compile(r"\bexit\s+(137|168|169|194)\b")


def lint(text: str) -> tuple[str, ...]:
    """Check a document's text; return what is wrong, each with the fact that says so. Empty: it keeps the rules."""
    if len(text.encode()) > SIZE_LIMIT:
        return (f"larger than 64 KB: {len(text.encode())} bytes (F63)",)
    if not text.isascii():
        return ("not ASCII throughout",)
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        return (f"not YAML: {str(error).splitlines()[0]}",)
    if not isinstance(document, dict):
        return ("not a mapping",)
    return tuple(_problems(text, document))


def _problems(text: str, document: Mapping[str, object]) -> Iterator[str]:
    if document.get("schemaVersion") != "2.2" or not re.search(
        r"""^schemaVersion: ["']2\.2["']$""", text, re.MULTILINE
    ):
        yield 'schemaVersion is not the quoted string "2.2" (F50)'
    parameters = document.get("parameters")
    known = parameters if isinstance(parameters, dict) else {}
    for name, definition in known.items():
        yield from _parameter_problems(str(name), definition if isinstance(definition, dict) else {})
    steps = document.get("mainSteps")
    if not isinstance(steps, list) or len(steps) != 1 or not isinstance(steps[0], dict):
        yield "not exactly one step (F53)"
        return
    yield from _step_problems(steps[0], known)


def _parameter_problems(name: str, definition: Mapping[str, object]) -> Iterator[str]:
    if not re.fullmatch("[A-Za-z0-9]+", name):
        yield f"parameter {name}: its name is not alphanumeric, so its value would be ignored (F50)"
    if definition.get("type") != "String":
        yield f"parameter {name}: not of type String"
    if not definition.get("description"):
        yield f"parameter {name}: no description"
    pattern = definition.get("allowedPattern")
    if not isinstance(pattern, str) or not re.fullmatch(r"\^.*\$", pattern) or "|" in _outside_groups(pattern):
        yield f"parameter {name}: no anchored allowedPattern (F51)"
        return
    if _NOT_RE2.search(pattern):
        yield f"parameter {name}: its allowedPattern is not valid in RE2 (F51)"
        return
    try:
        compiled = re.compile(pattern)
    except re.error:
        yield f"parameter {name}: its allowedPattern is no regular expression (F51)"
        return
    if any(compiled.search(bad) for bad in ("a'b", "/a'b", "1'", "http://a'b", "a\nb", "/a\n/b", "a$$b", "/a$$b")):
        yield f"parameter {name}: its allowedPattern lets a quote, a dollar or a new line through (F51)"
    default = definition.get("default")
    if default is not None and not (isinstance(default, str) and compiled.search(default)):
        yield f"parameter {name}: its default does not match its allowedPattern (F52)"


def _outside_groups(pattern: str) -> str:
    """Leave out what stands in brackets: an alternative outside them would not be anchored at both ends."""
    bare = re.sub(r"\\.", "", pattern)
    bare = re.sub(r"\[[^]]*\]", "", bare)
    while (shorter := re.sub(r"\([^()]*\)", "", bare)) != bare:
        bare = shorter
    return bare


def _step_problems(step: Mapping[str, object], known: Mapping[str, object]) -> Iterator[str]:
    if step.get("action") != "aws:runShellScript":
        yield "the step is not aws:runShellScript"
    name = step.get("name")
    if not isinstance(name, str) or not re.fullmatch("[A-Za-z0-9_-]{4,64}", name):
        yield "the step's name has not 4 to 64 plain characters (F63)"
    for key in ("onFailure", "timeoutSeconds", "finallyStep", "isEnd"):
        if key in step:
            yield f"{key} stands outside inputs, where nobody reads it (F53)"
    inputs = step.get("inputs")
    if not isinstance(inputs, dict):
        yield "the step has no inputs"
        return
    yield from _timeout_problems(str(inputs.get("timeoutSeconds", "")), known)
    commands = inputs.get("runCommand")
    if not isinstance(commands, list) or not all(isinstance(each, str) for each in commands):
        yield "runCommand is not a list of strings"
        return
    yield from _script_problems("\n".join(commands), known)


def _timeout_problems(timeout: str, known: Mapping[str, object]) -> Iterator[str]:
    placeholder = re.fullmatch(r"\{\{ ([A-Za-z0-9]+) \}\}", timeout)
    if placeholder:
        definition = known.get(placeholder[1])
        timeout = str(definition.get("default", "")) if isinstance(definition, dict) else ""
    if not timeout.isdigit() or int(timeout) not in _STEP_LIMITS:
        yield "inputs.timeoutSeconds is not within 5..172800, so it would become 3600 (F54)"


def _script_problems(script: str, known: Mapping[str, object]) -> Iterator[str]:
    if not script.startswith("#!/bin/bash\n"):
        yield "the script's first line is not #!/bin/bash (F55)"
    bound = set(_QUOTED.findall(script))
    for name in _PLACEHOLDER.findall(script):
        if name not in known:
            yield f"the script holds {{{{ {name} }}}}, which is no parameter (F51)"
        elif name not in bound:
            yield f"{{{{ {name} }}}} does not stand alone in single quotes (F51)"
    if script.count("{{") != len(bound):
        yield "two opening braces other than those of the parameters, each used once (F51)"
    for name in sorted(set(known) - bound):
        yield f"parameter {name} is not used by the script"
    if _HERE.search(script):
        yield "a here-document or here-string: bash writes them to disk"
    if odd := _ODD_EXIT.search(script):
        yield f"exit {odd[1]} means something else to the SSM agent (F57)"
