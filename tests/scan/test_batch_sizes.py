"""No transaction of a scan is large, whatever happened to the library since the last one."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from support.backends import dump
from support.disk import assert_equal
from support.music import build, tone, wait_for_another_timestamp
from support.scans import present, scan
from support.written import Written, written_by

from nomarr import Nomarr

BATCH = 50
MOST = 10 * BATCH
FOLDERS = 300
SONGS = {f"{number}.wav": tone(300) for number in range(2)}
COVER = {"cover.jpg": b"\xff\xd8"}


@pytest.fixture
def written(request: pytest.FixtureRequest, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Written:
    return written_by(request, database_url, monkeypatch, BATCH)


@pytest.fixture
async def nomarr(database_url: str, written: Written) -> AsyncIterator[Nomarr]:
    async with Nomarr.open(database_url, settle_seconds=0, tag_workers=1, scan_batch_size=BATCH) as opened:
        yield opened


async def test_covers_come_into_many_folders(nomarr: Nomarr, music_tree: Callable[..., Path], written: Written) -> None:
    root = music_tree({str(number): SONGS for number in range(FOLDERS)})
    wait_for_another_timestamp(root.parent, 0.03)
    library = await nomarr.libraries.add_library("music", root)
    await scan(nomarr, library)
    wait_for_another_timestamp(root.parent)
    build(root, {str(number): COVER for number in range(FOLDERS)})
    written()
    report = await scan(nomarr, library)
    assert max(written()) <= MOST
    assert (report.images_changed, report.files_processed, report.files_unchanged) == (FOLDERS, 0, 2 * FOLDERS)
    assert all(record.has_cover for record in (await present(nomarr, library)).values())
    assert not (await scan(nomarr, library)).changes_detected


async def test_a_tree_with_images_goes(
    nomarr: Nomarr, music_tree: Callable[..., Path], written: Written, database_url: str
) -> None:
    trees = {str(number): {**SONGS, **COVER} for number in range(FOLDERS)}
    root = music_tree({"goes": trees, "stays": SONGS})
    library = await nomarr.libraries.add_library("music", root)
    first = await scan(nomarr, library)
    assert max(written()) <= MOST
    shutil.rmtree(root / "goes")
    report = await scan(nomarr, library, accept_losses=True)
    assert max(written()) <= MOST
    assert (first.images_changed, report.images_changed, report.files_missing) == (FOLDERS, FOLDERS, 2 * FOLDERS)
    stored = dump(database_url)
    assert (len(stored["library_folders"]), len(stored["library_sidecars"])) == (2, 0)


async def test_one_folder_holds_very_many_images(
    nomarr: Nomarr, music_tree: Callable[..., Path], written: Written
) -> None:
    root = music_tree({"d": {f"{number}.wav": tone(300) for number in range(FOLDERS)}})
    wait_for_another_timestamp(root.parent, 0.03)
    library = await nomarr.libraries.add_library("music", root)
    await scan(nomarr, library)
    wait_for_another_timestamp(root.parent)
    build(root, {"d": {f"{number}.jpg": b"\xff\xd8" for number in range(3 * FOLDERS)}})
    written()
    report = await scan(nomarr, library)
    assert max(written()) <= MOST
    assert report.images_changed == 3 * FOLDERS
    wait_for_another_timestamp(root.parent)
    for image in root.glob("d/*.jpg"):
        image.unlink()
    report = await scan(nomarr, library)
    assert max(written()) <= MOST
    assert (report.images_changed, report.files_unchanged) == (3 * FOLDERS, FOLDERS)
    await assert_equal(nomarr, library)


async def test_many_playlists_come(nomarr: Nomarr, music_tree: Callable[..., Path], written: Written) -> None:
    root = music_tree({"d": SONGS})
    build(root, {f"{number}.m3u": "d/0.wav\n" * 10 for number in range(FOLDERS)})
    library = await nomarr.libraries.add_library("music", root)
    report = await scan(nomarr, library)
    # The last transaction points the entries of fifty playlists at their files.
    assert max(written()) <= MOST + 50 * 10
    assert report.playlists_changed == FOLDERS
