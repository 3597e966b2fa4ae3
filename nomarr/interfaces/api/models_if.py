"""The shapes of questions and answers, for the OpenAPI document. `contract` makes the answers."""

from __future__ import annotations

from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from nomarr.helpers.dto.answers import DuplicateKind
from nomarr.helpers.dto.library import LibraryState, TranscodePolicy, WatchMode
from nomarr.helpers.dto.scan import ScanPhase, ScanRunState
from nomarr.helpers.dto.tokens import LONGEST_TOKEN_NAME, UNNAMED_TOKEN, TokenScope
from nomarr.helpers.dto.watching import WatcherState
from nomarr.interfaces.api.context_if import PathText
from nomarr.interfaces.api.scan_requests_if import RequestState

Item = TypeVar("Item")
Time = str
"""ISO 8601 in UTC."""


class Shape(BaseModel):
    """Exactly these members."""

    model_config = ConfigDict(extra="forbid")


class Page(Shape, Generic[Item]):
    """Some of many; `next_cursor` asks for the next ones, null: these were the last."""

    items: list[Item]
    next_cursor: str | None


class LibraryShape(Shape):
    """A library."""

    library_id: str
    name: str
    root_path: str
    watch_mode: WatchMode
    state: LibraryState
    files: int
    missing: int
    last_scan_at: Time | None
    last_scan_started_at: Time | None
    enabled: bool
    ignore_patterns: list[str]
    transcode_policy: TranscodePolicy
    offline_reason: str | None


class NewLibrary(Shape):
    """A folder that becomes a library."""

    name: str = Field(min_length=1, max_length=200)
    path: PathText
    watch_mode: WatchMode = WatchMode.AUTO
    ignore_patterns: list[str] = Field(default_factory=list, max_length=1000)
    transcode_policy: TranscodePolicy = TranscodePolicy.KEEP_ID


class LibraryChanges(Shape):
    """What is to be changed; what is left out stays."""

    name: str | None = Field(default=None, min_length=1, max_length=200)
    watch_mode: WatchMode | None = None
    enabled: bool | None = None
    ignore_patterns: list[str] | None = Field(default=None, max_length=1000)
    transcode_policy: TranscodePolicy | None = None


class PatternProblemShape(Shape):
    """An ignore pattern that can't mean what it says."""

    pattern: str
    problem: str
    """Why."""


class NewPlace(Shape):
    """Where a library is now."""

    path: PathText


class NewWatchMode(Shape):
    """How a library is watched from now on."""

    watch_mode: WatchMode


class SessionShape(Shape):
    """Whether a browser uses a token."""

    has_token: bool


class NewSession(Shape):
    """With which token a browser may use the service."""

    token: str = Field(min_length=1, max_length=4000, pattern="^[A-Za-z0-9._-]+$")


class NewToken(Shape):
    """What a token is called, what it is to be good for, and for how long."""

    name: str = Field(default=UNNAMED_TOKEN, min_length=1, max_length=LONGEST_TOKEN_NAME)
    """All of it printable."""
    scope: TokenScope = TokenScope.READ
    days: float = Field(default=90, ge=0.01, le=36_500)


class KeptTokenShape(Shape):
    """What is kept of a token."""

    token_id: str
    name: str
    scope: TokenScope
    created_at: Time
    expires_at: Time


class TokenShape(KeptTokenShape):
    """A new token."""

    token: str
    """What a client shows; it is told only this once."""


class TargetShape(Shape):
    """A folder to scan, relative to the library's root; the empty path is all of it."""

    folder_path: PathText = ""
    recursive: bool = True


class NewScan(Shape):
    """What is to be scanned, and how."""

    folders: list[TargetShape] = Field(default_factory=list, max_length=1000)
    """None: the whole library."""
    full: bool = False
    """Read every file's tags again."""
    dry_run: bool = False
    """Say what would be done and write nothing."""
    accept_losses: bool = False
    """Believe that files are gone, however many."""


class ProgressShape(Shape):
    """How far a scan is."""

    phase: ScanPhase
    folders_done: int
    folders_total: int | None
    files_done: int
    files_total: int | None
    current_folder: str
    files_per_second: float
    eta_seconds: float | None


