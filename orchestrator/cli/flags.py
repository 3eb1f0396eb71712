"""The flags as they were written: so that a next command can be named, and a run be meant again as it was meant."""

from collections.abc import Collection, Iterator
from typing import Any

import click

from orchestrator.core.settings import OptionValue

_ARGUMENTS = "ecs_rollout.arguments"


class RememberingCommand(click.Command):
    """A command that keeps its arguments as they were given."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keep them, then parse them as ever."""
        ctx.meta[_ARGUMENTS] = tuple(args)
        return super().parse_args(ctx, args)


def given(ctx: click.Context, *, without: Collection[str] = ()) -> dict[str, OptionValue]:
    """Give every flag of the command that somebody chose, on the command line or in a file, by its name."""
    names = {param.name for param in ctx.command.params if param.name and param.expose_value} - set(without)
    chosen: dict[str, OptionValue] = {}
    for name, value in {**(ctx.default_map or {}), **_parsed(ctx)}.items():
        if name in names:
            chosen[name] = [str(each) for each in value] if isinstance(value, list | tuple) else value
    return chosen


def words(ctx: click.Context, *, without: Collection[str] = ()) -> tuple[str, ...]:
    """Write the flags of the command line again, word by word and in their order, `without` some of them."""
    found: list[str] = []
    values = {name: list(_each(value)) for name, value in _parsed(ctx).items()}
    for param in _order(ctx):
        if not isinstance(param, click.Option) or not param.name or param.name in without:
            continue
        flag = max(param.opts, key=len)
        found += [flag] if param.is_flag else [flag, values[param.name].pop(0)]
    return tuple(found)


def again(ctx: click.Context, *more: str) -> tuple[str, ...]:
    """Write the command as it was typed, with `more` words after it."""
    return (*ctx.command_path.split(), *ctx.meta.get(_ARGUMENTS, ()), *more)


def _each(value: Any) -> Iterator[str]:  # noqa: ANN401 - the parser's own values
    yield from (str(each) for each in value) if isinstance(value, list | tuple) else (str(value),)


def _parsed(ctx: click.Context) -> dict[str, Any]:
    """Parse the arguments once more, into texts."""
    values, _, _ = ctx.command.make_parser(ctx).parse_args(args=list(ctx.meta.get(_ARGUMENTS, ())))
    return values


def _order(ctx: click.Context) -> list[click.Parameter]:
    """List the flags in the order of the command line; one that was repeated stands there as often."""
    _, _, order = ctx.command.make_parser(ctx).parse_args(args=list(ctx.meta.get(_ARGUMENTS, ())))
    seen: set[str | None] = set()
    kept = []
    for param in order:
        if param.name in seen and not param.multiple:
            continue  # the last one won, and it is written once
        seen.add(param.name)
        kept.append(param)
    return kept
