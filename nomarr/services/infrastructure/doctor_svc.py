"""Checks of everything that Nomarr depends on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection

import anyio.to_thread

from nomarr.components.media.cover_store_comp import CoverStore
from nomarr.helpers.disk_looks_helper import DiskLooks
from nomarr.helpers.time_helper import Clock, system_clock
from nomarr.persistence.db import Database
from nomarr.workflows.library.doctor_enrichment_wf import check_enrichment_workflow
from nomarr.workflows.library.doctor_server_wf import check_server_workflow
from nomarr.workflows.library.doctor_wf import (
    Check,
    CheckStatus,
    check_database_workflow,
    check_machine_workflow,
    check_settings_workflow,
)

__all__ = ["Check", "CheckStatus", "DoctorService"]


class DoctorService:
    """Says what is wrong and what to do about it."""

    def __init__(
        self,
        db: Database,
        covers: CoverStore,
        unreadable_settings: Callable[[], Collection[str]],
        *,
        root_marker: str = "",
        clock: Clock = system_clock,
    ) -> None:
        """`unreadable_settings` names settings of the database that can't be read; it is asked in a worker thread."""
        self._db = db
        self._covers = covers
        self._unreadable_settings = unreadable_settings
        self._root_marker = root_marker
        self._clock = clock
        self._looks = DiskLooks()

    async def check_database(self) -> list[Check]:
        """The database with its server, its libraries, and their enrichment.

        Whoever asks while a check goes on gets what it finds. A disk that does not answer is told as such, in seconds.
        """
        return await asyncio.wrap_future(self._looks.begin("everything", self._check_database))

    def _check_database(self) -> list[Check]:
        now = self._clock()
        return [
            *check_server_workflow(self._db),
            *check_database_workflow(self._db, now, self._looks, root_marker=self._root_marker),
            check_settings_workflow(self._unreadable_settings),
            *check_enrichment_workflow(self._db, self._covers, now, self._looks),
        ]

    @staticmethod
    async def check_machine() -> list[Check]:
        """Versions and tools; works without a database, so that it can help when there is none to open."""
        return await anyio.to_thread.run_sync(check_machine_workflow)
