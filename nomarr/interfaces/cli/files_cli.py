"""`nomarr files`: what is in a library."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from nomarr.helpers.paths_helper import readable
from nomarr.interfaces.cli.errors_cli import say
from nomarr.interfaces.cli.options_cli import JsonOption, LibraryArgument
from nomarr.interfaces.cli.output_cli import console, counted, duration, print_json_line, size, table, tag_text, text
from nomarr.interfaces.cli.run_cli import run_command
from nomarr.interfaces.contract import file_object

if TYPE_CHECKING:
    from rich.console import Console

    from nomarr.app import Nomarr
    from nomarr.helpers.dto.files import FileRecord

__all__ = ["files_command"]


def files_command(
    context: typer.Context,
    library: LibraryArgument,
    folder: Annotated[
        str,
        typer.Option(
            "--folder",
            metavar="REL",
            help="Only files in this folder and below it, written relative to the library's folder.",
            show_default=False,
        ),
    ] = "",
    missing: Annotated[
        bool,
        typer.Option("--missing", help="List the files that are gone instead of those that are there."),
    ] = False,
    query: Annotated[
        str | None,
        typer.Option(
            "--query",
            metavar="TEXT",
            help="Only files with this text in path, title, artist, album or album artist.",
            show_default=False,
        ),
    ] = None,
    wide: Annotated[
        bool, typer.Option("--wide", help="Show more: all tags and hashes with --json, more columns without.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """List the files of a library with their tags.

    Example: nomarr files Music --query beatles
    """

    async def list_files(nomarr: Nomarr) -> None:
        found = await nomarr.libraries.find_library(library)
        pages = nomarr.libraries.pages_of_files(
            found.library_id, folder=folder, missing=missing, query=query, fingerprints=wide and as_json
        )
        if as_json:
            async for page in pages:
                for record in page:
                    print_json_line(file_object(record, wide=wide))
            return
        shown = _FileTable(console(), wide=wide)
        async for page in pages:
            shown.print(page)
        say(shown.total() if shown.files else "no such files")

    run_command(context, list_files)


class _FileTable:
    """Prints pages of files as one table, however many there are."""

    def __init__(self, console: Console, *, wide: bool) -> None:
        self.files = 0
        self._bytes = 0
        self._console = console
        self._wide = wide

    def print(self, page: Sequence[FileRecord]) -> None:
        shown = table(show_header=self.files == 0, expand=self._console.is_terminal)
        for heading, share in self._columns():
            # Shares instead of the contents decide the width, so that every page has the same columns.
            shown.add_column(heading, ratio=share, no_wrap=True, overflow="ellipsis")
        for record in page:
            shown.add_row(*(text(cell, style) for cell, style in self._cells(record)))
            self._bytes += record.size
        self._console.print(shown)
        self.files += len(page)

    def total(self) -> str:
        return f"{counted(self.files, 'file')}, {size(self._bytes)}"

    def _columns(self) -> list[tuple[str, int]]:
        columns = [("Path", 6), ("Artist", 2), ("Title", 3), ("Length", 1)]
        more = [("Album", 3), ("No.", 1), ("Year", 1), ("Genre", 2), ("Format", 1), ("Id", 2)]
        return columns + more if self._wide else columns

    def _cells(self, record: FileRecord) -> list[tuple[str, str]]:
        tags = record.tags
        title = (record.last_error, "yellow") if record.last_error else (tag_text(tags.title), "")
        cells = [(readable(record.path), ""), (tag_text(tags.artist), ""), title, (duration(tags.duration_seconds), "")]
        if self._wide:
            number = "-".join(tag_text(part) for part in (tags.disc, tags.track) if part is not None)
            more = (tags.album, number, tags.year, tags.genre, tags.format, record.file_id)
            cells += [(tag_text(value), "dim") for value in more]
        return cells
