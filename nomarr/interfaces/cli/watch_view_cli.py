"""The view of watched libraries that people leave open in a terminal."""

from __future__ import annotations

import textwrap
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from nomarr.helpers.dto.enrichment import EnrichmentProgress, EnrichmentState
from nomarr.helpers.dto.events import EventType
from nomarr.helpers.dto.watching import WatcherState, WatchMessageType
from nomarr.helpers.paths_helper import folder_of, name_of, readable, strip_control
from nomarr.interfaces.cli.enrichment_words_cli import activity, step_counts, step_speed
from nomarr.interfaces.cli.output_cli import ago, counted, local_time, text
from nomarr.interfaces.cli.progress_cli import counts, phase, speed, steps
from nomarr.interfaces.cli.report_cli import changes, how_to_accept
from nomarr.interfaces.cli.watch_lines_cli import state_words

if TYPE_CHECKING:
    from rich.console import Group
    from rich.text import Text

    from nomarr.helpers.dto.events import ChangeEvent
    from nomarr.helpers.dto.library import Library
    from nomarr.helpers.dto.scan import ScanProgress, ScanReport
    from nomarr.helpers.dto.watching import WatchMessage, WatchStatus

__all__ = ["LiveView", "WatchBoard"]

_STYLES: Final = {
    WatcherState.WATCHING: "green",
    WatcherState.DEGRADED: "yellow",
    WatcherState.POLLING: "cyan",
    WatcherState.OFFLINE: "red",
}
_EVENT_STYLES: Final = {
    EventType.CREATED: "green",
    EventType.RESTORED: "green",
    EventType.MISSING: "yellow",
    EventType.REMOVED: "yellow",
}
_SHOWN_CHANGES: Final = 10
_FEW_CHANGES: Final = 3
_BAR_WIDTH: Final = 20
_QUICK_SECONDS: Final = 0.5
"""A scan that is over before is not worth a bar that only flashes up."""
_SECONDS_BETWEEN_DRAWINGS: Final = 0.2
_FEW_LINES: Final = 4
"""Where there is not more room than this, the libraries take all of it."""
_SPARE_LINES: Final = 2
"""The last line, and one below that takes what the terminal writes."""
_CLOCK: Final = slice(-len("hh:mm:ss"), None)
_REASON_LINES: Final = 3
_ARROW: Final = " → "
_FAREWELL: Final = "Ctrl-C stops watching"


class LiveView:
    """Draws a board on stderr, again and again at the same place; its last state stays when the block ends."""

    counts_files: Final = True

    def __init__(self, libraries: Sequence[Library]) -> None:
        from rich.console import Console
        from rich.live import Live

        self._board = WatchBoard(libraries)
        self._terminal = Console(stderr=True, highlight=False)
        self._live = Live(console=self._terminal, auto_refresh=False)
        self._drawn_at = 0.0
        self._drawn: list[Text] = []
        self._size = self._terminal.size

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # What only helps while it runs is not left behind.
        self._live.update(_group(self._drawn[:-1]), refresh=True)
        self._live.stop()

    def hear(self, message: WatchMessage) -> None:
        """To be shown with the next drawing."""
        self._board.hear(message)

    def see(self, event: ChangeEvent) -> None:
        """To be shown with the next drawing."""
        self._board.see(event)

    def enrich(self, progress: EnrichmentProgress, now: float) -> None:
        """To be shown with the next drawing."""
        self._board.enrich(progress)

    def know(self, library: Library) -> None:
        """To be shown with the next drawing."""
        self._board.know(library)

    def show(self, now: float) -> None:
        """Draw, if there is something new to see and the last drawing was not just now."""
        if now - self._drawn_at < _SECONDS_BETWEEN_DRAWINGS:
            return
        size = self._terminal.size
        lines = self._board.lines(size.width, size.height, now)
        if lines == self._drawn and size == self._size:
            return
        if size != self._size and self._drawn:
            # The terminal has broken the old lines anew, so nobody knows how many there are to be drawn over.
            self._terminal.clear()
        self._live.update(_group(lines), refresh=True)
        self._drawn_at, self._drawn, self._size = now, lines, size


