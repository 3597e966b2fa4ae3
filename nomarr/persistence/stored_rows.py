"""Rows that mean the same in every backend: which values each table has, and how they are written as one text."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from nomarr.helpers.dto.stored import CopyMark, StoredTable
from nomarr.persistence.rows import Row

__all__ = ["COLUMNS", "copy_mark_from_json", "copy_mark_json", "stored_content", "stored_values"]

_ENRICHED: Final[Mapping[str, type]] = {
    "hashed_size": int,
    "hashed_mtime_ns": int,
    "hashed_ctime_ns": int,
    "hashed_inode": int,
    "audio_hash": str,
    "audio_bytes": int,
    "content_xxh3": str,
    "content_sha256": str,
    "fingerprint_seconds": float,
    "duration_seconds": float,
    "cover_id": str,
    "fingerprint": str,
}
"""Of a file; all of them NULL if it was not enriched yet."""
_NUMBERS: Final[Mapping[str, type]] = {"size": int, "mtime_ns": int, "ctime_ns": int, "inode": int}

COLUMNS: Final[Mapping[StoredTable, Mapping[str, type]]] = {
    StoredTable.SETTINGS: {"key": str, "value": str},
    StoredTable.LIBRARIES: {
        "library_id": str,
        "name": str,
        "root_path": str,
        "watch_mode": str,
        "enabled": bool,
        "ignore_patterns": str,
        "transcode_policy": str,
        "root_device": int,
        "root_inode": int,
        "offline_reason": str,
        "scan_id": str,
        "scan_state": str,
        "scan_owner": str,
        "scan_expires_at": float,
        "scan_fence": int,
        "scan_targets": str,
        "queued_targets": str,
        "last_scan_started_at": float,
        "last_scan_at": float,
        "full_scan_in_progress": bool,
        "full_scan_since": float,
        "held_back": str,
    },
    StoredTable.FOLDERS: {
        "library_id": str,
        "path": str,
        "digest": str,
        "scanned_at": float,
        # The number of a disk; older versions wrote no more than whether there was another one.
        "on_other_device": int,
    },
    StoredTable.FILES: {
        "file_id": str,
        "library_id": str,
        "path": str,
        "is_displaced": bool,
        **_NUMBERS,
        "device": int,
        "tags": str,
        "read_at": float,
        "processing_status": str,
        "last_error": str,
        "missing_since": float,
        "ignored_by": str,
        "first_seen_at": float,
        "updated_at": float,
        "due_at": float,
        "attempts": int,
        **_ENRICHED,
    },
    StoredTable.SIDECARS: {
        "library_id": str,
        "path": str,
        "kind": str,
        **_NUMBERS,
        "error": str,
        # Of a playlist, each text, target_library_id, target_path and file_id.
        "entries": list,
    },
    StoredTable.SCAN_RUNS: {
        "scan_id": str,
        "library_id": str,
        "state": str,
        "started_at": float,
        "ended_at": float,
        "targets": str,
        "is_full": bool,
        "error": str,
        "report": str,
    },
    StoredTable.EVENTS: {
        "seq": int,
        "time": float,
        "type": str,
        "library_id": str,
        "file_id": str,
        "path": str,
        "old_path": str,
        "evidence": str,
        "old_library_id": str,
    },
    StoredTable.COUNTERS: {"name": str, "value": int},
    StoredTable.LOOSE_COVERS: {"cover_id": str},
}
"""Every value of a table's rows, in the order of `StoredRow.content`; any of them may be None.

Texts are as `paths_helper.escaped` writes them, which every backend can store.
"""

_compact_json: Final = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def stored_content(table: StoredTable, row: Row) -> str:
    """The row as one text: equal rows of two backends have equal texts."""
    values = {name: _as_told(row[name], kind) for name, kind in COLUMNS[table].items()}
    return _compact_json(values)


def _as_told(value: Any, kind: type) -> Any:
    if value is None or kind is str:
        return value
    # One backend has no truth values; another tells whole floats as integers, and may forget the sign of zero.
    return value + 0.0 if kind is float else kind(value)


def stored_values(content: str) -> dict[str, Any]:
    """The inverse of `stored_content`."""
    values: dict[str, Any] = json.loads(content)
    return values


def copy_mark_json(mark: CopyMark) -> str:
    """How a backend keeps it."""
    return json.dumps([mark.source, mark.stamp, mark.table, mark.after])


def copy_mark_from_json(text: str) -> CopyMark:
    """The inverse of `copy_mark_json`."""
    parts: Sequence[str] = json.loads(text)
    source, stamp, table, after = parts
    return CopyMark(source, stamp, StoredTable(table), after)
