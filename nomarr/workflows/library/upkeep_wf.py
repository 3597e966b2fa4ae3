"""Keep the rows in order: forget files that were missing for long, take wrong moves back."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Final, TypeVar

import anyio.to_thread

from nomarr.components.library.inner_disks_comp import InnerDisks
from nomarr.components.library.lease_owner_comp import is_certainly_dead
from nomarr.components.library.root_guard_comp import SAMPLE_SIZE, check_root, may_exist
from nomarr.helpers.dto.library import Library
from nomarr.helpers.dto.upkeep import PurgedLibrary, UndoneMove
from nomarr.helpers.exceptions import LibraryAlreadyScanning
from nomarr.helpers.paths_helper import folder_of, join
from nomarr.helpers.time_helper import Clock
from nomarr.persistence.db import Database
from nomarr.workflows.library.away_disks_wf import AwayDisks
from nomarr.workflows.library.known_moment_wf import forget_moment, next_moment, seconds_between_moments

__all__ = [
    "finish_removals",
    "forget_held_back_workflow",
    "purge_missing_workflow",
    "remove_library_workflow",
    "undo_move_workflow",
    "upkeep_workflow",
]

Answer = TypeVar("Answer")

_DAY_SECONDS: Final = 24 * 3600.0
_KEPT_EVENTS_SECONDS: Final = 90 * _DAY_SECONDS
_SHOWN_PATHS: Final = 1000
_ROWS_AT_ONCE: Final = 500
"""A transaction of so many rows takes a few milliseconds; others want to write, too."""


def finish_removals(db: Database) -> int:
    """Go on with every removal of a library that was begun and has not ended; how many.

    Costs one small query if there is none. Synchronous: run it in a worker thread.
    """
    unfinished = db.library.unfinished_removals()
    for library_id in unfinished:
        remove_library_workflow(db, library_id)
    return len(unfinished)


def remove_library_workflow(db: Database, library_id: str) -> None:
    """Forget a library and everything that is known of it. Synchronous: run it in a worker thread."""
    forget_moment(db, library_id)
    db.library.remove_library(library_id)


async def upkeep_workflow(
    db: Database, library_id: str, *, keep_days: float | None, clock: Clock, root_marker: str = ""
) -> PurgedLibrary | None:
    """After a completed scan: forget old events, and what has been missing for so long; None if nothing was to be done.

    Old is what was old at a known moment already: one clock that is wrong forgets nothing. Only what is not kept at
    all has no age that could be wrong.

    Args:
        keep_days: how long missing files are kept; None: for good.
    """
    known = await _in_thread(
        partial(next_moment, db, library_id, seconds_between=seconds_between_moments(keep_days), clock=clock)
    )
    if known is not None:
        await _in_thread(partial(db.events.prune, before=known - _KEPT_EVENTS_SECONDS))
    judged_at = clock() if keep_days == 0 else known
    if keep_days is None or judged_at is None:
        return None
    library = await _in_thread(partial(db.library.get_library, library_id, clock(), counted=False))
    if library is None:
        return None
    before = judged_at - keep_days * _DAY_SECONDS
    return await _purge_older(db, library, before, clock, dry_run=False, root_marker=root_marker)


async def purge_missing_workflow(
    db: Database,
    library: Library,
    *,
    older_than_days: float,
    clock: Clock,
    dry_run: bool = False,
    root_marker: str = "",
) -> PurgedLibrary:
    """Forget the library's files that have been missing for so long; costs one small query if there are none.

    A library that is offline is left out: a disk that is away proves nothing, and must never cost a rating. So is one
    that is being scanned. A file that is on the disk again is kept for the scan that will find it, and one of a disk
    inside the library that is away until that is back. How long that is says the clock alone: it is for whoever asks.
    """
    before = clock() - older_than_days * _DAY_SECONDS
    return await _purge_older(db, library, before, clock, dry_run=dry_run, root_marker=root_marker)


async def _purge_older(
    db: Database, library: Library, before: float, clock: Clock, *, dry_run: bool, root_marker: str
) -> PurgedLibrary:
    library_id = library.library_id
    due = await _in_thread(partial(db.library_files.long_missing, library_id, before=before, limit=1))
    if not due:
        return PurgedLibrary(library_id, library.name)
    # A library that has just come back is one that only a scan can judge.
    offline = library.offline_reason or await _in_thread(partial(_offline_reason, db, library, root_marker))
    if offline is not None:
        return PurgedLibrary(library_id, library.name, skipped=f"it is offline: {offline}")
    spared = await _in_thread(partial(_spared, db, library, before))
    if dry_run:
        return await _in_thread(partial(_what_would_go, db, library, before, spared))
    return await _purge(db, library, before, spared, clock)


def _spared(db: Database, library: Library, before: float) -> dict[str, str]:
    """The ids and paths of missing files that nobody has scanned since they came back, or whose disk is away."""
    alone = db.library_files.long_missing_alone(library.library_id, before=before)
    with InnerDisks(library.root_path) as disks:
        away = AwayDisks(db, library.library_id, disks)
        # The disk is asked first: a share is mounted when somebody looks.
        return {
            file_id: path
            for file_id, path in alone.items()
            if may_exist(join(library.root_path, path)) or away.holds(folder_of(path))
        }


def _what_would_go(db: Database, library: Library, before: float, spared: Mapping[str, str]) -> PurgedLibrary:
    library_id = library.library_id
    files = db.library_files.count_long_missing(library_id, before=before) - len(spared)
    paths = db.library_files.long_missing(library_id, before=before, limit=_SHOWN_PATHS + len(spared))
    kept = set(spared.values())
    shown = [path for path in paths if path not in kept]
    return PurgedLibrary(library_id, library.name, files, tuple(shown[:_SHOWN_PATHS]))


async def _purge(
    db: Database, library: Library, before: float, spared: Mapping[str, str], clock: Clock
) -> PurgedLibrary:
    files = 0
    paths: list[str] = []
    skipped = None

    def purge_some(dead_owners: Collection[str]) -> list[str]:
        return db.library_files.purge_missing(
            library.library_id,
            before=before,
            now=clock,
            limit=_ROWS_AT_ONCE,
            dead_owners=dead_owners,
            spared=spared.keys(),
        )

    try:
        while purged := await _in_thread(partial(_despite_the_dead, db, purge_some)):
            files += len(purged)
            paths += purged[: _SHOWN_PATHS - len(paths)]
    except LibraryAlreadyScanning as busy:
        skipped = f"it is being scanned by another process ({busy.owner}); purge it when that is done"
    return PurgedLibrary(library.library_id, library.name, files, tuple(paths), skipped)


def undo_move_workflow(db: Database, seq: int, clock: Clock) -> UndoneMove:
    """Reverse the move that the event `seq` tells of. Synchronous: run it in a worker thread.

    Raises:
        MoveNotFound: if there is no such event, or it tells of no move.
        MoveCannotBeUndone: if the file is not where the move has put it.
        LibraryAlreadyScanning: if one of the libraries is being scanned.
    """
    new_file_id = uuid.uuid4().hex
    return _despite_the_dead(
        db, lambda dead_owners: db.library_files.undo_move(seq, new_file_id, now=clock, dead_owners=dead_owners)
    )


def forget_held_back_workflow(db: Database, library_id: str, clock: Clock) -> None:
    """Count losses that are held back from the beginning. Synchronous: run it in a worker thread.

    Raises:
        LibraryAlreadyScanning: if the library is being scanned.
    """
    _despite_the_dead(
        db, lambda dead_owners: db.library.forget_held_back(library_id, now=clock, dead_owners=dead_owners)
    )


def _despite_the_dead(db: Database, work: Callable[[Collection[str]], Answer]) -> Answer:
    """Do what no scan may be in the way of; a scan whose process is dead is not."""
    dead: set[str] = set()
    while True:
        try:
            return work(dead)
        except LibraryAlreadyScanning as busy:
            if busy.owner in dead or not is_certainly_dead(busy.owner, of_one_machine=db.is_of_one_machine):
                raise
            dead.add(busy.owner)


def _offline_reason(db: Database, library: Library, root_marker: str) -> str | None:
    """Why the library's files can't be judged now; nobody may have noticed yet that its disk is away."""
    verdict = check_root(
        library.root_path,
        library.root_identity,
        partial(db.library_files.sample, library.library_id, SAMPLE_SIZE),
        may_be_empty=False,
        marker=root_marker,
    )
    return verdict.offline_reason


async def _in_thread(work: Callable[[], Answer]) -> Answer:
    return await anyio.to_thread.run_sync(work)
