"""A scan from lease to report: everything around the scan itself."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import anyio
import anyio.to_thread

from nomarr.components.library.lease_owner_comp import is_certainly_dead, lease_owner
from nomarr.components.library.root_guard_comp import SAMPLE_SIZE, RootVerdict, check_root
from nomarr.helpers.disk_looks_helper import DiskLooks
from nomarr.helpers.dto.library import Library, ScanTarget, without_covered
from nomarr.helpers.dto.scan import (
    InterruptedScan,
    Lease,
    LeaseOwner,
    ScanHooks,
    ScanOptions,
    ScanReport,
    ScanRunState,
    ScanState,
    SeenLease,
)
from nomarr.helpers.dto.watching import PathChange
from nomarr.helpers.exceptions import (
    LeaseLost,
    LibraryAlreadyScanning,
    LibraryNotFound,
    LibraryOffline,
)
from nomarr.helpers.paths_helper import strip_control
from nomarr.helpers.time_helper import Clock, iso8601
from nomarr.persistence.db import Database
from nomarr.workflows.library.known_moment_wf import note_clock
from nomarr.workflows.library.progress_wf import ProgressMeter
from nomarr.workflows.library.scan_library_direct_wf import ScanContext, ScanOutcome, scan_library_direct_workflow
from nomarr.workflows.library.survey_wf import FullReading
from nomarr.workflows.library.task_errors_wf import single_error

__all__ = ["start_scan_workflow"]

logger = logging.getLogger(__name__)

_THREADS: Final = 4
_ROOT_SECONDS: Final = 30.0
"""So long a disk may take to answer; one that turns needs some to begin."""
_looks: Final = DiskLooks()
_KEPT_RUNS: Final = 500


@dataclass(frozen=True, slots=True)
class _Start:
    """What is decided before the first look at the disk."""

    library: Library
    lease: Lease
    targets: tuple[ScanTarget, ...]
    state: ScanState
    resumed: InterruptedScan | None
    full_since: float | None
    read_until: float | None
    """Until when an interrupted full scan, which goes on, can have read folders; None if all are to be read."""


async def start_scan_workflow(
    db: Database,
    library_id: str,
    targets: Sequence[ScanTarget],
    options: ScanOptions,
    hooks: ScanHooks,
    clock: Clock,
    *,
    path_changes: Sequence[PathChange] = (),
    unrenewed: SeenLease | None = None,
) -> ScanOutcome:
    """Scan `targets` and what an interrupted scan left over; record how it ended, whatever happens.

    Args:
        path_changes: renames and deletions that were noticed in the library since its last scan, in their order. They
            are evidence of moves, no order to look somewhere, and are stored nowhere: what a crash leaves over is
            judged by the other evidence.
        unrenewed: a lease that has run out, as somebody saw that it was not renewed in time.

    Raises:
        LibraryNotFound: if there is no such library.
        LibraryAlreadyScanning: if another process holds the lease.
        LibraryOffline: if the root is away, empty or another one; no row was changed.
        LeaseLost: if this process was paused for longer than its lease.
        DatabaseError: if the database failed for good.
    """
    scan_id = uuid.uuid4().hex
    if options.dry_run:
        return await _dry_run(db, library_id, targets, scan_id, options, hooks, clock, path_changes)
    with lease_owner() as owner:
        start = await anyio.to_thread.run_sync(
            partial(_begin, db, library_id, targets, scan_id, owner, options, clock, unrenewed)
        )
        return await _until_its_end(db, start, scan_id, options, hooks, clock, path_changes)


async def _until_its_end(
    db: Database,
    start: _Start,
    scan_id: str,
    options: ScanOptions,
    hooks: ScanHooks,
    clock: Clock,
    path_changes: Sequence[PathChange],
) -> ScanOutcome:
    """The scan that has the lease, and a record of how it ended."""
    end = partial(_end, db, start, clock=clock)
    try:
        outcome = await _guarded(db, start, scan_id, options, hooks, clock, path_changes)
    except anyio.get_cancelled_exc_class():
        await end(ScanRunState.CANCELLED)
        raise
    except LibraryOffline as error:
        await end(ScanRunState.OFFLINE, error=str(error))
        raise
    except LeaseLost:
        raise
    except Exception as error:
        await end(ScanRunState.FAILED, error=str(error) or type(error).__name__)
        raise
    await end(ScanRunState.COMPLETED, outcome=outcome)
    return outcome


def _begin(
    db: Database,
    library_id: str,
    targets: Sequence[ScanTarget],
    scan_id: str,
    owner: LeaseOwner,
    options: ScanOptions,
    clock: Clock,
    unrenewed: SeenLease | None,
) -> _Start:
    """Take the lease, with the targets that an earlier scan did not finish."""
    library = db.library.get_library(library_id, clock(), counted=False)
    state = db.library.get_scan_state(library_id)
    if library is None or state is None:
        raise LibraryNotFound(library_id)
    now = clock()
    dead = state.owner if _has_run_out(db, state, unrenewed) else None
    resumed = db.library.check_interrupted_scan(library_id, now=now, dead_owner=dead) if options.resume else None
    wanted = [*targets, *state.queued_targets]
    inherits = resumed is not None or (options.resume and state.state in (ScanRunState.FAILED, ScanRunState.OFFLINE))
    if inherits:
        # What that scan was asked for is still to be done; a cancelled one is not wanted any more.
        wanted += state.targets
    merged = tuple(without_covered(wanted))
    unfinished_since = state.full_scan_since if inherits else None
    goes_on = _is_credible(unfinished_since, state.last_scan_at, now)
    full_since = unfinished_since if goes_on else None
    if full_since is None and (options.full or unfinished_since is not None):
        full_since = now
    note_clock(db, library_id, clock)
    if resumed is not None:
        began = iso8601(resumed.started_at)
        logger.info("the scan of %s that began at %s was interrupted; going on", library.name, began)
    lease = db.library.mark_scan_started(
        library_id,
        scan_id,
        owner,
        merged,
        now=clock,
        lease_seconds=options.lease_seconds,
        full_since=full_since,
        dead_owner=dead,
    )
    if lease is None:
        raise LibraryAlreadyScanning(library.name, state.owner or "unknown", state.expires_at or now)
    return _Start(library, lease, merged, state, resumed, full_since, read_until=now if goes_on else None)


def _has_run_out(db: Database, state: ScanState, unrenewed: SeenLease | None) -> bool:
    """True if the lease need not be waited for, whatever it tells of its end."""
    if state.owner is None:
        return False
    if unrenewed is not None and unrenewed == SeenLease(state.owner, state.expires_at or 0.0):
        return True
    return is_certainly_dead(state.owner, of_one_machine=db.is_of_one_machine)


def _is_credible(full_since: float | None, last_scan_at: float | None, now: float) -> bool:
    """False if the clock was set since the full scan began: nobody can tell then which folders it has read."""
    return full_since is not None and (last_scan_at or full_since) <= full_since <= now


async def _guarded(
    db: Database,
    start: _Start,
    scan_id: str,
    options: ScanOptions,
    hooks: ScanHooks,
    clock: Clock,
    path_changes: Sequence[PathChange],
) -> ScanOutcome:
    """The scan between its two looks at the root, with the lease kept alive."""
    meter = ProgressMeter()
    threads = anyio.CapacityLimiter(_THREADS)
    verdict = await _judged_root(db, start.library, options)
    await anyio.to_thread.run_sync(partial(_accept_root, db, start, verdict, clock), limiter=threads)
    context = ScanContext(
        scan_id=scan_id,
        lease=start.lease,
        options=options,
        meter=meter,
        clock=clock,
        threads=threads,
        full=_full_reading(start.full_since, start.read_until),
        held_back=start.state.held_back,
        after_unfinished=start.state.state not in (None, ScanRunState.COMPLETED),
        check_root=partial(_require_root, db, start, options, clock),
        path_changes=path_changes,
    )
    with single_error():
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_keep_lease, db, start.lease, options, clock)
            tasks.start_soon(meter.publish, hooks.on_progress)
            outcome = await scan_library_direct_workflow(
                db, start.library.library_id, start.targets, options.batch_size, context=context
            )
            tasks.cancel_scope.cancel()
    hooks.on_progress(meter.snapshot())
    return _with_warning(outcome, verdict.warning)


def _full_reading(full_since: float | None, read_until: float | None) -> FullReading | None:
    if full_since is None:
        return None
    return FullReading() if read_until is None else FullReading(full_since, read_until)


async def _keep_lease(db: Database, lease: Lease, options: ScanOptions, clock: Clock) -> None:
    """Renew the lease until cancelled; raises `LeaseLost`, which ends the scan beside it."""
    while True:
        await anyio.sleep(options.lease_seconds / 4)
        await anyio.to_thread.run_sync(
            partial(db.library.renew_lease, lease, now=clock, lease_seconds=options.lease_seconds)
        )


async def _judged_root(db: Database, library: Library, options: ScanOptions) -> RootVerdict:
    """What is where the root should be. Who is cancelled does not wait for a disk that does not answer.

    However many scans are begun meanwhile, one thread waits for it.
    """
    place = (id(db), library.library_id, library.root_path, library.root_identity)
    question = (*place, options.accept_losses, options.root_marker)
    with anyio.move_on_after(_ROOT_SECONDS):
        return await asyncio.wrap_future(_looks.begin(question, partial(_check_root, db, library, options)))
    return RootVerdict(None, f"the disk of {strip_control(library.root_path)} does not answer")


def _check_root(db: Database, library: Library, options: ScanOptions) -> RootVerdict:
    return check_root(
        library.root_path,
        library.root_identity,
        partial(db.library_files.sample, library.library_id, SAMPLE_SIZE),
        may_be_empty=options.accept_losses,
        marker=options.root_marker,
    )


def _require_root(db: Database, start: _Start, options: ScanOptions, clock: Clock) -> None:
    """Raises `LibraryOffline` if the root went away, was emptied or was replaced since the scan began."""
    try:
        _look_at_root(db, start.library, options)
    except LibraryOffline as error:
        db.library.set_offline(start.lease, error.reason, now=clock)
        raise


def _look_at_root(db: Database, library: Library, options: ScanOptions) -> RootVerdict:
    """What the root is now; raises `LibraryOffline` if it is not the library's. Writes nothing."""
    return _required(library, _check_root(db, library, options))


