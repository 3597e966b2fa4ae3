"""`nomarr serve`."""

from __future__ import annotations

import gc
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Final

import typer

from nomarr.interfaces.cli.errors_cli import WrongUsage, say
from nomarr.interfaces.cli.libraries_cli import found_or_added
from nomarr.interfaces.cli.run_cli import run_command

if TYPE_CHECKING:
    from nomarr.app import Nomarr

__all__ = ["require_the_extra", "serve_command"]

_NEEDED: Final = ("fastapi", "jwt", "prometheus_client", "uvicorn")
_SWITCH_SECONDS: Final = 0.0005
"""So soon a thread that scans lets the event loop go on, which an answer needs a dozen times; Python's own is 5 ms."""


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
            envvar="NOMARR_SERVE_HOST",
            help="The address to listen at. At any other one than this computer's own, tokens are needed.",
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option(
            "--port",
            metavar="N",
            min=0,
            max=65535,
            # Kubernetes sets NOMARR_PORT by itself, to something else.
            envvar="NOMARR_SERVE_PORT",
            help="The port to listen at; 0 chooses a free one.",
        ),
    ] = 8337,
    require_token: Annotated[
        bool,
        typer.Option(
            "--require-token",
            envvar="NOMARR_SERVE_REQUIRE_TOKEN",
            help="Need tokens at this computer's own addresses, too: behind a proxy.",
        ),
    ] = False,
) -> None:
    """Run the service: it watches every library and answers over HTTP, until Ctrl-C.

    Example: nomarr serve ~/Music
    """
    require_the_extra()
    sys.setswitchinterval(_SWITCH_SECONDS)

    async def serve_libraries(nomarr: Nomarr) -> None:
        from nomarr.interfaces.api.server_if import options_for, serve

        options = options_for(
            host,
            tokens_exist=await nomarr.tokens.were_made(),
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


def require_the_extra() -> None:
    """Raises `WrongUsage` if what the service is made with is not installed."""
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise WrongUsage(
            f"the service is not installed ({', '.join(missing)} missing); in a copy of Nomarr's source: "
            "pip install '.[server]'"
        )
