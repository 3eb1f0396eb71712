"""Command lines that are nearly right: an error that names what was meant."""

from collections.abc import Iterator
from difflib import get_close_matches

import click

from orchestrator.cli.options import CONFIGURATION
from orchestrator.errors import UsageError


def command(name: str, known: list[str], path: str) -> UsageError:
    """Word the error of a command that is none of the `known` ones of the group that `path` names."""
    near = get_close_matches(name, known, n=1)
    there = f"`{path} --help` lists the commands."
    return UsageError(
        f"There is no command {name!r}.", hint=f"Did you mean `{path} {near[0]}`? {there}" if near else there
    )


def usage(error: click.ClickException) -> UsageError:
    """Word what click found wrong: its suggestions, and a table of the file that was not chosen, are in the hint."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "ecs-rollout"
    text, _, meant = " ".join(error.format_message().split()).rstrip(".").partition(". (")
    hints = [f"{meant.removesuffix('?)')}?"] if meant else []
    found = context.meta.get(CONFIGURATION) if context else None
    if isinstance(error, click.MissingParameter) and found is not None and found.tables and not found.use:
        hints.append(f"{found.path} has tables: say {' or '.join(f'--use {name}' for name in found.tables)}.")
    return UsageError(f"{text}.", hint=" ".join((*hints, f"`{path} --help` shows what there is.")))


def flag(error: click.NoSuchOption, ctx: click.Context) -> Exception:
    """Word the error of a flag that no group takes, where a command takes it; any other error stays as it is."""
    if error.option_name not in _flags(ctx):
        return error
    return UsageError(
        f"{error.option_name} goes after the command, not before it.",
        hint=f"`ecs-rollout COMMAND {error.option_name} ...`; before it stand -q, -v and --debug alone.",
    )


def _flags(ctx: click.Context) -> frozenset[str]:
    """Find every flag of every command; this loads them all, and only somebody who has erred waits for it."""
    return frozenset(opt for each in _inside(ctx.command, ctx) for param in each.params for opt in param.opts)


def _inside(group: click.Command, ctx: click.Context) -> Iterator[click.Command]:
    if not isinstance(group, click.Group):
        yield group
        return
    for name in group.list_commands(ctx):
        found = group.get_command(ctx, name)
        if found is not None:
            yield from _inside(found, ctx)
