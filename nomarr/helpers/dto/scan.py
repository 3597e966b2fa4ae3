"""What a scan is asked, how far it is, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import Final, NamedTuple

from nomarr.helpers.dto.library import FileRules, ScanTarget

__all__ = [
    "LONGEST_LEASE_SECONDS",
    "HeldBackLosses",
    "InterruptedScan",
    "Lease",
    "LeaseOwner",
    "ScanHooks",
    "ScanOptions",
    "ScanPhase",
    "ScanPlace",
    "ScanProgress",
    "ScanReport",
    "ScanRun",
    "ScanRunState",
    "ScanState",
    "SeenLease",
]

LONGEST_LEASE_SECONDS: Final = 3600.0
"""No scan asks for more, and each renews its lease several times in its length."""


class ScanRunState(StrEnum):
    """How one scan stands or ended. A handled failure, a cancellation and a crash are three different things."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    OFFLINE = "offline"


class ScanPhase(StrEnum):
    """What a scan is doing now."""

    WALKING = "walking"
    MOVING = "moving"
    READING = "reading"
    FINISHING = "finishing"
    SETTLING = "settling"


@dataclass(frozen=True, slots=True)
class ScanProgress:
    """How far a scan is; a value that everything can subscribe to."""

    phase: ScanPhase = ScanPhase.WALKING
    folders_done: int = 0
    folders_total: int | None = None
    """As many as the last scan knew; None for a first scan."""
    files_done: int = 0
    """Files whose tags were read."""
    files_total: int | None = None
    """Files to read; None while walking."""
    current_folder: str = ""
    files_per_second: float = 0.0
    eta_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class ScanReport:
    """What one scan did, in files.

    `files_scanned` were looked at, `files_processed` were read. `changes_detected` is true only if a row changed.
    """

    scan_id: str
    library_id: str
    state: ScanRunState
    folders_scanned: int = 0
    folders_unchanged: int = 0
    files_scanned: int = 0
    files_processed: int = 0
    files_added: int = 0
    files_updated: int = 0
    files_unchanged: int = 0
    files_moved: int = 0
    files_missing: int = 0
    files_restored: int = 0
    files_ignored: int = 0
    files_failed: int = 0
    files_held_back: int = 0
    playlists_changed: int = 0
    images_changed: int = 0
    changes_detected: bool = False
    batches_written: int = 0
    duration_seconds: float = 0.0
    dry_run: bool = False
    warnings: tuple[str, ...] = ()

    @classmethod
    def combined(cls, reports: Iterable[ScanReport]) -> ScanReport:
        """One report for several libraries: counters add up, the worst state is told.

        Raises:
            ValueError: if there are no reports.
        """
        every = list(reports)
        if not every:
            raise ValueError("no reports to combine")
        if len(every) == 1:
            return every[0]
        counters = {name: sum(getattr(report, name) for report in every) for name in _COUNTERS}
        return replace(
            every[0],
            scan_id=",".join(report.scan_id for report in every),
            library_id=",".join(report.library_id for report in every),
            state=max((report.state for report in every), key=_WORST_LAST.index),
            changes_detected=any(report.changes_detected for report in every),
            duration_seconds=max(report.duration_seconds for report in every),
            warnings=tuple(warning for report in every for warning in report.warnings),
            **counters,
        )


_COUNTERS: Final = tuple(
    f.name for f in fields(ScanReport) if f.name.startswith(("folders_", "files_", "playlists_", "images_", "batches_"))
)
_WORST_LAST: Final = (
    ScanRunState.RUNNING,
    ScanRunState.COMPLETED,
    ScanRunState.CANCELLED,
    ScanRunState.INTERRUPTED,
    ScanRunState.OFFLINE,
    ScanRunState.FAILED,
)


@dataclass(frozen=True, slots=True)
class SeenLease:
    """Who has a lease, and when it ends as it was renewed last."""

    owner: str
    expires_at: float

    def ends_too_late(self, now: float) -> bool:
        """True if it was taken by a clock that is ahead of ours, or ours was set back since."""
        return self.expires_at > now + LONGEST_LEASE_SECONDS


