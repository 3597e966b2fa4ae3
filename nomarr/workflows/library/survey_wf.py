"""The first half of a scan: look at the disk, compare with the rows, change nothing.

Everything here is synchronous and runs in one worker thread; walking in two threads is slower than in one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from nomarr.components.library.diff_folder_comp import FolderDiff, diff_folder
from nomarr.components.library.walk_folders_comp import FolderWalker
from nomarr.helpers.dto.files import FolderListing, IgnoreRule, KnownFile, KnownFolder, KnownSidecar
from nomarr.helpers.dto.library import Library, ScanTarget
from nomarr.helpers.paths_helper import folder_of, folders_above, is_within, join, name_of, readable
from nomarr.persistence.db import Database

__all__ = ["Survey", "SurveyRules", "survey_targets"]

_COMPARE_FOLDERS: Final = 400
"""Changed folders whose rows are read at once."""

_CLOCK_SKEW: Final = 2.0

Row = TypeVar("Row", KnownFile, KnownSidecar)


@dataclass(frozen=True, slots=True)
class SurveyRules:
    """How to look."""

    root_device: int
    stable_identity: bool
    timestamp_granularity: float
    settle_seconds: float
    read_since: float | None = None
    """Full scan: folders that were not looked at since this time are read again. None: only what changed."""
    final_look: bool = False
    """Judge also what is still changing: nobody will look again."""
    accept_losses: bool = False


@dataclass(slots=True)
class Survey:
    """What one look at the disk found."""

    root_device: int
    diffs: list[FolderDiff] = field(default_factory=list)
    """The folders that differ from what is stored."""
    gone_files: list[KnownFile] = field(default_factory=list)
    """Files of folders that are not there any more; those of other folders are in their diffs."""
    gone_folders: list[str] = field(default_factory=list)
    """The topmost ones; everything below them is gone too."""
    hidden_files: list[tuple[KnownFile, IgnoreRule]] = field(default_factory=list)
    """Files below a folder that a rule hides, with the rule."""
    hidden_folders: list[str] = field(default_factory=list)
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
    rules: SurveyRules,
    *,
    now: Callable[[], float],
    on_known: Callable[[int], None],
    on_folder: Callable[[str], None],
) -> Survey:
    """Walk the targets and compare every folder whose digest differs with its rows.

    Args:
        on_known: told for each target how many of its folders are known.
        on_folder: told after each folder; may raise to stop the walk.
    """
    surveyor = _Surveyor(db, library, walker, rules, now)
    for target in targets:
        known = db.library_folders.within(target)
        on_known(len(known))
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
        self, db: Database, library: Library, walker: FolderWalker, rules: SurveyRules, now: Callable[[], float]
    ) -> None:
        self.survey = Survey(rules.root_device)
        self._db = db
        self._library_id = library.library_id
        self._walker = walker
        self._rules = rules
        self._now = now
        self._waiting: list[FolderListing] = []
        self._trees = _Trees()
        self._devices: dict[str, int] = {}

    def take(self, listing: FolderListing, known: KnownFolder | None) -> None:
        """Count a listed folder and set it aside for comparing if its digest is another one."""
        survey = self.survey
        survey.folders_scanned += 1
        for name, rule in listing.ignored_folders.items():
            self._trees.hidden[join(listing.path, name)] = rule
        if listing.ignored_by is not None:
            self._trees.hidden[listing.path] = listing.ignored_by
            if known is not None:
                self._hide_tree(listing.path, listing.ignored_by)
            return
        if known is not None and listing.error is None and self._is_empty_mount_point(listing, known):
            listing.error = "the disk that was mounted here is away"
        if listing.error is not None:
            self._leave_unknown(listing)
            return
        for name, reason in listing.unknown.items():
            path = join(listing.path, name)
            self._trees.unknown.add(path)
            survey.warnings.append(f"{readable(path)}: {reason}; what is known of it stays as it is")
        self._devices[listing.path] = listing.device
        survey.files_scanned += listing.audio_files
        if known is not None and not self._is_due(listing, known):
            survey.folders_unchanged += 1
            survey.files_unchanged += listing.audio_files
            return
        self._waiting.append(listing)
        if len(self._waiting) >= _COMPARE_FOLDERS:
            self.compare_waiting()

    def compare_waiting(self) -> None:
        """Read the rows of the folders set aside and compare."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        folders = [listing.path for listing in waiting]
        rows = _by_folder(self._db.library_files.in_folders(self._library_id, folders))
        sidecars = _by_folder(self._db.library_sidecars.in_folders(self._library_id, folders))
        now = self._now()
        for listing in waiting:
            diff = diff_folder(
                listing,
                rows.get(listing.path, ()),
                sidecars.get(listing.path, ()),
                read_everything=self._rules.read_since is not None,
                timestamp_granularity=self._rules.timestamp_granularity,
            )
            self._settle(diff, now)
            self.survey.files_unchanged += diff.unchanged
            self.survey.diffs.append(diff)

    def judge_unvisited(self, folders: Iterable[KnownFolder]) -> None:
        """Known folders where the walk did not come by: gone, hidden by a rule, or below what can't be read."""
        gone: list[str] = []
        for folder in sorted(folders, key=lambda known: known.path):
            if gone and is_within(folder.path, gone[-1]):
                continue
            hidden_by = self._hidden_by(folder.path)
            if hidden_by is not None:
                self._hide_tree(*hidden_by)
            elif self._is_unknown(folder.path):
                continue
            elif self._is_mount_point_away(folder):
                self._trees.unknown.add(folder.path)
                self.survey.warnings.append(
                    f"{readable(folder.path)}: the disk that was mounted here is away; its files stay as they are"
                )
            else:
                gone.append(folder.path)
                self._collect_gone(folder.path)

    def _is_due(self, listing: FolderListing, known: KnownFolder) -> bool:
        if listing.digest != known.digest or not known.digest:
            return True
        return self._rules.read_since is not None and known.scanned_at < self._rules.read_since

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
            self.survey.gone_files += [row for row in page if row.is_present]
        self.survey.gone_folders.append(folder)
        self.survey.gone_sidecars += self._db.library_sidecars.below(self._library_id, folder)

    def _hidden_by(self, folder: str) -> tuple[str, IgnoreRule] | None:
        for above in (folder, *folders_above(folder)):
            if (rule := self._trees.hidden.get(above)) is not None:
                return above, rule
        return None

    def _is_unknown(self, folder: str) -> bool:
        return any(above in self._trees.unknown for above in (folder, *folders_above(folder)))

    def _is_empty_mount_point(self, listing: FolderListing, known: KnownFolder) -> bool:
        if not known.on_other_device or self._rules.accept_losses:
            return False
        return listing.is_empty and listing.device == self.survey.root_device

    def _is_mount_point_away(self, folder: KnownFolder) -> bool:
        if not folder.on_other_device or self._rules.accept_losses:
            return False
        return self._devices.get(folder_of(folder.path)) == self.survey.root_device


def _by_folder(rows: Iterable[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(folder_of(row.path), []).append(row)
    return found
