"""What is done again after a change: what depends on it, and nothing else."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest
from enrichment_kit import (
    SECONDS,
    Tools,
    add,
    assert_covers_are_those_of,
    embed,
    is_whole,
    picture,
    retitle,
    rows,
    scan_and_enrich,
    sound,
    statuses,
)
from support.scans import scan
from support.songs import encode, song
from support.system import until

from nomarr import FileRecord, Library, Nomarr

SUFFIXES = ("mp3", "flac", "ogg", "opus", "m4a", "wav")
OLD, NEW, OTHER = picture(1), picture(2), picture(3)


def of_the_sound(record: FileRecord) -> tuple[str | None, str | None]:
    return record.audio_hash, record.fingerprint


async def the_row(nomarr: Nomarr, library: Library) -> FileRecord:
    [record] = (await rows(nomarr, library)).values()
    return record


# -- inside the file ------------------------------------------------------------------------------------------


async def test_another_title_costs_no_decoding(nomarr: Nomarr, root: Path, tools: Tools) -> None:
    for suffix in SUFFIXES:
        sound(root / f"song.{suffix}", cover=OLD)
    library = await add(nomarr, root)
    await nomarr.enrichment.run()
    before = await rows(nomarr, library)
    tools.forget_calls()
    for suffix in SUFFIXES:
        retitle(root / f"song.{suffix}", "Another title")
    seen: list[dict[str, str]] = []
    await scan(nomarr, library)
    seen.append(await statuses(nomarr, library))
    report = await nomarr.enrichment.run()
    seen.append(await statuses(nomarr, library))
    assert report.steps_done == len(SUFFIXES)
    assert [set(each.values()) for each in seen] == [{"complete"}, {"complete"}]
    after = await rows(nomarr, library)
    for path, record in after.items():
        assert record.tags.title == "Another title"
        assert of_the_sound(record) == of_the_sound(before[path])
        assert record.cover_id == before[path].cover_id
    assert tools.calls() == []


async def test_a_full_scan_of_unchanged_files_leaves_nothing_to_do(nomarr: Nomarr, root: Path, tools: Tools) -> None:
    sound(root / "a.flac", cover=OLD)
    library = await add(nomarr, root)
    await nomarr.enrichment.run()
    before = await rows(nomarr, library)
    tools.forget_calls()
    assert (await scan_and_enrich(nomarr, library, full=True)).steps_done == 0
    assert await rows(nomarr, library) == before
    assert tools.calls() == []


@pytest.mark.parametrize("suffix", SUFFIXES)
async def test_another_sound_is_heard_again(nomarr: Nomarr, root: Path, tools: Tools, suffix: str) -> None:
    path = sound(root / f"song.{suffix}", 1, OLD)
    library = await add(nomarr, root)
    await nomarr.enrichment.run()
    before = await the_row(nomarr, library)
    tools.forget_calls()
    encode(song(2, SECONDS), path)
    await scan_and_enrich(nomarr, library)
    after = await the_row(nomarr, library)
    assert after.file_id == before.file_id
    assert after.processing_status == "complete"
    assert after.audio_hash not in (None, before.audio_hash)
    assert after.fingerprint not in (None, before.fingerprint)
    assert after.cover_id is None
    assert tools.calls() == [path.name]
    await assert_covers_are_those_of(nomarr, library)


async def test_a_file_that_was_renamed_keeps_everything(nomarr: Nomarr, root: Path, tools: Tools) -> None:
    path = sound(root / "a.flac", cover=OLD)
    library = await add(nomarr, root)
    await nomarr.enrichment.run()
    before = await the_row(nomarr, library)
    tools.forget_calls()
    path.rename(root / "b.flac")
    await scan_and_enrich(nomarr, library)
    after = await the_row(nomarr, library)
    assert (after.path, after.processing_status) == ("b.flac", "complete")
    assert (after.file_id, *of_the_sound(after), after.cover_id) == (
        before.file_id,
        *of_the_sound(before),
        before.cover_id,
    )
    assert tools.calls() == []


@pytest.mark.usefixtures("tools")
@pytest.mark.parametrize("suffix", SUFFIXES)
async def test_another_cover_replaces_the_old_one(nomarr: Nomarr, root: Path, suffix: str) -> None:
    path = sound(root / f"song.{suffix}", cover=OLD)
    library = await add(nomarr, root)
    await nomarr.enrichment.run()
    before = await the_row(nomarr, library)
    embed(path, NEW)
    await scan_and_enrich(nomarr, library)
    after = await the_row(nomarr, library)
    assert after.cover_id not in (None, before.cover_id)
    assert of_the_sound(after) == of_the_sound(before)
    await assert_covers_are_those_of(nomarr, library)
    embed(path, None)
    await scan_and_enrich(nomarr, library)
    assert (await the_row(nomarr, library)).cover_id is None
    await assert_covers_are_those_of(nomarr, library)


@pytest.mark.usefixtures("tools")
async def test_a_cover_that_another_file_has_stays(nomarr: Nomarr, root: Path) -> None:
    for name in ("a.flac", "b.flac"):
        sound(root / name, cover=OLD)
    library = await add(nomarr, root)
    await nomarr.enrichment.run()
    embed(root / "a.flac", NEW)
    await scan_and_enrich(nomarr, library)
    found = await rows(nomarr, library)
    assert found["a.flac"].cover_id != found["b.flac"].cover_id
    await assert_covers_are_those_of(nomarr, library)


# -- beside the file ------------------------------------------------------------------------------------------


async def cover_after(nomarr: Nomarr, library: Library) -> str | None:
    await scan_and_enrich(nomarr, library)
    found = await rows(nomarr, library)
    await assert_covers_are_those_of(nomarr, library)
    [cover_id] = {record.cover_id for record in found.values()}
    return cover_id


async def test_a_folder_image_comes_changes_and_goes(nomarr: Nomarr, root: Path, tools: Tools) -> None:
    for number in range(3):
        sound(root / "Album" / f"{number}.flac", number)
    library = await add(nomarr, root)
    covers = [await cover_after(nomarr, library)]
    tools.forget_calls()
    image = root / "Album" / "cover.png"
    for content in (OLD, NEW):
        image.write_bytes(content)
        covers.append(await cover_after(nomarr, library))
    better = image.with_name("cover.jpg")
    better.write_bytes(OTHER)
    covers.append(await cover_after(nomarr, library))
    better.unlink()
    covers.append(await cover_after(nomarr, library))
    image.unlink()
    covers.append(await cover_after(nomarr, library))
    none, old, new, other, again, none_again = covers
    assert none is none_again is None
    assert again == new
    assert len({old, new, other}) == 3
    assert tools.calls() == []


@pytest.mark.usefixtures("tools")
async def test_an_embedded_picture_comes_before_the_folder_image(nomarr: Nomarr, root: Path) -> None:
    path = sound(root / "a.flac", cover=OLD)
    (root / "cover.png").write_bytes(NEW)
    library = await add(nomarr, root)
    await nomarr.enrichment.run()
    embedded = (await the_row(nomarr, library)).cover_id
    embed(path, None)
    assert await cover_after(nomarr, library) not in (None, embedded)


@pytest.mark.usefixtures("tools")
async def test_a_file_that_moves_gets_the_image_of_its_new_folder(nomarr: Nomarr, root: Path) -> None:
    path = sound(root / "One" / "a.flac")
    (root / "One" / "cover.png").write_bytes(OLD)
    sound(root / "Two" / "b.flac", 2)
    (root / "Two" / "cover.png").write_bytes(NEW)
    library = await add(nomarr, root)
    await nomarr.enrichment.run()
    before = await rows(nomarr, library)
    path.rename(root / "Two" / "a.flac")
    await scan_and_enrich(nomarr, library)
    after = await rows(nomarr, library)
    assert after["Two/a.flac"].file_id == before["One/a.flac"].file_id
    assert after["Two/a.flac"].cover_id == after["Two/b.flac"].cover_id
    await assert_covers_are_those_of(nomarr, library)


@pytest.mark.usefixtures("tools")
async def test_a_file_that_can_not_be_decoded_still_gets_another_cover(
    nomarr: Nomarr, root: Path, tools: Tools
) -> None:
    tools.wrap(do="exit 2")
    sound(root / "a.flac")
    library = await add(nomarr, root)
    await nomarr.enrichment.run()
    assert (await the_row(nomarr, library)).processing_status == "error"
    (root / "cover.png").write_bytes(OLD)
    await scan_and_enrich(nomarr, library)
    record = await the_row(nomarr, library)
    assert is_whole(nomarr.enrichment.covers, record.cover_id)


@pytest.mark.parametrize("step", ["first", "second"])
async def test_an_image_that_comes_while_its_folder_is_worked_on(
    nomarr: Nomarr, root: Path, tools: Tools, step: str
) -> None:
    """The scan that finds it runs beside fpcalc; it is not forgotten when fpcalc's answer is stored."""
    held = root.parent / "held"
    tools.wrap(only="*/a.flac", do=f"while [ ! -e '{held}' ]; do sleep 0.02; done")
    path = sound(root / "a.flac")
    library = await add(nomarr, root)
    if step == "second":
        held.touch()
        await nomarr.enrichment.run()
        held.unlink()
        tools.forget_calls()
        encode(song(2, SECONDS), path)
        await scan(nomarr, library)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(nomarr.enrichment.run)
        await until(lambda: bool(tools.calls()))
        (root / "cover.png").write_bytes(OLD)
        await scan(nomarr, library)
        held.touch()
    await nomarr.enrichment.run()
    record = await the_row(nomarr, library)
    assert record.processing_status == "complete"
    assert is_whole(nomarr.enrichment.covers, record.cover_id)
