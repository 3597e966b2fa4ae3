"""Which folders of a library were on a disk that is away, asked outside of a scan."""

from __future__ import annotations

from nomarr.components.library.inner_disks_comp import InnerDisks
from nomarr.helpers.dto.library import ScanTarget
from nomarr.helpers.paths_helper import folder_of
from nomarr.persistence.db import Database

__all__ = ["AwayDisks"]


class AwayDisks:
    """Compares the disks that folders were on with those that are there now; each folder is looked up once."""

    def __init__(self, db: Database, library_id: str, disks: InnerDisks) -> None:
        self._db = db
        self._library_id = library_id
        self._disks = disks
        self._known: dict[str, bool] = {}

    def holds(self, folder: str) -> bool:
        """True if what was in `folder` is on a disk that is away, whatever is mounted in its place.

        A folder that is forgotten was on the disk of the one above it.
        """
        if folder not in self._known:
            self._known[folder] = self._look_up(folder)
        return self._known[folder]

    def _look_up(self, folder: str) -> bool:
        known = self._db.library_folders.within(ScanTarget(self._library_id, folder, recursive=False)).get(folder)
        if known is None:
            return bool(folder) and self.holds(folder_of(folder))
        return self._disks.is_away(known.disk, self._disks.disk_of(folder))
