"""Many files gone at once are held back until somebody confirms it, or time does."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from support.disk import assert_equal
from support.music import tones
from support.scans import ids, kept_for, missing, scan

from nomarr import Library, Nomarr, ScanTarget
from nomarr.helpers.dto.scan import ScanOptions
from nomarr.services.domain.library_svc import LibraryService, LibrarySettings

HOUR = 3600.0


class Music:
    """A library of 200 files in five folders; most of them can go away and come back."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.away = root.with_name("away")

    @property
    def lost(self) -> list[str]:
        """60 % of the files: two folders whole, one half."""
        return [
            f"{folder}/{number:04}.wav"
            for folder, count in (("0", 40), ("1", 40), ("2", 40))
            for number in range(count)
        ]

    def lose(self, files: Iterable[str]) -> None:
        for file in files:
            (self.away / file).parent.mkdir(parents=True, exist_ok=True)
            os.rename(self.root / file, self.away / file)
            if not os.listdir((self.root / file).parent) and file.startswith("0/"):
                (self.root / file).parent.rmdir()

    def bring_back(self, files: Iterable[str]) -> None:
        for file in files:
            (self.root / file).parent.mkdir(parents=True, exist_ok=True)
            os.rename(self.away / file, self.root / file)


async def two_hundred_files(nomarr: Nomarr, music_tree: Callable[..., Path]) -> tuple[Library, Music, dict[str, str]]:
    root = music_tree({str(folder): tones(40, first=100 + 40 * folder) for folder in range(5)})
    library = await nomarr.libraries.add_library("Music", root)
    assert (await scan(nomarr, library)).files_added == 200
    return library, Music(root), await ids(nomarr, library)


async def test_most_files_gone_are_held_back_until_they_are_accepted(
    nomarr: Nomarr, music_tree: Callable[..., Path]
) -> None:
    library, music, before = await two_hundred_files(nomarr, music_tree)
    music.lose(music.lost)
    for _ in range(4):
        report = await scan(nomarr, library)
        assert (report.files_held_back, report.files_missing) == (120, 0)
        assert any("--accept-losses" in warning for warning in report.warnings)
        assert await ids(nomarr, library) == before
    report = await scan(nomarr, library, accept_losses=True)
    assert (report.files_held_back, report.files_missing) == (0, 120)
    assert set(await missing(nomarr, library)) == set(music.lost)
    await assert_equal(nomarr, library)
    assert not (await scan(nomarr, library)).changes_detected


async def test_files_that_return_before_they_were_given_up_are_as_they_were(
    nomarr: Nomarr, music_tree: Callable[..., Path]
) -> None:
    library, music, before = await two_hundred_files(nomarr, music_tree)
    music.lose(music.lost)
    await scan(nomarr, library)
    music.bring_back(music.lost)
    report = await scan(nomarr, library)
    assert (report.files_held_back, report.files_missing, report.files_added) == (0, 0, 0)
    assert await ids(nomarr, library) == before
    await assert_equal(nomarr, library)


async def test_files_that_return_after_they_were_given_up_have_their_ids(
    nomarr: Nomarr, music_tree: Callable[..., Path]
) -> None:
    library, music, before = await two_hundred_files(nomarr, music_tree)
    music.lose(music.lost)
    await scan(nomarr, library, accept_losses=True)
    music.bring_back(music.lost)
    report = await scan(nomarr, library)
    assert (report.files_restored, report.files_added) == (120, 0)
    assert await ids(nomarr, library) == before
    assert await missing(nomarr, library) == {}
    await assert_equal(nomarr, library)


async def test_a_few_files_gone_are_believed(nomarr: Nomarr, music_tree: Callable[..., Path]) -> None:
    library, music, _ = await two_hundred_files(nomarr, music_tree)
    music.lose(music.lost[:50])
    report = await scan(nomarr, library)
    assert (report.files_held_back, report.files_missing) == (0, 50)


async def test_a_scan_of_the_folders_that_lost_files_holds_them_back_too(
    nomarr: Nomarr, music_tree: Callable[..., Path]
) -> None:
    library, music, before = await two_hundred_files(nomarr, music_tree)
    music.lose(music.lost)
    report = await scan(nomarr, library, "0", "1", "2")
    assert (report.files_held_back, report.files_missing) == (120, 0)
    report = await scan(nomarr, library, "1")
    assert report.files_missing == 0, "what is held back can't be lost piece by piece"
    assert await ids(nomarr, library) == before


async def test_files_that_moved_are_not_lost(nomarr: Nomarr, music_tree: Callable[..., Path]) -> None:
    library, music, before = await two_hundred_files(nomarr, music_tree)
    os.rename(music.root / "0", music.root / "zero")
    os.rename(music.root / "1", music.root / "one")
    os.rename(music.root / "2", music.root / "two")
    report = await scan(nomarr, library)
    assert (report.files_moved, report.files_held_back) == (120, 0)
    assert set((await ids(nomarr, library)).values()) == set(before.values())


def with_clock(nomarr: Nomarr, clock: Callable[[], float]) -> LibraryService:
    settings = LibrarySettings(ScanOptions(settle_seconds=0))
    return LibraryService(nomarr.database, nomarr.tasks, kept_for(30), settings, clock)


async def test_losses_seen_three_times_within_a_day_are_believed(
    nomarr: Nomarr, music_tree: Callable[..., Path]
) -> None:
    library, music, _ = await two_hundred_files(nomarr, music_tree)
    music.lose(music.lost)
    start = (await nomarr.libraries.get_library(library.library_id)).last_scan_at or 0.0
    found = []
    for hours in (1, 2, 3, 24, 25.1):
        libraries = with_clock(nomarr, lambda hours=hours: start + hours * HOUR)
        report = await libraries.scan_targets([ScanTarget(library.library_id)])
        found.append((report.files_held_back, report.files_missing))
    assert found == [(120, 0), (120, 0), (120, 0), (120, 0), (0, 120)]


async def test_losses_seen_twice_are_not_believed_however_long_ago(
    nomarr: Nomarr, music_tree: Callable[..., Path]
) -> None:
    library, music, _ = await two_hundred_files(nomarr, music_tree)
    music.lose(music.lost)
    start = (await nomarr.libraries.get_library(library.library_id)).last_scan_at or 0.0
    for hours, expected in ((1, 0), (1000, 0), (1001, 120)):
        libraries = with_clock(nomarr, lambda hours=hours: start + hours * HOUR)
        report = await libraries.scan_targets([ScanTarget(library.library_id)])
        assert report.files_missing == expected


async def test_losses_that_returned_are_counted_anew_when_they_happen_again(
    nomarr: Nomarr, music_tree: Callable[..., Path]
) -> None:
    library, music, _ = await two_hundred_files(nomarr, music_tree)
    start = (await nomarr.libraries.get_library(library.library_id)).last_scan_at or 0.0
    for hours, is_lost in ((1, True), (2, True), (30, False), (31, True)):
        music.lose(file for file in music.lost if is_lost and (music.root / file).exists())
        music.bring_back(file for file in music.lost if not is_lost and (music.away / file).exists())
        libraries = with_clock(nomarr, lambda hours=hours: start + hours * HOUR)
        report = await libraries.scan_targets([ScanTarget(library.library_id)])
        assert report.files_missing == 0
        assert report.files_held_back == (120 if is_lost else 0)
