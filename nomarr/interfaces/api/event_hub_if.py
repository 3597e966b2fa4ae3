"""Live news for many clients out of one feed: each gets every change once, and a slow one is let go."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Final

import anyio
import anyio.lowlevel

from nomarr.app import Nomarr
from nomarr.helpers.dto.enrichment import EnrichmentProgress
from nomarr.helpers.dto.events import ChangeEvent
from nomarr.helpers.dto.scan import ScanProgress
from nomarr.helpers.dto.watching import WatchMessage
from nomarr.helpers.time_helper import iso8601, system_clock
from nomarr.interfaces.api.streams_if import HELLO, block, or_keep_alive
from nomarr.interfaces.contract import JsonObject, enrichment_object, event_object, watch_object

__all__ = ["EventHub"]

_PAGE: Final = 1000
_TOGETHER: Final = 100
"""So many changes are sent at once: a write for each would keep the event loop from everything else."""


@dataclass(frozen=True, slots=True)
class _Change:
    seq: int
    libraries: frozenset[str | None]
    """What it concerns; None stands for all libraries."""
    block: bytes


class _Listener:
    """One client: changes that wait to be sent, all of them, and of news of one kind only the newest."""

    def __init__(self, gone: anyio.Event, backlog: int) -> None:
        self._gone = gone
        self._backlog = backlog
        self._changes: deque[_Change] = deque()
        self._reads_old_ones = False
        self._has_to_read_on = False
        self._news: dict[str, bytes] = {}
        self.arrival = anyio.Event()
        """Set once something waits."""

    def change(self, change: _Change) -> None:
        """To be sent. If too much waits, the client is let go, unless it reads old changes: then it reads this, too."""
        if len(self._changes) >= self._backlog:
            self._changes.clear()
            if self._reads_old_ones:
                self._has_to_read_on = True
            else:
                self._gone.set()
        self._changes.append(change)
        self.arrival.set()

    def begin_page(self) -> None:
        """Old changes are read now, and with them all that waits."""
        self._reads_old_ones = True
        self._has_to_read_on = False
        self._changes.clear()

    def end_page(self, *, is_last: bool) -> bool:
        """True if every change that is not read waits here."""
        self._reads_old_ones = self._has_to_read_on or not is_last
        return not self._reads_old_ones

    def tell(self, key: str, block: bytes) -> None:
        """To be sent instead of what waits under this key."""
        self._news.pop(key, None)
        self._news[key] = block
        self.arrival.set()

    def take(self) -> tuple[list[_Change], list[bytes]]:
        """Everything that waits; changes before news, as a scan has ended after what it found."""
        taken = list(self._changes), list(self._news.values())
        self._changes.clear()
        self._news.clear()
        self.arrival = anyio.Event()
        return taken


class EventHub:
    """Follows the change feed once for all clients, and passes on what watchers, scans and enrichment tell."""

    def __init__(self, nomarr: Nomarr, *, backlog: int) -> None:
        self._nomarr = nomarr
        self._backlog = backlog
        self._listeners: set[_Listener] = set()
        self._subscribers: list[Callable[[ChangeEvent], None]] = []
        self._last_seq = 0

    @property
    def last_seq(self) -> int:
        """The last change that was passed on."""
        return self._last_seq

    def subscribe(self, on_change: Callable[[ChangeEvent], None]) -> None:
        """Call `on_change` in the event loop for each change from now on."""
        self._subscribers.append(on_change)

    async def prepare(self) -> None:
        """Begin with what is new from now on; once, before `run`."""
        self._last_seq = await self._nomarr.event_feed.last_seq()
        self._nomarr.watcher.subscribe(self._hear)
        self._nomarr.enrichment.subscribe(self._enriched)

    async def run(self) -> None:
        """Pass changes on until cancelled."""
        async with self._nomarr.events(after=self._last_seq) as feed:
            async for event in feed:
                self._last_seq = event.seq
                for on_change in self._subscribers:
                    on_change(event)
                if self._listeners:
                    change = _change(event)
                    for listener in self._listeners:
                        listener.change(change)
                if event.seq % _TOGETHER == 0:
                    # A scan makes thousands at once: clients have to get theirs, and others their turn.
                    await anyio.lowlevel.checkpoint()

    def scan_progress(self, request_id: str, library_id: str, progress: ScanProgress) -> None:
        """Pass on how far a scan is that somebody asked for."""
        said = {
            "type": "scan_progress",
            "library_id": library_id,
            "request_id": request_id,
            "time": iso8601(system_clock()),
        }
        self._tell(f"request {request_id}", "scan", said | asdict(progress))

    def scan_request(self, request: JsonObject) -> None:
        """Pass on that a scan that somebody asked for has another state."""
        self._tell(f"request {request['request_id']} {request['state']}", "scan_request", request)

    @contextmanager
    def stream(self, after: int | None, library_id: str | None, gone: anyio.Event) -> Iterator[AsyncIterator[bytes]]:
        """Tell one client each change after `after` once and in order, and news as they come.

        Args:
            after: the last change that the client knows; None: only what is new from now on.
            library_id: only what concerns this library.
            gone: is set if the client does not keep up.
        """
        listener = _Listener(gone, self._backlog)
        self._listeners.add(listener)
        try:
            yield self._blocks(listener, after, library_id)
        finally:
            self._listeners.discard(listener)

    async def _blocks(self, listener: _Listener, after: int | None, library_id: str | None) -> AsyncIterator[bytes]:
        yield HELLO
        last = after or 0
        is_live = after is None
        while not is_live:
            listener.begin_page()
            page = await self._nomarr.event_feed.list_events(last, limit=_PAGE)
            last = page[-1].seq if page else last
            for blocks in _joined([_change(event) for event in page], library_id):
                yield blocks
            is_live = listener.end_page(is_last=len(page) < _PAGE)
        while True:
            waiting, news = listener.take()
            # What was read from the database above comes once more through the feed.
            for blocks in _joined([change for change in waiting if change.seq > last], library_id):
                yield blocks
            for told in news:
                yield told
            if (alive := await or_keep_alive(listener.arrival)) is not None:
                yield alive

    def _hear(self, message: WatchMessage) -> None:
        self._tell(f"{message.type} {message.library_id}", "watch", watch_object(message))

    def _enriched(self, progress: EnrichmentProgress) -> None:
        self._tell("enrichment", "enrichment", enrichment_object(progress, system_clock()))

    def _tell(self, key: str, kind: str, said: JsonObject) -> None:
        if self._listeners:
            told = block(kind, said)
            for listener in self._listeners:
                listener.tell(key, told)


def _joined(changes: Sequence[_Change], library_id: str | None) -> Iterator[bytes]:
    wanted = [change.block for change in changes if library_id in change.libraries]
    for start in range(0, len(wanted), _TOGETHER):
        yield b"".join(wanted[start : start + _TOGETHER])


def _change(event: ChangeEvent) -> _Change:
    libraries = frozenset({None, event.library_id, event.old_library_id})
    return _Change(event.seq, libraries, block("change", event_object(event), event.seq))
