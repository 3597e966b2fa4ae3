"""Enrichment in the background: it works off what scans leave, and waits when there is nothing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread

from nomarr.components.media.cover_store_comp import CoverImage, CoverStore
from nomarr.helpers.dto.enrichment import (
    DueWork,
    EnrichmentHooks,
    EnrichmentOptions,
    EnrichmentProgress,
    EnrichmentReport,
    EnrichmentState,
)
from nomarr.helpers.exceptions import CoverFolderUnusable, DatabaseError, EnrichmentBusy
from nomarr.helpers.protocols import TaskRunner
from nomarr.helpers.time_helper import Clock, system_clock
from nomarr.persistence.db import Database
from nomarr.workflows.library.enrich_files_wf import enrich_files_workflow
from nomarr.workflows.library.enrichment_lease_wf import remove_unused_covers_workflow

__all__ = ["EnrichmentService"]

logger = logging.getLogger(__name__)

_TASK: Final = "enrich files"
_LOOK_AGAIN_SECONDS: Final = 60.0
"""How often it looks for what other processes have scanned."""
_COVER_READERS: Final = 4
_COVER_SECONDS: Final = 5.0
_TROUBLE_SECONDS: Final = 60.0
"""How long it leaves a database alone that failed, or that another process enriches."""


class EnrichmentService:
    """Enriches files on demand (`run`) or by itself (`start`), one run at a time."""

    def __init__(
        self, db: Database, tasks: TaskRunner, options: EnrichmentOptions, clock: Clock = system_clock
    ) -> None:
        self._db = db
        self._tasks = tasks
        self._options = options
        self._clock = clock
        self.covers = CoverStore(Path(options.cover_folder))
        """Where the originals and thumbnails of `FileRecord.cover_id` are."""
        # Threads of their own: the folder may be on a disk that hangs, and everything else would wait with it.
        self._cover_readers = ThreadPoolExecutor(_COVER_READERS, "read covers")
        self.progress = EnrichmentProgress()
        self._subscribers: list[Callable[[EnrichmentProgress], None]] = []
        self._one_run = anyio.Lock()
        self._woken = anyio.Event()
        self._is_started = False

    def subscribe(self, on_progress: Callable[[EnrichmentProgress], None]) -> None:
        """Call `on_progress` in the event loop whenever enrichment got on."""
        self._subscribers.append(on_progress)

    def use(self, options: EnrichmentOptions) -> None:
        """Enrich with other options from the next run on; covers stay in their folder."""
        self._options = replace(options, cover_folder=self._options.cover_folder)

    def start(self) -> None:
        """Work off what scans leave from now on, until the end; does nothing if it does so already."""
        if not self._is_started:
            self._is_started = True
            self._tasks.start(_TASK, self._work_on_and_on)

    async def stop(self) -> None:
        """End what `start` began; a file in work is left to the next start."""
        if self._is_started and self._tasks.cancel(_TASK):
            await self._tasks.wait(_TASK)
        self._is_started = False

    def wake(self) -> None:
        """There may be something to do: a scan has ended, say."""
        self._woken.set()

    async def run(self, library_id: str | None = None, *, retry_failed: bool = False) -> EnrichmentReport:
        """Enrich every file that waits, in one library or in all, and come back when nothing is left to do now.

        Args:
            retry_failed: try also those files at once that failed before.

        Raises:
            EnrichmentBusy: if another process enriches this database.
            CoverFolderUnusable: if covers can't be stored.
            DatabaseError: if the database failed for good.
        """
        async with self._one_run:
            if retry_failed:
                retry = partial(self._db.enrichment.retry_failed, now=self._clock(), library_id=library_id)
                await anyio.to_thread.run_sync(retry)
            try:
                return await enrich_files_workflow(
                    self._db, self._options, EnrichmentHooks(self._tell), self._clock, library_id=library_id
                )
            finally:
                if self.progress.state is not EnrichmentState.IDLE:
                    self._tell(EnrichmentProgress())

    async def due_work(self, library_id: str | None = None) -> DueWork:
        """How much waits."""
        ask = partial(self._db.enrichment.due_work, now=self._clock(), library_id=library_id)
        return await anyio.to_thread.run_sync(ask)

    async def read_cover(self, cover_id: str, *, size: int | None = None) -> CoverImage | None:
        """A cover as it was found, or its thumbnail of `size` (one of `THUMBNAIL_SIZES`); None if it is not there.

        Raises:
            ValueError: if that is not the id of a cover, or there are no thumbnails of this size.
            CoverFolderUnusable: if the folder of covers can't be read, or does not answer in time.
        """
        answer = self._cover_readers.submit(self.covers.read, cover_id, size)
        try:
            with anyio.fail_after(_COVER_SECONDS):
                # One that still waits for a thread then is never begun.
                return await asyncio.wrap_future(answer)
        except TimeoutError:
            reason, remedy = "its disk does not answer", "check that it is mounted and reachable"
            raise CoverFolderUnusable(self._options.cover_folder, reason, remedy) from None

    async def remove_unused_covers(self) -> int:
        """Delete the covers whose last file was purged; how many. What another process enriches, it also cleans up."""
        async with self._one_run:
            try:
                return await remove_unused_covers_workflow(self._db, self.covers, self._clock)
            except EnrichmentBusy:
                return 0

    async def _work_on_and_on(self) -> None:
        while True:
            self._woken = anyio.Event()
            pause = await self._run_once()
            with anyio.move_on_after(pause):
                await self._woken.wait()

    async def _run_once(self) -> float:
        """Do what is to be done now; how many seconds until it is worth looking again without being woken."""
        try:
            if not await self._is_anything_to_do():
                if self.progress.state is not EnrichmentState.IDLE:
                    # Whatever the trouble was, it is over: another process has done the work.
                    self._tell(EnrichmentProgress())
                return _LOOK_AGAIN_SECONDS
            report = await self.run()
        except EnrichmentBusy as error:
            self._tell(EnrichmentProgress(EnrichmentState.BUSY, problem=str(error)))
            return _TROUBLE_SECONDS
        except (CoverFolderUnusable, DatabaseError) as error:
            logger.warning("enrichment waits: %s", error)
            self._tell(EnrichmentProgress(EnrichmentState.FAILED, problem=str(error)))
            return _TROUBLE_SECONDS
        logger.info("enriched: %d files done, %d failed", report.files_completed, report.files_failed)
        return _LOOK_AGAIN_SECONDS

    async def _is_anything_to_do(self) -> bool:
        if (await self.due_work()).files:
            return True
        return bool(await anyio.to_thread.run_sync(partial(self._db.enrichment.loose_covers, limit=1)))

    def _tell(self, progress: EnrichmentProgress) -> None:
        self.progress = progress
        for on_progress in self._subscribers:
            try:
                on_progress(progress)
            except Exception:
                # Whoever watches must not be able to end the work.
                logger.exception("a subscriber to the progress of enrichment failed")
