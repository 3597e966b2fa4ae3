"""What every storage backend promises. One contract-test suite holds all of them to it.

Everything is synchronous and safe to call from several worker threads. Times are seconds since 1970 and are passed in;
whether a lease still holds is judged when the write really begins, so a call that had to wait counts its waiting.
Failures are `DatabaseError`s: `DatabaseNotReachable` when a retry may help, `StorageFull` when the disk is full.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from nomarr.helpers.dto.batches import BatchResult, ScanBatch
from nomarr.helpers.dto.enrichment import DueWork, EnrichmentJob, EnrichmentUpdate, KnownSound
from nomarr.helpers.dto.events import ChangeEvent
from nomarr.helpers.dto.file_pages import FilePage, FilePlace, FileQuery
from nomarr.helpers.dto.files import (
    FileRecord,
    KnownFile,
    KnownFolder,
    KnownSidecar,
    Playlist,
    PlaylistEntry,
    PlaylistRecord,
)
from nomarr.helpers.dto.library import Library, RootIdentity, ScanTarget, TranscodePolicy, WatchMode
from nomarr.helpers.dto.scan import (
    HeldBackLosses,
    InterruptedScan,
    Lease,
    LeaseOwner,
    ScanPlace,
    ScanReport,
    ScanRun,
    ScanRunState,
    ScanState,
)
from nomarr.helpers.dto.server import ServerExamination
from nomarr.helpers.dto.stored import CopyMark, StoredRow, StoredTable
from nomarr.helpers.dto.upkeep import UndoneMove
from nomarr.helpers.time_helper import Clock

__all__ = [
    "Backend",
    "EnrichmentStore",
    "EventStore",
    "FileStore",
    "FolderStore",
    "LibraryStore",
    "RowStore",
    "ScanRunStore",
    "SettingStore",
    "SidecarStore",
]


class LibraryStore(Protocol):
    """Libraries, and who may scan them."""

    def add_library(self, library: Library) -> None:
        """Raises `LibraryAlreadyExists` if the id, the name or the root is taken."""

    def get_library(self, library_id: str, now: float, *, counted: bool = True) -> Library | None:
        """`counted=False` leaves the numbers of files at 0, for those who need to be quick."""

    def list_libraries(self, now: float, *, counted: bool = True) -> list[Library]:
        """Sorted by name; `counted` as with `get_library`."""

    def update_library(
        self,
        library_id: str,
        *,
        name: str | None = None,
        root_path: str | None = None,
        watch_mode: WatchMode | None = None,
        enabled: bool | None = None,
        ignore_patterns: Sequence[str] | None = None,
        transcode_policy: TranscodePolicy | None = None,
    ) -> None:
        """Change what is not None. A new root forgets the old root's identity; the rows stay."""

    def remove_library(self, library_id: str) -> None:
        """Forget the library, and then in pieces everything that belongs to it, its events last.

        From the first moment on nobody is shown any of it but these. Of a file that came from another library the feed
        then says that it was removed there, of one that went to another library that it was created there; numbers
        stay. If that is interrupted, it is one of `unfinished_removals`; called again, it goes on.
        """

    def unfinished_removals(self) -> list[str]:
        """The ids of libraries whose removal was begun and has not ended; another process may be at it just now."""

    def set_root_identity(self, lease: Lease, identity: RootIdentity, *, now: float | Clock) -> None: ...

    def set_offline(self, lease: Lease, reason: str | None, *, now: float | Clock) -> None:
        """None: the library is back."""

    def mark_scan_started(
        self,
        library_id: str,
        scan_id: str,
        owner: LeaseOwner,
        targets: Sequence[ScanTarget],
        *,
        now: float | Clock,
        lease_seconds: float,
        full_since: float | None = None,
        dead_owner: str | None = None,
    ) -> Lease | None:
        """Take the lease and mark the scan as running; None if somebody else holds it.

        If nobody calls `mark_scan_completed`, the next start sees that this scan was interrupted. A running scan
        that is taken over gets the state INTERRUPTED in the history. Queued targets are taken into `targets` by the
        caller and are cleared here.

        Args:
            full_since: when the full scan began; folders looked at before have to be read. None for a quick scan.
            dead_owner: an owner that is known to be dead; its lease may be taken before it expires.
        """

    def renew_lease(self, lease: Lease, *, now: float | Clock, lease_seconds: float) -> None:
        """Raises `LeaseLost` if the lease ran out or is somebody else's."""

    def mark_scan_completed(
        self, lease: Lease, state: ScanRunState, *, now: float, report: ScanReport | None, error: str | None = None
    ) -> None:
        """Give the lease back and record how the scan ended; does nothing if the lease is not ours any more."""

    def get_scan_state(self, library_id: str) -> ScanState | None: ...

    def check_interrupted_scan(
        self, library_id: str, *, now: float, dead_owner: str | None = None
    ) -> InterruptedScan | None:
        """The scan that started, did not end, and whose lease has run out or belongs to `dead_owner`."""

    def set_queued_targets(self, library_id: str, targets: Sequence[ScanTarget]) -> None:
        """What this process wants to scan next, so that a crash does not lose it."""

    def set_held_back(self, lease: Lease, losses: HeldBackLosses | None, *, now: float | Clock) -> None: ...

    def forget_held_back(self, library_id: str, *, now: float | Clock, dead_owners: Collection[str] = ()) -> None:
        """As if nobody had seen these losses yet. Raises `LibraryAlreadyScanning` if a scan of the library runs."""


