"""Folder digests in ArangoDB."""

from __future__ import annotations

from nomarr.helpers.dto.files import KnownFolder
from nomarr.helpers.dto.library import ScanTarget
from nomarr.helpers.paths_helper import path_key, unescaped
from nomarr.persistence.database.connection import ArangoConnection
from nomarr.persistence.database.queries import FOLDER_AND_CHILDREN, FOLDERS_BELOW
from nomarr.persistence.database.rows_operations import key_of

__all__ = ["ArangoFolders"]


class ArangoFolders:
    """`FolderStore` on ArangoDB."""

    def __init__(self, connection: ArangoConnection) -> None:
        self._connection = connection

    def within(self, target: ScanTarget) -> dict[str, KnownFolder]:
        binds = {"library": key_of(target.library_id), "folder": path_key(target.folder_path)}
        if target.recursive:
            rows = self._connection.query(FOLDERS_BELOW, binds)
        else:
            key = key_of(target.library_id, target.folder_path)
            rows = self._connection.query(FOLDER_AND_CHILDREN, {**binds, "key": key})
        known = {}
        for path, digest, scanned_at, disk in rows:
            path = unescaped(path)
            known[path] = KnownFolder(path, digest, scanned_at, int(disk))
        return known
