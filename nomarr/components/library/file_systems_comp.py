"""What kind of file system a folder is on, and what may be believed of it."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = [
    "MOUNTS",
    "Mount",
    "file_system_of",
    "is_rotational",
    "keeps_identity",
    "mounts",
    "needs_polling",
    "timestamp_granularity",
]

MOUNTS: Final = "/proc/self/mountinfo"

_KEEP_IDENTITY: Final = frozenset(
    {
        *("ext2", "ext3", "ext4", "xfs", "btrfs", "bcachefs", "f2fs", "jfs", "nilfs2", "reiserfs", "zfs", "ufs"),
        *("apfs", "hfs", "hfsplus"),
        *("tmpfs", "ramfs", "overlay", "aufs"),
        *("nfs", "nfs4", "ceph"),
    }
)
"""File systems whose inodes and ctimes are the same after a remount. All others are not trusted: cifs, smb3, 9p,
virtiofs, fuse.*, vfat, exfat and ntfs make inodes up as they go."""

_CHANGED_BY_OTHERS: Final = frozenset(
    {
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "lustre", "gfs2", "ocfs2"),
        *("9p", "virtiofs", "vboxsf", "prl_fs"),
    }
)
"""File systems that other machines change, or the host of a virtual machine: inotify tells of local changes only."""

_OCTAL: Final = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Mount:
    """One line of the mount table."""

    mount_point: str
    file_system: str
    device: str
    """Major and minor number, `8:1`."""
    root: str = "/"
    """The folder of the file system that is seen here; another one than `/` for a bind mount, and on btrfs."""
    source: str = ""
    """What the file system is on: a block device, a server's folder, or a name that somebody chose."""


def is_rotational(device: int, devices: Path = Path("/sys/dev/block")) -> bool:
    """True for a disk that turns; False where nobody can tell, as of a network or on another system than Linux."""
    block = devices / f"{os.major(device)}:{os.minor(device)}"
    # A partition has no queue of its own, its disk has (sysfs-block, Documentation/ABI).
    for queue in (block / "queue", block / ".." / "queue"):
        try:
            return (queue / "rotational").read_text(encoding="ascii").strip() == "1"
        except OSError:
            continue
    return False


def mounts(table: str) -> list[Mount]:
    """Parse a mount table (proc_pid_mountinfo(5)); later entries cover earlier ones at the same place."""
    found = []
    for line in table.splitlines():
        before, separator, after = line.partition(" - ")
        fields = before.split()
        if separator and len(fields) >= 5 and after:
            file_system, *more = after.split()
            source = _unquoted(more[0]) if more else ""
            found.append(Mount(_unquoted(fields[4]), file_system, fields[2], _unquoted(fields[3]), source))
    return found


def file_system_of(path: str, table: str | None = None) -> str:
    """The file-system type that holds the absolute `path`; empty where there is no mount table to ask."""
    if table is None:
        table = _mount_table()
    real = os.path.realpath(path)
    best = Mount("", "", "")
    for mount in mounts(table):
        point = mount.mount_point
        if (real == point or real.startswith(point.rstrip("/") + "/")) and len(point) >= len(best.mount_point):
            best = mount
    return best.file_system


def keeps_identity(file_system: str) -> bool:
    """True if inodes and ctimes on this type of file system can be compared with those of an earlier scan."""
    if not file_system:
        return sys.platform != "win32"
    return file_system in _KEEP_IDENTITY


def needs_polling(file_system_type: str) -> bool:
    """True if files on this type of file system can change without an event.

    Besides network file systems those in user space (fuse, fuse.*), where another machine or another program may be on
    the far side. `fuseblk` is a local disk, as are the layers of an overlay.
    """
    return file_system_type in _CHANGED_BY_OTHERS or file_system_type == "fuse" or file_system_type.startswith("fuse.")


def timestamp_granularity(file_system: str) -> float:
    """Seconds within which two writes may bear the same time: a kernel tick, or FAT's two seconds."""
    return 0.02 if keeps_identity(file_system) else 2.0


def _mount_table() -> str:
    try:
        with open(MOUNTS, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def _unquoted(field: str) -> str:
    return _OCTAL.sub(lambda match: chr(int(match.group(1), 8)), field)
