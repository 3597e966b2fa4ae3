"""`nomarr scan`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from nomarr.helpers.dto.library import Library, LibraryState, ScanTarget
from nomarr.helpers.dto.scan import ScanProgress, ScanReport
from nomarr.interfaces.cli.errors_cli import WrongUsage, exit_code_of, say, tell_error
from nomarr.interfaces.cli.exit_codes_cli import ExitCode
from nomarr.interfaces.cli.libraries_cli import found_or_added
from nomarr.interfaces.cli.options_cli import JsonOption, complete_library
from nomarr.interfaces.cli.output_cli import print_json
from nomarr.interfaces.cli.progress_cli import progress_display
from nomarr.interfaces.cli.report_cli import print_report
from nomarr.interfaces.cli.run_cli import run_command
from nomarr.interfaces.contract import report_object

if TYPE_CHECKING:
    from nomarr.app import Nomarr

__all__ = ["scan_command"]


@dataclass(frozen=True, slots=True)
class _Wish:
    """What the command line asks for."""

    libraries: Sequence[str]
    folders: Sequence[str]
    shallow: bool
    full: bool
    dry_run: bool
    accept_losses: bool
    wait: bool
    as_json: bool

    def targets(self, library: Library) -> list[ScanTarget]:
        return [ScanTarget(library.library_id, folder, recursive=not self.shallow) for folder in self.folders or [""]]


@dataclass(frozen=True, slots=True)
class _Outcome:
    """How the scan of one library ended."""

    library: Library
    report: ScanReport | None = None
    error: Exception | None = None

    @property
    def exit_code(self) -> int:
        if self.error is not None:
            return exit_code_of(self.error)
        return ExitCode.DIFFERENT if self.report is not None and self.report.files_held_back else ExitCode.DONE


def scan_command(
    context: typer.Context,
    libraries: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="LIBRARY",
            help="Libraries, each by name, id or folder; a folder that is no library yet is added as one. "
            "Without any: all enabled libraries.",
            autocompletion=complete_library,
            show_default=False,
        ),
    ] = None,
    folders: Annotated[
        list[str] | None,
        typer.Option(
            "--folder",
            metavar="REL",
            help="Scan only this folder of the library, written relative to the library's folder. "
            "Can be given several times.",
            show_default=False,
        ),
    ] = None,
    shallow: Annotated[
        bool, typer.Option("--shallow", help="Do not go into the folders inside.", show_default=False)
    ] = False,
    full: Annotated[
        bool,
        typer.Option("--full", help="Read the tags of every file again, not only of changed ones.", show_default=False),
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Write nothing, only say what would be done.", show_default=False),
    ] = False,
    accept_losses: Annotated[
        bool,
        typer.Option(
            "--accept-losses",
            help="Believe that files are gone, however many, also if their disk inside the library is away, "
            "and that an empty folder is meant to be empty.",
            show_default=False,
        ),
    ] = False,
    wait: Annotated[
        bool,
        typer.Option(
            "--wait/--no-wait",
            help="If another process is scanning the library: wait for it, or give up with exit code 4.",
        ),
    ] = True,
    as_json: JsonOption = False,
) -> None:
    """Find out what changed on the disk and record it.

    Only new and changed files are read, so scanning again takes little time.

    Ctrl-C stops a scan within a second; what was scanned until then is kept.

    Example: nomarr scan ~/Music

    Example: nomarr scan Music --folder 'Rock/The Beatles' --folder Jazz
    """
    wish = _Wish(libraries or (), folders or (), shallow, full, dry_run, accept_losses, wait, as_json)
    if wish.folders and len(wish.libraries) != 1:
        raise WrongUsage("--folder needs exactly one LIBRARY")

    async def scan(nomarr: Nomarr) -> int:
        return await _scan(nomarr, wish)

    run_command(context, scan, gentle=True)


async def _scan(nomarr: Nomarr, wish: _Wish) -> int:
    libraries = await _wanted_libraries(nomarr, wish)
    targets = {library.library_id: wish.targets(library) for library in libraries}
    outcomes = await _scan_side_by_side(nomarr, libraries, targets, wish)
    for outcome in outcomes:
        if outcome.error is not None:
            tell_error(outcome.error)
    _print_reports(outcomes, wish)
    failures = [outcome.exit_code for outcome in outcomes if outcome.error is not None]
    return failures[0] if failures else max(outcome.exit_code for outcome in outcomes)


async def _wanted_libraries(nomarr: Nomarr, wish: _Wish) -> list[Library]:
    if not wish.libraries:
        enabled = [library for library in await nomarr.libraries.list_libraries(counted=False) if library.enabled]
        if not enabled:
            raise WrongUsage(
                "there is no library to scan; 'nomarr scan FOLDER' adds a folder with music and scans it",
            )
        return enabled
    found = {}
    for wanted in wish.libraries:
        library = await _found_or_added(nomarr, wanted, wish)
        found[library.library_id] = library
    return list(found.values())


async def _found_or_added(nomarr: Nomarr, wanted: str, wish: _Wish) -> Library:
    if wish.folders:
        # A wrong folder must be refused before anything is written.
        await nomarr.libraries.require_folders(wanted, wish.folders)
    if wish.dry_run:
        # Adding it would be a write.
        return await nomarr.libraries.find_library(wanted)
    return await found_or_added(nomarr, wanted, quiet=wish.as_json)


async def _scan_side_by_side(
    nomarr: Nomarr, libraries: Sequence[Library], targets: dict[str, list[ScanTarget]], wish: _Wish
) -> list[_Outcome]:
    """Scan each library on its own, so that one that is offline does not stop the others."""
    import anyio

    outcomes: dict[str, _Outcome] = {}

    async def scan_one(library: Library, on_progress: Callable[[ScanProgress], None] | None) -> None:
        library_id = library.library_id
        try:
            report = await nomarr.libraries.scan_targets(
                targets[library_id],
                full=wish.full,
                wait=wish.wait,
                dry_run=wish.dry_run,
                accept_losses=wish.accept_losses,
                on_progress=on_progress,
            )
        except Exception as error:
            # Told when all are done, whatever it is; the other libraries have nothing to do with it.
            outcomes[library_id] = _Outcome(library, error=error)
        else:
            outcomes[library_id] = _Outcome(library, report)

    with progress_display(wanted=not wish.as_json) as display:
        async with anyio.create_task_group() as tasks:
            for library in libraries:
                if library.state is LibraryState.SCANNING and wish.wait and not wish.dry_run and not wish.as_json:
                    say(f"'{library.name}' is being scanned by another process; waiting for it (Ctrl-C gives up)")
                tasks.start_soon(scan_one, library, display.bar(library.name))
    return [outcomes[library.library_id] for library in libraries]


def _print_reports(outcomes: Sequence[_Outcome], wish: _Wish) -> None:
    done = [(outcome.library, outcome.report) for outcome in outcomes if outcome.report is not None]
    if not done:
        return
    if not wish.as_json:
        for library, report in done:
            print_report(library, report)
    elif len(wish.libraries) == 1:
        print_json(report_object(done[0][1]))
    else:
        print_json([report_object(report) for _, report in done])
