"""`nomarr db`: copy a database into another one, and look for what is wrong in its contents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from nomarr.interfaces.cli.errors_cli import say, warn
from nomarr.interfaces.cli.exit_codes_cli import ExitCode
from nomarr.interfaces.cli.help_cli import HelpfulCommand, show_help_without_command
from nomarr.interfaces.cli.options_cli import JsonOption
from nomarr.interfaces.cli.output_cli import counted, print_json, print_text
from nomarr.interfaces.cli.progress_cli import progress_display
from nomarr.interfaces.cli.report_cli import seconds_words
from nomarr.interfaces.cli.run_cli import run_command, run_without_database
from nomarr.interfaces.contract import content_check_object, copy_object

if TYPE_CHECKING:
    from nomarr.app import Nomarr
    from nomarr.helpers.dto.stored import ContentCheck, CopyReport, Finding, RowProgress

__all__ = ["db_app"]

_FAREWELL: Final = "stopped; the same command goes on where it was"
_DATABASE: Final = "a URL as for --db, or the path of an SQLite file"

db_app = typer.Typer(
    help="Copy a database into another one, and check its contents.",
    invoke_without_command=True,
    callback=show_help_without_command,
    rich_markup_mode=None,
)


@db_app.command("copy", cls=HelpfulCommand)
def copy_command(
    context: typer.Context,
    source: Annotated[
        str,
        typer.Argument(
            metavar="FROM",
            envvar="NOMARR_COPY_FROM",
            help=f"The database that is copied: {_DATABASE}.",
            show_default=False,
            show_envvar=True,
        ),
    ],
    target: Annotated[
        str,
        typer.Argument(
            metavar="TO",
            envvar="NOMARR_COPY_TO",
            help=f"The new database: {_DATABASE}.",
            show_default=False,
            show_envvar=True,
        ),
    ],
    as_json: JsonOption = False,
) -> None:
    """Copy everything into a new database, of the same kind or another, and compare both at the end.

    Libraries, files with their ids, tags and everything found out about them, playlists, events with their numbers, the
    history of scans and settings. The one that is copied is not changed. Covers are files and stay where they are.

    Ctrl-C, or whatever else ends it, costs nothing: the same command goes on where it was.

    A URL with a password can be given as the variable instead, so that no list of processes shows it.

    Example: nomarr db copy nomarr.db arangodb://nomarr:password@server:8529/nomarr
    """

    async def copy() -> None:
        from nomarr.app import Nomarr

        with progress_display(wanted=not as_json) as display:
            bar = display.row_bar("copy") or _unseen
            report = await Nomarr.copy_database(_url(source), _url(target), on_progress=bar)
        if as_json:
            print_json(copy_object(report))
        else:
            _print_copy(report)

    run_without_database(context, copy, farewell=_FAREWELL)


@db_app.command("check", cls=HelpfulCommand)
def check_command(
    context: typer.Context,
    repair: Annotated[
        bool,
        typer.Option("--repair", help="Repair what can be repaired without a doubt.", show_default=False),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Look at every row and cover of the database and say what does not fit together. Music files are not looked at.

    The exit code is 0 if nothing is wrong, or all of it was repaired, and 1 if something is.

    Example: nomarr db check
    """

    async def check(nomarr: Nomarr) -> int:
        with progress_display(wanted=not as_json) as display:
            found = await nomarr.integrity.check(repair=repair, on_progress=display.row_bar("check") or _unseen)
        if as_json:
            print_json(content_check_object(found))
        else:
            _print_check(found, repair=repair)
        return ExitCode.DONE if found.is_consistent else ExitCode.DIFFERENT

    run_command(context, check)


def _unseen(_: RowProgress) -> None:
    pass


def _url(database: str) -> str:
    return database if "://" in database else f"sqlite:///{database}"


def _print_copy(report: CopyReport) -> None:
    done = "copied, the rest of an unfinished copy," if report.resumed else "copied"
    print_text(
        f"{counted(report.rows, 'row')} {done} from {report.source} to {report.target} and compared in "
        f"{seconds_words(report.duration_seconds)}: both are equal"
    )
    for table in report.tables:
        print_text(f"  {table.rows:>12,}  {table.table}")
    place = "the folder that its setting data_folder names"
    if report.data_folder is not None:
        place = f"{report.data_folder} (unless its setting data_folder names another folder)"
    say(f"covers were not copied: they stay in {place}; set data_folder to it for the new database")


def _print_check(check: ContentCheck, *, repair: bool) -> None:
    if check.in_use:
        undone = ", so nothing was repaired" if repair else ""
        warn(f"somebody scans or enriches just now{undone}: what is being written may look wrong. Check again later")
    if not check.findings:
        print_text(f"{counted(check.rows, 'row')} looked at, nothing is wrong")
    for finding in check.findings:
        _print_finding(finding)


def _print_finding(finding: Finding) -> None:
    done = " (repaired)" if finding.repaired else ""
    print_text(f"{finding.kind}: {finding.count:,}{done}: {finding.meaning}")
    for example in finding.examples:
        print_text(f"  {example}")
    if finding.count > len(finding.examples):
        print_text(f"  … and {finding.count - len(finding.examples):,} more")
    if not finding.repaired:
        print_text(f"  → {finding.remedy}")
