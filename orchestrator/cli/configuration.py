"""`ecs-rollout config show`: what each setting is, where it comes from, and who takes it."""

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass

import click
from click.core import ParameterSource

from orchestrator.cli import flags, groups, options, settings, speech
from orchestrator.core.settings import OptionValue


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One setting. `source`: flag, file or default; `line` and `use`: where in the file, and in which table of it.

    `commands`: those that take it.
    """

    name: str
    commands: tuple[str, ...]
    value: OptionValue | None
    source: str
    line: int = 0
    use: str = ""


class SettingsCommand(flags.RememberingCommand):
    """A command with every flag that a file may hold; none of them is needed."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Take the other commands' flags when this one is used."""
        if not any(settings.flag_of(each) == "output" for each in self.params):
            self.params += [_optional(each) for each in settings.flags().values() if each.name not in _OWN]
        return super().get_params(ctx)


_OWN = frozenset({"region", "profile"})
"""Those of `options.aws_options`, which brings --config and --use."""

_FIXED = "\N{NO-BREAK SPACE}"
"""Stands for a blank at which no line is folded."""


def _optional(flag: settings.Flag) -> click.Option:
    option = copy.copy(flag.option)
    option.required = False
    option.callback = None  # nothing is done here with what is said
    if flag.choices:
        option.type = click.Choice(flag.choices)
    return option


@click.group(name="config", cls=groups.Group)
def config() -> None:
    """Show what the configuration file and the flags say together."""


@config.command(cls=SettingsCommand)
@options.aws_options
@click.pass_context
def show(ctx: click.Context, /, **_: object) -> None:
    """Show each setting's value, where it comes from (a flag, a line of the file, or the default), and who takes it.

    It takes the flags of the other commands, checks the whole file, and asks nothing of AWS.

    \b
      ecs-rollout config show --config rollout.toml --use web
      ecs-rollout config show --config rollout.toml --use web --bake 5m
    """
    shown = list(_shown(ctx))
    speech.show(_json(ctx, shown) if ctx.params["output"] == "json" else _table(ctx, shown))


def _shown(ctx: click.Context) -> Iterator[Shown]:
    written = flags.given(ctx)
    found = ctx.meta.get(options.CONFIGURATION)
    known = settings.flags()
    for param in ctx.command.params:
        name = settings.flag_of(param)
        if not param.name or not param.expose_value:
            continue
        takers = known[name].commands
        if ctx.get_parameter_source(param.name) is ParameterSource.COMMANDLINE:
            yield Shown(name=name, commands=takers, value=written[param.name], source="flag")
        elif found is not None and name in found.given:
            given = found.given[name]
            line, use = given.line, given.table
            yield Shown(name=name, commands=takers, value=given.value, source="file", line=line, use=use)
        else:
            yield Shown(name=name, commands=takers, value=_default(ctx, param), source="default")


def _default(ctx: click.Context, param: click.Parameter) -> OptionValue | None:
    value = param.get_default(ctx)
    if isinstance(value, list | tuple):
        return [str(each) for each in value]
    return value if isinstance(value, str | int | float) else None


def _table(ctx: click.Context, shown: list[Shown]) -> str:
    """Lay out one table, so that its columns line up, with a caption above those that the same commands take."""
    from orchestrator.report.layout import columns

    found = ctx.meta.get(options.CONFIGURATION)
    groups: dict[tuple[str, ...], list[Shown]] = {}
    for each in shown:
        groups.setdefault(each.commands, []).append(each)
    rows = [row for members in groups.values() for each in members for row in _rows(each)]
    header, *lines = columns(("SETTING", "FROM", "VALUE"), rows).splitlines()
    captions = {members[0].name: _caption(takers) for takers, members in groups.items()}
    text = [header]
    for line in lines:
        caption = captions.get(line.partition(" ")[0])
        text += [caption, line] if caption else [line]
    table = "\n".join(text)
    return f"{found.path}\n\n{table}" if found else table


def _caption(commands: tuple[str, ...]) -> str:
    from orchestrator.report.layout import wrap

    whole = ", ".join(each.replace(" ", _FIXED) for each in commands)
    return wrap(f"-- for {whole}", "   ").replace(_FIXED, " ").lstrip()


def _rows(shown: Shown) -> Iterator[tuple[str, str, str]]:
    """Write a setting as a file would hold it: of several values each on a line of its own."""
    value = shown.value
    if not isinstance(value, list) or not value:
        yield shown.name, _origin(shown), _text(value)
        return
    lines = ",\n".join(json.dumps(each, ensure_ascii=False) for each in value)
    first, *others = f"[{lines}]".splitlines()
    yield shown.name, _origin(shown), first
    yield from (("", "", each) for each in others)


def _origin(shown: Shown) -> str:
    if shown.source != "file":
        return shown.source
    line = f"line {shown.line}"
    return f"{line} [use.{shown.use}]" if shown.use else line


def _text(value: OptionValue | None) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "-" if value in (None, [], "") else str(value)


def _json(ctx: click.Context, shown: list[Shown]) -> str:
    found = ctx.meta.get(options.CONFIGURATION)
    return json.dumps(
        {
            "schema": 1,
            "file": str(found.path) if found else None,
            "use": (found.use or None) if found else None,
            "settings": [
                {
                    "name": each.name,
                    "value": each.value,
                    "source": each.source,
                    "line": each.line or None,
                    "use": each.use or None,
                    "commands": each.commands,
                }
                for each in shown
            ],
        },
        indent=2,
    )
