"""`nomarr duplicates`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

import typer

from nomarr.helpers.dto.answers import ComparisonProgress, DuplicateGroup, DuplicateKind
from nomarr.helpers.exceptions import FingerprintLibraryMissing
from nomarr.helpers.paths_helper import readable
from nomarr.interfaces.cli.errors_cli import say, warn
from nomarr.interfaces.cli.options_cli import JsonOption, LibraryArgument
from nomarr.interfaces.cli.output_cli import console, counted, duration, print_json_line, size, text
from nomarr.interfaces.cli.progress_cli import progress_display
from nomarr.interfaces.cli.run_cli import run_command
from nomarr.interfaces.contract import duplicate_object

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from nomarr.app import Nomarr
    from nomarr.helpers.dto.files import FileRecord
    from nomarr.helpers.dto.library import Library

__all__ = ["duplicates_command"]

_HEADINGS: Final = {
    DuplicateKind.SAME_AUDIO: "with the same audio",
    DuplicateKind.SAME_RECORDING: "of the same recording",
}


def duplicates_command(context: typer.Context, library: LibraryArgument, as_json: JsonOption = False) -> None:
    """Find files that hold the same music: first those with the same audio, then other encodings of a recording.

    Only files that 'nomarr enrich' has worked on are compared. Recordings are compared by their fingerprints, which
    takes some minutes for a hundred thousand files; Ctrl-C gives up.

    Example: nomarr duplicates Music
    """

    async def find(nomarr: Nomarr) -> None:
        found = await nomarr.libraries.find_library(library)
        await (_print_lines(nomarr, found) if as_json else _print_groups(nomarr, found))

    run_command(context, find, gentle=True, farewell="stopped")


async def _print_lines(nomarr: Nomarr, library: Library) -> None:
    compared = _Compared()
    async for group in nomarr.libraries.find_duplicates(library.library_id, on_progress=compared.tell):
        print_json_line(duplicate_object(group))
    await _tell_what_was_left_out(nomarr, library, compared.total)


async def _print_groups(nomarr: Nomarr, library: Library) -> None:
    groups: list[DuplicateGroup] = []
    failure: FingerprintLibraryMissing | None = None
    with progress_display(wanted=True) as display:
        compared = _Compared(display.comparison_bar(library.name))
        try:
            async for group in nomarr.libraries.find_duplicates(library.library_id, on_progress=compared.tell):
                groups.append(group)
        except FingerprintLibraryMissing as error:
            # The others were found without it.
            failure = error
    terminal = console()
    for group in groups:
        _print_group(terminal, group)
    if failure is not None:
        raise failure
    say(_summary(groups))
    await _tell_what_was_left_out(nomarr, library, compared.total)


class _Compared:
    """Remembers how many fingerprints there are, and passes on how far their comparison is."""

    def __init__(self, bar: Callable[[ComparisonProgress], None] | None = None) -> None:
        self.total = 0
        self._bar = bar

    def tell(self, progress: ComparisonProgress) -> None:
        self.total = progress.total
        if self._bar is not None:
            self._bar(progress)


def _print_group(terminal: Console, group: DuplicateGroup) -> None:
    from rich.table import Table

    terminal.print(text(f"{len(group.files):,} files {_HEADINGS[group.kind]}", "bold"))
    shown = Table.grid(padding=(0, 2, 0, 0))
    shown.add_column(width=0)
    shown.add_column(overflow="fold")
    for justify in ("right", "left", "right", "left"):
        shown.add_column(justify=justify, no_wrap=True)
    for record, twin in zip(group.files, _twins(group), strict=True):
        shown.add_row("", text(readable(record.path)), *(text(cell, "dim") for cell in _cells(record)), twin)
    terminal.print(shown)
    terminal.print()


def _cells(record: FileRecord) -> tuple[str, str, str]:
    tags = record.tags
    bitrate = "" if tags.bitrate is None else f" {tags.bitrate / 1000:.0f} kbit/s"
    return duration(tags.duration_seconds), f"{tags.format or ''}{bitrate}", size(record.size)


def _twins(group: DuplicateGroup) -> list[Text]:
    """Of a recording: which files have the audio of a file above them."""
    first: dict[str, str] = {}
    twins = []
    for record in group.files:
        above = first.setdefault(record.audio_hash or record.file_id, record.path)
        is_told = group.kind is DuplicateKind.SAME_AUDIO or above == record.path
        twins.append(text("" if is_told else f"same audio as {readable(above)}", "dim"))
    return twins


def _summary(groups: Sequence[DuplicateGroup]) -> str:
    if not groups:
        return "no duplicates"
    audio = sum(group.kind is DuplicateKind.SAME_AUDIO for group in groups)
    recordings = len(groups) - audio
    of_audio = counted(audio, "group with the same audio", "groups with the same audio")
    return f"{of_audio}, {counted(recordings, 'group of the same recording', 'groups of the same recording')}"


async def _tell_what_was_left_out(nomarr: Nomarr, library: Library, compared: int) -> None:
    unfinished = (await nomarr.enrichment.due_work(library.library_id)).unfinished
    if unfinished:
        files = counted(unfinished, "file is", "files are")
        warn(f"{files} not enriched yet, and not or only partly compared: 'nomarr enrich' works on them")
    if (silent := library.files - unfinished - compared) > 0:
        warn(
            f"{counted(silent, 'file has', 'files have')} no fingerprint, for want of sound or of the tool fpcalc: "
            "only the audio was compared"
        )
