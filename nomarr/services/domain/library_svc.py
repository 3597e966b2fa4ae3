"""Libraries: what is known of them, and everything that can be asked of them."""

from __future__ import annotations

import logging
import math
import os
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import partial
from itertools import chain, groupby, islice, repeat
from typing import Final, NamedTuple, TypeVar

import anyio
import anyio.to_thread

from nomarr.components.library.standing_lease_comp import StandingLease
from nomarr.helpers.dto.answers import (
    ComparisonProgress,
    DuplicateGroup,
    DuplicatePage,
    Explanation,
    PatternProblem,
    Verification,
)
from nomarr.helpers.dto.events import ChangeEvent
from nomarr.helpers.dto.file_pages import FilePage, FilePlace, FileQuery
from nomarr.helpers.dto.files import FileRecord, Playlist, PlaylistEntry, PlaylistRecord
from nomarr.helpers.dto.library import FileRules, Library, LibraryState, ScanTarget, TranscodePolicy, WatchMode
from nomarr.helpers.dto.scan import (
    HeldBackLosses,
    ScanHooks,
    ScanOptions,
    ScanPlace,
    ScanProgress,
    ScanReport,
    ScanRun,
)
from nomarr.helpers.dto.upkeep import PurgedLibrary, PurgeReport, UndoneMove
from nomarr.helpers.dto.watching import PathChange
from nomarr.helpers.exceptions import (
    ConfigurationError,
    DatabaseError,
    FileNotKnown,
    InvalidPath,
    LibraryAlreadyScanning,
    LibraryNotFound,
    NomarrError,
    ScanCancelled,
)
from nomarr.helpers.ignore_pattern_helper import problem_of
from nomarr.helpers.paths_helper import strip_control
from nomarr.helpers.protocols import FileRulesInForce, Retention, TaskRunner
from nomarr.helpers.time_helper import Clock, steady_clock, system_clock
from nomarr.persistence.db import Database
from nomarr.services.domain.duplicate_pages_svc import DuplicatePages
from nomarr.services.domain.scan_queue_svc import ScanHandle, ScanQueue
from nomarr.workflows.library.explain_path_wf import explain_path_workflow
from nomarr.workflows.library.find_duplicates_wf import find_duplicates_workflow
from nomarr.workflows.library.library_state_wf import with_true_state
from nomarr.workflows.library.start_scan_wf import start_scan_workflow
from nomarr.workflows.library.upkeep_wf import (
    finish_removals,
    forget_held_back_workflow,
    purge_missing_workflow,
    remove_library_workflow,
    undo_move_workflow,
    upkeep_workflow,
)
from nomarr.workflows.library.verify_library_wf import verify_library_workflow

__all__ = ["LibraryService", "LibrarySettings"]

logger = logging.getLogger(__name__)

Answer = TypeVar("Answer")
Choice = TypeVar("Choice", bound=StrEnum)

_BUSY_RETRY_SECONDS: Final = 0.5
_PAGE: Final = 1000
_FOLLOW_UP_SECONDS: Final = (2.0, 4.0, 8.0, 16.0, 32.0, 60.0)


@dataclass(frozen=True, slots=True)
class LibrarySettings:
    """How libraries are scanned; values out of the configuration."""

    scan: ScanOptions = field(default_factory=ScanOptions)
    parallel_libraries: int = 2
    """How many libraries are scanned at the same time."""


