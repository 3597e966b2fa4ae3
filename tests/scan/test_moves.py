"""A file that is at another place keeps its id if there is proof, and only then."""

from __future__ import annotations

import os
import shutil

import pytest
from support.music import build, tone, tones
from support.scanned import Scanned
from support.scans import events, happened, missing, present

PROOF = "device+inode+size+mtime"


async def test_a_renamed_file_keeps_its_id_and_the_feed_says_why(scanned: Scanned) -> None:
    music = await scanned({"Rock": {"a.wav": tone(440)}})
    music.rename("Rock/a.wav", "Rock/b.wav")
    report = await music.scan()
    assert (report.files_moved, report.files_added, report.files_missing) == (1, 0, 0)
    assert await music.ids() == {"Rock/b.wav": music.before["Rock/a.wav"]}
    (event,) = await events(music.nomarr, music.seq)
    assert (event.type, event.path, event.old_path, event.evidence) == ("renamed", "Rock/b.wav", "Rock/a.wav", PROOF)
    assert event.file_id == music.before["Rock/a.wav"]


async def test_a_file_moved_to_another_folder_keeps_its_id(scanned: Scanned) -> None:
    music = await scanned({"Rock": {"a.wav": tone(440)}})
    music.rename("Rock/a.wav", "Pop/Deep/a.wav")
    await music.scan()
    assert await music.ids() == {"Pop/Deep/a.wav": music.before["Rock/a.wav"]}
    (event,) = await events(music.nomarr, music.seq)
    assert (event.type, event.path, event.old_path) == ("moved", "Pop/Deep/a.wav", "Rock/a.wav")


async def test_a_moved_file_keeps_its_id_when_only_its_new_folder_is_scanned(scanned: Scanned) -> None:
    music = await scanned({"Rock": {"a.wav": tone(440)}, "Pop": {"b.wav": tone(441)}})
    music.rename("Rock/a.wav", "Pop/a.wav")
    await music.scan("Pop", recursive=False)
    assert (await music.ids())["Pop/a.wav"] == music.before["Rock/a.wav"]
    assert not (await music.scan()).changes_detected


async def test_a_moved_file_keeps_its_id_when_its_old_folder_is_scanned_first(scanned: Scanned) -> None:
    music = await scanned({"Rock": {"a.wav": tone(440)}, "Pop": {"b.wav": tone(441)}})
    music.rename("Rock/a.wav", "Pop/a.wav")
    await music.scan("Rock")
    assert set(await missing(music.nomarr, music.library)) == {"Rock/a.wav"}
    await music.scan("Pop")
    assert (await music.ids())["Pop/a.wav"] == music.before["Rock/a.wav"]
    assert await music.happened() == [("missing", "Rock/a.wav"), ("moved", "Pop/a.wav")]
    assert await missing(music.nomarr, music.library) == {}


async def test_a_renamed_folder_costs_no_reading(scanned: Scanned) -> None:
    music = await scanned({"Rock": {**tones(300), "Live": tones(20, first=500)}})
    music.rename("Rock", "Stone")
    report = await music.scan()
    assert (report.files_moved, report.files_processed, report.files_held_back) == (320, 0, 0)
    expected = {path.replace("Rock", "Stone"): file_id for path, file_id in music.before.items()}
    assert await music.ids() == expected
    assert {event for event, _ in await music.happened()} == {"moved"}
    assert not (await music.scan()).changes_detected


async def test_two_files_that_changed_names_change_names(scanned: Scanned) -> None:
    music = await scanned({"a.wav": tone(440), "b.wav": tone(441)})
    music.swap("a.wav", "b.wav")
    report = await music.scan()
    assert (report.files_moved, report.files_missing, report.files_added) == (2, 0, 0)
    assert await music.ids() == {"a.wav": music.before["b.wav"], "b.wav": music.before["a.wav"]}


async def test_two_folders_that_changed_names_change_names(scanned: Scanned) -> None:
    music = await scanned({"Rock": tones(60), "Pop": tones(40, first=300)})
    music.swap("Rock", "Pop")
    report = await music.scan()
    assert (report.files_moved, report.files_missing, report.files_added) == (100, 0, 0)
    swapped = {"Rock": "Pop", "Pop": "Rock"}
    expected = {f"{swapped[path.split('/')[0]]}/{path.split('/')[1]}": i for path, i in music.before.items()}
    assert await music.ids() == expected


