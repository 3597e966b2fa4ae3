"""The first half of a scan: look at the disk, compare with the rows, change nothing.

Everything here is synchronous and runs in one worker thread; walking in two threads is slower than in one.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from nomarr.components.library.diff_folder_comp import FolderDiff, diff_folder
from nomarr.components.library.inner_disks_comp import InnerDisks
from nomarr.components.library.walk_folders_comp import FolderWalker
from nomarr.helpers.dto.files import (
    ROOT_DISK,
    FileStat,
    FolderListing,
    FolderRecord,
    IgnoreRule,
    KnownFile,
    KnownFolder,
    KnownSidecar,
)
from nomarr.helpers.dto.library import Library, ScanTarget
from nomarr.helpers.paths_helper import folder_of, folders_above, is_within, join, name_of, readable
from nomarr.persistence.db import Database

__all__ = ["FullReading", "Survey", "SurveyRules", "survey_targets"]

_COMPARE_FOLDERS: Final = 400
"""Changed folders whose rows are read at once."""

_CLOCK_SKEW: Final = 2.0

_COPIED_NS: Final = 2 * 10**9
"""A copy of a file may have its time rounded as FAT does."""

Row = TypeVar("Row", KnownFile, KnownSidecar)


@dataclass(frozen=True, slots=True)
class FullReading:
    """A full scan reads every folder; one that goes on leaves out what it has read before it was interrupted."""

    since: float = math.inf
    """When it began, perhaps in an earlier process; never for one that has read nothing yet."""
    until: float = -math.inf
    """When it was taken up again. What is told to have been read later was read by a clock that was ahead."""

    def has_read(self, scanned_at: float) -> bool:
        """Whether it has read a folder already that was scanned last at this time."""
        return self.since <= scanned_at <= self.until


@dataclass(frozen=True, slots=True)
class SurveyRules:
    """How to look."""

    stable_identity: bool
    timestamp_granularity: float
    settle_seconds: float
    full: FullReading | None = None
    """None: only what changed is read."""
    final_look: bool = False
    """Judge also what is still changing: nobody will look again."""
    accept_losses: bool = False


@dataclass(slots=True)
class Survey:
    """What one look at the disk found."""

    diffs: list[FolderDiff] = field(default_factory=list)
    """The folders that differ from what is stored."""
    on_other_disks: list[FolderRecord] = field(default_factory=list)
    """Those of them that are on another disk than what is stored, to be stored before anything of what is in them."""
    gone_files: list[KnownFile] = field(default_factory=list)
    """Files of folders that are not there any more, hidden ones too; those of other folders are in their diffs."""
    gone_folders: list[str] = field(default_factory=list)
    """The topmost ones; everything below them is gone too."""
    hidden_files: list[tuple[KnownFile, IgnoreRule]] = field(default_factory=list)
    """Files below a folder that a rule hides, with the rule."""
    hidden_folders: list[str] = field(default_factory=list)
    """Those that were not hidden before; everything below them is hidden too."""
    gone_sidecars: list[str] = field(default_factory=list)
    unsettled: set[str] = field(default_factory=set)
    """Folders that are to be looked at again: something in them is younger than the settle time."""
    changing: set[str] = field(default_factory=set)
    """Those of `unsettled` in which entries came or went while they were listed."""
    folders_scanned: int = 0
    folders_unchanged: int = 0
    files_scanned: int = 0
    files_unchanged: int = 0
    warnings: list[str] = field(default_factory=list)

    def departed(self) -> Iterator[KnownFile]:
        """Files that are not where they were."""
        yield from self.vanished()
        yield from self.replaced()

    def vanished(self) -> Iterator[KnownFile]:
        """Files at whose paths nothing is any more."""
        yield from self.gone_files
        for diff in self.diffs:
            yield from diff.gone

    def replaced(self) -> Iterator[KnownFile]:
        """Files at whose paths another inode is: they were saved anew, or another file came."""
        for diff in self.diffs:
            yield from diff.replaced.values()

    def read_again(self, files: Mapping[str, KnownFile]) -> None:
        """See to it that the listed files at these paths are read for these rows, whatever they were compared with."""
        by_folder: dict[str, dict[str, KnownFile]] = {}
        for path, row in files.items():
            by_folder.setdefault(folder_of(path), {})[name_of(path)] = row
        for diff in self.diffs:
            if (rows := by_folder.get(diff.listing.path)) is not None:
                diff.read_again(rows)

    def unsure(self) -> Iterator[KnownFile]:
        """Files that were not listed, though they may be where they were."""
        for diff in self.diffs:
            yield from diff.unsure


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A listed folder that has to be compared."""

    listing: FolderListing
    disk_before: int = ROOT_DISK
    is_disk_away: bool = False
    """True if it was listed while another disk, or none, was mounted where that one was."""


