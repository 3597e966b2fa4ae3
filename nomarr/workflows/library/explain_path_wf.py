"""Why a path is or isn't in a library."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from typing import Protocol

from nomarr.components.library.ignore_rules_comp import IgnoreRules
from nomarr.components.library.inner_disks_comp import InnerDisks
from nomarr.components.library.root_guard_comp import SAMPLE_SIZE, check_root
from nomarr.components.library.walk_folders_comp import FolderWalker
from nomarr.helpers.dto.answers import Explanation, PathState
from nomarr.helpers.dto.files import FileRecord, FolderListing, IgnoreRule
from nomarr.helpers.dto.library import FileRules, Library, ScanTarget
from nomarr.helpers.file_kinds import FileKind, kind_of
from nomarr.helpers.paths_helper import folder_of, is_within, name_of, readable, strip_control
from nomarr.persistence.db import Database
from nomarr.workflows.library.away_disks_wf import AwayDisks

__all__ = ["explain_path_workflow", "library_of_path"]


def library_of_path(path: str, libraries: Sequence[Library]) -> Library | None:
    """The library that holds the absolute `path`: the innermost, if one lies inside another."""
    holding = [library for library in libraries if is_within(path, library.root_path.rstrip("/"))]
    return max(holding, key=lambda library: len(library.root_path), default=None)


def explain_path_workflow(
    db: Database, path: str, libraries: Sequence[Library], file_rules: FileRules, *, root_marker: str = ""
) -> Explanation:
    """Look at the row, the disk and the rules for one absolute path. Synchronous: run it in a worker thread."""
    library = library_of_path(path, libraries)
    if library is None:
        return Explanation(
            path,
            PathState.OUTSIDE,
            "this path is in no library; 'nomarr library list' shows their folders, 'nomarr library add' adds one",
        )
    relative = path[len(library.root_path.rstrip("/")) + 1 :]
    record = db.library_files.find(library.library_id, relative)
    tell = partial(_explanation, path, library, record)
    verdict = check_root(
        library.root_path,
        library.root_identity,
        lambda: db.library_files.sample(library.library_id, SAMPLE_SIZE),
        may_be_empty=False,
        marker=root_marker,
    )
    if verdict.offline_reason is not None:
        return tell(PathState.OFFLINE, f"the library is offline: {verdict.offline_reason}; nothing in it is judged")
    if record is not None and not os.path.lexists(path) and _is_on_away_disk(db, library, relative):
        return tell(PathState.OFFLINE, "the disk inside the library that it is on is away; what is known of it stays")
    if os.path.isdir(path) and record is None:
        return _explain_folder(_listing(library, relative, file_rules), tell)
    listing = _listing(library, folder_of(relative), file_rules)
    return _explain_file(name_of(relative), listing, record, tell)


def _is_on_away_disk(db: Database, library: Library, relative: str) -> bool:
    with InnerDisks(library.root_path) as disks:
        return AwayDisks(db, library.library_id, disks).holds(folder_of(relative))


class _Tell(Protocol):
    """The signature of the function that builds an explanation."""

    def __call__(
        self, state: PathState, reason: str, *, rule: IgnoreRule | None = None, error: str | None = None
    ) -> Explanation: ...


def _explain_file(name: str, listing: FolderListing, record: FileRecord | None, tell: _Tell) -> Explanation:
    rule = listing.ignored_by or listing.ignored_files.get(name)
    if listing.error == "No such file or directory":
        return _explain_absent(record, tell)
    if listing.error is not None:
        return tell(PathState.UNREADABLE, f"its folder can't be looked at: {listing.error}", error=listing.error)
    if rule is not None:
        return tell(PathState.IGNORED, f"it is left out of the library: {rule}", rule=rule)
    if (problem := listing.unknown.get(name)) is not None:
        return tell(PathState.UNREADABLE, f"it can't be looked at: {problem}", error=problem)
    if name not in listing.names:
        if kind_of(name) is not FileKind.AUDIO and record is None:
            return tell(PathState.NOT_AUDIO, "its name does not end like that of an audio file")
        return _explain_absent(record, tell)
    if kind_of(name) is not FileKind.AUDIO:
        return tell(PathState.NOT_AUDIO, "it is a playlist or picture; it is recorded, but it is not an audio file")
    if record is None:
        return tell(PathState.NOT_SCANNED, "it is on the disk but was not scanned yet; scan the library")
    if record.missing_since is not None or record.ignored_by is not None:
        return tell(PathState.STALE, "it is back on the disk; the next scan takes it in again", error=record.last_error)
    stat = listing.stat_at(listing.names.index(name))
    if (record.size, record.mtime_ns) != (stat.size, stat.mtime_ns):
        return tell(PathState.STALE, "it has changed since it was scanned; scan the library", error=record.last_error)
    if record.last_error is not None:
        return tell(
            PathState.IN_LIBRARY, f"it is in the library without tags: it {record.last_error}", error=record.last_error
        )
    return tell(PathState.IN_LIBRARY, "it is in the library and up to date")


def _explain_absent(record: FileRecord | None, tell: _Tell) -> Explanation:
    if record is None:
        return tell(PathState.NOT_FOUND, "there is no such file, and none was known here")
    if record.missing_since is not None:
        return tell(PathState.MISSING, "it was here and is gone; its row is kept so that it can come back")
    if record.ignored_by is not None:
        reason = f"it was left out of the library ({record.ignored_by}) and is gone from the disk since"
        return tell(PathState.GONE, f"{reason}; a full scan will find out")
    return tell(PathState.GONE, "it is in the library but not on the disk; the next scan will find out")


def _explain_folder(listing: FolderListing, tell: _Tell) -> Explanation:
    if listing.error is not None:
        return tell(PathState.UNREADABLE, f"this folder can't be looked at: {listing.error}", error=listing.error)
    if listing.ignored_by is not None:
        return tell(PathState.IGNORED, f"this folder is left out: {listing.ignored_by}", rule=listing.ignored_by)
    return tell(
        PathState.IN_LIBRARY,
        f"this folder is part of the library; {listing.audio_files} audio files are directly in it",
    )


def _listing(library: Library, folder: str, file_rules: FileRules) -> FolderListing:
    ignoring = IgnoreRules.for_library(library.ignore_patterns, file_rules)
    walker = FolderWalker(library.root_path, ignoring, stable_identity=True)
    return next(walker.walk(ScanTarget(library.library_id, folder, recursive=False)))


def _explanation(
    path: str,
    library: Library,
    record: FileRecord | None,
    state: PathState,
    reason: str,
    *,
    rule: IgnoreRule | None = None,
    error: str | None = None,
) -> Explanation:
    return Explanation(
        path=path,
        state=state,
        reason=strip_control(reason),
        library_id=library.library_id,
        library=library.name,
        file_id=None if record is None else record.file_id,
        rule=None if rule is None else str(rule),
        rule_file=None if rule is None or rule.file is None else readable(rule.file),
        error=error,
        last_seen=None if record is None else record.missing_since or library.last_scan_at,
    )
