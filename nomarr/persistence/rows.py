"""Rows as both backends store them: how values are written, what is read out of them, and what a reading changes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import MISSING, asdict, fields, replace
from operator import attrgetter
from typing import Any, Final, Protocol

from nomarr.helpers.dto.batches import FileMove, FileUpsert, RowOutcome
from nomarr.helpers.dto.events import ChangeEvent, EventType
from nomarr.helpers.dto.files import FileRecord, FileStat
from nomarr.helpers.dto.library import (
    Library,
    LibraryState,
    RootIdentity,
    ScanTarget,
    TranscodePolicy,
    WatchMode,
)
from nomarr.helpers.dto.scan import HeldBackLosses, InterruptedScan, ScanReport, ScanRun, ScanRunState, ScanState
from nomarr.helpers.dto.tags import AudioTags
from nomarr.helpers.paths_helper import escaped, folder_of, unescaped

__all__ = [
    "DUE_NOW",
    "EVENT_OF",
    "Row",
    "TextSearch",
    "escaped_or_none",
    "event_of",
    "event_of_move",
    "file_record",
    "held_back_from_json",
    "held_back_json",
    "interrupted_scan",
    "library_of",
    "matches",
    "missing_for",
    "read_again",
    "report_from_json",
    "report_json",
    "scan_run_of",
    "scan_state_of",
    "status_after_reading",
    "tags_from_json",
    "tags_json",
    "targets_from_json",
    "targets_json",
    "unescaped_or_none",
]


class Row(Protocol):
    """Values by the names of their columns; both backends use the same names."""

    def __getitem__(self, name: str, /) -> Any: ...

    def keys(self) -> Iterable[str]: ...


DUE_NOW: Final = 0.0
"""`due_at` of what need not wait. Not the time: a clock that was ahead once would let it wait until then."""
EVENT_OF: Final = {
    RowOutcome.INSERTED: EventType.CREATED,
    RowOutcome.UPDATED: EventType.MODIFIED,
    RowOutcome.RESTORED: EventType.RESTORED,
}
"""What the feed says of an upsert; UNCHANGED is no event."""

_DAY_SECONDS: Final = 24 * 3600
_TAG_DEFAULTS: Final = {f.name: () if f.default is MISSING else f.default for f in fields(AudioTags)}
_tag_values = attrgetter(*_TAG_DEFAULTS)
_compact_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def escaped_or_none(text: str | None) -> str | None:
    """Rules and errors tell of file names, so they hold whatever a name holds."""
    return None if text is None else escaped(text)


def unescaped_or_none(text: str | None) -> str | None:
    """The inverse of `escaped_or_none`."""
    return None if text is None else unescaped(text)


def file_record(row: Row) -> FileRecord:
    """A row with everything that is known of a file."""
    tags = tags_from_json(row["tags"])
    if row["duration_seconds"] is not None:
        tags = replace(tags, duration_seconds=row["duration_seconds"])
    return FileRecord(
        file_id=row["file_id"],
        library_id=row["library_id"],
        path=unescaped(row["path"]),
        size=row["size"],
        mtime_ns=row["mtime_ns"],
        ctime_ns=row["ctime_ns"],
        device=row["device"],
        inode=row["inode"],
        tags=tags,
        processing_status=row["processing_status"],
        first_seen_at=row["first_seen_at"],
        updated_at=row["updated_at"],
        last_error=unescaped_or_none(row["last_error"]),
        missing_since=row["missing_since"],
        ignored_by=unescaped_or_none(row["ignored_by"]),
        has_cover=tags.has_cover or bool(row["has_image"]),
        audio_hash=row["audio_hash"],
        cover_id=row["cover_id"],
        content_xxh3=row["content_xxh3"],
        content_sha256=row["content_sha256"],
        fingerprint=row["fingerprint"] if "fingerprint" in row.keys() else None,  # noqa: SIM118 - a row may hold values only
    )


def library_of(row: Row, now: float) -> Library:
    """One library; of one whose settings can't be read at least what it is called, and why it stands still."""
    library = _without_settings(row, now)
    read: dict[str, Any] = {}
    errors: dict[str, ValueError] = {}
    for name, reader in _SETTING_READERS.items():
        try:
            read[name] = reader(row[name])
        except ValueError as error:
            errors[name] = error
    if not errors:
        return replace(library, enabled=bool(row["enabled"]), **read)
    told = "; ".join(f"{name}: {error}" for name, error in errors.items())
    return replace(
        library,
        state=LibraryState.FAILED,
        enabled=False,
        offline_reason=f"its settings can't be read ({told}); set them anew with 'nomarr library edit'",
        unreadable_settings=tuple(errors),
    )


def _patterns(stored: str) -> tuple[str, ...]:
    patterns = json.loads(stored)
    if not isinstance(patterns, list) or not all(isinstance(pattern, str) for pattern in patterns):
        raise ValueError("the ignore patterns are no list of texts")
    return tuple(patterns)


_SETTING_READERS: Final[dict[str, Callable[[Any], object]]] = {
    "watch_mode": WatchMode,
    "ignore_patterns": _patterns,
    "transcode_policy": TranscodePolicy,
}


