"""Ask the disk about files outside of what a scan looked at."""

from __future__ import annotations

import os

from nomarr.helpers.dto.files import KnownFile, int64
from nomarr.helpers.paths_helper import join
from nomarr.persistence.db import Database

__all__ = ["Elsewhere"]


class Elsewhere:
    """Asks the disk about files outside of what was looked at."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._roots: dict[str, str | None] = {}

    def has_left(self, row: KnownFile) -> bool:
        """True only if the row's file is certainly not at its path any more.

        A missing file may be back, beside a hard link of it; where the disk can't be asked, missing is what it stays.
        """
        was_gone = row.missing_since is not None
        root = self._root_of(row.library_id)
        if root is None:
            return was_gone
        try:
            status = os.stat(join(root, row.path))
        except (FileNotFoundError, NotADirectoryError):
            return True
        except OSError:
            return was_gone
        return int64(status.st_ino) != row.stat.inode

    def _root_of(self, library_id: str) -> str | None:
        """The library's root if it is the one that was scanned; a disk that is away says nothing about its files."""
        if library_id not in self._roots:
            self._roots[library_id] = self._checked_root(library_id)
        return self._roots[library_id]

    def _checked_root(self, library_id: str) -> str | None:
        known = self._db.library.get_library(library_id, 0.0, counted=False)
        if known is None or known.root_identity is None:
            return None
        try:
            status = os.stat(known.root_path)
        except OSError:
            return None
        # The inode alone: device numbers change with a reboot.
        return known.root_path if int64(status.st_ino) == known.root_identity.inode else None
