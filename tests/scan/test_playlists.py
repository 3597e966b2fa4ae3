"""Playlists as entries that know their files, and folder images."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from support.music import build, tone, wait_for_another_timestamp
from support.scans import file_at, ids, playlists, scan

from nomarr import Library, Nomarr

TREE = {"Rock": {"a.wav": tone(440), "b.wav": tone(441)}, "Pop": {"c.wav": tone(442)}}


async def entries(nomarr: Nomarr, library: Library, path: str) -> list[tuple[str, str | None]]:
    return [(entry.text, entry.file_id) for entry in (await playlists(nomarr, library))[path].entries]


async def test_entries_know_their_files(nomarr: Nomarr, music_tree: Callable[..., Path]) -> None:
    root = music_tree(TREE)
    build(
        root,
        {
            "all.m3u8": f"#EXTM3U\n#EXTINF:1,A\nRock/a.wav\r\n./Rock/../Pop/c.wav\n{root}/Rock/b.wav\n\n",
            "Rock": {"up.m3u": "../Pop/c.wav\na.wav\nRock/a.wav\nhttp://radio.example/stream\n../../etc/x.wav\n"},
            "Pop": {"old.pls": "[playlist]\nFile1=c.wav\nTitle1=C\nFile2=..\\Rock\\a.wav\nNumberOfEntries=2\n"},
        },
    )
    library = await nomarr.libraries.add_library("Music", root)
    report = await scan(nomarr, library)
    known = await ids(nomarr, library)
    assert report.playlists_changed == 3
    assert await entries(nomarr, library, "all.m3u8") == [
        ("Rock/a.wav", known["Rock/a.wav"]),
        ("./Rock/../Pop/c.wav", known["Pop/c.wav"]),
        (f"{root}/Rock/b.wav", known["Rock/b.wav"]),
    ]
    assert await entries(nomarr, library, "Rock/up.m3u") == [
        ("../Pop/c.wav", known["Pop/c.wav"]),
        ("a.wav", known["Rock/a.wav"]),
        ("Rock/a.wav", None),
        ("http://radio.example/stream", None),
        ("../../etc/x.wav", None),
    ]
    assert await entries(nomarr, library, "Pop/old.pls") == [
        ("c.wav", known["Pop/c.wav"]),
        ("..\\Rock\\a.wav", known["Rock/a.wav"]),
    ]


async def test_an_entry_is_resolved_when_its_file_comes(nomarr: Nomarr, music_tree: Callable[..., Path]) -> None:
    root = music_tree({**TREE, "list.m3u": "New/later.wav\n"})
    library = await nomarr.libraries.add_library("Music", root)
    await scan(nomarr, library)
    assert await entries(nomarr, library, "list.m3u") == [("New/later.wav", None)]
    build(root, {"New": {"later.wav": tone(500)}})
    await scan(nomarr, library, "New")
    assert await entries(nomarr, library, "list.m3u") == [
        ("New/later.wav", (await file_at(nomarr, library, "New/later.wav")).file_id)
    ]


async def test_an_entry_follows_its_file_when_that_moves(nomarr: Nomarr, music_tree: Callable[..., Path]) -> None:
    root = music_tree({**TREE, "list.m3u": "Rock/a.wav\n"})
    library = await nomarr.libraries.add_library("Music", root)
    await scan(nomarr, library)
    before = await entries(nomarr, library, "list.m3u")
    os.rename(root / "Rock" / "a.wav", root / "Pop" / "moved.wav")
    await scan(nomarr, library)
    assert await entries(nomarr, library, "list.m3u") == before
    assert before[0][1] == (await file_at(nomarr, library, "Pop/moved.wav")).file_id


async def test_an_entry_may_lead_into_another_library(nomarr: Nomarr, music_tree: Callable[..., Path]) -> None:
    there = music_tree({"x.wav": tone(450)}, "there")
    root = music_tree({**TREE, "list.m3u": f"{there}/x.wav\n"})
    other = await nomarr.libraries.add_library("There", there)
    library = await nomarr.libraries.add_library("Music", root)
    await scan(nomarr, library)
    await scan(nomarr, other)
    assert await entries(nomarr, library, "list.m3u") == [
        (f"{there}/x.wav", (await file_at(nomarr, other, "x.wav")).file_id)
    ]


async def test_names_of_any_bytes_are_found(nomarr: Nomarr, music_tree: Callable[..., Path]) -> None:
    root = music_tree({"\udce9t\udce9.wav": tone(440), "caf\u00e9 #1.wav": tone(441)})
    (root / "list.m3u").write_bytes(b"\xe9t\xe9.wav\ncaf\xc3\xa9 #1.wav\n")
    (root / "url.m3u8").write_text(f"file://{root}/caf%C3%A9%20%231.wav\n")
    (root / "mark.m3u8").write_bytes(b"\xef\xbb\xbfcaf\xc3\xa9 #1.wav")
    library = await nomarr.libraries.add_library("Music", root)
    await scan(nomarr, library)
    known = await ids(nomarr, library)
    assert [file_id for _, file_id in await entries(nomarr, library, "list.m3u")] == [
        known["\udce9t\udce9.wav"],
        known["caf\u00e9 #1.wav"],
    ]
    for name in ("url.m3u8", "mark.m3u8"):
        assert [file_id for _, file_id in await entries(nomarr, library, name)] == [known["caf\u00e9 #1.wav"]]


async def test_a_changed_playlist_is_a_change_and_costs_no_reading(
    nomarr: Nomarr, music_tree: Callable[..., Path]
) -> None:
    root = music_tree({**TREE, "list.m3u": "Rock/a.wav\n"})
    wait_for_another_timestamp(root.parent, 0.03)
    library = await nomarr.libraries.add_library("Music", root)
    await scan(nomarr, library)
    (root / "list.m3u").write_text("Rock/b.wav\nRock/a.wav\n")
    report = await scan(nomarr, library)
    known = await ids(nomarr, library)
    assert (report.playlists_changed, report.files_processed, report.changes_detected) == (1, 0, True)
    assert [file_id for _, file_id in await entries(nomarr, library, "list.m3u")] == [
        known["Rock/b.wav"],
        known["Rock/a.wav"],
    ]
    (root / "list.m3u").unlink()
    report = await scan(nomarr, library)
    assert (report.playlists_changed, report.changes_detected) == (1, True)
    assert await playlists(nomarr, library) == {}


async def test_a_playlist_in_a_folder_that_is_gone_or_hidden_is_gone(
    nomarr: Nomarr, music_tree: Callable[..., Path]
) -> None:
    root = music_tree(TREE)
    build(root, {"Rock": {"list.m3u": "a.wav\n"}, "Pop": {"list.m3u": "c.wav\n", "Deep": {"deep.m3u": "x.wav\n"}}})
    library = await nomarr.libraries.add_library("Music", root)
    await scan(nomarr, library)
    assert set(await playlists(nomarr, library)) == {"Rock/list.m3u", "Pop/list.m3u", "Pop/Deep/deep.m3u"}
    os.rename(root / "Rock", root.parent / "away")
    (root / "Pop" / ".nomedia").touch()
    await scan(nomarr, library)
    assert await playlists(nomarr, library) == {}
    os.rename(root.parent / "away", root / "Rock")
    (root / "Pop" / ".nomedia").unlink()
    await scan(nomarr, library)
    assert set(await playlists(nomarr, library)) == {"Rock/list.m3u", "Pop/list.m3u", "Pop/Deep/deep.m3u"}


async def test_a_playlist_hidden_by_a_rule_is_gone(nomarr: Nomarr, music_tree: Callable[..., Path]) -> None:
    root = music_tree({**TREE, "list.m3u": "Rock/a.wav\n"})
    library = await nomarr.libraries.add_library("Music", root)
    await scan(nomarr, library)
    build(root, {".nomarrignore": "*.m3u\n"})
    await scan(nomarr, library)
    assert await playlists(nomarr, library) == {}


async def test_an_image_in_a_folder_is_the_cover_of_its_files(nomarr: Nomarr, music_tree: Callable[..., Path]) -> None:
    root = music_tree({**TREE, "Rock": {"cover.jpg": b"\xff\xd8", "a.wav": tone(440)}})
    library = await nomarr.libraries.add_library("Music", root)
    report = await scan(nomarr, library)
    assert report.images_changed == 1
    assert (await file_at(nomarr, library, "Rock/a.wav")).has_cover
    assert not (await file_at(nomarr, library, "Pop/c.wav")).has_cover
    (root / "Rock" / "cover.jpg").unlink()
    report = await scan(nomarr, library)
    assert (report.images_changed, report.changes_detected) == (1, True)
    assert not (await file_at(nomarr, library, "Rock/a.wav")).has_cover