def _required(library: Library, verdict: RootVerdict) -> RootVerdict:
    if verdict.offline_reason is not None:
        raise LibraryOffline(library.name, library.root_path, verdict.offline_reason)
    return verdict


def _accept_root(db: Database, start: _Start, verdict: RootVerdict, clock: Clock) -> None:
    """Store what the root is now; raises `LibraryOffline` if it is not the library's."""
    library = start.library
    if verdict.offline_reason is not None or verdict.identity is None:
        reason = verdict.offline_reason or "its root can't be looked at"
        db.library.set_offline(start.lease, reason, now=clock)
        raise LibraryOffline(library.name, library.root_path, reason)
    if library.offline_reason is not None:
        db.library.set_offline(start.lease, None, now=clock)
    if verdict.identity != library.root_identity:
        db.library.set_root_identity(start.lease, verdict.identity, now=clock)


async def _dry_run(
    db: Database,
    library_id: str,
    targets: Sequence[ScanTarget],
    scan_id: str,
    options: ScanOptions,
    hooks: ScanHooks,
    clock: Clock,
    path_changes: Sequence[PathChange],
) -> ScanOutcome:
    """Look and compare without a lease and without a single write."""
    library = await anyio.to_thread.run_sync(partial(db.library.get_library, library_id, clock(), counted=False))
    if library is None:
        raise LibraryNotFound(library_id)
    now = clock()
    meter = ProgressMeter()
    verdict = _required(library, await _judged_root(db, library, options))
    context = ScanContext(
        scan_id=scan_id,
        lease=Lease(library_id, "dry run", 0, now),
        options=options,
        meter=meter,
        clock=clock,
        threads=anyio.CapacityLimiter(_THREADS),
        check_root=partial(_look_at_root, db, library, options),
        full=FullReading() if options.full else None,
        path_changes=path_changes,
    )
    with single_error():
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(meter.publish, hooks.on_progress)
            outcome = await scan_library_direct_workflow(
                db, library_id, without_covered(targets), options.batch_size, context=context
            )
            tasks.cancel_scope.cancel()
    return _with_warning(outcome, verdict.warning)


