"""README, docs/ and the map must not lie."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from orchestrator.cli.main import root
from orchestrator.errors import ExitCode
from tests.readme import MAP, README, SHOWN, blocks, map_text, pages, places, with_blocks

PAGES = pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)


@PAGES
def test_a_page_holds_what_the_code_says(page: Path) -> None:
    """Lifecycle, defaults, budgets, exit codes, reasons and hosts on a page are those of the code."""
    text = page.read_text(encoding="utf-8")
    assert with_blocks(text) == text, "run `make readme`"


def test_every_block_has_one_place() -> None:
    """What the code says stands on one page, and is missing on none."""
    found = [name for page in pages() for name in places(page.read_text(encoding="utf-8"))]
    assert sorted(found) == sorted({*blocks(), *SHOWN})


def test_every_exit_code_is_explained() -> None:
    """No exit code without its line."""
    assert all(f"| {int(code)} " in blocks()["exit-codes"].replace("  ", " ") for code in ExitCode)


def test_the_map_is_true() -> None:
    """Every module stands in the map of orchestrator/__init__.py, under its own docstring's first words."""
    assert MAP.read_text(encoding="utf-8") == map_text(), "run `make readme`"
    assert all(len(line) <= 120 for line in map_text().splitlines())


@PAGES
def test_every_link_leads_somewhere(page: Path) -> None:
    """A link or a picture on a page is a file or folder of this repository."""
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def commands_on(page: Path) -> Iterator[list[str]]:
    """Give every command line of the tool in the page's blocks, word by word, continued lines joined."""
    for block in re.findall(r"```[a-z]*\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        for line in re.sub(r"\\\n", " ", block).splitlines():
            words = shlex.split(line, comments=True) if line.strip().startswith("ecs-rollout ") else []
            if words:
                yield words[1:]


def command_of(words: list[str]) -> tuple[click.Command, list[str]]:
    """Find the command that the words name, and what is left of them."""
    command: click.Command = root
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.get_command(click.Context(command), words[0])
        assert found is not None, words
        command, words = found, words[1:]
    return command, words


@PAGES
def test_every_command_on_a_page_can_be_typed(page: Path) -> None:
    """Commands and flags that a page shows are those that the tool has."""
    for line in commands_on(page):
        command, words = command_of(line)
        flags = {flag for param in command.params for flag in (*param.opts, *param.secondary_opts)}
        said = {word.partition("=")[0] for word in words if word.startswith("-")}
        assert said <= flags | {"--help"}, line


def test_the_quick_start_has_five_commands_that_begin_with_plan() -> None:
    """Somebody who has only the README is at a report after five commands."""
    _, _, after = README.read_text(encoding="utf-8").partition("## Quick start")
    lines = [line for line in after.partition("```\n")[2].partition("```")[0].splitlines() if line]
    assert [line.split()[1] for line in lines] == ["plan", "documents", "plan", "run", "report"]
