"""Symbolic links: to files inside they are files, everything else is not followed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from support.music import tone
from support.scans import ids, missing, scan

from nomarr import Nomarr, PathState


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
