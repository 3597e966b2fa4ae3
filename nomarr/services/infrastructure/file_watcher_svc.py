"""Watches libraries: which of them, how, and for whom."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from types import TracebackType
from typing import Final, Self

import anyio

from nomarr.components.library.inotify_limits_comp import InotifyLimit, allowed
from nomarr.components.watch.library_event_handler_comp import LibraryEventHandler
from nomarr.helpers.dto.library import FileRules, Library, WatchMode
from nomarr.helpers.dto.watching import WatchMessage, WatchSettings, WatchStatus
from nomarr.helpers.exceptions import ConfigurationError, LibraryNotFound, NomarrError
from nomarr.helpers.protocols import TaskRunner, WatchedLibraries
from nomarr.helpers.time_helper import Clock, SteadyClock, steady_clock, system_clock
from nomarr.services.infrastructure.library_watch_svc import LibraryWatch, MakeTree, make_tree

__all__ = ["FileWatcherService", "LibraryEventHandler"]

logger = logging.getLogger(__name__)

_REFRESH_SECONDS: Final = 10.0
_SUPERVISOR: Final = "watch libraries"


class FileWatcherService:
    """Watches libraries, each by itself. An async context manager: leaving it ends all watching.

    It knows which libraries there are and who scans them, and nothing of where anything is stored.
    """

    def __init__(
        self,
        libraries: WatchedLibraries,
        tasks: TaskRunner,
        settings: WatchSettings | None = None,
        *,
        clock: Clock = system_clock,
        steady: SteadyClock = steady_clock,
        make_tree: MakeTree = make_tree,
    ) -> None:
        self._libraries = libraries
        self._tasks = tasks
        self._settings = settings or WatchSettings()
        self._clock = clock
        self._steady = steady
        self._make_tree = make_tree
        self._watches: dict[str, LibraryWatch] = {}
        self._locks: defaultdict[str, anyio.Lock] = defaultdict(anyio.Lock)
        """One for each library: whoever starts its watch waits until the one before has ended."""
        self._subscribers: list[Callable[[WatchMessage], None]] = []
        self._watches_all = False
        self._stopped: set[str] = set()
        """Not to be started again for being one of all."""
        self._is_supervised = False
        self._file_rules: FileRules | None = None
        """What every library left out when somebody looked last; None before the first watch."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with anyio.CancelScope(shield=True):
            await self.stop_all()

    def subscribe(self, on_message: Callable[[WatchMessage], None]) -> None:
        """Call `on_message` in the event loop for everything that watchers have to tell from now on."""
        self._subscribers.append(on_message)

    def use(self, settings: WatchSettings) -> None:
        """Watch with other times from now on."""
        self._settings = settings
        for watch in self._watches.values():
            watch.use(settings)

    async def watch_all(self) -> None:
        """Watch every enabled library whose mode is not off, also those that are added or switched on later."""
        self._watches_all = True
        self._stopped.clear()
        await self.follow_libraries()
        self._start_supervisor()

    async def start_watching_library(self, library_id: str) -> None:
        """Watch a library; does nothing if it is watched already. The first scan goes on in the background.

        Raises:
            LibraryNotFound: if there is no such library.
        """
        self._stopped.discard(library_id)
        async with self._locks[library_id]:
            await self._start(await self._libraries.get_library(library_id, counted=False))
        self._start_supervisor()

    async def stop_watching_library(self, library_id: str) -> None:
        """Stop watching it, until it is started again; a scan that the watcher began is cancelled."""
        self._stopped.add(library_id)
        async with self._locks[library_id]:
            await self._stop(library_id)

    @asynccontextmanager
    async def stopped(self, library_id: str) -> AsyncIterator[None]:
        """Stop watching it to forget it inside of the block; if the block fails, it is watched as before."""
        was_stopped, was_watched = library_id in self._stopped, library_id in self._watches
        try:
            await self.stop_watching_library(library_id)
            yield
        except BaseException:
            if not was_stopped:
                self._stopped.discard(library_id)
            if was_watched:
                await self._watch_again(library_id)
            raise

    async def _watch_again(self, library_id: str) -> None:
        with anyio.CancelScope(shield=True):
            try:
                await self.start_watching_library(library_id)
            except NomarrError as error:
                logger.warning("library %s is not watched again: %s", library_id, error)

    async def stop_all(self) -> None:
        """Stop watching anything."""
        self._watches_all = False
        self._is_supervised = False
        if self._tasks.cancel(_SUPERVISOR):
            await self._tasks.wait(_SUPERVISOR)
        for library_id in list(self._watches):
            self._tasks.cancel(_task_name(library_id))
        for library_id in list(self._watches):
            async with self._locks[library_id]:
                await self._stop(library_id)

    async def switch_watch_mode(self, library_id: str, mode: WatchMode | str) -> None:
        """Store how the library is watched, and do so from now on.

        Raises:
            LibraryNotFound: if there is no such library.
            ConfigurationError: if there is no such mode.
        """
        if mode not in list(WatchMode):
            raise ConfigurationError(f"'{mode}' is none of {', '.join(WatchMode)}", source="watch mode")
        async with self._locks[library_id]:
            library = await self._libraries.update_library(library_id, watch_mode=WatchMode(mode))
            self._stopped.discard(library_id)
            if library_id in self._watches or self._watches_all:
                await self._apply(library)

    async def follow_libraries(self) -> None:
        """Look now which libraries there are, how they are to be watched, and what is left out of all of them.

        It is done every few seconds anyway.
        """
        await self._follow_file_rules()
        listed = [library.library_id for library in await self._libraries.list_libraries(counted=False)]
        for library_id in dict.fromkeys([*listed, *self._watches]):
            async with self._locks[library_id]:
                await self._follow(library_id)

    def status(self) -> list[WatchStatus]:
        """Every watched library, by name."""
        return sorted((watch.status() for watch in self._watches.values()), key=lambda status: status.name)

    @staticmethod
    def kernel_limits() -> dict[str, int]:
        """What the kernel allows this user's programs together; without what it does not say."""
        limits: dict[str, int] = {}
        for limit in InotifyLimit:
            with suppress(OSError, ValueError):
                limits[limit] = allowed(limit)
        return limits

    async def wait_until_read(self, library_id: str, seconds: float = 10.0) -> bool:
        """Wait until every event that has happened on the disk is noted here; False if that can't be told."""
        watch = self._watches.get(library_id)
        return watch is not None and await watch.wait_until_read(seconds)

    # -- inside; what starts or stops a watch is called with the library's lock -------------------------------

    async def _start(self, library: Library) -> None:
        if library.library_id in self._watches or library.watch_mode is WatchMode.OFF:
            return
        if self._file_rules is None:
            # Before its first scan, so that no change after it is missed.
            await self._follow_file_rules()
        # Whoever stopped the one before may have been cancelled while it ended.
        await self._tasks.wait(_task_name(library.library_id))
        watch = LibraryWatch(
            library, self._libraries, self._settings, self._clock, self._steady, self._make_tree, self._tell
        )
        self._tasks.start(_task_name(library.library_id), watch.run)
        self._watches[library.library_id] = watch

    async def _stop(self, library_id: str) -> None:
        watch = self._watches.pop(library_id, None)
        if watch is not None:
            self._tasks.cancel(_task_name(library_id))
            await self._tasks.wait(_task_name(library_id))
            watch.say_goodbye()

    async def _follow(self, library_id: str) -> None:
        try:
            # Read with the lock: somebody may have changed it since it was listed.
            library = await self._libraries.get_library(library_id, counted=False)
        except LibraryNotFound:
            await self._stop(library_id)
        else:
            await self._apply(library)

    async def _follow_file_rules(self) -> None:
        rules = await self._libraries.file_rules()
        before, self._file_rules = self._file_rules, rules
        if before is not None and before != rules:
            for watch in self._watches.values():
                watch.scan_everything()

    async def _apply(self, library: Library) -> None:
        watch = self._watches.get(library.library_id)
        if library.watch_mode is WatchMode.OFF or not library.enabled:
            await self._stop(library.library_id)
        elif watch is not None:
            watch.change(library)
        elif self._watches_all and library.library_id not in self._stopped:
            await self._start(library)

    def _start_supervisor(self) -> None:
        if not self._is_supervised:
            self._is_supervised = True
            self._tasks.start(_SUPERVISOR, self._supervise)

    async def _supervise(self) -> None:
        """Follow what others, perhaps in another process, do to libraries."""
        while True:
            await anyio.sleep(_REFRESH_SECONDS)
            try:
                await self.follow_libraries()
            except NomarrError as error:
                logger.warning("could not look which libraries there are: %s", error)

    def _tell(self, message: WatchMessage) -> None:
        for on_message in self._subscribers:
            try:
                on_message(message)
            except Exception:
                # Whoever listens must not be able to end the watching.
                logger.exception("a subscriber to the file watcher failed")


def _task_name(library_id: str) -> str:
    return f"watch {library_id}"