@dataclass(slots=True)
class _Trees:
    """Folders into which the walk did not look, and why."""

    unknown: set[str] = field(default_factory=set)
    hidden: dict[str, IgnoreRule] = field(default_factory=dict)


def survey_targets(
    db: Database,
    library: Library,
    targets: Sequence[ScanTarget],
    walker: FolderWalker,
    disks: InnerDisks,
    rules: SurveyRules,
    *,
    now: Callable[[], float],
    on_known: Callable[[int], None],
    on_folder: Callable[[str], None],
) -> Survey:
    """Walk the targets and compare every folder whose digest differs with its rows.

    Args:
        on_known: told for each target how many of its folders are known and will be looked at.
        on_folder: told after each folder; may raise to stop the walk.
    """
    surveyor = _Surveyor(db, library, walker, disks, rules, now)
    for target in targets:
        known = db.library_folders.within(target)
        on_known(sum(not folder.is_hidden for folder in known.values()))
        surveyor.remember_disks(known.values())
        for listing in walker.walk(target):
            surveyor.take(listing, known.pop(listing.path, None))
            if not target.recursive:
                for name in listing.subfolders:
                    known.pop(join(listing.path, name), None)
            on_folder(listing.path)
        surveyor.compare_waiting()
        surveyor.judge_unvisited(known.values())
    return surveyor.survey