class FileStore(Protocol):
    """The files of all libraries."""

    def upsert_batch(self, lease: Lease, batch: ScanBatch, *, now: float | Clock) -> BatchResult:
        """Write the whole batch in one transaction, or nothing of it. An empty batch makes no request.

        The result tells what really became different: the same batch once more gives UNCHANGED rows and zeros. Of
        several upserts of one path the last one is written, the others are UNCHANGED; of several moves of one file
        the last one counts. What is not where the batch says (its guard is the path) is left alone; an upsert with the
        id of such a row is INSERTED under a fresh one. A folder of which the batch writes a part, and not the record,
        has no digest from then on.

        Raises:
            LeaseLost: if the lease ran out or is somebody else's; nothing is written then.
        """

    def any_files(self) -> bool:
        """True if any library has a row."""

    def in_folders(self, library_id: str, folders: Sequence[str]) -> list[KnownFile]:
        """Every row directly in one of the folders, missing and hidden ones too."""

    def below(self, library_id: str, folder: str) -> Iterator[list[KnownFile]]:
        """Every row in the folder and below it, in pages."""

    def with_inodes(self, inodes: Sequence[int]) -> list[KnownFile]:
        """Rows of all libraries with one of these inodes."""

    def sample(self, library_id: str, limit: int) -> list[KnownFile]:
        """Some files that are there, spread over the library; the same ones each time."""

    def count_present(self, library_id: str) -> int:
        """How many files are there (not missing, not hidden)."""

    def find(self, library_id: str, path: str) -> FileRecord | None:
        """The row at exactly this path."""

    def records(
        self,
        library_id: str,
        *,
        folder: str = "",
        missing: bool = False,
        query: str | None = None,
        fingerprints: bool = False,
    ) -> Iterator[FileRecord]:
        """The files of a folder and everything below it, by path; the missing ones instead if asked.

        `query` is looked for in path, title, artist, album and album artist, in any case. Fingerprints, several KB
        each, are left out unless asked for.
        """

    def get(self, file_id: str) -> FileRecord | None:
        """The file with this id, missing and hidden ones too."""

    def page(self, query: FileQuery, *, after: FilePlace | None, limit: int) -> FilePage:
        """The first `limit` files that the query means, or those that follow the place `after`.

        Files that come, go or change between two pages are in neither or both of them; all others in exactly one.
        """

    def count_long_missing(self, library_id: str, *, before: float) -> int:
        """How many files are missing since `before` or longer."""

    def long_missing(self, library_id: str, *, before: float, limit: int) -> list[str]:
        """The paths of files that are missing since `before` or longer, those first that are so for the longest."""

    def long_missing_alone(self, library_id: str, *, before: float) -> dict[str, str]:
        """The ids and paths of files that are missing since `before` or longer, where no other file has the path."""

    def purge_missing(
        self,
        library_id: str,
        *,
        before: float,
        now: float | Clock,
        limit: int,
        dead_owners: Collection[str] = (),
        spared: Collection[str] = (),
    ) -> list[str]:
        """Forget up to `limit` files that are missing since `before` or longer, as `long_missing` has them.

        What belongs to them goes with them, and playlists do not point to them any more. A scan may count on the rows
        that it has seen until it ends, so none may run; one that starts later does not see these rows.

        Args:
            dead_owners: owners that are known to be dead; their leases do not count.
            spared: the ids of files that are kept.

        Returns:
            The paths of the files; fewer than `limit`: nothing is left to do.

        Raises:
            LibraryAlreadyScanning: if a scan of the library runs; nothing is written then.
        """

    def undo_move(
        self, seq: int, new_file_id: str, *, now: float | Clock, dead_owners: Collection[str] = ()
    ) -> UndoneMove:
        """Reverse the move or rename that the event `seq` tells of.

        The file at the new path gets the id `new_file_id` and keeps everything that is known of it. The old id goes
        back to the old path as a missing file of which nothing else is known: no evidence can join them again.

        Raises:
            MoveNotFound: if there is no such event, or it tells of no move.
            MoveCannotBeUndone: if the file is not where the move has put it.
            LibraryAlreadyScanning: if a scan of one of the libraries runs.
        """


