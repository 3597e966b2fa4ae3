"""What a scan writes: one batch is one transaction, rows, folder digests and events together."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from nomarr.helpers.dto.files import FileStat, FolderRecord
from nomarr.helpers.dto.tags import TagReadResult
from nomarr.helpers.paths_helper import folder_of

__all__ = [
    "BatchResult",
    "FileGone",
    "FileHidden",
    "FileMove",
    "FileSeen",
    "FileUpsert",
    "ImageUpsert",
    "PlaylistLine",
    "PlaylistUpsert",
    "RowOutcome",
    "ScanBatch",
]

_OTHER_ROWS_PER_FILE: Final = 4
"""A batch of `batch_size` files has at most about so many times `batch_size` other rows."""


class RowOutcome(StrEnum):
    """What an upsert did to its row."""

    INSERTED = "inserted"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    RESTORED = "restored"


@dataclass(frozen=True, slots=True)
class FileUpsert:
    """A file whose tags were read. `file_id` is the known row's, or a fresh one for a new file."""

    file_id: str
    path: str
    stat: FileStat
    device: int
    tags: TagReadResult
    read_at: float


@dataclass(frozen=True, slots=True)
class FileSeen:
    """A known file that is there and need not be read: its numbers are refreshed, and it is not missing any more."""

    file_id: str
    path: str
    stat: FileStat
    device: int


@dataclass(frozen=True, slots=True)
class FileMove:
    """A known file that was found at another path. Only its place changes; the old place is the guard.

    The folder that it left loses its digest: it has to be compared again.
    """

    file_id: str
    from_library_id: str
    from_path: str
    to_path: str
    evidence: str
    is_other_file: bool = False
    """The file at `to_path` is another one on the disk, with the same sound. So whoever is known at `to_path` by now
    knows that very file, and must not be taken for it again: its inode is forgotten."""


@dataclass(frozen=True, slots=True)
class FileGone:
    """A known file that was really seen to be gone from `path`."""

    file_id: str
    path: str


@dataclass(frozen=True, slots=True)
class FileHidden:
    """A known file that an ignore rule hides now."""

    file_id: str
    path: str
    rule: str


@dataclass(frozen=True, slots=True)
class PlaylistLine:
    """One entry of a playlist and the file it points to, if it points into a library."""

    text: str
    target_library_id: str | None = None
    target_path: str | None = None


@dataclass(frozen=True, slots=True)
class PlaylistUpsert:
    """A playlist with all its entries, in order."""

    path: str
    stat: FileStat
    lines: tuple[PlaylistLine, ...]
    error: str | None = None


@dataclass(frozen=True, slots=True)
class ImageUpsert:
    """A picture in a folder."""

    path: str
    stat: FileStat


@dataclass(slots=True)
class ScanBatch:
    """Everything that one transaction writes. Moves come first, folder digests last."""

    moves: list[FileMove] = field(default_factory=list)
    upserts: list[FileUpsert] = field(default_factory=list)
    seen: list[FileSeen] = field(default_factory=list)
    gone: list[FileGone] = field(default_factory=list)
    hidden: list[FileHidden] = field(default_factory=list)
    playlists: list[PlaylistUpsert] = field(default_factory=list)
    images: list[ImageUpsert] = field(default_factory=list)
    gone_sidecars: list[str] = field(default_factory=list)
    folders: list[FolderRecord] = field(default_factory=list)
    gone_folders: list[str] = field(default_factory=list)
    """With everything below them."""

    @property
    def file_rows(self) -> int:
        """How many file rows it touches; what the batch size counts."""
        return len(self.moves) + len(self.upserts) + len(self.seen) + len(self.gone) + len(self.hidden)

    @property
    def other_rows(self) -> int:
        """How many folders, images and playlists it touches, and lines of playlists."""
        folders = len(self.folders) + len(self.gone_folders)
        sidecars = len(self.images) + len(self.gone_sidecars) + len(self.playlists)
        return folders + sidecars + sum(len(playlist.lines) for playlist in self.playlists)

    def is_full(self, batch_size: int) -> bool:
        """True if it has to be written before more comes into it.

        A library has folders, images and playlists beside its files, rarely more than a few for each. So they make no
        further batches of a scan that has files to write, and no large one of a scan that has not.
        """
        return self.file_rows >= batch_size or self.other_rows >= _OTHER_ROWS_PER_FILE * batch_size

    def unfinished_folders(self) -> set[str]:
        """Folders of which it writes a part, and not the record, which is written with the last part."""
        files = (self.upserts, self.seen, self.gone, self.hidden, self.playlists, self.images)
        paths = [row.path for part in files for row in part]
        paths += [*(move.to_path for move in self.moves), *self.gone_sidecars]
        return {folder_of(path) for path in paths} - {folder.path for folder in self.folders}

    def __bool__(self) -> bool:
        return bool(self.file_rows or self.other_rows)


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What a batch really did, row by row."""

    upserts: tuple[RowOutcome, ...] = ()
    """In the order of the batch's upserts."""
    moved: int = 0
    lost_moves: tuple[str, ...] = ()
    """Ids of files that were not at their old place any more: a scan of another library was faster."""
    restored: int = 0
    """Among the files that were only seen."""
    refreshed: int = 0
    """Rows whose numbers alone were brought up to date; nobody outside needs to know."""
    gone: int = 0
    displaced: int = 0
    """Files that were overwritten by a moved one; they are missing now."""
    hidden: int = 0
    playlists: int = 0
    images: int = 0

    @property
    def changed_rows(self) -> int:
        """Rows that other people can see a difference in."""
        read = sum(outcome is not RowOutcome.UNCHANGED for outcome in self.upserts)
        seen = self.moved + self.restored + self.gone + self.displaced + self.hidden
        return read + seen + self.playlists + self.images
