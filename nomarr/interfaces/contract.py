"""Values as JSON objects. The keys are a contract: programs are written against them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from nomarr.helpers.dto.scan import ScanProgress
from nomarr.helpers.dto.watching import WatchMessageType
from nomarr.helpers.time_helper import iso8601

if TYPE_CHECKING:
    from nomarr.helpers.dto.answers import DuplicateGroup, Explanation, Verification
    from nomarr.helpers.dto.enrichment import EnrichmentProgress, EnrichmentReport
    from nomarr.helpers.dto.events import ChangeEvent
    from nomarr.helpers.dto.files import FileRecord, Playlist, PlaylistEntry
    from nomarr.helpers.dto.library import Library, ScanTarget
    from nomarr.helpers.dto.scan import HeldBackLosses, ScanReport, ScanRun
    from nomarr.helpers.dto.stored import ContentCheck, CopyReport
    from nomarr.helpers.dto.tokens import KeptToken
    from nomarr.helpers.dto.upkeep import PurgeReport, UndoneMove
    from nomarr.helpers.dto.watching import WatchMessage, WatchStatus
    from nomarr.services.infrastructure.doctor_svc import Check

__all__ = [
    "JsonObject",
    "check_object",
    "content_check_object",
    "copy_object",
    "duplicate_object",
    "enrichment_object",
    "enrichment_report_object",
    "event_object",
    "explanation_object",
    "file_object",
    "held_back_object",
    "library_object",
    "playlist_entry_object",
    "playlist_object",
    "purge_object",
    "report_object",
    "run_object",
    "status_object",
    "target_object",
    "token_object",
    "undone_move_object",
    "verification_object",
    "watch_object",
]

JsonObject = dict[str, Any]

_TAGS: Final = ("title", "artist", "album", "albumartist", "track", "disc", "year", "genre")
_PROPERTIES: Final = ("duration_seconds", "bitrate", "format")
_SHOWN_ELSEWHERE: Final = {*_TAGS, *_PROPERTIES, "has_cover"}


def library_object(library: Library) -> JsonObject:
    """A library."""
    return {
        "library_id": library.library_id,
        "name": library.name,
        "root_path": library.root_path,
        "watch_mode": library.watch_mode,
        "state": library.state,
        "files": library.files,
        "missing": library.missing,
        "last_scan_at": iso8601(library.last_scan_at),
        "last_scan_started_at": iso8601(library.last_scan_started_at),
        "enabled": library.enabled,
        "ignore_patterns": library.ignore_patterns,
        "transcode_policy": library.transcode_policy,
        "offline_reason": library.reason,
    }


def report_object(report: ScanReport) -> JsonObject:
    """What a scan did."""
    return asdict(report)


def enrichment_report_object(report: EnrichmentReport) -> JsonObject:
    """What enrichment did."""
    return asdict(report)


def run_object(run: ScanRun) -> JsonObject:
    """One scan of the history."""
    return {
        "scan_id": run.scan_id,
        "library_id": run.library_id,
        "state": run.state,
        "started_at": iso8601(run.started_at),
        "ended_at": iso8601(run.ended_at),
        "targets": [target_object(target) for target in run.targets],
        "full": run.full,
        "error": run.error,
        "report": None if run.report is None else report_object(run.report),
    }


def file_object(record: FileRecord, *, wide: bool = False) -> JsonObject:
    """A file; `wide` adds hashes, times and every other tag."""
    tags = record.tags
    shown = {
        "file_id": record.file_id,
        "path": record.path,
        "size": record.size,
        "mtime_ns": record.mtime_ns,
        "inode": record.inode,
        **_picked(tags, _TAGS),
        **_picked(tags, _PROPERTIES),
        "processing_status": record.processing_status,
        "last_error": record.last_error,
        "missing_since": iso8601(record.missing_since),
        "has_cover": record.has_cover,
    }
    return shown | _wide_part(record) if wide else shown


def duplicate_object(group: DuplicateGroup) -> JsonObject:
    """Files that hold the same music."""
    return {
        "kind": group.kind,
        "files": [file_object(record) | {"audio_hash": record.audio_hash} for record in group.files],
    }


def verification_object(verification: Verification) -> JsonObject:
    """Database against disk."""
    return {
        "equal": verification.equal,
        "not_in_database": verification.not_in_database,
        "not_on_disk": verification.not_on_disk,
        "stale": verification.stale,
        "warnings": verification.warnings,
    }


def explanation_object(explanation: Explanation) -> JsonObject:
    """Why a path is or isn't in a library."""
    return {
        "path": explanation.path,
        "state": explanation.state,
        "reason": explanation.reason,
        "library": explanation.library,
        "library_id": explanation.library_id,
        "file_id": explanation.file_id,
        "rule": explanation.rule,
        "rule_file": explanation.rule_file,
        "error": explanation.error,
        "last_seen": iso8601(explanation.last_seen),
    }


def event_object(event: ChangeEvent) -> JsonObject:
    """One change of one file."""
    return {
        "seq": event.seq,
        "time": iso8601(event.time),
        "type": event.type,
        "library_id": event.library_id,
        "file_id": event.file_id,
        "path": event.path,
        "old_path": event.old_path,
        "old_library_id": event.old_library_id,
        "evidence": event.evidence,
    }


