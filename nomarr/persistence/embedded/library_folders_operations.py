"""Folder digests in SQLite."""

from __future__ import annotations

from nomarr.helpers.dto.files import KnownFolder
from nomarr.helpers.dto.library import ScanTarget
from nomarr.helpers.paths_helper import escaped, unescaped
from nomarr.persistence.embedded.connection import SqliteConnections
from nomarr.persistence.embedded.rows_operations import (
    subtree,
)

__all__ = ["SqliteFolders"]

_COLUMNS = "SELECT path, digest, scanned_at, on_other_device FROM library_folders WHERE library_id = ?"


class SqliteFolders:
    """`FolderStore` on SQLite."""

    def __init__(self, connections: SqliteConnections) -> None:
        self._connections = connections

    def within(self, target: ScanTarget) -> dict[str, KnownFolder]:
        if target.recursive:
            condition, values = subtree("path", target.folder_path)
        else:
            folder = escaped(target.folder_path)
            condition, values = "(path = ? OR parent = ?)", (folder, folder)
        rows = self._connections.read(f"{_COLUMNS} AND {condition}", (target.library_id, *values))
        known = {}
        for path, digest, scanned_at, disk in rows:
            path = unescaped(path)
            known[path] = KnownFolder(path, digest, scanned_at, disk)
        return known