class ReportShape(Shape):
    """What a scan did, in files."""

    scan_id: str
    library_id: str
    state: ScanRunState
    folders_scanned: int
    folders_unchanged: int
    files_scanned: int
    files_processed: int
    files_added: int
    files_updated: int
    files_unchanged: int
    files_moved: int
    files_missing: int
    files_restored: int
    files_ignored: int
    files_failed: int
    files_held_back: int
    playlists_changed: int
    images_changed: int
    changes_detected: bool
    batches_written: int
    duration_seconds: float
    dry_run: bool
    warnings: list[str]


class ScanRequestShape(Shape):
    """A scan that a client asked for."""

    request_id: str
    library_id: str
    state: RequestState
    asked_at: Time
    targets: list[TargetShape]
    """In a list only the first ten of them."""
    target_count: int
    full: bool
    dry_run: bool
    accept_losses: bool
    progress: ProgressShape
    report: ReportShape | None
    error: str | None


class RunningScanShape(Shape):
    """The scan of a library that runs in this service now, whoever began it."""

    library_id: str
    running: bool
    targets: list[TargetShape]
    full: bool
    dry_run: bool
    progress: ProgressShape | None


class RunShape(Shape):
    """A scan of the history."""

    scan_id: str
    library_id: str
    state: ScanRunState
    started_at: Time
    ended_at: Time | None
    targets: list[TargetShape]
    full: bool
    error: str | None
    report: ReportShape | None


class HeldBackShape(Shape):
    """Files that can't be found, of which nobody has said yet that they are really gone."""

    library_id: str
    files: int
    first_seen_at: Time | None
    sightings: int


class FileShape(Shape):
    """A file; with `wide` hashes, times and every other tag, too."""

    model_config = ConfigDict(extra="allow")

    file_id: str
    path: str
    size: int
    mtime_ns: int
    inode: int
    title: str | None
    artist: str | None
    album: str | None
    albumartist: str | None
    track: int | None
    disc: int | None
    year: int | None
    genre: str | None
    duration_seconds: float | None
    bitrate: int | None
    format: str | None
    processing_status: str
    last_error: str | None
    missing_since: Time | None
    has_cover: bool
    library_id: str
    cover_id: str | None


class EventShape(Shape):
    """A change of a file."""

    seq: int
    time: Time
    type: str
    library_id: str
    file_id: str
    path: str
    old_path: str | None
    old_library_id: str | None
    evidence: str | None


class ExplanationShape(Shape):
    """Why a path is or isn't in a library."""

    path: str
    state: str
    reason: str
    library: str | None
    library_id: str | None
    file_id: str | None
    rule: str | None
    rule_file: str | None
    error: str | None
    last_seen: Time | None


class DuplicatesShape(Shape):
    """Files that hold the same music."""

    kind: DuplicateKind
    files: list[dict[str, Any]]
    """Each as `nomarr files` prints it, with `audio_hash`."""


class PlaylistShape(Shape):
    """A playlist, without its entries."""

    library_id: str
    path: str
    error: str | None


class EntryShape(Shape):
    """A line of a playlist, and the file that it means."""

    text: str
    file_id: str | None


class StatusShape(Shape):
    """A library as its watcher sees it."""

    library_id: str
    name: str
    root_path: str
    mode: WatchMode
    state: WatcherState
    reason: str | None
    counters: dict[str, Any]
    last_event_at: Time | None
    last_scan_at: Time | None
    next_whole_scan_at: Time | None


class CheckShape(Shape):
    """Something that was looked at, and what to do if it is not right."""

    name: str
    status: Literal["ok", "warn", "error"]
    detail: str
    remedy: str | None


class HealthShape(Shape):
    """Whether the service runs."""

    status: Literal["ok"]


class ReadyShape(Shape):
    """Whether the service can answer questions."""

    ready: bool


class LogLineShape(Shape):
    """A line of the log."""

    number: int
    time: Time
    level: str
    logger: str
    message: str


class FolderShape(Shape):
    """A folder that may become a library."""

    name: str
    path: str


class FoldersShape(Shape):
    """The folders in a folder; without a path the roots that may be browsed."""

    path: str
    parent: str | None
    folders: list[FolderShape]


class SettingsShape(Shape):
    """Settings as they are in force."""

    settings: dict[str, Any]
    changeable: list[str]
    """Those that can be changed while the service runs."""
    overridden: list[str]
    """Those that were changed over HTTP, and win over the configuration."""
    unreadable: list[str]
    """Those of the database of which nobody can tell what was chosen. Until they are chosen again, nothing is purged
    if the retention is one of them, and the configured patterns hold."""
