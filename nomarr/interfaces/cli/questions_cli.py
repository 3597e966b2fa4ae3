"""`nomarr verify`, `explain`, `scans` and `playlists`: questions about what is known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Final

import typer

from nomarr.helpers.paths_helper import readable
from nomarr.interfaces.cli.errors_cli import say, warn
from nomarr.interfaces.cli.exit_codes_cli import ExitCode
from nomarr.interfaces.cli.options_cli import JsonOption, LibraryArgument, LimitOption, complete_library
from nomarr.interfaces.cli.output_cli import (
    console,
    counted,
    facts,
    local_time,
    print_json,
    print_text,
    table,
    text,
)
from nomarr.interfaces.cli.run_cli import run_command
from nomarr.interfaces.contract import (
    explanation_object,
    playlist_object,
    run_object,
    verification_object,
)

if TYPE_CHECKING:
    from rich.text import Text

    from nomarr.app import Nomarr
    from nomarr.helpers.dto.answers import Explanation, Verification
    from nomarr.helpers.dto.files import Playlist
    from nomarr.helpers.dto.scan import ScanRun

__all__ = ["explain_command", "playlists_command", "scans_command", "verify_command"]

_SHOWN_PATHS: Final = 50
_STATE_STYLES: Final = {"completed": "green", "running": "cyan", "failed": "red", "offline": "red"}


def verify_command(context: typer.Context, library: LibraryArgument, as_json: JsonOption = False) -> None:
    """Compare a library with the disk, file by file. Nothing is changed.

    The exit code is 0 if both are equal and 1 if not; 'nomarr scan' makes them equal.

    Example: nomarr verify Music
    """

    async def verify(nomarr: Nomarr) -> int:
        found = await nomarr.libraries.find_library(library)
        verification = await nomarr.libraries.verify(found.library_id)
        if as_json:
            print_json(verification_object(verification))
        else:
            _print_verification(found.name, verification)
        return ExitCode.DONE if verification.equal else ExitCode.DIFFERENT

    run_command(context, verify)


def explain_command(
    context: typer.Context,
    path: Annotated[str, typer.Argument(metavar="PATH", help="A file or folder.", show_default=False)],
    as_json: JsonOption = False,
) -> None:
    """Say why a file is, or is not, in a library.

    Example: nomarr explain ~/Music/Rock/song.mp3
    """

    async def explain(nomarr: Nomarr) -> None:
        explanation = await nomarr.libraries.explain(path)
        if as_json:
            print_json(explanation_object(explanation))
        else:
            _print_explanation(explanation)

    run_command(context, explain)


def scans_command(
    context: typer.Context,
    library: Annotated[
        str | None,
        typer.Argument(
            metavar="LIBRARY",
            help="Only scans of this library: its name, its id or its folder.",
            autocompletion=complete_library,
            show_default=False,
        ),
    ] = None,
    limit: LimitOption = 20,
    as_json: JsonOption = False,
) -> None:
    """List the latest scans and what they found.

    Example: nomarr scans Music
    """

    async def list_scans(nomarr: Nomarr) -> None:
        wanted = None if library is None else (await nomarr.libraries.find_library(library)).library_id
        runs = await nomarr.libraries.list_scans(wanted, limit=limit)
        if as_json:
            print_json([run_object(run) for run in runs])
        elif runs:
            names = {known.library_id: known.name for known in await nomarr.libraries.list_libraries(counted=False)}
            _print_runs(runs, names)
        else:
            say("nothing was scanned yet; 'nomarr scan' does it")

    run_command(context, list_scans)


def playlists_command(context: typer.Context, library: LibraryArgument, as_json: JsonOption = False) -> None:
    """List playlists and how many of their entries are known.

    Example: nomarr playlists Music
    """

    async def list_playlists(nomarr: Nomarr) -> None:
        found = await nomarr.libraries.find_library(library)
        playlists = await nomarr.libraries.list_playlists(found.library_id)
        if as_json:
            print_json([playlist_object(playlist) for playlist in playlists])
        elif playlists:
            _print_playlists(playlists)
        else:
            say("no playlists; Nomarr knows .m3u, .m3u8 and .pls files inside the library's folder")

    run_command(context, list_playlists)


def _print_verification(name: str, verification: Verification) -> None:
    for warning in verification.warnings:
        warn(warning)
    if verification.equal:
        print_text(f"{name}: database and disk are equal")
        return
    for heading, paths in (
        ("on the disk, but not in the database", verification.not_in_database),
        ("in the database, but not on the disk", verification.not_on_disk),
        ("changed since they were scanned", verification.stale),
    ):
        if paths:
            print_text(f"{counted(len(paths), 'file')} {heading}:")
        for path in paths[:_SHOWN_PATHS]:
            print_text(f"  {readable(path)}")
        if len(paths) > _SHOWN_PATHS:
            print_text(f"  … and {len(paths) - _SHOWN_PATHS:,} more; --json lists all of them")
    say(f"'nomarr scan' brings '{name}' up to date")


def _print_explanation(explanation: Explanation) -> None:
    rows = [
        ("Path", readable(explanation.path)),
        ("State", explanation.state.value.replace("_", " ")),
        ("Reason", explanation.reason),
        ("Library", explanation.library),
        ("Rule", explanation.rule),
        ("Rule in", explanation.rule_file),
        ("Error", explanation.error),
        ("File id", explanation.file_id),
        ("Last seen", local_time(explanation.last_seen) if explanation.last_seen else None),
    ]
    console().print(facts([(name, value) for name, value in rows if value]))


def _print_runs(runs: Sequence[ScanRun], names: dict[str, str]) -> None:
    from rich.table import Column

    shown = table(
        Column("Started", no_wrap=True),
        Column("Library", overflow="ellipsis", no_wrap=True, max_width=20),
        Column("State", no_wrap=True),
        Column("Took", justify="right", no_wrap=True),
        Column("What", overflow="fold", min_width=16),
    )
    for run in runs:
        shown.add_row(
            local_time(run.started_at),
            text(names.get(run.library_id, run.library_id)),
            text(run.state.value, _STATE_STYLES.get(run.state.value, "yellow")),
            "" if run.ended_at is None else f"{run.ended_at - run.started_at:.1f} s",
            _what(run),
        )
    console().print(shown)


def _what(run: ScanRun) -> Text:
    """The scope unless it is the whole library, then what was found."""
    folders = [target.folder_path for target in run.targets if target.folder_path]
    scope = [readable(folder) for folder in folders[:3]] + ([f"{len(folders) - 3} more"] if len(folders) > 3 else [])
    parts = ["full"] if run.full else []
    parts += [", ".join(scope)] if scope else []
    if run.error:
        # What to do about it was said when it happened.
        return text(": ".join([*parts, run.error.partition(". ")[0]]))
    return text(": ".join([*parts, _found(run)]))


def _found(run: ScanRun) -> str:
    report = run.report
    if report is None:
        return ""
    counters = (
        (report.files_added, "added"),
        (report.files_updated, "updated"),
        (report.files_moved, "moved"),
        (report.files_restored, "restored"),
        (report.files_missing, "missing"),
        (report.files_held_back, "held back"),
        (report.files_failed, "unreadable"),
    )
    return ", ".join(f"{number:,} {word}" for number, word in counters if number) or "nothing changed"


def _print_playlists(playlists: Sequence[Playlist]) -> None:
    from rich.table import Column

    shown = table(
        Column("Playlist", overflow="fold"),
        Column("Entries", justify="right", no_wrap=True),
        Column("Known files", justify="right", no_wrap=True),
    )
    for playlist in playlists:
        known = sum(entry.file_id is not None for entry in playlist.entries)
        cell = f"{known:,}" if playlist.error is None else playlist.error
        style = "yellow" if playlist.error or known < len(playlist.entries) else ""
        shown.add_row(text(readable(playlist.path)), f"{len(playlist.entries):,}", text(cell, style))
    console().print(shown)
