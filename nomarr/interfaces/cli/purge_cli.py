"""`nomarr purge`: forget files that have been missing for long."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from nomarr.helpers.dto.upkeep import PurgeReport
from nomarr.helpers.exceptions import CoverFolderUnusable
from nomarr.helpers.paths_helper import readable
from nomarr.interfaces.cli.errors_cli import warn
from nomarr.interfaces.cli.options_cli import JsonOption, LibrariesArgument
from nomarr.interfaces.cli.output_cli import counted, print_json, print_text
from nomarr.interfaces.cli.run_cli import run_command
from nomarr.interfaces.contract import purge_object

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nomarr.app import Nomarr
    from nomarr.helpers.dto.upkeep import PurgedLibrary

__all__ = ["purge_command"]

_SHOWN_PATHS: Final = 50


def purge_command(
    context: typer.Context,
    libraries: LibrariesArgument = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Write nothing, only say what would be purged.", show_default=False),
    ] = False,
    older_than: Annotated[
        float | None,
        typer.Option(
            "--older-than",
            metavar="DAYS",
            min=0,
            help="Purge what has been missing for so many days; without it the retention in force.",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Forget files that have been missing for long, with their ids and everything known of them.

    Every scan that completes does it by itself. A library that is offline or being scanned is left out.

    Example: nomarr purge Music --older-than 7 --dry-run
    """

    async def purge(nomarr: Nomarr) -> None:
        report = await _purge(nomarr, libraries or (), older_than, dry_run=dry_run)
        for library in report.libraries:
            if library.skipped is not None:
                warn(f"'{library.name}' was left out: {library.skipped}")
        if any(library.files for library in report.libraries) and not dry_run:
            await _remove_covers(nomarr)
        if as_json:
            print_json(purge_object(report))
        else:
            _print_report(report)

    run_command(context, purge)


async def _remove_covers(nomarr: Nomarr) -> None:
    try:
        await nomarr.enrichment.remove_unused_covers()
    except CoverFolderUnusable as error:
        # The files are purged; their covers are deleted by the next enrichment that can.
        warn(str(error))


async def _purge(nomarr: Nomarr, wanted: Sequence[str], days: float | None, *, dry_run: bool) -> PurgeReport:
    # Every name is looked up before anything is forgotten.
    found = [(await nomarr.libraries.find_library(name)).library_id for name in wanted]
    ids: list[str | None] = list(dict.fromkeys(found)) or [None]
    reports = [
        await nomarr.libraries.purge_missing(library_id, older_than_days=days, dry_run=dry_run) for library_id in ids
    ]
    every = tuple(library for report in reports for library in report.libraries)
    return PurgeReport(reports[0].older_than_days, every, dry_run)


def _print_report(report: PurgeReport) -> None:
    for library in report.libraries:
        if library.skipped is None or library.files:
            _print_library(library, report)


def _print_library(library: PurgedLibrary, report: PurgeReport) -> None:
    since = f"missing for {_counted_days(report.older_than_days)} or longer"
    if not library.files:
        print_text(f"{library.name}: no file is {since}")
        return
    done = "would be purged" if report.dry_run else "purged"
    print_text(f"{library.name}: {counted(library.files, 'file')} {done}, {since}")
    for path in library.paths[:_SHOWN_PATHS]:
        print_text(f"  {readable(path)}")
    if library.files > _SHOWN_PATHS:
        print_text(f"  … and {library.files - _SHOWN_PATHS:,} more")


def _counted_days(days: float) -> str:
    """`1 day`, `30 days`, `0.5 days`."""
    return f"{days:g} {'day' if days == 1 else 'days'}"
