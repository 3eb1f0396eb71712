"""The entry point: the command group, and the one place that catches errors and prints them."""

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Final

import click

from orchestrator.cli import speech
from orchestrator.errors import ExitCode, RolloutError

COMMANDS: Final = {
    "plan": ("orchestrator.cli.rollout", "Show what would happen to each instance, and why. Reads only."),
    "run": ("orchestrator.cli.rollout", "Plan, confirm, roll, report."),
    "generations": ("orchestrator.cli.generations", "Show who runs which credential, and who still the previous one."),
    "restore": ("orchestrator.cli.rollout", "Take a whole run back, from the instances' own backups."),
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
    "config": ("orchestrator.cli.configuration", "Show what the configuration file and the flags say together."),
    "schema": ("orchestrator.cli.schema", "Print the JSON Schema of what this tool writes or reads."),
    "lab": ("orchestrator.cli.lab", "Serve an embedded AWS with a fleet, until Ctrl-C."),
    "demo": ("orchestrator.cli.lab", "Roll a fleet with realistic trouble in the lab, and report."),
}


class LazyGroup(click.Group):
    """Loads a command's module only when that command is used, so that --help needs no boto3."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Name the commands in the order of their use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Load one command."""
        if cmd_name not in COMMANDS:
            return None
        command = getattr(importlib.import_module(COMMANDS[cmd_name][0]), cmd_name)
        return command if isinstance(command, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """List the commands without loading them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="ecs-rollout")
def root() -> None:
    """Change the registry credential of every ECS container instance, and prove it.

    \b
      ecs-rollout demo                                        try it, no AWS needed
      ecs-rollout documents publish                           once per account and Region
      ecs-rollout plan --cluster web --credential secretsmanager:registry
      ecs-rollout run  --cluster web --credential secretsmanager:registry
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; end the process with its exit code."""
    sys.exit(invoke(arguments))


def invoke(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code. Everything that goes wrong is one error line and one hint line."""
    speech.reset()
    try:
        answer = root.main(args=arguments, prog_name="ecs-rollout", standalone_mode=False)
    except RolloutError as error:
        return _say(error.message, error.hint, error.exit_code)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return ExitCode.USAGE
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        path = context.command_path if context else "ecs-rollout"
        return _say(error.format_message().replace("\n", " "), f"`{path} --help` shows what there is.", ExitCode.USAGE)
    except (click.Abort, KeyboardInterrupt):
        return _say("Stopped.", "No instance was changed.", ExitCode.INTERRUPTED)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("orchestrator"):
            raise
        package = f"This needs a package that is not installed: {error.name}."
        return _say(package, "pip install 'ecs-rollout[lab]'", ExitCode.USAGE)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader has gone; there is nobody to tell
        return ExitCode.OK
    return answer if isinstance(answer, int) else ExitCode.OK


def _say(message: str, hint: str, code: ExitCode) -> int:
    speech.say_error(message, hint)
    return code


if __name__ == "__main__":
    main()
