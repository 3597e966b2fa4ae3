"""Copy everything from one database into another one, whatever they are stored in, and prove that nothing differs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Final, TypeVar

import anyio.to_thread

from nomarr.components.library.lease_owner_comp import is_certainly_dead
from nomarr.helpers.dto.library import LibraryState
from nomarr.helpers.dto.stored import (
    CopyMark,
    CopyReport,
    RowProgress,
    RowStep,
    StoredRow,
    StoredTable,
    TableDigest,
)
from nomarr.helpers.exceptions import CopyDiffers, CopyTargetNotEmpty, DatabaseError, DatabaseInUse, EnrichmentBusy
from nomarr.helpers.time_helper import Clock
from nomarr.persistence.db import Database
from nomarr.workflows.library.enrichment_lease_wf import no_enrichment
from nomarr.workflows.library.upkeep_wf import finish_removals

__all__ = ["ProgressListener", "copy_database_workflow", "digest_of", "pages"]

Answer = TypeVar("Answer")
ProgressListener = Callable[[RowProgress], None]

_ROWS_AT_ONCE: Final = 500
"""A fingerprint has several KB: a page is a few MB at most, unless playlists are very long."""
_TABLES: Final = tuple(StoredTable)
_MODULUS: Final = 1 << 256
_REMADE: Final = ""
"""The stamp of a copy that turned out to differ: no database has it, so the next one begins anew."""


async def copy_database_workflow(
    source: Database,
    target: Database,
    *,
    clock: Clock,
    on_progress: ProgressListener = lambda _: None,
    rows_at_once: int = _ROWS_AT_ONCE,
) -> CopyReport:
    """Copy all rows, then read both databases and compare them.

    May be ended at any time: the same copy goes on where it was. Covers are files; they stay where they are.

    Args:
        rows_at_once: how many are in memory at a time.

    Raises:
        DatabaseInUse: if somebody scans or enriches in the source.
        CopyTargetNotEmpty: if the target holds anything but the same copy, unfinished.
        CopyDiffers: if something wrote to one of them meanwhile; the next copy begins anew.
    """
    begun_at = clock()
    await _in_thread(partial(_require_another, source, target))
    await _in_thread(partial(_require_no_scan, source, begun_at))
    try:
        async with no_enrichment(source, clock):
            # What is left of a library would belong to nothing in the target.
            await _in_thread(partial(finish_removals, source))
            mark = await _in_thread(partial(_begin, source, target))
            resumed = mark.after != "" or mark.table is not _TABLES[0]
            await _copy_all(source, target, mark, rows_at_once, on_progress)
            tables = await _verified(source, target, mark, on_progress)
    except EnrichmentBusy as error:
        raise DatabaseInUse(source.location, f"another process enriches it ({error.owner})") from error
    await _in_thread(partial(target.rows.mark_copy, None))
    return CopyReport(
        source=source.location,
        target=target.location,
        tables=tables,
        resumed=resumed,
        duration_seconds=clock() - begun_at,
        data_folder=None if source.own_folder is None else str(source.own_folder),
    )


# -- may it be begun ------------------------------------------------------------------------------------------------


def _require_another(source: Database, target: Database) -> None:
    if source.location == target.location:
        raise CopyTargetNotEmpty(target.location, "is the database to be copied itself")


def _require_no_scan(source: Database, now: float) -> None:
    for library in source.library.list_libraries(now, counted=False):
        state = source.library.get_scan_state(library.library_id)
        owner = None if state is None else state.owner
        is_scanned = library.state is LibraryState.SCANNING
        if is_scanned and owner is not None and not is_certainly_dead(owner, of_one_machine=source.is_of_one_machine):
            raise DatabaseInUse(source.location, f"library '{library.name}' is being scanned ({owner})")


def _begin(source: Database, target: Database) -> CopyMark:
    """Where to go on; an older copy of a source that has changed since is thrown away."""
    fresh = CopyMark(source.location, _stamp(source), _TABLES[0])
    mark = target.rows.unfinished_copy()
    if mark is not None and (mark.source, mark.stamp) == (fresh.source, fresh.stamp):
        return mark
    if mark is None:
        _require_empty(target)
        # One whose last step is missing: it would hide a library of the same id.
        finish_removals(target)
    elif mark.source != source.location:
        raise CopyTargetNotEmpty(target.location, f"is an unfinished copy of {mark.source}")
    else:
        # The old mark stays until nothing of it is left.
        target.rows.clear()
    target.rows.mark_copy(fresh)
    return fresh


def _require_empty(target: Database) -> None:
    held = [table for table in _TABLES if table is not StoredTable.COUNTERS and target.rows.count(table)]
    if held:
        raise CopyTargetNotEmpty(target.location, f"is not empty (it holds {', '.join(held)})")


def _stamp(db: Database) -> str:
    """Another one after nearly everything that changes a database; the comparison at the end finds the rest."""
    counts = [db.rows.count(table) for table in _TABLES]
    small = [digest_of(db, table) for table in (StoredTable.LIBRARIES, StoredTable.COUNTERS)]
    told = json.dumps([counts, [table.digest for table in small]])
    return hashlib.sha256(told.encode()).hexdigest()


# -- rows -----------------------------------------------------------------------------------------------------------


def pages(db: Database, table: StoredTable, after: str = "") -> Iterator[list[StoredRow]]:
    """Every row of a table that follows the key `after`."""
    while page := db.rows.page(table, after, limit=_ROWS_AT_ONCE):
        yield page
        if len(page) < _ROWS_AT_ONCE:
            return
        after = page[-1].key


async def _copy_all(
    source: Database, target: Database, mark: CopyMark, rows_at_once: int, on_progress: ProgressListener
) -> None:
    tell = await _in_thread(partial(_Told, source, RowStep.COPYING, on_progress, 1))
    for table in _TABLES[: _TABLES.index(mark.table)]:
        tell.skip(table)
    for table in _TABLES[_TABLES.index(mark.table) :]:
        if table is not mark.table:
            mark = replace(mark, table=table, after="")
        tell.begin(table)
        while page := await _in_thread(partial(_copy_page, source, target, mark, rows_at_once)):
            mark = replace(mark, after=page[-1].key)
            tell.add(len(page))


def _copy_page(source: Database, target: Database, mark: CopyMark, limit: int) -> list[StoredRow]:
    page = source.rows.page(mark.table, mark.after, limit=limit)
    if damaged := [row.key for row in page if not row.is_readable]:
        raise DatabaseError(
            f"{len(damaged)} rows of {mark.table} in {source.location} can't be read, the first is {damaged[0]}: "
            "'nomarr db check' says more"
        )
    if page:
        target.rows.put(mark.table, [row.content for row in page])
        # After the rows: what is written twice stays as it is.
        target.rows.mark_copy(replace(mark, after=page[-1].key))
    return page


class _Told:
    """Counts rows and tells of them."""

    def __init__(self, db: Database, step: RowStep, on_progress: ProgressListener, readings: int) -> None:
        self._rows = {table: db.rows.count(table) for table in _TABLES}
        self._total = readings * sum(self._rows.values())
        self._step = step
        self._on_progress = on_progress
        self._done = 0
        self._table = _TABLES[0]

    def skip(self, table: StoredTable) -> None:
        """All of it was done before."""
        self._done += self._rows[table]

    def begin(self, table: StoredTable) -> None:
        self._table = table
        self.add(0)

    def add(self, rows: int) -> None:
        self._done += rows
        self._on_progress(RowProgress(self._step, self._table, self._done, max(self._total, self._done)))


# -- is it the same -------------------------------------------------------------------------------------------------


async def _verified(
    source: Database, target: Database, mark: CopyMark, on_progress: ProgressListener
) -> tuple[TableDigest, ...]:
    """Both are read anew: what was written is not what counts, but what is there."""
    tell = await _in_thread(partial(_Told, source, RowStep.VERIFYING, on_progress, 2))
    found = []
    for table in _TABLES:
        tell.begin(table)
        for db in (source, target):
            found.append(await _digest_in_steps(db, table, tell))
    here, there = found[::2], found[1::2]
    differing = [str(one.table) for one, other in zip(here, there, strict=True) if one != other]
    if differing:
        await _in_thread(partial(target.rows.mark_copy, replace(mark, stamp=_REMADE)))
        raise CopyDiffers(source.location, target.location, differing)
    return tuple(there)


async def _digest_in_steps(db: Database, table: StoredTable, tell: _Told) -> TableDigest:
    digest, after = _Digest(), ""
    while page := await _in_thread(partial(db.rows.page, table, after, limit=_ROWS_AT_ONCE)):
        await _in_thread(partial(digest.add, page))
        tell.add(len(page))
        after = page[-1].key
    return digest.of(table)


def digest_of(db: Database, table: StoredTable) -> TableDigest:
    """Count and digest of a table. Synchronous: run it in a worker thread."""
    digest = _Digest()
    for page in pages(db, table):
        digest.add(page)
    return digest.of(table)


class _Digest:
    """Adds hashes up, so that rows may come in any order: each backend has its own."""

    def __init__(self) -> None:
        self._rows = 0
        self._sum = 0

    def add(self, page: list[StoredRow]) -> None:
        for row in page:
            self._sum += int.from_bytes(hashlib.sha256(row.content.encode("ascii")).digest(), "big")
        self._rows += len(page)

    def of(self, table: StoredTable) -> TableDigest:
        return TableDigest(table, self._rows, f"{self._sum % _MODULUS:064x}")


async def _in_thread(work: Callable[[], Answer]) -> Answer:
    return await anyio.to_thread.run_sync(work)
