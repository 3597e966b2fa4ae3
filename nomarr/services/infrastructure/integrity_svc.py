"""Whether the contents of a database fit together."""

from __future__ import annotations

from nomarr.components.media.cover_store_comp import CoverStore
from nomarr.helpers.dto.stored import ContentCheck, RowProgress
from nomarr.helpers.time_helper import Clock, system_clock
from nomarr.persistence.db import Database
from nomarr.workflows.library.copy_database_wf import ProgressListener
from nomarr.workflows.library.repair_contents_wf import check_contents_workflow

__all__ = ["IntegrityService"]


def _tell_nobody(_: RowProgress) -> None:
    pass


class IntegrityService:
    """Finds inconsistencies, and repairs some of them."""

    def __init__(self, db: Database, covers: CoverStore, *, clock: Clock = system_clock) -> None:
        self._db = db
        self._covers = covers
        self._clock = clock

    async def check(self, *, repair: bool = False, on_progress: ProgressListener = _tell_nobody) -> ContentCheck:
        """Look at every row and every cover; with `repair` mend what can be mended without a doubt.

        `on_progress` is called in a worker thread.
        """
        return await check_contents_workflow(
            self._db, self._covers, clock=self._clock, repair=repair, on_progress=on_progress
        )
