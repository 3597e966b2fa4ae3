"""How values are written into columns and read out of rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from nomarr.helpers.dto.enrichment import Enrichment
from nomarr.helpers.dto.files import FileStat, KnownFile
from nomarr.helpers.paths_helper import escaped, unescaped
from nomarr.persistence.rows import unescaped_or_none

__all__ = [
    "BEING_REMOVED",
    "DUE_ANEW",
    "ENRICHMENT_COLUMNS",
    "FILE_RECORDS",
    "FILE_RECORD_COLUMNS",
    "KNOWN_FILE_COLUMNS",
    "REMOVAL",
    "ROWS_AT_ONCE",
    "chunks",
    "displaced_key",
    "enrichment_of",
    "known_file",
    "placeholders",
    "standing_key",
    "subtree",
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

REMOVAL: Final = "unfinished_removal:"
"""With the id of a library: the setting that says that its removal was begun; no row of its table to anybody else."""
BEING_REMOVED: Final = f"SELECT value FROM settings WHERE key > '{REMOVAL}' AND key < '{REMOVAL[:-1]};'"
"""The ids of libraries that are being removed, whose rows are shown to nobody."""

DUE_ANEW: Final = "MIN(COALESCE(due_at, 0.0), 0.0) - 1.0"
"""`due_at` of the same again, other than the one before: who works on the file just now sees that it became due."""

_DISPLACED: Final = "/"
"""No path inside a library begins like this."""
ROWS_AT_ONCE: Final = 500
"""Values bound at once; SQLite takes 32,766, shorter statements are prepared once and used again.

A transaction of so many rows takes a few milliseconds; others want to write, too."""


def standing_key(path: str) -> str:
    """The path key of the file that stands at `path`.

    SQLite compares bytes, so a path is its own key. New files come in the order of their paths and touch a few pages of
    the index; by a hash they would touch all of it, and each commit would write most of it anew.
    """
    return escaped(path)


def displaced_key(file_id: str) -> str:
    """The path key of a file at whose path another file stands now."""
    return _DISPLACED + file_id


def chunks(values: Sequence[Any], size: int | None = None) -> Iterable[Sequence[Any]]:
    """`values` in pieces that fit one statement."""
    length = size or ROWS_AT_ONCE
    return (values[start : start + length] for start in range(0, len(values), length))


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


def enrichment_of(values: Sequence[Any]) -> Enrichment | None:
    """The values of `ENRICHMENT_COLUMNS`; None for a file that was not enriched yet."""
    size, mtime_ns, ctime_ns, inode, *found = values
    return None if size is None else Enrichment(FileStat(size, mtime_ns, ctime_ns, inode), *found)