class LibraryService:
    """Keeps libraries, scans them, and answers questions about them."""

    def __init__(
        self,
        db: Database,
        tasks: TaskRunner,
        retention: Retention,
        settings: LibrarySettings | None = None,
        clock: Clock = system_clock,
        *,
        file_rules: FileRulesInForce | None = None,
    ) -> None:
        """
        Args:
            retention: is asked each time before files are forgotten, as another process may have changed it.
            file_rules: is asked each time before somebody looks at files, for the same reason.
        """
        self._db = db
        self._tasks = tasks
        self._settings = settings or LibrarySettings()
        self._clock = clock
        self._retention = retention
        self._duplicates = DuplicatePages(db, clock)
        self._file_rules = file_rules
        self._unsettled: dict[str, set[ScanTarget]] = {}
        self._following_up: set[str] = set()
        self._subscribers: list[Callable[[ScanReport], None]] = []
        self._failure_subscribers: list[Callable[[str, Exception], None]] = []
        self._queue = ScanQueue(
            tasks,
            self._scan,
            self._keep_queued,
            parallel_libraries=self._settings.parallel_libraries,
        )

    def use(self, settings: LibrarySettings) -> None:
        """Scan with other settings from now on; scans that run or wait keep theirs."""
        self._settings = settings
        self._queue.use(parallel_libraries=settings.parallel_libraries)

    async def file_rules(self) -> FileRules:
        """Which files every library leaves out now, besides what it says itself."""
        return FileRules() if self._file_rules is None else await self._file_rules()

    # -- libraries --------------------------------------------------------------------------------------------

    async def add_library(
        self,
        name: str,
        path: str | os.PathLike[str],
        *,
        watch_mode: WatchMode | str = WatchMode.AUTO,
        ignore_patterns: Sequence[str] = (),
        transcode_policy: TranscodePolicy | str = TranscodePolicy.KEEP_ID,
    ) -> Library:
        """Add the folder `path` as the library `name`; nothing is scanned yet.

        Raises:
            InvalidPath: if `path` is not a folder.
            ConfigurationError: if the name is empty, an ignore pattern can't be understood, or the watch mode or
                transcode policy is unknown.
            LibraryAlreadyExists: if the name or the folder is taken.
        """
        root = await self._in_thread(partial(_existing_folder, path))
        library = Library(
            library_id=uuid.uuid4().hex,
            name=_checked_name(name),
            root_path=root,
            watch_mode=_watch_mode(watch_mode),
            ignore_patterns=_checked_patterns(ignore_patterns),
            transcode_policy=_transcode_policy(transcode_policy),
        )
        await self._in_thread(partial(self._db.library.add_library, library))
        return library

    async def list_libraries(self, *, counted: bool = True) -> list[Library]:
        """Every library, by name.

        Args:
            counted: False leaves the numbers of files at 0, for those who ask often: counting looks at every file.
        """

        def ask() -> list[Library]:
            libraries = self._db.library.list_libraries(self._clock(), counted=counted)
            return [with_true_state(self._db, library) for library in libraries]

        return await self._in_thread(ask)

    async def ids_in_database(self) -> set[str]:
        """The ids of all libraries, also of those whose removal was begun and has not ended."""

        def ask() -> set[str]:
            # In this order: one whose removal begins meanwhile is in both.
            libraries = self._db.library.list_libraries(self._clock(), counted=False)
            being_removed = self._db.library.unfinished_removals()
            return {*being_removed, *(library.library_id for library in libraries)}

        return await self._in_thread(ask)

    async def get_library(self, library_id: str, *, counted: bool = True) -> Library:
        """One library, `counted` as with `list_libraries`. Raises `LibraryNotFound`."""

        def ask() -> Library | None:
            library = self._db.library.get_library(library_id, self._clock(), counted=counted)
            return None if library is None else with_true_state(self._db, library)

        library = await self._in_thread(ask)
        if library is None:
            raise LibraryNotFound(library_id)
        return library

    async def find_library(self, wanted: str | os.PathLike[str]) -> Library:
        """The library with this name, id or folder.

        Raises:
            LibraryNotFound: if there is none.
        """
        libraries = await self.list_libraries()
        found = await self._in_thread(partial(_meant_library, os.fspath(wanted), libraries))
        if found is None:
            raise LibraryNotFound(os.fspath(wanted), [library.name for library in libraries])
        return found

    async def find_or_add_library(self, wanted: str | os.PathLike[str]) -> Library:
        """As `find_library`; a folder that is no library yet becomes one, named after the folder.

        Raises:
            LibraryNotFound: if it is neither a library nor a folder.
            InvalidPath: if it is the folder that holds everything (`/`); `add_library` takes that, too.
        """
        try:
            return await self.find_library(wanted)
        except LibraryNotFound:
            if not await self._in_thread(partial(os.path.isdir, wanted)):
                raise
        root = await self._in_thread(partial(_root_meant_by_chance, wanted))
        taken = {library.name for library in await self.list_libraries(counted=False)}
        name = os.path.basename(root) or "Music"
        return await self.add_library(name if name not in taken else root, root)

    async def require_folders(self, wanted: str | os.PathLike[str], folders: Sequence[str]) -> None:
        """For people who name folders to scan in `wanted`, which is what `find_or_add_library` takes.

        Raises `InvalidPath` for a folder that is neither on the disk nor in the database: it is a mistake in writing.
        Those that vanish while a library is watched are none, so `scan_targets` takes any.
        """
        try:
            library = await self.find_library(wanted)
        except LibraryNotFound:
            library = None
        root = os.fspath(wanted) if library is None else library.root_path

        def is_somewhere(folder: str) -> bool:
            if library is not None and _knows_folder(self._db, library.library_id, folder):
                return True
            # Of a disk that is away the scan tells.
            return not os.path.isdir(root) or os.path.lexists(os.path.join(root, folder))

        for folder in folders:
            path = ScanTarget("", folder).folder_path
            if not await self._in_thread(partial(is_somewhere, path)):
                reason = "it is neither on the disk nor in the database; check the spelling, capital letters too"
                raise InvalidPath(path, reason)

    async def update_library(
        self,
        library_id: str,
        *,
        name: str | None = None,
        watch_mode: WatchMode | str | None = None,
        enabled: bool | None = None,
        ignore_patterns: Sequence[str] | None = None,
        transcode_policy: TranscodePolicy | str | None = None,
    ) -> Library:
        """Change what is given. Patterns take effect with the next scan, for files known already too.

        A pattern that the library has already is not judged anew.

        Raises `LibraryNotFound`, `ConfigurationError`, `LibraryAlreadyExists`.
        """
        known = (await self.get_library(library_id, counted=False)).ignore_patterns
        await self._in_thread(
            partial(
                self._db.library.update_library,
                library_id,
                name=None if name is None else _checked_name(name),
                watch_mode=None if watch_mode is None else _watch_mode(watch_mode),
                enabled=enabled,
                ignore_patterns=None if ignore_patterns is None else _checked_patterns(ignore_patterns, known),
                transcode_policy=None if transcode_policy is None else _transcode_policy(transcode_policy),
            )
        )
        return await self.get_library(library_id)

    async def pattern_problems(self, library_id: str) -> list[PatternProblem]:
        """The library's ignore patterns that can't mean what they say: older versions took any.

        Raises `LibraryNotFound`.
        """
        return _problems_of((await self.get_library(library_id, counted=False)).ignore_patterns)

    async def relocate_library(self, library_id: str, new_path: str | os.PathLike[str]) -> Library:
        """Tell that the library's folder is at `new_path` now; ids and everything else stay.

        Also accepts a new disk at the old path. Raises `LibraryNotFound`, `InvalidPath`, `LibraryAlreadyExists`.
        """
        await self._require_library(library_id)
        root = await self._in_thread(partial(_existing_folder, new_path))
        await self._in_thread(partial(self._db.library.update_library, library_id, root_path=root))
        return await self.get_library(library_id)

    async def remove_library(self, library_id: str) -> None:
        """Forget the library and everything known about its files, events too; nothing on the disk is touched.

        If that is interrupted, nobody is shown what is left, and the same call goes on; `finish_removals` does, too.

        Raises:
            LibraryNotFound: if there is no such library.
            LibraryAlreadyScanning: while a scan of it runs that nobody has cancelled.
        """
        await self._queue.wait_for_cancelled(library_id)
        if library_id in await self._in_thread(self._db.library.unfinished_removals):
            await self._in_thread(partial(remove_library_workflow, self._db, library_id))
            return
        library = await self.get_library(library_id)
        if library.state is LibraryState.SCANNING or self._queue.is_busy(library_id):
            raise LibraryAlreadyScanning(library.name, "a running scan", self._clock())
        await self._in_thread(partial(remove_library_workflow, self._db, library_id))

    async def finish_removals(self) -> None:
        """Go on with every removal of a library that was interrupted; a failure is told in the log only.

        Happens by itself after each completed scan, and when `Nomarr.watch_all` begins.
        """
        try:
            finished = await self._in_thread(partial(finish_removals, self._db))
        except NomarrError as error:
            logger.warning("could not finish the removal of a library, to try again after the next scan: %s", error)
        else:
            if finished:
                logger.info("finished %d removals of libraries that were interrupted", finished)

    # -- scans ------------------------------------------------------------------------------------------------

    async def scan_targets(
        self,
        targets: Sequence[ScanTarget],
        *,
        full: bool = False,
        wait: bool = True,
        dry_run: bool = False,
        accept_losses: bool = False,
        look_again: bool = True,
        path_changes: Sequence[PathChange] = (),
        on_progress: Callable[[ScanProgress], None] | None = None,
    ) -> ScanReport:
        """Scan folders, of several libraries if need be, and wait until it is done.

        While this process scans one of the libraries, its targets wait and are scanned right after.

        Args:
            full: read every file's tags again, not only of files that changed.
            wait: wait for other processes that scan the library; False raises `LibraryAlreadyScanning`.
            dry_run: say what would be done and write nothing.
            accept_losses: believe that files are gone, however many.
            look_again: wait a moment and look once more at folders in which something has just changed; False comes
                back at once, and looks again in the background.
            path_changes: renames and deletions that the caller noticed since the last scan, in their order: the
                strongest evidence of moves, with which a renamed file keeps its id though it was edited too. They are
                kept in memory only; after a crash the other evidence has to do.

        Raises:
            ValueError: without targets, or for `path_changes` with targets of several libraries.
            LibraryNotFound, LibraryOffline, LibraryAlreadyScanning, LeaseLost, DatabaseError: as their names say.
            ScanCancelled: if somebody else cancelled the scan.
        """
        reports = await self.scan_each(
            targets,
            full=full,
            wait=wait,
            dry_run=dry_run,
            accept_losses=accept_losses,
            look_again=look_again,
            path_changes=path_changes,
            on_progress=on_progress,
        )
        return ScanReport.combined(reports)

    async def scan_each(
        self,
        targets: Sequence[ScanTarget],
        *,
        full: bool = False,
        wait: bool = True,
        dry_run: bool = False,
        accept_losses: bool = False,
        look_again: bool = True,
        path_changes: Sequence[PathChange] = (),
        on_progress: Callable[[ScanProgress], None] | None = None,
    ) -> list[ScanReport]:
        """As `scan_targets`, with one report for each library, in the order of their first targets."""
        if not targets:
            raise ValueError("no targets to scan")
        options = replace(
            self._settings.scan, full=full, dry_run=dry_run, accept_losses=accept_losses, look_again=look_again
        )
        by_library: dict[str, list[ScanTarget]] = defaultdict(list)
        for target in targets:
            by_library[target.library_id].append(target)
        if path_changes and len(by_library) > 1:
            raise ValueError("path changes belong to one library; scan each library with its own")
        for library_id in by_library:
            await self._require_library(library_id)
        shares: list[_Share] = []
        for library_id, its_targets in by_library.items():
            handle = await self._queue.ask(library_id, its_targets, options, wait=wait, path_changes=path_changes)
            if on_progress is not None:
                handle.subscribe(on_progress)
            shares.append(_Share(handle, its_targets))
        return await _results(shares)

    async def start_scan_for_library(
        self,
        library_id: str,
        targets: Sequence[ScanTarget] = (),
        *,
        full: bool = False,
        wait: bool = True,
        dry_run: bool = False,
        accept_losses: bool = False,
    ) -> ScanHandle:
        """Start a scan of the whole library, or of these targets in it, in the background.

        Raises:
            ValueError: for a target in another library.
            LibraryNotFound: if there is no such library; everything else comes from the handle's `result`.
        """
        await self._require_library(library_id)
        options = replace(self._settings.scan, full=full, dry_run=dry_run, accept_losses=accept_losses)
        if any(target.library_id != library_id for target in targets):
            raise ValueError("a scan of one library has its targets in that library")
        return await self._queue.ask(library_id, targets or [ScanTarget(library_id)], options, wait=wait)

    def subscribe(self, on_scanned: Callable[[ScanReport], None]) -> None:
        """Call `on_scanned` in the event loop after each scan that was completed in this process."""
        self._subscribers.append(on_scanned)

    def subscribe_failures(self, on_failed: Callable[[str, Exception], None]) -> None:
        """Call `on_failed` in the event loop with the library's id for each scan that failed in this process."""
        self._failure_subscribers.append(on_failed)

    def queue_lengths(self) -> tuple[int, int]:
        """How many scans run in this process, and how many wait."""
        return self._queue.lengths()

    def running_scan(self, library_id: str) -> ScanHandle | None:
        """The scan of this library that runs in this process now."""
        return self._queue.running(library_id)

    async def list_scans(
        self, library_id: str | None = None, *, limit: int = 100, before: ScanPlace | None = None
    ) -> list[ScanRun]:
        """Scan runs, newest first; of a library that was removed, none are kept. Raises `LibraryNotFound`.

        Args:
            before: the `place` of the last run that is known already; only those that follow it are listed.
        """
        if library_id is not None:
            await self._require_library(library_id)
        return await self._in_thread(partial(self._db.scan_runs.list_runs, library_id, limit=limit, before=before))

    async def held_back_losses(self, library_id: str) -> HeldBackLosses | None:
        """Files that can't be found, of which nobody has said yet that they are really gone.

        A scan with `accept_losses` believes it. Raises `LibraryNotFound`.
        """
        state = await self._in_thread(partial(self._db.library.get_scan_state, library_id))
        if state is None:
            raise LibraryNotFound(library_id)
        return state.held_back

    async def discard_held_back_losses(self, library_id: str) -> None:
        """Do not let time confirm these losses: they count as seen for the first time when the next scan finds them.

        Raises:
            LibraryNotFound: if there is no such library.
            LibraryAlreadyScanning: while a scan of it runs.
        """
        await self._require_library(library_id)
        await self._in_thread(partial(forget_held_back_workflow, self._db, library_id, self._clock))

    # -- upkeep -----------------------------------------------------------------------------------------------

    async def purge_missing(
        self, library_id: str | None = None, *, older_than_days: float | None = None, dry_run: bool = False
    ) -> PurgeReport:
        """Forget files that have been missing for long, of one library or of all; every completed scan does it, too.

        Libraries that are offline or being scanned are left out; the report says so. Covers that no file has any more
        are deleted by the next enrichment, or by `EnrichmentService.remove_unused_covers`.

        Args:
            older_than_days: for how long they must have been missing; by default the retention that is in force.
            dry_run: say what would be purged and write nothing.

        Raises:
            LibraryNotFound: if there is no such library.
            ConfigurationError: if the time is negative, or is not told though missing files are configured to be kept.
        """
        days = _checked_days(await self._retention() if older_than_days is None else older_than_days)
        libraries = await self.list_libraries() if library_id is None else [await self.get_library(library_id)]
        purged = [await self._purge(library, days, dry_run=dry_run) for library in libraries]
        return PurgeReport(days, tuple(purged), dry_run)

    async def list_moves(self, library_id: str | None = None, *, limit: int = 100) -> list[ChangeEvent]:
        """Moves and renames, newest first; of a library those into it, out of it and inside of it."""
        return await self._in_thread(partial(self._db.events.moves, library_id, limit=limit))

    async def undo_move(self, seq: int, *, wait: bool = True) -> UndoneMove:
        """Reverse a move that was wrong; `seq` is the number of its event.

        The file that was taken for the moved one becomes a new file with a fresh id. The old id goes back to the old
        path, as a missing file. No later scan pairs them again.

        Args:
            wait: wait for scans of the libraries; False raises `LibraryAlreadyScanning`.

        Raises:
            MoveNotFound: if there is no such event, or it tells of no move.
            MoveCannotBeUndone: if the file is not where the move has put it.
        """
        while True:
            try:
                return await self._in_thread(partial(undo_move_workflow, self._db, seq, self._clock))
            except LibraryAlreadyScanning:
                if not wait:
                    raise
                await anyio.sleep(_BUSY_RETRY_SECONDS)

    # -- questions --------------------------------------------------------------------------------------------

    async def list_files(
        self,
        library_id: str,
        *,
        folder: str = "",
        missing: bool = False,
        query: str | None = None,
        fingerprints: bool = False,
    ) -> list[FileRecord]:
        """The files of a folder and everything below it, by path. Raises `LibraryNotFound`, `InvalidPath`.

        Args:
            query: a text in path, title, artist, album or album artist.
            fingerprints: with `FileRecord.fingerprint`, several KB each.
        """
        pages = self.pages_of_files(library_id, folder=folder, missing=missing, query=query, fingerprints=fingerprints)
        return [record async for page in pages for record in page]

    async def pages_of_files(
        self,
        library_id: str,
        *,
        folder: str = "",
        missing: bool = False,
        query: str | None = None,
        fingerprints: bool = False,
    ) -> AsyncIterator[list[FileRecord]]:
        """As `list_files`, a thousand at a time, for libraries of any size."""
        await self._require_library(library_id)
        normalized = ScanTarget(library_id, folder).folder_path
        records = self._db.library_files.records(
            library_id, folder=normalized, missing=missing, query=query, fingerprints=fingerprints
        )
        while page := await self._in_thread(partial(_next_page, records)):
            yield page

    async def page_of_files(self, query: FileQuery, *, after: FilePlace | None = None, limit: int = 100) -> FilePage:
        """Some of the files that the query means: the first ones, or those that follow `after`.

        Raises `LibraryNotFound`, `InvalidPath`.
        """
        if query.library_id is not None:
            await self._require_library(query.library_id)
        wanted = replace(query, folder=ScanTarget("", query.folder).folder_path)
        return await self._in_thread(partial(self._db.library_files.page, wanted, after=after, limit=limit))

    async def get_file(self, file_id: str) -> FileRecord:
        """The file with this id, missing and hidden ones too. Raises `FileNotKnown`."""
        record = await self._in_thread(partial(self._db.library_files.get, file_id))
        if record is None:
            raise FileNotKnown(file_id)
        return record

    async def list_playlists(self, library_id: str) -> list[Playlist]:
        """The library's playlists with their entries. Raises `LibraryNotFound`."""
        await self._require_library(library_id)
        return await self._in_thread(lambda: list(self._db.library_sidecars.playlists(library_id)))

    async def page_of_playlists(self, library_id: str, *, after: str = "", limit: int = 100) -> list[PlaylistRecord]:
        """The first playlists behind the path `after`, by path, without their entries. Raises `LibraryNotFound`."""
        await self._require_library(library_id)
        page = partial(self._db.library_sidecars.page_of_playlists, library_id, after=after, limit=limit)
        return await self._in_thread(page)

    async def page_of_entries(
        self, library_id: str, playlist_path: str, *, after: int = 0, limit: int = 100
    ) -> list[PlaylistEntry] | None:
        """Entries of a playlist that follow its first `after` ones; None if there is no such playlist.

        Raises `LibraryNotFound`.
        """
        await self._require_library(library_id)
        entries = self._db.library_sidecars.page_of_entries
        return await self._in_thread(partial(entries, library_id, playlist_path, after=after, limit=limit))

    async def find_duplicates(
        self, library_id: str, *, on_progress: Callable[[ComparisonProgress], None] | None = None
    ) -> AsyncIterator[DuplicateGroup]:
        """Files with the same audio, then files with the same recording in several encodings, each group by path.

        Only files that are enriched are compared. It takes about 2 ms for each file, in a worker thread.

        Args:
            on_progress: is told in the event loop how far the search for recordings is, at least once.

        Raises:
            LibraryNotFound: if there is no such library.
            FingerprintLibraryMissing: after the groups with the same audio, if chromaprint is not installed.
        """
        await self.get_library(library_id)
        async for group in find_duplicates_workflow(self._db, library_id, on_progress or _ignore_progress):
            yield group

    async def page_of_duplicates(self, library_id: str, *, after: int = 0, limit: int = 100) -> DuplicatePage:
        """The groups of `find_duplicates` that follow the first `after` ones.

        The first page compares all files, as `find_duplicates` does, unless that was done within the last minute and no
        file has changed since. For ten minutes the following ones come out of the same comparison, without the files
        that have gone since.

        Raises `LibraryNotFound`, and `FingerprintLibraryMissing` as `find_duplicates` does.
        """
        await self._require_library(library_id)
        return await self._duplicates.page(library_id, after=after, limit=limit)

    async def verify(self, library_id: str) -> Verification:
        """Compare rows and disk; nothing is written. Raises `LibraryNotFound`, `LibraryOffline`."""
        library = await self.get_library(library_id)
        rules = await self.file_rules()
        marker = self._settings.scan.root_marker
        return await self._in_thread(partial(verify_library_workflow, self._db, library, rules, root_marker=marker))

    async def explain(self, path: str | os.PathLike[str]) -> Explanation:
        """Why a file or folder is or isn't in a library."""
        libraries = await self.list_libraries(counted=False)
        rules = await self.file_rules()
        marker = self._settings.scan.root_marker
        return await self._in_thread(
            lambda: explain_path_workflow(self._db, os.path.abspath(path), libraries, rules, root_marker=marker)
        )

    # -- inside -----------------------------------------------------------------------------------------------

    async def _scan(self, handle: ScanHandle) -> ScanReport:
        try:
            return await self._scan_in_turn(handle)
        except Exception as error:
            for on_failed in self._failure_subscribers:
                on_failed(handle.library_id, error)
            raise

    async def _scan_in_turn(self, handle: ScanHandle) -> ScanReport:
        """Do what a handle asks for, after other processes if it may wait for them."""
        hooks = ScanHooks(on_progress=handle.tell)
        standing = StandingLease(handle.options.lease_seconds)
        while True:
            try:
                outcome = await start_scan_workflow(
                    self._db,
                    handle.library_id,
                    handle.targets,
                    replace(handle.options, file_rules=await self.file_rules()),
                    hooks,
                    self._clock,
                    path_changes=handle.recent_path_changes(),
                    unrenewed=standing.unrenewed(self._clock(), steady_clock()),
                )
            except LibraryAlreadyScanning as busy:
                if not handle.wait:
                    raise
                standing.saw(busy.owner, busy.expires_at, steady_clock())
                await anyio.sleep(_BUSY_RETRY_SECONDS)
            else:
                break
        if outcome.unsettled:
            self._note_unsettled(handle, outcome.unsettled)
        await self._scan_elsewhere(handle, outcome.elsewhere)
        if not handle.options.dry_run:
            await self.finish_removals()
            # What moved to another library is missing until that one is scanned, however short missing files are kept.
            if not outcome.elsewhere:
                await self._forget_what_is_old(handle.library_id)
        for on_scanned in self._subscribers:
            on_scanned(outcome.report)
        return outcome.report

    async def _scan_elsewhere(self, handle: ScanHandle, targets: Sequence[ScanTarget]) -> None:
        """Scan folders of other libraries right after this one."""
        options = replace(self._settings.scan, look_again=False)
        for library_id, its_targets in groupby(sorted(targets), lambda target: target.library_id):
            # Whoever scans that library now, or when it is back, does what is due there; nobody needs to wait for it.
            handle.scans_elsewhere.append(await self._queue.ask(library_id, list(its_targets), options, wait=False))

    async def _forget_what_is_old(self, library_id: str) -> None:
        """After a completed scan: it has just seen the library's root, and everything that is back."""
        try:
            days = await self._retention()
            marker = self._settings.scan.root_marker
            purged = await upkeep_workflow(self._db, library_id, keep_days=days, clock=self._clock, root_marker=marker)
        except NomarrError as error:
            # The scan itself is done and told so; the next one tries again.
            logger.warning("could not purge files that are missing for long: %s", error)
        else:
            if purged is not None and days is not None:
                _log_purged(purged, days)

    async def _purge(self, library: Library, older_than_days: float, *, dry_run: bool = False) -> PurgedLibrary:
        purged = await purge_missing_workflow(
            self._db,
            library,
            older_than_days=older_than_days,
            clock=self._clock,
            dry_run=dry_run,
            root_marker=self._settings.scan.root_marker,
        )
        if not dry_run:
            _log_purged(purged, older_than_days)
        return purged

    def _note_unsettled(self, handle: ScanHandle, targets: Sequence[ScanTarget]) -> None:
        """Something was still being written there: look again later, as long as this process lives."""
        library_id = handle.library_id
        self._unsettled.setdefault(library_id, set()).update(targets)
        if library_id not in self._following_up:
            self._following_up.add(library_id)
            self._tasks.start(f"follow up {library_id}", partial(self._follow_up, library_id))

    async def _follow_up(self, library_id: str) -> None:
        try:
            for delay in chain(_FOLLOW_UP_SECONDS, repeat(_FOLLOW_UP_SECONDS[-1])):
                await anyio.sleep(delay)
                targets = sorted(self._unsettled.pop(library_id, ()))
                if not targets:
                    return
                options = replace(self._settings.scan, look_again=False)
                try:
                    handle = await self._queue.ask(library_id, targets, options, wait=True)
                    await handle.result()
                except DatabaseError as error:
                    logger.warning("looking later at folders that were still changing: %s", error)
                    self._unsettled.setdefault(library_id, set()).update(targets)
        except NomarrError as error:
            # The digests of these folders were not stored, so the next scan looks at them in any case.
            logger.warning("could not look again at folders that were still changing: %s", error)
        finally:
            self._following_up.discard(library_id)

    async def _require_library(self, library_id: str) -> None:
        """Raises `LibraryNotFound`."""
        await self.get_library(library_id, counted=False)

    async def _keep_queued(self, library_id: str, targets: Sequence[ScanTarget]) -> None:
        await self._in_thread(partial(self._db.library.set_queued_targets, library_id, targets))

    async def _in_thread(self, work: Callable[[], Answer]) -> Answer:
        return await anyio.to_thread.run_sync(work)