class _Surveyor:
    def __init__(
        self,
        db: Database,
        library: Library,
        walker: FolderWalker,
        disks: InnerDisks,
        rules: SurveyRules,
        now: Callable[[], float],
    ) -> None:
        self.survey = Survey()
        self._db = db
        self._library_id = library.library_id
        self._walker = walker
        self._disks = disks
        self._rules = rules
        self._now = now
        self._waiting: list[_Waiting] = []
        self._trees = _Trees()
        self._disks_before: dict[str, int] = {}
        """Of the folders that were on another disk than the root's."""
        self._told_away: set[str] = set()

    def remember_disks(self, folders: Iterable[KnownFolder]) -> None:
        """Which disks were mounted inside the library when it was last looked at."""
        self._disks_before |= {folder.path: folder.disk for folder in folders if folder.disk != ROOT_DISK}

    def take(self, listing: FolderListing, known: KnownFolder | None) -> None:
        """Count a listed folder and set it aside for comparing if its digest is another one."""
        survey = self.survey
        survey.folders_scanned += 1
        survey.warnings += listing.rule_problems
        for name, rule in listing.ignored_folders.items():
            self._trees.hidden[join(listing.path, name)] = rule
        if listing.ignored_by is not None:
            self._trees.hidden[listing.path] = listing.ignored_by
            if known is not None and not known.is_hidden:
                self._hide_tree(listing.path, listing.ignored_by)
            return
        if listing.error is not None:
            self._leave_unknown(listing)
            return
        for name, reason in listing.unknown.items():
            path = join(listing.path, name)
            self._trees.unknown.add(path)
            survey.warnings.append(f"{readable(path)}: {reason}; what is known of it stays as it is")
        # Asked after it was listed: what was unmounted in between is away.
        listing.disk = self._disks.disk_of(listing.path)
        survey.files_scanned += listing.audio_files
        if known is not None and not self._is_due(listing, known):
            survey.folders_unchanged += 1
            survey.files_unchanged += listing.audio_files
            return
        before = ROOT_DISK if known is None else known.disk
        self._waiting.append(_Waiting(listing, before, known is not None and self._is_away(before, listing.disk)))
        if len(self._waiting) >= _COMPARE_FOLDERS:
            self.compare_waiting()

    def compare_waiting(self) -> None:
        """Read the rows of the folders set aside and compare."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        folders = [one.listing.path for one in waiting]
        rows = _by_folder(self._db.library_files.in_folders(self._library_id, folders))
        sidecars = _by_folder(self._db.library_sidecars.in_folders(self._library_id, folders))
        now = self._now()
        for one in waiting:
            listing, known_files = one.listing, rows.get(one.listing.path, ())
            waits_for_disk = one.is_disk_away and not _is_same_folder(one, known_files)
            if waits_for_disk:
                # It stays a folder of that disk, and is compared at each scan until that is back.
                listing.disk, listing.digest = one.disk_before, ""
            elif listing.disk != one.disk_before:
                self.survey.on_other_disks.append(FolderRecord(listing.path, "", listing.disk))
            diff = diff_folder(
                listing,
                known_files,
                sidecars.get(listing.path, ()),
                read_everything=self._rules.full is not None,
                timestamp_granularity=self._rules.timestamp_granularity,
            )
            self._settle(diff, now)
            if waits_for_disk:
                self._leave_for_its_disk(diff, known_files)
            self.survey.files_unchanged += diff.unchanged
            self.survey.diffs.append(diff)

    def judge_unvisited(self, folders: Iterable[KnownFolder]) -> None:
        """Known folders where the walk did not come by: gone, hidden by a rule, or below what can't be read."""
        gone: list[str] = []
        unvisited = sorted(folders, key=lambda known: known.path)
        self._spare_what_is_away(unvisited)
        for folder in unvisited:
            if gone and is_within(folder.path, gone[-1]):
                continue
            hidden_by = self._hidden_by(folder.path)
            if hidden_by is not None:
                if not folder.is_hidden:
                    self._hide_tree(*hidden_by)
            elif self._is_unknown(folder.path):
                continue
            else:
                gone.append(folder.path)
                self._collect_gone(folder.path)

    def _spare_what_is_away(self, unvisited: Iterable[KnownFolder]) -> None:
        for folder in unvisited:
            if self._is_unknown(folder.path) or self._hidden_by(folder.path) is not None:
                continue
            if self._is_away(folder.disk, self._disks.disk_of(folder.path)):
                self._trees.unknown.add(folder.path)
                self._tell_away(folder.path, folder.disk)

    def _is_away(self, disk: int, now: int) -> bool:
        return not self._rules.accept_losses and self._disks.is_away(disk, now)

    def _leave_for_its_disk(self, diff: FolderDiff, known: Iterable[KnownFile]) -> None:
        """What is known of the folder is on a disk that is away. What only the disk in its place has is taken in."""
        if diff.changed or any(row.is_present for row in known):
            self._tell_away(diff.listing.path, diff.listing.disk)
        diff.leave_known()

    def _tell_away(self, folder: str, disk: int) -> None:
        """Warn once for each disk."""
        top = self._top_on(disk, folder)
        if top in self._told_away:
            return
        self._told_away.add(top)
        self.survey.warnings.append(
            f"{readable(top)}: the disk that was mounted here is away; what is known of this folder stays as it is. If"
            " that is not wanted any more, scan this folder with --accept-losses; otherwise mount it again"
        )

    def _top_on(self, disk: int, folder: str) -> str:
        """The topmost folder above `folder` that was on `disk` as well."""
        while self._disks_before.get(folder_of(folder)) == disk:
            folder = folder_of(folder)
        return folder

    def _is_due(self, listing: FolderListing, known: KnownFolder) -> bool:
        if listing.digest != known.digest or not known.digest or listing.disk != known.disk:
            return True
        return self._rules.full is not None and not self._rules.full.has_read(known.scanned_at)

    def _settle(self, diff: FolderDiff, now: float) -> None:
        listing = diff.listing
        settle = self._rules.settle_seconds
        if listing.was_touched(now - settle, now + _CLOCK_SKEW):
            self.survey.unsettled.add(listing.path)
        if self._entries_changed(listing):
            self.survey.unsettled.add(listing.path)
            self.survey.changing.add(listing.path)
            if not self._rules.final_look:
                # A file renamed while its folder is listed may show under neither name.
                diff.unsure, diff.gone = diff.gone, ()

    def _entries_changed(self, listing: FolderListing) -> bool:
        try:
            return os.stat(self._walker.absolute(listing.path)).st_mtime_ns != listing.mtime_ns
        except OSError:
            return True

    def _leave_unknown(self, listing: FolderListing) -> None:
        self._trees.unknown.add(listing.path)
        path = self._walker.absolute(listing.path)
        if not os.path.lexists(path) and listing.path:
            # It went away between the listing of its parent and its own: the parent has to be looked at again.
            self.survey.unsettled.add(folder_of(listing.path))
        self.survey.warnings.append(
            f"{readable(listing.path)}: {listing.error}; what is known of this folder stays as it is"
        )

    def _hide_tree(self, folder: str, rule: IgnoreRule) -> None:
        if folder in self.survey.hidden_folders:
            return
        for page in self._db.library_files.below(self._library_id, folder):
            self.survey.hidden_files += [(row, rule) for row in page if row.is_present]
        self.survey.hidden_folders.append(folder)
        self.survey.gone_sidecars += self._db.library_sidecars.below(self._library_id, folder)

    def _collect_gone(self, folder: str) -> None:
        for page in self._db.library_files.below(self._library_id, folder):
            self.survey.gone_files += [
                row for row in page if not row.is_missing and not self._is_unknown(folder_of(row.path))
            ]
        sidecars = self._db.library_sidecars.below(self._library_id, folder)
        self.survey.gone_sidecars += [path for path in sidecars if not self._is_unknown(folder_of(path))]
        # As long as a folder is known, so are those below it, and the disks that they are on.
        if not any(is_within(unknown, folder) for unknown in self._trees.unknown):
            self.survey.gone_folders.append(folder)

    def _hidden_by(self, folder: str) -> tuple[str, IgnoreRule] | None:
        for above in (folder, *folders_above(folder)):
            if (rule := self._trees.hidden.get(above)) is not None:
                return above, rule
        return None

    def _is_unknown(self, folder: str) -> bool:
        return any(above in self._trees.unknown for above in (folder, *folders_above(folder)))


def _is_same_folder(one: _Waiting, known: Sequence[KnownFile]) -> bool:
    """True if all that is known of a folder is on the disk that is there now, as after it was copied to a new one.

    Where nothing is present, nothing can be lost.
    """
    if not one.listing.names and not any(row.is_present for row in known):
        # The mount point of a disk that is away, with no files directly in it.
        return False
    found = dict(one.listing)
    return all(_is_as_known(row, found.get(name_of(row.path))) for row in known if not row.displaced)


def _is_as_known(row: KnownFile, found: FileStat | None) -> bool:
    if found is None:
        return not row.is_present
    return found.size == row.stat.size and abs(found.mtime_ns - row.stat.mtime_ns) <= _COPIED_NS


def _by_folder(rows: Iterable[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(folder_of(row.path), []).append(row)
    return found
