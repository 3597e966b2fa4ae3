"""A disk that is away, empty, another one or broken never makes a file missing, and comes back without help."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from support.disk import assert_equal
from support.music import build, tone, tones
from support.scans import ids, missing, scan
from support.system import (
    Disk,
    Gate,
    give_away,
    input_output_error,
    mounted,
    open_to_everybody,
    without_privileges,
)

from nomarr import Library, LibraryOffline, LibraryState, Nomarr, PathState, ScanTarget
from nomarr.workflows.library import start_scan_wf

TREE = {"Rock": {"a.wav": tone(440), "b.wav": tone(441), "Live": {"c.wav": tone(442)}}, "Pop": {"d.wav": tone(443)}}


async def scanned(nomarr: Nomarr, root: Path) -> Library:
    library = await nomarr.libraries.add_library("Music", root)
    await scan(nomarr, library)
    return library


async def assert_offline(nomarr: Nomarr, library: Library, *reasons: str) -> None:
    """A scan says that the library is offline and why, its state says it too, and no row changes."""
    before = await ids(nomarr, library)
    with pytest.raises(LibraryOffline) as caught:
        await scan(nomarr, library)
    now = await nomarr.libraries.get_library(library.library_id)
    assert now.state is LibraryState.OFFLINE
    assert now.offline_reason == caught.value.reason
    assert any(reason in caught.value.reason for reason in reasons), caught.value.reason
    assert await ids(nomarr, library) == before
    assert await missing(nomarr, library) == {}
    runs = await nomarr.libraries.list_scans(library.library_id)
    assert runs[0].state == "offline"
    assert runs[0].error


async def assert_back(nomarr: Nomarr, library: Library, before: dict[str, str]) -> None:
    """The next scan finds everything as it was."""
    report = await scan(nomarr, library)
    now = await nomarr.libraries.get_library(library.library_id)
    assert (now.state, now.offline_reason) == (LibraryState.READY, None)
    assert report.files_missing == report.files_added == 0
    assert await ids(nomarr, library) == before
    await assert_equal(nomarr, library)


async def test_a_root_that_is_away_makes_the_library_offline(nomarr: Nomarr, music_tree: Callable[..., Path]) -> None:
    root = music_tree(TREE)
    library = await scanned(nomarr, root)
    before = await ids(nomarr, library)
    os.rename(root, root.with_name("away"))
    await assert_offline(nomarr, library, "is not there")
    explanation = await nomarr.libraries.explain(root / "Rock" / "a.wav")
    assert explanation.state is PathState.OFFLINE
    os.rename(root.with_name("away"), root)
    await assert_back(nomarr, library, before)


async def test_a_targeted_scan_of_a_root_that_is_away_judges_nothing(
    nomarr: Nomarr, music_tree: Callable[..., Path]
) -> None:
    root = music_tree(TREE)
    library = await scanned(nomarr, root)
    before = await ids(nomarr, library)
    os.rename(root, root.with_name("away"))
    root.mkdir()
    for folder in ("Rock", "Rock/Live", "Gone/and/never/there"):
        with pytest.raises(LibraryOffline):
            await scan(nomarr, library, folder)
    assert await ids(nomarr, library) == before


async def test_a_root_that_is_a_file_makes_the_library_offline(nomarr: Nomarr, music_tree: Callable[..., Path]) -> None:
    root = music_tree(TREE)
    library = await scanned(nomarr, root)
    before = await ids(nomarr, library)
    os.rename(root, root.with_name("away"))
    root.write_text("not a folder")
    await assert_offline(nomarr, library, "is not a folder")
    root.unlink()
    os.rename(root.with_name("away"), root)
    await assert_back(nomarr, library, before)


async def test_an_empty_root_makes_the_library_offline(nomarr: Nomarr, music_tree: Callable[..., Path]) -> None:
    root = music_tree(TREE)
    library = await scanned(nomarr, root)
    before = await ids(nomarr, library)
    os.rename(root, root.with_name("away"))
    root.mkdir()
    await assert_offline(nomarr, library, "is empty")
    root.rmdir()
    os.rename(root.with_name("away"), root)
    await assert_back(nomarr, library, before)


async def test_an_empty_root_that_was_always_empty_is_a_library_without_files(
    nomarr: Nomarr, music_tree: Callable[..., Path]
) -> None:
    library = await scanned(nomarr, music_tree({}))
    assert (await nomarr.libraries.get_library(library.library_id)).state is LibraryState.READY


async def test_another_folder_at_the_root_makes_the_library_offline(
    nomarr: Nomarr, music_tree: Callable[..., Path]
) -> None:
    root = music_tree(TREE)
    library = await scanned(nomarr, root)
    before = await ids(nomarr, library)
    os.rename(root, root.with_name("away"))
    music_tree({"Elsewhere": tones(3)})
    await assert_offline(nomarr, library, "another folder or disk")
    shutil.rmtree(root)
    os.rename(root.with_name("away"), root)
    await assert_back(nomarr, library, before)


async def test_a_root_restored_from_a_backup_is_still_the_library(
    nomarr: Nomarr, music_tree: Callable[..., Path]
) -> None:
    root = music_tree(TREE)
    library = await scanned(nomarr, root)
    before = await ids(nomarr, library)
    os.rename(root, root.with_name("away"))
    shutil.copytree(root.with_name("away"), root)
    report = await scan(nomarr, library)
    assert any("another folder or disk" in warning for warning in report.warnings)
    assert await ids(nomarr, library) == before
    await assert_equal(nomarr, library)


@pytest.mark.parametrize("content", [{}, {"Elsewhere": tones(3)}], ids=["empty", "other files"])
async def test_another_disk_at_the_root_makes_the_library_offline(
    nomarr: Nomarr, music_tree: Callable[..., Path], content: dict[str, dict[str, bytes]]
) -> None:
    root = music_tree(TREE)
    library = await scanned(nomarr, root)
    before = await ids(nomarr, library)
    with mounted(root):
        build(root, content)
        await assert_offline(nomarr, library, "is empty", "another folder or disk")
    await assert_back(nomarr, library, before)


async def test_a_disk_mounted_inside_that_is_away_keeps_its_files(
    nomarr: Nomarr, music_tree: Callable[..., Path], tmp_path: Path
) -> None:
    root = music_tree({**TREE, "usb": {}})
    stick = tmp_path / "stick"
    stick.mkdir()
    with mounted(stick):
        build(stick, {"e.wav": tone(444), "Deep": {"er": {"f.wav": tone(445)}}})
        with mounted(root / "usb", of=stick):
            library = await scanned(nomarr, root)
            before = await ids(nomarr, library)
            assert {"usb/e.wav", "usb/Deep/er/f.wav"} <= set(before)
        for folder in ("", "usb", "usb/Deep", "usb/Deep/er"):
            report = await scan(nomarr, library, folder)
            assert report.files_missing == 0
            assert any("usb" in warning and "away" in warning for warning in report.warnings), folder
        assert await ids(nomarr, library) == before
        with mounted(root / "usb", of=stick):
            await assert_back(nomarr, library, before)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # it writes SQL
@pytest.mark.parametrize("old", ["c.wav", "Album", "."], ids=["file", "folder", "everything"])
async def test_files_renamed_on_a_disk_inside_that_has_another_number_now_keep_their_ids(
    nomarr: Nomarr, music_tree: Callable[..., Path], old: str
) -> None:
    root = music_tree({"a.wav": tone(300), "usb": {}})
    with mounted(root / "usb") as stick:
        build(stick, {"c.wav": tone(302), "Album": {"e.wav": tone(304)}})
        library = await scanned(nomarr, root)
        before = await ids(nomarr, library)
        # As the next boot leaves it that finds the disks in another order.
        with closing(sqlite3.connect(nomarr.database.location.removeprefix("sqlite:///"))) as db, db:
            db.execute("UPDATE library_files SET device = 4242 WHERE path LIKE 'usb/%'")
            db.execute("UPDATE library_folders SET digest = 'with 4242' WHERE path LIKE 'usb%'")
        moved = [stick / name for name in (("c.wav", "Album") if old == "." else (old,))]
        for path in moved:
            path.rename(path.with_name(f"new {path.name}"))
        report = await scan(nomarr, library)
        assert (report.files_moved, report.files_added, report.files_missing) == (len(moved), 0, 0)
        after = await ids(nomarr, library)
        assert {path.replace("new ", ""): file_id for path, file_id in after.items()} == before


async def test_a_root_without_its_marker_makes_the_library_offline(
    database_url: str, music_tree: Callable[..., Path]
) -> None:
    root = music_tree({**TREE, ".this-is-the-disk": None})
    async with Nomarr.open(database_url, settle_seconds=0, root_marker=".this-is-the-disk") as nomarr:
        library = await scanned(nomarr, root)
        before = await ids(nomarr, library)
        (root / ".this-is-the-disk").unlink()
        await assert_offline(nomarr, library, "marker")
        (root / ".this-is-the-disk").touch()
        await assert_back(nomarr, library, before)


async def test_an_unreadable_root_makes_the_library_offline() -> None:
    with open_to_everybody() as folder:
        root = build(folder / "music", TREE)
        async with Nomarr.open(f"sqlite:///{folder}/db/nomarr.db", settle_seconds=0) as nomarr:
            library = await scanned(nomarr, root)
            before = await ids(nomarr, library)
            give_away(folder)
            root.chmod(0o000)
            with without_privileges():
                await assert_offline(nomarr, library, "can't be read")
            root.chmod(0o755)
            with without_privileges():
                await assert_back(nomarr, library, before)


async def test_a_folder_that_may_not_be_listed_keeps_its_files() -> None:
    with open_to_everybody() as folder:
        root = build(folder / "music", TREE)
        async with Nomarr.open(f"sqlite:///{folder}/db/nomarr.db", settle_seconds=0) as nomarr:
            library = await scanned(nomarr, root)
            before = await ids(nomarr, library)
            give_away(folder)
            (root / "Rock").chmod(0o000)
            with without_privileges():
                report = await scan(nomarr, library)
                aimed = await scan(nomarr, library, "Rock/Live")
                explanation = await nomarr.libraries.explain(root / "Rock" / "a.wav")
            assert report.files_missing == aimed.files_missing == 0
            assert any("Rock: Permission denied" in warning for warning in report.warnings)
            assert any("Permission denied" in warning for warning in aimed.warnings)
            assert explanation.state is PathState.UNREADABLE
            assert await ids(nomarr, library) == before
            (root / "Rock").chmod(0o755)
            with without_privileges():
                await assert_back(nomarr, library, before)


@pytest.mark.parametrize("at", ["Pop", "Rock", "Rock/Live"])
async def test_a_root_emptied_during_the_walk_makes_the_library_offline(
    nomarr: Nomarr, music_tree: Callable[..., Path], disk: Disk, at: str
) -> None:
    root = music_tree(TREE)
    library = await scanned(nomarr, root)
    before = await ids(nomarr, library)

    def unmount() -> None:
        os.rename(root, root.with_name("away"))
        root.mkdir()

    disk.once_before_listing(root / at, unmount)
    await assert_offline(nomarr, library, "is empty")
    root.rmdir()
    os.rename(root.with_name("away"), root)
    await assert_back(nomarr, library, before)


async def test_a_root_replaced_during_the_walk_makes_the_library_offline(
    nomarr: Nomarr, music_tree: Callable[..., Path], disk: Disk
) -> None:
    root = music_tree(TREE)
    library = await scanned(nomarr, root)
    before = await ids(nomarr, library)

    def replace() -> None:
        os.rename(root, root.with_name("away"))
        music_tree({"Elsewhere": tones(3)})

    disk.once_before_listing(root / "Rock", replace)
    await assert_offline(nomarr, library, "another folder or disk")
    shutil.rmtree(root)
    os.rename(root.with_name("away"), root)
    await assert_back(nomarr, library, before)


async def test_a_first_scan_of_a_root_that_goes_away_records_nothing_wrong(
    nomarr: Nomarr, music_tree: Callable[..., Path], disk: Disk
) -> None:
    root = music_tree(TREE)
    library = await nomarr.libraries.add_library("Music", root)
    disk.once_before_listing(root / "Rock", lambda: os.rename(root, root.with_name("away")))
    with pytest.raises(LibraryOffline):
        await scan(nomarr, library)
    os.rename(root.with_name("away"), root)
    await scan(nomarr, library)
    await assert_equal(nomarr, library)


async def test_a_folder_that_fails_to_be_listed_keeps_its_files(
    nomarr: Nomarr, music_tree: Callable[..., Path], disk: Disk
) -> None:
    root = music_tree(TREE)
    library = await scanned(nomarr, root)
    before = await ids(nomarr, library)
    disk.before_listing(root / "Rock", input_output_error)
    report = await scan(nomarr, library)
    assert report.files_missing == 0
    assert any("Rock: Input/output error" in warning for warning in report.warnings)
    assert await ids(nomarr, library) == before
    disk.recover()
    await assert_back(nomarr, library, before)


async def test_a_file_that_fails_to_be_looked_at_stays_as_it_was(
    nomarr: Nomarr, music_tree: Callable[..., Path], disk: Disk
) -> None:
    root = music_tree(TREE)
    library = await scanned(nomarr, root)
    before = await ids(nomarr, library)
    disk.before_stat(root / "Rock" / "a.wav", input_output_error)
    report = await scan(nomarr, library)
    assert report.files_missing == 0
    assert any("Rock/a.wav: Input/output error" in warning for warning in report.warnings)
    assert (await nomarr.libraries.explain(root / "Rock" / "a.wav")).state is PathState.UNREADABLE
    assert await ids(nomarr, library) == before
    disk.recover()
    await assert_back(nomarr, library, before)


async def test_a_root_that_fails_to_be_listed_makes_the_library_offline(
    nomarr: Nomarr, music_tree: Callable[..., Path], disk: Disk
) -> None:
    root = music_tree(TREE)
    library = await scanned(nomarr, root)
    before = await ids(nomarr, library)
    disk.before_listing(root, input_output_error)
    await assert_offline(nomarr, library, "can't be read (Input/output error)")
    disk.recover()
    await assert_back(nomarr, library, before)


async def test_a_dry_scan_of_a_root_that_is_away_says_so(nomarr: Nomarr, music_tree: Callable[..., Path]) -> None:
    root = music_tree(TREE)
    library = await scanned(nomarr, root)
    os.rename(root, root.with_name("away"))
    with pytest.raises(LibraryOffline):
        await scan(nomarr, library, dry_run=True)
    assert (await nomarr.libraries.get_library(library.library_id)).state is LibraryState.READY


async def test_scans_that_wait_for_a_disk_share_one_thread(
    nomarr: Nomarr, music_tree: Callable[..., Path], disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = await scanned(nomarr, music_tree(TREE))
    before = await ids(nomarr, library)
    gate = Gate()
    disk.before_listing(Path(library.root_path), gate.pass_through)
    try:
        for _ in range(10):
            handle = await nomarr.libraries.start_scan_for_library(library.library_id)
            await gate.wait_for(1)
            await nomarr.libraries.get_library(library.library_id)
            handle.cancel()
            assert await handle.result() is None
        monkeypatch.setattr(start_scan_wf, "_ROOT_SECONDS", 0.1)
        await assert_offline(nomarr, library, "does not answer")
        with pytest.raises(LibraryOffline, match="does not answer"):
            await nomarr.libraries.scan_targets([ScanTarget(library.library_id)], dry_run=True)
        assert gate.arrived == 1
    finally:
        gate.open()
    monkeypatch.undo()
    await assert_back(nomarr, library, before)
