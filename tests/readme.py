"""What README, docs/ and the map in orchestrator/__init__.py take from the code. `make readme` writes them."""

import ast
import re
import textwrap
from pathlib import Path

from tabulate import tabulate

from orchestrator.core.lifecycle import LIFECYCLE, diagram
from orchestrator.core.reasons import EXPLANATIONS
from orchestrator.errors import ExitCode
from tests import defaults_table, scenario_table
from tests.budget_table import CASES
from tests.hosts_table import ROWS

README = Path(__file__).parent.parent / "README.md"

EXITS = {
    ExitCode.OK: "everything is as wanted",
    ExitCode.NOT_ALL_UPDATED: "the run ended or halted with instances that do not run the credential",
    ExitCode.USAGE: "the command line or the configuration is wrong",
    ExitCode.REFUSED: "refused, nothing was touched: a bad credential, documents not ours, a plan that fits no more",
    ExitCode.ENVIRONMENT: "AWS, permissions or the journal do not let us work",
    ExitCode.LOCKED: "another run holds the cluster",
    ExitCode.CHANGES_PENDING: "`plan --detailed-exitcode`: changes are pending; 1: not all run it, none can be changed",
    ExitCode.DEFECT: "a defect of ecs-rollout; what a run had begun, `resume` finds out",
    ExitCode.HUNG_UP: "stopped since its terminal was closed (SIGHUP), safely",
    ExitCode.INTERRUPTED: "stopped by Ctrl-C, safely",
    ExitCode.TERMINATED: "stopped by SIGTERM, safely",
}


def _table(rows: list[tuple[str, ...]], headers: tuple[str, ...]) -> str:
    return tabulate(rows, headers=headers, tablefmt="github", disable_numparse=True)


def blocks() -> dict[str, str]:
    """Each block's name and content."""
    phases = _table(
        [(f"`{phase}`", rule.invariant, rule.bounded_by) for phase, rule in LIFECYCLE.items()],
        ("phase", "what is true in it", "bounded by"),
    )
    return {
        "lifecycle": f"```mermaid\n{diagram()}```\n\n{phases}",
        "defaults": _table(list(defaults_table.rows()), ("flag", "default", "a percentage is of", "what")),
        "budgets": _table([case.row() for case in CASES], ("instances: trouble", "flags", "the run")),
        "exit-codes": _table([(str(int(code)), text) for code, text in EXITS.items()], ("code", "meaning")),
        "reasons": _table(
            [(f"`{reason}`", each.meaning, each.remedy) for reason, each in EXPLANATIONS.items()],
            ("reason", "what it means", "what to do"),
        ),
        "hosts": _table(
            [(row.host, row.trouble, f"`{row.outcome}`", f"`{row.reason}`", row.ground) for row in ROWS],
            ("host kind", "what is wrong there", "outcome", "reason", "tried on"),
        ),
        "scenario-keys": _table(list(scenario_table.key_rows()), ("table", "key", "value", "default", "what it means")),
        "scenario-values": _table(list(scenario_table.value_rows()), ("key", "value", "what happens")),
    }


def pages() -> tuple[Path, ...]:
    """Give the pages that somebody writes: README and docs/, but for those that are generated whole."""
    return (README, *(page for page in sorted((README.parent / "docs").glob("*.md")) if page.name != "commands.md"))


def with_blocks(text: str) -> str:
    """Put every block in its place in a page. Raises ValueError for a place whose block nobody makes."""
    made = blocks()
    for name in places(text):
        if name not in made and name not in SHOWN:
            raise ValueError(f"nobody makes the block {name}")
        if name in made:
            pattern = re.compile(f"(<!-- begin {name} -->\n).*?(<!-- end {name} -->)", re.DOTALL)
            text = pattern.sub(lambda found, name=name: f"{found[1]}{made[name]}\n{found[2]}", text)  # type: ignore[misc]  # bound early
    return text


def places(text: str) -> list[str]:
    """Name the blocks that a page has places for."""
    return re.findall(r"<!-- begin ([a-z-]+) -->", text)


SHOWN = frozenset({"canary", "demo"})
"""Blocks that hold what a test has seen: tests/scenario/test_demo.py."""


PACKAGE = README.parent / "orchestrator"
MAP = PACKAGE / "__init__.py"
_FOLDERS = ("cli", "report", ".", "aws", "journal", "registry", "core", "lab")
_WIDTH = 118


def map_text() -> str:
    """Draw the map: every module with the first clause of its docstring, from the top layer down."""
    lines = [
        "ecs-rollout: change the registry credential of every container instance of an ECS cluster, and prove it.",
        "",
        "The map of the house (`make readme` draws it). Imports only go down: cli; report, engine, inspection,",
        "aws; journal, registry and the small modules; core; errors. The lab stands apart.",
        "",
    ]
    for name in _FOLDERS:
        folder = PACKAGE / name
        if name != ".":
            lines.append(_line(4, f"{name}/", folder / "__init__.py"))
        indent = 4 if name == "." else 8
        lines += [_line(indent, path.stem, path) for path in sorted(folder.glob("*.py")) if path.stem != "__init__"]
    text = "\n".join(lines)
    return f'"""{text}\n"""\n'


def _line(indent: int, name: str, path: Path) -> str:
    head = f"{' ' * indent}{name:<{30 - indent}}"
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    text = docstring.partition("\n")[0].rstrip(".")
    for mark in (". ", "; ", ": ", ", "):
        if len(head) + len(text) > _WIDTH:
            text = text.partition(mark)[0]
    return head + textwrap.shorten(text, _WIDTH - len(head), placeholder="")


if __name__ == "__main__":
    from tests import commands, deploy_policies

    commands.write()
    deploy_policies.write()
    MAP.write_text(map_text(), encoding="utf-8")
    for page in pages():
        page.write_text(with_blocks(page.read_text(encoding="utf-8")), encoding="utf-8")
