"""`nomarr watch`."""

from __future__ import annotations

import logging
import os
import shlex
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Final

import typer

from nomarr.helpers.dto.library import Library, WatchMode
from nomarr.helpers.dto.watching import WatchMessage, WatchMessageType
from nomarr.helpers.exceptions import DatabaseError, LibraryNotFound
from nomarr.helpers.time_helper import steady_clock, system_clock
from nomarr.interfaces.cli.enrichment_news_cli import EnrichmentNews
from nomarr.interfaces.cli.errors_cli import WrongUsage
from nomarr.interfaces.cli.libraries_cli import found_or_added
from nomarr.interfaces.cli.options_cli import JsonOption, complete_library
from nomarr.interfaces.cli.run_cli import run_command
from nomarr.interfaces.cli.watch_lines_cli import Audience, JsonWords, Lines, PlainWords

if TYPE_CHECKING:
    from nomarr.app import Nomarr
    from nomarr.services.infrastructure.file_watcher_svc import FileWatcherService

__all__ = ["watch_command"]

logger = logging.getLogger(__name__)

_POLL_SECONDS: Final = 0.5
"""How often the change feed is asked when no watcher says anything: other processes write into it, too."""
_FAILED_SECONDS: Final = 3.0
"""How long to leave a database alone that failed: a refusal, unlike silence, is answered at once."""
_STOP_SECONDS: Final = 3.0
_PAGE: Final = 1000
_AFTER_CHANGES: Final = frozenset(
    {WatchMessageType.WATCHING, WatchMessageType.SCAN_COMPLETED, WatchMessageType.SCAN_FAILED}
)
"""Whoever reads one of these has read every change before it."""