class FolderStore(Protocol):
    """What makes an unchanged folder cost one row. The folders above a stored one are stored too, without digest."""

    def within(self, target: ScanTarget) -> dict[str, KnownFolder]:
        """Every known folder of a recursive target; of a shallow one the folder itself and its direct children."""


class SidecarStore(Protocol):
    """Playlists and folder images."""

    def in_folders(self, library_id: str, folders: Sequence[str]) -> list[KnownSidecar]: ...

    def below(self, library_id: str, folder: str) -> list[str]:
        """The paths of every playlist and image in the folder and below it."""

    def playlists(self, library_id: str) -> Iterator[Playlist]:
        """Every playlist with its entries, by path."""

    def page_of_playlists(self, library_id: str, *, after: str, limit: int) -> list[PlaylistRecord]:
        """The first `limit` playlists behind the path `after`, by path; the empty one is before the first."""

    def page_of_entries(
        self, library_id: str, playlist_path: str, *, after: int, limit: int
    ) -> list[PlaylistEntry] | None:
        """Up to `limit` entries that follow the first `after` ones; None if there is no such playlist."""

    def look_for_covers_in(self, lease: Lease, folders: Collection[str], *, now: float | Clock) -> None:
        """Make the files directly in the folders due: other images are beside them now, one may be their cover.

        In pieces, each its own transaction. To be called before a batch records the images: after a crash in between
        they are still to be recorded, so the wish is not lost. Who looks for covers looks at the disk, not at the rows.

        Raises:
            LeaseLost: if the lease ran out or is somebody else's; nothing more is written then.
        """

    def resolve_entries(self, lease: Lease, *, now: float | Clock) -> int:
        """Point entries that mean a file which is known now to that file; how many were.

        Raises:
            LeaseLost: if somebody else took the lease over.
        """


class ScanRunStore(Protocol):
    """The history of scans."""

    def list_runs(
        self, library_id: str | None = None, *, limit: int = 100, before: ScanPlace | None = None
    ) -> list[ScanRun]:
        """Newest first, of those at one moment the last that was begun; only what comes after `before`."""

    def prune(self, *, keep_per_library: int) -> None:
        """Forget the oldest runs."""


