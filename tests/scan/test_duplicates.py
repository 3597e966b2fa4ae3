"""Files that hold the same music, by their sound and by what a listener hears."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import anyio
import pytest
from mutagen.flac import FLAC
from support.scans import scan
from support.songs import encode, song

from nomarr import Library, LibraryNotFound, Nomarr
from nomarr.components.media import fingerprint_comp
from nomarr.helpers.dto.answers import ComparisonProgress, DuplicateGroup, DuplicatePage
from nomarr.helpers.exceptions import FingerprintLibraryMissing
from nomarr.services.domain.duplicate_pages_svc import DuplicatePages


@pytest.fixture
async def library(nomarr: Nomarr, tmp_path: Path) -> Library:
    """Two tracks with nothing in common, each once."""
    music = tmp_path / "music"
    (music / "b").mkdir(parents=True)
    encode(song(1, 15), music / "one.flac")
    encode(song(2, 15), music / "two.flac")
    return await nomarr.libraries.add_library("Music", music)


async def groups(nomarr: Nomarr, library: Library) -> list[tuple[str, list[str]]]:
    """Scan, enrich, and find."""
    await scan(nomarr, library)
    await nomarr.enrichment.run()
    found = nomarr.libraries.find_duplicates(library.library_id)
    return [(group.kind.value, [file.path for file in group.files]) async for group in found]


def copy_with_other_tags(source: Path, target: Path) -> None:
    target.write_bytes(source.read_bytes())
    audio = FLAC(target)
    audio["title"] = ["Another title"]
    audio.save()


async def test_different_songs_are_no_duplicates(nomarr: Nomarr, library: Library) -> None:
    assert await groups(nomarr, library) == []


async def test_a_copy_with_other_tags_has_the_same_audio_and_is_told_once(nomarr: Nomarr, library: Library) -> None:
    root = Path(library.root_path)
    copy_with_other_tags(root / "one.flac", root / "b" / "copy.flac")
    assert await groups(nomarr, library) == [("same_audio", ["b/copy.flac", "one.flac"])]


async def test_another_encoding_is_the_same_recording(nomarr: Nomarr, library: Library) -> None:
    encode(song(1, 15), Path(library.root_path) / "b" / "one.mp3", "-b:a", "128k")
    assert await groups(nomarr, library) == [("same_recording", ["b/one.mp3", "one.flac"])]


async def test_a_recording_lists_all_its_files_also_those_with_the_same_audio(nomarr: Nomarr, library: Library) -> None:
    root = Path(library.root_path)
    encode(song(1, 15), root / "b" / "one.mp3", "-b:a", "128k")
    copy_with_other_tags(root / "one.flac", root / "b" / "copy.flac")
    assert await groups(nomarr, library) == [
        ("same_audio", ["b/copy.flac", "one.flac"]),
        ("same_recording", ["b/copy.flac", "b/one.mp3", "one.flac"]),
    ]


async def test_files_that_are_gone_or_of_another_library_are_left_out(
    nomarr: Nomarr, library: Library, tmp_path: Path
) -> None:
    root = Path(library.root_path)
    (tmp_path / "other").mkdir()
    for copy in (root / "copy.flac", tmp_path / "other" / "copy.flac"):
        copy.write_bytes((root / "one.flac").read_bytes())
    other = await nomarr.libraries.add_library("Other", tmp_path / "other")
    await scan(nomarr, other)
    assert await groups(nomarr, library) == [("same_audio", ["copy.flac", "one.flac"])]
    (root / "copy.flac").unlink()
    assert await groups(nomarr, library) == []


async def test_it_tells_how_far_it_is(nomarr: Nomarr, library: Library) -> None:
    await groups(nomarr, library)
    told: list[ComparisonProgress] = []
    async for _ in nomarr.libraries.find_duplicates(library.library_id, on_progress=told.append):
        pass
    assert (told[-1].done, told[-1].total) == (2, 2)


async def test_it_can_be_cancelled(nomarr: Nomarr, library: Library) -> None:
    encode(song(1, 15), Path(library.root_path) / "b" / "one.mp3", "-b:a", "128k")
    await groups(nomarr, library)
    found = []
    with anyio.CancelScope() as scope:
        async for group in nomarr.libraries.find_duplicates(library.library_id, on_progress=lambda _: scope.cancel()):
            found.append(group)
    assert scope.cancelled_caught
    assert found == []


async def test_an_unknown_library_is_refused(nomarr: Nomarr) -> None:
    with pytest.raises(LibraryNotFound):
        await anext(nomarr.libraries.find_duplicates("nope"))


async def test_without_chromaprint_equal_audio_is_found_all_the_same(
    nomarr: Nomarr, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = Path(library.root_path)
    (root / "copy.flac").write_bytes((root / "one.flac").read_bytes())
    await scan(nomarr, library)
    await nomarr.enrichment.run()
    monkeypatch.setitem(sys.modules, "chromaprint", None)
    fingerprint_comp._chromaprint.cache_clear()
    found = nomarr.libraries.find_duplicates(library.library_id)
    assert (await anext(found)).kind == "same_audio"
    with pytest.raises(FingerprintLibraryMissing, match="libchromaprint1"):
        await anext(found)


@pytest.fixture
async def several(nomarr: Nomarr, library: Library) -> Path:
    """One track with the same audio and the other with the same recording, each twice; enriched. Its root."""
    root = Path(library.root_path)
    copy_with_other_tags(root / "one.flac", root / "b" / "copy.flac")
    encode(song(2, 15), root / "b" / "two.mp3", "-b:a", "128k")
    await scan(nomarr, library)
    await nomarr.enrichment.run()
    return root


@pytest.fixture
def without_chromaprint(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From its call on nothing can be compared any more."""

    def take_away() -> None:
        monkeypatch.setitem(sys.modules, "chromaprint", None)
        fingerprint_comp._chromaprint.cache_clear()

    return take_away