class WatchBoard:
    """What is known of the watched libraries, as lines that fit into a terminal of any size."""

    def __init__(self, libraries: Iterable[Library]) -> None:
        self._libraries = {library.library_id: _LibraryNews(library) for library in libraries}
        self._changes: deque[ChangeEvent] = deque(maxlen=_SHOWN_CHANGES)
        self._enrichment = EnrichmentProgress()

    def hear(self, message: WatchMessage) -> None:
        """Note what a watcher says."""
        if (news := self._libraries.get(message.library_id)) is not None:
            news.hear(message)

    def see(self, event: ChangeEvent) -> None:
        """Note a change."""
        self._changes.append(event)

    def enrich(self, progress: EnrichmentProgress) -> None:
        """Note how far enrichment is."""
        self._enrichment = progress

    def know(self, library: Library) -> None:
        """Note a new library, or how many files there are now."""
        news = self._libraries.setdefault(library.library_id, _LibraryNews(library))
        news.library = library

    def lines(self, width: int, height: int, now: float) -> list[Text]:
        """The board at this moment; if there is not room for all of it, the less important is left out."""
        enrichment = self._enrichment_lines(width)
        room = height - _SPARE_LINES - len(enrichment)
        if room < _FEW_LINES:
            room, enrichment = room + len(enrichment), []
        blocks = [news.lines(width, now) for news in self._libraries.values()]
        if sum(len(block) + 1 for block in blocks) + _FEW_CHANGES + 2 <= room:
            lines = [line for block in blocks for line in (*block, text(""))]
        else:
            lines = [*_first([block[0] for block in blocks], room - 1), text("")]
        lines += [*self._change_lines(width, room - len(lines)), *enrichment, text(_FAREWELL, "dim")]
        for line in lines:
            line.truncate(width, overflow="ellipsis")
        return lines

    def _enrichment_lines(self, width: int) -> list[Text]:
        """Nothing while there is nothing to do."""
        from rich.text import Text

        progress = self._enrichment
        if progress.state is EnrichmentState.IDLE:
            return []
        heading = text("Enrichment", "bold")
        if progress.state is EnrichmentState.RUNNING:
            line = Text.assemble(
                heading, "  ", (activity(progress), "cyan"), f" {step_counts(progress)} ", (step_speed(progress), "dim")
            )
            return [line, text("")]
        if progress.state is EnrichmentState.PAUSED:
            return [Text.assemble(heading, f"  {activity(progress)}, {step_counts(progress)}"), text("")]
        return [heading, *_wrapped(activity(progress), width, "yellow"), text("")]

    def _change_lines(self, width: int, room: int) -> list[Text]:
        if not self._changes or room < _FEW_CHANGES + 2:
            return []
        shown = list(self._changes)[2 - room :]
        several = len(self._libraries) > 1
        return [
            text("Latest changes", "bold"),
            *(self._change_line(event, width, named=several) for event in shown),
            text(""),
        ]

    def _change_line(self, event: ChangeEvent, width: int, *, named: bool) -> Text:
        from rich.text import Text

        news = self._libraries.get(event.library_id)
        name = f"{strip_control(news.library.name)}: " if named and news is not None else ""
        start = Text.assemble(
            "  ",
            (local_time(event.time)[_CLOCK], "dim"),
            "  ",
            (f"{event.type.value:<8}", _EVENT_STYLES.get(event.type, "cyan")),
            f"  {name}",
        )
        return start + Text(_fitting_path(event, width - start.cell_len))


