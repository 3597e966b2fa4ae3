"""Files as the disk shows them and as the database knows them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from nomarr.helpers.dto.tags import AudioTags

__all__ = [
    "HIDDEN_FOLDER",
    "ROOT_DISK",
    "STAT_FIELDS",
    "UNKNOWN_DISK",
    "FileRecord",
    "FileStat",
    "FolderListing",
    "FolderRecord",
    "IgnoreRule",
    "KnownFile",
    "KnownFolder",
    "KnownSidecar",
    "Playlist",
    "PlaylistEntry",
    "PlaylistRecord",
    "int64",
    "no_entries",
]

STAT_FIELDS = 4
HIDDEN_FOLDER: Final = "hidden"
"""The digest of a folder that a rule hides: as long as it does, nothing in there is looked at or compared."""

ROOT_DISK: Final = 0
"""The disk of a library's root. One that is mounted inside the library has a positive number of 63 bits, the same one
each time it is mounted."""
UNKNOWN_DISK: Final = 1
"""Another disk than the root's, and nobody could tell which one."""


def int64(number: int) -> int:
    """`number` as a signed value of 64 bits, the same one for the same number.

    Some network file systems hand out inodes of 64 unsigned bits, and a broken clock may say year 2500.
    """
    return (number + (1 << 63)) % (1 << 64) - (1 << 63)


class FileStat(NamedTuple):
    """What one `stat` tells; equality decides whether a file has changed."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int

    @property
    def changed_at(self) -> float:
        """When the file last changed, in seconds: by its ctime where the file system keeps one."""
        return (self.ctime_ns or self.mtime_ns) / 1e9

    def is_still(self, now: FileStat | None) -> bool:
        """True if these, as a scan listed them, are the numbers of a file that has `now`; None stands for no file.

        A scan leaves zeros for numbers that mean nothing on their file system.
        """
        if now is None or (self.size, self.mtime_ns) != (now.size, now.mtime_ns):
            return False
        return self.ctime_ns in (0, now.ctime_ns)

    def with_no_files_ctime(self) -> FileStat:
        """The same with a ctime that no file has: what was found out holds, but the file is to be looked into."""
        return self._replace(ctime_ns=-1)


_NO_ENTRIES: Final[Mapping[Any, Any]] = MappingProxyType({})


def no_entries() -> Mapping[Any, Any]:
    """An empty mapping that nobody can write to, so that everybody can share it."""
    return _NO_ENTRIES


@dataclass(frozen=True, slots=True)
class IgnoreRule:
    """Why something on the disk is not part of the library; `str()` is for people."""

    text: str
    file: str | None = None
    """The file that holds the rule, relative to the library; None for a built-in rule or a setting."""

    def __str__(self) -> str:
        return self.text


@dataclass(slots=True)
class FolderListing:
    """One folder as one look at the disk found it.

    A scan of a million new files keeps all of their folders in memory. So the numbers of all files of a folder stand in
    one row of bytes, as an object for each would cost three times as much; and what most folders do not have, such as
    ignored files, is one empty value that they share.
    """

    path: str
    device: int
    mtime_ns: int = 0
    """The folder's own, before it was listed: another value afterwards means that entries came or went meanwhile."""
    names: tuple[str, ...] = ()
    """Audio files, playlists and images, sorted."""
    audio_files: int = 0
    """How many of `names` are audio files."""
    stats: bytes = b""
    """Four signed numbers of 64 bits for each of `names`."""
    digest: str = ""
    subfolders: tuple[str, ...] = ()
    ignored_files: Mapping[str, IgnoreRule] = field(default_factory=no_entries)
    """Name to the rule that hides it."""
    ignored_folders: Mapping[str, IgnoreRule] = field(default_factory=no_entries)
    unknown: Mapping[str, str] = field(default_factory=no_entries)
    """Name to the reason why it could not be looked at."""
    error: str | None = None
    """Why the folder itself could not be listed; everything in it is unknown then."""
    ignored_by: IgnoreRule | None = None
    """The rule that hides the whole folder, e.g. its `.nomedia`."""
    rule_problems: tuple[str, ...] = ()
    """What people are to be told of its rule files; at the first folder of a walk, also of the rules above it."""
    disk: int = ROOT_DISK
    """The disk that it is on; whoever compares it with what is known has to tell."""

    def stat_at(self, index: int) -> FileStat:
        """The numbers of `names[index]`."""
        start = index * STAT_FIELDS
        return FileStat(*self._numbers[start : start + STAT_FIELDS])

    def inode_at(self, index: int) -> int:
        """The inode of `names[index]`."""
        return self._numbers[index * STAT_FIELDS + 3]

    def __iter__(self) -> Iterator[tuple[str, FileStat]]:
        return ((name, self.stat_at(index)) for index, name in enumerate(self.names))

    def was_touched(self, since: float, until: float) -> bool:
        """True if any of its files changed between the two times (seconds since 1970).

        Judged by the ctime, which nobody can set, and by the mtime where there is no ctime to be had.
        """
        changes = self._numbers[2::STAT_FIELDS]
        if not any(changes):
            changes = self._numbers[1::STAT_FIELDS]
        since_ns, until_ns = int(since * 1e9), int(until * 1e9)
        return any(since_ns < change < until_ns for change in changes)

    @property
    def _numbers(self) -> memoryview[int]:
        return memoryview(self.stats).cast("q")