async def test_a_chain_of_renames_is_followed(scanned: Scanned) -> None:
    music = await scanned(tones(5))
    for number in reversed(range(5)):
        music.rename(f"{number:04}.wav", f"{number + 1:04}.wav")
    report = await music.scan()
    assert (report.files_moved, report.files_missing, report.files_added) == (5, 0, 0)
    assert await music.ids() == {f"{n + 1:04}.wav": music.before[f"{n:04}.wav"] for n in range(5)}


@pytest.mark.parametrize("files", [3, 120, 300])
async def test_a_ring_of_renames_is_followed(scanned: Scanned, files: int) -> None:
    music = await scanned(tones(files))
    music.rename(f"{files - 1:04}.wav", "last")
    for number in reversed(range(files - 1)):
        music.rename(f"{number:04}.wav", f"{number + 1:04}.wav")
    music.rename("last", "0000.wav")
    report = await music.scan()
    assert (report.files_moved, report.files_missing, report.files_added) == (files, 0, 0)
    assert await music.ids() == {f"{(n + 1) % files:04}.wav": music.before[f"{n:04}.wav"] for n in range(files)}


async def test_a_file_renamed_over_a_known_one_takes_its_place(scanned: Scanned) -> None:
    music = await scanned({"a.wav": tone(440), "b.wav": tone(441)})
    music.rename("a.wav", "b.wav")
    report = await music.scan()
    assert (report.files_moved, report.files_missing) == (1, 1)
    assert await music.ids() == {"b.wav": music.before["a.wav"]}
    assert await music.happened() == [("missing", "b.wav"), ("renamed", "b.wav")]
    (lost,) = (await missing(music.nomarr, music.library)).values()
    assert lost.file_id == music.before["b.wav"]


async def test_an_overwritten_file_that_turns_up_elsewhere_keeps_its_id(scanned: Scanned) -> None:
    music = await scanned({"a.wav": tone(440), "b.wav": tone(441)})
    os.link(music.root / "b.wav", music.root.parent / "kept")
    music.rename("a.wav", "b.wav")
    await music.scan()
    os.rename(music.root.parent / "kept", music.root / "c.wav")
    await music.scan()
    assert await music.ids() == {"b.wav": music.before["a.wav"], "c.wav": music.before["b.wav"]}
    assert await missing(music.nomarr, music.library) == {}


async def test_a_file_replaced_as_editors_do_it_keeps_its_id(scanned: Scanned) -> None:
    music = await scanned({"a.wav": tone(440)})
    (music.root / "a.wav.tmp").write_bytes(tone(500))
    os.replace(music.root / "a.wav.tmp", music.root / "a.wav")
    report = await music.scan()
    assert (report.files_updated, report.files_added, report.files_missing) == (1, 0, 0)
    assert await music.ids() == music.before
    assert await music.happened() == [("modified", "a.wav")]


async def test_a_hard_link_is_a_second_file(scanned: Scanned) -> None:
    music = await scanned({"a.wav": tone(440)})
    os.link(music.root / "a.wav", music.root / "b.wav")
    await music.scan()
    after = await music.ids()
    assert after["a.wav"] == music.before["a.wav"]
    assert after["b.wav"] != after["a.wav"]


async def test_hard_links_that_moved_together_are_not_guessed_apart(scanned: Scanned) -> None:
    music = await scanned({"Rock": {"keep.wav": tone(300)}})
    build(music.root, {"a.wav": tone(440)})
    os.link(music.root / "a.wav", music.root / "b.wav")
    await music.scan()
    before = await music.ids()
    music.rename("a.wav", "Rock/a.wav")
    music.rename("b.wav", "Rock/b.wav")
    report = await music.scan()
    assert (report.files_moved, report.files_added, report.files_missing) == (0, 2, 2)
    after = await music.ids()
    assert not {after["Rock/a.wav"], after["Rock/b.wav"]} & set(before.values())
    assert after["Rock/keep.wav"] == before["Rock/keep.wav"]


