"""What questions and answers look like: an example for each shape, parameter and text of the OpenAPI document."""

from __future__ import annotations

from typing import Any, Final

from nomarr.interfaces.contract import JsonObject

__all__ = ["PARAMETERS", "SHAPES", "TEXTS"]

_LIBRARY_ID: Final = "3b6c0f0f6a5e4bd5a1c5f8f2a7f7c0de"
_FILE_ID: Final = "9f1c2d3e4b5a69788796a5b4c3d2e1f0"
_COVER_ID: Final = "0cc175b9c0f1b6a831c399e269772661"
_REQUEST_ID: Final = "d41d8cd98f00b204e9800998ecf8427e"
_SCAN_ID: Final = "900150983cd24fb0d6963f7d28e17f72"
_TOKEN: Final = "eyJhbGciOiJIUzI1NiJ9.e30.x"
_KEPT_TOKEN: Final = {
    "token_id": "5d41402abc4b2a76",
    "name": "kitchen tablet",
    "scope": "read",
    "created_at": "2026-01-31T12:00:00.000Z",
    "expires_at": "2026-03-02T12:00:00.000Z",
}
_STARTED: Final = "2026-01-31T12:00:00.000Z"
_ENDED: Final = "2026-01-31T12:00:04.250Z"
_TARGET: Final = {"folder_path": "Rock/Beatles", "recursive": True}

_PROGRESS: Final = {
    "phase": "reading",
    "folders_done": 12,
    "folders_total": 40,
    "files_done": 96,
    "files_total": 320,
    "current_folder": "Rock/Beatles",
    "files_per_second": 210.5,
    "eta_seconds": 1.1,
}
_REPORT: Final = {
    "scan_id": _SCAN_ID,
    "library_id": _LIBRARY_ID,
    "state": "completed",
    "folders_scanned": 40,
    "folders_unchanged": 28,
    "files_scanned": 320,
    "files_processed": 12,
    "files_added": 10,
    "files_updated": 2,
    "files_unchanged": 308,
    "files_moved": 0,
    "files_missing": 0,
    "files_restored": 0,
    "files_ignored": 0,
    "files_failed": 0,
    "files_held_back": 0,
    "playlists_changed": 0,
    "images_changed": 1,
    "changes_detected": True,
    "batches_written": 1,
    "duration_seconds": 4.25,
    "dry_run": False,
    "warnings": [],
}
_FILE: Final = {
    "file_id": _FILE_ID,
    "path": "Rock/Beatles/01 Help!.flac",
    "size": 18350080,
    "mtime_ns": 1769860800000000000,
    "inode": 1315842,
    "title": "Help!",
    "artist": "The Beatles",
    "album": "Help!",
    "albumartist": "The Beatles",
    "track": 1,
    "disc": 1,
    "year": 1965,
    "genre": "Rock",
    "duration_seconds": 139.2,
    "bitrate": 1054000,
    "format": "flac",
    "processing_status": "complete",
    "last_error": None,
    "missing_since": None,
    "has_cover": True,
    "library_id": _LIBRARY_ID,
    "cover_id": _COVER_ID,
}