@dataclass(frozen=True, slots=True)
class KnownFile:
    """What the database knows of a file, as much as comparing needs."""

    file_id: str
    library_id: str
    path: str
    stat: FileStat
    device: int
    read_at: float
    """When its tags were last read; 0 = never."""
    missing_since: float | None = None
    ignored_by: str | None = None
    displaced: bool = False
    """Another file stands at its path now, and this one was not found anywhere yet."""

    @property
    def is_missing(self) -> bool:
        """True if it was seen to be gone; one that a rule hides is not missing."""
        return self.missing_since is not None

    @property
    def is_present(self) -> bool:
        """True if it is part of the library now."""
        return not self.is_missing and self.ignored_by is None


@dataclass(frozen=True, slots=True)
class KnownSidecar:
    """A playlist or folder image that the database knows."""

    path: str
    stat: FileStat


@dataclass(frozen=True, slots=True)
class KnownFolder:
    """A folder that was looked at before."""

    path: str
    digest: str
    """Empty if its files were not all settled or written when it was last looked at; or `HIDDEN_FOLDER`."""
    scanned_at: float
    disk: int = ROOT_DISK
    """The disk that it was on."""

    @property
    def is_hidden(self) -> bool:
        """True if a rule hides it with all of its files, and their rows say so."""
        return self.digest == HIDDEN_FOLDER


@dataclass(frozen=True, slots=True)
class FolderRecord:
    """What is stored for a folder once its rows are written."""

    path: str
    digest: str
    disk: int = ROOT_DISK


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One file of a library as everybody outside sees it."""

    file_id: str
    library_id: str
    path: str
    size: int
    mtime_ns: int
    ctime_ns: int
    device: int
    inode: int
    tags: AudioTags
    processing_status: str
    first_seen_at: float
    updated_at: float
    last_error: str | None = None
    missing_since: float | None = None
    ignored_by: str | None = None
    has_cover: bool = False
    audio_hash: str | None = None
    """Of the sound alone: equal for files that differ in tags and covers only."""
    cover_id: str | None = None
    content_xxh3: str | None = None
    content_sha256: str | None = None
    """Of the whole file, as the XXH3-128 is; only if `content_hashes` is set."""
    fingerprint: str | None = None
    """Compressed chromaprint; only where it was asked for."""


@dataclass(frozen=True, slots=True)
class PlaylistEntry:
    """One line of a playlist."""

    text: str
    """As the playlist has it."""
    file_id: str | None
    """The file it means; None if no library knows such a file."""


@dataclass(frozen=True, slots=True)
class PlaylistRecord:
    """A playlist file inside a library, without its entries."""

    library_id: str
    path: str
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Playlist:
    """A playlist file inside a library."""

    library_id: str
    path: str
    entries: tuple[PlaylistEntry, ...]
    error: str | None = None
