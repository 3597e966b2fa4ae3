"""Covers: stored once each, complete, and gone with the last file that had them."""

from __future__ import annotations

import io
import shutil
import struct
import zlib
from pathlib import Path

import pytest
from enrichment_kit import (
    Tools,
    add,
    assert_covers_are_those_of,
    cover_files,
    cover_folder,
    embed,
    errors,
    picture,
    rows,
    scan_and_enrich,
    sound,
    statuses,
)
from PIL import Image
from support.music import tone

from nomarr import Nomarr
from nomarr.components.media.cover_store_comp import THUMBNAIL_SIZES
from nomarr.helpers.dto.enrichment import DueWork
from nomarr.helpers.exceptions import CoverFolderUnusable

ALBUMS, SONGS = 100, 10


def fill_albums(root: Path) -> None:
    """In every second album the cover is in the files, in the others beside them; one file is in no album."""
    (root / "alone.wav").write_bytes(tone(99))
    for album in range(ALBUMS):
        folder = root / f"{album:03}"
        folder.mkdir(parents=True)
        for number in range(SONGS):
            path = folder / f"{number}.wav"
            path.write_bytes(tone(100 + number))
            if album % 2:
                embed(path, picture(album))
        if not album % 2:
            (folder / "cover.png").write_bytes(picture(album))


def delete_albums(root: Path) -> None:
    for folder in root.glob("*/"):
        shutil.rmtree(folder)


async def test_a_thousand_files_of_a_hundred_albums(nomarr: Nomarr, root: Path, tools: Tools) -> None:
    tools.hide_all()
    fill_albums(root)
    library = await add(nomarr, root)
    await nomarr.enrichment.run()
    found = await rows(nomarr, library)
    assert found.pop("alone.wav").cover_id is None
    assert len(found) == ALBUMS * SONGS
    assert set((await statuses(nomarr, library)).values()) == {"complete"}
    assert len({record.cover_id for record in found.values()} - {None}) == ALBUMS
    assert len({(path.split("/")[0], record.cover_id) for path, record in found.items()}) == ALBUMS
    names = [path.name for path in cover_files(nomarr)]
    assert sum("." not in name for name in names) == ALBUMS
    for size in THUMBNAIL_SIZES:
        assert sum(name.endswith(f".{size}.webp") for name in names) == ALBUMS
    assert len(names) == ALBUMS * (1 + len(THUMBNAIL_SIZES))

    delete_albums(root)
    await scan_and_enrich(nomarr, library, accept_losses=True)
    # Missing files may come back, and keep their covers until they are purged.
    assert len(cover_files(nomarr)) == len(names)
    assert await nomarr.enrichment.remove_unused_covers() == 0

    purged = await nomarr.libraries.purge_missing(older_than_days=0)
    assert [one.files for one in purged.libraries] == [ALBUMS * SONGS]
    assert await nomarr.enrichment.remove_unused_covers() == ALBUMS
    assert cover_files(nomarr) == []


@pytest.mark.usefixtures("tools")
async def test_libraries_share_covers(nomarr: Nomarr, tmp_path: Path) -> None:
    for name in ("one", "two"):
        sound(tmp_path / name / "a.flac", cover=picture(1))
    one, two = await add(nomarr, tmp_path / "one"), await add(nomarr, tmp_path / "two")
    await nomarr.enrichment.run()
    await assert_covers_are_those_of(nomarr, one, two)
    await nomarr.libraries.remove_library(one.library_id)
    assert await nomarr.enrichment.remove_unused_covers() == 0
    await assert_covers_are_those_of(nomarr, two)


# -- covers that are none -------------------------------------------------------------------------------------