async def test_one_of_two_hard_links_that_moved_is_followed(scanned: Scanned) -> None:
    music = await scanned({"a.wav": tone(440)})
    os.link(music.root / "a.wav", music.root / "b.wav")
    await music.scan()
    before = await music.ids()
    music.rename("b.wav", "c.wav")
    await music.scan()
    assert await music.ids() == {"a.wav": before["a.wav"], "c.wav": before["b.wav"]}


async def test_a_missing_file_back_at_its_place_keeps_its_id_beside_a_hard_link_of_it(scanned: Scanned) -> None:
    music = await scanned({"Rock": {"a.wav": tone(440)}, "keep.wav": tone(300)})
    os.rename(music.root / "Rock/a.wav", music.root.parent / "a.wav")
    await music.scan()
    os.rename(music.root.parent / "a.wav", music.root / "Rock/a.wav")
    os.link(music.root / "Rock/a.wav", music.root / "Rock/b.wav")
    await music.scan()
    assert (await music.ids())["Rock/a.wav"] == music.before["Rock/a.wav"]


async def test_a_missing_file_back_where_nobody_looked_does_not_move_to_a_hard_link_of_it(scanned: Scanned) -> None:
    music = await scanned({"Rock": {"a.wav": tone(440)}, "Pop": {"keep.wav": tone(300)}})
    os.rename(music.root / "Rock/a.wav", music.root.parent / "a.wav")
    await music.scan()
    os.rename(music.root.parent / "a.wav", music.root / "Rock/a.wav")
    os.link(music.root / "Rock/a.wav", music.root / "Pop/b.wav")
    await music.scan("Pop")
    await music.scan()
    assert (await music.ids())["Rock/a.wav"] == music.before["Rock/a.wav"]


async def test_a_displaced_file_back_at_its_place_is_not_replaced_by_a_hard_link_of_it(scanned: Scanned) -> None:
    music = await scanned({"Rock": {"one.wav": tone(440)}, "Pop": {"other.wav": tone(441)}})
    os.link(music.root / "Rock/one.wav", music.root / "Pop/two.wav")
    await music.scan()
    before = await music.ids()
    os.rename(music.root / "Pop/two.wav", music.root.parent / "away")
    music.rename("Pop/other.wav", "Pop/two.wav")
    await music.scan("Pop")
    (music.root / "Rock/one.wav").unlink()
    os.rename(music.root.parent / "away", music.root / "Pop/two.wav")
    await music.scan()
    assert await music.ids() == {"Pop/two.wav": before["Pop/two.wav"]}


async def test_displaced_files_are_told_apart_by_their_places(scanned: Scanned) -> None:
    music = await scanned({"other.wav": tone(440), "Pop": {"one.wav": tone(441)}})
    os.link(music.root / "Pop/one.wav", music.root / "Pop/link.wav")
    music.swap("other.wav", "Pop/one.wav")
    # Here `link.wav` and `other.wav` are new: nothing tells which of them is the one that was known.
    await music.scan()
    music.swap("other.wav", "Pop/one.wav")
    await music.scan("", recursive=False)
    await music.scan()
    after = await music.ids()
    assert {path: after[path] for path in music.before} == music.before


async def test_a_displaced_file_back_at_its_place_makes_the_one_there_look_for_its_own(scanned: Scanned) -> None:
    music = await scanned({"one.wav": tone(440), "Rock": {"other.wav": tone(441)}})
    (music.root / "Pop").mkdir()
    os.link(music.root / "one.wav", music.root / "Pop/link.wav")
    music.swap("one.wav", "Rock/other.wav")
    await music.scan()
    music.swap("one.wav", "Rock/other.wav")
    await music.scan("", recursive=False)
    assert (await present(music.nomarr, music.library))["one.wav"].file_id == music.before["one.wav"]
    await music.scan()
    after = await music.ids()
    assert {path: after[path] for path in music.before} == music.before


