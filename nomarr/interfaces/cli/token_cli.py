"""`nomarr token`: who may use the service from elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from nomarr.helpers.dto.tokens import UNNAMED_TOKEN, TokenScope
from nomarr.interfaces.cli.errors_cli import WrongUsage, say
from nomarr.interfaces.cli.help_cli import HelpfulCommand, show_help_without_command
from nomarr.interfaces.cli.options_cli import JsonOption
from nomarr.interfaces.cli.output_cli import console, local_time, print_json, print_text, table, text
from nomarr.interfaces.cli.run_cli import run_command
from nomarr.interfaces.cli.serve_cli import require_the_extra
from nomarr.interfaces.contract import token_object

if TYPE_CHECKING:
    from nomarr.app import Nomarr
    from nomarr.helpers.dto.tokens import KeptToken

__all__ = ["token_app"]

token_app = typer.Typer(
    help="Make, list and revoke tokens, with which other computers may use the service.",
    invoke_without_command=True,
    callback=show_help_without_command,
    rich_markup_mode=None,
)


@token_app.command("create", cls=HelpfulCommand)
def create_command(
    context: typer.Context,
    name: Annotated[
        str, typer.Option("--name", metavar="NAME", help="What it is called in the list: who or what has it.")
    ] = UNNAMED_TOKEN,
    scope: Annotated[
        TokenScope, typer.Option("--scope", metavar="SCOPE", help="What it is good for: read, or admin for everything.")
    ] = TokenScope.READ,
    days: Annotated[
        float, typer.Option("--days", metavar="N", min=0.01, max=36500, help="It ends after so many days.")
    ] = 90,
    as_json: JsonOption = False,
) -> None:
    """Print a new token, with which a program or browser may use the service from another computer.

    Whoever has it can use it until it ends or is revoked, so keep it as you keep a password. It is printed only now:
    the list has its name, not the token.

    Example: nomarr token create --name 'kitchen tablet' --days 30
    """
    require_the_extra()

    async def create(nomarr: Nomarr) -> None:
        from nomarr.interfaces.api.tokens_if import sign

        kept, key = await nomarr.tokens.keep(name, scope, days)
        token = sign(kept, key)
        if as_json:
            print_json(token_object(kept) | {"token": token})
        else:
            print_text(token)

    run_command(context, create)


@token_app.command("list", cls=HelpfulCommand)
def list_command(context: typer.Context, as_json: JsonOption = False) -> None:
    """List the tokens that are good, newest first. What has ended or was revoked is not in the list any more.

    Example: nomarr token list
    """

    async def list_all(nomarr: Nomarr) -> None:
        tokens = await nomarr.tokens.list_tokens()
        if as_json:
            print_json([token_object(token) for token in tokens])
        elif tokens:
            _print_table(tokens)
        else:
            say("no token is good now; 'nomarr token create --name NAME' makes one")

    run_command(context, list_all)


@token_app.command("revoke", cls=HelpfulCommand)
def revoke_command(
    context: typer.Context,
    token_id: Annotated[
        str | None,
        typer.Argument(
            metavar="ID", help="The id of the token, as listed. Without it: all of them.", show_default=False
        ),
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="All that were made until now; you are not asked.", show_default=False)
    ] = False,
) -> None:
    """Make one token worthless, or all that were made until now; a service that runs notices within half a minute.

    Without an ID and without --all it is all of them, too, but on a terminal you are asked before.

    Example: nomarr token revoke 5d41402abc4b2a76
    """
    if token_id is not None and every:
        raise WrongUsage("an ID and --all contradict each other")

    async def revoke(nomarr: Nomarr) -> None:
        if token_id is not None:
            await nomarr.tokens.revoke(token_id)
            say("this token is worthless now")
            return
        # A script that revokes all tokens because one was seen must not fail to.
        if not every and sys.stdin.isatty():
            typer.confirm("Make every token until now worthless?", abort=True, err=True)
        await nomarr.tokens.revoke_all()
        say("every token until now is worthless; 'nomarr token create' makes another one")

    run_command(context, revoke)


def _print_table(tokens: Sequence[KeptToken]) -> None:
    from rich.table import Column

    shown = table(
        Column("Id", no_wrap=True),
        Column("Name", overflow="fold", min_width=12),
        Column("Scope", no_wrap=True),
        Column("Made", no_wrap=True),
        Column("Ends", no_wrap=True),
    )
    for token in tokens:
        shown.add_row(
            token.token_id,
            text(token.name),
            token.scope.value,
            local_time(token.created_at),
            local_time(token.expires_at),
        )
    console().print(shown)
