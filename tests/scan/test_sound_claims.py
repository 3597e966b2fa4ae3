"""A new file with the audio of one that nobody has missed yet: it is that file only if it was found nowhere else."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from support.music import build, tone, tones
from support.owners import owner_elsewhere
from support.scanned import Music, Scanned
from support.scans import events, kept_for, missing, scan

from nomarr import Nomarr, ScanTarget
from nomarr.helpers.dto.scan import ScanOptions, ScanRunState
from nomarr.helpers.time_helper import system_clock
from nomarr.services.domain.library_svc import LibraryService, LibrarySettings

HOUR = 3600.0


async def enriched(scanned: Scanned, tree: dict[str, object], name: str = "here") -> Music:
    music = await scanned(tree, name)
    await music.nomarr.enrichment.run()
    return music


def copy(source: Path, target: Path) -> None:
    """Another inode and other times, as a way through another disk leaves them."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def move_as_copy(source: Path, target: Path) -> None:
    copy(source, target)
    source.unlink()


def libraries_after(nomarr: Nomarr, seconds: float, *, keep: float | None = 30.0) -> LibraryService:
    """The libraries as they are seen so many seconds from now."""
    settings = LibrarySettings(ScanOptions(settle_seconds=0))
    return LibraryService(nomarr.database, nomarr.tasks, kept_for(keep), settings, lambda: system_clock() + seconds)


# -- a copy -----------------------------------------------------------------------------------------------------


async def test_a_song_that_was_renamed_keeps_its_id_though_its_copy_is_scanned_first(scanned: Scanned) -> None:
    here = await enriched(scanned, {"song.wav": tone(440), "keep.wav": tone(300)})
    there = await scanned({"other.wav": tone(441)}, "there")
    copy(here.root / "song.wav", there.root / "copy.wav")
    here.rename("song.wav", "renamed.wav")
    assert (await there.scan()).files_added == 1
    await here.scan()
    assert (await here.ids())["renamed.wav"] == here.before["song.wav"]
    assert (await there.ids())["copy.wav"] != here.before["song.wav"]
    assert await missing(here.nomarr, here.library) == {}


async def test_a_song_that_was_renamed_keeps_its_id_though_the_folder_of_its_copy_is_scanned_first(
    scanned: Scanned,
) -> None:
    music = await enriched(scanned, {"In": {"song.wav": tone(440)}, "Out": {"other.wav": tone(441)}})
    copy(music.root / "In/song.wav", music.root / "Out/copy.wav")
    music.rename("In/song.wav", "In/renamed.wav")
    await music.scan("Out")
    await music.scan()
    after = await music.ids()
    assert after["In/renamed.wav"] == music.before["In/song.wav"]
    assert after["Out/copy.wav"] not in music.before.values()


async def test_a_backup_of_an_artist_whose_folder_was_renamed_takes_no_id(scanned: Scanned) -> None:
    here = await enriched(scanned, {"Artist": tones(30)})
    there = await scanned({"other.wav": tone(250)}, "backup")
    shutil.copytree(here.root / "Artist", there.root / "Artist")
    here.rename("Artist", "The Artist")
    await there.scan()
    await here.scan()
    renamed = {path.replace("Artist", "The Artist"): file_id for path, file_id in here.before.items()}
    assert await here.ids() == renamed
    assert not set((await there.ids()).values()) & set(here.before.values())


async def test_two_copies_of_a_song_that_is_gone_leave_it_missing(scanned: Scanned) -> None:
    here = await enriched(scanned, {"song.wav": tone(440), "keep.wav": tone(300)})
    one, two = await scanned({}, "one"), await scanned({}, "two")
    copy(here.root / "song.wav", one.root / "copy.wav")
    move_as_copy(here.root / "song.wav", two.root / "copy.wav")
    for music in (one, two, here):
        await music.scan()
    assert set(await missing(here.nomarr, here.library)) == {"song.wav"}


# -- a move -----------------------------------------------------------------------------------------------------


async def test_a_song_that_moved_to_another_library_keeps_its_id_though_that_one_is_scanned_first(
    scanned: Scanned,
) -> None:
    here = await enriched(scanned, {"song.wav": tone(440), "keep.wav": tone(300)})
    there = await scanned({"other.wav": tone(441)}, "there")
    move_as_copy(here.root / "song.wav", there.root / "moved.wav")
    assert (await there.scan()).files_added == 1
    await here.scan()
    assert (await there.ids())["moved.wav"] == here.before["song.wav"]
    assert await here.ids() == {"keep.wav": here.before["keep.wav"]}
    assert await missing(here.nomarr, here.library) == {}
    [moved] = [event for event in await events(here.nomarr, there.seq) if event.old_path]
    assert (moved.type, moved.path, moved.old_path, moved.evidence) == ("moved", "moved.wav", "song.wav", "audio hash")
    assert not (await there.scan()).changes_detected


