"""Files that are being written while they are scanned."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from media.audio_factory import AudioFactory, Song
from support.disk import assert_equal
from support.music import tone, tones, wait_for_another_timestamp
from support.scans import events, file_at, happened, ids, present, scan
from support.system import Disk, until

from nomarr import Nomarr, ScanProgress
from nomarr.helpers.dto.scan import ScanPhase


async def test_an_edit_that_restores_the_mtime_is_found(
    nomarr: Nomarr, music_tree: Callable[..., Path], encoded: AudioFactory
) -> None:
    root = music_tree({})
    song = encoded.write(root / "a.mp3", "mp3", Song(title="Before"))
    library = await nomarr.libraries.add_library("Music", root)
    await scan(nomarr, library)
    wait_for_another_timestamp(root.parent)
    before = song.stat()
    encoded.write(song, "mp3", Song(title="Afterw"))
    os.utime(song, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (song.stat().st_size, song.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    report = await scan(nomarr, library)
    assert (report.files_processed, report.files_updated) == (1, 1)
    assert (await file_at(nomarr, library, "a.mp3")).tags.title == "Afterw"
    assert await happened(nomarr) == [("created", "a.mp3"), ("modified", "a.mp3")]


async def test_a_file_with_an_older_mtime_than_before_is_read_again(
    nomarr: Nomarr, music_tree: Callable[..., Path], encoded: AudioFactory
) -> None:
    root = music_tree({})
    song = encoded.write(root / "a.mp3", "mp3", Song(title="New"))
    library = await nomarr.libraries.add_library("Music", root)
    await scan(nomarr, library)
    encoded.write(song, "mp3", Song(title="From an old backup"))
    os.utime(song, (0, 0))
    await scan(nomarr, library)
    assert (await file_at(nomarr, library, "a.mp3")).tags.title == "From an old backup"


async def test_times_of_all_centuries_are_taken_as_they_are(nomarr: Nomarr, music_tree: Callable[..., Path]) -> None:
    root = music_tree(tones(4))
    for name, seconds in (("0000.wav", 0), ("0001.wav", -(10**9)), ("0002.wav", 9 * 10**9)):
        os.utime(root / name, (seconds, seconds))
    library = await nomarr.libraries.add_library("Music", root)
    await scan(nomarr, library)
    await assert_equal(nomarr, library)
    wait_for_another_timestamp(root.parent)
    assert (await scan(nomarr, library)).files_processed == 0


async def test_a_write_in_the_same_tick_as_the_reading_is_found(
    database_url: str, music_tree: Callable[..., Path], encoded: AudioFactory, disk: Disk
) -> None:
    root = music_tree({})
    song = root / "a.mp3"
    contents = [encoded.write(song, "mp3", Song(title=title)).read_bytes() for title in ("First.", "Second")]

    def write_again() -> None:
        """Just after it was read: the same size, the same mtime, most likely the same ctime."""
        disk.recover()
        before = os.lstat(song)
        song.write_bytes(contents[1])
        os.utime(song, ns=(before.st_atime_ns, before.st_mtime_ns))

    def write() -> None:
        song.write_bytes(contents[0])
        disk.recover()
        disk.before_stat(song, write_again)

    async with Nomarr.open(database_url, settle_seconds=0.1) as nomarr:
        library = await nomarr.libraries.add_library("Music", root)
        disk.once_before_listing(root, lambda: disk.once_before_listing(root, write))
        await scan(nomarr, library)
        await scan(nomarr, library)
        assert (await file_at(nomarr, library, "a.mp3")).tags.title == "Second"


async def test_a_file_half_written_is_not_recorded_as_broken(
    database_url: str, music_tree: Callable[..., Path], encoded: AudioFactory
) -> None:
    whole = encoded.sound("flac")
    root = music_tree({"a.flac": whole[:30], "b.wav": tone(440)})

    def finish(progress: ScanProgress) -> None:
        if progress.phase is ScanPhase.SETTLING and (root / "a.flac").stat().st_size < len(whole):
            (root / "a.flac").write_bytes(whole)

    async with Nomarr.open(database_url, settle_seconds=1) as nomarr:
        library = await nomarr.libraries.add_library("Music", root)
        await scan(nomarr, library, on_progress=finish)
        row = await file_at(nomarr, library, "a.flac")
        assert (row.last_error, row.size) == (None, len(whole))
        assert [event.type for event in await events(nomarr) if event.path == "a.flac"] == ["created"]
        await assert_equal(nomarr, library)


async def test_a_file_that_stays_broken_is_recorded_when_it_has_settled(
    database_url: str, music_tree: Callable[..., Path]
) -> None:
    root = music_tree({"a.flac": b"fLaC and no more"})
    async with Nomarr.open(database_url, settle_seconds=0.1) as nomarr:
        library = await nomarr.libraries.add_library("Music", root)
        await scan(nomarr, library)
        assert (await file_at(nomarr, library, "a.flac")).last_error


async def test_a_folder_that_goes_on_changing_is_looked_at_again_without_being_asked(
    database_url: str, music_tree: Callable[..., Path]
) -> None:
    root = music_tree({"a.wav": tone(440)})

    def go_on(progress: ScanProgress) -> None:
        if progress.phase is ScanPhase.SETTLING:
            (root / "a.wav").write_bytes(tone(441))

    async with Nomarr.open(database_url, settle_seconds=0.5) as nomarr:
        library = await nomarr.libraries.add_library("Music", root)
        await scan(nomarr, library, on_progress=go_on)
        (root / "a.wav").write_bytes(tone(442))
        await until(lambda: nomarr.database.library_files.find(library.library_id, "a.wav").size == len(tone(442)))
        await assert_equal(nomarr, library)


async def test_nothing_in_a_quiet_folder_is_looked_at_twice(
    database_url: str, music_tree: Callable[..., Path], disk: Disk
) -> None:
    root = music_tree({"Rock": tones(3), "Pop": {"new.wav": tone(440)}})
    async with Nomarr.open(database_url, settle_seconds=0.3) as nomarr:
        library = await nomarr.libraries.add_library("Music", root)
        await scan(nomarr, library)
        wait_for_another_timestamp(root.parent, 0.3)
        (root / "Pop" / "new.wav").write_bytes(tone(441))
        listed: list[str] = []
        disk.before_listing(root / "Rock", lambda: listed.append("Rock"))
        disk.before_listing(root / "Pop", lambda: listed.append("Pop"))
        report = await scan(nomarr, library)
        assert listed == ["Pop", "Rock", "Pop"]
        assert report.folders_scanned == 3


async def test_a_file_that_vanishes_before_it_is_read_is_no_row(
    nomarr: Nomarr, music_tree: Callable[..., Path], disk: Disk
) -> None:
    root = music_tree({"Rock": {"a.wav": tone(440), "b.wav": tone(441)}})
    library = await nomarr.libraries.add_library("Music", root)
    disk.before_stat(root / "Rock" / "b.wav", lambda: (root / "Rock" / "a.wav").unlink(missing_ok=True))
    await scan(nomarr, library)
    disk.recover()
    await scan(nomarr, library)
    assert set(await ids(nomarr, library)) == {"Rock/b.wav"}
    await assert_equal(nomarr, library)


async def test_a_file_renamed_while_its_folder_is_listed_is_not_lost(
    database_url: str, music_tree: Callable[..., Path], disk: Disk
) -> None:
    root = music_tree({"Rock": {"a.wav": tone(440), "b.wav": tone(441)}})
    async with Nomarr.open(database_url, settle_seconds=0.1) as nomarr:
        library = await nomarr.libraries.add_library("Music", root)
        await scan(nomarr, library)
        before = await ids(nomarr, library)

        def rename() -> None:
            disk.recover()
            os.rename(root / "Rock" / "a.wav", root / "Rock" / "z.wav")

        wait_for_another_timestamp(root.parent, 0.1)
        disk.before_stat(root / "Rock" / "b.wav", rename)
        await scan(nomarr, library)
        await scan(nomarr, library)
        assert await ids(nomarr, library) == {"Rock/b.wav": before["Rock/b.wav"], "Rock/z.wav": before["Rock/a.wav"]}
        assert "missing" not in {event for event, _ in await happened(nomarr)}
        assert len(await present(nomarr, library)) == 2
