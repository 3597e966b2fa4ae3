"""Compare a library's rows with the disk, and write nothing."""

from __future__ import annotations

import os
from itertools import islice

from nomarr.components.library.file_systems_comp import file_system_of, keeps_identity
from nomarr.components.library.ignore_rules_comp import IgnoreRules
from nomarr.components.library.inner_disks_comp import InnerDisks
from nomarr.components.library.root_guard_comp import SAMPLE_SIZE, check_root
from nomarr.components.library.walk_folders_comp import FolderWalker
from nomarr.helpers.dto.answers import Verification
from nomarr.helpers.dto.files import FolderListing, KnownFile
from nomarr.helpers.dto.library import FileRules, Library, ScanTarget
from nomarr.helpers.exceptions import LibraryOffline
from nomarr.helpers.file_kinds import FileKind, kind_of
from nomarr.helpers.paths_helper import folder_of, join, name_of, readable
from nomarr.persistence.db import Database
from nomarr.workflows.library.away_disks_wf import AwayDisks

__all__ = ["verify_library_workflow"]

_FOLDERS_AT_ONCE = 400


def verify_library_workflow(
    db: Database, library: Library, file_rules: FileRules, *, root_marker: str = ""
) -> Verification:
    """Path, size, mtime and inode of every audio file, both ways. Synchronous: run it in a worker thread.

    Raises:
        LibraryOffline: if the root is not there or not the library's.
    """
    verdict = check_root(
        library.root_path,
        library.root_identity,
        lambda: db.library_files.sample(library.library_id, SAMPLE_SIZE),
        may_be_empty=False,
        marker=root_marker,
    )
    if verdict.offline_reason is not None:
        raise LibraryOffline(library.name, library.root_path, verdict.offline_reason)
    with InnerDisks(library.root_path) as disks:
        return _compared(db, library, AwayDisks(db, library.library_id, disks), file_rules)


def _compared(db: Database, library: Library, away: AwayDisks, file_rules: FileRules) -> Verification:
    comparison = _Comparison(db, library, away)
    stable = keeps_identity(file_system_of(library.root_path))
    ignoring = IgnoreRules.for_library(library.ignore_patterns, file_rules)
    walker = FolderWalker(library.root_path, ignoring, stable_identity=stable)
    listings = walker.walk(ScanTarget(library.library_id))
    while chunk := list(islice(listings, _FOLDERS_AT_ONCE)):
        comparison.compare(chunk)
    comparison.judge_unvisited(walker)
    return comparison.result()


class _Comparison:
    def __init__(self, db: Database, library: Library, away: AwayDisks) -> None:
        self._db = db
        self._library_id = library.library_id
        self._away = away
        self._on_away_disks = 0
        self._visited: set[str] = set()
        self._unknown: set[str] = set()
        self._not_in_database: list[str] = []
        self._not_on_disk: list[str] = []
        self._stale: list[str] = []
        self._warnings: list[str] = []

    def compare(self, listings: list[FolderListing]) -> None:
        rows: dict[str, dict[str, KnownFile]] = {}
        for row in self._db.library_files.in_folders(self._library_id, [listing.path for listing in listings]):
            if row.is_present and not row.displaced:
                rows.setdefault(folder_of(row.path), {})[name_of(row.path)] = row
        for listing in listings:
            self._warnings += listing.rule_problems
            if listing.error is not None:
                self._unknown.add(listing.path)
                self._warnings.append(f"{readable(listing.path)}: {listing.error}; not compared")
                continue
            self._visited.add(listing.path)
            self._compare_folder(listing, rows.get(listing.path, {}))

    def _compare_folder(self, listing: FolderListing, rows: dict[str, KnownFile]) -> None:
        for index, name in enumerate(listing.names):
            if kind_of(name) is not FileKind.AUDIO:
                continue
            row = rows.pop(name, None)
            stat = listing.stat_at(index)
            if row is None:
                self._not_in_database.append(join(listing.path, name))
            elif (row.stat.size, row.stat.mtime_ns, row.stat.inode) != (stat.size, stat.mtime_ns, stat.inode):
                self._stale.append(row.path)
        for name, reason in listing.unknown.items():
            self._warnings.append(f"{readable(join(listing.path, name))}: {reason}; not compared")
            rows.pop(name, None)
        for row in rows.values():
            self._note_absent(row)

    def judge_unvisited(self, walker: FolderWalker) -> None:
        """Rows in folders where the walk did not come by."""
        for page in self._db.library_files.below(self._library_id, ""):
            for row in page:
                folder = folder_of(row.path)
                if row.is_present and not row.displaced and folder not in self._visited:
                    if not self._is_unknown(folder):
                        self._note_absent(row)
                elif row.is_present and row.displaced and not os.path.lexists(walker.absolute(row.path)):
                    self._not_on_disk.append(row.path)

    def _note_absent(self, row: KnownFile) -> None:
        if self._away.holds(folder_of(row.path)):
            self._on_away_disks += 1
        else:
            self._not_on_disk.append(row.path)

    def _is_unknown(self, folder: str) -> bool:
        while folder not in self._unknown:
            if not folder:
                return False
            folder = folder_of(folder)
        return True

    def result(self) -> Verification:
        if self._on_away_disks:
            told = f"{self._on_away_disks:,} files are on disks inside the library that are away; not compared"
            self._warnings.append(told)
        return Verification(
            self._library_id,
            tuple(sorted(self._not_in_database)),
            tuple(sorted(self._not_on_disk)),
            tuple(sorted(self._stale)),
            tuple(self._warnings),
        )
