"""Live news for many clients out of one feed: each gets every change once, and a slow one is let go."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from itertools import takewhile
from typing import Final

import anyio
import anyio.lowlevel
import anyio.to_thread

from nomarr.app import Nomarr
from nomarr.helpers.dto.enrichment import EnrichmentProgress
from nomarr.helpers.dto.events import ChangeEvent
from nomarr.helpers.dto.scan import ScanProgress
from nomarr.helpers.dto.watching import WatchMessage
from nomarr.helpers.time_helper import iso8601, system_clock
from nomarr.interfaces.api.looks_if import look_every
from nomarr.interfaces.api.streams_if import HELLO, block, or_keep_alive
from nomarr.interfaces.contract import JsonObject, enrichment_object, event_object, watch_object
from nomarr.services.infrastructure.background_task_svc import TaskState

__all__ = ["EventHub"]

logger = logging.getLogger(__name__)

_TASK: Final = "pass events on"
_LOOK: Final = "look for removed libraries"
_PAGE: Final = 1000
_TOGETHER: Final = 1000
"""So many changes are sent in one piece: a write for each would keep the event loop from everything else."""
_WOKEN_TOGETHER: Final = 5
"""So many clients are told of a page before others have a turn."""


@dataclass(frozen=True, slots=True)
class _Change:
    seq: int
    libraries: frozenset[str | None]
    """What it concerns; None stands for all libraries."""
    block: bytes


class _Recent:
    """The newest changes, as they are sent: encoded once for all clients, and for those that come back soon."""

    def __init__(self, most: int) -> None:
        self._changes: deque[_Change] = deque(maxlen=most)
        self.complete_after = 0
        """Every change after this one is here."""

    def add(self, changes: Iterable[_Change]) -> None:
        """Keep these instead of the oldest ones."""
        for change in changes:
            if len(self._changes) == self._changes.maxlen:
                self.complete_after = self._changes[0].seq
            self._changes.append(change)

    def forget(self) -> None:
        """Keep none of them any more."""
        if self._changes:
            self.complete_after = self._changes[-1].seq
            self._changes.clear()

    def after(self, seq: int) -> list[_Change] | None:
        """What came after this change; None if some of it is not kept any more."""
        if seq < self.complete_after:
            return None
        return list(reversed(list(takewhile(lambda change: change.seq > seq, reversed(self._changes)))))


class _Listener:
    """One client: which changes it has got, and of news of one kind the newest."""

    def __init__(self, last: int, gone: anyio.Event) -> None:
        self.last = last
        """The last change that it was given."""
        self.is_catching_up = True
        """True until it has got what it had missed, of which some may have to be read out of the database."""
        self.gone = gone
        self.arrival = anyio.Event()
        """Set once there is something for it."""
        self._news: dict[str, bytes] = {}

    def tell(self, key: str, block: bytes) -> None:
        """To be sent instead of what waits under this key."""
        self._news.pop(key, None)
        self._news[key] = block
        self.arrival.set()

    def take_news(self) -> list[bytes]:
        """The news that wait."""
        news = list(self._news.values())
        self._news.clear()
        return news


class EventHub:
    """Follows the change feed once for all clients, and passes on what watchers, scans and enrichment tell.

    However many clients there are, only the newest `backlog` changes are in memory. A client that is further behind has
    not kept up and is let go; when it comes back, it gets what it missed out of the database.
    """

    def __init__(self, nomarr: Nomarr, *, backlog: int, look_seconds: float) -> None:
        self._nomarr = nomarr
        self._look_seconds = look_seconds
        self._libraries: set[str] = set()
        """The ids of those of which nobody was told that they were removed."""
        self._recent = _Recent(backlog)
        self._listeners: set[_Listener] = set()
        self._subscribers: list[Callable[[ChangeEvent], None]] = []
        self._last_seq = 0

    @property
    def last_seq(self) -> int:
        """The last change that was passed on."""
        return self._last_seq

    @property
    def is_running(self) -> bool:
        """True while changes are passed on."""
        status = self._nomarr.tasks.status(_TASK)
        return status is not None and status.state is TaskState.RUNNING

    def subscribe(self, on_change: Callable[[ChangeEvent], None]) -> None:
        """Call `on_change` in the event loop for each change from now on."""
        self._subscribers.append(on_change)

    async def start(self) -> None:
        """Pass changes on in the background, from what is new from now on, until `stop`."""
        await self.prepare()
        self._nomarr.tasks.start(_TASK, self.run)
        look = partial(look_every, self._look_seconds, self.look_for_removals, "whether libraries were removed")
        self._nomarr.tasks.start(_LOOK, look)

    def stop(self) -> None:
        """Pass nothing on any more."""
        self._nomarr.tasks.cancel(_TASK)
        self._nomarr.tasks.cancel(_LOOK)

    async def prepare(self) -> None:
        """Begin with what is new from now on; once, before `run`."""
        self._last_seq = self._recent.complete_after = await self._nomarr.event_feed.last_seq()
        self._libraries = await self._nomarr.libraries.ids_in_database()
        self._nomarr.watcher.subscribe(self._hear)
        self._nomarr.enrichment.subscribe(self._enriched)

    async def run(self) -> None:
        """Pass changes on until cancelled."""
        async with self._nomarr.events(after=self._last_seq) as feed:
            async for page in feed.pages():
                self._recent.add(await _encoded(page))
                self._last_seq = page[-1].seq
                await self._let_all_know()
                for event in page:
                    self._tell_subscribers(event)

    def _tell_subscribers(self, event: ChangeEvent) -> None:
        for on_change in self._subscribers:
            try:
                on_change(event)
            except Exception:
                # Whoever listens must not be able to end the news of everybody else.
                logger.exception("a subscriber to changes failed")

    async def _let_all_know(self) -> None:
        for number, listener in enumerate(tuple(self._listeners), 1):
            if listener.last < self._recent.complete_after and not listener.is_catching_up:
                listener.gone.set()
            listener.arrival.set()
            if number % _WOKEN_TOGETHER == 0:
                # All of them at once would send for so long that whoever waits for an answer notices.
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

    def library_removed(self, library_id: str) -> None:
        """Pass on that a library is gone with all its files, and forget what was said of them."""
        self._libraries.discard(library_id)
        self._recent.forget()
        for listener in self._listeners:
            # It has kept up: from now on the database has what it still misses.
            listener.is_catching_up |= listener.last < self._recent.complete_after
        said = {"type": "library_removed", "library_id": library_id, "time": iso8601(system_clock())}
        self._tell(f"library {library_id}", "library", said)

    async def look_for_removals(self) -> None:
        """Pass on which libraries another program has removed, such as `nomarr library remove`."""
        known = frozenset(self._libraries)
        there = await self._nomarr.libraries.ids_in_database()
        self._libraries |= there - known
        # Without those that this service has removed, and told of, since it asked.
        for library_id in (known - there) & self._libraries:
            self.library_removed(library_id)

    @contextmanager
    def stream(self, after: int | None, library_id: str | None, gone: anyio.Event) -> Iterator[AsyncIterator[bytes]]:
        """Tell one client each change after `after` once and in order, and news as they come.

        Args:
            after: the last change that the client knows; None: only what is new from now on.
            library_id: only what concerns this library.
            gone: is set if the client does not keep up.
        """
        listener = _Listener(self._last_seq if after is None else after, gone)
        self._listeners.add(listener)
        try:
            yield self._blocks(listener, library_id)
        finally:
            self._listeners.discard(listener)

    async def _blocks(self, listener: _Listener, library_id: str | None) -> AsyncIterator[bytes]:
        yield HELLO
        while True:
            listener.arrival = anyio.Event()
            changes, kept_after = self._recent.after(listener.last), self._recent.complete_after
            listener.is_catching_up = changes is None
            if changes is None:
                changes = await _encoded(await self._nomarr.event_feed.list_events(listener.last, limit=_PAGE))
                # None: what was there has been forgotten with its library.
                listener.last = kept_after
            if changes:
                listener.last = changes[-1].seq
            for together in _joined(changes, library_id):
                yield together
            if listener.is_catching_up:
                continue
            for told in listener.take_news():
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


async def _encoded(events: Sequence[ChangeEvent]) -> list[_Change]:
    # In a thread: a thousand of them would keep the event loop from everything else.
    return await anyio.to_thread.run_sync(lambda: [_change(event) for event in events])


def _change(event: ChangeEvent) -> _Change:
    libraries = frozenset({None, event.library_id, event.old_library_id})
    return _Change(event.seq, libraries, block("change", event_object(event), event.seq))
