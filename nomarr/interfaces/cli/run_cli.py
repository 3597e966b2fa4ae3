"""Runs the work of a command: configuration, logging, an open database, signals, exit code."""

from __future__ import annotations

import gc
import re
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import typer

from nomarr.helpers.secrets_helper import without_secrets
from nomarr.interfaces.cli.errors_cli import say, warn
from nomarr.interfaces.cli.exit_codes_cli import ExitCode
from nomarr.interfaces.cli.logging_cli import set_logging
from nomarr.interfaces.cli.signals_cli import leaving_on_signals, on_first_signal
from nomarr.interfaces.cli.variables_cli import warn_of_unknown_variables

if TYPE_CHECKING:
    from nomarr.app import Nomarr
    from nomarr.config import Config

__all__ = ["GlobalOptions", "Work", "config_for", "options_of", "run_command", "run_without_database", "stored_config"]

_FAREWELL: Final = "stopped; what was scanned until now is kept"

_PASSWORD: Final = re.compile(r"://[^\s/@:]*:[^\s/]+@")
"""In a URL."""

Work = Callable[["Nomarr"], Awaitable[int | None]]
"""What a command does with an open database; answers the exit code, None for 0."""


@dataclass(frozen=True, slots=True)
class GlobalOptions:
    """What stands before the command's name."""

    db: str | None = None
    config: str | None = None
    log_level: str | None = None
    log_format: str | None = None


def run_command(
    context: typer.Context,
    work: Work,
    *,
    gentle: bool = False,
    farewell: str = _FAREWELL,
    wait_for_server: bool = False,
) -> None:
    """Open the database, do `work` and leave with its exit code.

    Args:
        gentle: a first Ctrl-C or SIGTERM cancels the work and lets it clean up, instead of ending the process.
        farewell: what is said when the work was cancelled so.
        wait_for_server: while the database's server is away, go on trying instead of ending with an error.
    """
    config = config_for(context)
    open_and_work = partial(_open_and_work, config, work, wait_for_server=wait_for_server)
    _run(open_and_work, farewell if gentle else None)


def run_without_database(context: typer.Context, work: Callable[[], Awaitable[None]], *, farewell: str) -> None:
    """Do `work`, which opens what it needs by itself, and leave with its exit code.

    A first Ctrl-C or SIGTERM cancels the work and lets it clean up; `farewell` is said then.
    """
    config_for(context)

    async def done() -> int:
        _collect_garbage_again()
        await work()
        return ExitCode.DONE

    _run(done, farewell)


def _run(work: Callable[[], Awaitable[int]], farewell: str | None) -> None:
    """Without a farewell a signal ends the process."""
    # Imported here: nobody waits for all of this to see a help text.
    import anyio

    heeding_signals = partial(_ended_at_once, work) if farewell is None else partial(_cancellable, work, farewell)
    try:
        code = anyio.run(heeding_signals)
    except BrokenPipeError as error:
        # Without the number of the error, at which typer would end the process as if it had failed.
        raise BrokenPipeError("whoever read the output has gone") from error
    if code:
        raise typer.Exit(code)


def options_of(context: typer.Context) -> GlobalOptions:
    """What stands before the name of this command."""
    return context.find_object(GlobalOptions) or GlobalOptions()


def config_for(context: typer.Context) -> Config:
    """What `stored_config` says for this command, after a word about variables that do nothing."""
    warn_of_unknown_variables(context)
    return stored_config(options_of(context))


def stored_config(options: GlobalOptions) -> Config:
    """The configuration with what the command line says; also sets how is logged."""
    from nomarr.config import load_config

    config = load_config(
        options.config, database_url=options.db, log_level=options.log_level, log_format=options.log_format
    )
    set_logging(config.log_level, config.log_format)
    if any(_PASSWORD.search(argument) for argument in sys.argv):
        _hide_passwords()
        warn(
            "until now the list of this machine's processes showed the password in this command; "
            "put the URL into NOMARR_DATABASE_URL, for 'db copy' into NOMARR_COPY_FROM and NOMARR_COPY_TO"
        )
    return config


def _hide_passwords() -> None:
    """From now on the list of processes shows the command line without them."""
    try:
        from setproctitle import setproctitle
    except ImportError:
        # It comes with the driver for servers, without which a command with such a URL ends at once.
        return
    setproctitle(" ".join(map(without_secrets, sys.orig_argv)))


async def _ended_at_once(work: Callable[[], Awaitable[int]]) -> int:
    with leaving_on_signals():
        return await work()


async def _cancellable(work: Callable[[], Awaitable[int]], farewell: str) -> int:
    import anyio

    from nomarr.helpers.exceptions import DatabaseNotReachable

    code: int = ExitCode.DONE
    gave_up = False
    with anyio.CancelScope() as scope, on_first_signal(scope.cancel) as interruption:
        try:
            code = await work()
        except DatabaseNotReachable:
            # Whoever waits for a server that is away gives up when the work is cancelled.
            if not scope.cancel_called:
                raise
            gave_up = True
    if gave_up or scope.cancelled_caught:
        say(farewell)
        return interruption.exit_code
    return code


async def _open_and_work(config: Config, work: Work, *, wait_for_server: bool) -> int:
    from nomarr.app import Nomarr

    _collect_garbage_again()
    async with Nomarr.open(config, wait_for_server=wait_for_server) as nomarr:
        return await work(nomarr) or ExitCode.DONE


def _collect_garbage_again() -> None:
    """Now that everything is imported; `__main__` turned it off."""
    gc.freeze()
    gc.enable()
