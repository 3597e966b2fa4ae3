"""A file is the music in it: it keeps its id when its place, its name and its tags all change at once."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from support.collection import make_songs, retag, tag
from support.music import wait_for_another_timestamp
from support.scanned import Music
from support.scans import execute, ids, missing, present, scan
from support.songs import encode, song

from nomarr import Nomarr
from nomarr.workflows.library import scan_library_direct_wf

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

Place = Callable[..., Path]


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("collection")
    make_songs(folder, 30)
    return folder


@pytest.fixture
async def music(nomarr: Nomarr, collection: Path, tmp_path: Path) -> Music:
    """A library of its own, scanned and enriched."""
    root = tmp_path / "music"
    shutil.copytree(collection, root)
    wait_for_another_timestamp(root.parent, 0.03)
    library = await nomarr.libraries.add_library("music", root)
    await scan(nomarr, library)
    await nomarr.enrichment.run()
    wait_for_another_timestamp(root.parent)
    return Music(nomarr, library, await ids(nomarr, library), 0)


def files_of(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_file())


def copy_over(source: Path, target: Path) -> None:
    """Another inode, as after a way through another disk."""
    target.parent.mkdir(parents=True, exist_ok=True)
    # Not freed before the copy is there, so that no other file gets its inode.
    shutil.copyfile(source, target)
    source.unlink()


def numbers(ids_by_path: dict[str, str]) -> dict[str, str]:
    """Song number (kept in every new name) to id."""
    return {os.path.basename(path)[:3]: file_id for path, file_id in ids_by_path.items()}


async def test_moved_renamed_and_retagged_at_once(nomarr: Nomarr, music: Music) -> None:
    chance = random.Random(1)
    root = music.root
    for number, path in enumerate(files_of(root)):
        target = root / f"New {number % 7}" / f"{path.name[:3]} {chance.random()}{path.suffix}"
        copy_over(path, target)
    retag(files_of(root), chance)
    report = await scan(nomarr, music.library, accept_losses=True)
    assert (report.files_moved, report.files_added, report.files_missing) == (30, 0, 0)
    assert numbers(await ids(nomarr, music.library)) == numbers(music.before)
    events = await nomarr.event_feed.list_events(0)
    assert {event.evidence for event in events if event.old_path} == {"audio hash"}


@pytest.mark.parametrize("first", ["source", "target"])
async def test_to_another_library_whichever_is_scanned_first(
    nomarr: Nomarr, music: Music, tmp_path: Path, first: str
) -> None:
    chance = random.Random(2)
    other_root = tmp_path / "other"
    other_root.mkdir()
    other = await nomarr.libraries.add_library("other", other_root)
    for path in files_of(music.root)[::2]:
        copy_over(path, other_root / f"{path.name[:3]}-{chance.random()}{path.suffix}")
    retag(files_of(other_root), chance)
    order = (music.library, other) if first == "source" else (other, music.library)
    for library in order:
        await scan(nomarr, library, accept_losses=True)
    everything = await ids(nomarr, music.library) | await ids(nomarr, other)
    assert numbers(everything) == numbers(music.before)
    assert await missing(nomarr, music.library) == {}


async def test_gone_for_a_while_and_back_with_another_name_and_tags(
    nomarr: Nomarr, music: Music, tmp_path: Path
) -> None:
    root = music.root
    away = tmp_path / "away"
    shutil.copytree(root / "Artist 1", away)
    shutil.rmtree(root / "Artist 1")
    assert (await scan(nomarr, music.library)).files_missing == 6
    retag(files_of(away), random.Random(3))
    for path in files_of(away):
        copy_over(path, root / "Back" / path.name)
    assert (await scan(nomarr, music.library)).files_moved == 6
    assert numbers(await ids(nomarr, music.library)) == numbers(music.before)


async def test_names_that_change_places_and_tags_at_once(nomarr: Nomarr, music: Music) -> None:
    one, two = two_flacs(music)
    contents = one.read_bytes(), two.read_bytes()
    for path, content in zip((one, two), reversed(contents), strict=True):
        path.with_name("new").write_bytes(content)
        path.with_name("new").replace(path)
    retag((one, two), random.Random(4))
    await scan(nomarr, music.library)
    now = await ids(nomarr, music.library)
    paths = [str(path.relative_to(music.root)) for path in (one, two)]
    assert [now[path] for path in paths] == [music.before[path] for path in reversed(paths)]


def two_flacs(music: Music) -> tuple[Path, Path]:
    one, two, *_ = (path for path in files_of(music.root) if path.suffix == ".flac")
    return one, two


async def test_a_copy_is_another_file(nomarr: Nomarr, music: Music) -> None:
    root = music.root
    for path in files_of(root)[:10]:
        shutil.copyfile(path, path.with_name(f"copy of {path.name}"))
    report = await scan(nomarr, music.library)
    assert (report.files_moved, report.files_added) == (0, 10)


async def test_two_copies_of_a_file_that_is_gone_are_ambiguous(nomarr: Nomarr, music: Music) -> None:
    path = files_of(music.root)[0]
    for number in range(2):
        shutil.copyfile(path, path.with_name(f"copy {number}{path.suffix}"))
    path.unlink()
    report = await scan(nomarr, music.library)
    assert (report.files_moved, report.files_added, report.files_missing) == (0, 2, 1)


async def test_another_sound_is_another_file_whatever_its_tags_say(nomarr: Nomarr, music: Music) -> None:
    path = next(path for path in files_of(music.root) if path.suffix == ".flac")
    path.unlink()
    encode(song(777, 8.0), path.with_name("other name.flac"))
    tag(path.with_name("other name.flac"), title="Song 1", artist="Artist 1")
    report = await scan(nomarr, music.library)
    assert (report.files_moved, report.files_added, report.files_missing) == (0, 1, 1)


# -- the same recording in another format ---------------------------------------------------------------------


def transcode(path: Path, suffix: str) -> Path:
    """As people do it: the new file beside the old one, with the same name, and the old one deleted."""
    target = path.with_suffix(suffix)
    encode(path.read_bytes(), target)
    path.unlink()
    return target


@pytest.mark.parametrize("suffix", [".flac", ".opus", ".m4a"])
async def test_transcoded_in_place(nomarr: Nomarr, tmp_path: Path, suffix: str) -> None:
    root = tmp_path / "mp3s"
    for path in make_songs(root, 12, formats=("wav",), artist=3):
        encode(path.read_bytes(), path.with_suffix(".mp3"))
        path.rename(tmp_path / path.name)
    library = await nomarr.libraries.add_library("mp3s", root)
    await scan(nomarr, library)
    await nomarr.enrichment.run()
    before = numbers(await ids(nomarr, library))
    for path in files_of(root):
        encode((tmp_path / path.with_suffix(".wav").name).read_bytes(), path.with_suffix(suffix))
        path.unlink()
    report = await scan(nomarr, library)
    assert (report.files_moved, report.files_added, report.files_missing) == (12, 0, 0)
    assert numbers(await ids(nomarr, library)) == before
    await nomarr.enrichment.run()
    found = await present(nomarr, library)
    assert {record.processing_status for record in found.values()} == {"complete"}
    assert {record.tags.format for record in found.values()} <= {"flac", "opus", "mp4"}


async def test_a_library_may_say_that_transcoded_songs_are_new_ones(nomarr: Nomarr, tmp_path: Path) -> None:
    root = tmp_path / "songs"
    make_songs(root, 3, formats=("wav",))
    library = await nomarr.libraries.add_library("songs", root)
    await nomarr.libraries.update_library(library.library_id, transcode_policy="new_id")
    await scan(nomarr, library)
    await nomarr.enrichment.run()
    for path in files_of(root):
        transcode(path, ".flac")
    report = await scan(nomarr, library)
    assert (report.files_moved, report.files_added, report.files_missing) == (0, 3, 3)


async def test_look_alikes_are_never_taken_for_each_other(nomarr: Nomarr, tmp_path: Path) -> None:
    """The same artist, tempo, key, titles, names and lengths: only the songs are others."""
    root = tmp_path / "songs"
    root.mkdir()
    for number in range(20):
        path = encode(song(number, 12.0, artist=9), root / f"{number:03}.flac")
        tag(path, title=f"Track {number}", artist="Same")
    library = await nomarr.libraries.add_library("songs", root)
    await scan(nomarr, library)
    await nomarr.enrichment.run()
    for path in files_of(root):
        new = encode(song(500 + int(path.stem), 12.01, artist=9), path.with_suffix(".mp3"))
        tag(new, title=f"Track {int(path.stem)}", artist="Same")
        path.unlink()
    report = await scan(nomarr, library)
    assert (report.files_moved, report.files_added, report.files_missing) == (0, 20, 20)


async def test_in_another_folder_with_the_same_name(nomarr: Nomarr, tmp_path: Path) -> None:
    root = tmp_path / "songs"
    songs = make_songs(root / "wav", 6, formats=("wav",))
    library = await nomarr.libraries.add_library("songs", root)
    await scan(nomarr, library)
    await nomarr.enrichment.run()
    before = numbers(await ids(nomarr, library))
    for path in songs:
        target = root / "flac" / path.with_suffix(".flac").name
        target.parent.mkdir(exist_ok=True)
        encode(path.read_bytes(), target)
        path.unlink()
    assert (await scan(nomarr, library)).files_moved == 6
    assert numbers(await ids(nomarr, library)) == before


async def test_the_old_file_was_gone_already(nomarr: Nomarr, tmp_path: Path) -> None:
    root = tmp_path / "songs"
    songs = make_songs(root, 4, formats=("wav",))
    library = await nomarr.libraries.add_library("songs", root)
    await scan(nomarr, library)
    await nomarr.enrichment.run()
    before = numbers(await ids(nomarr, library))
    for path in songs:
        path.rename(tmp_path / path.name)
    assert (await scan(nomarr, library, accept_losses=True)).files_missing == 4
    for path in songs:
        encode((tmp_path / path.name).read_bytes(), path.with_suffix(".flac"))
    assert (await scan(nomarr, library)).files_moved == 4
    assert numbers(await ids(nomarr, library)) == before


async def test_both_were_there_for_a_while(nomarr: Nomarr, tmp_path: Path) -> None:
    """A program that transcodes writes all files first; whoever watches has scanned them before the old ones go."""
    root = tmp_path / "songs"
    songs = make_songs(root, 6, formats=("wav",))
    library = await nomarr.libraries.add_library("songs", root)
    await scan(nomarr, library)
    await nomarr.enrichment.run()
    before = numbers(await ids(nomarr, library))
    for path in songs:
        encode(path.read_bytes(), path.with_suffix(".flac"))
    assert (await scan(nomarr, library)).files_added == 6
    for path in songs:
        path.unlink()
    report = await scan(nomarr, library)
    assert (report.files_moved, report.files_processed) == (6, 6)
    assert numbers(await ids(nomarr, library)) == before
    await nomarr.enrichment.run()
    found = await present(nomarr, library)
    assert {(record.tags.format, record.processing_status) for record in found.values()} == {("flac", "complete")}
    assert (await scan(nomarr, library)).changes_detected is False


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # it writes SQL
async def test_both_were_there_for_long(nomarr: Nomarr, tmp_path: Path) -> None:
    root = tmp_path / "songs"
    [path] = make_songs(root, 1, formats=("wav",))
    encode(path.read_bytes(), path.with_suffix(".flac"))
    library = await nomarr.libraries.add_library("songs", root)
    await scan(nomarr, library)
    await nomarr.enrichment.run()
    execute(nomarr, "UPDATE library_files SET first_seen_at = first_seen_at - 2 * 24 * 3600")
    path.unlink()
    assert (await scan(nomarr, library)).files_moved == 0


# -- what only looks as if it were gone -----------------------------------------------------------------------


@pytest.fixture
async def one(nomarr: Nomarr, tmp_path: Path) -> Music:
    """A single song, enriched, with a fellow."""
    root = tmp_path / "one"
    (root / "A").mkdir(parents=True)
    for number, name in enumerate(("one", "two")):
        tag(encode(song(number, 8.0), root / "A" / f"{name}.mp3"), title=name)
    library = await nomarr.libraries.add_library("one", root)
    wait_for_another_timestamp(root, 0.03)
    await scan(nomarr, library)
    await nomarr.enrichment.run()
    wait_for_another_timestamp(root)
    return Music(nomarr, library, await ids(nomarr, library), 0)


def save_anew(path: Path) -> None:
    """As careful editors do: another inode, other tags, the same path."""
    new = path.with_name(f"new-{path.name}")
    shutil.copyfile(path, new)
    tag(new, title="Saved anew", artist="x" * 500)
    new.replace(path)


async def both_are_where_they_were(music: Music) -> None:
    now = await ids(music.nomarr, music.library)
    assert {path: now.get(path) for path in music.before} == music.before


async def test_a_song_that_was_saved_anew_is_not_its_copy(nomarr: Nomarr, one: Music) -> None:
    (one.root / "C").mkdir()
    shutil.copyfile(one.root / "A/one.mp3", one.root / "C/copy.mp3")
    save_anew(one.root / "A/one.mp3")
    # The folder of the copy is looked at before the other one.
    await scan(nomarr, one.library, "C")
    await both_are_where_they_were(one)
    await scan(nomarr, one.library)
    await both_are_where_they_were(one)


async def test_a_copy_is_a_copy_also_where_inodes_mean_nothing(
    nomarr: Nomarr, one: Music, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan_library_direct_wf, "keeps_identity", lambda _: False)
    await scan(nomarr, one.library)
    await nomarr.enrichment.run()
    shutil.copyfile(one.root / "A/one.mp3", one.root / "A/copy.mp3")
    await scan(nomarr, one.library)
    await both_are_where_they_were(one)


async def test_a_song_that_was_saved_anew_is_not_what_was_made_of_it(nomarr: Nomarr, one: Music) -> None:
    encode(song(0, 8.0), one.root / "A/one.flac")
    save_anew(one.root / "A/one.mp3")
    await scan(nomarr, one.library)
    await both_are_where_they_were(one)


async def test_a_song_of_which_nobody_knows_the_sound_stays_where_it_is(nomarr: Nomarr, one: Music) -> None:
    shutil.copyfile(one.root / "A/one.mp3", one.root / "A/copy.mp3")
    await scan(nomarr, one.library)
    copy = (await ids(nomarr, one.library))["A/copy.mp3"]
    (one.root / "A/one.mp3").unlink()
    save_anew(one.root / "A/copy.mp3")
    await scan(nomarr, one.library)
    assert (await ids(nomarr, one.library))["A/copy.mp3"] == copy


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # it writes SQL
async def test_a_song_on_a_disk_that_is_away_is_not_its_copy(nomarr: Nomarr, one: Music, tmp_path: Path) -> None:
    (one.root / "A").rename(tmp_path / "unplugged")
    (one.root / "A").mkdir()
    execute(nomarr, "UPDATE library_folders SET on_other_device = 1 WHERE path = 'A'")
    (one.root / "B").mkdir()
    shutil.copyfile(tmp_path / "unplugged/one.mp3", one.root / "B/copy.mp3")
    await scan(nomarr, one.library)
    await both_are_where_they_were(one)


async def test_a_scan_that_ends_before_the_moved_file_is_read_gives_no_id_away(
    nomarr: Nomarr, one: Music, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode(song(0, 8.0), one.root / "A/one.flac")
    await scan(nomarr, one.library)
    wait_for_another_timestamp(one.root)
    (one.root / "A/one.mp3").unlink()

    class Killed(Exception):
        pass

    async def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(scan_library_direct_wf._Scan, "_read_and_write", killed)
        with pytest.raises(Killed):
            await scan(nomarr, one.library)
    await scan(nomarr, one.library)
    found = await present(nomarr, one.library)
    assert found["A/one.flac"].file_id == one.before["A/one.mp3"]
    assert found["A/one.flac"].tags.format == "flac"


async def test_names_in_capitals_are_names(nomarr: Nomarr, one: Music, tmp_path: Path) -> None:
    (one.root / "A/one.mp3").rename(one.root / "A/one.MP3")
    await scan(nomarr, one.library)
    (one.root / "A/one.MP3").rename(tmp_path / "one.MP3")
    await scan(nomarr, one.library, accept_losses=True)
    encode(song(0, 8.0), one.root / "A/one.flac")
    assert (await scan(nomarr, one.library)).files_moved == 1