async def test_a_folder_moved_away_and_back_between_targeted_scans_is_found(scanned: Scanned) -> None:
    music = await scanned({"New": {"b.wav": tone(440)}, "keep.wav": tone(300)})
    music.rename("New", "Pop")
    await music.scan("Pop")
    music.rename("Pop", "New")
    await music.scan()
    assert await music.ids() == music.before
    assert not (await music.scan()).changes_detected


async def test_a_folder_moved_to_another_library_and_back_is_found(scanned: Scanned) -> None:
    here = await scanned({"New": {"b.wav": tone(440)}, "keep.wav": tone(300)}, "here")
    there = await scanned({"c.wav": tone(441)}, "there")
    os.rename(here.root / "New", there.root / "New")
    await there.scan()
    os.rename(there.root / "New", here.root / "New")
    await here.scan()
    await there.scan()
    assert await here.ids() == here.before
    assert await there.ids() == there.before


async def test_a_copy_is_a_new_file(scanned: Scanned) -> None:
    music = await scanned({"a.wav": tone(440)})
    shutil.copy2(music.root / "a.wav", music.root / "b.wav")
    await music.scan()
    after = await music.ids()
    assert after["a.wav"] == music.before["a.wav"]
    assert after["b.wav"] != after["a.wav"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("song.wav", "Song.wav"),
        ("Bj\u00f6rk.wav", "Bjo\u0308rk.wav"),
        ("Bjo\u0308rk.wav", "Bj\u00f6rk.wav"),
        ("\udcff\udcfe.wav", "readable.wav"),
        ("a.wav", "\udce9t\udce9.wav"),
        ("a.wav", "line\nbreak.wav"),
        ("a.wav", "back\\xff.wav"),
        ("a.wav", "a.WAV"),
    ],
)
async def test_every_spelling_of_a_name_is_a_name_of_its_own(scanned: Scanned, old: str, new: str) -> None:
    music = await scanned({"Rock": {old: tone(440)}})
    music.rename(f"Rock/{old}", f"Rock/{new}")
    report = await music.scan()
    assert report.files_moved == 1
    assert await music.ids() == {f"Rock/{new}": music.before[f"Rock/{old}"]}
    build(music.root, {"Rock": {old: tone(441)}})
    await music.scan()
    assert len(await music.ids()) == 2


async def test_a_file_moved_to_another_library_keeps_its_id_if_that_one_is_scanned_first(scanned: Scanned) -> None:
    here = await scanned({"a.wav": tone(440), "keep.wav": tone(300)}, "here")
    there = await scanned({"b.wav": tone(441)}, "there")
    os.rename(here.root / "a.wav", there.root / "a.wav")
    await there.scan()
    await here.scan()
    assert (await there.ids())["a.wav"] == here.before["a.wav"]
    assert await here.ids() == {"keep.wav": here.before["keep.wav"]}
    (event,) = await events(here.nomarr, there.seq)
    assert (event.type, event.library_id, event.path) == ("moved", there.library.library_id, "a.wav")


async def test_a_file_moved_to_another_library_keeps_its_id_if_that_one_is_scanned_last(scanned: Scanned) -> None:
    here = await scanned({"a.wav": tone(440), "keep.wav": tone(300)}, "here")
    there = await scanned({"b.wav": tone(441)}, "there")
    os.rename(here.root / "a.wav", there.root / "a.wav")
    await here.scan()
    await there.scan()
    assert (await there.ids())["a.wav"] == here.before["a.wav"]
    assert await missing(here.nomarr, here.library) == {}
    assert await happened(here.nomarr, there.seq) == [("missing", "a.wav"), ("moved", "a.wav")]


async def test_files_of_a_library_that_is_away_are_not_taken_over_by_hard_links(scanned: Scanned) -> None:
    here = await scanned({"a.wav": tone(440)}, "here")
    there = await scanned({"b.wav": tone(441)}, "there")
    os.link(here.root / "a.wav", there.root / "a.wav")
    os.rename(here.root, here.root.with_name("away"))
    await there.scan()
    assert (await there.ids())["a.wav"] != here.before["a.wav"]
    os.rename(here.root.with_name("away"), here.root)
    await here.scan()
    assert await here.ids() == here.before


