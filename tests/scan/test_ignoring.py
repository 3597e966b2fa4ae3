"""What a library leaves out, at once and back in time, both ways."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.music import build, tone
from support.scans import events, happened, ids, last_seq, missing, scan

from nomarr import Nomarr, PathState

TREE = {
    "Rock": {"a.wav": tone(440), "b.wav": tone(441), "Live": {"c.wav": tone(442)}},
    "Pop": {"d.wav": tone(443)},
}
EVERYTHING = {"Rock/a.wav", "Rock/b.wav", "Rock/Live/c.wav", "Pop/d.wav"}


@pytest.mark.parametrize(
    ("rules", "left"),
    [
        ({".nomarrignore": "b.wav\n"}, EVERYTHING - {"Rock/b.wav"}),
        ({".ndignore": "b.wav\n"}, EVERYTHING - {"Rock/b.wav"}),
        ({".nomarrignore": "# a comment\n\n/Rock/*.wav\n"}, {"Rock/Live/c.wav", "Pop/d.wav"}),
        ({".nomarrignore": "Live/\n"}, EVERYTHING - {"Rock/Live/c.wav"}),
        ({".nomarrignore": "*.wav\n!a.wav\n"}, {"Rock/a.wav"}),
        ({".nomarrignore": ""}, EVERYTHING),
        ({"Rock": {".ndignore": ""}}, {"Pop/d.wav"}),
        ({"Rock": {".ndignore": None}}, {"Pop/d.wav"}),
        ({"Rock": {".nomedia": None}}, {"Pop/d.wav"}),
        ({"Rock": {"Live": {".nomedia": None}}}, EVERYTHING - {"Rock/Live/c.wav"}),
        ({".nomarrignore": "*.wav\n", "Rock": {".nomarrignore": "!*.wav\n"}}, EVERYTHING - {"Pop/d.wav"}),
        ({"Rock": {".ndignore": "a.wav\n", ".nomarrignore": "!a.wav\n"}}, EVERYTHING),
        ({"Rock": {".nomarrignore": "/Live\n"}}, EVERYTHING - {"Rock/Live/c.wav"}),
        ({".nomarrignore": "**/Live/**\n"}, EVERYTHING - {"Rock/Live/c.wav"}),
        ({".nomarrignore": "[broken\n\\\nb.wav\n"}, EVERYTHING - {"Rock/b.wav"}),
    ],
)
async def test_rules_hide_known_files_and_their_absence_brings_them_back(
    nomarr: Nomarr, music_tree: Callable[..., Path], rules: dict[str, object], left: set[str]
) -> None:
    root = music_tree(TREE)
    library = await nomarr.libraries.add_library("Music", root)
    await scan(nomarr, library)
    before = await ids(nomarr, library)
    build(root, rules)
    seq = await last_seq(nomarr)
    report = await scan(nomarr, library)
    assert set(await ids(nomarr, library)) == left
    assert (report.files_ignored, report.files_missing) == (len(EVERYTHING - left), 0)
    assert await missing(nomarr, library) == {}, "ignored is not missing"
    assert set(await happened(nomarr, seq)) == {("removed", path) for path in EVERYTHING - left}
    assert all(event.evidence for event in await events(nomarr, seq))
    assert (await nomarr.libraries.verify(library.library_id)).equal
    assert not (await scan(nomarr, library)).changes_detected

    for rule_file in [*root.rglob(".n*")]:
        rule_file.unlink()
    seq = await last_seq(nomarr)
    report = await scan(nomarr, library)
    assert report.files_restored == len(EVERYTHING - left)
    assert await ids(nomarr, library) == before
    assert set(await happened(nomarr, seq)) == {("restored", path) for path in EVERYTHING - left}


@pytest.mark.parametrize("rules", [{"Rock": {".nomedia": None}}, {".nomarrignore": "Rock\n"}])
async def test_what_is_hidden_from_the_beginning_is_never_recorded(
    nomarr: Nomarr, music_tree: Callable[..., Path], rules: dict[str, object]
) -> None:
    library = await nomarr.libraries.add_library("Music", build(music_tree(TREE), rules))
    await scan(nomarr, library)
    assert set(await ids(nomarr, library)) == {"Pop/d.wav"}
    assert await happened(nomarr) == [("created", "Pop/d.wav")]


async def test_the_patterns_of_a_library_work_back_in_time(nomarr: Nomarr, music_tree: Callable[..., Path]) -> None:
    library = await nomarr.libraries.add_library("Music", music_tree(TREE), ignore_patterns=["Pop"])
    await scan(nomarr, library)
    assert set(await ids(nomarr, library)) == EVERYTHING - {"Pop/d.wav"}
    before = await ids(nomarr, library)
    await nomarr.libraries.update_library(library.library_id, ignore_patterns=["b.*"])
    await scan(nomarr, library)
    assert set(await ids(nomarr, library)) == EVERYTHING - {"Rock/b.wav"}
    await nomarr.libraries.update_library(library.library_id, ignore_patterns=[])
    await scan(nomarr, library)
    after = await ids(nomarr, library)
    assert set(after) == EVERYTHING
    assert before.items() <= after.items()


async def test_a_rule_file_in_the_library_overrides_the_patterns_of_the_library(
    nomarr: Nomarr, music_tree: Callable[..., Path]
) -> None:
    root = music_tree({**TREE, ".nomarrignore": "!a.wav\n"})
    library = await nomarr.libraries.add_library("Music", root, ignore_patterns=["*.wav"])
    await scan(nomarr, library)
    assert set(await ids(nomarr, library)) == {"Rock/a.wav"}


async def test_known_junk_is_left_out(nomarr: Nomarr, music_tree: Callable[..., Path]) -> None:
    junk = {
        "._a.wav": tone(440),
        "@eaDir": {"a.wav": tone(441)},
        ".Trash-1000": {"files": {"b.wav": tone(442)}},
        "#recycle": {"c.wav": tone(443)},
        "$RECYCLE.BIN": {"d.wav": tone(444)},
        "lost+found": {"e.wav": tone(445)},
        "__MACOSX": {"f.wav": tone(446)},
        ".syncthing.g.wav.tmp.wav": tone(447),
    }
    music = {".hidden": {"h.wav": tone(448)}, "Trash": {"i.wav": tone(449)}, "...And You Will Know.wav": tone(450)}
    root = music_tree({**junk, **music})
    library = await nomarr.libraries.add_library("Music", root)
    await scan(nomarr, library)
    assert set(await ids(nomarr, library)) == {".hidden/h.wav", "Trash/i.wav", "...And You Will Know.wav"}
    for name in ("._a.wav", "@eaDir/a.wav", ".Trash-1000/files/b.wav"):
        assert (await nomarr.libraries.explain(root / name)).state is PathState.IGNORED


async def test_a_target_below_a_hidden_folder_stays_hidden(nomarr: Nomarr, music_tree: Callable[..., Path]) -> None:
    root = music_tree(TREE)
    library = await nomarr.libraries.add_library("Music", root)
    await scan(nomarr, library)
    build(root, {"Rock": {".nomedia": None, "Live": {"new.wav": tone(460)}}})
    await scan(nomarr, library, "Rock/Live")
    assert "Rock/Live/new.wav" not in await ids(nomarr, library)
    assert "Rock/Live/c.wav" not in await ids(nomarr, library)
    assert await missing(nomarr, library) == {}


async def test_a_hidden_file_that_is_deleted_and_shown_again_is_missing(
    nomarr: Nomarr, music_tree: Callable[..., Path]
) -> None:
    root = music_tree(TREE)
    library = await nomarr.libraries.add_library("Music", root)
    await scan(nomarr, library)
    build(root, {".nomarrignore": "b.wav\n"})
    await scan(nomarr, library)
    (root / "Rock" / "b.wav").unlink()
    await scan(nomarr, library)
    (root / ".nomarrignore").unlink()
    await scan(nomarr, library)
    assert set(await ids(nomarr, library)) == EVERYTHING - {"Rock/b.wav"}


async def test_a_file_moved_into_a_hidden_folder_and_back_keeps_its_id(
    nomarr: Nomarr, music_tree: Callable[..., Path]
) -> None:
    root = music_tree({**TREE, "Hidden": {".nomedia": None}})
    library = await nomarr.libraries.add_library("Music", root)
    await scan(nomarr, library)
    before = await ids(nomarr, library)
    (root / "Rock" / "b.wav").rename(root / "Hidden" / "b.wav")
    await scan(nomarr, library)
    assert set(await ids(nomarr, library)) == EVERYTHING - {"Rock/b.wav"}
    (root / "Hidden" / "b.wav").rename(root / "Pop" / "again.wav")
    await scan(nomarr, library)
    assert (await ids(nomarr, library))["Pop/again.wav"] == before["Rock/b.wav"]


async def test_explain_names_the_rule_and_its_file(nomarr: Nomarr, music_tree: Callable[..., Path]) -> None:
    root = music_tree({**TREE, ".nomarrignore": "# no\nb.*\n"})
    library = await nomarr.libraries.add_library("Music", root)
    await scan(nomarr, library)
    explanation = await nomarr.libraries.explain(root / "Rock" / "b.wav")
    assert explanation.state is PathState.IGNORED
    assert explanation.rule is not None
    assert "'b.*'" in explanation.rule
    assert "line 2" in explanation.rule
    assert explanation.rule_file == ".nomarrignore"


async def test_an_unreadable_rule_file_leaves_its_folder_as_it_was(
    nomarr: Nomarr, music_tree: Callable[..., Path]
) -> None:
    root = music_tree(TREE)
    library = await nomarr.libraries.add_library("Music", root)
    await scan(nomarr, library)
    before = await ids(nomarr, library)
    (root / "Rock" / ".nomarrignore").mkdir()
    await scan(nomarr, library)
    assert await ids(nomarr, library) == before
    (root / "Rock" / ".nomarrignore").rmdir()
    (root / "Rock" / ".nomarrignore").symlink_to("nowhere")
    await scan(nomarr, library)
    assert await ids(nomarr, library) == before
