"""Playlists and folder images in ArangoDB."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Final

from nomarr.helpers.dto.files import FileStat, KnownSidecar, Playlist, PlaylistEntry, PlaylistRecord
from nomarr.helpers.dto.scan import Lease
from nomarr.helpers.exceptions import LeaseLost
from nomarr.helpers.paths_helper import escaped, path_key, unescaped
from nomarr.helpers.time_helper import Clock
from nomarr.persistence.database.commit import Guard, Known, Plan, commit
from nomarr.persistence.database.connection import ArangoConnection
from nomarr.persistence.database.queries import (
    FILES_AT,
    KEYS_IN_FOLDERS,
    LOOK_FOR_COVERS_IN,
    OPEN_PLAYLISTS,
    PLAYLIST_ENTRIES,
    PLAYLIST_PATHS,
    PLAYLISTS,
    SIDECARS_BELOW,
    SIDECARS_IN_FOLDERS,
)
from nomarr.persistence.database.rows_operations import Doc, chunks, key_of
from nomarr.persistence.rows import unescaped_or_none

__all__ = ["ArangoSidecars"]

_PLAYLISTS_AT_ONCE: Final = 50
"""Written in one transaction; a long one has thousands of entries."""

Place = tuple[str, str]
"""Library key and path key."""


class ArangoSidecars:
    """`SidecarStore` on ArangoDB."""

    def __init__(self, connection: ArangoConnection) -> None:
        self._connection = connection

    def in_folders(self, library_id: str, folders: Sequence[str]) -> list[KnownSidecar]:
        found: list[KnownSidecar] = []
        for chunk in chunks(path_key(folder) for folder in folders):
            rows = self._connection.query(SIDECARS_IN_FOLDERS, {"library": key_of(library_id), "folders": chunk})
            found += [KnownSidecar(unescaped(path), FileStat(*stat)) for path, *stat in rows]
        return found

    def below(self, library_id: str, folder: str) -> list[str]:
        binds = {"library": key_of(library_id), "folder": path_key(folder)}
        return [unescaped(path) for path in self._connection.query(SIDECARS_BELOW, binds)]

    def playlists(self, library_id: str) -> Iterator[Playlist]:
        for page in chunks(key for _, key, _ in self._listed(library_id)):
            rows = self._connection.query(PLAYLISTS, {"keys": page})
            yield from (_playlist(library_id, row) for row in sorted(rows, key=lambda row: row["path"]))

    def page_of_playlists(self, library_id: str, *, after: str, limit: int) -> list[PlaylistRecord]:
        begin = escaped(after)
        following = ((path, problem) for path, _, problem in self._listed(library_id) if path > begin)
        return [
            PlaylistRecord(library_id, unescaped(path), unescaped_or_none(problem))
            for path, problem in islice(following, limit)
        ]

    def page_of_entries(
        self, library_id: str, playlist_path: str, *, after: int, limit: int
    ) -> list[PlaylistEntry] | None:
        binds = {"key": key_of(library_id, playlist_path), "after": after, "limit": limit}
        rows = self._connection.query(PLAYLIST_ENTRIES, binds)
        return _entries(rows[0]) if rows else None

    def resolve_entries(self, lease: Lease, *, now: float | Clock) -> int:
        playlists = self._connection.query(OPEN_PLAYLISTS)
        if not playlists:
            return 0
        files = self._files_at({place for row in playlists for place in _open_places(row["entries"])})
        keys = [row["key"] for row in playlists if not files.keys().isdisjoint(_open_places(row["entries"]))]
        return sum(
            commit(self._connection, Guard.of_lease(lease), partial(_resolved, set(piece), files), now)
            for piece in chunks(keys, _PLAYLISTS_AT_ONCE)
        )

    def look_for_covers_in(self, lease: Lease, folders: Collection[str], *, now: float | Clock) -> None:
        library = key_of(lease.library_id)
        for chunk in chunks(path_key(folder) for folder in folders):
            found = self._connection.query(KEYS_IN_FOLDERS, {"library": library, "folders": chunk})
            for keys in chunks(found):
                binds = {"library": library, "owner": lease.owner, "fence": lease.fence}
                [is_held] = self._connection.query(
                    LOOK_FOR_COVERS_IN, {**binds, "keys": keys, "folders": chunk}, now=now
                )
                if not is_held:
                    raise LeaseLost(lease.library_id)

    def _listed(self, library_id: str) -> list[tuple[str, str, str | None]]:
        """Stored path, key and problem of every playlist, by path."""
        listed = self._connection.query(PLAYLIST_PATHS, {"library": key_of(library_id)})
        # Sorted here: the server's order of texts depends on its locale.
        return sorted((path, key, problem) for path, key, problem in listed)

    def _files_at(self, places: set[Place]) -> dict[Place, str]:
        found: dict[Place, str] = {}
        for chunk in chunks(sorted(places)):
            rows = self._connection.query(FILES_AT, {"places": chunk})
            found |= {(row["library_key"], row["path_key"]): row["file_id"] for row in rows}
        return found


def _open_places(entries: Sequence[Doc]) -> list[Place]:
    """What entries mean whose file was not known yet."""
    return [
        (entry["library_key"], entry["path_key"])
        for entry in entries
        if entry["file_id"] is None and entry["path_key"] is not None
    ]


def _resolved(keys: set[str], files: Mapping[Place, str], known: Known) -> tuple[Plan, int]:
    """Playlists whose entries mean these files, and how many entries do so from now on."""
    plan, count = Plan(sidecar_keys=keys), 0
    for key, row in known.sidecars.items():
        entries = [_resolved_entry(entry, files) for entry in row["entries"]]
        still_open = _open_places(entries)
        count += len(_open_places(row["entries"])) - len(still_open)
        changes = {"entries": entries, "is_open": bool(still_open)}
        plan.sidecars[key] = {"key": key, "ins": {"_key": key}, "upd": changes}
    return plan, count


def _resolved_entry(entry: Doc, files: Mapping[Place, str]) -> Doc:
    if entry["file_id"] is not None or entry["path_key"] is None:
        return entry
    return entry | {"file_id": files.get((entry["library_key"], entry["path_key"]))}


def _playlist(library_id: str, row: Doc) -> Playlist:
    return Playlist(library_id, unescaped(row["path"]), tuple(_entries(row)), unescaped_or_none(row["problem"]))


def _entries(row: Doc) -> list[PlaylistEntry]:
    known = set(row["known"])
    return [
        PlaylistEntry(unescaped(entry["text"]), entry["file_id"] if entry["file_id"] in known else None)
        for entry in row["entries"]
    ]
