"""What a watcher notices, and what it says about itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from nomarr.helpers.dto.library import ScanTarget, WatchMode
from nomarr.helpers.dto.scan import ScanProgress, ScanReport

__all__ = [
    "DiskChange",
    "DiskEvent",
    "FaultKind",
    "PathChange",
    "WatchFault",
    "WatchMessage",
    "WatchMessageType",
    "WatchSettings",
    "WatchStatus",
    "WatcherState",
    "path_after",
]


@dataclass(frozen=True, slots=True)
class WatchSettings:
    """How libraries are watched; values out of the configuration, in seconds."""

    debounce_seconds: float = 2.0
    """A scan begins after this time without events,"""
    max_wait_seconds: float | None = None
    """or this time after the first one; None: three times `debounce_seconds`."""
    poll_seconds: float = 300.0
    """How often a library is scanned whose changes the kernel does not tell."""
    reconcile_seconds: float = 3600.0
    """How often every library is scanned, give or take a quarter, for what makes no event."""

    @property
    def longest_wait(self) -> float:
        """Seconds between an event and its scan, however many more events come."""
        return 3 * self.debounce_seconds if self.max_wait_seconds is None else self.max_wait_seconds


class DiskChange(StrEnum):
    """What happened to something on the disk."""

    CREATED = "created"
    WRITTEN = "written"
    """A file that was open for writing was closed."""
    ATTRIBUTES = "attributes"
    MOVED = "moved"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class DiskEvent:
    """One event below the root of one library; paths are relative to it, the empty one is the root itself."""

    change: DiskChange
    path: str
    is_folder: bool
    new_path: str | None = None
    """Where it is now, if it moved inside the library; None with MOVED: it left, or its arrival is told next."""


@dataclass(frozen=True, slots=True)
class PathChange:
    """A file or folder that was renamed, or, without a new path, deleted; normalized paths of one library."""

    old: str
    new: str | None
    is_folder: bool


def path_after(path: str, changes: Iterable[PathChange]) -> str | None:
    """Where the file that was at `path` is after these changes, in their order; None if it was deleted.

    Whether another file took its place since is not asked.
    """
    now = path
    for change in changes:
        if now == change.old:
            rest = ""
        elif change.is_folder and now.startswith(change.old + "/"):
            rest = now[len(change.old) :]
        else:
            continue
        if change.new is None:
            return None
        now = change.new + rest
    return now


class FaultKind(StrEnum):
    """Why events can't be relied on any more."""

    OVERFLOW = "overflow"
    """The kernel's queue was full: events are lost."""
    ROOT = "root"
    """The root was moved, deleted or unmounted."""
    MOUNT = "mount"
    """A disk inside the library was mounted or unmounted."""
    LIMIT = "limit"
    """No more watches, instances or memory for them."""
    STOPPED = "stopped"
    """The reader has ended."""
    BROKEN = "broken"
    """An exception where none should be."""


@dataclass(frozen=True, slots=True)
class WatchFault:
    """One fault, with what is known of it for people."""

    kind: FaultKind
    detail: str


class WatcherState(StrEnum):
    """How a library is watched now."""

    STARTING = "starting"
    WATCHING = "watching"
    DEGRADED = "degraded"
    """Events come, but not for everything: it is polled as well."""
    POLLING = "polling"
    OFFLINE = "offline"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class WatchStatus:
    """One library as its watcher sees it; counters since it was started."""

    library_id: str
    name: str
    root_path: str
    mode: WatchMode
    state: WatcherState
    reason: str | None = None
    """Why it is degraded, polling or offline, and what to do, as a sentence."""
    watched_folders: int = 0
    blind_folders: int = 0
    """Folders without a watch."""
    events: int = 0
    events_by_change: tuple[tuple[DiskChange, int], ...] = ()
    suppressed: int = 0
    """Events that needed no scan of their own: their folder waited for one already."""
    targets: int = 0
    """Folders that were handed to scans."""
    folds: int = 0
    """How often several folders became their parent because there were too many."""
    overflows: int = 0
    rebuilds: int = 0
    faults: tuple[tuple[FaultKind, int], ...] = ()
    scans: int = 0
    pending_targets: int = 0
    """Folders that wait for the next scan."""
    last_event_at: float | None = None
    last_scan_at: float | None = None
    next_whole_scan_at: float | None = None


class WatchMessageType(StrEnum):
    """What a watcher tells its subscribers."""

    WATCHING = "watching"
    """Once, when a library is watched and its first scan is done."""
    SCAN_STARTED = "scan_started"
    SCAN_PROGRESS = "scan_progress"
    SCAN_COMPLETED = "scan_completed"
    SCAN_FAILED = "scan_failed"
    STATE = "state"
    """The state or its reason changed."""


@dataclass(frozen=True, slots=True)
class WatchMessage:
    """One thing that a watcher tells; which of the fields are set depends on the type."""

    type: WatchMessageType
    library_id: str
    time: float
    status: WatchStatus
    targets: tuple[ScanTarget, ...] = ()
    """SCAN_STARTED: what is scanned."""
    progress: ScanProgress | None = None
    report: ScanReport | None = None
    error: str | None = None
