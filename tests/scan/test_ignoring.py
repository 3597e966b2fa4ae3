"""What a library leaves out, at once and back in time, both ways."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.music import build, tone
from support.scans import events, happened, ids, last_seq, missing, scan

from nomarr import ConfigurationError, Nomarr, PathState

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


async def test_a_pattern_that_cannot_be_understood_stops_no_scan_and_is_told(
    nomarr: Nomarr, music_tree: Callable[..., Path]
) -> None:
    root = music_tree(TREE)
    library = await nomarr.libraries.add_library("Music", root)
    await scan(nomarr, library)
    build(root, {"Rock": {".nomarrignore": "# ours\n[Various-Artists]/\nb.*\n"}})
    warning = (
        "line 2 of Rock/.nomarrignore: the pattern '[Various-Artists]/' can't mean what it says:"
        " the range 's-A' in its bracket runs backwards and holds nothing"
    )
    for folder in ("", "Rock", "Rock/Live"):
        report = await scan(nomarr, library, folder)
        assert (report.state, report.warnings) == ("completed", (warning,)), "also far below the file"
    assert (await scan(nomarr, library, "Pop")).warnings == ()
    assert set(await ids(nomarr, library)) == EVERYTHING - {"Rock/b.wav"}
    verification = await nomarr.libraries.verify(library.library_id)
    assert (verification.equal, verification.warnings) == (True, (warning,))
    assert (await nomarr.libraries.explain(root / "Rock" / "a.wav")).state is PathState.IN_LIBRARY


async def test_a_stored_pattern_that_cannot_be_understood_stops_no_scan_and_is_told(
    nomarr: Nomarr, music_tree: Callable[..., Path]
) -> None:
    root = music_tree(TREE)
    library = await nomarr.libraries.add_library("Music", root)
    # An earlier Nomarr stored it, or somebody wrote into the database.
    nomarr.database.library.update_library(library.library_id, ignore_patterns=["b.*", "[z-a]"])
    for folder in ("", "Pop"):
        (warning,) = (await scan(nomarr, library, folder)).warnings
        assert warning.startswith("line 2 of the library settings: the pattern '[z-a]' can't mean what it says: ")
    assert set(await ids(nomarr, library)) == EVERYTHING - {"Rock/b.wav"}
    assert (await nomarr.libraries.update_library(library.library_id, name="Other")).name == "Other"


@given(text=st.text() | st.text("ab.wv*?[]!^-/\\ #:\n").map("[z-a]\n{}".format))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_text_in_a_rule_file_stops_a_scan(tmp_path: Path, text: str) -> None:
    async def scan_with_it() -> None:
        root = tmp_path / "music"
        build(root, {".nomarrignore": text.encode("utf-8", "surrogatepass"), "Rock": {"a.wav": tone(440)}})
        async with Nomarr.open(f"sqlite:///{tmp_path}/nomarr.db", settle_seconds=0, tag_workers=1) as nomarr:
            library = await nomarr.libraries.find_or_add_library(root)
            nomarr.database.library.update_library(library.library_id, ignore_patterns=text.splitlines())
            report = await scan(nomarr, library)
            assert report.state == "completed"
            assert (await nomarr.libraries.verify(library.library_id)).equal

    anyio.run(scan_with_it)


@pytest.mark.parametrize("pattern", ["[z-a]", "[broken", "\\", "!", "[[:letter:]]"])
async def test_a_pattern_that_cannot_be_understood_is_refused(
    nomarr: Nomarr, music_tree: Callable[..., Path], pattern: str
) -> None:
    root = music_tree(TREE)
    with pytest.raises(ConfigurationError, match="ignore patterns: '") as refused:
        await nomarr.libraries.add_library("Music", root, ignore_patterns=["*.tmp", pattern])
    assert isinstance(refused.value, ValueError)
    assert pattern in str(refused.value)
    library = await nomarr.libraries.add_library("Music", root, ignore_patterns=["# only a comment", ""])
    with pytest.raises(ConfigurationError):
        await nomarr.libraries.update_library(library.library_id, ignore_patterns=[pattern])


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


HIDING = [{".nomarrignore": "Rock/\n"}, {".nomarrignore": "b.wav\n"}, {"Rock": {".nomedia": None}}]


@pytest.mark.parametrize("rules", HIDING)
async def test_a_hidden_file_that_is_deleted_and_shown_again_is_missing(
    nomarr: Nomarr, music_tree: Callable[..., Path], rules: dict[str, object]
) -> None:
    root = music_tree(TREE)
    library = await nomarr.libraries.add_library("Music", root)
    await scan(nomarr, library)
    before = await ids(nomarr, library)
    build(root, rules)
    await scan(nomarr, library)
    (root / "Rock" / "b.wav").unlink()
    await scan(nomarr, library)
    for rule_file in [*root.rglob(".n*")]:
        rule_file.unlink()
    seq = await last_seq(nomarr)
    assert (await scan(nomarr, library)).files_missing == 1
    assert set(await ids(nomarr, library)) == EVERYTHING - {"Rock/b.wav"}
    (lost,) = (await missing(nomarr, library)).values()
    assert (lost.file_id, lost.ignored_by) == (before["Rock/b.wav"], None)
    # That it left the library was told when the rule came.
    assert "Rock/b.wav" not in {path for _, path in await happened(nomarr, seq)}
    assert (await nomarr.libraries.explain(root / "Rock" / "b.wav")).state is PathState.MISSING
    assert not (await scan(nomarr, library, full=True)).files_missing


@pytest.mark.parametrize("gone", ["Rock", "Rock/Live"])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("at_once", [False, True])
async def test_a_hidden_folder_that_is_removed_is_missing_once_nothing_hides_it(
    nomarr: Nomarr, music_tree: Callable[..., Path], gone: str, full: bool, at_once: bool
) -> None:
    root = music_tree({**TREE, ".nomarrignore": "*.tmp\n"})
    library = await nomarr.libraries.add_library("Music", root)
    await scan(nomarr, library)
    before = await ids(nomarr, library)
    build(root, {".nomarrignore": "/Rock/\n"})
    await scan(nomarr, library)
    assert not (await scan(nomarr, library, full=full)).changes_detected
    if at_once:
        (root / ".nomarrignore").unlink()
    shutil.rmtree(root / gone)
    await scan(nomarr, library, full=full)
    (root / ".nomarrignore").unlink(missing_ok=True)
    await scan(nomarr, library, full=full)
    lost = {path for path in EVERYTHING if path.startswith(f"{gone}/")}
    assert {path: record.file_id for path, record in (await missing(nomarr, library)).items()} == {
        path: before[path] for path in lost
    }
    assert set(await ids(nomarr, library)) == EVERYTHING - lost


async def test_a_hidden_folder_that_is_moved_out_of_its_rule_keeps_its_ids(
    nomarr: Nomarr, music_tree: Callable[..., Path]
) -> None:
    root = music_tree(TREE)
    library = await nomarr.libraries.add_library("Music", root)
    await scan(nomarr, library)
    before = await ids(nomarr, library)
    build(root, {".nomarrignore": "/Rock/\n"})
    await scan(nomarr, library)
    (root / "Rock").rename(root / "Loud")
    report = await scan(nomarr, library)
    assert (report.files_moved, report.files_missing) == (3, 0)
    assert await ids(nomarr, library) == {path.replace("Rock/", "Loud/"): id_ for path, id_ in before.items()}


async def test_a_deleted_file_that_a_rule_still_leaves_out_is_explained(
    nomarr: Nomarr, music_tree: Callable[..., Path]
) -> None:
    root = music_tree(TREE)
    library = await nomarr.libraries.add_library("Music", root)
    await scan(nomarr, library)
    build(root, {".nomarrignore": "b.wav\n"})
    await scan(nomarr, library)
    (root / "Rock" / "b.wav").unlink()
    await scan(nomarr, library)
    explanation = await nomarr.libraries.explain(root / "Rock" / "b.wav")
    assert explanation.state is PathState.GONE
    assert explanation.reason == (
        "it was left out of the library (pattern 'b.wav' in .nomarrignore, line 1) and is gone from the disk since;"
        " a full scan will find out"
    )
    await scan(nomarr, library, full=True)
    assert (await nomarr.libraries.explain(root / "Rock" / "b.wav")).state is PathState.MISSING


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


async def test_very_many_hidden_files_that_are_gone_at_once_are_held_back(
    nomarr: Nomarr, music_tree: Callable[..., Path]
) -> None:
    root = music_tree({**TREE, "Books": {f"{number}.wav": tone(300) for number in range(60)}})
    library = await nomarr.libraries.add_library("Music", root)
    await scan(nomarr, library)
    build(root, {".nomarrignore": "/Books/\n"})
    await scan(nomarr, library)
    shutil.rmtree(root / "Books")
    report = await scan(nomarr, library)
    assert (report.files_held_back, report.files_missing) == (60, 0)
    assert await missing(nomarr, library) == {}
    assert (await scan(nomarr, library, accept_losses=True)).files_missing == 60
    assert len(await missing(nomarr, library)) == 60
    assert not (await scan(nomarr, library)).changes_detected
