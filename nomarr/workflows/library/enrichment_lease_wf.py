"""Be the one process that enriches a database, and so the one that may delete covers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Final, TypeVar

import anyio
import anyio.to_thread

from nomarr.components.library.lease_owner_comp import is_certainly_dead, lease_owner
from nomarr.components.media.cover_store_comp import CoverStore
from nomarr.helpers.dto.enrichment import EnrichmentUpdate
from nomarr.helpers.dto.scan import LeaseOwner
from nomarr.helpers.exceptions import CoverFolderUnusable, EnrichmentBusy
from nomarr.helpers.time_helper import Clock
from nomarr.persistence.db import Database
from nomarr.workflows.library.task_errors_wf import single_error

__all__ = [
    "EnrichmentLease",
    "enrichment_lease",
    "no_enrichment",
    "remove_loose_covers",
    "remove_unused_covers_workflow",
]

Answer = TypeVar("Answer")

_LEASE_SECONDS: Final = 60.0
_COVERS_AT_ONCE: Final = 500


@dataclass(slots=True)
class EnrichmentLease:
    """What may be written by its holder alone, and what that has done so far."""

    db: Database
    owner: LeaseOwner
    clock: Clock
    leaves_covers: bool
    """True if covers may have been stored that no file has: they are looked for at the end."""
    problem: CoverFolderUnusable | None = None
    """Why covers could not be stored or deleted; whoever has the lease raises it when all else is done."""

    def store(self, update: EnrichmentUpdate) -> bool:
        """As `EnrichmentStore.store`."""
        return self._proven(partial(self.db.enrichment.store, update, self.owner, now=self.clock))

    def forget_loose_covers(self, cover_ids: list[str]) -> None:
        """As `EnrichmentStore.forget_loose_covers`."""
        self._proven(partial(self.db.enrichment.forget_loose_covers, cover_ids, self.owner, now=self.clock))

    def _proven(self, write: Callable[[], Answer]) -> Answer:
        """Write; a lease that ran out while this machine slept, and that nobody took, is renewed before.

        Raises:
            EnrichmentBusy: if another process took it.
        """
        try:
            return write()
        except EnrichmentBusy:
            if not _renew(self.db, self.owner, self.clock):
                raise
            return write()


@asynccontextmanager
async def enrichment_lease(db: Database, store: CoverStore, clock: Clock) -> AsyncIterator[EnrichmentLease]:
    """Raises `EnrichmentBusy` if another process enriches, also inside the block if the lease is lost."""
    with lease_owner() as owner:
        was_interrupted = await anyio.to_thread.run_sync(_take, db, owner, clock)
        lease = EnrichmentLease(db, owner, clock, leaves_covers=was_interrupted)
        is_tidy = False
        try:
            async with _kept(db, owner, clock):
                if was_interrupted:
                    await _tidy_up(db, store, lease)
                yield lease
                # After an interruption again: what its processes were just writing then is complete now.
                is_tidied = not lease.leaves_covers or await _tidy_up(db, store, lease)
            is_tidy = is_tidied
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(_give_back, db, owner, is_tidy)


@asynccontextmanager
async def no_enrichment(db: Database, clock: Clock) -> AsyncIterator[None]:
    """Nobody enriches this database inside the block; what an interrupted enrichment left stays for the next one.

    Raises:
        EnrichmentBusy: if another process enriches, also inside the block if the lease is lost.
    """
    with lease_owner() as owner:
        was_interrupted = await anyio.to_thread.run_sync(_take, db, owner, clock)
        try:
            async with _kept(db, owner, clock):
                yield
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(_give_back, db, owner, not was_interrupted)


async def remove_unused_covers_workflow(db: Database, store: CoverStore, clock: Clock) -> int:
    """Delete the covers whose last file was purged or has another one now; how many.

    Raises:
        EnrichmentBusy: if another process enriches this database.
        CoverFolderUnusable: if they can't be deleted.
    """
    async with enrichment_lease(db, store, clock) as lease:
        removed = await anyio.to_thread.run_sync(remove_loose_covers, lease, store)
    if lease.problem is not None:
        raise lease.problem
    return removed


def remove_loose_covers(lease: EnrichmentLease, store: CoverStore) -> int:
    """As `remove_unused_covers_workflow`, for whoever has the lease and is not storing a cover now."""
    removed = 0
    while unused := lease.db.enrichment.unused_covers(limit=_COVERS_AT_ONCE):
        for cover_id in unused:
            store.remove(cover_id)
        lease.forget_loose_covers(unused)
        removed += len(unused)
    return removed


def _take(db: Database, owner: LeaseOwner, clock: Clock) -> bool:
    """True if the last one was interrupted, perhaps between storing a cover and saying whose it is."""
    before = db.enrichment.holder()
    dead = before if before is not None and is_certainly_dead(before, of_one_machine=db.is_of_one_machine) else None
    if not db.enrichment.take_lease(owner, now=clock(), lease_seconds=_LEASE_SECONDS, dead_owner=dead):
        raise EnrichmentBusy(before or "another process")
    return before is not None


def _give_back(db: Database, owner: LeaseOwner, is_tidy: bool) -> None:
    if is_tidy:
        db.enrichment.give_lease_back(owner)
    else:
        # Anybody may have it, and whoever does sees that somebody was interrupted.
        db.enrichment.take_lease(owner, now=0.0, lease_seconds=0.0)


@asynccontextmanager
async def _kept(db: Database, owner: LeaseOwner, clock: Clock) -> AsyncIterator[None]:
    """Renew the lease inside the block; `EnrichmentBusy` ends it if the lease is lost."""
    with single_error():
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_keep, db, owner, clock)
            yield
            tasks.cancel_scope.cancel()


async def _keep(db: Database, owner: LeaseOwner, clock: Clock) -> None:
    while True:
        await anyio.sleep(_LEASE_SECONDS / 4)
        if not await anyio.to_thread.run_sync(_renew, db, owner, clock):
            raise EnrichmentBusy("another process")


def _renew(db: Database, owner: LeaseOwner, clock: Clock) -> bool:
    return db.enrichment.renew_lease(owner, now=clock, lease_seconds=_LEASE_SECONDS)


async def _tidy_up(db: Database, store: CoverStore, lease: EnrichmentLease) -> bool:
    """False if it can't be done now: the next one who has the lease tries it again."""
    try:
        await _remove_all_unused(db, store)
    except CoverFolderUnusable as problem:
        lease.problem = problem
        return False
    return True


async def _remove_all_unused(db: Database, store: CoverStore) -> None:
    """Look at every cover there is, in steps that leave room for a cancellation."""
    chunks = _chunks(store.ids())
    while chunk := await anyio.to_thread.run_sync(next, chunks, None):
        await anyio.to_thread.run_sync(_remove_unused, db, store, chunk)


def _remove_unused(db: Database, store: CoverStore, cover_ids: list[str]) -> None:
    for cover_id in set(cover_ids) - db.enrichment.covers_in_use(cover_ids):
        store.remove(cover_id)


def _chunks(cover_ids: Iterator[str]) -> Iterator[list[str]]:
    while chunk := list(islice(cover_ids, _COVERS_AT_ONCE)):
        yield chunk
