"""Render the three Command documents from their shell sources.

Pure: the sources come in as a mapping from file name to text; `orchestrator.documents_folder` reads them.
"""

import json
import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from orchestrator.core.document_lint import lint
from orchestrator.core.document_parameters import PARAMETERS, Kind, Parameter
from orchestrator.core.shell_text import tightened

__all__ = ["Kind", "lint", "render", "render_script"]

_STEPS: Final = MappingProxyType(
    {Kind.INSPECT: "inspectInstance", Kind.APPLY: "applyCredential", Kind.RESTORE: "restoreCredential"}
)
_PURPOSES: Final = MappingProxyType(
    {
        Kind.INSPECT: "Looks at the ECS agent and its registry credential on an instance; changes nothing.",
        Kind.APPLY: "Installs a registry credential, restarts the ECS agent, and proves the effect or restores.",
        Kind.RESTORE: "Takes back what one run of ecs-rollout has changed on an instance.",
    }
)
_LOOK: Final = ("common.sh", "json.sh", "envfile.sh", "agent.sh", "restart.sh", "state.sh")
_CHANGE: Final = ("writing.sh", "recreate.sh", "arming.sh", "verify.sh", "takeback.sh", "watchdog.sh", "checks.sh")
_FILES: Final[Mapping[Kind, tuple[str, ...]]] = MappingProxyType(
    {
        Kind.INSPECT: (*_LOOK, "fetch.sh", "result.sh", "inspect.sh", "main.sh"),
        Kind.APPLY: (*_LOOK, "fetch.sh", *_CHANGE, "payload.sh", "login.sh", "result.sh", "apply.sh", "main.sh"),
        Kind.RESTORE: (*_LOOK, *_CHANGE, "login.sh", "result.sh", "restore.sh", "main.sh"),
    }
)
_INDENT: Final = "   "


def render(kind: str, sources: Mapping[str, str]) -> str:
    """Write the YAML of one document.

    `kind` is inspect, apply or restore (else ValueError); `sources` holds the files of documents/src by name
    (a missing one is a KeyError). Rendering twice gives the same bytes: the document's hash is what a run pins (F70).
    """
    which = Kind(kind)
    return "\n".join((*_head(which), *_indented(render_script(kind, sources)))) + "\n"


def render_script(kind: str, sources: Mapping[str, str]) -> str:
    """Put one document's script together: shebang, parameters, shared functions, its own main.

    Comments and line ends stay in the sources, because a document has room for 64 KB (F63).
    """
    which = Kind(kind)
    lines = [
        "#!/bin/bash",
        "# Rendered by ecs-rollout from documents/src, where every line is explained.",
        f"document_kind={which}",
        *(f"{_variable(each.name)}='{{{{ {each.name} }}}}'" for each in PARAMETERS[which]),
    ]
    for name in _FILES[which]:
        lines += tightened(sources[name])
    return "\n".join(lines) + "\n"


def _variable(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def _head(kind: Kind) -> Iterator[str]:
    yield "---"
    yield 'schemaVersion: "2.2"'
    yield f"description: {json.dumps(f'{_PURPOSES[kind]} Part of ecs-rollout.')}"
    yield "parameters:"
    for each in PARAMETERS[kind]:
        yield from _parameter(each)
    yield "mainSteps:"
    # As little indentation as YAML allows: it is paid for on every line of the script.
    yield "-"
    yield " action: aws:runShellScript"
    yield f" name: {_STEPS[kind]}"
    yield " inputs:"
    yield "  timeoutSeconds: '{{ StepSeconds }}'"
    yield "  runCommand:"
    yield "  - |"


def _parameter(parameter: Parameter) -> Iterator[str]:
    yield f"  {parameter.name}:"
    yield "    type: String"
    yield f"    description: {json.dumps(parameter.description)}"
    if parameter.default is not None:
        yield f"    default: {json.dumps(parameter.default)}"
    yield f"    allowedPattern: {json.dumps(parameter.pattern)}"


def _indented(script: str) -> Iterator[str]:
    for line in script.splitlines():
        yield f"{_INDENT}{line}" if line else ""
