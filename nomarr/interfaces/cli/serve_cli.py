"""`nomarr serve`, and `nomarr token` for who may use it from elsewhere."""

from __future__ import annotations

import gc
import sys
from enum import StrEnum
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Final

import typer

from nomarr.interfaces.cli.errors_cli import WrongUsage, say
from nomarr.interfaces.cli.help_cli import HelpfulCommand, show_help_without_command
from nomarr.interfaces.cli.libraries_cli import found_or_added
from nomarr.interfaces.cli.output_cli import print_text
from nomarr.interfaces.cli.run_cli import run_command

if TYPE_CHECKING:
    from nomarr.app import Nomarr

__all__ = ["serve_command", "token_app"]

_NEEDED: Final = ("fastapi", "jwt", "prometheus_client", "uvicorn")
_SWITCH_SECONDS: Final = 0.0005
"""So soon a thread that scans lets the event loop go on, which an answer needs a dozen times; Python's own is 5 ms."""


class Scope(StrEnum):
    """What a token is good for."""

    READ = "read"
    ADMIN = "admin"


def serve_command(
    context: typer.Context,
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PATH",
            help="Folders with music; one that is no library yet is added as one.",
            show_default=False,
        ),
    ] = None,
    host: Annotated[
        str,
        typer.Option(
            "--host",
            metavar="ADDRESS",
            help="The address to listen at. At any other one than this computer's own, tokens are needed.",
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", metavar="N", min=0, max=65535, help="The port to listen at; 0 chooses a free one.")
    ] = 8337,
    require_token: Annotated[
        bool,
        typer.Option("--require-token", help="Need tokens at this computer's own addresses, too: behind a proxy."),
    ] = False,
) -> None:
    """Run the service: it watches every library and answers over HTTP, until Ctrl-C.

    Example: nomarr serve ~/Music
    """
    _require_the_extra()
    sys.setswitchinterval(_SWITCH_SECONDS)

    async def serve_libraries(nomarr: Nomarr) -> None:
        from nomarr.interfaces.api.server_if import options_for, serve
        from nomarr.interfaces.api.tokens_if import TOKEN_KEY

        options = options_for(
            host,
            tokens_exist=await nomarr.settings.get(TOKEN_KEY) is not None,
            require_tokens=require_token,
        )
        for path in paths or ():
            await found_or_added(nomarr, path, quiet=False)
        await serve(nomarr, host, port, options, _begin)

    run_command(context, serve_libraries, gentle=True, farewell="stopped serving", wait_for_server=True)


def _begin(address: str) -> None:
    # What is there now stays until the end. To look through it for cycles stops every answer for a tenth of a second.
    gc.collect()
    gc.freeze()
    say(f"serving {address} (Ctrl-C ends it)")


token_app = typer.Typer(
    help="Make tokens, with which other computers may use the service.",
    invoke_without_command=True,
    callback=show_help_without_command,
    rich_markup_mode=None,
)


@token_app.command("create", cls=HelpfulCommand)
def create_command(
    context: typer.Context,
    scope: Annotated[
        Scope, typer.Option("--scope", metavar="SCOPE", help="What it is good for: read, or admin for everything.")
    ] = Scope.READ,
    days: Annotated[
        float, typer.Option("--days", metavar="N", min=0.01, max=36500, help="It ends after so many days.")
    ] = 90,
) -> None:
    """Print a new token, with which a program or browser may use the service from another computer.

    Whoever has it can use it until it ends, so keep it as you keep a password.

    Example: nomarr token create --scope admin --days 30
    """
    _require_the_extra()

    async def create(nomarr: Nomarr) -> None:
        from nomarr.interfaces.api.tokens_if import TOKEN_KEY, Tokens, TokenScope, new_key

        key = await nomarr.settings.get_or_put(TOKEN_KEY, new_key())
        print_text(Tokens(key).create(TokenScope(scope.value), days))

    run_command(context, create)


@token_app.command("revoke", cls=HelpfulCommand)
def revoke_command(context: typer.Context) -> None:
    """Make every token that was created until now worthless; a service that runs notices within half a minute.

    Example: nomarr token revoke
    """
    _require_the_extra()

    async def revoke(nomarr: Nomarr) -> None:
        from nomarr.interfaces.api.tokens_if import TOKEN_KEY, new_key

        await nomarr.settings.put(TOKEN_KEY, new_key())
        say("every token until now is worthless; 'nomarr token create' makes another one")

    run_command(context, revoke)


def _require_the_extra() -> None:
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise WrongUsage(f"the service is not installed ({', '.join(missing)}): pip install 'nomarr[server]'")
