"""Playlists and folder images in SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from functools import partial
from typing import Final

from nomarr.helpers.dto.batches import ImageUpsert, PlaylistUpsert, ScanBatch
from nomarr.helpers.dto.files import FileStat, KnownSidecar, Playlist, PlaylistEntry, PlaylistRecord
from nomarr.helpers.dto.scan import Lease
from nomarr.helpers.paths_helper import escaped, folder_of, unescaped
from nomarr.helpers.time_helper import Clock
from nomarr.persistence.embedded.connection import SqliteConnections, in_turns
from nomarr.persistence.embedded.library_operations import require_lease
from nomarr.persistence.embedded.rows_operations import (
    DUE_ANEW,
    chunks,
    placeholders,
    standing_key,
    subtree,
)
from nomarr.persistence.rows import escaped_or_none, unescaped_or_none

__all__ = ["SqliteSidecars", "look_for_covers_again", "write_sidecars"]

_PLAYLISTS_AT_ONCE: Final = 50
"""Written in one transaction; a long one has thousands of entries."""

_NO_LIMIT: Final = -1
"""To SQLite."""


class SqliteSidecars:
    """`SidecarStore` on SQLite."""

    def __init__(self, connections: SqliteConnections) -> None:
        self._connections = connections

    def in_folders(self, library_id: str, folders: Sequence[str]) -> list[KnownSidecar]:
        found = []
        for chunk in chunks([escaped(folder) for folder in folders]):
            rows = self._connections.read(
                "SELECT path, size, mtime_ns, ctime_ns, inode FROM library_sidecars"
                f" WHERE library_id = ? AND folder IN ({placeholders(len(chunk))})",
                (library_id, *chunk),
            )
            found += [KnownSidecar(unescaped(path), FileStat(*stat)) for path, *stat in rows]
        return found

    def below(self, library_id: str, folder: str) -> list[str]:
        condition, values = subtree("folder", folder)
        rows = self._connections.read(
            f"SELECT path FROM library_sidecars WHERE library_id = ? AND {condition}", (library_id, *values)
        )
        return [unescaped(row["path"]) for row in rows]

    def playlists(self, library_id: str) -> Iterator[Playlist]:
        listed = self._connections.read(
            "SELECT path, error FROM library_sidecars WHERE library_id = ? AND kind = 'playlist' ORDER BY path",
            (library_id,),
        )
        for path, error in listed:
            entries = self._entries(library_id, path, after=0, limit=_NO_LIMIT)
            yield Playlist(library_id, unescaped(path), tuple(entries), unescaped_or_none(error))

    def page_of_playlists(self, library_id: str, *, after: str, limit: int) -> list[PlaylistRecord]:
        rows = self._connections.read(
            "SELECT path, error FROM library_sidecars"
            " WHERE library_id = ? AND path > ? AND kind = 'playlist' ORDER BY path LIMIT ?",
            (library_id, escaped(after), limit),
        )
        return [PlaylistRecord(library_id, unescaped(path), unescaped_or_none(error)) for path, error in rows]

    def page_of_entries(
        self, library_id: str, playlist_path: str, *, after: int, limit: int
    ) -> list[PlaylistEntry] | None:
        path = escaped(playlist_path)
        is_known = self._connections.read(
            "SELECT 1 FROM library_sidecars WHERE library_id = ? AND path = ? AND kind = 'playlist'",
            (library_id, path),
        )
        return self._entries(library_id, path, after=after, limit=limit) if is_known else None

    def resolve_entries(self, lease: Lease, *, now: float | Clock) -> int:
        found = (
            "SELECT f.file_id FROM library_files f WHERE f.library_id = e.target_library_id"
            " AND f.path_key = e.target_path_key"
        )
        playlists = self._connections.read(
            "SELECT DISTINCT e.library_id, e.playlist_path"
            " FROM playlist_entries e INDEXED BY playlist_entries_unresolved"
            f" WHERE e.file_id IS NULL AND e.target_path_key IS NOT NULL AND EXISTS ({found})"
        )

        def work(db: sqlite3.Connection, begun_at: float, piece: Sequence[sqlite3.Row]) -> int:
            require_lease(db, lease, begun_at)
            return db.execute(
                f"UPDATE playlist_entries AS e SET file_id = ({found})"
                f" WHERE (e.library_id, e.playlist_path) IN (VALUES {', '.join(['(?, ?)'] * len(piece))})"
                # The plus keeps SQLite from walking through all entries that mean nothing yet, once for each piece.
                f" AND +e.file_id IS NULL AND +e.target_path_key IS NOT NULL AND EXISTS ({found})",
                [value for playlist in piece for value in playlist],
            ).rowcount

        return sum(
            self._connections.write_by(now, partial(work, piece=piece))
            for piece in in_turns(chunks(playlists, _PLAYLISTS_AT_ONCE))
        )

    def look_for_covers_in(self, lease: Lease, folders: Collection[str], *, now: float | Clock) -> None:
        def work(db: sqlite3.Connection, begun_at: float, piece: Sequence[int]) -> None:
            require_lease(db, lease, begun_at)
            look_for_covers_again(db, f"row_id IN ({placeholders(len(piece))})", *piece)

        for piece in in_turns(self._rows_in(lease.library_id, folders)):
            self._connections.write_by(now, partial(work, piece=piece))

    def _entries(self, library_id: str, stored_path: str, *, after: int, limit: int) -> list[PlaylistEntry]:
        rows = self._connections.read(
            "SELECT e.text, f.file_id FROM playlist_entries e LEFT JOIN library_files f ON f.file_id = e.file_id"
            # The first one has the position 0.
            " WHERE e.library_id = ? AND e.playlist_path = ? AND e.position >= ? ORDER BY e.position LIMIT ?",
            (library_id, stored_path, after, limit),
        )
        return [PlaylistEntry(unescaped(text), file_id) for text, file_id in rows]

    def _rows_in(self, library_id: str, folders: Collection[str]) -> Iterator[Sequence[int]]:
        for chunk in chunks([escaped(folder) for folder in folders]):
            found = self._connections.read_numbers(
                f"SELECT row_id FROM library_files WHERE library_id = ? AND folder IN ({placeholders(len(chunk))})",
                (library_id, *chunk),
            )
            yield from chunks(found)


def write_sidecars(db: sqlite3.Connection, library_id: str, batch: ScanBatch) -> tuple[int, int]:
    """Write the batch's playlists and images; how many of each changed."""
    playlists = sum(_removed(db, library_id, "playlist", path) for path in batch.gone_sidecars)
    gone_images = sum(_removed(db, library_id, "image", path) for path in batch.gone_sidecars)
    for playlist in batch.playlists:
        _put(db, library_id, "playlist", playlist)
        _put_entries(db, library_id, playlist)
    for image in batch.images:
        _put(db, library_id, "image", image)
    return playlists + len(batch.playlists), gone_images + len(batch.images)


