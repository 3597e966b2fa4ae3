"""How values are written into columns and read out of rows."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import MISSING, asdict, fields
from typing import Any, Final

from nomarr.helpers.dto.files import FileRecord, FileStat, KnownFile
from nomarr.helpers.dto.library import ScanTarget
from nomarr.helpers.dto.scan import HeldBackLosses, ScanReport, ScanRunState
from nomarr.helpers.dto.tags import AudioTags
from nomarr.helpers.paths_helper import escaped, unescaped

__all__ = [
    "KNOWN_FILE_COLUMNS",
    "chunks",
    "displaced_key",
    "file_record",
    "held_back_from_json",
    "held_back_json",
    "known_file",
    "placeholders",
    "report_from_json",
    "report_json",
    "subtree_bounds",
    "tags_from_json",
    "tags_json",
    "targets_from_json",
    "targets_json",
]

KNOWN_FILE_COLUMNS: Final = (
    "file_id, library_id, path, path_key, size, mtime_ns, ctime_ns, inode, device, read_at, missing_since, ignored_by,"
    " row_id"
)
_DISPLACED: Final = "displaced:"
_CHUNK: Final = 500
"""Values bound at once; SQLite takes 32,766, shorter statements are prepared once and used again."""

_TAG_DEFAULTS: Final = {f.name: () if f.default is MISSING else f.default for f in fields(AudioTags)}


def displaced_key(file_id: str) -> str:
    """The path key of a file at whose path another file stands now; no hash looks like it."""
    return _DISPLACED + file_id


def chunks(values: Sequence[Any]) -> Iterable[Sequence[Any]]:
    """`values` in pieces that fit one statement."""
    return (values[start : start + _CHUNK] for start in range(0, len(values), _CHUNK))


def placeholders(count: int) -> str:
    """`?, ?, ?` for `count` values."""
    return ", ".join("?" * count)


def subtree_bounds(folder: str) -> tuple[str, str]:
    """Escaped bounds: everything below `folder` is `>=` the first and `<` the second. "0" follows "/"."""
    text = escaped(folder)
    return text + "/", text + "0"


def known_file(row: sqlite3.Row) -> KnownFile:
    """A row with `KNOWN_FILE_COLUMNS`."""
    (file_id, library_id, path, key, size, mtime_ns, ctime_ns, inode, device, read_at, missing_since, ignored_by, _) = (
        row
    )
    return KnownFile(
        file_id=file_id,
        library_id=library_id,
        path=unescaped(path),
        stat=FileStat(size, mtime_ns, ctime_ns, inode),
        device=device,
        read_at=read_at,
        missing_since=missing_since,
        ignored_by=ignored_by,
        displaced=key.startswith(_DISPLACED),
    )


def file_record(row: sqlite3.Row) -> FileRecord:
    """A whole row of `library_files` with the computed column `has_image`."""
    tags = tags_from_json(row["tags"])
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
        last_error=row["last_error"],
        missing_since=row["missing_since"],
        ignored_by=row["ignored_by"],
        has_cover=tags.has_cover or bool(row["has_image"]),
    )


def tags_json(tags: AudioTags) -> str:
    """Only what the file says: the same tags always give the same text."""
    said = {}
    for name, default in _TAG_DEFAULTS.items():
        value = getattr(tags, name)
        if value != default:
            said[name] = value
    return json.dumps(said, ensure_ascii=False, separators=(",", ":"))


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