async def test_a_file_that_was_missing_is_restored_with_its_id(scanned: Scanned) -> None:
    music = await scanned({"Rock": {"a.wav": tone(440), "b.wav": tone(441)}})
    os.rename(music.root / "Rock/a.wav", music.root.parent / "a.wav")
    report = await music.scan()
    assert report.files_missing == 1
    (lost,) = (await missing(music.nomarr, music.library)).values()
    assert (lost.path, lost.file_id) == ("Rock/a.wav", music.before["Rock/a.wav"])
    assert lost.missing_since is not None
    os.rename(music.root.parent / "a.wav", music.root / "Rock/a.wav")
    report = await music.scan()
    assert (report.files_restored, report.files_added, report.files_updated) == (1, 0, 0)
    assert await music.ids() == music.before
    assert await music.happened() == [("missing", "Rock/a.wav"), ("restored", "Rock/a.wav")]


async def test_a_file_restored_from_a_backup_has_its_id(scanned: Scanned) -> None:
    music = await scanned({"Rock": {"a.wav": tone(440), "b.wav": tone(441)}})
    shutil.copy2(music.root / "Rock/a.wav", music.root.parent / "a.wav")
    os.unlink(music.root / "Rock/a.wav")
    await music.scan()
    shutil.copy2(music.root.parent / "a.wav", music.root / "Rock/a.wav")
    await music.scan()
    assert await music.ids() == music.before
    assert await music.happened() == [("missing", "Rock/a.wav"), ("restored", "Rock/a.wav")]


async def test_a_missing_file_that_turns_up_elsewhere_keeps_its_id(scanned: Scanned) -> None:
    music = await scanned({"Rock": {"a.wav": tone(440), "b.wav": tone(441)}})
    os.rename(music.root / "Rock/a.wav", music.root.parent / "a.wav")
    await music.scan()
    (music.root / "Pop").mkdir()
    os.rename(music.root.parent / "a.wav", music.root / "Pop/c.wav")
    await music.scan()
    assert (await music.ids())["Pop/c.wav"] == music.before["Rock/a.wav"]


async def test_a_folder_that_is_gone_is_missing_with_everything_in_it(scanned: Scanned) -> None:
    music = await scanned({"Rock": {"a.wav": tone(440), "Live": {"b.wav": tone(441)}}, "keep.wav": tone(442)})
    shutil.rmtree(music.root / "Rock")
    report = await music.scan("Rock/Live")
    assert report.files_missing == 2
    assert set(await missing(music.nomarr, music.library)) == {"Rock/a.wav", "Rock/Live/b.wav"}
    assert set(await present(music.nomarr, music.library)) == {"keep.wav"}


async def test_a_folder_known_only_by_a_target_is_missing_with_the_folders_above_it(scanned: Scanned) -> None:
    music = await scanned({"keep.wav": tone(442)})
    build(music.root, {"New": {"Sub": {"b.wav": tone(441)}}})
    await music.scan("New/Sub")
    assert "New/Sub/b.wav" in await music.ids()
    shutil.rmtree(music.root / "New")
    await music.scan()
    assert set(await missing(music.nomarr, music.library)) == {"New/Sub/b.wav"}
    assert set(await music.ids()) == {"keep.wav"}


async def test_a_file_that_became_a_folder_is_missing(scanned: Scanned) -> None:
    music = await scanned({"a.wav": tone(440), "keep.wav": tone(441)})
    (music.root / "a.wav").unlink()
    build(music.root, {"a.wav": {"inside.wav": tone(442)}})
    await music.scan()
    assert set(await music.ids()) == {"a.wav/inside.wav", "keep.wav"}
    assert set(await missing(music.nomarr, music.library)) == {"a.wav"}


async def test_a_folder_that_became_a_file_is_missing(scanned: Scanned) -> None:
    music = await scanned({"a.wav": {"inside.wav": tone(442)}, "keep.wav": tone(441)})
    shutil.rmtree(music.root / "a.wav")
    build(music.root, {"a.wav": tone(440)})
    await music.scan()
    assert set(await music.ids()) == {"a.wav", "keep.wav"}
    assert set(await missing(music.nomarr, music.library)) == {"a.wav/inside.wav"}
