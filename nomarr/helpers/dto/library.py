"""Libraries and the folders of them that a scan is asked for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from nomarr.helpers.exceptions import InvalidPath
from nomarr.helpers.paths_helper import folders_above, is_within

__all__ = [
    "Library",
    "LibraryState",
    "RootIdentity",
    "ScanTarget",
    "TranscodePolicy",
    "WatchMode",
    "without_covered",
]


class WatchMode(StrEnum):
    """How changes of a library are noticed."""

    AUTO = "auto"
    EVENTS = "events"
    POLL = "poll"
    OFF = "off"


class TranscodePolicy(StrEnum):
    """What a file is whose sound a known file had in another encoding, when that one is gone."""

    KEEP_ID = "keep_id"
    """The same track: ratings and play counts stay with it."""
    NEW_ID = "new_id"
    """A new track; the old one is missing."""


class LibraryState(StrEnum):
    """What a person wants to know about a library first."""

    NEW = "new"
    SCANNING = "scanning"
    READY = "ready"
    CANCELLED = "cancelled"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    OFFLINE = "offline"


@dataclass(frozen=True, slots=True)
class RootIdentity:
    """Which folder of which file system a library's root was when it was last scanned."""

    device: int
    inode: int


@dataclass(frozen=True, slots=True)
class Library:
    """A named root folder."""

    library_id: str
    name: str
    root_path: str
    """Absolute, as the operating system gives it (surrogateescape)."""
    watch_mode: WatchMode = WatchMode.AUTO
    enabled: bool = True
    ignore_patterns: tuple[str, ...] = ()
    """gitignore patterns that hold for the whole library."""
    transcode_policy: TranscodePolicy = TranscodePolicy.KEEP_ID
    root_identity: RootIdentity | None = None
    state: LibraryState = LibraryState.NEW
    offline_reason: str | None = None
    """Why it is offline, or why nothing can be done with it."""
    failure: str | None = None
    """Why its last scan failed, if it did and somebody has looked it up (`library_state_wf`)."""
    unreadable_settings: tuple[str, ...] = ()
    """Names of settings in which something is stored that nobody understands."""
    files: int = 0
    """Files that are there (missing and ignored ones are not counted)."""
    missing: int = 0
    last_scan_started_at: float | None = None
    last_scan_at: float | None = None
    """When the last completed scan ended."""

    @property
    def reason(self) -> str | None:
        """Why it is offline or failed, for people."""
        return self.offline_reason or self.failure


@dataclass(frozen=True, slots=True)
class FileRules:
    """Which files are left out of every library, whatever it says itself; values out of the configuration."""

    ignore_patterns: tuple[str, ...] = ()
    """gitignore patterns, at each library's root; a library's own patterns and files win over them."""
    audio_patterns: tuple[str, ...] = ()
    """Names of the files that are taken for audio; empty: all that can be read."""


@dataclass(frozen=True, slots=True, order=True)
class ScanTarget:
    """One folder of one library; the empty path is all of it.

    The path is normalized (`./Rock/` is `Rock`).

    Raises:
        InvalidPath: for an absolute path, `..`, an empty segment or a NUL character.
    """

    library_id: str
    folder_path: str = ""
    recursive: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder_path", _normalized_folder(self.folder_path))

    def covers(self, other: ScanTarget) -> bool:
        """True if scanning this target looks at everything that `other` asks for."""
        if self.library_id != other.library_id:
            return False
        if self.recursive:
            return is_within(other.folder_path, self.folder_path)
        return not other.recursive and self.folder_path == other.folder_path

    def contains_file(self, path: str) -> bool:
        """True if the file at the normalized `path` is looked at by this target."""
        folder = path.rpartition("/")[0]
        return is_within(folder, self.folder_path) if self.recursive else folder == self.folder_path


def without_covered(targets: Iterable[ScanTarget]) -> list[ScanTarget]:
    """Drop every target that another target already covers; the rest comes sorted and without repetition."""
    distinct = sorted(set(targets))
    recursive = {(t.library_id, t.folder_path) for t in distinct if t.recursive}

    def is_covered(target: ScanTarget) -> bool:
        if not target.recursive and (target.library_id, target.folder_path) in recursive:
            return True
        return any((target.library_id, above) in recursive for above in folders_above(target.folder_path))

    return [target for target in distinct if not is_covered(target)]


def _normalized_folder(folder_path: str) -> str:
    if folder_path in ("", ".", "./"):
        return ""
    if "\0" in folder_path:
        raise InvalidPath(folder_path, "it holds a NUL character")
    if folder_path.startswith("/"):
        raise InvalidPath(folder_path, "it is absolute; give it relative to the library's root")
    segments = folder_path.removesuffix("/").split("/")
    if "" in segments:
        raise InvalidPath(folder_path, "it has an empty segment ('//')")
    if ".." in segments:
        raise InvalidPath(folder_path, "'..' would leave the library")
    return "/".join(segment for segment in segments if segment != ".")
