"""-q, -v and --debug, which every command takes, and the traceback without secrets that --debug shows."""

from pathlib import Path

import click

from orchestrator.cli import speech
from orchestrator.cli.speech import Loudness
from orchestrator.errors import RolloutError, UsageError

_PACKAGE = Path(__file__).parents[1].parent


def _quiet(_ctx: click.Context, _param: click.Parameter, value: bool) -> None:  # noqa: FBT001 - click's signature
    _set(Loudness.QUIET, wanted=value)


def _verbose(_ctx: click.Context, _param: click.Parameter, value: bool) -> None:  # noqa: FBT001 - click's signature
    _set(Loudness.VERBOSE, wanted=value)
    if value:
        from orchestrator.cli import asked

        asked.listen()


def _set(loudness: Loudness, *, wanted: bool) -> None:
    if not wanted:
        return
    if speech.loudness() not in {Loudness.NORMAL, loudness}:
        raise UsageError("-q and -v contradict each other.", hint="Say one of them.")
    speech.set_loudness(loudness)


def _debug(_ctx: click.Context, _param: click.Parameter, value: bool) -> None:  # noqa: FBT001 - click's signature
    if value:
        speech.set_debug()


_OPTIONS = (
    click.Option(
        ["-q", "--quiet"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_quiet,
        help="Say nothing but problems and the result.",
    ),
    click.Option(
        ["-v", "--verbose"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_verbose,
        help="Say what is asked of AWS, by operation and count.",
    ),
    click.Option(
        ["--debug"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_debug,
        help="Show where an error comes from.",
    ),
)

NAMES = frozenset({"quiet", "verbose", "debug"})
"""The parameters of these flags: they say nothing about what happens to an instance."""


def equip(command: click.Command) -> None:
    """Give a command, and those inside it, the flags; doing it twice changes nothing."""
    if not NAMES & {param.name for param in command.params}:
        command.params += _OPTIONS
    if isinstance(command, click.Group):
        for each in command.commands.values():
            equip(each)


def conclude() -> None:
    """Say at the end of a command what was counted for -v."""
    if speech.loudness() is Loudness.VERBOSE:
        from orchestrator.cli import asked

        asked.conclude()


def where(error: BaseException) -> str:
    """Name the place in our code where an error arose: `engine.py:120 in tick`; empty where it is none of ours."""
    import traceback

    ours = [frame for frame in traceback.extract_tb(error.__traceback__) if str(_PACKAGE) in frame.filename]
    return f"{Path(ours[-1].filename).name}:{ours[-1].lineno} in {ours[-1].name}" if ours else ""


def safe_traceback(error: BaseException) -> str:
    """Write a traceback that can hold no secret: places and types; of texts only those of our own errors."""
    import traceback

    lines: list[str] = []
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        if lines:
            lines.append("which came of:")
        kind = f"{type(current).__module__}.{type(current).__qualname__}"
        text = current.message if isinstance(current, RolloutError) else "(its text may hold a secret)"
        lines.append(f"{kind}: {text}")
        for frame in traceback.extract_tb(current.__traceback__):
            name = frame.filename.removeprefix(f"{_PACKAGE}/")
            lines.append(f"  {name}:{frame.lineno} in {frame.name}")
        current = current.__cause__ or current.__context__
    return "\n".join(lines)
