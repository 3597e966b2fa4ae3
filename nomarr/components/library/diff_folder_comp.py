"""Compare one folder on the disk with its rows."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from nomarr.helpers.dto.files import FileStat, FolderListing, IgnoreRule, KnownFile, KnownSidecar, no_entries
from nomarr.helpers.file_kinds import FileKind, kind_of
from nomarr.helpers.paths_helper import join, name_of

__all__ = ["FolderDiff", "diff_folder", "may_have_changed_unseen"]

_CLOCK_SKEW: Final = 2.0
"""Seconds by which the clock of a file server may be ahead of ours."""


@dataclass(slots=True)
class FolderDiff:
    """What differs between a folder and its rows. Numbers point into `listing.names`.

    As with listings, a scan keeps those of all new folders, and what most of them do not have is shared.
    """

    listing: FolderListing
    new: tuple[int, ...] = ()
    changed: Mapping[int, KnownFile] = field(default_factory=no_entries)
    """Files to read again, with their rows."""
    replaced: Mapping[int, KnownFile] = field(default_factory=no_entries)
    """Those of `changed` whose inode is another one: perhaps another file was moved here."""
    seen: Mapping[int, KnownFile] = field(default_factory=no_entries)
    """Files that are there with the numbers of their rows, though the rows say missing, hidden, or another disk."""
    gone: tuple[KnownFile, ...] = ()
    unsure: tuple[KnownFile, ...] = ()
    """Instead of `gone`, if the folder changed while it was listed."""
    hidden: tuple[tuple[KnownFile, IgnoreRule], ...] = ()
    """Rows that a rule hides now, with the rule."""
    sidecars: tuple[int, ...] = ()
    """Playlists and images to record."""
    gone_sidecars: tuple[str, ...] = ()
    unchanged: int = 0
    has_rows: bool = False
    """True if any file of the folder is known, perhaps a missing one."""

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

    def read_again(self, rows: Mapping[str, KnownFile]) -> None:
        """Have files read, and take them for these rows (by name), that seemed to need nothing."""
        is_read = {*self.new, *self.changed}
        names = enumerate(self.listing.names)
        more = {index: rows[name] for index, name in names if name in rows and index not in is_read}
        self.unchanged -= len(more.keys() - self.seen.keys())
        self.seen = {index: row for index, row in self.seen.items() if index not in more}
        self.changed = {**self.changed, **more}

    def leave_known(self) -> None:
        """Leave what is known alone, as it is of files on a disk that is away; of that, only what is back counts."""
        self.changed = self.replaced = {}
        self.seen = {index: row for index, row in self.seen.items() if not row.is_present}
        self.gone = self.unsure = ()
        self.hidden = ()
        self.gone_sidecars = ()

    def has_other_images(self) -> bool:
        """True if images beside the files came, went or changed."""
        paths = (*self.gone_sidecars, *(self.listing.names[index] for index in self.sidecars))
        return any(kind_of(path) is FileKind.IMAGE for path in paths)

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
    by_name = {name_of(row.path): row for row in rows if not row.displaced}
    known_sidecars = {name_of(sidecar.path): sidecar for sidecar in sidecars}
    new: list[int] = []
    found: dict[int, KnownFile] = {}
    changed_sidecars: list[int] = []
    for index, name in enumerate(listing.names):
        if kind_of(name) is not FileKind.AUDIO:
            known = known_sidecars.pop(name, None)
            if known is None or known.stat != listing.stat_at(index):
                changed_sidecars.append(index)
        elif (row := by_name.pop(name, None)) is None:
            new.append(index)
        else:
            found[index] = row
    diff = FolderDiff(listing, tuple(new), sidecars=tuple(changed_sidecars), has_rows=bool(rows))
    _compare_found(diff, found, read_everything, timestamp_granularity)
    _judge_absent(diff, by_name, [row for row in rows if row.displaced and row.is_present])
    diff.gone_sidecars = tuple(sidecar.path for name, sidecar in known_sidecars.items() if name not in listing.unknown)
    return diff


def may_have_changed_unseen(stat: FileStat, read_at: float, timestamp_granularity: float) -> bool:
    """True if a write just after the reading could bear the same time as one just before it."""
    return read_at - timestamp_granularity < stat.changed_at < read_at + _CLOCK_SKEW


def _compare_found(
    diff: FolderDiff, found: Mapping[int, KnownFile], read_everything: bool, timestamp_granularity: float
) -> None:
    listing = diff.listing
    changed: dict[int, KnownFile] = {}
    replaced: dict[int, KnownFile] = {}
    seen: dict[int, KnownFile] = {}
    for index, row in found.items():
        stat = listing.stat_at(index)
        if stat != row.stat:
            changed[index] = row
            if stat.inode != row.stat.inode:
                replaced[index] = row
        elif read_everything or may_have_changed_unseen(stat, row.read_at, timestamp_granularity):
            changed[index] = row
        elif not row.is_present or row.device != listing.device:
            seen[index] = row
    diff.changed = changed or no_entries()
    diff.replaced = replaced or no_entries()
    diff.seen = seen or no_entries()
    diff.unchanged = len(found) - len(changed) - len(seen)


def _judge_absent(diff: FolderDiff, by_name: Mapping[str, KnownFile], displaced: Sequence[KnownFile]) -> None:
    listing = diff.listing
    # Also those that a rule hid until now: what nothing hides and nobody sees is gone.
    absent = {name: row for name, row in by_name.items() if not row.is_missing and name not in listing.unknown}
    ignored = listing.ignored_files
    diff.hidden = tuple((row, ignored[name]) for name, row in absent.items() if name in ignored and row.is_present)
    diff.gone = (*(row for name, row in absent.items() if name not in ignored), *displaced)
