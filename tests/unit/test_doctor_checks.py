"""What `doctor` says of watching: the kernel's limits, and how each library is watched on its disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.music import tones
from support.scans import scan

from nomarr import Nomarr
from nomarr.components.library import file_systems_comp, mount_watch_comp
from nomarr.helpers.disk_looks_helper import DiskLooks
from nomarr.workflows.library.doctor_wf import Check, check_database_workflow

NOW = 1_700_000_000.0
FOLDERS = 5  # a root and four albums


@pytest.fixture
def music(music_tree: Callable[..., Path]) -> Path:
    return music_tree({f"album {number}": tones(1, first=100 + number) for number in range(FOLDERS - 1)})


@pytest.fixture
def limits(tmp_path: Path) -> Callable[..., Path]:
    """Writes a folder like /proc/sys/fs/inotify."""

    def write(watches: int = 8192, instances: int = 128, queued: int = 16_384) -> Path:
        folder = tmp_path / "inotify"
        folder.mkdir()
        for name, number in (("user_watches", watches), ("user_instances", instances), ("queued_events", queued)):
            (folder / f"max_{name}").write_text(f"{number}\n")
        return folder

    return write


@pytest.fixture
def on_file_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Lets a folder be on a file system of this type, as the mount table tells it."""

    def mount(folder: Path, file_system: str) -> None:
        table = tmp_path / "mountinfo"
        table.write_text(
            "22 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n"
            f"30 22 0:40 / {folder.resolve()} rw shared:9 - {file_system} away rw\n"
        )
        for component in (file_systems_comp, mount_watch_comp):
            monkeypatch.setattr(component, "MOUNTS", str(table))

    return mount


def checks(nomarr: Nomarr, limits: Path) -> dict[str, Check]:
    return {check.name: check for check in check_database_workflow(nomarr.database, NOW, DiskLooks(), limits=limits)}


async def test_enough_is_enough(nomarr: Nomarr, music: Path, limits: Callable[..., Path]) -> None:
    await scan(nomarr, await nomarr.libraries.add_library("Music", music))
    found = checks(nomarr, limits(watches=2 * FOLDERS))
    assert found["inotify"] == Check("inotify", "ok", "10 watched folders allowed, folders to watch: 5")
    assert found["inotify instances"] == Check("inotify instances", "ok", "128 watchers allowed, libraries to watch: 1")
    assert found["inotify queue"].status == "ok"


@pytest.mark.parametrize(
    ("too_low", "name", "setting"),
    [
        ({"watches": 2 * FOLDERS - 1}, "inotify", "fs.inotify.max_user_watches=524288"),
        ({"instances": 3}, "inotify instances", "fs.inotify.max_user_instances=512"),
        ({"queued": 16_383}, "inotify queue", "fs.inotify.max_queued_events=65536"),
    ],
)
async def test_a_limit_that_is_too_low_comes_with_the_lines_that_raise_it(
    nomarr: Nomarr, music: Path, limits: Callable[..., Path], too_low: dict[str, int], name: str, setting: str
) -> None:
    await scan(nomarr, await nomarr.libraries.add_library("Music", music))
    found = checks(nomarr, limits(**too_low))
    assert [check.name for check in found.values() if check.status == "warn"] == [name]
    assert found[name].remedy == (
        f"sudo sysctl {setting}; to keep it: echo {setting} | sudo tee -a /etc/sysctl.d/60-nomarr.conf"
    )


async def test_only_libraries_that_are_watched_by_events_count(
    nomarr: Nomarr, music: Path, limits: Callable[..., Path]
) -> None:
    library = await nomarr.libraries.add_library("Music", music)
    await scan(nomarr, library)
    of_limits = limits()
    for change in ({"watch_mode": "off"}, {"watch_mode": "poll"}, {"watch_mode": "events", "enabled": False}):
        await nomarr.libraries.update_library(library.library_id, **change)
        assert checks(nomarr, of_limits)["inotify"].detail.endswith("folders to watch: 0")


async def test_limits_that_cannot_be_read_are_told(nomarr: Nomarr, tmp_path: Path) -> None:
    assert checks(nomarr, tmp_path / "nowhere")["inotify"].status == "warn"


@pytest.mark.parametrize(
    ("mode", "file_system", "told", "status"),
    [
        ("auto", "nfs4", "on nfs4, watch mode auto (polled: nfs4 does not tell of every change)", "ok"),
        ("auto", "overlay", "on overlay, watch mode auto (by events)", "ok"),
        ("events", "ceph", "ceph does not tell of changes that are made elsewhere", "warn"),
        ("poll", "ceph", "on ceph, watch mode poll, ", "ok"),
        ("off", "ceph", "on ceph, watch mode off, ", "ok"),
    ],
)
async def test_each_library_tells_how_it_is_watched(
    nomarr: Nomarr,
    music: Path,
    limits: Callable[..., Path],
    on_file_system: Callable[..., None],
    mode: str,
    file_system: str,
    told: str,
    status: str,
) -> None:
    library = await nomarr.libraries.add_library("My music", music, watch_mode=mode)
    await scan(nomarr, library)
    on_file_system(music, file_system)
    check = checks(nomarr, limits())["library My music"]
    assert told in check.detail
    assert check.status == status
    if status == "warn":
        assert check.remedy == "let it be polled: nomarr library edit 'My music' --watch auto"


async def test_a_network_disk_inside_a_library_is_enough_to_poll(
    nomarr: Nomarr, music: Path, limits: Callable[..., Path], on_file_system: Callable[..., None]
) -> None:
    await scan(nomarr, await nomarr.libraries.add_library("Music", music))
    on_file_system(music / "album 0", "fuse.sshfs")
    assert "(polled: fuse.sshfs" in checks(nomarr, limits())["library Music"].detail
