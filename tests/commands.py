"""docs/commands.md and docs/ecs-rollout.1: every command's help, from the same texts. `make readme` writes both."""

import inspect
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

import click

from orchestrator.cli.main import root
from orchestrator.errors import ExitCode
from tests.readme import EXITS, README

PAGE = README.parent / "docs" / "commands.md"
MAN = README.parent / "docs" / "ecs-rollout.1"

_WIDTH = 80


@dataclass(frozen=True)
class Page:
    """One command: its words, and what --help says of it, in parts. `options`: each with its text."""

    path: str
    usage: str
    text: tuple[str, ...]
    examples: tuple[str, ...]
    options: tuple[tuple[str, str], ...]
    help: str
    is_group: bool


def pages() -> Iterator[Page]:
    """Walk the commands in the order of the help."""
    yield from _pages(root, None)


def _pages(command: click.Command, parent: click.Context | None) -> Iterator[Page]:
    name = "ecs-rollout" if parent is None else command.name
    narrow = {**command.context_settings, "terminal_width": _WIDTH, "max_content_width": _WIDTH}
    with click.Context(command, info_name=name, parent=parent, **narrow) as ctx:
        parts = inspect.cleandoc(command.help or "").split("\n\n")
        yield Page(
            path=ctx.command_path,
            usage=" ".join(command.collect_usage_pieces(ctx)),
            text=tuple(" ".join(part.split()) for part in parts if not part.startswith("\b")),
            examples=tuple(textwrap.dedent(part.removeprefix("\b\n")) for part in parts if part.startswith("\b")),
            options=tuple(record for param in command.get_params(ctx) if (record := param.get_help_record(ctx))),
            help=command.get_help(ctx),
            is_group=isinstance(command, click.Group),
        )
        if isinstance(command, click.Group):
            for each in command.list_commands(ctx):
                inner = command.get_command(ctx, each)
                if inner is not None:
                    yield from _pages(inner, ctx)


def page_text() -> str:
    """Give docs/commands.md."""
    parts = ["# Commands", "What `--help` says of each command. This page is generated from the commands themselves."]
    for page in pages():
        parts += [f"## {page.path}", f"```\n{page.help}\n```"]
    return "\n\n".join(parts) + "\n"


def man_text() -> str:
    """Give the manual page."""
    whole, *commands = pages()
    lines = [
        ".TH ECS-ROLLOUT 1",
        ".SH NAME",
        r"ecs-rollout \- change the registry credential of every ECS container instance, and prove it",
        ".SH SYNOPSIS",
        ".B ecs-rollout",
        _roff(whole.usage),
        ".SH DESCRIPTION",
        *_described(whole),
        ".SH COMMANDS",
    ]
    for page in commands:
        lines += [f".SS {_roff(page.path)} {_roff(page.usage)}", *_described(page)]
    lines.append(".SH EXIT STATUS")
    for code in ExitCode:
        lines += [".TP", f".B {int(code)}", _roff(EXITS[code].replace("`", ""))]
    return "\n".join(lines) + "\n"


def _described(page: Page) -> Iterator[str]:
    for part in page.text:
        yield from (".PP", _roff(part))
    for example in page.examples:
        yield from (".PP", ".nf", ".RS", *(_roff(line) for line in example.splitlines()), ".RE", ".fi")
    for flags, text in page.options:
        yield from (".TP", f".B {_roff(flags)}", _roff(text))


def _roff(text: str) -> str:
    """Write a text so that roff takes nothing in it for a request."""
    escaped = text.replace("\\", r"\e").replace("-", r"\-")
    return re.sub(r"^([.'])", r"\\&\1", escaped)


def write() -> None:
    """Write both files."""
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page_text(), encoding="utf-8")
    MAN.write_text(man_text(), encoding="utf-8")