def _without_settings(row: Row, now: float) -> Library:
    identity = None
    if row["root_inode"] is not None:
        identity = RootIdentity(row["root_device"], row["root_inode"])
    return Library(
        library_id=row["library_id"],
        name=unescaped(row["name"]),
        root_path=unescaped(row["root_path"]),
        root_identity=identity,
        state=_library_state(row, now),
        offline_reason=unescaped_or_none(row["offline_reason"]),
        files=row["rows_of_all"] - row["rows_absent"],
        missing=row["rows_missing"],
        last_scan_started_at=row["last_scan_started_at"],
        last_scan_at=row["last_scan_at"],
    )


def _library_state(row: Row, now: float) -> LibraryState:
    if row["scan_state"] is None and row["offline_reason"] is None:
        return LibraryState.NEW
    if row["scan_state"] == ScanRunState.RUNNING:
        return LibraryState.SCANNING if row["scan_expires_at"] > now else LibraryState.INTERRUPTED
    if row["offline_reason"] is not None:
        return LibraryState.OFFLINE
    return _STATE_AFTER[ScanRunState(row["scan_state"])]


_STATE_AFTER = {
    ScanRunState.COMPLETED: LibraryState.READY,
    ScanRunState.CANCELLED: LibraryState.CANCELLED,
    ScanRunState.FAILED: LibraryState.FAILED,
    ScanRunState.INTERRUPTED: LibraryState.INTERRUPTED,
    ScanRunState.OFFLINE: LibraryState.OFFLINE,
}


def scan_state_of(row: Row) -> ScanState:
    library_id = row["library_id"]
    return ScanState(
        library_id=library_id,
        state=None if row["scan_state"] is None else ScanRunState(row["scan_state"]),
        owner=row["scan_owner"],
        expires_at=row["scan_expires_at"],
        fence=row["scan_fence"],
        scan_id=row["scan_id"],
        last_scan_started_at=row["last_scan_started_at"],
        last_scan_at=row["last_scan_at"],
        full_scan_in_progress=bool(row["full_scan_in_progress"]),
        full_scan_since=row["full_scan_since"],
        targets=targets_from_json(library_id, row["scan_targets"]),
        queued_targets=targets_from_json(library_id, row["queued_targets"]),
        held_back=held_back_from_json(row["held_back"]),
    )


def interrupted_scan(state: ScanState, now: float, dead_owner: str | None) -> InterruptedScan | None:
    """The scan that started, did not end, and whose lease has run out or belongs to `dead_owner`."""
    if state.state is not ScanRunState.RUNNING or state.last_scan_started_at is None:
        return None
    if state.owner != dead_owner and (state.expires_at or 0.0) > now:
        return None
    return InterruptedScan(
        scan_id=state.scan_id,
        started_at=state.last_scan_started_at,
        targets=state.targets,
        full_since=state.full_scan_since,
    )


def event_of_move(move: FileMove, library_id: str) -> tuple[EventType, tuple[str, str] | None]:
    """What the feed of the library says of a file that moved into or inside of it, and where it came from."""
    came_from = (move.from_library_id, move.from_path)
    if move.from_library_id != library_id or folder_of(move.from_path) != folder_of(move.to_path):
        return EventType.MOVED, came_from
    if move.from_path != move.to_path:
        return EventType.RENAMED, came_from
    # It was displaced, and stands at its old place again.
    return EventType.RESTORED, None


