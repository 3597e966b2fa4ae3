"""`nomarr enrich`."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Final

import typer

from nomarr.helpers.dto.enrichment import DueWork, EnrichmentReport
from nomarr.helpers.dto.library import Library, LibraryState
from nomarr.helpers.exceptions import CoverFolderUnusable
from nomarr.interfaces.cli.errors_cli import WrongUsage, say, warn
from nomarr.interfaces.cli.options_cli import JsonOption, LibrariesArgument
from nomarr.interfaces.cli.output_cli import counted, local_time, print_json, print_text
from nomarr.interfaces.cli.progress_cli import progress_display
from nomarr.interfaces.cli.report_cli import seconds_words
from nomarr.interfaces.cli.run_cli import run_command
from nomarr.interfaces.contract import enrichment_report_object

if TYPE_CHECKING:
    from nomarr.app import Nomarr

__all__ = ["enrich_command"]

_FAREWELL: Final = "stopped; what was found out until now is kept"


def enrich_command(
    context: typer.Context,
    libraries: LibrariesArgument = None,
    retry_failed: Annotated[
        bool,
        typer.Option(
            "--retry-failed", help="Try also those files again that failed before, at once.", show_default=False
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Find out what takes longer than a scan: audio hashes, covers, fingerprints and exact lengths.

    'nomarr watch' does this by itself. Only files that are new or changed since are worked on, the newest first.

    Ctrl-C stops it within a second; what was found out until then is kept.

    Example: nomarr enrich

    Example: nomarr enrich Music --retry-failed
    """

    async def enrich(nomarr: Nomarr) -> None:
        wanted = await _wanted_libraries(nomarr, libraries or ())
        scopes = [library.library_id for library in wanted] if libraries else [None]
        report = await _run(nomarr, scopes, retry_failed=retry_failed, visibly=not as_json)
        if as_json:
            print_json(enrichment_report_object(report))
        else:
            _print_report(report)
            _tell_what_waits(wanted, [await nomarr.enrichment.due_work(scope) for scope in scopes])

    run_command(context, enrich, gentle=True, farewell=_FAREWELL)


async def _wanted_libraries(nomarr: Nomarr, wanted: Sequence[str]) -> list[Library]:
    if wanted:
        named = [await nomarr.libraries.find_library(name) for name in wanted]
        return list({library.library_id: library for library in named}.values())
    known = await nomarr.libraries.list_libraries()
    if not known:
        raise WrongUsage("there is no library yet; 'nomarr scan FOLDER' adds a folder with music and scans it")
    return known


async def _run(nomarr: Nomarr, scopes: Sequence[str | None], *, retry_failed: bool, visibly: bool) -> EnrichmentReport:
    """One library after the other; None stands for all of them. A problem with covers is raised after the last one."""
    report = EnrichmentReport()
    problem: CoverFolderUnusable | None = None
    with progress_display(wanted=visibly) as display:
        if (bar := display.enrichment_bar("enriching")) is not None:
            nomarr.enrichment.subscribe(bar)
        for scope in scopes:
            try:
                report += await nomarr.enrichment.run(scope, retry_failed=retry_failed)
            except CoverFolderUnusable as error:
                problem = error
    if problem is not None:
        raise problem
    return report


def _print_report(report: EnrichmentReport) -> None:
    """A line of counters on stdout; warnings on stderr."""
    if report.steps_done:
        failed = f", {report.files_failed:,} failed" if report.files_failed else ""
        print_text(
            f"{counted(report.files_completed, 'file')} done{failed} "
            f"({counted(report.steps_done, 'step')} in {seconds_words(report.duration_seconds)})"
        )
    else:
        print_text("nothing to do")
    for warning in report.warnings:
        warn(f"  warning: {warning}")


def _tell_what_waits(libraries: Sequence[Library], due: Sequence[DueWork]) -> None:
    for library in libraries:
        if library.state is LibraryState.OFFLINE:
            warn(f"  library '{library.name}' is offline; its files wait until it is back")
    failed, later = sum(work.failed for work in due), sum(work.later for work in due)
    if failed:
        name = shlex.quote(libraries[0].name) if len(libraries) == 1 else "LIBRARY"
        warn(f"  {counted(failed, 'file')} with an error: 'nomarr files {name}' shows which and why")
    if later:
        first = min(work.next_due_at for work in due if work.next_due_at is not None)
        say(
            f"  {counted(later, 'file waits', 'files wait')} for another try, from {local_time(first)} on; "
            "'nomarr enrich --retry-failed' does not wait"
        )
