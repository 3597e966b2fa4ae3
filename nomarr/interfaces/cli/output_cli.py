"""Answers on stdout: JSON for programs, tables for people."""

from __future__ import annotations

import json
import os
import select
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from nomarr.helpers.paths_helper import strip_control

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    from nomarr.interfaces.contract import JsonObject

__all__ = [
    "ago",
    "console",
    "counted",
    "duration",
    "facts",
    "json_line",
    "local_time",
    "print_json",
    "print_json_line",
    "print_text",
    "reader_has_gone",
    "size",
    "table",
    "tag_text",
    "text",
    "write_at_once",
]

_PIPE_WIDTH: Final = 100_000
"""Columns for readers that are no terminal, so that nothing is cut off before it reaches `grep`."""
_NONE: Final = "–"


def print_json(value: JsonObject | Sequence[JsonObject]) -> None:
    """Print one JSON value."""
    sys.stdout.write(json.dumps(value, indent=2) + "\n")


def print_json_line(value: JsonObject) -> None:
    """Print one JSON value on one line, at once."""
    sys.stdout.write(json_line(value) + "\n")
    sys.stdout.flush()


def json_line(value: JsonObject) -> str:
    """One JSON value as one line, without its end."""
    # ASCII only: names that are no valid UTF-8 survive as lone surrogates, and any terminal or pipe can take it.
    return json.dumps(value)


def print_text(line: str) -> None:
    """Print one line for people, as it is."""
    sys.stdout.write(strip_control(line) + "\n")


def write_at_once(lines: Iterable[str]) -> None:
    """Write lines to stdout past its buffer: a reader that is stuck holds up this call, but not the process's end."""
    sys.stdout.flush()
    unwritten = memoryview("".join(f"{line}\n" for line in lines).encode(sys.stdout.encoding, "backslashreplace"))
    while unwritten:
        unwritten = unwritten[os.write(sys.stdout.fileno(), unwritten) :]


def reader_has_gone() -> bool:
    """True if stdout is a pipe that nobody will read any more."""
    poll = select.poll()
    # Without asking for anything: an error of the pipe is told in any case.
    poll.register(sys.stdout.fileno(), 0)
    return bool(poll.poll(0))


def console() -> Console:
    """Where tables for people go."""
    from rich.console import Console

    class PipeConsole(Console):
        """Lets `run` judge that the reader has gone, where rich would end the process as if it had failed."""

        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    return PipeConsole(width=None if sys.stdout.isatty() else _PIPE_WIDTH, highlight=False)


def table(*columns: Column, show_header: bool = True, expand: bool = False) -> Table:
    """An empty table in the style of all tables."""
    from rich import box
    from rich.table import Table

    return Table(
        *columns,
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        show_edge=False,
        header_style="bold",
        show_header=show_header,
        expand=expand,
    )


def facts(rows: Iterable[tuple[str, str | Text]]) -> Table:
    """Names and values below each other."""
    from rich.table import Table

    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in rows:
        grid.add_row(name, text(value) if isinstance(value, str) else value)
    return grid


def text(value: str, style: str = "") -> Text:
    """Text for people in which nothing is markup and nothing steers the terminal."""
    from rich.text import Text

    return Text(strip_control(value), style=style)


def tag_text(value: object) -> str:
    """A tag for people; nothing where the file says nothing."""
    return "" if value is None else strip_control(str(value))


def local_time(seconds: float | None) -> str:
    """A time as people near this computer tell it."""
    if seconds is None:
        return _NONE
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def ago(seconds: float) -> str:
    """How long something is past, as roughly as people tell it: `just now`, `20 s ago`, `3 h ago`."""
    if seconds < 10:
        return "just now"
    if seconds < 60:
        return f"{seconds // 10 * 10:.0f} s ago"
    if seconds < 3600:
        return f"{seconds // 60:.0f} min ago"
    if seconds < 2 * 86400:
        return f"{seconds // 3600:.0f} h ago"
    return f"{seconds // 86400:.0f} days ago"


def duration(seconds: float | None) -> str:
    """`3:05`, `1:02:03`."""
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def size(number: float) -> str:
    """Bytes for people: `3.4 GB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"


def counted(number: int, one: str, many: str | None = None) -> str:
    """`1 file`, `1,234 files`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
