"""A scan costs what changed, and says so."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
from support.backends import dump
from support.disk import assert_equal
from support.music import build, tone, tones, wait_for_another_timestamp
from support.scans import ids, scan
from support.system import Disk

from nomarr import Nomarr


async def test_an_unchanged_library_is_neither_read_nor_written(
    nomarr: Nomarr, music_tree: Callable[..., Path], database_url: str
) -> None:
    root = music_tree({**{str(n): tones(10, first=100 + 10 * n) for n in range(10)}, "list.m3u": "0/0000.wav\n"})
    build(root, {"1": {"cover.jpg": b"\xff\xd8"}})
    wait_for_another_timestamp(root.parent, 0.03)
    library = await nomarr.libraries.add_library("Music", root)
    first = await scan(nomarr, library)
    assert (first.files_scanned, first.files_processed, first.files_added, first.changes_detected) == (
        100,
        100,
        100,
        True,
    )
    assert (first.playlists_changed, first.images_changed, first.folders_scanned) == (1, 1, 11)
    before = dump(database_url)
    second = await scan(nomarr, library)
    assert (second.files_scanned, second.files_processed, second.files_unchanged) == (100, 0, 100)
    assert (second.folders_scanned, second.folders_unchanged) == (11, 11)
    assert (second.batches_written, second.changes_detected) == (0, False)
    assert dump(database_url) == before


@pytest.mark.parametrize(("files", "batch_size"), [(199, 200), (200, 200), (201, 200), (450, 50), (1000, 200)])
async def test_a_first_scan_writes_as_many_batches_as_there_are_batches_of_files(
    database_url: str, music_tree: Callable[..., Path], files: int, batch_size: int
) -> None:
    content = tone(300)
    root = music_tree({f"{n:03}": {f"{n}-{i}.wav": content for i in range(10)} for n in range(files // 10)})
    build(root, {f"{i}.wav": content for i in range(files % 10)})
    async with Nomarr.open(database_url, settle_seconds=0, scan_batch_size=batch_size) as nomarr:
        library = await nomarr.libraries.add_library("Music", root)
        report = await scan(nomarr, library)
        assert report.files_added == files
        assert math.ceil(files / batch_size) <= report.batches_written <= math.ceil(files / batch_size) + 1
        await assert_equal(nomarr, library)


async def test_one_changed_file_is_the_only_one_read(nomarr: Nomarr, music_tree: Callable[..., Path]) -> None:
    root = music_tree({str(n): tones(10, first=100 + 10 * n) for n in range(10)})
    wait_for_another_timestamp(root.parent, 0.03)
    library = await nomarr.libraries.add_library("Music", root)
    await scan(nomarr, library)
    (root / "3" / "0003.wav").write_bytes(tone(900))
    report = await scan(nomarr, library)
    assert (report.files_processed, report.files_updated, report.files_unchanged) == (1, 1, 99)
    assert (report.folders_unchanged, report.batches_written) == (10, 1)


async def test_a_target_looks_at_its_folder_only(nomarr: Nomarr, music_tree: Callable[..., Path], disk: Disk) -> None:
    root = music_tree({"Rock": {"a.wav": tone(440), "Live": {"b.wav": tone(441)}}, "Pop": {"c.wav": tone(442)}})
    library = await nomarr.libraries.add_library("Music", root)
    listed: list[str] = []
    for folder in ("Rock", "Rock/Live", "Pop"):
        disk.before_listing(root / folder, lambda folder=folder: listed.append(folder))
    report = await scan(nomarr, library, "Rock", recursive=False)
    assert (listed, report.folders_scanned, report.files_scanned) == (["Rock"], 1, 1)
    assert set(await ids(nomarr, library)) == {"Rock/a.wav"}
    listed.clear()
    await scan(nomarr, library, "Rock")
    assert listed == ["Rock", "Rock/Live"]
    assert set(await ids(nomarr, library)) == {"Rock/a.wav", "Rock/Live/b.wav"}
    listed.clear()
    await scan(nomarr, library, "Rock", "Rock/Live", "Rock")
    assert listed == ["Rock", "Rock/Live"], "targets inside others are not looked at twice"


async def test_a_file_that_was_touched_is_read_but_is_no_change_of_its_tags(
    nomarr: Nomarr, music_tree: Callable[..., Path]
) -> None:
    root = music_tree({"a.wav": tone(440)})
    library = await nomarr.libraries.add_library("Music", root)
    await scan(nomarr, library)
    wait_for_another_timestamp(root.parent)
    (root / "a.wav").touch()
    report = await scan(nomarr, library)
    assert report.files_processed == 1
    await assert_equal(nomarr, library)


async def test_files_that_are_no_music_cost_nothing(nomarr: Nomarr, music_tree: Callable[..., Path]) -> None:
    root = music_tree({"Rock": {"a.wav": tone(440), "notes.txt": "one"}})
    library = await nomarr.libraries.add_library("Music", root)
    await scan(nomarr, library)
    build(root, {"Rock": {"notes.txt": "two", "more.pdf": b"%PDF", "a.wav.part": b"..."}})
    report = await scan(nomarr, library)
    assert (report.folders_unchanged, report.changes_detected) == (2, False)
