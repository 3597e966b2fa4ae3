"""Help texts as people read them, without the names of Python's types."""

from __future__ import annotations

from typing import Any, Final

import typer
from typer.core import TyperCommand

from nomarr.interfaces.cli.exit_codes_cli import ExitCode

__all__ = ["HelpfulCommand", "show_help_without_command"]

_TYPE: Final = " <"


def show_help_without_command(context: typer.Context) -> None:
    """A command group alone does nothing, so it says what it could do; still that is a wrong usage."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(ExitCode.USAGE)


class HelpfulCommand(TyperCommand):
    """Writes an argument as `LIBRARY`, where Typer would write `{LIBRARY}` and `LIBRARY <str>`."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The words of the usage line."""
        return [piece.strip("{}") for piece in super().collect_usage_pieces(ctx)]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """The lists of arguments and options."""
        for heading, kind in (("Arguments", "argument"), ("Options", "option")):
            params = [param for param in self.get_params(ctx) if param.param_type_name == kind]
            records = [record for param in params if (record := param.get_help_record(ctx)) is not None]
            if records:
                with formatter.section(heading):
                    formatter.write_dl([(name.partition(_TYPE)[0], text) for name, text in records])
