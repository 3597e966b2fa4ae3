"""`nomarr library`: the music folders that Nomarr knows."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from nomarr.helpers.dto.library import Library, LibraryState, TranscodePolicy, WatchMode
from nomarr.interfaces.cli.errors_cli import WrongUsage, say
from nomarr.interfaces.cli.help_cli import HelpfulCommand, show_help_without_command
from nomarr.interfaces.cli.options_cli import JsonOption, LibraryArgument
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
from nomarr.interfaces.contract import library_object

if TYPE_CHECKING:
    from rich.text import Text

    from nomarr.app import Nomarr

__all__ = ["library_app"]

_STATE_STYLES = {
    LibraryState.READY: "green",
    LibraryState.SCANNING: "cyan",
    LibraryState.OFFLINE: "red",
    LibraryState.FAILED: "red",
}

_TRANSCODES = {
    TranscodePolicy.KEEP_ID: "keep_id: a song that was encoded anew stays the same track",
    TranscodePolicy.NEW_ID: "new_id: a song that was encoded anew is a new track",
}

library_app = typer.Typer(
    help="Add, list, change and remove music folders.",
    invoke_without_command=True,
    callback=show_help_without_command,
    rich_markup_mode=None,
)

WatchOption = Annotated[
    WatchMode | None,
    typer.Option(
        "--watch",
        metavar="MODE",
        help="How 'nomarr watch' notices changes: auto, events, poll or off.",
        show_default=False,
    ),
]
IgnoreOption = Annotated[
    list[str] | None,
    typer.Option(
        "--ignore",
        metavar="PATTERN",
        help="Leave out what matches this pattern, written as in a .gitignore file. Can be given several times.",
        show_default=False,
    ),
]

TranscodesOption = Annotated[
    TranscodePolicy | None,
    typer.Option(
        "--transcodes",
        metavar="POLICY",
        help="When a song was encoded anew and the old file is gone, is the new one the same track? "
        "keep_id: yes, it keeps its id; new_id: no.",
        show_default=False,
    ),
]


@library_app.command("add", cls=HelpfulCommand)
def add_command(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What you want to call it.", show_default=False)],
    path: Annotated[str, typer.Argument(metavar="PATH", help="The folder with the music.", show_default=False)],
    watch: WatchOption = None,
    ignore: IgnoreOption = None,
    transcodes: TranscodesOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add a folder as a library. Nothing is scanned yet.

    Example: nomarr library add Music /srv/music --ignore '*.tmp'
    """

    async def add(nomarr: Nomarr) -> None:
        library = await nomarr.libraries.add_library(
            name,
            path,
            watch_mode=watch or WatchMode.AUTO,
            ignore_patterns=ignore or (),
            transcode_policy=transcodes or TranscodePolicy.KEEP_ID,
        )
        _show(library, as_json=as_json)
        if not as_json:
            say(f"added; 'nomarr scan {library.name}' finds its music")

    run_command(context, add)


@library_app.command("list", cls=HelpfulCommand)
def list_command(context: typer.Context, as_json: JsonOption = False) -> None:
    """List all libraries.

    Example: nomarr library list
    """

    async def list_all(nomarr: Nomarr) -> None:
        libraries = await nomarr.libraries.list_libraries()
        if as_json:
            print_json([library_object(library) for library in libraries])
        elif libraries:
            _print_table(libraries)
        else:
            say("there is no library yet; 'nomarr scan FOLDER' adds one and finds its music")

    run_command(context, list_all)


@library_app.command("show", cls=HelpfulCommand)
def show_command(context: typer.Context, library: LibraryArgument, as_json: JsonOption = False) -> None:
    """Show one library.

    Example: nomarr library show Music
    """

    async def show(nomarr: Nomarr) -> None:
        _show(await nomarr.libraries.find_library(library), as_json=as_json)

    run_command(context, show)


