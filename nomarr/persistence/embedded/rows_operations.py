"""How values are written into columns and read out of rows."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import MISSING, asdict, fields, replace
from operator import attrgetter
from typing import Any, Final

from nomarr.helpers.dto.enrichment import Enrichment
from nomarr.helpers.dto.files import FileRecord, FileStat, KnownFile
from nomarr.helpers.dto.library import ScanTarget
from nomarr.helpers.dto.scan import HeldBackLosses, ScanReport, ScanRunState
from nomarr.helpers.dto.tags import AudioTags
from nomarr.helpers.paths_helper import escaped, unescaped

__all__ = [
    "DUE_ANEW",
    "DUE_NOW",
    "ENRICHMENT_COLUMNS",
    "FILE_RECORDS",
    "FILE_RECORD_COLUMNS",
    "KNOWN_FILE_COLUMNS",
    "chunks",
    "displaced_key",
    "enrichment_of",
    "escaped_or_none",
    "file_record",
    "held_back_from_json",
    "held_back_json",
    "known_file",
    "matches",
    "placeholders",
    "report_from_json",
    "report_json",
    "standing_key",
    "subtree",
    "tags_from_json",
    "tags_json",
    "targets_from_json",
    "targets_json",
    "unescaped_or_none",
]

KNOWN_FILE_COLUMNS: Final = (
    "file_id, library_id, path, path_key, size, mtime_ns, ctime_ns, inode, device, read_at, missing_since, ignored_by,"
    " row_id, folder"
)
FILE_RECORD_COLUMNS: Final = (
    "f.file_id, f.library_id, f.path, f.size, f.mtime_ns, f.ctime_ns, f.device, f.inode, f.tags, f.processing_status,"
    " f.first_seen_at, f.updated_at, f.last_error, f.missing_since, f.ignored_by,"
    " EXISTS (SELECT 1 FROM library_sidecars s WHERE s.library_id = f.library_id AND s.folder = f.folder"
    " AND s.kind = 'image') AS has_image, e.audio_hash, e.duration_seconds, e.cover_id, e.content_xxh3,"
    " e.content_sha256"
)
"""Of `FILE_RECORDS`. Named one by one: `*` would extract every generated column from the tags, too."""
FILE_RECORDS: Final = "library_files f LEFT JOIN enrichment e ON e.row_id = f.row_id"
ENRICHMENT_COLUMNS: Final = (
    "e.hashed_size, e.hashed_mtime_ns, e.hashed_ctime_ns, e.hashed_inode, e.audio_hash, e.audio_bytes, e.content_xxh3,"
    " e.content_sha256, e.fingerprint, e.fingerprint_seconds, e.duration_seconds, e.cover_id"
)
"""In the order of `Enrichment`, whose first field takes four of them."""

DUE_NOW: Final = 0.0
"""`due_at` of what need not wait. Not the time: a clock that was ahead once would let it wait until then."""
DUE_ANEW: Final = "MIN(COALESCE(due_at, 0.0), 0.0) - 1.0"
"""`due_at` of the same again, other than the one before: who works on the file just now sees that it became due."""

_DISPLACED: Final = "/"
"""No path inside a library begins like this."""
_CHUNK: Final = 500
"""Values bound at once; SQLite takes 32,766, shorter statements are prepared once and used again."""

_TAG_DEFAULTS: Final = {f.name: () if f.default is MISSING else f.default for f in fields(AudioTags)}
_tag_values = attrgetter(*_TAG_DEFAULTS)
_compact_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def standing_key(path: str) -> str:
    """The path key of the file that stands at `path`.

    SQLite compares bytes, so a path is its own key. New files come in the order of their paths and touch a few pages of
    the index; by a hash they would touch all of it, and each commit would write most of it anew.
    """
    return escaped(path)


def displaced_key(file_id: str) -> str:
    """The path key of a file at whose path another file stands now."""
    return _DISPLACED + file_id


def chunks(values: Sequence[Any]) -> Iterable[Sequence[Any]]:
    """`values` in pieces that fit one statement."""
    return (values[start : start + _CHUNK] for start in range(0, len(values), _CHUNK))


def placeholders(count: int) -> str:
    """`?, ?, ?` for `count` values."""
    return ", ".join("?" * count)


def subtree(column: str, folder: str) -> tuple[str, tuple[str, ...]]:
    """The condition that `column` is `folder` or lies below it, and its values."""
    if not folder:
        return "TRUE", ()
    text = escaped(folder)
    # "0" follows "/".
    return f"({column} = ? OR ({column} >= ? AND {column} < ?))", (text, text + "/", text + "0")


def known_file(row: Iterable[Any]) -> KnownFile:
    """The values of `KNOWN_FILE_COLUMNS`, in their order."""
    (
        file_id,
        library_id,
        path,
        key,
        size,
        mtime_ns,
        ctime_ns,
        inode,
        device,
        read_at,
        missing_since,
        ignored_by,
        *_,
    ) = row
    return KnownFile(
        file_id=file_id,
        library_id=library_id,
        path=unescaped(path),
        stat=FileStat(size, mtime_ns, ctime_ns, inode),
        device=device,
        read_at=read_at,
        missing_since=missing_since,
        ignored_by=unescaped_or_none(ignored_by),
        displaced=key.startswith(_DISPLACED),
    )


def escaped_or_none(text: str | None) -> str | None:
    """Rules and errors tell of file names, so they hold whatever a name holds."""
    return None if text is None else escaped(text)


def unescaped_or_none(text: str | None) -> str | None:
    """The inverse of `escaped_or_none`."""
    return None if text is None else unescaped(text)


def file_record(row: sqlite3.Row) -> FileRecord:
    """A row with `FILE_RECORD_COLUMNS`."""
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
        fingerprint=row["fingerprint"] if "fingerprint" in row.keys() else None,  # noqa: SIM118 - a Row holds values
    )


def matches(record: FileRecord, query: str) -> bool:
    """True if the text is in path, title, artist, album or album artist, in any case."""
    # Not LIKE: SQLite folds the case of ASCII letters only.
    wanted = query.casefold()
    texts = (record.path, record.tags.title, record.tags.artist, record.tags.album, record.tags.albumartist)
    return any(wanted in text.casefold() for text in texts if text)


def enrichment_of(values: Sequence[Any]) -> Enrichment | None:
    """The values of `ENRICHMENT_COLUMNS`; None for a file that was not enriched yet."""
    size, mtime_ns, ctime_ns, inode, *found = values
    return None if size is None else Enrichment(FileStat(size, mtime_ns, ctime_ns, inode), *found)


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