class _Share(NamedTuple):
    """What one caller wants of a scan that others may have a share in, too."""

    handle: ScanHandle
    targets: Sequence[ScanTarget]


async def _results(shares: Sequence[_Share]) -> list[ScanReport]:
    """Wait for all of them and for the scans that they led to.

    If the caller is cancelled or one fails, nobody needs the others' results any more.
    """
    reports = []
    try:
        for handle, _ in shares:
            report = await handle.result()
            if report is None:
                raise ScanCancelled(handle.library_id)
            reports.append(report)
        for handle, _ in shares:
            await _scanned_elsewhere(handle)
    finally:
        for handle, targets in shares:
            handle.give_up(targets)
    return reports


async def _scanned_elsewhere(handle: ScanHandle) -> None:
    for elsewhere in handle.scans_elsewhere:
        try:
            await elsewhere.result()
        except NomarrError as error:
            # It is not what was asked for, and the next scan there does it.
            logger.warning("files that moved to another library get their ids later: %s", error)


def _ignore_progress(_: ComparisonProgress) -> None:
    """Nobody watches."""


def _next_page(records: Iterator[FileRecord]) -> list[FileRecord]:
    return list(islice(records, _PAGE))


def _meant_library(wanted: str, libraries: Sequence[Library]) -> Library | None:
    """The library with this name, id or folder, tried in this order."""
    folder = os.path.abspath(wanted)
    real = os.path.realpath(folder)
    for names in (
        {library.name: library for library in libraries},
        {library.library_id: library for library in libraries},
        {library.root_path: library for library in libraries},
        {os.path.realpath(library.root_path): library for library in libraries},
    ):
        for key in (wanted, folder, real):
            if key in names:
                return names[key]
    return None


