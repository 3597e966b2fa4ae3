"""A move that was wrong is undone, and no later scan makes the same mistake."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import anyio
import pytest
from support.disk import assert_equal
from support.music import tone, wait_for_another_timestamp
from support.owners import dead_owner, owner_elsewhere
from support.scanned import Music, Scanned
from support.scans import events, ids, last_seq, missing

from nomarr import LibraryAlreadyScanning, MoveCannotBeUndone, MoveNotFound, PathChange, ScanTarget, UndoneMove
from nomarr.helpers.dto.scan import Lease, ScanRunState
from nomarr.helpers.time_helper import system_clock


async def moved(music: Music, old: str = "Rock/a.wav", new: str = "Pop/b.wav") -> int:
    """The number of a move whose file was taken for another one."""
    music.rename(old, new)
    await music.scan()
    return (await music.nomarr.libraries.list_moves())[0].seq


async def undo(music: Music, seq: int) -> UndoneMove:
    return await music.nomarr.libraries.undo_move(seq)


async def assert_scans_leave_it(music: Music) -> None:
    """Neither a quick nor a full scan changes anything, of a folder or of all of it."""
    wait_for_another_timestamp(music.root.parent)
    before = await ids(music.nomarr, music.library), await missing(music.nomarr, music.library)
    seq = await last_seq(music.nomarr)
    for folders, options in (((), {}), (("Rock", "Pop"), {}), ((), {"full": True}), ((), {})):
        await music.scan(*folders, **options)
        assert (await ids(music.nomarr, music.library), await missing(music.nomarr, music.library)) == before
        assert await events(music.nomarr, seq) == []
    assert (await music.nomarr.libraries.verify(music.library.library_id)).equal


TREE = {"Rock": {"a.wav": tone(440), "other.wav": tone(441)}, "Pop": {"c.wav": tone(442)}}


async def test_a_wrong_move_by_inode_is_undone_for_good(scanned: Scanned) -> None:
    music = await scanned(TREE)
    seq = await moved(music)
    undone = await undo(music, seq)
    file_id = music.before["Rock/a.wav"]
    assert (undone.seq, undone.file_id, undone.path, undone.new_path) == (seq, file_id, "Rock/a.wav", "Pop/b.wav")
    now = await music.ids()
    assert now["Pop/b.wav"] == undone.new_file_id != file_id
    gone = await missing(music.nomarr, music.library)
    assert {path: record.file_id for path, record in gone.items()} == {"Rock/a.wav": file_id}
    await assert_scans_leave_it(music)


async def test_a_wrong_move_by_a_rename_event_is_undone_for_good(scanned: Scanned) -> None:
    music = await scanned(TREE)
    music.rename("Rock/a.wav", "Rock/b.wav")
    # Another file took its place before anybody looked.
    (music.root / "Rock/new.wav").write_bytes(tone(600))
    music.rename("Rock/new.wav", "Rock/b.wav")
    await music.scan(path_changes=[PathChange("Rock/a.wav", "Rock/b.wav", is_folder=False)])
    (move,) = await music.nomarr.libraries.list_moves(music.library.library_id)
    assert (move.type, move.evidence) == ("renamed", "rename event")
    undone = await undo(music, move.seq)
    assert (await music.ids())["Rock/b.wav"] == undone.new_file_id
    await assert_scans_leave_it(music)


async def test_the_true_file_gets_its_id_when_it_comes_back(scanned: Scanned) -> None:
    music = await scanned(TREE)
    undone = await undo(music, await moved(music))
    (music.root / "Rock/a.wav").write_bytes(tone(440))
    report = await music.scan()
    assert (report.files_restored, report.files_added, report.files_moved) == (1, 0, 0)
    now = await music.ids()
    assert now["Rock/a.wav"] == music.before["Rock/a.wav"]
    assert now["Pop/b.wav"] == undone.new_file_id
    await assert_scans_leave_it(music)


async def test_where_another_file_is_by_now_the_old_id_waits_beside_it(scanned: Scanned) -> None:
    music = await scanned(TREE)
    seq = await moved(music)
    (music.root / "Rock/a.wav").write_bytes(tone(700))
    await music.scan()
    at_old_path = (await music.ids())["Rock/a.wav"]
    await undo(music, seq)
    assert (await music.ids())["Rock/a.wav"] == at_old_path
    await assert_scans_leave_it(music)
    assert [r.file_id for r in (await missing(music.nomarr, music.library)).values()] == [music.before["Rock/a.wav"]]


async def test_a_file_that_is_renamed_after_the_undo_keeps_its_new_id(scanned: Scanned) -> None:
    music = await scanned(TREE)
    undone = await undo(music, await moved(music))
    music.rename("Pop/b.wav", "Rock/a.wav")
    await music.scan()
    # By its inode it is the new file, and it stands where the old one was.
    assert (await music.ids())["Rock/a.wav"] == undone.new_file_id
    assert [r.file_id for r in (await missing(music.nomarr, music.library)).values()] == [undone.file_id]
    await assert_scans_leave_it(music)


async def test_a_move_between_libraries_is_undone_into_the_first(scanned: Scanned) -> None:
    one = await scanned({"a.wav": tone(440), "b.wav": tone(441)}, "one")
    two = await scanned({"c.wav": tone(442)}, "two")
    os.rename(one.root / "a.wav", two.root / "a.wav")
    await two.scan()
    (move,) = await one.nomarr.libraries.list_moves(one.library.library_id)
    assert (move.old_library_id, move.library_id) == (one.library.library_id, two.library.library_id)
    undone = await undo(one, move.seq)
    assert (undone.library_id, undone.new_library_id) == (one.library.library_id, two.library.library_id)
    assert set(await missing(one.nomarr, one.library)) == {"a.wav"}
    for music in (one, two):
        await assert_scans_leave_it_whole(music)
    assert (await two.ids())["a.wav"] == undone.new_file_id


async def assert_scans_leave_it_whole(music: Music) -> None:
    wait_for_another_timestamp(music.root.parent)
    for full in (False, True):
        assert not (await music.scan(full=full)).changes_detected
    await assert_equal(music.nomarr, music.library)


async def test_the_later_move_is_named(scanned: Scanned) -> None:
    music = await scanned(TREE)
    first = await moved(music)
    second = await moved(music, "Pop/b.wav", "Rock/d.wav")
    with pytest.raises(MoveCannotBeUndone, match=f"nomarr moves undo {second}"):
        await undo(music, first)
    with pytest.raises(MoveNotFound, match="'nomarr moves'"):
        await undo(music, second + 1)


def somebody_scans(music: Music) -> Lease:
    lease = music.nomarr.database.library.mark_scan_started(
        music.library.library_id,
        "other",
        owner_elsewhere(),
        [ScanTarget(music.library.library_id)],
        now=system_clock(),
        lease_seconds=600,
    )
    assert lease is not None
    return lease


async def test_an_undo_waits_for_a_scan_or_says_who_scans(scanned: Scanned) -> None:
    music = await scanned(TREE)
    seq = await moved(music)
    lease = somebody_scans(music)
    with pytest.raises(LibraryAlreadyScanning):
        await music.nomarr.libraries.undo_move(seq, wait=False)
    undone: list[UndoneMove] = []

    async def wait_and_undo() -> None:
        undone.append(await undo(music, seq))

    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait_and_undo)
            await anyio.wait_all_tasks_blocked()
            assert undone == []
            music.nomarr.database.library.mark_scan_completed(
                lease, ScanRunState.COMPLETED, now=system_clock(), report=None
            )
    assert undone[0].seq == seq


async def test_a_scan_whose_process_is_dead_is_not_waited_for(scanned: Scanned) -> None:
    music = await scanned(TREE)
    seq = await moved(music)
    assert music.nomarr.database.library.mark_scan_started(
        music.library.library_id, "dead", dead_owner(), [], now=system_clock(), lease_seconds=600
    )
    assert (await music.nomarr.libraries.undo_move(seq, wait=False)).seq == seq


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # it writes SQL
async def test_a_move_that_an_older_version_noted_can_not_be_undone(scanned: Scanned, database: Path) -> None:
    music = await scanned(TREE)
    seq = await moved(music)
    with closing(sqlite3.connect(database)) as db, db:
        db.execute("UPDATE events SET old_library_id = NULL")
    with pytest.raises(MoveCannotBeUndone, match="older version"):
        await undo(music, seq)
