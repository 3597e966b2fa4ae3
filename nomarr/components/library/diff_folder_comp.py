"""Compare one folder on the disk with its rows."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Final

from nomarr.helpers.dto.files import FileStat, FolderListing, IgnoreRule, KnownFile, KnownSidecar
from nomarr.helpers.file_kinds import FileKind, kind_of
from nomarr.helpers.paths_helper import join, name_of

__all__ = ["FolderDiff", "diff_folder", "may_have_changed_unseen"]

_CLOCK_SKEW: Final = 2.0
"""Seconds by which the clock of a file server may be ahead of ours."""


@dataclass(slots=True)
class FolderDiff:
    """What differs between a folder and its rows. Numbers point into `listing.names`."""

    listing: FolderListing
    new: list[int] = field(default_factory=list)
    changed: dict[int, KnownFile] = field(default_factory=dict)
    """Files to read again, with their rows."""
    replaced: dict[int, KnownFile] = field(default_factory=dict)
    """Those of `changed` whose inode is another one: perhaps another file was moved here."""
    seen: dict[int, KnownFile] = field(default_factory=dict)
    """Files that are there with the numbers of their rows, though the rows say missing, hidden, or another disk."""
    gone: list[KnownFile] = field(default_factory=list)
    unsure: list[KnownFile] = field(default_factory=list)
    """Instead of `gone`, if the folder changed while it was listed."""
    hidden: list[tuple[KnownFile, IgnoreRule]] = field(default_factory=list)
    """Rows that a rule hides now, with the rule."""
    sidecars: list[int] = field(default_factory=list)
    """Playlists and images to record."""
    gone_sidecars: list[str] = field(default_factory=list)
    unchanged: int = 0

    @property
    def files(self) -> int:
        """How many audio files the folder has."""
        return len(self.new) + len(self.changed) + len(self.seen) + self.unchanged

    def arrivals(self) -> Iterator[int]:
        """Files that were not here before, as far as the file system's identity of files tells."""
        yield from self.new
        yield from self.replaced

    def edited(self) -> Iterator[int]:
        """Those of `changed` that are not only to be read again: their numbers are others than those of their rows."""
        return (index for index, row in self.changed.items() if self.listing.stat_at(index) != row.stat)

    def path_at(self, index: int) -> str:
        """The normalized path of a listed file."""
        return join(self.listing.path, self.listing.names[index])


def diff_folder(
    listing: FolderListing,
    rows: Collection[KnownFile],
    sidecars: Collection[KnownSidecar],
    *,
    read_everything: bool,
    timestamp_granularity: float,
) -> FolderDiff:
    """Compare `listing` with every row that is directly in its folder.

    Args:
        read_everything: a full scan: what is equal is read again all the same.
        timestamp_granularity: seconds within which two changes of a file may bear the same time.
    """
    diff = FolderDiff(listing)
    by_name = {name_of(row.path): row for row in rows if not row.displaced}
    known_sidecars = {name_of(sidecar.path): sidecar for sidecar in sidecars}
    for index, name in enumerate(listing.names):
        if kind_of(name) is not FileKind.AUDIO:
            known = known_sidecars.pop(name, None)
            if known is None or known.stat != listing.stat_at(index):
                diff.sidecars.append(index)
            continue
        row = by_name.pop(name, None)
        if row is None:
            diff.new.append(index)
            continue
        _compare(diff, index, row, read_everything, timestamp_granularity)
    for name, row in by_name.items():
        _judge_absent(diff, name, row)
    diff.gone += [row for row in rows if row.displaced and row.is_present]
    diff.gone_sidecars += [sidecar.path for name, sidecar in known_sidecars.items() if name not in listing.unknown]
    return diff


def may_have_changed_unseen(stat: FileStat, read_at: float, timestamp_granularity: float) -> bool:
    """True if a write just after the reading could bear the same time as one just before it."""
    return read_at - timestamp_granularity < stat.changed_at < read_at + _CLOCK_SKEW


def _compare(diff: FolderDiff, index: int, row: KnownFile, read_everything: bool, timestamp_granularity: float) -> None:
    stat = diff.listing.stat_at(index)
    if stat != row.stat:
        diff.changed[index] = row
        if stat.inode != row.stat.inode:
            diff.replaced[index] = row
    elif read_everything or may_have_changed_unseen(stat, row.read_at, timestamp_granularity):
        diff.changed[index] = row
    elif not row.is_present or row.device != diff.listing.device:
        diff.seen[index] = row
    else:
        diff.unchanged += 1


def _judge_absent(diff: FolderDiff, name: str, row: KnownFile) -> None:
    if name in diff.listing.unknown:
        return
    if (rule := diff.listing.ignored_files.get(name)) is not None:
        if row.is_present:
            diff.hidden.append((row, rule))
    elif row.is_present:
        diff.gone.append(row)