class EventStore(Protocol):
    """The change feed."""

    def after(
        self, seq: int, *, limit: int = 1000, library_id: str | None = None, file_id: str | None = None
    ) -> list[ChangeEvent]:
        """The events that follow `seq`, in order; only those of a library or a file, if asked."""

    def moves(self, library_id: str | None = None, *, limit: int = 100) -> list[ChangeEvent]:
        """Moves and renames, newest first; of a library those into it, out of it and inside of it."""

    def last_seq(self) -> int: ...

    def prune(self, *, before: float) -> None:
        """Forget events older than `before`."""


class EnrichmentStore(Protocol):
    """What is found out after a scan: what is to be done, and what came of it.

    What may be about every file is written in pieces; if that is interrupted, called again it goes on.

    A file is due from the scan that read it until its last step is stored. Missing and hidden files, and those of
    libraries that are offline, wait.
    """

    def holder(self) -> str | None:
        """Who enriches, or did until it was interrupted; None if the last one gave the lease back."""

    def take_lease(self, owner: LeaseOwner, *, now: float, lease_seconds: float, dead_owner: str | None = None) -> bool:
        """Become the one process that enriches this database, or go on being it; False if another one is.

        Args:
            dead_owner: an owner that is known to be dead; its lease may be taken before it expires.
        """

    def renew_lease(self, owner: LeaseOwner, *, now: float | Clock, lease_seconds: float) -> bool:
        """Go on being the process that enriches; False if another one has been it since the lease was taken.

        A lease that ran out is renewed if nobody took it meanwhile.
        """

    def give_lease_back(self, owner: LeaseOwner) -> None: ...

    def is_any_scan_running(self, now: float) -> bool:
        """True while the lease of any library is held."""

    def next_jobs(self, *, now: float, limit: int, library_id: str | None = None) -> list[EnrichmentJob]:
        """Files whose time has come, newest first; the slow step only when no file waits for the quick one."""

    def due_work(self, *, now: float, library_id: str | None = None) -> DueWork: ...

    def failed_files(self, *, limit: int) -> list[FileRecord]:
        """The files that `DueWork.failed` counts, by library and path."""

    def want_fingerprints(self, *, now: float) -> int:
        """Make those files due that were completed without an attempt at a fingerprint; how many."""

    def want_content_hashes(self) -> int:
        """Make those files due that were completed without hashes of the whole file; how many."""

    def retry_failed(self, *, now: float, library_id: str | None = None) -> int:
        """Make those files due that enrichment failed with, as if it were for the first time; how many."""

    def store(self, update: EnrichmentUpdate, owner: LeaseOwner, *, now: float | Clock) -> bool:
        """Write the outcome of a step; False, and nothing is written, if the row's file is another one by now, or if it
        became due anew since the step began.

        Raises:
            EnrichmentBusy: if the owner's lease ran out or another process has it; nothing is written then. A cover
                that was stored for the update may be deleted already.
        """

    def knows_any_sound(self) -> bool:
        """True if any file has an audio hash."""

    def audio_lengths(self, lengths: Collection[int]) -> dict[int, int]:
        """Those of the lengths that any file's audio has, missing files too, with the number of these files."""

    def with_audio_bytes(self, lengths: Collection[int]) -> list[KnownSound]:
        """Files of all libraries, missing ones too, with an audio hash and audio of one of these lengths."""

    def with_audio_hashes(self, hashes: Collection[str], *, at_most: int) -> list[KnownSound]:
        """Files of all libraries, missing ones too, with one of these hashes; of a hash that more have, none."""

    def folders_of_missing(self, library_id: str, folders: Sequence[str]) -> set[str]:
        """Those of the folders that a file was in which is missing."""

    def missing_at(self, library_id: str, paths: Sequence[str]) -> list[KnownSound]:
        """Missing files with a fingerprint that were last at one of these paths."""

    def sounds_of(self, file_ids: Sequence[str]) -> list[KnownSound]:
        """Those of the files that were enriched."""

    def same_audio(self, library_id: str) -> Iterator[list[FileRecord]]:
        """Groups of files with one audio hash, each group and all of them by path."""

    def fingerprints(self, library_id: str) -> Mapping[str, tuple[str, float]]:
        """File id to fingerprint and its seconds, of every file that is there and has one."""

    def covers_in_use(self, cover_ids: Sequence[str]) -> set[str]:
        """Those of the covers that any file has, missing files too."""

    def look_for_covers_again(self, cover_ids: Sequence[str]) -> None:
        """Make the files due that have one of these covers: it is lost and has to be stored again."""

    def loose_covers(self, *, limit: int) -> list[str]:
        """Covers that lost a file since they were last asked for; others may still have them."""

    def unused_covers(self, *, limit: int) -> list[str]:
        """Loose covers that no file has; those that a file still has are loose again when they lose that, too."""

    def forget_loose_covers(self, cover_ids: Iterable[str], owner: LeaseOwner, *, now: float | Clock) -> None:
        """They were deleted.

        Raises:
            EnrichmentBusy: as `store`; they may have been stored again, and be loose again.
        """