@library_app.command("edit", cls=HelpfulCommand)
def edit_command(
    context: typer.Context,
    library: LibraryArgument,
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="Call it so from now on.", show_default=False)
    ] = None,
    watch: WatchOption = None,
    ignore: IgnoreOption = None,
    no_ignore: Annotated[
        bool, typer.Option("--no-ignore", help="Forget all patterns of this library.", show_default=False)
    ] = False,
    enabled: Annotated[
        bool | None,
        typer.Option(
            "--enable/--disable",
            help="Whether it is watched, and scanned by 'nomarr scan' without a LIBRARY.",
            show_default=False,
        ),
    ] = None,
    transcodes: TranscodesOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change a library's name, watch mode, ignore patterns or what becomes of transcoded songs.

    New patterns replace the old ones and take effect with the next scan.

    Example: nomarr library edit Music --ignore Podcasts/ --ignore '*.tmp'
    """
    if ignore and no_ignore:
        raise WrongUsage("--ignore and --no-ignore contradict each other")
    patterns = () if no_ignore else ignore or None
    if (name, watch, patterns, enabled, transcodes) == (None, None, None, None, None):
        raise WrongUsage(
            "nothing to change; use --name, --watch, --ignore, --no-ignore, --enable, --disable or --transcodes",
        )

    async def edit(nomarr: Nomarr) -> None:
        found = await nomarr.libraries.find_library(library)
        changed = await nomarr.libraries.update_library(
            found.library_id,
            name=name,
            watch_mode=watch,
            ignore_patterns=patterns,
            enabled=enabled,
            transcode_policy=transcodes,
        )
        _show(changed, as_json=as_json)

    run_command(context, edit)


@library_app.command("relocate", cls=HelpfulCommand)
def relocate_command(
    context: typer.Context,
    library: LibraryArgument,
    new_path: Annotated[
        str, typer.Argument(metavar="NEWPATH", help="The folder where the music is now.", show_default=False)
    ],
    as_json: JsonOption = False,
) -> None:
    """Tell that a library's folder is at another place now. Everything known about its files is kept.

    Give the same folder again to accept a new disk at the old place.

    Example: nomarr library relocate Music /mnt/new-disk/music
    """

    async def relocate(nomarr: Nomarr) -> None:
        found = await nomarr.libraries.find_library(library)
        _show(await nomarr.libraries.relocate_library(found.library_id, new_path), as_json=as_json)

    run_command(context, relocate)


@library_app.command("remove", cls=HelpfulCommand)
def remove_command(
    context: typer.Context,
    library: LibraryArgument,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.", show_default=False)] = False,
    as_json: JsonOption = False,
) -> None:
    """Forget a library and everything known about its files. The music itself is not touched.

    Example: nomarr library remove Music
    """
    run_command(context, partial(_remove, wanted=library, yes=yes, as_json=as_json))


async def _remove(nomarr: Nomarr, wanted: str, *, yes: bool, as_json: bool) -> None:
    library = await nomarr.libraries.find_library(wanted)
    if not yes:
        _confirm_removal(library)
    await nomarr.libraries.remove_library(library.library_id)
    if as_json:
        print_json(library_object(library))
    else:
        print_text(f"removed library '{library.name}'; the files in {library.root_path} are untouched")


def _confirm_removal(library: Library) -> None:
    if not sys.stdin.isatty():
        raise WrongUsage(
            f"removing '{library.name}' needs a confirmation; add --yes to remove it without being asked",
        )
    question = f"Forget library '{library.name}' with {counted(library.files + library.missing, 'file')}?"
    say("Ids, history and everything else known about these files is lost; the music itself is not touched.")
    typer.confirm(question, abort=True, err=True)


def _show(library: Library, *, as_json: bool) -> None:
    if as_json:
        print_json(library_object(library))
        return
    rows: list[tuple[str, str | Text]] = [
        ("Name", library.name),
        ("Folder", library.root_path),
        ("State", _state(library)),
        ("Files", _file_counts(library)),
        ("Last scan", local_time(library.last_scan_at)),
        ("Watching", library.watch_mode.value),
        ("Transcodes", _TRANSCODES[library.transcode_policy]),
    ]
    if library.ignore_patterns:
        rows.append(("Ignored", ", ".join(library.ignore_patterns)))
    if not library.enabled:
        rows.append(("Disabled", "scanned only when named, and not watched"))
    rows.append(("Id", library.library_id))
    console().print(facts(rows))


def _print_table(libraries: Iterable[Library]) -> None:
    from rich.table import Column

    shown = table(
        Column("Library", overflow="fold", min_width=7),
        Column("State", no_wrap=True),
        Column("Watch", no_wrap=True),
        Column("Files", justify="right", no_wrap=True),
        Column("Missing", justify="right", no_wrap=True),
        Column("Last scan", no_wrap=True),
        Column("Folder", overflow="fold", min_width=12),
    )
    for library in libraries:
        shown.add_row(
            text(library.name),
            _state(library, short=True),
            library.watch_mode.value,
            f"{library.files:,}",
            f"{library.missing:,}" if library.missing else "",
            local_time(library.last_scan_at),
            text(library.root_path),
        )
    console().print(shown)


def _state(library: Library, *, short: bool = False) -> Text:
    told = library.state.value
    if library.reason and not short:
        told = f"{told}: {library.reason}"
    return text(told, _STATE_STYLES.get(library.state, "yellow"))


def _file_counts(library: Library) -> str:
    missing = f" ({library.missing:,} missing)" if library.missing else ""
    return f"{library.files:,}{missing}"
