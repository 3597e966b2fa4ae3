"""Compare a library's rows with the disk, and write nothing."""

from __future__ import annotations

import os
from itertools import islice

from nomarr.components.library.file_systems_comp import file_system_of, keeps_identity
from nomarr.components.library.ignore_rules_comp import IgnoreRules
from nomarr.components.library.root_guard_comp import SAMPLE_SIZE, check_root
from nomarr.components.library.walk_folders_comp import FolderWalker
from nomarr.helpers.dto.answers import Verification
from nomarr.helpers.dto.files import FolderListing, KnownFile
from nomarr.helpers.dto.library import Library, ScanTarget
from nomarr.helpers.exceptions import LibraryOffline
from nomarr.helpers.file_kinds import FileKind, kind_of
from nomarr.helpers.paths_helper import folder_of, join, name_of, readable
from nomarr.persistence.db import Database

__all__ = ["verify_library_workflow"]

_FOLDERS_AT_ONCE = 400


def verify_library_workflow(db: Database, library: Library, *, root_marker: str = "") -> Verification:
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
    comparison = _Comparison(db, library)
    stable = keeps_identity(file_system_of(library.root_path))
    walker = FolderWalker(library.root_path, IgnoreRules.for_library(library.ignore_patterns), stable_identity=stable)
    listings = walker.walk(ScanTarget(library.library_id))
    while chunk := list(islice(listings, _FOLDERS_AT_ONCE)):
        comparison.compare(chunk)
    comparison.judge_unvisited(walker)
    return comparison.result()


class _Comparison:
    def __init__(self, db: Database, library: Library) -> None:
        self._db = db
        self._library_id = library.library_id
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
            if listing.error is not None:
                self._unknown.add(listing.path)
                self._warnings.append(f"{readable(listing.path)}: {listing.error}")
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
            self._warnings.append(f"{readable(join(listing.path, name))}: {reason}")
            rows.pop(name, None)
        self._not_on_disk += [row.path for row in rows.values()]

    def judge_unvisited(self, walker: FolderWalker) -> None:
        """Rows in folders where the walk did not come by."""
        for page in self._db.library_files.below(self._library_id, ""):
            for row in page:
                folder = folder_of(row.path)
                if row.is_present and not row.displaced and folder not in self._visited:
                    if not self._is_unknown(folder):
                        self._not_on_disk.append(row.path)
                elif row.is_present and row.displaced and not os.path.lexists(walker.absolute(row.path)):
                    self._not_on_disk.append(row.path)

    def _is_unknown(self, folder: str) -> bool:
        while folder not in self._unknown:
            if not folder:
                return False
            folder = folder_of(folder)
        return True

    def result(self) -> Verification:
        return Verification(
            self._library_id,
            tuple(sorted(self._not_in_database)),
            tuple(sorted(self._not_on_disk)),
            tuple(sorted(self._stale)),
            tuple(self._warnings),
        )