class SettingStore(Protocol):
    """Small named values, JSON text."""

    def get(self, key: str) -> str | None:
        """The text; None only if nothing at all is stored."""

    def set(self, key: str, value: str) -> None: ...

    def get_or_set(self, key: str, value: str) -> str:
        """What is stored; `value`, and it is stored, if nothing was."""

    def below(self, prefix: str) -> dict[str, str]:
        """Every value whose key begins with `prefix`, a text in ASCII; by key."""

    def remove(self, keys: Iterable[str]) -> None:
        """Store nothing under these keys any more, all at once; those with nothing stay as they are."""

    def update(self, key: str, change: Callable[[str | None], str]) -> str:
        """Store what `change` makes of what is stored, with nobody's writing in between; that is the answer, too.

        Args:
            change: is told the text, None if there is none. It may be asked again, also about its own answer, and asks
                the database nothing.
        """


class RowStore(Protocol):
    """Every stored row as it is, whoever it belongs to: for copies into another database, and to check all of them.

    What other stores hide or follow up (leases, events, moved links) does not happen here.
    """

    def count(self, table: StoredTable) -> int:
        """How many rows the table has."""

    def page(self, table: StoredTable, after: str, *, limit: int) -> list[StoredRow]:
        """Up to `limit` rows that follow the key `after` in this backend's order; the empty text is before the first.

        Fewer than `limit`: nothing follows them.
        """

    def put(self, table: StoredTable, contents: Sequence[str]) -> None:
        """Write rows, all or none; those that are there already stay as they are, so it may be called again.

        Args:
            contents: of `StoredRow`s, from any backend.
        """

    def clear(self) -> None:
        """Remove every row of every table."""

    def unfinished_copy(self) -> CopyMark | None:
        """How far the copy is that is being made in this database; None for every other database."""

    def mark_copy(self, mark: CopyMark | None) -> None:
        """Note how far the copy is; None: it is complete."""


class Backend(Protocol):
    """One open database."""

    @property
    def is_of_one_machine(self) -> bool:
        """True if only processes of one machine, in one boot, can have it open at the same time."""

    @property
    def library(self) -> LibraryStore: ...

    @property
    def library_files(self) -> FileStore: ...

    @property
    def library_folders(self) -> FolderStore: ...

    @property
    def library_sidecars(self) -> SidecarStore: ...

    @property
    def scan_runs(self) -> ScanRunStore: ...

    @property
    def events(self) -> EventStore: ...

    @property
    def enrichment(self) -> EnrichmentStore: ...

    @property
    def settings(self) -> SettingStore: ...

    @property
    def rows(self) -> RowStore: ...

    @property
    def location(self) -> str:
        """Where it is, for people; without a password."""

    @property
    def own_folder(self) -> Path | None:
        """Where files that belong to this database alone may be kept beside it; None for a server."""

    def schema_version(self) -> int: ...

    def check_integrity(self) -> list[str]:
        """What is wrong with the stored data; empty if nothing is."""

    def examine_server(self) -> ServerExamination | None:
        """A look at the server that keeps the database; None if there is none."""

    def give_up(self) -> None:
        """From now on wait no more for a server that is away or a locked file; what can be done is still done."""

    def close(self) -> None: ...
