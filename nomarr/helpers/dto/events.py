"""The change feed: what a scan found out, in the order in which it was written."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["ChangeEvent", "EventType"]


class EventType(StrEnum):
    """What happened to a file."""

    CREATED = "created"
    MODIFIED = "modified"
    MOVED = "moved"
    """It is in another folder or library now."""
    RENAMED = "renamed"
    """It has another name in the same folder."""
    MISSING = "missing"
    RESTORED = "restored"
    REMOVED = "removed"
    """It is not part of the library any more: an ignore rule hides it, or its row was purged."""


@dataclass(frozen=True, slots=True)
class ChangeEvent:
    """One change of one file."""

    seq: int
    """Grows with every event of the database; a reader resumes after the last one it saw."""
    time: float
    type: EventType
    library_id: str
    file_id: str
    path: str
    old_path: str | None = None
    evidence: str | None = None
    """Why we believe it, e.g. `device+inode+size+mtime` or the ignore rule."""
    old_library_id: str | None = None
    """The library that `old_path` is in; None also for moves that were written before this was noted."""