async def _end(
    db: Database,
    start: _Start,
    state: ScanRunState,
    *,
    clock: Clock,
    outcome: ScanOutcome | None = None,
    error: str | None = None,
) -> None:
    """Give the lease back with the truth about how the scan ended."""
    report = None if outcome is None else outcome.report

    def end() -> None:
        if outcome is not None and outcome.held_back != start.state.held_back and _judged_all(start, outcome):
            db.library.set_held_back(start.lease, outcome.held_back, now=clock)
        db.library.mark_scan_completed(start.lease, state, now=clock(), report=report, error=error)
        db.scan_runs.prune(keep_per_library=_KEPT_RUNS)

    # A cancelled scan has to give its lease back as well, and one that is done must not be told to be interrupted.
    with anyio.CancelScope(shield=True):
        await anyio.to_thread.run_sync(end)
    _log_end(start.library, state, report, error)


def _judged_all(start: _Start, outcome: ScanOutcome) -> bool:
    """True if the scan can tell whether losses are still held back: it found some, or it looked everywhere."""
    return outcome.held_back is not None or ScanTarget(start.library.library_id) in start.targets


def _log_end(library: Library, state: ScanRunState, report: ScanReport | None, error: str | None) -> None:
    name = strip_control(library.name)
    if report is None:
        logger.info("scan of %s: %s%s", name, state.value, f" ({error})" if error else "")
        return
    logger.info(
        "scan of %s: %s in %.2f s; %d files looked at, %d read, %d added, %d updated, %d moved, %d missing, %d failed",
        name,
        state.value,
        report.duration_seconds,
        report.files_scanned,
        report.files_processed,
        report.files_added,
        report.files_updated,
        report.files_moved,
        report.files_missing,
        report.files_failed,
    )


def _with_warning(outcome: ScanOutcome, warning: str | None) -> ScanOutcome:
    if warning is None:
        return outcome
    return replace(outcome, report=replace(outcome.report, warnings=(warning, *outcome.report.warnings)))
