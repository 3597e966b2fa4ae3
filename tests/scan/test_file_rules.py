"""Settings that leave files out of every library, at once and back in time, both ways."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from support.music import tone
from support.scans import happened, ids, last_seq, missing, playlists, scan

from nomarr import Library, Nomarr, PathState

TREE = {
    "Rock": {"a.wav": tone(440), "b.WAV": tone(441), "draft a.wav": tone(442)},
    "Pop": {"c.wav": tone(443), "list.m3u": "c.wav\n"},
}
EVERYTHING = {"Rock/a.wav", "Rock/b.WAV", "Rock/draft a.wav", "Pop/c.wav"}
PATTERNS = [
    ({"ignore_patterns": ["draft *"]}, EVERYTHING - {"Rock/draft a.wav"}),
    ({"ignore_patterns": ["/Pop/"]}, EVERYTHING - {"Pop/c.wav"}),
    ({"ignore_patterns": ["a.wav", "# no comment", "!a.wav", "c.*"]}, EVERYTHING - {"Pop/c.wav"}),
    ({"audio_patterns": ["a.*", "B.wav"]}, {"Rock/a.wav", "Rock/b.WAV"}),
    ({"audio_patterns": ["*.flac"]}, set()),
    ({"audio_patterns": ["*.flac", "*.wav"]}, EVERYTHING),
    ({"audio_patterns": ["# nothing but a comment"]}, EVERYTHING),
    ({"audio_patterns": ["*a.wav"], "ignore_patterns": ["draft*"]}, {"Rock/a.wav"}),
]


@pytest.fixture
async def library(nomarr: Nomarr, music_tree: Callable[..., Path]) -> Library:
    library = await nomarr.libraries.add_library("Music", music_tree(TREE))
    await scan(nomarr, library)
    return library


@pytest.mark.parametrize(("settings", "left"), PATTERNS)
async def test_settings_work_back_in_time_in_every_library(
    nomarr: Nomarr, music_tree: Callable[..., Path], settings: dict[str, list[str]], left: set[str]
) -> None:
    libraries = [await nomarr.libraries.add_library(name, music_tree(TREE, name)) for name in ("one", "other")]
    for library in libraries:
        await scan(nomarr, library)
        before, seq = await ids(nomarr, library), await last_seq(nomarr)
        nomarr.change_settings(settings)
        report = await scan(nomarr, library)
        assert set(await ids(nomarr, library)) == left
        assert (report.files_ignored, report.files_missing) == (len(EVERYTHING - left), 0)
        assert await missing(nomarr, library) == {}, "left out is not missing"
        assert set(await happened(nomarr, seq)) == {("removed", path) for path in EVERYTHING - left}
        assert (await nomarr.libraries.verify(library.library_id)).equal
        again = await scan(nomarr, library)
        assert (again.changes_detected, again.folders_unchanged) == (False, again.folders_scanned)
        nomarr.change_settings({name: [] for name in settings})
        assert (await scan(nomarr, library)).files_restored == len(EVERYTHING - left)
        assert await ids(nomarr, library) == before


async def test_what_is_left_out_keeps_its_id_whatever_the_retention(nomarr: Nomarr, library: Library) -> None:
    before = await ids(nomarr, library)
    nomarr.change_settings({"purge_missing_after_days": 0, "ignore_patterns": ["*a.wav"], "audio_patterns": ["b*"]})
    await scan(nomarr, library)
    assert set(await ids(nomarr, library)) == {"Rock/b.WAV"}
    nomarr.change_settings({"ignore_patterns": [], "audio_patterns": []})
    await scan(nomarr, library)
    assert await ids(nomarr, library) == before


async def test_what_a_library_says_itself_wins(nomarr: Nomarr, library: Library) -> None:
    nomarr.change_settings({"ignore_patterns": ["*.wav"]})
    await nomarr.libraries.update_library(library.library_id, ignore_patterns=["!c.wav"])
    (Path(library.root_path) / "Rock" / ".nomarrignore").write_text("!a.wav\n", encoding="utf-8")
    await scan(nomarr, library)
    assert set(await ids(nomarr, library)) == {"Rock/a.wav", "Rock/b.WAV", "Pop/c.wav"}


async def test_playlists_and_images_are_no_audio_to_be_left_out(nomarr: Nomarr, library: Library) -> None:
    nomarr.change_settings({"audio_patterns": ["*.flac"]})
    await scan(nomarr, library)
    assert set(await playlists(nomarr, library)) == {"Pop/list.m3u"}


async def test_explain_names_the_setting(nomarr: Nomarr, library: Library) -> None:
    root = Path(library.root_path)
    nomarr.change_settings({"ignore_patterns": ["# ours", "c.*"], "audio_patterns": ["*a.wav", "c.*"]})
    for scanned in (False, True):
        if scanned:
            await scan(nomarr, library)
        by_pattern = await nomarr.libraries.explain(root / "Pop" / "c.wav")
        assert by_pattern.state is PathState.IGNORED
        assert by_pattern.rule == "pattern 'c.*' in the setting ignore_patterns, line 2"
        by_name = await nomarr.libraries.explain(root / "Rock" / "b.WAV")
        assert by_name.state is PathState.IGNORED
        assert by_name.rule == "its name is none of those in the setting audio_patterns"
        assert by_pattern.rule_file is by_name.rule_file is None


async def test_a_scan_by_another_program_undoes_nothing_that_was_chosen_for_the_database(
    nomarr: Nomarr, library: Library
) -> None:
    nomarr.database.settings.set(
        "service_settings", json.dumps({"ignore_patterns": ["c.*"], "audio_patterns": ["*.wav"]})
    )
    await scan(nomarr, library)
    chosen = EVERYTHING - {"Pop/c.wav"}
    assert set(await ids(nomarr, library)) == chosen
    settings = {"settle_seconds": 0, "tag_workers": 1, "ignore_patterns": ["a.wav"], "audio_patterns": ["*.flac"]}
    async with Nomarr.open(nomarr.config.database_url, **settings) as command:
        assert not (await scan(command, library)).changes_detected
        await scan(command, library, full=True)
        assert set(await ids(command, library)) == chosen
        assert (await command.libraries.verify(library.library_id)).equal
        # As the service stores it when somebody gives them back.
        nomarr.database.settings.set("service_settings", "{}")
        await scan(command, library)
        assert set(await ids(command, library)) == set()


async def test_patterns_that_can_not_be_read_are_as_they_are_configured(nomarr: Nomarr, library: Library) -> None:
    nomarr.database.settings.set("service_settings", json.dumps({"ignore_patterns": ["[z-a]"], "audio_patterns": 5}))
    nomarr.change_settings({"ignore_patterns": ["c.*"]})
    await scan(nomarr, library)
    assert set(await ids(nomarr, library)) == EVERYTHING - {"Pop/c.wav"}