def missing_for(seconds: float) -> str:
    """Why a missing file is forgotten, for the feed."""
    days = int(seconds // _DAY_SECONDS)
    return f"missing for {days} {'day' if days == 1 else 'days'}" if days > 0 else "missing for less than a day"


def scan_run_of(row: Row) -> ScanRun:
    return ScanRun(
        scan_id=row["scan_id"],
        library_id=row["library_id"],
        state=ScanRunState(row["state"]),
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        targets=targets_from_json(row["library_id"], row["targets"]),
        full=bool(row["is_full"]),
        error=unescaped_or_none(row["error"]),
        report=report_from_json(row["report"]),
    )


def event_of(row: Row) -> ChangeEvent:
    return ChangeEvent(
        seq=row["seq"],
        time=row["time"],
        type=EventType(row["type"]),
        library_id=row["library_id"],
        file_id=row["file_id"],
        path=unescaped(row["path"]),
        old_path=unescaped_or_none(row["old_path"]),
        evidence=unescaped_or_none(row["evidence"]),
        old_library_id=row["old_library_id"],
    )


def matches(record: FileRecord, query: str) -> bool:
    """True if `query` is in one of the texts that people look for, in any case."""
    # Not LIKE: databases fold the case of ASCII letters only, or of others in their own way.
    wanted = query.casefold()
    texts = (record.path, record.tags.title, record.tags.artist, record.tags.album, record.tags.albumartist)
    return any(wanted in text.casefold() for text in texts if text)


class TextSearch:
    """Tells of many rows quickly, without building their records, which of them `matches` need not look at."""

    def __init__(self, query: str) -> None:
        self._in_path = query.casefold()
        self._in_tags = _compact_json(query)[1:-1].casefold()

    def may_match(self, path: str, tags: str) -> bool:
        """False only if the text is nowhere; both as they are stored. All tags are compared, as JSON."""
        return self._in_tags in tags.casefold() or self._in_path in unescaped(path).casefold()


def read_again(row: Row, upsert: FileUpsert, now: float) -> tuple[RowOutcome, dict[str, Any]]:
    """What became of a known file whose tags were read again, and the columns that this changes."""
    # A file that can't be read any more keeps what it last said.
    tags = row["tags"] if upsert.tags.tags is None else tags_json(upsert.tags.tags)
    known_stat = FileStat(row["size"], row["mtime_ns"], row["ctime_ns"], row["inode"])
    is_other = upsert.stat != known_stat or tags != row["tags"]
    error = escaped_or_none(upsert.tags.error)
    if error is None and not is_other and not _is_of_a_scan(row):
        # It is still the file that enrichment complained of.
        error = row["last_error"]
    status = status_after_reading(row["processing_status"], upsert.tags.error, error)
    before = (*_without_ctime(known_stat), row["tags"], row["last_error"])
    after = (*_without_ctime(upsert.stat), tags, error)
    if row["missing_since"] is not None or row["ignored_by"] is not None:
        outcome = RowOutcome.RESTORED
    else:
        outcome = RowOutcome.UNCHANGED if before == after else RowOutcome.UPDATED
    columns = {
        "size": upsert.stat.size,
        "mtime_ns": upsert.stat.mtime_ns,
        "ctime_ns": upsert.stat.ctime_ns,
        "inode": upsert.stat.inode,
        "device": upsert.device,
        "tags": tags,
        "read_at": upsert.read_at,
        "processing_status": status,
        "last_error": error,
        "attempts": 0 if is_other or upsert.tags.error is not None else row["attempts"],
        "due_at": _due_at(row, upsert, is_new=is_other or status != row["processing_status"]),
        "missing_since": None,
        "ignored_by": None,
        "updated_at": row["updated_at"] if outcome is RowOutcome.UNCHANGED else now,
    }
    return outcome, columns


def _is_of_a_scan(row: Row) -> bool:
    """True if the row's error says that its tags could not be read; enrichment's errors come from an attempt."""
    return bool(row["processing_status"] == "error" and not row["attempts"])


def _without_ctime(stat: FileStat) -> tuple[int, int, int]:
    """What others can see of a file: a new ctime alone is no change of it."""
    return stat.size, stat.mtime_ns, stat.inode


def status_after_reading(before: str, scan_error: str | None, error: str | None) -> str:
    """The processing status after the tags were read; what enrichment reached, or failed with, is kept."""
    if scan_error is not None or (before == "error" and error is not None):
        return "error"
    return "metadata_done" if before in ("pending", "error") else before


def _due_at(row: Row, upsert: FileUpsert, *, is_new: bool) -> float | None:
    """When a file that was read again is to be enriched: never what is broken, nor again what is as it was."""
    if upsert.tags.error is not None:
        return None
    due_at: float | None = row["due_at"]
    # What became due anew stays so: who works on it just now has to see that.
    return min(due_at or DUE_NOW, DUE_NOW) if is_new else due_at


def tags_json(tags: AudioTags) -> str:
    """Only what the file says: the same tags always give the same text."""
    tags_said = zip(_TAG_DEFAULTS, _tag_values(tags), _TAG_DEFAULTS.values(), strict=True)
    text = _compact_json({name: value for name, value, default in tags_said if value != default})
    # A broken tag may hold half of a surrogate pair, which no database takes.
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def tags_from_json(text: str) -> AudioTags:
    """The inverse of `tags_json`; names that this version does not know are left out."""
    said: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in json.loads(text).items()
        if name in _TAG_DEFAULTS
    }
    return AudioTags(**said)


def targets_json(targets: Sequence[ScanTarget]) -> str:
    """Folders and whether they are meant with everything below."""
    return json.dumps([[escaped(target.folder_path), target.recursive] for target in targets])


def targets_from_json(library_id: str, text: str) -> tuple[ScanTarget, ...]:
    """The inverse of `targets_json`."""
    return tuple(ScanTarget(library_id, unescaped(folder), recursive) for folder, recursive in json.loads(text))


def held_back_json(losses: HeldBackLosses | None) -> str | None:
    """JSON, or NULL for none."""
    return None if losses is None else json.dumps(asdict(losses))


def held_back_from_json(text: str | None) -> HeldBackLosses | None:
    """The inverse of `held_back_json`."""
    return None if text is None else HeldBackLosses(**json.loads(text))


def report_json(report: ScanReport | None) -> str | None:
    """JSON, or NULL for a scan that left no report."""
    return None if report is None else json.dumps(asdict(report))


def report_from_json(text: str | None) -> ScanReport | None:
    """The inverse of `report_json`; counters that this version does not know are left out."""
    if text is None:
        return None
    values = json.loads(text)
    known = {f.name: values[f.name] for f in fields(ScanReport) if f.name in values}
    return ScanReport(**{**known, "state": ScanRunState(known["state"]), "warnings": tuple(known["warnings"])})
