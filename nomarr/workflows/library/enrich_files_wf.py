"""Enrich files after they were scanned: everything that waits, the quick step of all before the slow step of any.

Resumable at any moment: each outcome is one write, guarded by the numbers of the file that was looked at.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Final, TypeVar

import anyio
import anyio.to_thread
from anyio import CapacityLimiter

from nomarr.components.library.file_systems_comp import is_rotational
from nomarr.components.media import inspect_file_comp
from nomarr.components.media.audio_file_comp import UnreadableAudio
from nomarr.components.media.cover_store_comp import CoverStore
from nomarr.components.media.inspect_file_comp import FileToInspect, InspectedFile, inspect_file, uninspected_file
from nomarr.components.media.read_ahead_comp import read_ahead
from nomarr.components.media.read_files_comp import stat_of
from nomarr.helpers.dto.enrichment import (
    Enrichment,
    EnrichmentHooks,
    EnrichmentJob,
    EnrichmentOptions,
    EnrichmentProgress,
    EnrichmentReport,
    EnrichmentState,
    EnrichmentStep,
    EnrichmentUpdate,
    ProcessingStatus,
)
from nomarr.helpers.exceptions import CoverFolderUnusable
from nomarr.helpers.paths_helper import join
from nomarr.helpers.time_helper import Clock
from nomarr.persistence.db import Database
from nomarr.workflows.library.enrichment_lease_wf import EnrichmentLease, enrichment_lease, remove_loose_covers
from nomarr.workflows.library.file_workers_wf import FileSkill, FileWorkers, in_order
from nomarr.workflows.library.listen_to_file_wf import Heard, Listener, UndecodableAudio

__all__ = ["enrich_files_workflow"]

Answer = TypeVar("Answer")

_INSPECT: Final = FileSkill(inspect_file, uninspected_file)

_JOBS: Final = 256
"""Files asked for at once. A cover that nobody uses any more is deleted only between two of these."""
_CHUNK: Final = 8
"""Files handed to a worker process at once: few, because each may bring a cover that takes a while."""
_HEARD_AT_ONCE: Final = 4
"""Files for one process of fpcalc, which takes as long to start as to hear half a song; few, because a scan waits for
all of them."""
_HEARD_BYTES: Final = 32 << 20
"""Two minutes of nearly everything, which is what a fingerprint is made of: of a CD they are 21 MB."""
_PAUSE_SECONDS: Final = 1.0
"""How often a pause looks whether the scan has ended."""
_NOT_NOW_SECONDS: Final = 60.0
"""A file that has changed since its scan waits so long for the next one."""
_RETRY_SECONDS: Final = (60.0, 600.0, 3600.0, 6 * 3600.0, 24 * 3600.0)
"""After each failure of one file; then it has to change first."""


async def enrich_files_workflow(
    db: Database,
    options: EnrichmentOptions,
    hooks: EnrichmentHooks,
    clock: Clock,
    *,
    library_id: str | None = None,
) -> EnrichmentReport:
    """Work on every file whose time has come, until there is none; while any scan runs, it waits.

    What fails, or can't be told yet, is left to a later run; what a scan finds meanwhile is not.

    Args:
        library_id: of this library only.

    Raises:
        EnrichmentBusy: if another process enriches this database.
        CoverFolderUnusable: at the end, if covers could not be stored or deleted, for rights or for want of space.
            All else is done then, and the next run looks for these covers again.
        DatabaseError: if the database failed for good.
    """
    store = CoverStore(Path(options.cover_folder))
    async with (
        enrichment_lease(db, store, clock) as lease,
        FileWorkers(options.workers, options.file_timeout_seconds, module=inspect_file_comp.__name__) as workers,
    ):
        report = await _Enricher(db, store, options, hooks, clock, lease, workers, library_id).run()
    if lease.problem is not None:
        raise lease.problem
    return report


@dataclass(slots=True)
class _Meter:
    """The running numbers of one run."""

    hooks: EnrichmentHooks
    total: int = 0
    done: int = 0
    completed: int = 0
    failed: int = 0
    step: EnrichmentStep = EnrichmentStep.ART
    began_at: float = field(default_factory=time.monotonic)
    _done_before: int = 0
    _step_began_at: float = field(default_factory=time.monotonic)

    def begin(self, step: EnrichmentStep) -> None:
        """From now on the speed is that of this step: one takes a hundred times as long as the other."""
        if step is not self.step:
            self.step = step
            self.measure_anew()
            self.tell(EnrichmentState.RUNNING)

    def measure_anew(self) -> None:
        """Forget the speed until now: the time was spent waiting."""
        self._done_before, self._step_began_at = self.done, time.monotonic()

    def tell(self, state: EnrichmentState) -> None:
        """Tell the subscribers."""
        rate = (self.done - self._done_before) / max(time.monotonic() - self._step_began_at, 0.001)
        total = max(self.total, self.done)
        # How long the slow step will take is known only when it has begun.
        has_end = rate > 0 and self.step is EnrichmentStep.SOUND
        self.hooks.on_progress(
            EnrichmentProgress(
                state=state,
                step=self.step,
                steps_done=self.done,
                steps_total=total,
                files_failed=self.failed,
                steps_per_second=round(rate, 1),
                eta_seconds=round((total - self.done) / rate, 1) if has_end else None,
            )
        )


@dataclass(frozen=True, slots=True)
class _Disk:
    """How a disk likes to be read."""

    turns: bool
    readers: CapacityLimiter
    """How many may read at a time: a head that jumps between two files is slower than one file."""

    @classmethod
    def of(cls, device: int, workers: int) -> _Disk:
        turns = is_rotational(device)
        return cls(turns, CapacityLimiter(1 if turns else workers))


class _Enricher:
    """One run."""

    def __init__(
        self,
        db: Database,
        store: CoverStore,
        options: EnrichmentOptions,
        hooks: EnrichmentHooks,
        clock: Clock,
        lease: EnrichmentLease,
        workers: FileWorkers,
        library_id: str | None,
    ) -> None:
        self._db = db
        self._store = store
        self._options = options
        self._clock = clock
        self._lease = lease
        self._workers = workers
        self._library_id = library_id
        self._listener = Listener.with_what_is_installed(options.file_timeout_seconds)
        self._threads = CapacityLimiter(options.workers + 2)
        self._slots = CapacityLimiter(options.workers)
        self._disks: dict[int, _Disk] = {}
        self._roots: dict[str, str] = {}
        self._meter = _Meter(hooks)
        self._until = clock()
        """What becomes due later is left to the next run, so that this one ends."""
        self._without_cover: set[str] = set()
        """Files whose slow step is to be done although their covers could not be stored."""

    async def run(self) -> EnrichmentReport:
        """Until nothing is due."""
        if self._listener.fpcalc is not None:
            await self._in_thread(partial(self._db.enrichment.want_fingerprints, now=self._until))
        if self._options.content_hashes:
            await self._in_thread(self._db.enrichment.want_content_hashes)
        await self._count_what_is_due()
        while True:
            await self._wait_for_scans()
            await self._remove_loose_covers()
            jobs = await self._in_thread(
                partial(self._db.enrichment.next_jobs, now=self._until, limit=_JOBS, library_id=self._library_id)
            )
            if not jobs:
                break
            await self._find_roots({job.library_id for job in jobs})
            await self._work_on(jobs)
        self._meter.tell(EnrichmentState.IDLE)
        return EnrichmentReport(
            files_completed=self._meter.completed,
            files_failed=self._meter.failed,
            steps_done=self._meter.done,
            duration_seconds=round(time.monotonic() - self._meter.began_at, 6),
            warnings=self._listener.warnings,
        )

    async def _work_on(self, jobs: Sequence[EnrichmentJob]) -> None:
        steps = {step: [job for job in jobs if self._step(job) is step] for step in EnrichmentStep}
        if steps[EnrichmentStep.ART]:
            self._meter.begin(EnrichmentStep.ART)
            await in_order(
                _chunks_of_one_disk(steps[EnrichmentStep.ART], _CHUNK),
                self._inspect,
                self._store_inspected,
                ahead=self._options.workers + 1,
            )
        if steps[EnrichmentStep.SOUND]:
            self._meter.begin(EnrichmentStep.SOUND)
            await in_order(
                _chunks_of_one_disk(steps[EnrichmentStep.SOUND], self._heard_at_once(len(steps[EnrichmentStep.SOUND]))),
                self._listen,
                self._deliver_nothing,
                ahead=2 * self._options.workers,
            )

    def _step(self, job: EnrichmentJob) -> EnrichmentStep:
        """The job's, but a cover that could not be stored in this run is no reason not to listen to the file."""
        if job.file_id not in self._without_cover or job.status is not ProcessingStatus.ART_DONE:
            return job.step
        lacks_only_cover = job.known is not None and job.known.hashed_stat == job.stat.with_no_files_ctime()
        return EnrichmentStep.SOUND if lacks_only_cover else job.step

    async def _remove_loose_covers(self) -> None:
        if self._lease.problem is None:
            try:
                await self._in_thread(partial(remove_loose_covers, self._lease, self._store))
            except CoverFolderUnusable as problem:
                self._lease.problem = problem

    # -- the quick step ----------------------------------------------------------------------------------------

    async def _inspect(self, jobs: Sequence[EnrichmentJob]) -> list[InspectedFile]:
        """Empty if a scan wants the disk."""
        async with self._disk(jobs[0].device).readers:
            if await self._is_scan_running():
                return []
            items = [
                FileToInspect(
                    self._path(job), job.stat, job.known, self._options.cover_folder, self._options.content_hashes
                )
                for job in jobs
            ]
            return await self._workers.run(_INSPECT, items, few=False)

    async def _store_inspected(self, jobs: Sequence[EnrichmentJob], files: Sequence[InspectedFile]) -> None:
        for job, file in zip(jobs, files, strict=False):
            if file.store_problem is not None:
                self._lease.problem = CoverFolderUnusable(self._options.cover_folder, file.store_problem)
            update = self._after_inspection(job, file)
            if not await self._store_update(update) or update.found is None:
                # What was written for it may have a cover that no file has.
                self._lease.leaves_covers = True
        self._meter.tell(EnrichmentState.RUNNING)

    def _after_inspection(self, job: EnrichmentJob, file: InspectedFile) -> EnrichmentUpdate:
        if file.is_other:
            return self._not_now(job)
        if file.found is None:
            return self._failure(job, file.error or "can't be read")
        found = file.found
        if file.store_problem is not None:
            found = replace(found, hashed_stat=found.hashed_stat.with_no_files_ctime())
            self._without_cover.add(job.file_id)
        else:
            self._without_cover.discard(job.file_id)
        is_heard = found.fingerprint_seconds is not None
        if is_heard:
            return self._completed(job, found, file.error)
        # It stays due since when it was, so that the slow step belongs to this run, too.
        return _outcome(
            job, ProcessingStatus.ART_DONE, job.due_at, found=found, error=file.error, attempts=job.attempts
        )

    # -- the slow step -----------------------------------------------------------------------------------------

    def _heard_at_once(self, files: int) -> int:
        """Fewer of a few files, so that every worker has some."""
        return min(_HEARD_AT_ONCE, -(-files // self._options.workers))

    async def _listen(self, jobs: Sequence[EnrichmentJob]) -> None:
        async with self._slots:
            if await self._is_scan_running():
                return
            still = await self._are_still(jobs)
            for job in (job for job in jobs if job not in still):
                await self._store_update(self._not_now(job))
            await self._read_ahead(still)

            async def deliver(place: int, heard: Heard) -> None:
                await self._store_update(await self._after_listening(still[place], heard))
                self._meter.tell(EnrichmentState.RUNNING)

            await self._listener.fingerprints([self._path(job) for job in still], deliver)

    async def _read_ahead(self, jobs: Sequence[EnrichmentJob]) -> None:
        """From a disk that turns one file is read at a time; decoding takes longer and goes on beside it."""
        for job in (job for job in jobs if self._disk(job.device).turns):
            async with self._disk(job.device).readers:
                # What can't be read is met again, and told, by whoever decodes it.
                with suppress(OSError, UnreadableAudio):
                    await self._abandonable(partial(read_ahead, self._path(job), _HEARD_BYTES))

    async def _after_listening(self, job: EnrichmentJob, heard: Heard) -> EnrichmentUpdate:
        if isinstance(heard, UndecodableAudio):
            return self._failure(job, str(heard)) if await self._are_still([job]) else self._not_now(job)
        duration, error = None, job.error
        try:
            duration = await self._listener.duration(self._path(job))
        except UndecodableAudio as problem:
            # The length from its header stays; that is no reason to listen to it again.
            error = str(problem)
        if not await self._are_still([job]):
            return self._not_now(job)
        found = job.known or Enrichment(job.stat)
        if self._listener.fpcalc is not None:
            found = replace(
                found,
                fingerprint=None if heard is None else heard.compressed,
                fingerprint_seconds=0.0 if heard is None else heard.duration_seconds,
            )
        if self._listener.ffprobe is not None:
            found = replace(found, duration_seconds=duration)
        return self._completed(job, found, error)

    async def _are_still(self, jobs: Sequence[EnrichmentJob]) -> list[EnrichmentJob]:
        """Those whose files are as the scan saw them."""
        paths = [self._path(job) for job in jobs]
        stats = await self._abandonable(lambda: [stat_of(path) for path in paths])
        return [job for job, stat in zip(jobs, stats, strict=True) if job.stat.is_still(stat)]

    async def _deliver_nothing(self, _: Sequence[EnrichmentJob], __: None) -> None:
        """Each file was stored as soon as it was done: a kill costs the file that is heard or stored only."""

    # -- outcomes ----------------------------------------------------------------------------------------------

    def _completed(self, job: EnrichmentJob, found: Enrichment, error: str | None) -> EnrichmentUpdate:
        """All is known of it; of a file whose cover could not be stored all but that."""
        due_at = self._in_a_later_run(0.0) if job.file_id in self._without_cover else None
        return _outcome(job, ProcessingStatus.COMPLETE, due_at, found=found, error=error)

    def _not_now(self, job: EnrichmentJob) -> EnrichmentUpdate:
        """It is gone or another one than the scan saw: the next scan says what it is."""
        due_at = self._in_a_later_run(_NOT_NOW_SECONDS)
        return _outcome(job, job.status, due_at, error=job.error, attempts=job.attempts)

    def _failure(self, job: EnrichmentJob, error: str) -> EnrichmentUpdate:
        attempts = job.attempts + 1
        wait = _RETRY_SECONDS[job.attempts] if job.attempts < len(_RETRY_SECONDS) else None
        due_at = None if wait is None else self._in_a_later_run(wait)
        return _outcome(job, ProcessingStatus.ERROR, due_at, error=error, attempts=attempts)

    def _in_a_later_run(self, wait_seconds: float) -> float:
        """After this run's time even if the clock was set back since it began."""
        return max(self._clock() + wait_seconds, math.nextafter(self._until, math.inf))

    async def _store_update(self, update: EnrichmentUpdate) -> bool:
        """False if the file is another one by now, or gone."""
        if not await self._in_thread(partial(self._lease.store, update)):
            return False
        self._meter.done += 1
        self._meter.completed += update.status is ProcessingStatus.COMPLETE and update.due_at is None
        self._meter.failed += update.status is ProcessingStatus.ERROR
        return True

    # -- around it ---------------------------------------------------------------------------------------------

    async def _wait_for_scans(self) -> None:
        has_waited = False
        while await self._is_scan_running():
            has_waited = True
            self._meter.tell(EnrichmentState.PAUSED)
            await anyio.sleep(_PAUSE_SECONDS)
        if has_waited:
            self._meter.measure_anew()
            await self._count_what_is_due()

    async def _is_scan_running(self) -> bool:
        return await self._in_thread(partial(self._db.enrichment.is_any_scan_running, self._clock()))

    async def _count_what_is_due(self) -> None:
        due = await self._in_thread(partial(self._db.enrichment.due_work, now=self._until, library_id=self._library_id))
        # A file that waits for the quick step will wait for the slow one.
        self._meter.total = self._meter.done + 2 * due.art + due.sound
        self._meter.tell(EnrichmentState.RUNNING)

    async def _find_roots(self, library_ids: set[str]) -> None:
        """Asked for again and again: a library may be relocated meanwhile."""
        for library_id in library_ids:
            library = await self._in_thread(
                partial(self._db.library.get_library, library_id, self._clock(), counted=False)
            )
            # A library that was just removed has no rows to write to either.
            self._roots[library_id] = os.devnull if library is None else library.root_path

    def _path(self, job: EnrichmentJob) -> str:
        return join(self._roots[job.library_id], job.path)

    def _disk(self, device: int) -> _Disk:
        if device not in self._disks:
            self._disks[device] = _Disk.of(device, self._options.workers)
        return self._disks[device]

    async def _abandonable(self, work: Callable[[], Answer]) -> Answer:
        """For what only reads files: on a dead network share it may take for ever, and a cancellation does not."""
        return await anyio.to_thread.run_sync(work, limiter=self._threads, abandon_on_cancel=True)

    async def _in_thread(self, work: Callable[[], Answer]) -> Answer:
        return await anyio.to_thread.run_sync(work, limiter=self._threads)


def _outcome(
    job: EnrichmentJob,
    status: ProcessingStatus,
    due_at: float | None,
    *,
    found: Enrichment | None = None,
    error: str | None = None,
    attempts: int = 0,
) -> EnrichmentUpdate:
    return EnrichmentUpdate(job.file_id, job.stat, status, due_at, found, error, attempts, job.due_at)


def _chunks_of_one_disk(jobs: Sequence[EnrichmentJob], size: int) -> Iterator[list[EnrichmentJob]]:
    for _, group in groupby(sorted(jobs, key=attrgetter("device")), key=attrgetter("device")):
        of_disk = list(group)
        yield from (of_disk[start : start + size] for start in range(0, len(of_disk), size))
