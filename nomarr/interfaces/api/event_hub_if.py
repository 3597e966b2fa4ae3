"""Live news for many clients out of one feed: each gets every change once, and a slow one is let go."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Final

import anyio

from nomarr.app import Nomarr
from nomarr.helpers.dto.enrichment import EnrichmentProgress
from nomarr.helpers.dto.events import ChangeEvent
from nomarr.helpers.dto.scan import ScanProgress
from nomarr.helpers.dto.watching import WatchMessage
from nomarr.helpers.time_helper import iso8601, system_clock
from nomarr.interfaces.contract import JsonObject, enrichment_object, event_object, watch_object

__all__ = ["EventHub", "TooManyStreams"]

_PAGE: Final = 1000
_KEEP_ALIVE_SECONDS: Final = 15.0
_HELLO: Final = b"retry: 2000\n\n"
_STILL_HERE: Final = b": still here\n\n"


class TooManyStreams(Exception):
    """So many clients listen already that one more is refused."""


@dataclass(frozen=True, slots=True)
class _Change:
    seq: int
    libraries: frozenset[str | None]
    """What it concerns; None stands for all libraries."""
    block: bytes


class _Listener:
    """One client: changes that wait to be sent, all of them, and of news of one kind only the newest."""

    def __init__(self, backlog: int) -> None:
        self._backlog = backlog
        self._changes: deque[_Change] = deque()
        self._news: dict[str, bytes] = {}
        self._arrival = anyio.Event()
        self.gone = anyio.Event()
        """Set when the client is to be let go."""

    def change(self, change: _Change) -> None:
        """To be sent; the client is let go if too much waits."""
        if len(self._changes) >= self._backlog:
            self.gone.set()
            self._changes.clear()
            return
        self._changes.append(change)
        self._arrival.set()

    def tell(self, key: str, block: bytes) -> None:
        """To be sent instead of what waits under this key."""
        self._news.pop(key, None)
        self._news[key] = block
        self._arrival.set()

    def take(self) -> tuple[list[_Change], list[bytes]]:
        """Everything that waits; changes before news, as a scan has ended after what it found."""
        taken = list(self._changes), list(self._news.values())
        self._changes.clear()
        self._news.clear()
        self._arrival = anyio.Event()
        return taken

    async def wait(self) -> None:
        """Until there is something."""
        await self._arrival.wait()


class EventHub:
    """Follows the change feed once for all clients, and passes on what watchers, scans and enrichment tell."""

    def __init__(self, nomarr: Nomarr, *, max_streams: int, backlog: int) -> None:
        self._nomarr = nomarr
        self._max_streams = max_streams
        self._backlog = backlog
        self._listeners: set[_Listener] = set()
        self._subscribers: list[Callable[[ChangeEvent], None]] = []
        self._last_seq = 0
        self._closed = False
        self.dropped = 0
        """Clients that were let go because they read too slowly."""

    @property
    def streams(self) -> int:
        """How many clients listen."""
        return len(self._listeners)

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

    def close(self) -> None:
        """Let every client go: the service ends."""
        self._closed = True
        for listener in self._listeners:
            listener.gone.set()

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
    def listen(self) -> Iterator[_Listener]:
        """A place among those who are told.

        Raises:
            TooManyStreams: if there is none.
        """
        if self._closed or len(self._listeners) >= self._max_streams:
            raise TooManyStreams
        listener = _Listener(self._backlog)
        self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.discard(listener)
            if listener.gone.is_set() and not self._closed:
                self.dropped += 1

    async def blocks(self, listener: _Listener, after: int | None, library_id: str | None) -> AsyncIterator[bytes]:
        """What to send to a client: each change after `after` once and in order, and news as they come.

        Args:
            after: the last change that the client knows; None: only what is new from now on.
            library_id: only what concerns this library.
        """
        yield _HELLO
        last = self._last_seq if after is None else after
        while after is not None:
            page = await self._nomarr.event_feed.list_events(last, limit=_PAGE)
            for event in page:
                last = event.seq
                change = _change(event)
                if library_id in change.libraries:
                    yield change.block
            if len(page) < _PAGE:
                break
            # What has come meanwhile is in the next page, too; the backlog is for those who can't keep up.
            listener.take()
        while True:
            changes, news = listener.take()
            for change in changes:
                # What was read from the database above comes once more through the feed.
                if change.seq > last:
                    last = change.seq
                    if library_id in change.libraries:
                        yield change.block
            for block in news:
                yield block
            woken = False
            with anyio.move_on_after(_KEEP_ALIVE_SECONDS):
                await listener.wait()
                woken = True
            if not woken:
                yield _STILL_HERE

    def _hear(self, message: WatchMessage) -> None:
        self._tell(f"{message.type} {message.library_id}", "watch", watch_object(message))

    def _enriched(self, progress: EnrichmentProgress) -> None:
        self._tell("enrichment", "enrichment", enrichment_object(progress, system_clock()))

    def _tell(self, key: str, kind: str, said: JsonObject) -> None:
        if self._listeners:
            block = _block(kind, said)
            for listener in self._listeners:
                listener.tell(key, block)


def _change(event: ChangeEvent) -> _Change:
    libraries = frozenset({None, event.library_id, event.old_library_id})
    return _Change(event.seq, libraries, f"id: {event.seq}\n".encode("ascii") + _block("change", event_object(event)))


def _block(kind: str, said: JsonObject) -> bytes:
    # ASCII and on one line: json.dumps escapes line ends and everything else that would end the block.
    return f"event: {kind}\ndata: {json.dumps(said)}\n\n".encode("ascii")
