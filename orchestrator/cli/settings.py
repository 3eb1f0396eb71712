"""Which flags a configuration file may hold: those of every command that takes --config, whatever they are."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from orchestrator.cli import manners
from orchestrator.errors import RolloutError

if TYPE_CHECKING:
    from orchestrator.config_model import Setting

ONLY_SAID = frozenset(
    {
        *("config", "use", "plan", "out", "instance", "wave"),
        *("yes", "take-over", "no-probe-old"),
        *("full", "detailed-exitcode", "check", "local", "fix"),
        *manners.NAMES,
    }
)
"""Flags that are said each time: they name one occasion, agree to something, or are about the screen."""


@dataclass(frozen=True, slots=True)
class Flag:
    """A flag of several `commands`: its options, one of each. `choices`: those of all of them."""

    name: str
    options: tuple[click.Option, ...]
    choices: tuple[str, ...]
    commands: tuple[str, ...]

    @property
    def option(self) -> click.Option:
        """The first of the options; they differ in nothing but their choices."""
        return self.options[0]


def flag_of(option: click.Parameter) -> str:
    """Name a flag without its dashes."""
    return max(option.opts, key=len).removeprefix("--")


def flags() -> Mapping[str, Flag]:
    """Find the flags that a file may hold, in the order of the commands."""
    found: dict[str, dict[str, click.Option]] = {}
    for path, command in commands():
        for option in command.params:
            if isinstance(option, click.Option) and flag_of(option) not in ONLY_SAID:
                found.setdefault(flag_of(option), {})[path] = option
    return {
        name: Flag(name, tuple(by_command.values()), _choices(by_command.values()), tuple(by_command))
        for name, by_command in found.items()
    }


def _choices(options: Iterable[click.Option]) -> tuple[str, ...]:
    types = [each.type for each in options if isinstance(each.type, click.Choice)]
    return tuple(dict.fromkeys(str(choice) for each in types for choice in each.choices))


def commands() -> Iterator[tuple[str, click.Command]]:
    """Walk the commands that take a configuration file, by their words; `config` itself takes what the others take."""
    from orchestrator.cli.main import root

    context = click.Context(root)
    for name in root.list_commands(context):
        command = root.get_command(context, name)
        if command is not None and name != "config":
            for path, each in _inside(name, command):
                if any(flag_of(param) == "config" for param in each.params):
                    yield path, each


def _inside(path: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        for name, each in command.commands.items():
            yield from _inside(f"{path} {name}", each)
    else:
        yield path, command


def settings() -> tuple["Setting", ...]:
    """Turn the flags into settings."""
    return tuple(_setting(each) for each in flags().values())


def _setting(flag: Flag) -> "Setting":
    from orchestrator.config_model import Kind, Setting

    option = flag.option
    kind = Kind.FORM
    if option.is_flag:
        kind = Kind.SWITCH
    elif flag.choices:
        kind = Kind.CHOICE
    elif isinstance(option.type, click.IntRange):
        kind = Kind.WHOLE
    elif isinstance(option.type, click.FloatRange):
        kind = Kind.NUMBER
    elif option.type is click.STRING or isinstance(option.type, click.Path):
        kind = Kind.TEXT
    return Setting(
        name=flag.name,
        kind=kind,
        help=option.help or "",
        check=lambda text: _check(flag, text),
        repeated=option.multiple,
        choices=flag.choices,
        least=getattr(option.type, "min", None),
        form=option.metavar or option.type.name,
        pattern=getattr(option.type, "pattern", ""),
    )


def _check(flag: Flag, text: str) -> None:
    if not flag.choices:
        accept(flag.option, text)


def accept(option: click.Parameter, text: str) -> None:
    """Raise ValueError with what the flag has against a text."""
    try:
        option.type.convert(text, option, None)
    except click.BadParameter as error:
        raise ValueError(error.message) from error
    except RolloutError as error:
        raise ValueError(error.message.removeprefix(f"--{flag_of(option)}: ")) from error
