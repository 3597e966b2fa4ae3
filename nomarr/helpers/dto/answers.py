"""What questions about a library are answered with."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from nomarr.helpers.dto.files import FileRecord

__all__ = [
    "ComparisonProgress",
    "DuplicateGroup",
    "DuplicateKind",
    "DuplicatePage",
    "Explanation",
    "PathState",
    "PatternProblem",
    "Verification",
]


@dataclass(frozen=True, slots=True)
class Verification:
    """Database against disk, path by path. Paths are normalized."""

    library_id: str
    not_in_database: tuple[str, ...] = ()
    not_on_disk: tuple[str, ...] = ()
    stale: tuple[str, ...] = ()
    """Known with another size, mtime or inode than the disk has."""
    warnings: tuple[str, ...] = ()
    """What could not be looked at, and so was not compared; and ignore patterns that can't mean what they say."""

    @property
    def equal(self) -> bool:
        """True if nothing differs."""
        return not (self.not_in_database or self.not_on_disk or self.stale)


class PathState(StrEnum):
    """Where a path stands."""

    IN_LIBRARY = "in_library"
    STALE = "stale"
    """In the library, but the file has changed since."""
    NOT_SCANNED = "not_scanned"
    IGNORED = "ignored"
    MISSING = "missing"
    GONE = "gone"
    """In the library, but the file is not there any more; the next scan will find out."""
    NOT_AUDIO = "not_audio"
    UNREADABLE = "unreadable"
    OFFLINE = "offline"
    NOT_FOUND = "not_found"
    OUTSIDE = "outside"
    """In no library."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a path is or isn't in a library."""

    path: str
    """As it was asked, absolute."""
    state: PathState
    reason: str
    """A sentence for people."""
    library_id: str | None = None
    library: str | None = None
    file_id: str | None = None
    rule: str | None = None
    rule_file: str | None = None
    error: str | None = None
    last_seen: float | None = None


class DuplicateKind(StrEnum):
    """In which way files are the same."""

    SAME_AUDIO = "same_audio"
    """The same sound bit for bit, whatever their tags and covers."""
    SAME_RECORDING = "same_recording"
    """The same sound to a listener, in different encodings."""


@dataclass(frozen=True, slots=True)
class DuplicateGroup:
    """Files of one library, two or more, that hold the same music. Of a recording some may also have equal audio."""

    kind: DuplicateKind
    files: tuple[FileRecord, ...]
    """By path."""


@dataclass(frozen=True, slots=True)
class DuplicatePage:
    """Some groups of duplicates, and where the next ones begin."""

    groups: tuple[DuplicateGroup, ...] = ()
    next_place: int | None = None
    """How many groups there are before the next ones; None if these were the last ones."""


@dataclass(frozen=True, slots=True)
class ComparisonProgress:
    """How many fingerprints of a library are compared with the others."""

    done: int
    total: int
    per_second: float = 0.0
    eta_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class PatternProblem:
    """An ignore pattern that can't mean what it says."""

    pattern: str
    problem: str
    """Why, for people."""
