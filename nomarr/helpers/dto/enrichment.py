"""What is found out about a file after the scan: the slow things, one file after the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from nomarr.helpers.dto.files import FileStat, KnownFile

__all__ = [
    "DueWork",
    "Enrichment",
    "EnrichmentHooks",
    "EnrichmentJob",
    "EnrichmentOptions",
    "EnrichmentProgress",
    "EnrichmentReport",
    "EnrichmentState",
    "EnrichmentStep",
    "EnrichmentUpdate",
    "KnownSound",
    "ProcessingStatus",
    "ThumbnailSize",
]


class ProcessingStatus(StrEnum):
    """How far a file is. A scan sets the first two and `ERROR`; everything else is enrichment's."""

    PENDING = "pending"
    METADATA_DONE = "metadata_done"
    """Its tags are read."""
    ART_DONE = "art_done"
    """Its audio hash and its cover are known, too."""
    COMPLETE = "complete"
    """Its fingerprint and its exact length are known, too."""
    ERROR = "error"


class ThumbnailSize(IntEnum):
    """The longest side of a cover's small copies, in pixels, the smallest first."""

    LIST = 96
    SHELF = 600


class EnrichmentStep(StrEnum):
    """The two halves of the work: all files have the quick one before any has the slow one."""

    ART = "art"
    """Audio hash, content hashes and cover: one look into the file."""
    SOUND = "sound"
    """Fingerprint and exact length: the sound has to be decoded."""


@dataclass(frozen=True, slots=True)
class Enrichment:
    """What is known of one file beside what a scan finds."""

    hashed_stat: FileStat
    """The file's numbers when its hashes were taken: other numbers now mean that they may not hold any more."""
    audio_hash: str | None = None
    """32 hexadecimal digits; None for a file in which no audio could be told from tags."""
    audio_bytes: int | None = None
    """Length of the audio without tags, covers and padding."""
    content_xxh3: str | None = None
    content_sha256: str | None = None
    fingerprint: str | None = None
    """Compressed chromaprint; None until it is made, and for what is too short or silent."""
    fingerprint_seconds: float | None = None
    """The length of the sound as the fingerprint's maker saw it."""
    duration_seconds: float | None = None
    """Measured; only for files whose header gives an estimate."""
    cover_id: str | None = None

    def is_of(self, stat: FileStat) -> bool:
        """True if the hashes are certainly those of a file with these numbers. A rename changes the ctime only."""
        return (self.hashed_stat.size, self.hashed_stat.mtime_ns) == (stat.size, stat.mtime_ns)


@dataclass(frozen=True, slots=True)
class EnrichmentJob:
    """A file that waits for one of the two steps."""

    step: EnrichmentStep
    file_id: str
    library_id: str
    path: str
    stat: FileStat
    device: int
    status: ProcessingStatus
    attempts: int
    """How often it failed since it last changed."""
    known: Enrichment | None
    """What an earlier step or an earlier state of the file gave."""
    due_at: float
    """Since when it waits."""
    error: str | None = None
    """What an earlier step complained of."""


@dataclass(frozen=True, slots=True)
class EnrichmentUpdate:
    """The outcome of a step. Written only if the file still has the numbers that the step worked with, and if nothing
    has made it due anew meanwhile, such as another image in its folder."""

    file_id: str
    stat: FileStat
    status: ProcessingStatus
    due_at: float | None
    """When the file is to be worked on (again), in seconds since 1970; None: it is done."""
    found: Enrichment | None = None
    """None leaves what is stored."""
    error: str | None = None
    attempts: int = 0
    job_due_at: float | None = None
    """`EnrichmentJob.due_at` of the step; None: whenever it became due."""


@dataclass(frozen=True, slots=True)
class DueWork:
    """How much there is to do."""

    art: int = 0
    sound: int = 0
    failed: int = 0
    """Files with an error, whether they will be tried again or not."""
    next_due_at: float | None = None
    """When the first file that has to wait may be tried again."""
    later: int = 0
    """Files that have to wait: they failed, or changed since their scan."""
    given_up: int = 0
    """Files that failed for good: they have to change first."""

    @property
    def files(self) -> int:
        """Files that can be worked on now."""
        return self.art + self.sound

    @property
    def unfinished(self) -> int:
        """Files of which something is not known yet."""
        return self.files + self.later + self.given_up


class EnrichmentState(StrEnum):
    """What enrichment is doing."""

    IDLE = "idle"
    RUNNING = "running"
    PAUSED = "paused"
    """A scan runs, which comes first."""
    BUSY = "busy"
    """Another process enriches this database."""
    FAILED = "failed"
    """The database or the cover folder can't be used; it is tried again later."""


@dataclass(frozen=True, slots=True)
class EnrichmentProgress:
    """How far it is; a value that everything can subscribe to."""

    state: EnrichmentState = EnrichmentState.IDLE
    step: EnrichmentStep = EnrichmentStep.ART
    steps_done: int = 0
    steps_total: int = 0
    """A new file takes two."""
    files_failed: int = 0
    steps_per_second: float = 0.0
    """Of the present step."""
    eta_seconds: float | None = None
    """None until the slow step has begun."""
    problem: str | None = None
    """Why it is BUSY or FAILED."""


@dataclass(frozen=True, slots=True)
class EnrichmentReport:
    """What one run did. `files_completed` have nothing left to do; the others had one of the two steps."""

    files_completed: int = 0
    files_failed: int = 0
    steps_done: int = 0
    duration_seconds: float = 0.0
    warnings: tuple[str, ...] = ()

    def __add__(self, later: EnrichmentReport) -> EnrichmentReport:
        """Both runs as one, each warning once."""
        return EnrichmentReport(
            files_completed=self.files_completed + later.files_completed,
            files_failed=self.files_failed + later.files_failed,
            steps_done=self.steps_done + later.steps_done,
            duration_seconds=round(self.duration_seconds + later.duration_seconds, 6),
            warnings=tuple(dict.fromkeys(self.warnings + later.warnings)),
        )


@dataclass(frozen=True, slots=True)
class EnrichmentOptions:
    """How to enrich: values, not copies of the code."""

    cover_folder: str
    """Where covers are stored; absolute. It belongs to one database alone."""
    workers: int = 2
    """Files worked on at a time; from a disk that turns one at a time is read."""
    file_timeout_seconds: float = 120.0
    """How long one step of a file may take."""
    content_hashes: bool = False
    """Hash whole files too."""


def _ignore_progress(_: EnrichmentProgress) -> None:
    """Nobody watches."""


@dataclass(frozen=True, slots=True)
class EnrichmentHooks:
    """Who is told."""

    on_progress: Callable[[EnrichmentProgress], None] = _ignore_progress


@dataclass(frozen=True, slots=True)
class KnownSound:
    """A known file and the sound that it is known by."""

    file: KnownFile
    known: Enrichment
    title: str | None = None
    artist: str | None = None
    duration_seconds: float | None = None

    @property
    def is_verified(self) -> bool:
        """True if the file has not changed since its hashes were taken."""
        return self.known.is_of(self.file.stat)
