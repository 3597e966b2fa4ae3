"""What kind of file system a folder is on."""

from __future__ import annotations

import pytest

from nomarr.components.library.file_systems_comp import (
    file_system_of,
    keeps_identity,
    needs_polling,
    timestamp_granularity,
)

TABLE = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:40 / /mnt/nas rw,relatime shared:9 - cifs //nas/music rw
31 22 8:2 / /mnt/with\\040space rw - btrfs /dev/sdb rw,subvol=/
32 30 0:41 / /mnt/nas/local rw - tmpfs tmpfs rw
33 22 0:42 / /mnt/fuse rw master:3 shared:1 - fuse.mergerfs a:b rw
34 22 0:43 / /mnt/twice rw - ext4 /dev/sdc rw
35 22 0:44 / /mnt/twice rw - 9p host rw
a line that is broken
"""


@pytest.mark.parametrize(
    ("path", "file_system", "is_kept"),
    [
        ("/", "ext4", True),
        ("/mnt", "ext4", True),
        ("/mnt/nas", "cifs", False),
        ("/mnt/nas/Rock", "cifs", False),
        ("/mnt/nasty", "ext4", True),
        ("/mnt/nas/local/x", "tmpfs", True),
        ("/mnt/with space/x", "btrfs", True),
        ("/mnt/fuse", "fuse.mergerfs", False),
        ("/mnt/twice", "9p", False),
    ],
)
def test_the_innermost_and_latest_mount_counts(path: str, file_system: str, is_kept: bool) -> None:
    assert file_system_of(path, TABLE) == file_system
    assert keeps_identity(file_system) is is_kept
    assert timestamp_granularity(file_system) == (0.02 if is_kept else 2.0)


def test_without_a_mount_table_nothing_is_known() -> None:
    assert file_system_of("/music", "") == ""


@pytest.mark.parametrize(
    "file_system",
    ["nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "virtiofs", "ceph", "afs", "vboxsf", "fuse", "fuse.sshfs"],
)
def test_file_systems_that_change_without_an_event_are_polled(file_system: str) -> None:
    assert needs_polling(file_system)


@pytest.mark.parametrize(
    "file_system",
    ["ext4", "xfs", "btrfs", "zfs", "tmpfs", "overlay", "fuseblk", "vfat", "exfat", "ntfs3", "fusectl", ""],
)
def test_local_file_systems_tell_of_their_changes(file_system: str) -> None:
    assert not needs_polling(file_system)
