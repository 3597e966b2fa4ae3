"""Which file system holds a folder, out of a mount table as Linux writes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from nomarr.components.library.file_systems_comp import (
    Mount,
    file_system_of,
    keeps_identity,
    mounts,
    timestamp_granularity,
)

TABLE = r"""22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:40 / /mnt/nas rw - cifs //nas/music rw
31 22 8:17 / /mnt/my\040disk rw shared:2 - vfat /dev/sdb1 rw
32 30 0:50 / /mnt/nas/deep rw - fuse.sshfs host:/ rw
33 22 8:33 / /mnt/nas rw - xfs /dev/sdc1 rw
broken line
"""


def test_a_table_is_parsed_with_escapes_and_without_broken_lines() -> None:
    assert mounts(TABLE)[2] == Mount("/mnt/my disk", "vfat", "8:17")
    assert len(mounts(TABLE)) == 5


@pytest.mark.parametrize(
    ("path", "file_system"),
    [
        ("/srv/music", "ext4"),
        ("/mnt/my disk/a", "vfat"),
        ("/mnt/nas", "xfs"),
        ("/mnt/nasty", "ext4"),
        ("/mnt/nas/deep/a", "fuse.sshfs"),
    ],
)
def test_the_longest_and_latest_mount_holds_a_folder(path: str, file_system: str) -> None:
    assert file_system_of(path, TABLE) == file_system


@pytest.mark.parametrize(
    ("file_system", "kept"), [("ext4", True), ("btrfs", True), ("nfs4", True), ("cifs", False), ("fuse.sshfs", False)]
)
def test_identity_is_believed_only_where_it_is_kept(file_system: str, kept: bool) -> None:
    assert keeps_identity(file_system) == kept


def test_fat_counts_in_steps_of_two_seconds() -> None:
    assert timestamp_granularity("vfat") == 2.0
    assert timestamp_granularity("ext4") < 0.1


def test_this_machine_has_an_answer(tmp_path: Path) -> None:
    assert file_system_of(str(tmp_path))