async def all_pages(nomarr: Nomarr, library: Library, limit: int) -> list[DuplicateGroup]:
    found: list[DuplicateGroup] = []
    place: int | None = 0
    while place is not None:
        page = await nomarr.libraries.page_of_duplicates(library.library_id, after=place, limit=limit)
        found += page.groups
        place = page.next_place
    return found


@pytest.mark.parametrize("limit", [1, 2, 100])
async def test_pages_hold_what_the_search_finds(nomarr: Nomarr, library: Library, several: Path, limit: int) -> None:
    found = [group async for group in nomarr.libraries.find_duplicates(library.library_id)]
    assert [group.kind.value for group in found] == ["same_audio", "same_recording"]
    assert await all_pages(nomarr, library, limit) == found


async def test_pages_share_one_comparison_until_a_file_changes(
    nomarr: Nomarr, library: Library, several: Path, without_chromaprint: Callable[[], None]
) -> None:
    page = partial(nomarr.libraries.page_of_duplicates, library.library_id, limit=1)
    assert len((await page()).groups) == 1
    without_chromaprint()
    assert [len((await page(after=after)).groups) for after in (1, 0)] == [1, 1]
    (several / "more.flac").write_bytes((several / "one.flac").read_bytes())
    await scan(nomarr, library)
    await nomarr.enrichment.run()
    # What follows is still there, and the beginning is what there is now: the same audio of three files.
    assert [group.kind.value for group in (await page(after=1)).groups] == ["same_recording"]
    (group,) = (await page()).groups
    assert len(group.files) == 3
    with pytest.raises(FingerprintLibraryMissing):
        await page(after=1)


async def test_a_page_has_no_files_that_have_gone_since(nomarr: Nomarr, library: Library, several: Path) -> None:
    page = partial(nomarr.libraries.page_of_duplicates, library.library_id, limit=1)
    await page()
    (several / "b" / "two.mp3").unlink()
    await scan(nomarr, library)
    assert (await page(after=1)).groups == ()
    assert (await page()).next_place is None


async def test_a_comparison_is_kept_for_a_time_only(
    nomarr: Nomarr, library: Library, several: Path, without_chromaprint: Callable[[], None]
) -> None:
    now = 1000.0
    pages = DuplicatePages(nomarr.database, lambda: now)
    assert len((await pages.page(library.library_id, after=0, limit=10)).groups) == 2
    without_chromaprint()
    now += 59
    assert len((await pages.page(library.library_id, after=0, limit=10)).groups) == 2
    now += 2
    assert len((await pages.page(library.library_id, after=1, limit=10)).groups) == 1
    now += 540
    with pytest.raises(FingerprintLibraryMissing):
        await pages.page(library.library_id, after=1, limit=10)


async def test_the_comparisons_of_few_libraries_are_kept(nomarr: Nomarr, tmp_path: Path) -> None:
    pages = DuplicatePages(nomarr.database, lambda: 0.0)
    for number in range(20):
        (tmp_path / f"{number}").mkdir()
        added = await nomarr.libraries.add_library(f"{number}", tmp_path / f"{number}")
        assert await pages.page(added.library_id, after=0, limit=10) == DuplicatePage()
    assert len(pages._kept) == 4


async def test_an_unknown_library_has_no_page_of_duplicates(nomarr: Nomarr) -> None:
    with pytest.raises(LibraryNotFound):
        await nomarr.libraries.page_of_duplicates("nope")
