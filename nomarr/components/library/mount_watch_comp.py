"""Which disks are mounted at and below a folder, and whether that has changed."""

from __future__ import annotations

import os
import select

from nomarr.components.library.file_systems_comp import MOUNTS, Mount, file_system_of, mounts, needs_polling
from nomarr.helpers.paths_helper import is_within

__all__ = ["MountWatch", "polled_file_system"]


class MountWatch:
    """Tells when the mounts of a folder, or of folders inside it, are other ones. Asking costs one system call.

    Args:
        root: without links, so that no disk is asked, which might not answer.
    """

    def __init__(self, root: str) -> None:
        self._root = root
        self._poll: select.poll | None = None
        self._known: list[Mount] = []
        try:
            self._table = open(MOUNTS, encoding="utf-8", errors="surrogateescape")  # noqa: SIM115 - closed by `close`
        except FileNotFoundError:
            # No Linux: mounts below a watched folder are found by the next whole scan.
            return
        self._poll = select.poll()
        self._poll.register(self._table, select.POLLERR | select.POLLPRI)
        self._known = self._read()

    @property
    def knows_mounts(self) -> bool:
        """False where there is no mount table: on another system than Linux."""
        return self._poll is not None

    def mounts_inside(self) -> list[Mount]:
        """What is mounted below the folder, as `has_changed` found it last; later entries cover earlier ones."""
        inside = (mount for mount in self._known if is_within(mount.mount_point, self._root))
        return [mount for mount in inside if mount.mount_point != self._root]

    def has_changed(self) -> bool:
        """True once for every change since the last call."""
        # proc_pid_mounts(5): the file is "ready" when the table has changed since it was read.
        if self._poll is None or not self._poll.poll(0):
            return False
        before, self._known = self._known, self._read()
        return before != self._known

    def close(self) -> None:
        """Give the table back."""
        if self._poll is not None:
            self._table.close()
            self._poll = None

    def _read(self) -> list[Mount]:
        self._table.seek(0)
        return [
            mount
            for mount in mounts(self._table.read())
            if is_within(mount.mount_point, self._root) or is_within(self._root, mount.mount_point.rstrip("/"))
        ]


def polled_file_system(root: str) -> str | None:
    """The type of a file system at or below `root` whose changes the kernel does not tell; None if it tells all."""
    real = os.path.realpath(root)
    here = file_system_of(real)
    if needs_polling(here):
        return here
    try:
        with open(MOUNTS, encoding="utf-8", errors="surrogateescape") as file:
            table = mounts(file.read())
    except FileNotFoundError:
        return None
    inside = (mount.file_system for mount in table if is_within(mount.mount_point, real))
    return next((kind for kind in inside if needs_polling(kind)), None)
