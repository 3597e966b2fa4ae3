"""How rows are written into documents and read out of them.

Their fields are called as the columns of SQLite are, with hashes (`*_key`) beside the texts that are looked for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from nomarr.helpers.dto.enrichment import Enrichment, ProcessingStatus
from nomarr.helpers.dto.files import FileStat, KnownFile
from nomarr.helpers.paths_helper import escaped, folder_of, folders_above, path_key, unescaped
from nomarr.persistence.rows import unescaped_or_none

__all__ = [
    "DISPLACED",
    "ROWS_AT_ONCE",
    "Doc",
    "chunks",
    "displaced_key",
    "enrichment_fields",
    "enrichment_of",
    "key_of",
    "known_file",
    "place_fields",
    "waits_for",
    "within",
]

Doc = dict[str, Any]

DISPLACED: Final = "x"
"""No hexadecimal digit: the key of a displaced file begins with it."""
ROWS_AT_ONCE: Final = 1000
"""Documents of one query that writes, or values that one is asked with.

With what was found by enrichment a file takes some 5 kB, so they take 5 MB, and fit in one answer."""
_ENRICHMENT: Final = (
    "audio_hash",
    "audio_bytes",
    "content_xxh3",
    "content_sha256",
    "fingerprint",
    "fingerprint_seconds",
    "duration_seconds",
    "cover_id",
)
_HASHED: Final = ("hashed_size", "hashed_mtime_ns", "hashed_ctime_ns", "hashed_inode")


def key_of(*texts: str) -> str:
    """A document's key for what these texts name: any text is allowed in them, few letters in a key."""
    return hashlib.sha256("\0".join(texts).encode("utf-8", "surrogateescape")).hexdigest()


def displaced_key(file_id: str) -> str:
    """The path key of a file at whose path another file stands now."""
    return DISPLACED + file_id


def within(folder: str) -> list[str]:
    """The keys of a folder and of all above it: what lies below a folder is found by equality."""
    return [path_key(folder), *(path_key(above) for above in folders_above(folder))]


def place_fields(library_id: str, path: str) -> Doc:
    """Where a file or sidecar is; a file's `path_key` is left to the caller."""
    folder = folder_of(path)
    return {
        "library_id": library_id,
        "library_key": key_of(library_id),
        "path": escaped(path),
        "place_key": path_key(path),
        "folder": escaped(folder),
        "folder_key": path_key(folder),
        "within": within(folder),
    }


def waits_for(status: str, due_at: float | None) -> str | None:
    """The step of enrichment that a file waits for."""
    if due_at is None:
        return None
    return "sound" if status == ProcessingStatus.ART_DONE else "art"


def chunks(values: Iterable[Any], size: int | None = None) -> Iterator[Sequence[Any]]:
    """`values` in pieces that one query takes."""
    every, length = list(values), size or ROWS_AT_ONCE
    return (every[start : start + length] for start in range(0, len(every), length))


def known_file(row: Mapping[str, Any]) -> KnownFile:
    """What comparing needs of a file's document."""
    return KnownFile(
        file_id=row["file_id"],
        library_id=row["library_id"],
        path=unescaped(row["path"]),
        stat=FileStat(row["size"], row["mtime_ns"], row["ctime_ns"], row["inode"]),
        device=row["device"],
        read_at=row["read_at"],
        missing_since=row["missing_since"],
        ignored_by=unescaped_or_none(row["ignored_by"]),
        displaced=row["path_key"].startswith(DISPLACED),
    )


def enrichment_of(row: Mapping[str, Any]) -> Enrichment | None:
    """What was found out about a file; None if it was not enriched yet."""
    if row["hashed_size"] is None:
        return None
    return Enrichment(FileStat(*(row[name] for name in _HASHED)), *(row[name] for name in _ENRICHMENT))


def enrichment_fields(found: Enrichment | None) -> Doc:
    """The inverse of `enrichment_of`."""
    if found is None:
        return dict.fromkeys((*_HASHED, *_ENRICHMENT))
    hashed = dict(zip(_HASHED, found.hashed_stat, strict=True))
    return hashed | {name: getattr(found, name) for name in _ENRICHMENT}
