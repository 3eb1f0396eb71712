"""Groups of commands: their help tells whole sentences, and a word that is no command gets the nearest one named."""

import click

_SENTENCE = 200
"""More characters than the first sentence of any command's help: none is cut."""


class Group(click.Group):
    """A command with commands inside."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command. Raises UsageError with the nearest one where there is none of that name."""
        known = self.list_commands(ctx)
        if args[0] not in known and not ctx.resilient_parsing:
            from orchestrator.cli import mistyped

            raise mistyped.command(args[0], known, ctx.command_path)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands, each with its first sentence."""
        found = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl([(name, each.get_short_help_str(_SENTENCE)) for name, each in found if each])
