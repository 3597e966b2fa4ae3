"""What `doctor` says of watching: the kernel's limits, and how each library is watched on its disk."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from support.music import tones
from support.scans import scan

from nomarr import DatabaseError, Library, Nomarr
from nomarr.components.library import file_systems_comp, mount_watch_comp
from nomarr.helpers.disk_looks_helper import DiskLooks
from nomarr.helpers.dto.library import ScanTarget
from nomarr.helpers.dto.scan import LeaseOwner
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


def change_database(database: Path, statement: str) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(statement)


async def library_check(nomarr: Nomarr, name: str = "My music") -> Check:
    return {check.name: check for check in await nomarr.doctor.check_database()}[f"library {name}"]


@pytest.fixture
async def library(nomarr: Nomarr, music: Path) -> Library:
    return await nomarr.libraries.add_library("My music", music)


async def test_a_library_whose_scans_fail_says_why_and_what_to_do(
    nomarr: Nomarr, library: Library, database: Path
) -> None:
    change_database(
        database,
        "CREATE TRIGGER broken BEFORE INSERT ON library_files BEGIN SELECT RAISE(ABORT, 'no row is good enough'); END",
    )
    with pytest.raises(DatabaseError):
        await scan(nomarr, library)
    for told in (await nomarr.libraries.get_library(library.library_id), *await nomarr.libraries.list_libraries()):
        assert told.state == "failed"
        assert told.reason is not None
        assert told.reason.startswith("its last scan failed: ")
        assert "no row is good enough" in told.reason
    check = await library_check(nomarr)
    assert check.status == "error"
    assert f"; {told.reason}" in check.detail
    assert check.remedy == "remove the cause and scan it again: nomarr scan 'My music'"

    change_database(database, "DROP TRIGGER broken")
    await scan(nomarr, library)
    assert (await nomarr.libraries.get_library(library.library_id)).reason is None
    assert (await library_check(nomarr)).status == "ok"


async def test_a_library_whose_scan_failed_keeps_its_missing_files_no_longer_than_others(
    nomarr: Nomarr, library: Library, music: Path, database: Path
) -> None:
    await scan(nomarr, library)
    (music / "album 0" / "0000.wav").unlink()
    await scan(nomarr, library)
    change_database(database, "UPDATE libraries SET scan_state = 'failed'")
    report = await nomarr.libraries.purge_missing(older_than_days=0)
    assert report.files == 1


@pytest.mark.parametrize(
    ("change", "told", "options"),
    [
        ("watch_mode = 'sometimes'", "watch_mode", "--watch auto"),
        ("ignore_patterns = '7'", "ignore_patterns", "--no-ignore"),
        ("transcode_policy = ''", "transcode_policy", "--transcodes keep_id"),
        (
            "watch_mode = 'x', transcode_policy = 'y'",
            "watch_mode, transcode_policy",
            "--watch auto --transcodes keep_id",
        ),
    ],
)
async def test_settings_that_cannot_be_read_come_with_the_command_that_mends_them(
    nomarr: Nomarr, library: Library, database: Path, change: str, told: str, options: str
) -> None:
    change_database(database, f"UPDATE libraries SET {change}")
    check = await library_check(nomarr)
    assert check.status == "error"
    assert check.detail == f"it stands still: its settings can't be read ({told})"
    assert check.remedy == f"set them anew: nomarr library edit 'My music' {options}"


async def test_an_interrupted_scan_is_told(nomarr: Nomarr, library: Library) -> None:
    await scan(nomarr, library)
    nomarr.database.library.mark_scan_started(
        library.library_id,
        "scan",
        LeaseOwner("somewhere", 1, 0, "token"),
        [ScanTarget(library.library_id)],
        now=NOW,
        lease_seconds=60,
    )
    check = await library_check(nomarr)
    assert check.status == "warn"
    assert check.detail.endswith("; its last scan was interrupted")
    assert check.remedy == "let it go on: nomarr scan 'My music'"


async def test_a_disk_that_is_back_is_to_be_scanned(nomarr: Nomarr, library: Library, database: Path) -> None:
    await scan(nomarr, library)
    change_database(database, "UPDATE libraries SET offline_reason = 'its folder is empty'")
    check = await library_check(nomarr)
    assert check.status == "warn"
    assert check.detail.endswith("; it was offline when it was last scanned (its folder is empty), and is there now")
    assert check.remedy == "scan it again: nomarr scan 'My music'"
