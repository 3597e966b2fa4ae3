"""What happens to watched libraries, line by line: JSON for programs, text for logs and pipes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final, Protocol

from nomarr.helpers.dto.enrichment import EnrichmentState
from nomarr.helpers.dto.watching import WatcherState, WatchMessageType
from nomarr.helpers.paths_helper import readable, strip_control
from nomarr.interfaces.cli.output_cli import counted, json_line, local_time, reader_has_gone, write_at_once
from nomarr.interfaces.cli.report_cli import changes, how_to_accept, looked_at
from nomarr.interfaces.contract import enrichment_object, event_object, watch_object

if TYPE_CHECKING:
    from nomarr.helpers.dto.enrichment import EnrichmentProgress
    from nomarr.helpers.dto.events import ChangeEvent
    from nomarr.helpers.dto.library import Library, ScanTarget
    from nomarr.helpers.dto.scan import ScanReport
    from nomarr.helpers.dto.watching import WatchMessage, WatchStatus

__all__ = ["Audience", "JsonWords", "Lines", "PlainWords", "Words", "state_words"]

_STATES: Final = {
    WatcherState.STARTING: "starting",
    WatcherState.WATCHING: "watching",
    WatcherState.DEGRADED: "watching, but not everything",
    WatcherState.POLLING: "looking regularly",
    WatcherState.OFFLINE: "offline",
    WatcherState.OFF: "not watched",
}


class Audience(Protocol):
    """Whom `nomarr watch` tells what happens. `show` writes, and may wait for whoever reads; the others take note."""

    @property
    def counts_files(self) -> bool:
        """True if it is worth a look into the database how many files there are after a scan."""

    def hear(self, message: WatchMessage) -> None:
        """A watcher says this."""

    def see(self, event: ChangeEvent) -> None:
        """A file changed."""

    def enrich(self, progress: EnrichmentProgress, now: float) -> None:
        """Enrichment is so far."""

    def know(self, library: Library) -> None:
        """A library as it is now."""

    def show(self, now: float) -> None:
        """Write what is new. Raises `BrokenPipeError` if nobody reads any more."""


class Words(Protocol):
    """Puts what happens into lines."""

    def heard(self, message: WatchMessage) -> Iterable[str]:
        """The lines about a message."""

    def seen(self, event: ChangeEvent) -> str:
        """The line about a change."""

    def enriched(self, progress: EnrichmentProgress, now: float) -> Iterable[str]:
        """The lines about enrichment."""


class Lines:
    """Lines on stdout, each as soon as it is known."""

    counts_files: Final = False

    def __init__(self, words: Words) -> None:
        self._words = words
        self._unwritten: list[str] = []

    def hear(self, message: WatchMessage) -> None:
        """To be written."""
        self._unwritten += self._words.heard(message)

    def see(self, event: ChangeEvent) -> None:
        """To be written."""
        self._unwritten.append(self._words.seen(event))

    def enrich(self, progress: EnrichmentProgress, now: float) -> None:
        """To be written."""
        self._unwritten += self._words.enriched(progress, now)

    def know(self, library: Library) -> None:
        """The line about the scan says enough."""

    def show(self, now: float) -> None:
        """Write what is new."""
        if reader_has_gone():
            raise BrokenPipeError
        lines, self._unwritten = self._unwritten, []
        write_at_once(lines)


class JsonWords:
    """A JSON object for each message and each change."""

    def heard(self, message: WatchMessage) -> Iterable[str]:
        """Exactly one line."""
        return [json_line(watch_object(message))]

    def seen(self, event: ChangeEvent) -> str:
        """As `nomarr events` prints it."""
        return json_line(event_object(event))

    def enriched(self, progress: EnrichmentProgress, now: float) -> Iterable[str]:
        """Exactly one line."""
        return [json_line(enrichment_object(progress, now))]


class PlainWords:
    """Time, library, what happened."""

    def __init__(self, libraries: Iterable[Library]) -> None:
        self._names = {library.library_id: library.name for library in libraries}
        self._problem: str | None = None

    def heard(self, message: WatchMessage) -> Iterable[str]:
        """Nothing about small scans that start, nor how far they are."""
        self._names[message.library_id] = message.status.name
        return [self._line(message.time, message.library_id, words) for words in _told(message)]

    def seen(self, event: ChangeEvent) -> str:
        """What happened to which file."""
        return self._line(event.time, event.library_id, f"{event.type.value:<8}  {_path_of(event)}")

    def enriched(self, progress: EnrichmentProgress, now: float) -> Iterable[str]:
        """What a run did, and each trouble once."""
        if progress.state is EnrichmentState.IDLE and progress.steps_done:
            self._problem = None
            failed = f", {counted(progress.files_failed, 'file')} failed" if progress.files_failed else ""
            return [_stamped(now, f"enrichment: {counted(progress.steps_done, 'step')} done{failed}")]
        if progress.problem is None or progress.problem == self._problem:
            return []
        self._problem = progress.problem
        return [_stamped(now, f"enrichment: {progress.problem}")]

    def _line(self, time: float, library_id: str, words: str) -> str:
        return _stamped(time, f"{self._names.get(library_id, library_id)}: {words}")


def _stamped(time: float, words: str) -> str:
    return strip_control(f"{local_time(time)}  {words}")


def _path_of(event: ChangeEvent) -> str:
    """Where the file is, and where it came from."""
    came_from = f"{readable(event.old_path)} → " if event.old_path else ""
    return f"{came_from}{readable(event.path)}"


def state_words(status: WatchStatus) -> str:
    """A state for people, without its reason."""
    return _STATES[status.state]


def _told(message: WatchMessage) -> Iterator[str]:
    status = message.status
    match message.type:
        case WatchMessageType.WATCHING:
            yield "ready, the first scan is done"
        case WatchMessageType.STATE:
            yield state_words(status) + (f": {status.reason}" if status.reason else "")
        case WatchMessageType.SCAN_STARTED if any(_is_whole(target) for target in message.targets):
            yield "looking through the whole library"
        case WatchMessageType.SCAN_COMPLETED if message.report is not None:
            yield from _report(status.name, message.report)
        case WatchMessageType.SCAN_FAILED if status.state is not WatcherState.OFFLINE:
            yield f"the scan failed: {message.error}"


def _report(name: str, report: ScanReport) -> Iterator[str]:
    yield f"{changes(report).plain or 'nothing changed'} ({looked_at(report)})"
    yield from (f"warning: {warning}" for warning in report.warnings)
    if report.files_held_back:
        yield how_to_accept(name)


def _is_whole(target: ScanTarget) -> bool:
    return target.recursive and not target.folder_path