def watch_command(
    context: typer.Context,
    libraries: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="LIBRARY",
            help="Libraries, each by name, id or folder; a folder that is no library yet is added as one. "
            "Without any: all enabled libraries whose watch mode is not off, also those that are added later.",
            autocompletion=complete_library,
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Keep libraries true to the disk while it changes: scan them now, and then whatever changes, until Ctrl-C.

    What takes longer than a scan is found out in the background, as 'nomarr enrich' does it.

    With --json every line is one JSON object: what the watcher does, and each change of a file.

    Example: nomarr watch

    Example: nomarr watch ~/Music
    """

    async def watch(nomarr: Nomarr) -> None:
        await _watch(nomarr, libraries or (), as_json=as_json)

    run_command(context, watch, gentle=True, farewell="stopped watching", wait_for_server=True)


async def _watch(nomarr: Nomarr, wanted: Sequence[str], *, as_json: bool) -> None:
    if not nomarr.config.enable_file_watching:
        raise WrongUsage(
            "watching is turned off by the setting enable_file_watching; "
            "set it to true in the configuration, or NOMARR_ENABLE_FILE_WATCHING=true for once"
        )
    libraries = await _wanted_libraries(nomarr, wanted, quiet=as_json)
    watcher = nomarr.watcher

    async def start() -> None:
        if not wanted:
            # Libraries that are added later, too.
            await nomarr.watch_all()
            return
        for library in libraries:
            await watcher.start_watching_library(library.library_id)
        nomarr.enrich_in_background()

    with _audience(libraries, as_json=as_json) as audience:
        await _tell_for_ever(nomarr, watcher, start, audience)


async def _wanted_libraries(nomarr: Nomarr, wanted: Sequence[str], *, quiet: bool) -> list[Library]:
    if wanted:
        named = [await found_or_added(nomarr, name, quiet=quiet) for name in wanted]
        for library in named:
            _refuse_unwatchable(library)
        return list({library.library_id: library for library in named}.values())
    known = await nomarr.libraries.list_libraries()
    watched = [library for library in known if library.enabled and library.watch_mode is not WatchMode.OFF]
    if not watched:
        raise WrongUsage(_nothing_to_watch(known))
    return watched


def _refuse_unwatchable(library: Library) -> None:
    name = shlex.quote(library.name)
    if library.watch_mode is WatchMode.OFF:
        raise WrongUsage(
            f"library '{library.name}' is not to be watched, its watch mode is off; to change that: "
            f"nomarr library edit {name} --watch auto"
        )
    if not library.enabled:
        raise WrongUsage(
            f"library '{library.name}' is disabled, and is not watched; to change that: "
            f"nomarr library edit {name} --enable"
        )


def _nothing_to_watch(known: Sequence[Library]) -> str:
    if not known:
        return "there is no library to watch; 'nomarr watch FOLDER' adds a folder with music and watches it"
    return (
        "no library is to be watched: each one is disabled or has the watch mode off; "
        "'nomarr library edit NAME --enable --watch auto' changes that"
    )


@contextmanager
def _audience(libraries: Sequence[Library], *, as_json: bool) -> Iterator[Audience]:
    """Whoever listens: a program, a person at a terminal, or a log."""
    if as_json:
        yield Lines(JsonWords())
    elif sys.stdout.isatty() and sys.stderr.isatty() and os.environ.get("TERM", "") not in ("", "dumb", "unknown"):
        from nomarr.interfaces.cli.watch_view_cli import LiveView

        with LiveView(libraries) as view:
            yield view
    else:
        yield Lines(PlainWords(libraries))


async def _tell_for_ever(
    nomarr: Nomarr, watcher: FileWatcherService, start: Callable[[], Awaitable[None]], audience: Audience
) -> None:
    """Watch, and tell the audience, until cancelled."""
    import anyio

    inbox = _Inbox()
    enrichment = EnrichmentNews()
    news = _News(nomarr, watcher, audience, after=await nomarr.event_feed.last_seq())
    watcher.subscribe(inbox.put)
    nomarr.enrichment.subscribe(enrichment.put)
    try:
        await start()
        while True:
            for message in inbox.take():
                await news.tell(message)
            for progress in enrichment.take(steady_clock()):
                audience.enrich(progress, system_clock())
            await news.tell_changes()
            with anyio.move_on_after(_POLL_SECONDS):
                await inbox.wait()
    finally:
        with anyio.move_on_after(_STOP_SECONDS, shield=True):
            await watcher.stop_all()


class _News:
    """Tells what happens in the order in which it happened: the changes that a scan found before the scan's end."""

    def __init__(self, nomarr: Nomarr, watcher: FileWatcherService, audience: Audience, *, after: int) -> None:
        self._nomarr = nomarr
        self._watcher = watcher
        self._audience = audience
        self._last_seq = after
        self._known: set[str] = set()
        self._ask_at = 0.0
        """The database is not asked before, on the monotonic clock."""

    async def tell(self, message: WatchMessage) -> None:
        """What a watcher says, to be shown with the next changes."""
        if message.type in _AFTER_CHANGES:
            await self.tell_changes()
        is_new = message.library_id not in self._known
        if self._audience.counts_files and (is_new or message.type is WatchMessageType.SCAN_COMPLETED):
            await self._tell_files(message.library_id)
        self._audience.hear(message)

    async def tell_changes(self) -> None:
        """Every change until now; as long as the database is away or refuses, none, and later all of them."""
        if time.monotonic() < self._ask_at:
            await self._show()
            return
        try:
            await self._tell_changes()
        except DatabaseError as error:
            self._ask_at = time.monotonic() + _FAILED_SECONDS
            logger.warning("changes are told later: %s", error)

    async def _tell_changes(self) -> None:
        while True:
            page = await self._nomarr.event_feed.list_events(self._last_seq, limit=_PAGE)
            watched = {status.library_id for status in self._watcher.status()}
            for event in page:
                self._last_seq = event.seq
                if event.library_id in watched:
                    self._audience.see(event)
            await self._show()
            if len(page) < _PAGE:
                return

    async def _tell_files(self, library_id: str) -> None:
        try:
            self._audience.know(await self._nomarr.libraries.get_library(library_id))
        except (LibraryNotFound, DatabaseError):
            # Somebody has just removed it, or the database is away or refuses; the watcher will say so.
            return
        self._known.add(library_id)

    async def _show(self) -> None:
        """In a thread, so that a reader who is slow or stuck does not hold up the watchers, nor Ctrl-C."""
        import anyio.to_thread

        await anyio.to_thread.run_sync(self._audience.show, system_clock(), abandon_on_cancel=True)


class _Inbox:
    """Messages that wait to be told; of a scan's progress only the newest one, so that slow readers fill nothing."""

    def __init__(self) -> None:
        import anyio

        self._messages: list[WatchMessage] = []
        self._progress_at: dict[str, int] = {}
        self._arrival = anyio.Event()

    def put(self, message: WatchMessage) -> None:
        """Called in the event loop."""
        if message.type is not WatchMessageType.SCAN_PROGRESS:
            self._progress_at.pop(message.library_id, None)
        elif (place := self._progress_at.get(message.library_id)) is not None:
            self._messages[place] = message
            return
        else:
            self._progress_at[message.library_id] = len(self._messages)
        self._messages.append(message)
        self._arrival.set()

    def take(self) -> list[WatchMessage]:
        """All of them, in order."""
        import anyio

        messages, self._messages = self._messages, []
        self._progress_at.clear()
        self._arrival = anyio.Event()
        return messages

    async def wait(self) -> None:
        """Until there is a message."""
        await self._arrival.wait()
