"""Folder digests in SQLite."""

from __future__ import annotations

from nomarr.helpers.dto.files import KnownFolder
from nomarr.helpers.dto.library import ScanTarget
from nomarr.helpers.paths_helper import escaped, unescaped
from nomarr.persistence.embedded.connection import SqliteConnections
from nomarr.persistence.embedded.rows_operations import subtree_bounds

__all__ = ["SqliteFolders"]

_COLUMNS = "SELECT path, digest, scanned_at, on_other_device FROM library_folders WHERE library_id = ?"


class SqliteFolders:
    """`FolderStore` on SQLite."""

    def __init__(self, connections: SqliteConnections) -> None:
        self._connections = connections

    def within(self, target: ScanTarget) -> dict[str, KnownFolder]:
        folder = escaped(target.folder_path)
        bounds: tuple[str, ...] = ()
        query = _COLUMNS
        if not target.recursive:
            query, bounds = f"{_COLUMNS} AND (path = ? OR parent = ?)", (folder, folder)
        elif folder:
            query = f"{_COLUMNS} AND (path = ? OR (path >= ? AND path < ?))"
            bounds = (folder, *subtree_bounds(target.folder_path))
        known = {}
        for path, digest, scanned_at, on_other_device in self._connections.read(query, (target.library_id, *bounds)):
            path = unescaped(path)
            known[path] = KnownFolder(path, digest, scanned_at, bool(on_other_device))
        return known
