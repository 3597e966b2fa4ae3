"""Which disks are mounted inside a folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from support.system import mounted

from nomarr.components.library.file_systems_comp import Mount, mounts
from nomarr.components.library.inner_disks_comp import InnerDisks, disk_number
from nomarr.helpers.dto.files import ROOT_DISK, UNKNOWN_DISK

NAS = Mount("/music/nas", "nfs", "0:40", "/", "nas:/music")


@pytest.mark.parametrize(
    "other",
    [
        replace(NAS, source="nas:/other"),
        replace(NAS, root="/Rock"),
        replace(NAS, file_system="cifs"),
        Mount("/music/nas", "vfat", "8:17", "/", "/dev/sdx1"),
    ],
)
def test_another_disk_has_another_number(other: Mount) -> None:
    assert disk_number(other) != disk_number(NAS)


@pytest.mark.parametrize(
    "same", [replace(NAS, device="0:51"), replace(NAS, mount_point="/elsewhere"), replace(NAS, file_system="nfs4")]
)
def test_a_disk_has_its_number_wherever_and_however_often_it_is_mounted(same: Mount) -> None:
    assert disk_number(same) == disk_number(NAS)


def test_numbers_fit_into_64_bits() -> None:
    numbers = [disk_number(replace(NAS, source=f"nas:/{n}")) for n in range(200)]
    assert all(UNKNOWN_DISK < number < 2**63 for number in numbers)


def test_a_mount_table_tells_what_is_mounted_and_of_what() -> None:
    [mount] = mounts("36 22 8:2 /srv/old\\040music /music/old rw shared:1 - ext4 /dev/sdb1 rw")
    assert mount == Mount("/music/old", "ext4", "8:2", "/srv/old music", "/dev/sdb1")


def test_disks_are_told_as_they_are_when_somebody_asks(tmp_path: Path) -> None:
    (tmp_path / "usb").mkdir()
    with InnerDisks(str(tmp_path)) as disks:
        assert disks.disk_of("usb/Album") == ROOT_DISK
        with mounted(tmp_path / "usb"):
            outer = disks.disk_of("usb/Album")
            (tmp_path / "usb/deep").mkdir()
            with mounted(tmp_path / "usb/deep"):
                inner = disks.disk_of("usb/deep/Album")
                assert len({ROOT_DISK, outer, inner}) == 3
                assert not disks.is_away(outer, ROOT_DISK), "it is at another place of the library"
            assert disks.disk_of("usb/deep/Album") == outer
            assert disks.is_away(inner, outer)
        assert disks.disk_of("usb") == ROOT_DISK
        assert disks.is_away(outer, ROOT_DISK)


def test_where_no_mount_table_is_another_device_is_another_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nomarr.components.library.mount_watch_comp.MOUNTS", str(tmp_path / "nowhere"))
    (tmp_path / "usb").mkdir()
    with mounted(tmp_path / "usb"), InnerDisks(str(tmp_path)) as disks:
        assert disks.disk_of("usb/Album/gone") == UNKNOWN_DISK
        assert disks.disk_of("Rock/gone") == ROOT_DISK
        assert disks.is_away(UNKNOWN_DISK, ROOT_DISK)