def purge_object(report: PurgeReport) -> JsonObject:
    """What was purged, or would be."""
    return asdict(report) | {"files": report.files}


def undone_move_object(undone: UndoneMove) -> JsonObject:
    """Where a file was put back, and what became of the other one."""
    return asdict(undone)


def content_check_object(check: ContentCheck) -> JsonObject:
    """What is wrong with the contents of a database."""
    return {"consistent": check.is_consistent} | asdict(check)


def copy_object(report: CopyReport) -> JsonObject:
    """What was copied, table by table."""
    return asdict(report) | {"rows": report.rows}


def playlist_object(playlist: Playlist) -> JsonObject:
    """A playlist with its entries."""
    return {
        "library_id": playlist.library_id,
        "path": playlist.path,
        "entries": [playlist_entry_object(entry) for entry in playlist.entries],
        "error": playlist.error,
    }


def playlist_entry_object(entry: PlaylistEntry) -> JsonObject:
    """A line of a playlist."""
    return {"text": entry.text, "file_id": entry.file_id}


def enrichment_object(progress: EnrichmentProgress, now: float) -> JsonObject:
    """How far enrichment of all libraries is."""
    return {
        "type": "enrichment",
        "time": iso8601(now),
        "state": progress.state,
        "step": progress.step,
        "steps_done": progress.steps_done,
        "steps_total": progress.steps_total,
        "files_failed": progress.files_failed,
        "problem": progress.problem,
    }


def watch_object(message: WatchMessage) -> JsonObject:
    """What a watcher tells; the type says which keys there are."""
    said = {"type": message.type, "library_id": message.library_id}
    if message.type is WatchMessageType.WATCHING:
        return said
    return said | {"time": iso8601(message.time)} | _watch_part(message)


def status_object(status: WatchStatus) -> JsonObject:
    """A library as its watcher sees it."""
    return {
        "library_id": status.library_id,
        "name": status.name,
        "root_path": status.root_path,
        "mode": status.mode,
        **_status_part(status),
    }


def check_object(check: Check) -> JsonObject:
    """One thing that `doctor` looked at."""
    return asdict(check)


def held_back_object(library_id: str, losses: HeldBackLosses | None) -> JsonObject:
    """Files that can't be found, of which nobody has said yet that they are really gone."""
    return {
        "library_id": library_id,
        "files": 0 if losses is None else losses.files,
        "first_seen_at": None if losses is None else iso8601(losses.first_seen_at),
        "sightings": 0 if losses is None else losses.sightings,
    }


def _watch_part(message: WatchMessage) -> JsonObject:
    match message.type:
        case WatchMessageType.SCAN_STARTED:
            return {"targets": [target_object(target) for target in message.targets]}
        case WatchMessageType.SCAN_PROGRESS:
            return asdict(message.progress or ScanProgress())
        case WatchMessageType.SCAN_COMPLETED:
            return {"report": None if message.report is None else report_object(message.report)}
        case WatchMessageType.SCAN_FAILED:
            return {"error": message.error}
        case _:
            return _status_part(message.status)


def _status_part(status: WatchStatus) -> JsonObject:
    return {
        "state": status.state,
        "reason": status.reason,
        "counters": {
            "watched_folders": status.watched_folders,
            "blind_folders": status.blind_folders,
            "events": status.events,
            "targets": status.targets,
            "folds": status.folds,
            "overflows": status.overflows,
            "rebuilds": status.rebuilds,
            "faults": {kind.value: number for kind, number in status.faults},
            "scans": status.scans,
            "pending_targets": status.pending_targets,
        },
        "last_event_at": iso8601(status.last_event_at),
        "last_scan_at": iso8601(status.last_scan_at),
        "next_whole_scan_at": iso8601(status.next_whole_scan_at),
    }


def target_object(target: ScanTarget) -> JsonObject:
    """A folder to scan."""
    return {"folder_path": target.folder_path, "recursive": target.recursive}


def _wide_part(record: FileRecord) -> JsonObject:
    tags = asdict(record.tags)
    return {
        "audio_hash": record.audio_hash,
        "fingerprint": record.fingerprint,
        "cover_id": record.cover_id,
        "content_xxh3": record.content_xxh3,
        "content_sha256": record.content_sha256,
        **{name: value for name, value in tags.items() if name not in _SHOWN_ELSEWHERE},
        "library_id": record.library_id,
        "ctime_ns": record.ctime_ns,
        "device": record.device,
        "first_seen_at": iso8601(record.first_seen_at),
        "updated_at": iso8601(record.updated_at),
        "ignored_by": record.ignored_by,
    }


def _picked(source: object, names: Iterable[str]) -> JsonObject:
    return {name: getattr(source, name) for name in names}


def token_object(token: KeptToken) -> JsonObject:
    """What is kept of a token."""
    return {
        "token_id": token.token_id,
        "name": token.name,
        "scope": token.scope,
        "created_at": iso8601(token.created_at),
        "expires_at": iso8601(token.expires_at),
    }
