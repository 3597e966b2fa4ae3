"""Look at every row of a database and say what does not fit together. Synchronous: run it in a worker thread."""

from __future__ import annotations

import os
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from hashlib import blake2b
from itertools import pairwise
from typing import Any, Final

from nomarr.components.library.lease_owner_comp import is_certainly_dead
from nomarr.components.media.cover_store_comp import CoverStore
from nomarr.helpers.dto.library import Library, LibraryState
from nomarr.helpers.dto.scan import ScanRunState, SeenLease
from nomarr.helpers.dto.stored import ContentCheck, Finding, FindingKind, RowProgress, RowStep, StoredRow, StoredTable
from nomarr.helpers.paths_helper import folder_of, readable, strip_control, unescaped
from nomarr.persistence.db import Database
from nomarr.persistence.stored_rows import stored_values
from nomarr.workflows.library.copy_database_wf import ProgressListener, pages

__all__ = ["ContentChecker"]

_EXAMPLES: Final = 5
_ORDER: Final = (
    StoredTable.LIBRARIES,
    StoredTable.COUNTERS,
    StoredTable.FOLDERS,
    # Before the files: what playlists link to is much less than what there is.
    StoredTable.SIDECARS,
    StoredTable.FILES,
    StoredTable.SCAN_RUNS,
    StoredTable.EVENTS,
    StoredTable.LOOSE_COVERS,
    StoredTable.SETTINGS,
)

_ADVICE: Final[Mapping[FindingKind, tuple[str, str]]] = {
    FindingKind.BROKEN_STORAGE: (
        "the database's own check found damage",
        "restore a backup, or copy what can be read into a new database with 'nomarr db copy'",
    ),
    FindingKind.ROW_WITHOUT_LIBRARY: (
        "rows belong to a library that is not there: an older version may have been interrupted while it removed it",
        "'nomarr db check --repair' removes them, with the ids of their files",
    ),
    FindingKind.REMOVAL_UNFINISHED: (
        "the removal of a library was begun and has not ended; nobody is shown what is left of it",
        "nothing to do: the next scan or 'nomarr watch' ends it; 'nomarr db check --repair' does so now",
    ),
    FindingKind.FOLDER_WITHOUT_PARENT: (
        "folders are known, but not the folders above them: a scan may overlook that they are gone",
        "scan the library: nomarr scan LIBRARY",
    ),
    FindingKind.FILE_WITHOUT_FOLDER: (
        "files are known in folders that are not: a scan may overlook that they are gone",
        "scan the library: nomarr scan LIBRARY",
    ),
    FindingKind.FILE_ID_TWICE: (
        "two files have one id: what belongs to one of them may be shown at the other",
        "restore a backup, or remove the library and add it again",
    ),
    FindingKind.UNREADABLE_ROW: (
        "rows are not of the form that Nomarr writes: another program has changed them",
        "restore a backup, or delete these documents and scan the library again",
    ),
    FindingKind.MISFILED_ROW: (
        "rows stand under keys that do not fit what they say: questions miss them",
        "copy everything into a new database with 'nomarr db copy', which makes all keys anew",
    ),
    FindingKind.EVENT_BEYOND_COUNTER: (
        "events have higher numbers than the newest one should have: new events would be missed by their readers",
        "'nomarr db check --repair' counts on from the highest number",
    ),
    FindingKind.PLAYLIST_LINK_TO_NOTHING: (
        "playlists point to files that are not known; the entries are shown as unknown files",
        "touch the playlists and scan: a playlist that changed is read again",
    ),
    FindingKind.COVER_MISSING: (
        "files have a cover that is not in the folder of covers",
        "set data_folder to where the covers are; 'nomarr db check --repair' has them made again by 'nomarr enrich'",
    ),
    FindingKind.COVER_WITHOUT_FILE: (
        "covers are stored that no file has: they only take space",
        "'nomarr db check --repair' deletes them",
    ),
    FindingKind.LEASE_STANDS_STILL: (
        "a scan began and did not end, and nobody renews its lease",
        "nothing is lost: the next 'nomarr scan' goes on where it was",
    ),
    FindingKind.RUN_WITHOUT_END: (
        "the history calls scans running that are over",
        "nothing to do: they leave the history when it is shortened",
    ),
}