def bomb() -> bytes:
    """The header of a PNG of 60,000 x 60,000 pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000)))


def truncated_jpeg() -> bytes:
    stream = io.BytesIO()
    Image.effect_noise((300, 300), 80).save(stream, "JPEG")
    return stream.getvalue()[:5000]


BAD = {
    "no image": (b"This is no image.", "is not an image of a known format"),
    "a bomb": (bomb(), "claims more pixels than any cover needs"),
    "cut short": (truncated_jpeg(), "is a damaged image"),
    "empty": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "is an SVG drawing"),
}


@pytest.mark.usefixtures("tools")
@pytest.mark.parametrize("place", ["inside", "beside"])
@pytest.mark.parametrize("case", BAD)
async def test_a_cover_that_can_not_be_used_is_no_reason_to_fail(
    nomarr: Nomarr, root: Path, case: str, place: str
) -> None:
    content, reason = BAD[case]
    path = sound(root / "a.flac", cover=content if place == "inside" else None)
    if place == "beside":
        (root / "cover.jpg").write_bytes(content)
    library = await add(nomarr, root)
    report = await nomarr.enrichment.run()
    assert (report.files_completed, report.files_failed) == (1, 0)
    before = await rows(nomarr, library)
    record = before[path.name]
    assert (record.processing_status, record.cover_id) == ("complete", None)
    assert record.fingerprint is not None
    assert "has a cover that can't be used" in (record.last_error or "")
    assert reason in (record.last_error or "")
    assert cover_files(nomarr) == []
    await scan_and_enrich(nomarr, library, full=True)
    assert await rows(nomarr, library) == before
    embed(path, picture(1))
    await scan_and_enrich(nomarr, library)
    assert await errors(nomarr, library) == {}
    await assert_covers_are_those_of(nomarr, library)


@pytest.mark.usefixtures("tools")
async def test_the_folder_image_stands_in_for_a_damaged_picture(nomarr: Nomarr, root: Path) -> None:
    sound(root / "a.flac", cover=truncated_jpeg())
    (root / "cover.png").write_bytes(picture(1))
    library = await add(nomarr, root)
    await nomarr.enrichment.run()
    await assert_covers_are_those_of(nomarr, library)
    assert len(cover_files(nomarr)) == 1 + len(THUMBNAIL_SIZES)
    assert "is a damaged image" in (await errors(nomarr, library))["a.flac"]


async def test_a_folder_that_takes_no_covers(nomarr: Nomarr, root: Path, tools: Tools) -> None:
    """It has nothing to do with the files: only their covers wait."""
    tools.wrap()
    sound(root / "a.flac", cover=picture(1))
    sound(root / "b.flac", 2)
    library = await add(nomarr, root)
    in_the_way = cover_folder(nomarr)
    in_the_way.parent.mkdir(parents=True, exist_ok=True)
    in_the_way.touch()
    for _ in range(2):
        with pytest.raises(CoverFolderUnusable) as raised:
            await nomarr.enrichment.run()
        assert str(raised.value) == f"covers can't be kept in {in_the_way}: Not a directory; check the folder's rights"
        found = await rows(nomarr, library)
        assert {(path, record.cover_id) for path, record in found.items()} == {("a.flac", None), ("b.flac", None)}
        assert all(record.audio_hash and record.fingerprint for record in found.values())
        assert (await nomarr.enrichment.due_work()).files == 1
        assert await errors(nomarr, library) == {}
    in_the_way.unlink()
    await nomarr.enrichment.run()
    await assert_covers_are_those_of(nomarr, library)
    assert len(cover_files(nomarr)) == 1 + len(THUMBNAIL_SIZES)
    assert await nomarr.enrichment.due_work() == DueWork()
    assert sorted(tools.calls()) == ["a.flac", "b.flac"]


@pytest.mark.usefixtures("tools")
async def test_covers_that_can_not_be_deleted_hold_nobody_up(nomarr: Nomarr, root: Path) -> None:
    path = sound(root / "a.flac", cover=picture(1))
    library = await add(nomarr, root)
    await nomarr.enrichment.run()
    covers, away = cover_folder(nomarr), root.parent / "away"
    embed(path, None)
    await scan_and_enrich(nomarr, library)
    assert cover_files(nomarr) == []
    embed(path, picture(1))
    await scan_and_enrich(nomarr, library)
    await nomarr.libraries.remove_library(library.library_id)
    covers.rename(away)
    covers.touch()
    sound(root / "b.flac", 2)
    library = await add(nomarr, root)
    with pytest.raises(CoverFolderUnusable):
        await nomarr.enrichment.run()
    assert all(record.fingerprint for record in (await rows(nomarr, library)).values())
    covers.unlink()
    away.rename(covers)
    await nomarr.enrichment.run()
    await assert_covers_are_those_of(nomarr, library)
