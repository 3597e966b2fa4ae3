"""One scan of one library whose lease is held: look, recognize moves, read what differs, write in batches.

Quick or full, whole or a few folders, real or dry: the same path with other values.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby, islice
from operator import attrgetter
from typing import Final, TypeVar

import anyio
import anyio.to_thread
from anyio import CapacityLimiter

from nomarr.components.library.detect_moves_comp import Move, in_safe_order
from nomarr.components.library.diff_folder_comp import FolderDiff
from nomarr.components.library.file_systems_comp import file_system_of, keeps_identity, timestamp_granularity
from nomarr.components.library.ignore_rules_comp import IgnoreRules
from nomarr.components.library.inner_disks_comp import InnerDisks
from nomarr.components.library.match_sounds_comp import SAME_AUDIO, SAME_RECORDING
from nomarr.components.library.walk_folders_comp import FolderWalker, existing_target
from nomarr.components.media import read_files_comp
from nomarr.components.media.read_files_comp import ReadFile, read_file, unread_file
from nomarr.helpers.dto.batches import (
    BatchResult,
    FileGone,
    FileHidden,
    FileMove,
    FileSeen,
    FileUpsert,
    ImageUpsert,
    RowOutcome,
    ScanBatch,
)
from nomarr.helpers.dto.files import HIDDEN_FOLDER, FileStat, FolderRecord, IgnoreRule, KnownFile, KnownFolder
from nomarr.helpers.dto.library import Library, ScanTarget, TranscodePolicy, without_covered
from nomarr.helpers.dto.scan import HeldBackLosses, Lease, ScanOptions, ScanPhase, ScanReport, ScanRunState
from nomarr.helpers.dto.watching import PathChange
from nomarr.helpers.exceptions import LibraryNotFound
from nomarr.helpers.file_kinds import FileKind, kind_of
from nomarr.helpers.paths_helper import folder_of, join
from nomarr.helpers.time_helper import Clock
from nomarr.persistence.db import Database
from nomarr.workflows.library.file_workers_wf import READ_CHUNK, FileSkill, FileWorkers, in_order
from nomarr.workflows.library.find_moves_wf import find_moves
from nomarr.workflows.library.find_same_audio_wf import HASH, SameAudio, SameAudioFinder
from nomarr.workflows.library.find_transcoded_wf import TranscodedFinder
from nomarr.workflows.library.listen_to_file_wf import Listener
from nomarr.workflows.library.progress_wf import ProgressMeter
from nomarr.workflows.library.record_sidecars_wf import read_sidecars
from nomarr.workflows.library.sound_claims_wf import DueClaim, SoundClaim, SoundClaims
from nomarr.workflows.library.survey_wf import FullReading, Survey, SurveyRules, survey_targets

__all__ = ["ScanContext", "ScanOutcome", "scan_library_direct_workflow"]

Answer = TypeVar("Answer")

_READ_IN_THREAD: Final = 512
"""Up to so many files are read in a thread: starting worker processes costs as much as reading these."""

_READ_TAGS: Final = FileSkill(read_file, unread_file)

_SIDECARS_AT_ONCE: Final = 20
"""Recorded before it is asked whether the batch is full; a playlist may have thousands of lines."""

_BRAKE_FILES: Final = 50
_BRAKE_SHARE: Final = 0.2
_BRAKE_SIGHTINGS: Final = 3
_BRAKE_SECONDS: Final = 24 * 3600.0
"""Losses that at least so many scans saw over at least so long a time are believed without being confirmed."""


@dataclass(frozen=True, slots=True)
class ScanContext:
    """What one scan works with."""

    scan_id: str
    lease: Lease
    options: ScanOptions
    meter: ProgressMeter
    clock: Clock
    threads: CapacityLimiter
    check_root: Callable[[], object]
    """Raises `LibraryOffline` if the root is not the one that the scan began with."""
    full: FullReading | None = None
    """None for a quick scan."""
    held_back: HeldBackLosses | None = None
    after_unfinished: bool = False
    """The scan before this one did not come to its last steps."""
    path_changes: Sequence[PathChange] = ()
    """Renames and deletions in the library that somebody noticed since its last scan, in their order."""


@dataclass(frozen=True, slots=True)
class ScanOutcome:
    """A finished scan."""

    report: ScanReport
    unsettled: tuple[ScanTarget, ...] = ()
    """Folders that were still changing; scan them again a little later."""
    held_back: HeldBackLosses | None = None
    """Losses that wait to be confirmed."""
    elsewhere: tuple[ScanTarget, ...] = ()
    """Folders of other libraries with new files that take over ids of files which this scan has missed: scan them."""


async def scan_library_direct_workflow(
    db: Database,
    library_id: str,
    scan_targets: Sequence[ScanTarget],
    batch_size: int,
    *,
    context: ScanContext,
) -> ScanOutcome:
    """Bring the rows inside the targets in line with the disk.

    Args:
        scan_targets: folders of this library; overlapping ones are merged, those that are gone become their
            nearest existing parent.
        batch_size: file rows per write transaction; a few times as many other rows.

    Raises:
        LeaseLost: if the lease ran out or was taken over; nothing was written after that.
        DatabaseError: if the database failed for good.
    """
    library = await anyio.to_thread.run_sync(
        partial(db.library.get_library, library_id, context.clock(), counted=False)
    )
    if library is None:
        raise LibraryNotFound(library_id)
    file_system = await anyio.to_thread.run_sync(file_system_of, library.root_path, abandon_on_cancel=True)
    workers = FileWorkers(
        context.options.tag_workers, context.options.file_timeout_seconds, module=read_files_comp.__name__
    )
    async with workers:
        scan = _Scan(
            db, library, batch_size, context, workers, file_system, is_whole=ScanTarget(library_id) in scan_targets
        )
        unsettled = await scan.look(scan_targets, final_look=False)
        if unsettled and context.options.look_again:
            context.meter.phase = ScanPhase.SETTLING
            await anyio.sleep(context.options.settle_seconds)
            again = [ScanTarget(library_id, folder, False) for folder in unsettled]
            unsettled = await scan.look(again, final_look=True)
        return await scan.finish(unsettled)


@dataclass(slots=True)
class _Read:
    """A file to read, and the row it belongs to (a fresh id for a new one)."""

    diff: FolderDiff
    index: int
    file_id: str
    row: KnownFile | None


@dataclass(slots=True)
class _FolderEnd:
    """Everything of a folder was handed out before this."""

    diff: FolderDiff


_Step = _Read | _FolderEnd


@dataclass(slots=True)
class _Placement:
    """Where moves have put rows, on the way from what was found to what is written."""

    moved_here: dict[str, KnownFile] = field(default_factory=dict)
    moved_away: set[str] = field(default_factory=set)
    new_ids: dict[str, str] = field(default_factory=dict)
    """Path to id of those new files whose ids somebody has noted already."""

    def forget(self, file_ids: set[str]) -> None:
        """Moves that were not written: their files are new here, as far as this library is concerned."""
        self.moved_here = {path: row for path, row in self.moved_here.items() if row.file_id not in file_ids}
        self.moved_away -= file_ids

    def row_for(self, diff: FolderDiff, index: int) -> KnownFile | None:
        """The row that stands for a file to be read; None for a new file."""
        if self.moved_here and (moved := self.moved_here.get(diff.path_at(index))) is not None:
            return moved
        row = diff.changed.get(index)
        return None if row is None or row.file_id in self.moved_away else row

    def new_id(self, diff: FolderDiff, index: int) -> str:
        """The id of a file that no row stands for."""
        return (self.new_ids and self.new_ids.get(diff.path_at(index))) or uuid.uuid4().hex


class _Scan:
    """The state of one scan, across its looks."""

    def __init__(
        self,
        db: Database,
        library: Library,
        batch_size: int,
        context: ScanContext,
        workers: FileWorkers,
        file_system: str,
        *,
        is_whole: bool,
    ) -> None:
        self._db = db
        self._library = library
        self._is_whole = is_whole
        self._batch_size = batch_size
        self._context = context
        self._options = context.options
        self._stable = keeps_identity(file_system)
        self._granularity = timestamp_granularity(file_system)
        self._workers = workers
        self._report = ScanReport(context.scan_id, library.library_id, ScanRunState.COMPLETED)
        self._held_back: HeldBackLosses | None = None
        self._batch = ScanBatch()
        self._with_other_images: set[str] = set()
        self._unsettled: set[str] = set()
        self._moved: set[str] = set()
        self._lost_moves: set[str] = set()
        self._missed: set[str] = set()
        self._claims = SoundClaims(db)

    async def look(self, targets: Sequence[ScanTarget], *, final_look: bool) -> set[str]:
        """Look at the targets once and write what differs; the folders that have to be looked at again."""
        survey = await self._survey(targets, final_look)
        self._unsettled = set(survey.unsettled)
        # The first look has seen what these led to, so they say nothing about what changed until the final look.
        path_changes = () if final_look else self._context.path_changes
        moves = await self._look_in_thread(partial(find_moves, self._db, self._library, survey, path_changes))
        by_sound = await self._find_by_sound(survey, moves)
        moves += by_sound.moves
        placement = _Placement()
        for move in moves:
            placement.moved_here[move.to_path] = move.file
            placement.moved_away.add(move.file.file_id)
        self._moved |= placement.moved_away
        held_back = await self._hold_back_losses(survey, placement)
        if self._options.dry_run:
            self._count_dry(survey, placement, held_back)
            return set()
        await self._write_disks(survey)
        await self._write_moves(moves)
        placement.forget(self._lost_moves)
        await self._note_claims(survey, placement, by_sound)
        await self._read_and_write(survey, placement, held_back, final_look)
        await self._write_absent(survey, placement, held_back)
        await self._flush()
        return self._unsettled

    async def finish(self, unsettled: set[str]) -> ScanOutcome:
        """The last writes, and the outcome."""
        self._context.meter.phase = ScanPhase.FINISHING
        elsewhere = set() if self._options.dry_run else await self._settle_claims()
        if not self._options.dry_run and (self._report.changes_detected or self._context.after_unfinished):
            resolve = partial(self._db.library_sidecars.resolve_entries, self._context.lease, now=self._context.clock)
            await self._in_thread(resolve)
        report = replace(
            self._report,
            duration_seconds=round(self._context.clock() - self._context.lease.started_at, 6),
            dry_run=self._options.dry_run,
        )
        again = tuple(ScanTarget(self._library.library_id, folder, False) for folder in sorted(unsettled))
        return ScanOutcome(report, again, self._held_back, tuple(sorted(elsewhere)))

    async def _survey(self, targets: Sequence[ScanTarget], final_look: bool) -> Survey:
        rules = SurveyRules(
            stable_identity=self._stable,
            timestamp_granularity=self._granularity,
            settle_seconds=self._options.settle_seconds,
            # A full scan has read everything in its first look.
            full=None if final_look else self._context.full,
            final_look=final_look,
            accept_losses=self._options.accept_losses,
        )

        def survey() -> Survey:
            root = self._library.root_path
            existing = without_covered(existing_target(root, target) for target in targets)
            ignoring = IgnoreRules.for_library(self._library.ignore_patterns, self._options.file_rules)
            walker = FolderWalker(root, ignoring, stable_identity=self._stable)
            with InnerDisks(root) as disks:
                return survey_targets(
                    self._db,
                    self._library,
                    existing,
                    walker,
                    disks,
                    rules,
                    now=self._context.clock,
                    on_known=self._context.meter.folders_known,
                    on_folder=self._context.meter.folder_done,
                )

        try:
            # A file system that hangs must not hold a cancelled scan; the thread ends at its next folder.
            found = await anyio.to_thread.run_sync(survey, limiter=self._context.threads, abandon_on_cancel=True)
        except anyio.get_cancelled_exc_class():
            self._context.meter.stopped = True
            raise
        if not final_look:
            self._add(
                folders_scanned=found.folders_scanned,
                folders_unchanged=found.folders_unchanged,
                files_scanned=found.files_scanned,
                files_unchanged=found.files_unchanged,
            )
        self._warn(found.warnings)
        # Emptied or unmounted while it was walked: nothing that was seen may be believed then.
        await self._look_in_thread(self._context.check_root)
        return found

    # -- moves ------------------------------------------------------------------------------------------------

    async def _find_by_sound(self, survey: Survey, known_moves: Sequence[Move]) -> SameAudio:
        """Files that are known by their sound; those of them that were not to be read are from now on."""
        self._context.meter.phase = ScanPhase.MOVING
        if not await self._in_thread(self._db.enrichment.knows_any_sound):
            return SameAudio()
        same_audio = SameAudioFinder(self._db, self._library, survey, self._workers, self._context.threads)
        found = await same_audio.find(known_moves)
        if self._library.transcode_policy is TranscodePolicy.KEEP_ID:
            transcoded = TranscodedFinder(
                self._db,
                self._library,
                survey,
                self._workers,
                Listener.with_what_is_installed(self._options.file_timeout_seconds),
                max(1, self._options.tag_workers),
                self._context.threads,
                self._context.clock(),
            )
            moves = await transcoded.find([*known_moves, *found.moves])
            found = replace(found, moves=[*found.moves, *moves])
        await self._in_thread(lambda: survey.read_again({move.to_path: move.file for move in found.moves}))
        return found

    async def _write_disks(self, survey: Survey) -> None:
        """Before any row of theirs: if this scan ends early, the next one has to know what a disk took along."""
        for record in survey.on_other_disks:
            self._batch.folders.append(record)
            await self._flush_if_full()
        await self._flush()

    async def _write_moves(self, moves: Sequence[Move]) -> None:
        self._context.meter.phase = ScanPhase.MOVING
        for group in in_safe_order(moves, self._library.library_id):
            self._batch.moves += [
                FileMove(
                    move.file.file_id,
                    move.file.library_id,
                    move.file.path,
                    move.to_path,
                    move.evidence,
                    is_other_file=move.evidence in (SAME_AUDIO, SAME_RECORDING),
                )
                for move in group
            ]
            await self._flush_if_full()
        # Before any digest: a folder whose digest is written is not compared again after a crash.
        await self._flush()

    # -- claims -----------------------------------------------------------------------------------------------

    async def _note_claims(self, survey: Survey, placement: _Placement, by_sound: SameAudio) -> None:
        """Remember which new files have the audio of files that were not missed yet."""
        known = {claim.to_path: claim.file for claim in by_sound.claims if claim.to_path not in placement.moved_here}
        claims = []
        for diff in survey.diffs if known else ():
            for index in diff.arrivals():
                if (file := known.get(path := diff.path_at(index))) is not None:
                    row = placement.row_for(diff, index)
                    new_id = placement.new_id(diff, index) if row is None else row.file_id
                    placement.new_ids[path] = new_id
                    audio_hash = by_sound.hashes[path]
                    claims.append(SoundClaim(new_id, file.file_id, file.library_id, file.path, audio_hash))
        await self._in_thread(lambda: self._claims.note(claims, self._context.clock()))

    async def _settle_claims(self) -> set[ScanTarget]:
        """Write what is due in this library; where to scan for what became due elsewhere by this scan."""
        due = await self._in_thread(lambda: self._claims.due(self._context.clock()))
        here = [claim for claim in due if claim.file.library_id == self._library.library_id]
        for start in range(0, len(here), READ_CHUNK):
            await self._take_over(here[start : start + READ_CHUNK], few=len(here) <= _READ_IN_THREAD)
        await self._flush()
        return {
            ScanTarget(claim.file.library_id, folder_of(claim.file.path), recursive=False)
            for claim in due
            if claim.known.file_id in self._missed and claim not in here
        }

    async def _take_over(self, claims: Sequence[DueClaim], *, few: bool) -> None:
        """Give new files the ids of the missing ones whose audio they hold, unless they have changed since."""
        root = self._library.root_path
        paths = [claim.file.path for claim in claims]
        hashes = await self._workers.look_into(HASH, root, paths, few=few)
        read = await self._workers.run(_READ_TAGS, [join(root, path) for path in paths], few=few)
        for claim, file in zip(claims, read, strict=True):
            known, path = claim.known, claim.file.path
            if hashes.get(path) == claim.audio_hash and claim.stat.is_still(file.stat):
                self._moved.add(known.file_id)
                self._batch.moves.append(
                    FileMove(known.file_id, known.library_id, known.path, path, SAME_AUDIO, is_other_file=True)
                )
                self._batch.upserts.append(
                    FileUpsert(known.file_id, path, claim.stat, claim.file.device, file.tags, file.read_at)
                )
                await self._flush_if_full()

    # -- reading ----------------------------------------------------------------------------------------------

    async def _read_and_write(
        self, survey: Survey, placement: _Placement, held_back: set[str], final_look: bool
    ) -> None:
        total = sum(len(diff.new) + len(diff.changed) for diff in survey.diffs)
        self._context.meter.start_reading(total)
        few = total <= _READ_IN_THREAD

        async def read(steps: list[_Step]) -> list[ReadFile]:
            paths = [join(self._library.root_path, s.diff.path_at(s.index)) for s in steps if isinstance(s, _Read)]
            return await self._workers.run(_READ_TAGS, paths, few=few)

        async def deliver(steps: list[_Step], files: list[ReadFile]) -> None:
            answers = iter(files)
            for step in steps:
                if isinstance(step, _Read):
                    self._take_read_file(step, next(answers), final_look)
                else:
                    await self._end_folder(step.diff, survey, placement, held_back)
                await self._flush_if_full()
            self._context.meter.files_done += len(files)
            self._context.meter.current_folder = steps[-1].diff.listing.path

        await in_order(
            _in_chunks(self._steps(survey, placement)), read, deliver, ahead=2 * max(1, self._options.tag_workers) + 1
        )

    def _steps(self, survey: Survey, placement: _Placement) -> Iterator[_Step]:
        for diff in survey.diffs:
            for index in sorted((*diff.new, *diff.changed)):
                row = placement.row_for(diff, index)
                if row is None or row.file_id not in placement.moved_away or not self._is_as_read(diff, index, row):
                    yield _Read(diff, index, placement.new_id(diff, index) if row is None else row.file_id, row)
            yield _FolderEnd(diff)

    def _is_as_read(self, diff: FolderDiff, index: int, row: KnownFile) -> bool:
        """True for a file that came with a folder that was moved: not even its ctime changed."""
        as_known = row.stat == diff.listing.stat_at(index) and row.device == diff.listing.device
        return as_known and self._context.full is None

    def _take_read_file(self, step: _Read, file: ReadFile, final_look: bool) -> None:
        listing = step.diff.listing
        stat = listing.stat_at(step.index)
        if not stat.is_still(file.stat):
            self._unsettled.add(listing.path)
            if not final_look or file.stat is None:
                return
        if file.tags.error is not None and not final_look and self._is_young(stat):
            # Perhaps only half of it is there yet.
            self._unsettled.add(listing.path)
            return
        self._batch.upserts.append(
            FileUpsert(step.file_id, step.diff.path_at(step.index), stat, listing.device, file.tags, file.read_at)
        )

    def _is_young(self, stat: FileStat) -> bool:
        return abs(self._context.clock() - stat.changed_at) < self._options.settle_seconds

    async def _end_folder(self, diff: FolderDiff, survey: Survey, placement: _Placement, held_back: set[str]) -> None:
        listing = diff.listing
        for index, row in diff.seen.items():
            self._batch.seen.append(FileSeen(row.file_id, row.path, listing.stat_at(index), listing.device))
            await self._flush_if_full()
        lost = [row for row in diff.gone if row.file_id not in placement.moved_away]
        await self._write_gone(lost, held_back)
        await self._write_hidden(diff.hidden)
        await self._write_sidecars(diff)
        is_final = (
            listing.path not in self._unsettled
            and not any(row.file_id in held_back for row in lost)
            and listing.path not in survey.changing
        )
        self._batch.folders.append(FolderRecord(listing.path, listing.digest if is_final else "", listing.disk))

    async def _write_sidecars(self, diff: FolderDiff) -> None:
        # Files that come into the folder by this scan are due, or were looked into after their images were listed.
        if diff.has_rows and diff.has_other_images():
            self._with_other_images.add(diff.listing.path)
        await self._write_gone_sidecars(diff.gone_sidecars)
        sidecars = read_sidecars(self._db, self._library, diff)
        for _ in range(0, len(diff.sidecars), _SIDECARS_AT_ONCE):
            piece = await self._in_thread(lambda: list(islice(sidecars, _SIDECARS_AT_ONCE)))
            for sidecar in piece:
                if isinstance(sidecar, ImageUpsert):
                    self._batch.images.append(sidecar)
                else:
                    self._batch.playlists.append(sidecar)
            await self._flush_if_full()

    # -- what is not there any more ---------------------------------------------------------------------------

    async def _hold_back_losses(self, survey: Survey, placement: _Placement) -> set[str]:
        """The ids of files that are gone but must not be marked missing yet."""
        lost = {row.file_id for row in survey.gone_files}
        lost.update(row.file_id for diff in survey.diffs for row in diff.gone)
        lost -= placement.moved_away
        if not lost or self._options.accept_losses:
            return set()
        if self._held_back is not None:
            # The second look of a scan whose first look braked.
            return lost
        if not await self._is_too_much(len(lost)):
            return set()
        now = self._context.clock()
        before = self._context.held_back
        sightings = HeldBackLosses(
            len(lost), now if before is None else before.first_seen_at, 1 if before is None else before.sightings + 1
        )
        if sightings.sightings >= _BRAKE_SIGHTINGS and now - sightings.first_seen_at >= _BRAKE_SECONDS:
            return set()
        self._held_back = sightings
        self._add(files_held_back=len(lost))
        self._warn(
            [
                f"{len(lost):,} files are gone at once; they are held back and nothing is marked missing. "
                "If they were really removed, scan with --accept-losses"
            ]
        )
        return lost

    async def _is_too_much(self, lost: int) -> bool:
        """True for losses that look like an accident, and for any loss while such losses wait to be confirmed."""
        if self._context.held_back is not None and not self._is_whole:
            return True
        if lost <= _BRAKE_FILES:
            return False
        present = await self._in_thread(partial(self._db.library_files.count_present, self._library.library_id))
        return lost > present * _BRAKE_SHARE

    async def _write_absent(self, survey: Survey, placement: _Placement, held_back: set[str]) -> None:
        """Files of folders that are gone or hidden as a whole, and these folders after them."""
        lost = [row for row in survey.gone_files if row.file_id not in placement.moved_away]
        await self._write_gone(lost, held_back)
        await self._write_hidden(survey.hidden_files)
        if not any(row.file_id in held_back for row in lost):
            await self._write_sidecars_of_absent(survey.gone_sidecars)
            await self._write_gone_folders(survey.gone_folders)
        await self._write_hidden_folders(survey.hidden_folders)

    async def _write_sidecars_of_absent(self, paths: Sequence[str]) -> None:
        for folder, below in groupby(sorted(paths, key=folder_of), folder_of):
            gone = list(below)
            if any(kind_of(path) is FileKind.IMAGE for path in gone):
                # Its files may come back without their images.
                self._with_other_images.add(folder)
            await self._write_gone_sidecars(gone)

    async def _write_gone_sidecars(self, paths: Sequence[str]) -> None:
        for path in paths:
            self._batch.gone_sidecars.append(path)
            await self._flush_if_full()

    async def _write_gone_folders(self, topmost: Sequence[str]) -> None:
        for top in topmost:
            # What is below comes first: as long as a folder is known, a scan finds out that it is gone.
            for folder in reversed(await self._known_within(top)):
                self._batch.gone_folders.append(folder.path)
                await self._flush_if_full()

    async def _write_hidden_folders(self, topmost: Sequence[str]) -> None:
        # They stay known: when the rule goes, a scan finds out which of them went meanwhile.
        for top in topmost:
            for folder in reversed(await self._known_within(top)):
                self._batch.folders.append(FolderRecord(folder.path, HIDDEN_FOLDER, folder.disk))
                await self._flush_if_full()

    async def _known_within(self, top: str) -> list[KnownFolder]:
        """The known folder `top` and those below it, each before what is below itself."""
        tree = ScanTarget(self._library.library_id, top)
        known = await self._in_thread(partial(self._db.library_folders.within, tree))
        return sorted(known.values(), key=attrgetter("path"))

    async def _write_gone(self, lost: Sequence[KnownFile], held_back: set[str]) -> None:
        for row in lost:
            if row.file_id not in held_back:
                self._missed.add(row.file_id)
                self._batch.gone.append(FileGone(row.file_id, row.path))
                await self._flush_if_full()

    async def _write_hidden(self, hidden: Sequence[tuple[KnownFile, IgnoreRule]]) -> None:
        for row, rule in hidden:
            self._batch.hidden.append(FileHidden(row.file_id, row.path, str(rule)))
            await self._flush_if_full()

    # -- writing ----------------------------------------------------------------------------------------------

    async def _flush_if_full(self) -> None:
        if self._batch.is_full(self._batch_size):
            await self._flush()

    async def _flush(self) -> None:
        batch, self._batch = self._batch, ScanBatch()
        if not batch:
            return
        await self._look_for_other_covers()
        # The clock, not the time: this process may be stopped for longer than its lease before the write begins.
        result = await self._in_thread(
            partial(self._db.library_files.upsert_batch, self._context.lease, batch, now=self._context.clock)
        )
        self._lost_moves.update(result.lost_moves)
        self._count(batch, result)

    async def _look_for_other_covers(self) -> None:
        """Of the files beside the images that the next batch records, and before it, so that no crash forgets it."""
        folders, self._with_other_images = self._with_other_images, set()
        if folders:
            look = partial(self._db.library_sidecars.look_for_covers_in, self._context.lease, sorted(folders))
            await self._in_thread(partial(look, now=self._context.clock))

    def _count(self, batch: ScanBatch, result: BatchResult) -> None:
        outcomes = result.upserts
        unchanged = sum(
            outcome is RowOutcome.UNCHANGED and upsert.file_id not in self._moved
            for upsert, outcome in zip(batch.upserts, outcomes, strict=True)
        )
        self._add(
            files_processed=len(batch.upserts),
            files_added=outcomes.count(RowOutcome.INSERTED),
            files_updated=outcomes.count(RowOutcome.UPDATED),
            files_unchanged=unchanged + result.refreshed,
            files_restored=outcomes.count(RowOutcome.RESTORED) + result.restored,
            files_failed=sum(upsert.tags.error is not None for upsert in batch.upserts),
            files_moved=result.moved,
            files_missing=result.gone + result.displaced,
            files_ignored=result.hidden,
            playlists_changed=result.playlists,
            images_changed=result.images,
            batches_written=1,
        )
        if result.changed_rows:
            self._report = replace(self._report, changes_detected=True)

    def _count_dry(self, survey: Survey, placement: _Placement, held_back: set[str]) -> None:
        """What would be done, as far as it can be told without reading a file."""
        rows = [step.row for step in self._steps(survey, placement) if isinstance(step, _Read)]
        known = [row for row in rows if row is not None and row.file_id not in placement.moved_away]
        seen = [row for diff in survey.diffs for row in diff.seen.values()]
        gone = {row.file_id for diff in survey.diffs for row in diff.gone} | {row.file_id for row in survey.gone_files}
        found = {
            "files_processed": len(rows),
            "files_added": rows.count(None),
            "files_updated": sum(row.is_present for row in known),
            "files_restored": sum(not row.is_present for row in known + seen),
            "files_moved": len(placement.moved_away),
            "files_missing": len(gone - placement.moved_away - held_back),
            "files_ignored": len(survey.hidden_files) + sum(len(diff.hidden) for diff in survey.diffs),
            **_count_sidecars(survey),
        }
        self._add(**found)
        self._report = replace(self._report, changes_detected=any(found.values()))

    def _add(self, **counters: int) -> None:
        self._report = replace(
            self._report, **{name: getattr(self._report, name) + count for name, count in counters.items()}
        )

    def _warn(self, warnings: Sequence[str]) -> None:
        # Each target tells of the rules above it, and a second look of what it finds again.
        every = tuple(dict.fromkeys((*self._report.warnings, *warnings)))
        if every != self._report.warnings:
            self._report = replace(self._report, warnings=every)

    async def _look_in_thread(self, look: Callable[[], Answer]) -> Answer:
        """Run a step that only looks, perhaps at a disk that hangs: a cancelled scan does not wait for it."""
        return await anyio.to_thread.run_sync(look, limiter=self._context.threads, abandon_on_cancel=True)

    async def _in_thread(self, work: Callable[[], Answer]) -> Answer:
        """Run a database step in a worker thread; it is never left half done."""
        return await anyio.to_thread.run_sync(work, limiter=self._context.threads)


def _in_chunks(steps: Iterator[_Step]) -> Iterator[list[_Step]]:
    """Lists of steps with at most `READ_CHUNK` files to read in each."""
    chunk: list[_Step] = []
    files = 0
    for step in steps:
        chunk.append(step)
        files += isinstance(step, _Read)
        if files >= READ_CHUNK or len(chunk) >= 16 * READ_CHUNK:
            yield chunk
            chunk, files = [], 0
    if chunk:
        yield chunk


def _count_sidecars(survey: Survey) -> dict[str, int]:
    """Playlists and images that appeared, changed or went away."""
    paths = [diff.path_at(index) for diff in survey.diffs for index in diff.sidecars]
    paths += [path for diff in survey.diffs for path in diff.gone_sidecars] + survey.gone_sidecars
    images = sum(kind_of(path) is FileKind.IMAGE for path in paths)
    return {"playlists_changed": len(paths) - images, "images_changed": images}