def look_for_covers_again(db: sqlite3.Connection, condition: str, *values: object) -> None:
    """The files of `condition` have other images beside them now: one of these may be their cover."""
    # A ctime that no file has: its hashes still hold, but the file is to be looked into.
    db.execute(
        "UPDATE enrichment SET hashed_ctime_ns = -1 WHERE row_id IN"
        f" (SELECT row_id FROM library_files WHERE {condition})",
        values,
    )
    db.execute(
        # Those that wait already, too: one may be worked on just now, with the image that was there before.
        f"UPDATE library_files SET due_at = {DUE_ANEW} WHERE {condition} AND (due_at IS NOT NULL"
        " OR processing_status = 'complete' OR (processing_status = 'error' AND attempts > 0))",
        values,
    )


def _removed(db: sqlite3.Connection, library_id: str, kind: str, path: str) -> int:
    return db.execute(
        "DELETE FROM library_sidecars WHERE library_id = ? AND path = ? AND kind = ?", (library_id, escaped(path), kind)
    ).rowcount


def _put(db: sqlite3.Connection, library_id: str, kind: str, sidecar: PlaylistUpsert | ImageUpsert) -> None:
    error = escaped_or_none(sidecar.error) if isinstance(sidecar, PlaylistUpsert) else None
    db.execute(
        "INSERT INTO library_sidecars (library_id, path, folder, kind, size, mtime_ns, ctime_ns, inode, error)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (library_id, path) DO UPDATE SET kind = excluded.kind,"
        " size = excluded.size, mtime_ns = excluded.mtime_ns, ctime_ns = excluded.ctime_ns, inode = excluded.inode,"
        " error = excluded.error",
        (library_id, escaped(sidecar.path), escaped(folder_of(sidecar.path)), kind, *sidecar.stat, error),
    )


def _put_entries(db: sqlite3.Connection, library_id: str, playlist: PlaylistUpsert) -> None:
    path = escaped(playlist.path)
    db.execute("DELETE FROM playlist_entries WHERE library_id = ? AND playlist_path = ?", (library_id, path))
    db.executemany(
        "INSERT INTO playlist_entries (library_id, playlist_path, position, text, target_library_id, target_path_key)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (
            (
                library_id,
                path,
                position,
                escaped(line.text),
                line.target_library_id,
                None if line.target_path is None else standing_key(line.target_path),
            )
            for position, line in enumerate(playlist.lines)
        ),
    )
