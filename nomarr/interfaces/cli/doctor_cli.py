"""`nomarr doctor`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

import typer

from nomarr.interfaces.cli.errors_cli import exit_code_of, tell_error
from nomarr.interfaces.cli.exit_codes_cli import ExitCode
from nomarr.interfaces.cli.options_cli import JsonOption
from nomarr.interfaces.cli.output_cli import console, print_json, text
from nomarr.interfaces.cli.run_cli import GlobalOptions, config_for, options_of

if TYPE_CHECKING:
    from nomarr.config import Config
    from nomarr.services.infrastructure.doctor_svc import Check

__all__ = ["doctor_command"]

_STYLES: Final = {"ok": "green", "warn": "yellow", "error": "bold red"}


def doctor_command(context: typer.Context, as_json: JsonOption = False) -> None:
    """Check what Nomarr needs and say what to do about problems.

    The exit code is 0 if nothing is wrong, 1 if something is, and 3 if the database can't be opened.

    Example: nomarr doctor
    """
    import anyio

    from nomarr.services.infrastructure.doctor_svc import CheckStatus

    checks, failure = anyio.run(_checks, options_of(context), config_for(context))
    if as_json:
        print_json([asdict(check) for check in checks])
    else:
        _print_checks(checks)
    if failure is not None:
        tell_error(failure)
        raise typer.Exit(exit_code_of(failure))
    if any(check.status is CheckStatus.ERROR for check in checks):
        raise typer.Exit(ExitCode.DIFFERENT)


async def _checks(options: GlobalOptions, config: Config) -> tuple[list[Check], Exception | None]:
    """Every check that can be made, and the reason why the others can't."""
    from nomarr.app import Nomarr
    from nomarr.services.infrastructure.doctor_svc import Check, CheckStatus, DoctorService

    checks = [_config_file(options), _watching(config), *await DoctorService.check_machine()]
    try:
        async with Nomarr.open(config) as nomarr:
            return [*checks, *await nomarr.doctor.check_database()], None
    except Exception as error:
        # Shown as a check among the others: they are what helps to find the cause.
        failed = Check("database", CheckStatus.ERROR, str(error), "choose another database with --db, or mend this one")
        return [*checks, failed], error


def _config_file(options: GlobalOptions) -> Check:
    from nomarr.config import default_config_file
    from nomarr.services.infrastructure.doctor_svc import Check, CheckStatus

    named = options.config or os.environ.get("NOMARR_CONFIG")
    if named:
        return Check("configuration", CheckStatus.OK, named)
    file = default_config_file()
    detail = str(file) if file.exists() else f"defaults; there is no {file}"
    return Check("configuration", CheckStatus.OK, detail)


def _watching(config: Config) -> Check:
    from nomarr.services.infrastructure.doctor_svc import Check, CheckStatus

    if config.enable_file_watching:
        return Check("watching", CheckStatus.OK, "turned on; 'nomarr watch' watches libraries for changes")
    return Check("watching", CheckStatus.OK, "turned off by the setting enable_file_watching")


def _print_checks(checks: Sequence[Check]) -> None:
    from rich.table import Table

    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold", max_width=24)
    grid.add_column(overflow="fold")
    for check in checks:
        grid.add_row(
            text(check.status.value, _STYLES[check.status.value]), text(check.name, "bold"), text(check.detail)
        )
        if check.remedy is not None:
            grid.add_row("", "", text(f"→ {check.remedy}", "cyan"))
    console().print(grid)
