"""Copies whole databases, in worker threads."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import anyio
import anyio.to_thread

from nomarr.helpers.dto.stored import CopyReport, RowProgress
from nomarr.helpers.time_helper import Clock, system_clock
from nomarr.persistence.db import Database
from nomarr.workflows.library.copy_database_wf import ProgressListener, copy_database_workflow

__all__ = ["copy_database"]


def _tell_nobody(_: RowProgress) -> None:
    pass


async def copy_database(
    source_url: str, target_url: str, *, on_progress: ProgressListener = _tell_nobody, clock: Clock = system_clock
) -> CopyReport:
    """Copy everything from one database into another, new one, and compare both at the end.

    If it is ended before, the same call goes on where it was.

    Raises:
        ConfigurationError: if a URL is none.
        DatabaseError: if one of them can't be used, or the source is not there.
        DatabaseInUse: if somebody scans or enriches in the source.
        CopyTargetNotEmpty: if the target holds anything but the same copy, unfinished.
        CopyDiffers: if something wrote to one of them meanwhile.
    """
    async with _opened(source_url, create=False) as source, _opened(target_url, unfinished=True) as target:
        return await copy_database_workflow(source, target, clock=clock, on_progress=on_progress)


@asynccontextmanager
async def _opened(url: str, *, create: bool = True, unfinished: bool = False) -> AsyncIterator[Database]:
    db = await anyio.to_thread.run_sync(partial(Database.open, url, create=create, unfinished=unfinished))
    try:
        yield db
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(db.close)
