"""One scan of a library at a time, a few libraries side by side, and scans that are cancelled."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import anyio
import pytest
from support.disk import assert_equal
from support.music import build, tone, tones
from support.patience import promised
from support.scans import ids, scan
from support.system import Disk, Gate, until

from nomarr import (
    DatabaseNotReachable,
    InvalidPath,
    LibraryAlreadyScanning,
    LibraryNotFound,
    LibraryState,
    Nomarr,
    ScanCancelled,
    ScanProgress,
    ScanReport,
    ScanRunState,
    ScanTarget,
)
from nomarr.helpers.dto.scan import ScanOptions
from nomarr.services.domain.scan_queue_svc import ScanHandle, ScanQueue
from nomarr.services.infrastructure.background_task_svc import BackgroundTaskService

TREE = {"Rock": {"a.wav": tone(440)}, "Pop": {"b.wav": tone(441)}, "Jazz": {"c.wav": tone(442)}}


async def test_what_is_asked_while_a_scan_runs_is_scanned_together_right_after(
    nomarr: Nomarr, music_tree: Callable[..., Path], disk: Disk
) -> None:
    root = music_tree(TREE)
    library = await nomarr.libraries.add_library("Music", root)
    gate = Gate()
    disk.before_listing(root / "Rock", gate.pass_through)
    running = await nomarr.libraries.start_scan_for_library(library.library_id)
    await gate.wait_for(1)
    build(root, {"Jazz": {"new.wav": tone(500)}, "Rock": {"new.wav": tone(501)}})
    reports: list[ScanReport] = []

    async def ask(*folders: str) -> None:
        reports.append(await scan(nomarr, library, *folders))

    async with anyio.create_task_group() as tasks:
        for folders in (("Jazz",), ("Rock", "Jazz"), ("Rock",)):
            tasks.start_soon(ask, *folders)
        await until(lambda: len(nomarr.database.library.get_scan_state(library.library_id).queued_targets) == 2)
        assert not reports
        gate.open()
    assert (await running.result()) is not None
    assert len({report.scan_id for report in reports}) == 1
    runs = await nomarr.libraries.list_scans(library.library_id)
    assert [run.targets for run in runs] == [
        (ScanTarget(library.library_id, "Jazz"), ScanTarget(library.library_id, "Rock")),
        (ScanTarget(library.library_id),),
    ]
    assert nomarr.database.library.get_scan_state(library.library_id).queued_targets == ()
    await assert_equal(nomarr, library)


async def test_scans_that_differ_in_what_they_do_are_not_merged(
    nomarr: Nomarr, music_tree: Callable[..., Path], disk: Disk
) -> None:
    root = music_tree(TREE)
    library = await nomarr.libraries.add_library("Music", root)
    gate = Gate()
    disk.before_listing(root / "Rock", gate.pass_through)
    handles = [await nomarr.libraries.start_scan_for_library(library.library_id)]
    await gate.wait_for(1)
    handles.append(await nomarr.libraries.start_scan_for_library(library.library_id, dry_run=True))
    handles.append(await nomarr.libraries.start_scan_for_library(library.library_id, full=True))
    gate.open()
    reports = [await handle.result() for handle in handles]
    assert [(report.dry_run, report.files_added, report.files_processed) for report in reports if report] == [
        (False, 3, 3),
        (True, 0, 0),
        (False, 0, 3),
    ]


async def test_no_more_libraries_than_allowed_are_scanned_at_once(
    database_url: str, music_tree: Callable[..., Path], disk: Disk
) -> None:
    gate = Gate()
    async with Nomarr.open(database_url, settle_seconds=0, parallel_libraries=2) as nomarr:
        libraries = []
        for number in range(4):
            root = music_tree({"Rock": tones(3, first=100 + 10 * number)}, f"music-{number}")
            disk.before_listing(root / "Rock", gate.pass_through)
            libraries.append(await nomarr.libraries.add_library(f"Music {number}", root))
        handles = [await nomarr.libraries.start_scan_for_library(library.library_id) for library in libraries]
        await gate.wait_for(2)
        states = [library.state for library in await nomarr.libraries.list_libraries()]
        assert sorted(states) == [LibraryState.NEW, LibraryState.NEW, LibraryState.SCANNING, LibraryState.SCANNING]
        assert gate.arrived == 2
        gate.open()
        for handle in handles:
            assert (await handle.result()) is not None
        for library in libraries:
            await assert_equal(nomarr, library)


async def test_one_call_scans_folders_of_several_libraries(nomarr: Nomarr, music_tree: Callable[..., Path]) -> None:
    here = await nomarr.libraries.add_library("Here", music_tree(TREE, "here"))
    there = await nomarr.libraries.add_library("There", music_tree({"x.wav": tone(600)}, "there"))
    report = await nomarr.libraries.scan_targets(
        [ScanTarget(here.library_id, "Rock"), ScanTarget(there.library_id), ScanTarget(here.library_id, "Pop")]
    )
    assert report.files_added == 3
    assert set(await ids(nomarr, here)) == {"Rock/a.wav", "Pop/b.wav"}
    assert set(await ids(nomarr, there)) == {"x.wav"}


async def test_a_library_that_is_away_does_not_stop_another_one(
    nomarr: Nomarr, music_tree: Callable[..., Path], disk: Disk
) -> None:
    here = await nomarr.libraries.add_library("Here", music_tree(TREE, "here"))
    root = music_tree({"x.wav": tone(600)}, "there")
    there = await nomarr.libraries.add_library("There", root)
    root.rename(root.with_name("away"))
    away = await nomarr.libraries.start_scan_for_library(there.library_id)
    fine = await nomarr.libraries.start_scan_for_library(here.library_id)
    assert (await fine.result()) is not None
    with pytest.raises(Exception, match="is offline"):
        await away.result()
    await assert_equal(nomarr, here)


async def test_a_cancelled_walk_ends_within_a_second(
    nomarr: Nomarr, music_tree: Callable[..., Path], disk: Disk
) -> None:
    root = music_tree(TREE)
    library = await nomarr.libraries.add_library("Music", root)
    gate = Gate()
    disk.before_listing(root / "Rock", gate.pass_through)
    handle = await nomarr.libraries.start_scan_for_library(library.library_id)
    await gate.wait_for(1)
    handle.cancel()
    with anyio.fail_after(promised(1)):
        assert await handle.result() is None
    now = await nomarr.libraries.get_library(library.library_id)
    assert now.state is LibraryState.CANCELLED
    assert (await nomarr.libraries.list_scans(library.library_id))[0].state is ScanRunState.CANCELLED
    gate.open()
    disk.recover()
    report = await scan(nomarr, library, "Pop")
    assert report.files_scanned == 1, "a cancelled scan is not taken up again"
    await scan(nomarr, library)
    await assert_equal(nomarr, library)


async def test_a_scan_cancelled_while_reading_keeps_what_is_written(
    database_url: str, music_tree: Callable[..., Path]
) -> None:
    root = music_tree({f"{n:02}": tones(50, first=100 + n) for n in range(30)})
    async with Nomarr.open(database_url, settle_seconds=0, scan_batch_size=50, tag_workers=1) as nomarr:
        library = await nomarr.libraries.add_library("Music", root)
        handle = await nomarr.libraries.start_scan_for_library(library.library_id)
        await until(lambda: nomarr.database.library_files.count_present(library.library_id) > 0)
        handle.cancel()
        started = time.monotonic()
        assert await handle.result() is None
        assert time.monotonic() - started < promised(1)
        written = len(await ids(nomarr, library))
        assert 0 < written < 1500
        report = await scan(nomarr, library)
        assert report.files_added == 1500 - written
        await assert_equal(nomarr, library)


async def test_who_waits_for_a_cancelled_scan_is_told(
    nomarr: Nomarr, music_tree: Callable[..., Path], disk: Disk
) -> None:
    root = music_tree(TREE)
    library = await nomarr.libraries.add_library("Music", root)
    gate = Gate()
    disk.before_listing(root / "Rock", gate.pass_through)

    async def wait() -> None:
        with pytest.raises(ScanCancelled):
            await scan(nomarr, library)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        await gate.wait_for(1)
        running = nomarr.libraries.running_scan(library.library_id)
        assert running is not None
        running.cancel()
    gate.open()


async def test_a_scan_whose_caller_is_cancelled_ends(
    nomarr: Nomarr, music_tree: Callable[..., Path], disk: Disk
) -> None:
    root = music_tree(TREE)
    library = await nomarr.libraries.add_library("Music", root)
    gate = Gate()
    disk.before_listing(root / "Rock", gate.pass_through)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(scan, nomarr, library)
        await gate.wait_for(1)
        tasks.cancel_scope.cancel()
    await until(lambda: nomarr.libraries.running_scan(library.library_id) is None)
    assert (await nomarr.libraries.get_library(library.library_id)).state is LibraryState.CANCELLED
    gate.open()
    await scan(nomarr, library)
    await assert_equal(nomarr, library)


async def test_closing_ends_a_running_scan_as_cancelled(
    database_url: str, music_tree: Callable[..., Path], disk: Disk
) -> None:
    root = music_tree(TREE)
    gate = Gate()
    disk.before_listing(root / "Rock", gate.pass_through)
    with anyio.fail_after(5):
        async with Nomarr.open(database_url, settle_seconds=0) as nomarr:
            library = await nomarr.libraries.add_library("Music", root)
            await nomarr.libraries.start_scan_for_library(library.library_id)
            await gate.wait_for(1)
    gate.open()
    async with Nomarr.open(database_url, settle_seconds=0) as nomarr:
        assert (await nomarr.libraries.get_library(library.library_id)).state is LibraryState.CANCELLED
        await scan(nomarr, library)
        await assert_equal(nomarr, library)


async def test_another_owner_of_the_lease_is_busy_or_waited_for(
    database_url: str, music_tree: Callable[..., Path], disk: Disk
) -> None:
    root = music_tree(TREE)
    gate = Gate()
    async with Nomarr.open(database_url, settle_seconds=0) as one, Nomarr.open(database_url, settle_seconds=0) as other:
        library = await one.libraries.add_library("Music", root)
        disk.before_listing(root / "Rock", gate.pass_through)
        running = await one.libraries.start_scan_for_library(library.library_id)
        await gate.wait_for(1)
        with pytest.raises(LibraryAlreadyScanning):
            await scan(other, library, wait=False)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(scan, other, library)
            gate.open()
        assert (await running.result()) is not None
        await assert_equal(other, library)


async def test_progress_is_told_from_beginning_to_end(nomarr: Nomarr, music_tree: Callable[..., Path]) -> None:
    root = music_tree({f"{n}": tones(20, first=100 + n) for n in range(10)})
    library = await nomarr.libraries.add_library("Music", root)
    told: list[ScanProgress] = []
    await scan(nomarr, library, on_progress=told.append)
    assert (told[-1].folders_done, told[-1].files_done, told[-1].files_total) == (11, 200, 200)
    told.clear()
    await scan(nomarr, library, on_progress=told.append)
    assert (told[-1].folders_done, told[-1].folders_total, told[-1].files_done) == (11, 11, 0)


async def test_a_watcher_that_fails_does_not_end_the_scan(
    nomarr: Nomarr, music_tree: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    library = await nomarr.libraries.add_library("Music", music_tree(TREE))

    def fail(_: ScanProgress) -> None:
        raise RuntimeError("the page is closed")

    assert (await scan(nomarr, library, on_progress=fail)).files_added == 3


@pytest.mark.parametrize("folder", ["..", "Rock/../..", "/etc", "Rock//a", "a\0b"])
async def test_paths_that_leave_the_library_are_refused(folder: str) -> None:
    with pytest.raises(InvalidPath):
        ScanTarget("any", folder)


@pytest.mark.parametrize("root", ["/", "//", "/.", "everything"])
async def test_the_whole_computer_becomes_no_library_by_accident(nomarr: Nomarr, tmp_path: Path, root: str) -> None:
    (tmp_path / "everything").symlink_to("/")
    with pytest.raises(InvalidPath, match=r"can't be a library: it is the whole computer.*: nomarr library add NAME /"):
        await nomarr.libraries.find_or_add_library(tmp_path / root)
    assert await nomarr.libraries.list_libraries() == []
    assert (await nomarr.libraries.add_library("Everything", "/")).root_path == "/", "it is meant so"


async def test_an_unknown_library_is_told_by_name(nomarr: Nomarr) -> None:
    with pytest.raises(LibraryNotFound):
        await nomarr.libraries.scan_targets([ScanTarget("nobody")])


async def test_an_error_passes_through_an_open_nomarr_as_it_is(database_url: str) -> None:
    with pytest.raises(LibraryNotFound):
        async with Nomarr.open(database_url) as nomarr:
            await nomarr.libraries.find_library("nobody")


async def test_what_could_not_be_noted_down_is_scanned_nevertheless_and_its_asker_has_a_handle() -> None:
    scanned: list[str] = []
    go_on = anyio.Event()
    begun = anyio.Event()

    async def scan_it(handle: ScanHandle) -> ScanReport:
        begun.set()
        await go_on.wait()
        scanned.extend(target.folder_path for target in handle.targets)
        return ScanReport("a scan", "music", ScanRunState.COMPLETED)

    async def keep(library_id: str, targets: Sequence[ScanTarget]) -> None:
        raise DatabaseNotReachable("the server is away")

    async with BackgroundTaskService() as tasks:
        queue = ScanQueue(tasks, scan_it, keep, parallel_libraries=1)
        await queue.ask("music", [ScanTarget("music", "A")], ScanOptions(), wait=False)
        await begun.wait()
        handle = await queue.ask("music", [ScanTarget("music", "B")], ScanOptions(), wait=False)
        go_on.set()
        await handle.result()
    assert scanned == ["A", "B"]