SHAPES: Final[dict[str, JsonObject]] = {
    "CheckShape": {
        "name": "fpcalc",
        "status": "warn",
        "detail": "fpcalc is not installed, so files get no fingerprints",
        "remedy": "sudo apt-get install libchromaprint-tools",
    },
    "DuplicatesShape": {"kind": "same_audio", "files": [_FILE]},
    "EntryShape": {"text": "Rock/Beatles/01 Help!.flac", "file_id": _FILE_ID},
    "EventShape": {
        "seq": 4711,
        "time": _ENDED,
        "type": "moved",
        "library_id": _LIBRARY_ID,
        "file_id": _FILE_ID,
        "path": "Rock/Beatles/01 Help!.flac",
        "old_path": "Incoming/help.flac",
        "old_library_id": None,
        "evidence": "inode",
    },
    "ExplanationShape": {
        "path": "/srv/music/Rock/take 1.tmp.mp3",
        "state": "ignored",
        "reason": "a rule leaves it out",
        "library": "Music",
        "library_id": _LIBRARY_ID,
        "file_id": None,
        "rule": "*.tmp.*",
        "rule_file": "Rock/.nomarrignore",
        "error": None,
        "last_seen": None,
    },
    "FileShape": _FILE,
    "FolderShape": {"name": "music", "path": "/srv/music"},
    "FoldersShape": {"path": "/srv", "parent": "", "folders": [{"name": "music", "path": "/srv/music"}]},
    "HealthShape": {"status": "ok"},
    "HeldBackShape": {"library_id": _LIBRARY_ID, "files": 1200, "first_seen_at": _STARTED, "sightings": 1},
    "KeptTokenShape": _KEPT_TOKEN,
    "LibraryChanges": {"ignore_patterns": ["*.tmp"]},
    "LibraryShape": {
        "library_id": _LIBRARY_ID,
        "name": "Music",
        "root_path": "/srv/music",
        "watch_mode": "auto",
        "state": "ready",
        "files": 18230,
        "missing": 3,
        "last_scan_at": _ENDED,
        "last_scan_started_at": _STARTED,
        "enabled": True,
        "ignore_patterns": ["*.tmp"],
        "transcode_policy": "keep_id",
        "offline_reason": None,
    },
    "LogLineShape": {
        "number": 1769860804250,
        "time": _ENDED,
        "level": "info",
        "logger": "nomarr.workflows.library.start_scan_wf",
        "message": "scanned Music: 10 added, 2 updated",
    },
    "NewLibrary": {"name": "Music", "path": "/srv/music", "watch_mode": "auto"},
    "NewPlace": {"path": "/mnt/new/music"},
    "NewScan": {"folders": [_TARGET], "full": False},
    "NewSession": {"token": _TOKEN},
    "NewToken": {"name": "kitchen tablet", "scope": "read", "days": 30},
    "NewWatchMode": {"watch_mode": "poll"},
    "PatternProblemShape": {
        "pattern": "[Various-Artists]/",
        "problem": "the range 's-A' in its bracket runs backwards and holds nothing",
    },
    "PlaylistShape": {"library_id": _LIBRARY_ID, "path": "Party.m3u8", "error": None},
    "Problem": {
        "type": "about:blank",
        "title": "Not found",
        "status": 404,
        "detail": "no library is called 'x'; 'nomarr library list' shows them",
        "error": "LibraryNotFound",
    },
    "ReadyShape": {"ready": True},
    "SessionShape": {"has_token": True},
    "RunShape": {
        "scan_id": _SCAN_ID,
        "library_id": _LIBRARY_ID,
        "state": "completed",
        "started_at": _STARTED,
        "ended_at": _ENDED,
        "targets": [{"folder_path": "", "recursive": True}],
        "full": False,
        "error": None,
        "report": _REPORT,
    },
    "RunningScanShape": {
        "library_id": _LIBRARY_ID,
        "running": True,
        "targets": [_TARGET],
        "full": False,
        "dry_run": False,
        "progress": _PROGRESS,
    },
    "ScanRequestShape": {
        "request_id": _REQUEST_ID,
        "library_id": _LIBRARY_ID,
        "state": "running",
        "asked_at": _STARTED,
        "targets": [_TARGET],
        "target_count": 1,
        "full": False,
        "dry_run": False,
        "accept_losses": False,
        "progress": _PROGRESS,
        "report": None,
        "error": None,
    },
    "SettingsShape": {
        "settings": {"watcher_debounce_seconds": 2.0, "scan_batch_size": 500},
        "changeable": ["scan_batch_size", "watcher_debounce_seconds"],
        "overridden": ["scan_batch_size"],
        "unreadable": [],
    },
    "StatusShape": {
        "library_id": _LIBRARY_ID,
        "name": "Music",
        "root_path": "/srv/music",
        "mode": "auto",
        "state": "watching",
        "reason": None,
        "counters": {"watched_folders": 812, "events": 31, "targets": 4, "scans": 3, "pending_targets": 0},
        "last_event_at": _STARTED,
        "last_scan_at": _ENDED,
        "next_whole_scan_at": "2026-01-31T13:02:11.000Z",
    },
    "TokenShape": {**_KEPT_TOKEN, "token": _TOKEN},
}
"""By the name of the shape."""

PARAMETERS: Final[dict[str, Any]] = {
    "Last-Event-ID": "4711",
    "after": 4711,
    "cover_id": _COVER_ID,
    "cursor": "ZmlsZXMgYnkgcGF0aDpbIlJvY2svYS5mbGFjIiwgIjlmMWMiXQ",
    "file_id": _FILE_ID,
    "folder": "Rock/Beatles",
    "library_id": _LIBRARY_ID,
    "name": "scan_batch_size",
    "path": "/srv/music",
    "query": "beatles",
    "request_id": _REQUEST_ID,
    "size": 96,
    "status": "error",
    "token_id": _KEPT_TOKEN["token_id"],
}
"""By name; the others have a default, which says enough."""

TEXTS: Final[dict[str, str]] = {
    "text/event-stream": (
        "retry: 2000\n\nid: 4711\nevent: change\n"
        f'data: {{"seq": 4711, "type": "created", "library_id": "{_LIBRARY_ID}", "path": "Rock/a.flac"}}\n\n'
    ),
    "text/plain": (
        "# HELP nomarr_scans_running Scans that run\n# TYPE nomarr_scans_running gauge\nnomarr_scans_running 1.0\n"
    ),
}
"""By the type of what is not JSON."""