class _Cases:
    """How often each thing was found, and the first few places."""

    def __init__(self) -> None:
        self.numbers: Counter[FindingKind] = Counter()
        self._examples: dict[FindingKind, list[str]] = {}

    def add(self, kind: FindingKind, example: str) -> None:
        self.numbers[kind] += 1
        examples = self._examples.setdefault(kind, [])
        if len(examples) < _EXAMPLES:
            examples.append(strip_control(example))

    def findings(self, repaired: Iterable[FindingKind] = ()) -> tuple[Finding, ...]:
        """In the order of the kinds, the gravest first."""
        done = set(repaired)
        return tuple(
            Finding(kind, self.numbers[kind], *_ADVICE[kind], tuple(self._examples[kind]), kind in done)
            for kind in FindingKind
            if self.numbers[kind]
        )


class ContentChecker:
    """One look at everything. Keeps eight bytes a file, some more while they are sorted, and what folders, links and
    covers are called."""

    def __init__(self, db: Database, covers: CoverStore, now: float, on_progress: ProgressListener) -> None:
        self._db = db
        self._covers = covers
        self._now = now
        self._on_progress = on_progress
        self._cases = _Cases()
        self._libraries: dict[str, str | None] = {}
        """Ids, with the scan that each library names as its last."""
        self._last_seq = 0
        self._folders: set[bytes] = set()
        self._parents: dict[bytes, str] = {}
        self._links: dict[str, str] = {}
        self._file_ids: array[int] = array("Q")
        self._folders_of_files: dict[bytes, str] = {}
        self._cover_files: dict[str, str] = {}
        self._loose: set[str] = set()
        self._rows = 0
        self._being_removed: set[str] = set()
        """Ids of libraries whose removal was begun."""
        self.orphaned: set[str] = set()
        """Ids of libraries that are not there."""
        self.highest_seq = 0
        self.missing_covers: list[str] = []
        self._looks: Mapping[StoredTable, Callable[[dict[str, Any]], None]] = {
            StoredTable.LIBRARIES: self._look_at_library,
            StoredTable.COUNTERS: self._look_at_counter,
            StoredTable.FOLDERS: self._look_at_folder,
            StoredTable.SIDECARS: self._look_at_sidecar,
            StoredTable.FILES: self._look_at_file,
            StoredTable.SCAN_RUNS: self._look_at_run,
            StoredTable.EVENTS: self._look_at_event,
            StoredTable.LOOSE_COVERS: lambda row: self._loose.add(row["cover_id"]),
            StoredTable.SETTINGS: lambda row: None,
        }

    def check(self, *, nobody_enriches: bool = False) -> ContentCheck:
        """Read everything once. Nothing is written.

        Args:
            nobody_enriches: the caller has the lease of enrichment.
        """
        for problem in self._db.check_integrity():
            self._cases.add(FindingKind.BROKEN_STORAGE, problem)
        for library_id in self._db.library.unfinished_removals():
            self._being_removed.add(library_id)
            self._cases.add(FindingKind.REMOVAL_UNFINISHED, library_id)
        libraries = self._db.library.list_libraries(self._now)
        in_use = self._is_scanned(libraries) or not (nobody_enriches or self._is_nobodys(self._db.enrichment.holder()))
        total = sum(self._db.rows.count(table) for table in _ORDER)
        for table in _ORDER:
            for page in pages(self._db, table):
                for row in page:
                    self._look_at(table, row)
                self._rows += len(page)
                self._on_progress(RowProgress(RowStep.CHECKING, table, self._rows, max(total, self._rows)))
        self._compare()
        self._look_at_covers(in_use)
        return ContentCheck(self._rows, self._cases.findings(), in_use)

    def findings(self, repaired: Iterable[FindingKind]) -> tuple[Finding, ...]:
        """As `check` has found them, those of these kinds being repaired now."""
        return self._cases.findings(repaired)

    @property
    def kinds(self) -> set[FindingKind]:
        """What was found."""
        return {kind for kind, number in self._cases.numbers.items() if number}

    # -- single rows -----------------------------------------------------------------------------------------------

    def _look_at(self, table: StoredTable, row: StoredRow) -> None:
        if not row.is_readable:
            self._cases.add(FindingKind.UNREADABLE_ROW, f"{table}: {row.key}")
            return
        values = stored_values(row.content)
        if row.misfiled:
            self._cases.add(FindingKind.MISFILED_ROW, f"{table}: {_called(values)} ({', '.join(row.misfiled)})")
        self._looks[table](values)

    def _look_at_library(self, row: dict[str, Any]) -> None:
        self._libraries[row["library_id"]] = row["scan_id"]

    def _look_at_counter(self, row: dict[str, Any]) -> None:
        self._last_seq = self.highest_seq = row["value"]

    def _look_at_folder(self, row: dict[str, Any]) -> None:
        if not self._has_library(row):
            return
        self._folders.add(_place(row["library_id"], row["path"]))
        if row["path"]:
            self._parents.setdefault(_place(row["library_id"], folder_of(row["path"])), _called(row))

    def _look_at_sidecar(self, row: dict[str, Any]) -> None:
        if self._has_library(row):
            for *_, file_id in row["entries"]:
                if file_id is not None:
                    self._links.setdefault(file_id, _called(row))

    def _look_at_file(self, row: dict[str, Any]) -> None:
        if not self._has_library(row):
            # Its cover becomes loose with it.
            self._loose.add(row["cover_id"])
            return
        self._links.pop(row["file_id"], None)
        self._file_ids.append(int.from_bytes(_short(row["file_id"]), "big"))
        if row["cover_id"] is not None:
            self._cover_files.setdefault(row["cover_id"], _called(row))
        # Of what is gone or hidden the folder may be, too.
        if row["missing_since"] is None and row["ignored_by"] is None and not row["is_displaced"]:
            place = _place(row["library_id"], folder_of(row["path"]))
            if place not in self._folders:
                self._cases.add(FindingKind.FILE_WITHOUT_FOLDER, _called(row))

    def _look_at_run(self, row: dict[str, Any]) -> None:
        if not self._has_library(row):
            return
        if row["state"] == ScanRunState.RUNNING and self._libraries[row["library_id"]] != row["scan_id"]:
            self._cases.add(FindingKind.RUN_WITHOUT_END, row["scan_id"])

    def _look_at_event(self, row: dict[str, Any]) -> None:
        self.highest_seq = max(self.highest_seq, row["seq"])
        if row["seq"] > self._last_seq:
            self._cases.add(FindingKind.EVENT_BEYOND_COUNTER, str(row["seq"]))

    def _has_library(self, row: dict[str, Any]) -> bool:
        if row["library_id"] in self._libraries:
            return True
        if row["library_id"] in self._being_removed:
            return False
        self.orphaned.add(row["library_id"])
        self._cases.add(FindingKind.ROW_WITHOUT_LIBRARY, _called(row))
        return False

    # -- what only all rows together say ---------------------------------------------------------------------------

    def _compare(self) -> None:
        for place, example in self._parents.items():
            if place not in self._folders:
                self._cases.add(FindingKind.FOLDER_WITHOUT_PARENT, example)
        for file_id, playlist in self._links.items():
            self._cases.add(FindingKind.PLAYLIST_LINK_TO_NOTHING, f"{playlist}: {file_id}")
        for before, after in pairwise(sorted(self._file_ids)):
            if before == after:
                self._cases.add(FindingKind.FILE_ID_TWICE, f"an id that hashes to {before:016x}")

    def _is_nobodys(self, holder: str | None) -> bool:
        return holder is None or is_certainly_dead(holder, of_one_machine=self._db.is_of_one_machine)

    def _is_scanned(self, libraries: Iterable[Library]) -> bool:
        """True if a scan runs just now; leases that nobody renews are findings."""
        is_scanned = False
        for library in libraries:
            state = self._db.library.get_scan_state(library.library_id)
            owner = None if state is None else state.owner
            is_dead = owner is not None and self._is_nobodys(owner)
            ends_too_late = state is not None and SeenLease("", state.expires_at or 0.0).ends_too_late(self._now)
            if library.state is LibraryState.INTERRUPTED or (owner is not None and (is_dead or ends_too_late)):
                self._cases.add(FindingKind.LEASE_STANDS_STILL, library.name)
            elif library.state is LibraryState.SCANNING:
                is_scanned = True
        return is_scanned

    def _look_at_covers(self, in_use: bool) -> None:
        for cover_id, example in self._cover_files.items():
            if not self._is_stored(cover_id):
                self.missing_covers.append(cover_id)
                self._cases.add(FindingKind.COVER_MISSING, example)
        if in_use:
            # A cover is stored a moment before its file says so.
            return
        for cover_id in self._covers.ids():
            if cover_id not in self._cover_files and cover_id not in self._loose:
                self._cases.add(FindingKind.COVER_WITHOUT_FILE, os.path.join(cover_id[:2], cover_id))

    def _is_stored(self, cover_id: str) -> bool:
        try:
            return self._covers.original(cover_id) is not None
        except ValueError:
            # A damaged row may name anything as its cover.
            return False


def _called(row: dict[str, Any]) -> str:
    """What people know a row by."""
    path = row.get("path")
    if path is None:
        return str(next(iter(row.values())))
    return readable(unescaped(path))


def _place(library_id: str, path: str) -> bytes:
    return _short(f"{library_id}\0{path}")


def _short(text: str) -> bytes:
    """Eight bytes for a text: two of a million are the same in one of 37 million databases."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
