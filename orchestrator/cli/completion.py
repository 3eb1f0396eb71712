"""`ecs-rollout completion`: print what teaches a shell to complete our commands and flags."""

import click
from click.shell_completion import get_completion_class

from orchestrator.cli import speech

PROGRAM = "ecs-rollout"
VARIABLE = "_ECS_ROLLOUT_COMPLETE"
"""Set by the shell's script when it asks what comes next: click answers, and no command runs."""


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script for SHELL.

    For zsh, ~/.zfunc must be in fpath before compinit runs.

    \b
      mkdir -p ~/.local/share/bash-completion/completions
      cd ~/.local/share/bash-completion/completions
      ecs-rollout completion bash > ecs-rollout
    \b
      ecs-rollout completion zsh > ~/.zfunc/_ecs-rollout
      ecs-rollout completion fish > ~/.config/fish/completions/ecs-rollout.fish
    """
    found = get_completion_class(shell)
    if found is not None:
        speech.show(found(ctx.find_root().command, {}, PROGRAM, VARIABLE).source())