@dataclass(slots=True)
class _LibraryNews:
    """What is known of one library."""

    library: Library
    status: WatchStatus | None = None
    scanning_since: float | None = None
    progress: ScanProgress | None = None
    report: ScanReport | None = None
    last_scan_at: float | None = None
    failure: str | None = None

    def __post_init__(self) -> None:
        self.last_scan_at = self.library.last_scan_at

    def hear(self, message: WatchMessage) -> None:
        self.status = message.status
        match message.type:
            case WatchMessageType.SCAN_STARTED:
                self.scanning_since, self.progress = message.time, None
            case WatchMessageType.SCAN_PROGRESS:
                self.progress = message.progress
            case WatchMessageType.SCAN_COMPLETED:
                self.scanning_since, self.failure = None, None
                self.report, self.last_scan_at = message.report, message.time
            case WatchMessageType.SCAN_FAILED:
                self.scanning_since, self.failure = None, message.error

    def lines(self, width: int, now: float) -> list[Text]:
        return [
            self._heading(),
            *_wrapped(self.status.reason if self.status is not None else None, width, self._style or "dim"),
            self._summary(now),
            *self._progress_lines(now),
            *_wrapped(self._failure(), width, "red"),
            *_wrapped(self._warning(), width, "yellow"),
        ]

    @property
    def _style(self) -> str:
        return "" if self.status is None else _STYLES.get(self.status.state, "")

    def _heading(self) -> Text:
        from rich.text import Text

        status = self.status
        words = "starting" if status is None else state_words(status)
        heading = Text.assemble(text(self.library.name, "bold"), "  ", (words, self._style))
        if status is not None and status.state is WatcherState.POLLING and status.next_whole_scan_at is not None:
            heading.append(f", next look at {local_time(status.next_whole_scan_at)[_CLOCK]}", "dim")
        return heading

    def _summary(self, now: float) -> Text:
        from rich.text import Text

        files = f"  {counted(self.library.files, 'file')}"
        if self.last_scan_at is None:
            return Text(f"{files}, not scanned yet")
        last_scan = f", last scan {ago(now - self.last_scan_at)}"
        if self.report is None:
            return Text(files + last_scan)
        return Text.assemble(files, last_scan, ": ", changes(self.report) or "nothing changed")

    def _progress_lines(self, now: float) -> list[Text]:
        from rich.text import Text

        if self.scanning_since is None or now - self.scanning_since < _QUICK_SECONDS:
            return []
        if self.progress is None:
            return [Text("  scanning", "cyan")]
        done, total = steps(self.progress)
        filled = round(_BAR_WIDTH * min(done / total, 1)) if total else 0
        bar = Text.assemble(
            "  ",
            ("━" * filled, "cyan"),
            ("─" * (_BAR_WIDTH - filled), "dim"),
            (f" {phase(self.progress)} ", "cyan"),
            f"{counts(self.progress)} ",
            (speed(self.progress), "dim"),
        )
        return [bar]

    def _failure(self) -> str | None:
        # Of a library that is offline the reason says it already.
        if self.failure is None or (self.status is not None and self.status.state is WatcherState.OFFLINE):
            return None
        return f"the last scan failed: {self.failure}"

    def _warning(self) -> str | None:
        if self.report is None:
            return None
        if self.report.files_held_back:
            return f"{counted(self.report.files_held_back, 'file')} can't be found. {how_to_accept(self.library.name)}"
        if not self.report.warnings:
            return None
        more = f" (and {len(self.report.warnings) - 1} more)" if len(self.report.warnings) > 1 else ""
        return f"{self.report.warnings[0]}{more}"


def _group(lines: Iterable[Text]) -> Group:
    from rich.console import Group

    return Group(*lines)


def _first(lines: list[Text], room: int) -> list[Text]:
    """As many lines as fit, and how many do not."""
    if len(lines) <= room:
        return lines
    shown = max(room - 1, 0)
    return [*lines[:shown], text(f"… and {counted(len(lines) - shown, 'more library', 'more libraries')}", "dim")]


def _wrapped(words: str | None, width: int, style: str) -> list[Text]:
    """A sentence on a few lines; none for None."""
    lines = textwrap.wrap(strip_control(words or ""), max(width - 2, 1), max_lines=_REASON_LINES, placeholder=" …")
    return [text(f"  {line}", style) for line in lines]


def _fitting_path(event: ChangeEvent, width: int) -> str:
    """Where the file is and came from, if need be without the beginnings of the paths."""
    path = readable(event.path)
    if event.old_path is None:
        return _end_of(path, width)
    old = readable(_left_place(event.old_path, event.path))
    if event.type is EventType.RENAMED:
        path = name_of(path)
    room = max(width - len(_ARROW), 0)
    old = _end_of(old, max(room // 2, room - _columns(path)))
    return f"{old}{_ARROW}{_end_of(path, room - _columns(old))}"


def _left_place(old: str, new: str) -> str:
    """`old` without the end that both have in common: of a file in a folder that was renamed, the folder."""
    place = old
    while folder_of(place) and name_of(place) == name_of(new):
        place, new = folder_of(place), folder_of(new)
    return old if place == old else f"{place}/"


def _end_of(words: str, width: int) -> str:
    """`words`, or as much of their end as fits."""
    if _columns(words) <= width:
        return words
    start, room = len(words), width - 1
    while start and (room := room - _columns(words[start - 1])) >= 0:
        start -= 1
    return f"…{words[start:]}"


def _columns(words: str) -> int:
    """Columns that a terminal needs for this: two for many Asian letters, none for an accent of its own."""
    from rich.cells import cell_len

    return cell_len(words)
