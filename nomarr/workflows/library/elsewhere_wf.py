"""Ask the disk about files outside of what a scan looked at."""

from __future__ import annotations

import os

from nomarr.components.library.inner_disks_comp import InnerDisks
from nomarr.helpers.dto.files import KnownFile, int64
from nomarr.helpers.paths_helper import folder_of, join
from nomarr.persistence.db import Database
from nomarr.workflows.library.away_disks_wf import AwayDisks

__all__ = ["Elsewhere"]


class Elsewhere:
    """Asks the disk about files outside of what was looked at."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._roots: dict[str, str | None] = {}
        self._away: dict[tuple[str, str], bool] = {}
        self._devices: dict[str, int | None] = {}

    def is_gone(self, row: KnownFile) -> bool:
        """True only if nothing at all is at the row's path, and not because a disk is away.

        For evidence that a copy of the file has as well: there, another file at its path may be itself, saved anew.
        """
        root = self._root_of(row.library_id)
        if root is None:
            return row.missing_since is not None
        try:
            os.lstat(join(root, row.path))
        except (FileNotFoundError, NotADirectoryError):
            return row.missing_since is not None or not self._is_disk_away(root, row.library_id, folder_of(row.path))
        except OSError:
            return False
        return False

    def _is_disk_away(self, root: str, library_id: str, folder: str) -> bool:
        if (library_id, folder) not in self._away:
            with InnerDisks(root) as disks:
                self._away[library_id, folder] = AwayDisks(self._db, library_id, disks).holds(folder)
        return self._away[library_id, folder]

    def has_left(self, row: KnownFile) -> bool:
        """True only if the row's file is certainly not at its path any more.

        A missing file may be back, beside a hard link of it; where the disk can't be asked, missing is what it stays.
        """
        was_gone = row.missing_since is not None
        root = self._root_of(row.library_id)
        if root is None:
            return was_gone
        try:
            # A link is itself: where it leads to is another file.
            status = os.lstat(join(root, row.path))
        except (FileNotFoundError, NotADirectoryError):
            return True
        except OSError:
            return was_gone
        return int64(status.st_ino) != row.stat.inode

    def device_now(self, row: KnownFile) -> int:
        """The number of the device at the row's place: of its folder, or of the nearest one above it that is there.

        Where the disk can't be asked, the number that the row has.
        """
        root = self._root_of(row.library_id)
        device = None if root is None else self._device_of(root, folder_of(row.path))
        return row.device if device is None else device

    def _device_of(self, root: str, folder: str) -> int | None:
        place = join(root, folder) if folder else root
        if place not in self._devices:
            try:
                self._devices[place] = os.stat(place).st_dev
            except (FileNotFoundError, NotADirectoryError):
                self._devices[place] = self._device_of(root, folder_of(folder)) if folder else None
            except OSError:
                self._devices[place] = None
        return self._devices[place]

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
