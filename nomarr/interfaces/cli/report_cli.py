"""What a scan did, for people."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Final

from nomarr.helpers.paths_helper import strip_control
from nomarr.interfaces.cli.errors_cli import warn
from nomarr.interfaces.cli.output_cli import console, counted, text

if TYPE_CHECKING:
    from rich.text import Text

    from nomarr.helpers.dto.library import Library
    from nomarr.helpers.dto.scan import ScanReport

__all__ = ["changes", "how_to_accept", "looked_at", "print_report", "seconds_words"]

_SHOWN_WARNINGS: Final = 20
_CHANGES: Final = (
    ("added", "files_added", "green"),
    ("updated", "files_updated", "cyan"),
    ("moved", "files_moved", "cyan"),
    ("restored", "files_restored", "green"),
    ("missing", "files_missing", "yellow"),
    ("ignored", "files_ignored", "yellow"),
    ("unreadable", "files_failed", "yellow"),
    ("held back", "files_held_back", "red"),
)


def print_report(library: Library, report: ScanReport) -> None:
    """A line of counters on stdout; warnings and what to do about losses on stderr."""
    console().print(_summary(library, report))
    for warning in report.warnings[:_SHOWN_WARNINGS]:
        warn(f"  warning: {warning}")
    if len(report.warnings) > _SHOWN_WARNINGS:
        warn(f"  … and {counted(len(report.warnings) - _SHOWN_WARNINGS, 'more warning')}; --json shows all of them")
    if report.files_held_back:
        warn(f"  {how_to_accept(library.name)}")


def changes(report: ScanReport) -> Text:
    """`3 added, 1 moved`; empty if nothing changed."""
    from rich.text import Text

    return Text(", ").join(
        Text.assemble((f"{number:,}", f"bold {style}"), f" {word}")
        for word, counter, style in _CHANGES
        if (number := getattr(report, counter))
    )


def looked_at(report: ScanReport) -> str:
    """How much work the scan was."""
    return f"{counted(report.files_scanned, 'file')} looked at in {seconds_words(report.duration_seconds)}"


def how_to_accept(library_name: str) -> str:
    """What to do about losses that are held back."""
    name = shlex.quote(strip_control(library_name))
    return f"If no disk is away and they are really gone: nomarr scan {name} --accept-losses"


def _summary(library: Library, report: ScanReport) -> Text:
    from rich.text import Text

    found = changes(report)
    would = Text("would be: ", style="bold") if report.dry_run and found else Text("")
    return Text.assemble(
        text(library.name, "bold"),
        ": ",
        would,
        found or Text("nothing changed"),
        (f" ({looked_at(report)})", "dim"),
    )


def seconds_words(seconds: float) -> str:
    """`1.2 s`, `3.5 min`."""
    return f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:.1f} min"
