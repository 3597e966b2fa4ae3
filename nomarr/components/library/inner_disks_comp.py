"""Which disks are mounted inside a library, and whether one that was there is away."""

from __future__ import annotations

import os
from types import TracebackType
from typing import Final, Self

import xxhash

from nomarr.components.library.file_systems_comp import Mount
from nomarr.components.library.mount_watch_comp import MountWatch
from nomarr.helpers.dto.files import ROOT_DISK, UNKNOWN_DISK
from nomarr.helpers.paths_helper import folder_of, folders_above, join

__all__ = ["InnerDisks", "disk_number"]

_UUIDS: Final = "/dev/disk/by-uuid"

_IDENTITY_IN_STATVFS: Final = frozenset({"ext2", "ext3", "ext4", "btrfs", "tmpfs"})
"""File systems whose f_fsid (statfs(2)) the kernel makes of their UUID; that of others is the device's number, which
the next disk that is plugged in may have."""

_SAME_BY_ANOTHER_NAME: Final = {"nfs4": "nfs", "smb3": "cifs"}


class InnerDisks:
    """The disks mounted inside the folder `root`, as they are whenever somebody asks, which costs one system call.

    What is mounted is told by a number, see `ROOT_DISK`. A folder that is bound (mount --bind) is a disk of its own.
    """

    def __init__(self, root: str) -> None:
        self._root = os.path.realpath(root)
        self._watch = MountWatch(self._root)
        self._disks = self._read()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._watch.close()

    def disk_of(self, folder: str) -> int:
        """The disk at `folder`, which is relative to the root and need not be there."""
        if not self._watch.knows_mounts:
            return self._disk_by_device(folder)
        if self._watch.has_changed():
            self._disks = self._read()
        point = self.mount_point_of(folder)
        return ROOT_DISK if point is None else self._disks[point]

    def mount_point_of(self, folder: str) -> str | None:
        """The folder at which the disk of `folder` is mounted; None for the root's disk."""
        if not self._disks:
            return None
        return next((above for above in (folder, *folders_above(folder)) if above in self._disks), None)

    def is_away(self, disk: int, now: int) -> bool:
        """True if `disk` was at a folder where `now` is, and is not at another place in the library either."""
        # What a disk is mounted over is not there as long as it is, like any other missing file.
        if disk in (ROOT_DISK, now) or (disk == UNKNOWN_DISK and now != ROOT_DISK):
            return False
        return disk not in self._disks.values()

    def _read(self) -> dict[str, int]:
        """Mount points, relative to the root, and the disks there."""
        return {
            os.path.relpath(mount.mount_point, self._root): disk_number(mount) for mount in self._watch.mounts_inside()
        }

    def _disk_by_device(self, folder: str) -> int:
        while folder:
            try:
                is_root_disk = os.stat(join(self._root, folder)).st_dev == os.stat(self._root).st_dev
            except OSError:
                folder = folder_of(folder)
            else:
                return ROOT_DISK if is_root_disk else UNKNOWN_DISK
        return ROOT_DISK


def disk_number(mount: Mount) -> int:
    """A number for what is mounted: the same one after a reboot, and another one for another disk at the same place.

    A disk that can't be asked is none of those that are known, so that what is known of these stays.
    """
    kind = _SAME_BY_ANOTHER_NAME.get(mount.file_system, mount.file_system)
    text = "\0".join((kind, mount.root, _identity(mount)))
    return max(xxhash.xxh3_64_intdigest(os.fsencode(text)) >> 1, UNKNOWN_DISK + 1)


def _identity(mount: Mount) -> str:
    if mount.file_system in _IDENTITY_IN_STATVFS:
        return _statvfs_identity(mount)
    if mount.source.startswith("/dev/") and mount.source != "/dev/fuse":
        return _uuid_of(mount.source) or _size_of(mount)
    # A server's folder, a dataset or a pool has a name that stays; asking a server that is away may take for ever.
    return mount.source


def _statvfs_identity(mount: Mount) -> str:
    try:
        number = os.statvfs(mount.mount_point).f_fsid
    except OSError:
        return ""
    # Older kernels (before 6.6) have none for tmpfs, which no number of a device outlives.
    return f"{number:x}" if number else mount.device


def _uuid_of(device: str) -> str | None:
    """As udev tells it; None where nobody does, as in a container."""
    try:
        number = os.stat(device).st_rdev
        with os.scandir(_UUIDS) as links:
            return next((link.name for link in links if link.stat().st_rdev == number), None)
    except OSError:
        return None


def _size_of(mount: Mount) -> str:
    # Disks seldom have the same size, and the name of a device is another one after a reboot.
    try:
        status = os.statvfs(mount.mount_point)
    except OSError:
        return ""
    return f"{status.f_frsize * status.f_blocks} bytes"