async def test_a_song_that_moved_to_another_folder_keeps_its_id_though_that_one_is_scanned_first(
    scanned: Scanned,
) -> None:
    music = await enriched(scanned, {"In": {"song.wav": tone(440)}, "Out": {"other.wav": tone(441)}})
    move_as_copy(music.root / "In/song.wav", music.root / "Out/moved.wav")
    await music.scan("Out")
    report = await music.scan()
    assert (await music.ids())["Out/moved.wav"] == music.before["In/song.wav"]
    assert set(await missing(music.nomarr, music.library)) == {"Out/moved.wav"}
    assert report.files_moved == 1


async def test_both_libraries_are_scanned_at_once(scanned: Scanned) -> None:
    here = await enriched(scanned, {"Artist": tones(40), "keep.wav": tone(200)})
    there = await scanned({"other.wav": tone(250)}, "there")
    for path in sorted((here.root / "Artist").iterdir()):
        move_as_copy(path, there.root / "Artist" / path.name)
    targets = [ScanTarget(music.library.library_id) for music in (there, here)]
    await here.nomarr.libraries.scan_targets(targets, accept_losses=True)
    after = await here.ids() | await there.ids()
    assert {path: after[path] for path in here.before} == here.before


async def test_an_ignored_song_that_moved_to_where_it_is_seen_keeps_its_id(scanned: Scanned) -> None:
    music = await enriched(scanned, {"In": {"song.wav": tone(440)}, "keep.wav": tone(300)})
    build(music.root, {"In": {".nomedia": b""}})
    await music.scan()
    move_as_copy(music.root / "In/song.wav", music.root / "Out/song.wav")
    await music.scan()
    assert (await music.ids())["Out/song.wav"] == music.before["In/song.wav"]


async def moved_and_target_scanned(scanned: Scanned) -> tuple[Music, Music]:
    """Libraries here and there: a song moved there, and only there somebody has looked."""
    here = await enriched(scanned, {"song.wav": tone(440), "keep.wav": tone(300)})
    there = await scanned({"other.wav": tone(441)}, "there")
    move_as_copy(here.root / "song.wav", there.root / "moved.wav")
    await there.scan()
    return here, there


async def test_a_library_that_another_process_scans_gets_the_id_by_its_next_scan(scanned: Scanned) -> None:
    here, there = await moved_and_target_scanned(scanned)
    store = here.nomarr.database.library
    lease = store.mark_scan_started(
        there.library.library_id, "s", owner_elsewhere(), [], now=system_clock(), lease_seconds=60.0
    )
    assert lease is not None
    assert (await here.scan()).files_missing == 1
    store.mark_scan_completed(lease, ScanRunState.COMPLETED, now=system_clock(), report=None)
    await there.scan()
    assert (await there.ids())["moved.wav"] == here.before["song.wav"]


async def test_missing_files_that_are_not_kept_are_kept_until_their_new_place_was_looked_at(scanned: Scanned) -> None:
    here, there = await moved_and_target_scanned(scanned)
    libraries = libraries_after(here.nomarr, 0, keep=0.0)
    await libraries.scan_targets([ScanTarget(here.library.library_id)])
    assert (await there.ids())["moved.wav"] == here.before["song.wav"]


@pytest.mark.parametrize(("hours", "is_taken_over"), [(23, True), (25, False)])
async def test_a_file_that_has_been_used_for_a_day_keeps_its_own_id(
    scanned: Scanned, hours: float, is_taken_over: bool
) -> None:
    here, there = await moved_and_target_scanned(scanned)
    libraries = libraries_after(here.nomarr, hours * HOUR)
    await libraries.scan_targets([ScanTarget(here.library.library_id)])
    assert ((await there.ids())["moved.wav"] == here.before["song.wav"]) is is_taken_over
    assert (await missing(here.nomarr, here.library) == {}) is is_taken_over


async def test_a_file_that_has_other_audio_by_now_keeps_its_own_id(scanned: Scanned) -> None:
    here, there = await moved_and_target_scanned(scanned)
    (there.root / "moved.wav").write_bytes(tone(600))
    await here.scan()
    assert (await there.ids())["moved.wav"] != here.before["song.wav"]
    assert set(await missing(here.nomarr, here.library)) == {"song.wav"}


async def test_a_file_that_was_renamed_since_takes_the_id_over(scanned: Scanned) -> None:
    here, there = await moved_and_target_scanned(scanned)
    there.rename("moved.wav", "Sub/renamed.wav")
    await there.scan()
    await here.scan()
    assert (await there.ids())["Sub/renamed.wav"] == here.before["song.wav"]


async def test_a_file_that_moved_back_takes_the_id_over(scanned: Scanned) -> None:
    here, there = await moved_and_target_scanned(scanned)
    os.rename(there.root / "moved.wav", here.root / "back.wav")
    await scan(here.nomarr, here.library)
    assert (await here.ids())["back.wav"] == here.before["song.wav"]