@dataclass(frozen=True, slots=True)
class LeaseOwner:
    """A process that holds or wants a lease; `str()` is what is stored."""

    host: str
    """Machine, boot and process namespace: process ids mean something only inside it."""
    pid: int
    started: int
    """The process's start time in kernel ticks, because process ids are used again."""
    token: str

    def __str__(self) -> str:
        return f"{self.host}|{self.pid}|{self.started}|{self.token}"

    @classmethod
    def parse(cls, text: str) -> LeaseOwner | None:
        """The owner behind a stored text, None if it was written by something else."""
        match text.split("|"):
            case [host, pid, started, token] if pid.isdigit() and started.isdigit():
                return cls(host, int(pid), int(started), token)
        return None


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to scan one library now; every write of the scan proves it by owner and fence."""

    library_id: str
    owner: str
    fence: int
    started_at: float


@dataclass(frozen=True, slots=True)
class HeldBackLosses:
    """Losses that the mass-loss brake holds back until somebody confirms them or time does."""

    files: int
    first_seen_at: float
    sightings: int


@dataclass(frozen=True, slots=True)
class ScanState:
    """The scan side of a library's row."""

    library_id: str
    state: ScanRunState | None
    """The last scan's; None if there was none. RUNNING with a lease that has run out means interrupted."""
    owner: str | None
    expires_at: float | None
    fence: int
    scan_id: str | None
    last_scan_started_at: float | None
    last_scan_at: float | None
    full_scan_in_progress: bool
    full_scan_since: float | None
    targets: tuple[ScanTarget, ...] = ()
    """Of the running or interrupted scan."""
    queued_targets: tuple[ScanTarget, ...] = ()
    held_back: HeldBackLosses | None = None


@dataclass(frozen=True, slots=True)
class InterruptedScan:
    """A scan that started and neither completed nor told why: the process or machine died."""

    scan_id: str | None
    started_at: float
    targets: tuple[ScanTarget, ...]
    full_since: float | None
    """When the full scan began whose folders are not all read yet; None for a quick scan."""


class ScanPlace(NamedTuple):
    """Where the history of scans goes on: with what began before this scan."""

    started_at: float
    scan_id: str


@dataclass(frozen=True, slots=True)
class ScanRun:
    """One scan in the history."""

    scan_id: str
    library_id: str
    state: ScanRunState
    started_at: float
    ended_at: float | None
    targets: tuple[ScanTarget, ...]
    full: bool
    error: str | None = None
    report: ScanReport | None = None

    @property
    def place(self) -> ScanPlace:
        """Where it stands in the history."""
        return ScanPlace(self.started_at, self.scan_id)


def _ignore_progress(_: ScanProgress) -> None:
    """Nobody watches."""


@dataclass(frozen=True, slots=True)
class ScanOptions:
    """How to scan: values, not copies of the code."""

    full: bool = False
    dry_run: bool = False
    accept_losses: bool = False
    resume: bool = True
    """Take the targets of an interrupted scan along."""
    look_again: bool = True
    """Wait until just-written folders have settled and look at them once more; otherwise they are handed back."""
    batch_size: int = 200
    tag_workers: int = 2
    settle_seconds: float = 2.0
    lease_seconds: float = 60.0
    file_timeout_seconds: float = 30.0
    """A file whose tags take longer to read gets an error."""
    root_marker: str = ""
    """Name of a file that must be in a library's root; without it the library is offline. Empty for none."""
    file_rules: FileRules = field(default_factory=FileRules)
    """What holds when the scan begins, whatever it was when somebody asked for it."""


@dataclass(frozen=True, slots=True)
class ScanHooks:
    """Whom a scan tells how far it is."""

    on_progress: Callable[[ScanProgress], None] = field(default=_ignore_progress)
