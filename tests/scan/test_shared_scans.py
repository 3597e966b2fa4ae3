"""Scans that several callers, libraries and processes have a hand in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import anyio
import pytest
from support.music import tone
from support.patience import promised
from support.system import Disk, Gate

from nomarr import LibraryOffline, Nomarr, ScanProgress, ScanRunState, ScanTarget
from nomarr.helpers.dto.scan import ScanOptions, ScanPhase
from nomarr.services.domain.scan_queue_svc import ScanHandle


async def test_a_rename_keeps_its_ids_in_libraries_that_lie_inside_each_other(
    nomarr: Nomarr, music_tree: Callable[..., Path]
) -> None:
    root = music_tree({"Jazz": {"a.wav": tone(440)}})
    outer = await nomarr.libraries.add_library("outer", root)
    inner = await nomarr.libraries.add_library("inner", root / "Jazz")
    every = [ScanTarget(outer.library_id), ScanTarget(inner.library_id)]
    await nomarr.libraries.scan_targets(every)

    async def ids() -> list[str]:
        return [(await nomarr.libraries.list_files(library.library_id))[0].file_id for library in (outer, inner)]

    before = await ids()
    (root / "Jazz" / "a.wav").rename(root / "Jazz" / "b.wav")
    report = await nomarr.libraries.scan_targets(every)
    assert (report.files_moved, report.files_added, report.files_missing) == (2, 0, 0)
    assert await ids() == before


async def test_a_scan_cancelled_in_its_last_step_gives_its_lease_back(
    nomarr: Nomarr, music_tree: Callable[..., Path]
) -> None:
    library = await nomarr.libraries.add_library("Music", music_tree({"a.wav": tone(440)}))
    scan = await nomarr.libraries.start_scan_for_library(library.library_id)

    def cancel_at_the_end(progress: ScanProgress) -> None:
        if progress.phase is ScanPhase.FINISHING:
            scan.cancel()

    scan.subscribe(cancel_at_the_end)
    await scan.result()
    (run,) = await nomarr.libraries.list_scans(library.library_id)
    assert run.state in (ScanRunState.COMPLETED, ScanRunState.CANCELLED)
    assert run.ended_at is not None
    await nomarr.libraries.scan_targets([ScanTarget(library.library_id)], wait=False)


async def test_a_request_does_not_join_a_scan_that_was_cancelled(
    nomarr: Nomarr, music_tree: Callable[..., Path]
) -> None:
    library = await nomarr.libraries.add_library("Music", music_tree({"a.wav": tone(440)}))
    await nomarr.libraries.start_scan_for_library(library.library_id, full=True)
    cancelled = await nomarr.libraries.start_scan_for_library(library.library_id)
    cancelled.cancel()
    asked_later = await nomarr.libraries.start_scan_for_library(library.library_id)
    assert await asked_later.result() is not None
    assert await cancelled.result() is None


@dataclass(frozen=True)
class Held:
    """A scan that does not get on until the gate is open."""

    running: ScanHandle
    gate: Gate

    @property
    def library_id(self) -> str:
        return self.running.library_id


@pytest.fixture
async def held(nomarr: Nomarr, music_tree: Callable[..., Path], disk: Disk) -> Held:
    root = music_tree({"Rock": {"a.wav": tone(440)}})
    library = await nomarr.libraries.add_library("Music", root)
    gate = Gate()
    disk.before_listing(root / "Rock", gate.pass_through)
    running = await nomarr.libraries.start_scan_for_library(library.library_id)
    await gate.wait_for(1)
    return Held(running, gate)


async def test_a_scan_that_waits_and_is_cancelled_ends_at_once(nomarr: Nomarr, held: Held) -> None:
    waiting = await nomarr.libraries.start_scan_for_library(held.library_id)
    waiting.cancel()
    with anyio.fail_after(promised(1)):
        assert await waiting.result() is None
    held.gate.open()
    assert await held.running.result() is not None


async def test_folders_that_wait_become_their_parents_when_there_are_many(nomarr: Nomarr, held: Held) -> None:
    for first in range(0, 4000, 1000):
        folders = [ScanTarget(held.library_id, f"Pop/{number}") for number in range(first, first + 1000)]
        waiting = await nomarr.libraries.start_scan_for_library(held.library_id, folders)
    assert waiting.targets == [ScanTarget(held.library_id, "Pop")]
    held.gate.open()
    assert await waiting.result() is not None


@pytest.mark.parametrize(("folders", "is_left_out"), [(2500, True), (5000, False)])
async def test_what_is_given_up_is_left_out_if_that_is_soon_found_out(folders: int, is_left_out: bool) -> None:
    mine = [ScanTarget("music", f"Mine/{number}") for number in range(folders)]
    theirs = [ScanTarget("music", f"Theirs/{number}") for number in range(folders)]
    handle = ScanHandle("music", mine, ScanOptions(), wait=True)
    handle.join(theirs)
    handle.join(theirs)
    handle.give_up(mine)
    left = {target.folder_path.partition("/")[0] for target in handle.targets}
    assert left == ({"Theirs"} if is_left_out else {"Mine", "Theirs"})
    assert all(any(target.covers(wanted) for target in handle.targets) for wanted in theirs[:100])


async def test_whoever_gives_up_does_not_take_the_scan_of_another_along(
    nomarr: Nomarr, music_tree: Callable[..., Path]
) -> None:
    library = await nomarr.libraries.add_library("Music", music_tree({"Rock": {"a.wav": tone(440)}}))
    target = ScanTarget(library.library_id)
    reports = []

    async def wait() -> None:
        reports.append(await nomarr.libraries.scan_targets([target]))

    async with anyio.create_task_group() as tasks:
        await nomarr.libraries.start_scan_for_library(library.library_id, full=True)
        impatient = anyio.CancelScope()

        async def give_up() -> None:
            with impatient:
                await nomarr.libraries.scan_targets([target])

        tasks.start_soon(give_up)
        tasks.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        impatient.cancel()
    assert [report.state for report in reports] == [ScanRunState.COMPLETED]


async def test_what_an_offline_scan_was_asked_for_is_done_when_the_disk_is_back(
    nomarr: Nomarr, music_tree: Callable[..., Path]
) -> None:
    root = music_tree({"Rock": {"a.wav": tone(440)}, "Pop": {"b.wav": tone(220)}})
    library = await nomarr.libraries.add_library("Music", root)
    root.rename(root.with_name("away"))
    with pytest.raises(LibraryOffline, match="not there"):
        await nomarr.libraries.scan_targets([ScanTarget(library.library_id)], full=True)
    root.with_name("away").rename(root)
    await nomarr.libraries.scan_targets([ScanTarget(library.library_id, "Pop")])
    assert (await nomarr.libraries.verify(library.library_id)).equal


async def test_an_overwritten_file_leaves_its_playlists_to_the_one_at_its_path(
    nomarr: Nomarr, music_tree: Callable[..., Path]
) -> None:
    root = music_tree({"song.wav": tone(440), "new.wav": tone(220), "list.m3u": b"song.wav\n"})
    library = await nomarr.libraries.add_library("Music", root)
    await nomarr.libraries.scan_targets([ScanTarget(library.library_id)])
    (root / "new.wav").rename(root / "song.wav")
    await nomarr.libraries.scan_targets([ScanTarget(library.library_id)])
    (playlist,) = await nomarr.libraries.list_playlists(library.library_id)
    (file,) = await nomarr.libraries.list_files(library.library_id)
    assert [entry.file_id for entry in playlist.entries] == [file.file_id]
