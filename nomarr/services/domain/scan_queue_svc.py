"""Scans in this process: one at a time for each library, a few libraries side by side, the rest waits and merges."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import chain
from typing import Final

import anyio

from nomarr.components.watch.scan_targets_comp import TargetSet
from nomarr.helpers.dto.library import ScanTarget, without_covered
from nomarr.helpers.dto.scan import ScanOptions, ScanProgress, ScanReport
from nomarr.helpers.dto.watching import PathChange
from nomarr.helpers.exceptions import DatabaseError
from nomarr.helpers.protocols import TaskRunner

__all__ = ["ScanHandle", "ScanQueue"]

logger = logging.getLogger(__name__)

_RECENT_SECONDS: Final = 2.0
"""A scan that begins later than this after it was asked for may be overtaken by what it was told."""
_LOOKED_THROUGH: Final = 5000
"""So many folders are looked through when one who asked gives up, which takes 10 ms of the event loop."""


class ScanHandle:
    """One scan of one library that somebody asked for, waiting or running."""

    def __init__(
        self,
        library_id: str,
        targets: Sequence[ScanTarget],
        options: ScanOptions,
        *,
        wait: bool,
        path_changes: Sequence[PathChange] = (),
    ) -> None:
        self.library_id = library_id
        self.targets = without_covered(targets)
        self.path_changes = list(path_changes)
        self.options = options
        self.wait = wait
        self.progress = ScanProgress()
        self.scans_elsewhere: list[ScanHandle] = []
        """Scans of other libraries that it led to; complete once this one is done."""
        self._subscribers: list[Callable[[ScanProgress], None]] = []
        self._scope = anyio.CancelScope()
        self._done = anyio.Event()
        self._shares = [tuple(targets)]
        """What each of those who asked and did not give up wants."""
        self._has_begun = False
        self._asked_at = time.monotonic()
        self._report: ScanReport | None = None
        self._error: Exception | None = None

    def subscribe(self, on_progress: Callable[[ScanProgress], None]) -> None:
        """Call `on_progress` in the event loop whenever the scan got on."""
        self._subscribers.append(on_progress)

    def unsubscribe(self, on_progress: Callable[[ScanProgress], None]) -> None:
        """Do not call it any more; `ValueError` if nobody asked to."""
        self._subscribers.remove(on_progress)

    def cancel(self) -> None:
        """End the scan within a second in a consistent state; what is written stays.

        One that waits is not begun. It ends for everybody who shares it.
        """
        self._scope.cancel()
        if not self._has_begun:
            self._done.set()

    @property
    def is_cancelled(self) -> bool:
        """True once somebody cancelled the scan, done or not."""
        return self._scope.cancel_called

    @property
    def has_begun(self) -> bool:
        """True once its turn has come."""
        return self._has_begun

    def join(self, targets: Sequence[ScanTarget], path_changes: Sequence[PathChange] = ()) -> None:
        """Do this too, for somebody else; only before the scan has begun.

        If very many folders come together while it waits, they become their parents: it keeps as few as a watcher.
        """
        self._shares.append(tuple(targets))
        self.targets = _fewest(self.library_id, chain(self.targets, targets))
        self.path_changes += path_changes

    def recent_path_changes(self) -> Sequence[PathChange]:
        """The path changes, unless the scan had to wait: what happened since then may contradict them."""
        return self.path_changes if time.monotonic() - self._asked_at < _RECENT_SECONDS else ()

    def give_up(self, targets: Sequence[ScanTarget]) -> None:
        """Whoever asked for these targets is not interested any more; when nobody is left, the scan is cancelled.

        If it has not begun, it does what the others want; if that are very many folders, also what was given up.
        """
        self._shares.remove(tuple(targets))
        if not self._shares and not self.is_done:
            self.cancel()
        elif not self._has_begun and sum(map(len, self._shares)) <= _LOOKED_THROUGH:
            self.targets = _fewest(self.library_id, chain.from_iterable(self._shares))

    async def result(self) -> ScanReport | None:
        """Wait for the end; None if the scan was cancelled. Raises whatever made the scan fail."""
        await self._done.wait()
        if self._error is not None:
            raise self._error
        return self._report

    @property
    def is_done(self) -> bool:
        """True once `result` answers without waiting."""
        return self._done.is_set()

    def tell(self, progress: ScanProgress) -> None:
        """Pass on how far the scan is."""
        self.progress = progress
        for on_progress in self._subscribers:
            try:
                on_progress(progress)
            except Exception:
                # Whoever watches must not be able to end the scan.
                logger.exception("a subscriber to the progress of a scan failed")

    def takes_along(self, options: ScanOptions, wait: bool) -> bool:
        """True if a request with these options can be served by this scan, which has not begun yet."""
        return self.options == options and self.wait == wait and not self.is_cancelled

    async def run(self, scan: Callable[[ScanHandle], Awaitable[ScanReport]]) -> None:
        """Do the scan, unless it was cancelled before, and keep what came of it."""
        if self.is_done:
            return
        self._has_begun = True
        try:
            with self._scope:
                self._report = await scan(self)
        except Exception as error:
            # It belongs to whoever asked for the scan; the next scan in the queue has nothing to do with it.
            logger.debug("scan of library %s failed", self.library_id, exc_info=True)
            self._error = error
        finally:
            self._done.set()


class ScanQueue:
    """Starts scans through background tasks, in the order in which they were asked for."""

    def __init__(
        self,
        tasks: TaskRunner,
        scan: Callable[[ScanHandle], Awaitable[ScanReport]],
        keep_queued: Callable[[str, Sequence[ScanTarget]], Awaitable[None]],
        *,
        parallel_libraries: int,
    ) -> None:
        """
        Args:
            scan: does the scan of a handle.
            keep_queued: stores what a library has yet to scan, so that a crash does not lose it.
            parallel_libraries: how many libraries are scanned at the same time.
        """
        self._tasks = tasks
        self._scan = scan
        self._keep_queued = keep_queued
        self._limiter = anyio.CapacityLimiter(max(1, parallel_libraries))
        self._keeping = anyio.Lock()
        self._kept: set[str] = set()
        """Libraries for which something waits in the database."""
        self._waiting: dict[str, list[ScanHandle]] = {}
        self._running: dict[str, ScanHandle | None] = {}

    async def ask(
        self,
        library_id: str,
        targets: Sequence[ScanTarget],
        options: ScanOptions,
        *,
        wait: bool,
        path_changes: Sequence[PathChange] = (),
    ) -> ScanHandle:
        """The handle of a scan that will do this: a new one, or one that waits already and takes it along."""
        waiting = self._waiting.setdefault(library_id, [])
        # Whoever asks and cancels again and again must not fill the queue. It is not empty for long: `_work_off` takes
        # the next one out of it without asking.
        waiting[:] = [handle for handle in waiting if not handle.is_cancelled]
        for handle in waiting:
            if handle.takes_along(options, wait):
                handle.join(targets, path_changes)
                break
        else:
            handle = ScanHandle(library_id, targets, options, wait=wait, path_changes=path_changes)
            waiting.append(handle)
        if library_id in self._running:
            await self._keep_if_possible(library_id)
        else:
            self._running[library_id] = None
            self._tasks.start(_task_name(library_id), lambda: self._work_off(library_id))
        return handle

    def use(self, *, parallel_libraries: int) -> None:
        """Scan so many libraries at the same time from now on; what runs is not ended."""
        self._limiter.total_tokens = max(1, parallel_libraries)

    def running(self, library_id: str) -> ScanHandle | None:
        """The scan of this library that runs now."""
        handle = self._running.get(library_id)
        return None if handle is None or handle.is_done else handle

    def lengths(self) -> tuple[int, int]:
        """How many scans run, and how many wait."""
        running = sum(self.running(library_id) is not None for library_id in self._running)
        waiting = sum(not handle.is_cancelled for handles in self._waiting.values() for handle in handles)
        return running, waiting

    def is_busy(self, library_id: str) -> bool:
        """True while a scan of this library runs or waits in this process."""
        return library_id in self._running

    async def wait_for_cancelled(self, library_id: str) -> None:
        """Until scans of this library that were cancelled have ended; not while somebody still wants one."""
        asked = (self._running.get(library_id), *self._waiting.get(library_id, ()))
        if self.is_busy(library_id) and all(handle is None or handle.is_cancelled for handle in asked):
            await self._tasks.wait(_task_name(library_id))

    async def _work_off(self, library_id: str) -> None:
        waiting = self._waiting[library_id]
        try:
            while waiting:
                async with self._limiter:
                    self._running[library_id] = handle = waiting.pop(0)
                    await handle.run(self._scan)
                if library_id in self._kept:
                    await self._keep_if_possible(library_id)
        finally:
            # Whoever still waits when everything ends must not wait for ever.
            for left in self._waiting.pop(library_id, []):
                left.cancel()
            self._running.pop(library_id, None)

    async def _keep_if_possible(self, library_id: str) -> None:
        try:
            await self._keep(library_id)
        except DatabaseError as error:
            # Only a crash would need it; whoever waits is scanned, or told the same error.
            logger.warning("could not store what is to be scanned next: %s", error)

    async def _keep(self, library_id: str) -> None:
        # One after the other: an older list must not be stored over a newer one.
        async with self._keeping:
            targets = [
                target
                for handle in self._waiting.get(library_id, [])
                if not handle.options.dry_run and not handle.is_cancelled
                for target in handle.targets
            ]
            if targets:
                self._kept.add(library_id)
            else:
                self._kept.discard(library_id)
            await self._keep_queued(library_id, without_covered(targets))


def _fewest(library_id: str, targets: Iterable[ScanTarget]) -> list[ScanTarget]:
    together = TargetSet(library_id)
    together.add(targets)
    return together.targets()


def _task_name(library_id: str) -> str:
    return f"scan {library_id}"
