"""The entry point: the command group, and the one place that catches errors and prints them."""

import gc
import importlib
import os
import sys
import threading
from collections.abc import Sequence
from typing import Final

import click
from click.shell_completion import CompletionItem

from orchestrator.cli import groups, manners, speech
from orchestrator.cli.signals import StoppedError
from orchestrator.errors import DefectError, ExitCode, RolloutError, UsageError

COMMANDS: Final = {
    "plan": ("orchestrator.cli.rollout", "Show what would happen to each instance, and why. Reads only."),
    "run": ("orchestrator.cli.rollout", "Plan, confirm, roll, report."),
    "rotate": ("orchestrator.cli.rotating", "Roll a secret's pending version, then move AWSCURRENT to it."),
    "generations": ("orchestrator.cli.generations", "Show who runs which credential, and who still the previous one."),
    "resume": ("orchestrator.cli.recovery", "Go on with a run whose controller has died."),
    "restore": ("orchestrator.cli.recovery", "Take a whole run back, from the instances' own backups."),
    "heal": ("orchestrator.cli.recovery", "Mend what dead runs have left in a cluster, without their journal."),
    "runs": ("orchestrator.cli.history", "List the runs that the journal knows."),
    "status": ("orchestrator.cli.history", "Show how a run stands, also while it runs."),
    "why": ("orchestrator.cli.history", "Tell every decision about one instance, with its evidence."),
    "approve": ("orchestrator.cli.asking", "Let a run go on with its next wave."),
    "abort": ("orchestrator.cli.asking", "Stop a run from another shell, safely."),
    "report": ("orchestrator.cli.history", "Report a run from the journal."),
    "state": ("orchestrator.cli.state", "Make the table of a journal that machines share."),
    "credential": ("orchestrator.cli.credential", "Judge a credential by the ECS agent's own rules."),
    "documents": ("orchestrator.cli.documents", "Publish, render or check the SSM documents."),
    "iam": ("orchestrator.cli.iam", "Print least-privilege policies for controller, publisher, instances and key."),
    "doctor": ("orchestrator.cli.doctor", "Check everything that a run needs, and say what to do. Reads only."),
    "config": ("orchestrator.cli.configuration", "Show what the configuration file and the flags say together."),
    "schema": ("orchestrator.cli.schema", "Print the JSON Schema of what this tool writes or reads."),
    "completion": ("orchestrator.cli.completion", "Print the completion script for bash, zsh or fish."),
    "lab": ("orchestrator.cli.lab", "Serve an embedded AWS with a fleet, until Ctrl-C."),
    "demo": ("orchestrator.cli.lab", "Roll a fleet with realistic trouble in the lab, and report."),
}


_SELDOM: Final = 200_000
"""New values between two collections: a journal is read into many that stay, and looking through them takes time."""


class LazyGroup(groups.Group):
    """Loads a command's module only when that command is used, so that --help needs no boto3."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Name the commands in the order of their use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Load one command."""
        if cmd_name not in COMMANDS:
            return None
        command = getattr(importlib.import_module(COMMANDS[cmd_name][0]), cmd_name)
        manners.equip(command)
        return command if isinstance(command, click.Command) else None

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse what stands before the command. Raises UsageError for a flag that belongs after it."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            from orchestrator.cli import mistyped

            raise mistyped.flag(error, ctx) from error

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; an error of its parser, which does not know where it is, is told as the command's."""
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            name = ctx.invoked_subcommand
            command = self.get_command(ctx, name) if name and error.ctx is None else None
            if command is not None:
                error.ctx = click.Context(command, info_name=name, parent=ctx)
            raise

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete a command's name without loading any of them."""
        names = [CompletionItem(name, help=text) for name, (_, text) in COMMANDS.items() if name.startswith(incomplete)]
        return names + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """List the commands without loading them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="ecs-rollout")
def root() -> None:
    """Change the registry credential of every ECS container instance, and prove it.

    \b
      ecs-rollout demo                  try it, no AWS needed
      ecs-rollout documents publish     once per account and Region
      ecs-rollout plan --cluster web --credential secretsmanager:registry
      ecs-rollout run  --cluster web --credential secretsmanager:registry
    """


manners.equip(root)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; end the process with its exit code."""
    _hold_standard_streams()
    threading.excepthook = _of_a_thread
    gc.set_threshold(_SELDOM)
    sys.exit(invoke(arguments))


def _hold_standard_streams() -> None:
    """Open nothing in place of a standard stream that the caller has closed: no file may get its number."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def _of_a_thread(args: threading.ExceptHookArgs) -> None:
    """Tell of a defect in a thread that only watches; the run goes on."""
    if args.exc_value is not None:
        speech.write_line(f"warning: {_defect(args.exc_value).message}")


def invoke(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code. Everything that goes wrong is one error line and one hint line."""
    speech.reset()
    try:
        try:
            answer = root.main(args=arguments, prog_name="ecs-rollout", standalone_mode=False)
        finally:
            manners.conclude()
    except RolloutError as error:
        return _say(error, error)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return ExitCode.USAGE
    except click.ClickException as error:
        from orchestrator.cli import mistyped

        return _say(error, mistyped.usage(error))
    except (click.Abort, KeyboardInterrupt) as error:
        return _say(error, StoppedError(ExitCode.INTERRUPTED))
    except Exception as error:  # noqa: BLE001 - whatever it is, it ends in two lines
        return _say(error, _missing(error) or _defect(error))
    return answer if isinstance(answer, int) else ExitCode.OK


def _missing(error: Exception) -> RolloutError | None:
    """Say what to install, where a package of an extra is missing."""
    name = error.name or "" if isinstance(error, ModuleNotFoundError) else ""
    if not name or name.startswith("orchestrator"):
        return None
    return UsageError(f"This needs a package that is not installed: {name}.", hint="`pip install 'ecs-rollout[lab]'`")


def _defect(error: BaseException) -> DefectError:
    return DefectError(error, manners.where(error))


def _say(error: BaseException, said: RolloutError) -> int:
    if speech.debugs():
        speech.write_line(manners.safe_traceback(error))
    speech.say_error(said.message, said.hint)
    return said.exit_code


if __name__ == "__main__":
    main()
