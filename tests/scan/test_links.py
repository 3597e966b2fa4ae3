"""Symbolic links: to files inside they are files, everything else is not followed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from support.music import tone, wait_for_another_timestamp
from support.scans import ids, missing, present, scan

from nomarr import Library, Nomarr, PathState


async def test_a_link_to_a_file_inside_is_a_file(nomarr: Nomarr, music_tree: Callable[..., Path]) -> None:
    root = music_tree({"Rock": {"a.wav": tone(440)}, "Best": {}})
    (root / "Best" / "one.wav").symlink_to("../Rock/a.wav")
    library = await nomarr.libraries.add_library("Music", root)
    await scan(nomarr, library)
    found = await ids(nomarr, library)
    assert set(found) == {"Rock/a.wav", "Best/one.wav"}
    assert len(set(found.values())) == 2
    assert not (await scan(nomarr, library)).changes_detected
    assert (await nomarr.libraries.verify(library.library_id)).equal


async def test_a_link_out_of_the_library_is_refused_with_a_warning(
    nomarr: Nomarr, music_tree: Callable[..., Path]
) -> None:
    root = music_tree({"Rock": {"a.wav": tone(440)}})
    outside = music_tree({"secret.wav": tone(441)}, "outside")
    (root / "Rock" / "out.wav").symlink_to(outside / "secret.wav")
    library = await nomarr.libraries.add_library("Music", root)
    report = await scan(nomarr, library)
    assert set(await ids(nomarr, library)) == {"Rock/a.wav"}
    assert any("Rock/out.wav" in warning and "out of the library" in warning for warning in report.warnings)
    assert (await nomarr.libraries.explain(root / "Rock" / "out.wav")).state is PathState.UNREADABLE


async def test_a_link_that_leads_nowhere_is_a_warning(nomarr: Nomarr, music_tree: Callable[..., Path]) -> None:
    root = music_tree({"Rock": {"a.wav": tone(440)}})
    (root / "Rock" / "broken.wav").symlink_to("gone.wav")
    (root / "Rock" / "self.wav").symlink_to("self.wav")
    library = await nomarr.libraries.add_library("Music", root)
    report = await scan(nomarr, library)
    assert set(await ids(nomarr, library)) == {"Rock/a.wav"}
    assert any("broken.wav" in warning for warning in report.warnings)
    assert any("self.wav" in warning for warning in report.warnings)


async def test_linked_folders_are_not_followed_and_loops_end(nomarr: Nomarr, music_tree: Callable[..., Path]) -> None:
    root = music_tree({"Rock": {"a.wav": tone(440), "Live": {}}})
    outside = music_tree({"secret.wav": tone(441)}, "outside")
    (root / "Rock" / "Live" / "up").symlink_to(root)
    (root / "Rock" / "self").symlink_to(".")
    (root / "out").symlink_to(outside)
    library = await nomarr.libraries.add_library("Music", root)
    await scan(nomarr, library)
    assert set(await ids(nomarr, library)) == {"Rock/a.wav"}
    for folder in ("out", "Rock/self", "Rock/Live/up"):
        report = await scan(nomarr, library, folder)
        assert set(await ids(nomarr, library)) == {"Rock/a.wav"}
        assert any("symbolic link" in warning for warning in report.warnings)


async def test_a_root_that_is_a_link_is_followed(nomarr: Nomarr, music_tree: Callable[..., Path]) -> None:
    root = music_tree({"Rock": {"a.wav": tone(440)}})
    (root / "Rock" / "b.wav").symlink_to("a.wav")
    link = root.with_name("link")
    link.symlink_to(root)
    library = await nomarr.libraries.add_library("Music", link)
    await scan(nomarr, library)
    assert set(await ids(nomarr, library)) == {"Rock/a.wav", "Rock/b.wav"}


async def test_a_folder_replaced_by_a_link_to_it_keeps_its_files_known(
    nomarr: Nomarr, music_tree: Callable[..., Path]
) -> None:
    root = music_tree({"Rock": {"a.wav": tone(440)}, "Pop": {"b.wav": tone(441)}})
    library = await nomarr.libraries.add_library("Music", root)
    await scan(nomarr, library)
    before = await ids(nomarr, library)
    os.rename(root / "Rock", root / "Stone")
    (root / "Rock").symlink_to("Stone")
    await scan(nomarr, library)
    assert await ids(nomarr, library) == {"Pop/b.wav": before["Pop/b.wav"], "Stone/a.wav": before["Rock/a.wav"]}
    assert await missing(nomarr, library) == {}


async def library_with_links(nomarr: Nomarr, root: Path) -> tuple[Library, dict[str, str]]:
    """`Rock` with two songs, and `Best` with a link to each; scanned."""
    for name in ("a.wav", "b.wav"):
        (root / "Best" / name).symlink_to(f"../Rock/{name}")
    wait_for_another_timestamp(root.parent, 0.03)
    library = await nomarr.libraries.add_library("Music", root)
    await scan(nomarr, library)
    wait_for_another_timestamp(root.parent)
    return library, await ids(nomarr, library)


LINKED: dict[str, object] = {"Rock": {"a.wav": tone(440), "b.wav": tone(441)}, "Best": {}, "keep.wav": tone(300)}


async def test_songs_whose_folder_is_renamed_keep_their_ids_beside_links_that_dangle_then(
    nomarr: Nomarr, music_tree: Callable[..., Path]
) -> None:
    root = music_tree(LINKED)
    library, before = await library_with_links(nomarr, root)
    os.rename(root / "Rock", root / "Stone")
    assert (await scan(nomarr, library)).files_moved == 2
    after = await ids(nomarr, library)
    assert {path.replace("Stone", "Rock"): file_id for path, file_id in after.items()} == before
    for name in ("a.wav", "b.wav"):
        (root / "Best" / name).unlink()
        (root / "Best" / name).symlink_to(f"../Stone/{name}")
    await scan(nomarr, library)
    assert await ids(nomarr, library) == after


@pytest.mark.parametrize("folders", [["Best"], ["Rock", "Best"]], ids=["links", "links and songs"])
async def test_links_that_move_keep_their_ids_and_leave_the_songs_theirs(
    nomarr: Nomarr, music_tree: Callable[..., Path], folders: list[str]
) -> None:
    root = music_tree(LINKED)
    library, before = await library_with_links(nomarr, root)
    (root / "New").mkdir()
    # Into one folder: `../Rock` leads from there to where it led before, if that moved along.
    for folder in folders:
        os.rename(root / folder, root / "New" / folder)
    if folders == ["Best"]:
        (root / "New" / "Rock").symlink_to("../Rock")
    assert (await scan(nomarr, library)).files_moved == 2 * len(folders)
    after = await ids(nomarr, library)
    assert {path.removeprefix("New/"): file_id for path, file_id in after.items()} == before


async def test_a_song_that_moved_leaving_a_link_behind_keeps_its_id(
    nomarr: Nomarr, music_tree: Callable[..., Path]
) -> None:
    root = music_tree(LINKED)
    library, before = await library_with_links(nomarr, root)
    os.rename(root / "Rock" / "a.wav", root / "moved.wav")
    (root / "Rock" / "a.wav").symlink_to("../moved.wav")
    await scan(nomarr, library, "", recursive=False)
    assert (await ids(nomarr, library))["moved.wav"] == before["Rock/a.wav"]
    await scan(nomarr, library)
    after = await ids(nomarr, library)
    assert after["moved.wav"] == before["Rock/a.wav"]
    assert {path: after[path] for path in before if path != "Rock/a.wav"} == {
        path: file_id for path, file_id in before.items() if path != "Rock/a.wav"
    }
    assert (await nomarr.libraries.verify(library.library_id)).equal


async def test_links_are_enriched_as_what_they_lead_to(nomarr: Nomarr, music_tree: Callable[..., Path]) -> None:
    root = music_tree(LINKED)
    library, _ = await library_with_links(nomarr, root)
    await nomarr.enrichment.run()
    found = await present(nomarr, library)
    assert found["Best/a.wav"].audio_hash == found["Rock/a.wav"].audio_hash is not None
    assert not (await scan(nomarr, library)).changes_detected