def _existing_folder(path: str | os.PathLike[str]) -> str:
    root = os.path.abspath(path)
    if not os.path.isdir(root):
        raise InvalidPath(root, "there is no such folder; check the spelling, or mount the disk first", is_root=True)
    return root


def _root_meant_by_chance(path: str | os.PathLike[str]) -> str:
    """The absolute path of a folder that was named to be scanned. Raises `InvalidPath` for the whole computer."""
    root = os.path.abspath(path)
    if os.path.dirname(os.path.realpath(root)) == os.path.realpath(root):
        raise InvalidPath(
            root,
            f"it is the whole computer, not a folder with music; if that is meant: nomarr library add NAME {root}",
            is_root=True,
        )
    return root


def _knows_folder(db: Database, library_id: str, folder: str) -> bool:
    """True for a folder that was looked at before, and while the database has files below it, missing ones too."""
    is_known = folder in db.library_folders.within(ScanTarget(library_id, folder, recursive=False))
    return is_known or any(db.library_files.below(library_id, folder))


def _checked_name(name: str) -> str:
    if not name.strip():
        raise ConfigurationError("a library needs a name", source="library name")
    return name


def _checked_patterns(patterns: Sequence[str], known: Collection[str] = ()) -> tuple[str, ...]:
    for bad in _problems_of(pattern for pattern in patterns if pattern not in known):
        raise ConfigurationError(
            f"'{strip_control(bad.pattern)}' can't be understood: {bad.problem}", source="ignore patterns"
        )
    return tuple(patterns)


def _problems_of(patterns: Iterable[str]) -> list[PatternProblem]:
    judged = ((pattern, problem_of(pattern)) for pattern in patterns)
    return [PatternProblem(pattern, problem) for pattern, problem in judged if problem is not None]


def _log_purged(purged: PurgedLibrary, days: float) -> None:
    if purged.files:
        logger.info("purged %d files of %s, missing for %g days", purged.files, purged.name, days)


def _checked_days(days: float | None) -> float:
    if days is None:
        raise ConfigurationError(
            "missing files are never purged; say for how long they must have been missing (--older-than DAYS)",
            source="purge_missing_after_days",
        )
    if not 0 <= days < math.inf:
        raise ConfigurationError(f"{days} is no number of days", source="older_than_days")
    return days


def _watch_mode(mode: WatchMode | str) -> WatchMode:
    return _choice(WatchMode, mode, "watch mode")


def _transcode_policy(policy: TranscodePolicy | str) -> TranscodePolicy:
    return _choice(TranscodePolicy, policy, "transcode policy")


def _choice(kind: type[Choice], word: str, source: str) -> Choice:
    try:
        return kind(word)
    except ValueError:
        raise ConfigurationError(f"'{word}' is none of {', '.join(kind)}", source=source) from None
