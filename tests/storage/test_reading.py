"""Reading files, folders, playlists, events and settings, with the names that databases mix up."""

from __future__ import annotations

import itertools
import tracemalloc
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from storage_kit import (
    ODD_NAMES,
    START,
    Scan,
    folder,
    gone,
    hidden,
    image,
    lose_lease,
    moved,
    playlist,
    read,
    start_scan,
    stat,
    upsert,
)

from nomarr.helpers.dto.batches import PlaylistLine, PlaylistUpsert, RowOutcome
from nomarr.helpers.dto.files import KnownFile, KnownFolder, KnownSidecar, PlaylistRecord
from nomarr.helpers.dto.library import ScanTarget
from nomarr.helpers.dto.tags import AudioTags, TagReadResult
from nomarr.helpers.exceptions import LeaseLost
from nomarr.helpers.paths_helper import folder_of, is_within
from nomarr.persistence.database import library_files_operations
from nomarr.persistence.db import Database
from nomarr.persistence.embedded import library_files_operations as embedded_files

PAGE = 200
COMMENT_BYTES = 2000

# Every odd name as a file, as a folder with a file and as a folder in a folder.
ODD_PATHS = [*ODD_NAMES, *(f"{name}/a" for name in ODD_NAMES), *(f"{name}/{name}/b" for name in ODD_NAMES)]
TREE = ["a", "Rock/a", "Rock/Sub/a", "Rock/Sub/Deep/a", "Rock+/a", "Rock!/a", "Rock0/a", "Rock.x/a", "rock/a", "R/a"]


@pytest.fixture
def odd(scan: Scan) -> Scan:
    scan.write(upserts=[upsert(path, number=index) for index, path in enumerate(ODD_PATHS)])
    return scan


@pytest.fixture
def tree(scan: Scan, other: Scan) -> Scan:
    other.add(*TREE)
    scan.add(*TREE)
    return scan


def paths(files: Sequence[KnownFile]) -> list[str]:
    return sorted(file.path for file in files)


def below(scan: Scan, folder_path: str) -> list[str]:
    return paths([file for page in scan.db.library_files.below(scan.library_id, folder_path) for file in page])


def test_every_name_is_a_file_of_its_own(odd: Scan) -> None:
    assert paths(odd.known()) == sorted(ODD_PATHS)
    assert len({file.file_id for file in odd.known()}) == len(ODD_PATHS)


def test_every_name_is_found_by_exactly_itself(odd: Scan) -> None:
    for path in ODD_PATHS:
        assert odd.record(path).path == path
        assert odd.record(path).inode == ODD_PATHS.index(path)


def test_every_name_is_known_again(odd: Scan) -> None:
    again = odd.write(upserts=[upsert(path, number=index) for index, path in enumerate(ODD_PATHS)])
    assert set(again.upserts) == {RowOutcome.UNCHANGED}


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_folder_holds_what_is_in_it_and_nothing_that_looks_like_it(odd: Scan, name: str) -> None:
    assert below(odd, name) == sorted(path for path in ODD_PATHS if path.startswith(name + "/"))
    assert paths(odd.db.library_files.in_folders("music", [name])) == [f"{name}/a"]
    found = [record.path for record in odd.db.library_files.records("music", folder=name)]
    assert sorted(found) == below(odd, name)


def test_a_move_tells_every_name(odd: Scan) -> None:
    files = odd.files()
    odd.told()
    odd.write(moves=[moved(files[name], f"moved/{name}", name) for name in ODD_NAMES])
    events = odd.new_events()
    assert [(event.path, event.old_path, event.evidence) for event in events] == [
        (f"moved/{name}", name, name) for name in ODD_NAMES
    ]


def test_folders_and_sidecars_take_every_name(scan: Scan) -> None:
    folders = [folder(name) for name in ODD_NAMES] + [folder(f"{name}/{name}") for name in ODD_NAMES]
    scan.write(folders=folders, images=[image(f"{name}/cover.jpg") for name in ODD_NAMES])
    assert scan.folders() == {"", *(record.path for record in folders)}
    for name in ODD_NAMES:
        assert set(scan.db.library_folders.within(ScanTarget("music", name))) == {name, f"{name}/{name}"}
        assert scan.db.library_sidecars.below("music", name) == [f"{name}/cover.jpg"]
    for name in ODD_NAMES:
        scan.write(gone_folders=[name], gone_sidecars=[f"{name}/cover.jpg"])
        assert name not in scan.folders()
    assert scan.folders() == {""}
    assert scan.db.library_sidecars.below("music", "") == []


@pytest.mark.parametrize("folder_path", ["", "Rock", "Rock/Sub", "Rock/Sub/Deep", "Rock+", "rock", "R", "nowhere", "a"])
def test_below_is_the_folder_and_everything_in_it(tree: Scan, folder_path: str) -> None:
    assert below(tree, folder_path) == sorted(path for path in TREE if is_within(folder_of(path), folder_path))


@pytest.mark.parametrize(
    "folders", [[], [""], ["Rock"], ["Rock", "Rock+", ""], ["nowhere"], ["Rock/Sub", "rock", "R", "a"]]
)
def test_in_folders_is_what_is_directly_in_them(tree: Scan, folders: list[str]) -> None:
    found = tree.db.library_files.in_folders("music", folders)
    assert paths(found) == sorted(path for path in TREE if folder_of(path) in folders)
    assert all(file.library_id == "music" for file in found)


def test_in_folders_and_below_tell_absent_rows_too(scan: Scan) -> None:
    files = scan.add("a", "b", "c")
    scan.write(gone=[gone(files["a"])], hidden=[hidden(files["b"])], moves=[])
    assert paths(scan.db.library_files.in_folders("music", [""])) == ["a", "b", "c"]
    assert below(scan, "") == ["a", "b", "c"]


def test_in_folders_takes_any_number_of_folders(scan: Scan) -> None:
    names = [f"{number:04d}" for number in range(1500)]
    scan.add(*(f"{name}/a" for name in names))
    assert len(scan.db.library_files.in_folders("music", names)) == 1500


def test_with_inodes_asks_all_libraries(tree: Scan, other: Scan) -> None:
    wanted = [tree.files()["a"].stat.inode, 10**15]
    found = tree.db.library_files.with_inodes(wanted)
    assert sorted((file.library_id, file.path) for file in found) == [("music", "a"), ("other", "a")]
    assert tree.db.library_files.with_inodes([]) == []


def test_with_inodes_takes_any_number_of_them(scan: Scan) -> None:
    scan.add(*(str(number) for number in range(1500)))
    assert len(scan.db.library_files.with_inodes(range(1, 1501))) == 1500


def test_a_sample_is_of_present_files_and_the_same_each_time(scan: Scan) -> None:
    files = scan.add(*(f"{number}/a" for number in range(40)))
    scan.write(gone=[gone(files["0/a"])], hidden=[hidden(files["1/a"])])
    sample = scan.db.library_files.sample("music", 10)
    assert len({file.file_id for file in sample}) == 10
    assert scan.db.library_files.sample("music", 10) == sample
    everything = scan.db.library_files.sample("music", 1000)
    assert sorted(file.path for file in everything) == sorted(set(files) - {"0/a", "1/a"})
    # Spread: not just the first ones of the library.
    assert paths(sample) != sorted(files)[:10]


def test_only_present_files_are_counted(tree: Scan) -> None:
    files = tree.files()
    assert tree.db.library_files.count_present("music") == len(TREE)
    tree.write(gone=[gone(files["a"])], hidden=[hidden(files["R/a"])], moves=[moved(files["rock/a"], "Rock/a")])
    assert tree.db.library_files.count_present("music") == len(TREE) - 3
    assert tree.db.library_files.count_present("nowhere") == 0


def test_any_files_means_rows_of_any_library_even_missing_ones(db: Database) -> None:
    scan = start_scan(db)
    assert not db.library_files.any_files()
    file = scan.add("a")["a"]
    scan.write(gone=[gone(file)])
    assert db.library_files.any_files()


def test_find_is_exact(tree: Scan) -> None:
    assert tree.record("Rock/a").path == "Rock/a"
    for nothing in ("", "Rock", "Rock/", "Rock/A", "Rock/a ", "/Rock/a"):
        assert tree.db.library_files.find("music", nothing) is None
    assert tree.db.library_files.find("nowhere", "a") is None


def test_find_tells_of_absent_files_too(scan: Scan) -> None:
    files = scan.add("a", "b")
    scan.write(gone=[gone(files["a"])], hidden=[hidden(files["b"], "rule")])
    assert scan.record("a").missing_since == scan.now
    assert scan.record("b").ignored_by == "rule"


def test_records_come_by_path(tree: Scan) -> None:
    assert [record.path for record in tree.db.library_files.records("music")] == sorted(TREE)


def test_records_are_present_files_or_missing_ones(scan: Scan) -> None:
    files = scan.add("a", "D/b", "D/c", "D/d")
    scan.write(gone=[gone(files["D/b"])], hidden=[hidden(files["D/c"])])
    records = scan.db.library_files.records
    assert [record.path for record in records("music")] == ["D/d", "a"]
    assert [record.path for record in records("music", missing=True)] == ["D/b"]
    assert [record.path for record in records("music", folder="D")] == ["D/d"]
    assert list(records("music", folder="E")) == []


def test_a_displaced_file_is_among_the_missing_ones(scan: Scan) -> None:
    files = scan.add("a", "b")
    scan.write(moves=[moved(files["a"], "b")])
    assert [record.file_id for record in scan.db.library_files.records("music")] == [files["a"].file_id]
    missing = scan.db.library_files.records("music", missing=True)
    assert [(record.file_id, record.path) for record in missing] == [(files["b"].file_id, "b")]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("ÄRGER", ["1"]),
        ("ärger", ["1"]),
        ("strasse", ["2"]),
        ("the band", ["1", "2"]),
        ("100%", ["3"]),
        ("_", ["4_x"]),
        ("4_X", ["4_x"]),
        ("", ["1", "2", "3", "4_x"]),
        ("composer", []),
    ],
)
def test_a_query_looks_into_path_title_artist_and_album_in_any_case(scan: Scan, query: str, found: list[str]) -> None:
    tags = {
        "1": AudioTags(title="Ärger", artist="The Band", composer="Composer"),
        "2": AudioTags(album="Straße", albumartist="the band"),
        "3": AudioTags(title="100% pure"),
        "4_x": AudioTags(title="1000 pure"),
    }
    scan.write(upserts=[upsert(path, tags=TagReadResult(said)) for path, said in tags.items()])
    assert [record.path for record in scan.db.library_files.records("music", query=query)] == found


def test_a_cover_is_embedded_or_lies_in_the_folder(scan: Scan) -> None:
    embedded = TagReadResult(AudioTags(has_cover=True))
    scan.write(upserts=[upsert("A/a"), upsert("B/b"), upsert("C/c", tags=embedded)], images=[image("A/cover.jpg")])
    covers = {record.path: record.has_cover for record in scan.db.library_files.records("music")}
    assert covers == {"A/a": True, "B/b": False, "C/c": True}
    scan.write(gone_sidecars=["A/cover.jpg"])
    assert not scan.record("A/a").has_cover


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    for operations in (library_files_operations, embedded_files):
        monkeypatch.setattr(operations, "_PAGE", PAGE)


def add_many(scan: Scan, many: int) -> list[str]:
    """One folder with half of all files, and many small ones."""
    names = [f"big/{number:05d}" for number in range(many // 2)]
    names += [f"{number // 9:04d}/{number}" for number in range(many // 2)]
    long_comment = TagReadResult(AudioTags(comment="x" * COMMENT_BYTES))
    for start in range(0, many, 500):
        some = enumerate(names[start : start + 500], start)
        scan.write(upserts=[upsert(name, number=number, tags=long_comment) for number, name in some])
    return names


@pytest.mark.usefixtures("small_pages")
def test_a_big_library_streams_in_pages_until_it_is_complete(scan: Scan) -> None:
    names = add_many(scan, 5 * PAGE)
    pages = list(scan.db.library_files.below("music", ""))
    assert len(pages) > 1
    assert sorted(file.path for page in pages for file in page) == sorted(names)
    assert len(below(scan, "big")) == len(names) // 2
    assert [record.path for record in scan.db.library_files.records("music")] == sorted(names)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_records_of_a_big_library_are_not_held_in_memory_all_at_once(scan: Scan) -> None:
    # Only here: the server for tests keeps its rows in the memory of this process.
    names = add_many(scan, 5000)
    tracemalloc.start()
    try:
        told = [record.path for record in scan.db.library_files.records("music")]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert told == sorted(names)
    assert peak < len(names) * COMMENT_BYTES / 2


@pytest.mark.usefixtures("small_pages")
def test_rows_can_be_written_while_pages_are_read(scan: Scan) -> None:
    scan.add(*(f"{number:05d}" for number in range(3 * PAGE)))
    walked = 0
    for page in scan.db.library_files.below("music", ""):
        scan.write(gone=[gone(file) for file in page])
        walked += len(page)
    assert walked == 3 * PAGE
    assert scan.db.library_files.count_present("music") == 0


class TestFolders:
    FOLDERS = ("", "A", "A/B", "A/B/C", "A+", "A ", "AB", "a", "Z", "Z/Y")

    @pytest.fixture
    def folders(self, scan: Scan, other: Scan) -> Scan:
        other.write(folders=[folder(path) for path in self.FOLDERS])
        scan.write(folders=[folder(path) for path in self.FOLDERS])
        return scan

    @pytest.mark.parametrize("path", ["", "A", "A/B", "A/B/C", "a", "Z", "nowhere"])
    def test_a_recursive_target_knows_everything_below(self, folders: Scan, path: str) -> None:
        known = folders.db.library_folders.within(ScanTarget("music", path))
        assert set(known) == {other for other in self.FOLDERS if is_within(other, path)}

    @pytest.mark.parametrize("path", ["", "A", "A/B", "A/B/C", "a", "nowhere"])
    def test_a_shallow_target_knows_itself_and_its_children(self, folders: Scan, path: str) -> None:
        known = folders.db.library_folders.within(ScanTarget("music", path, recursive=False))
        expected = {other for other in self.FOLDERS if other == path or (other and folder_of(other) == path)}
        assert set(known) == expected

    def test_everything_about_a_folder_is_kept(self, scan: Scan) -> None:
        scan.write(folders=[folder("A", "d1", disk=2**63 - 1), folder("B", "")])
        known = scan.db.library_folders.within(ScanTarget("music"))
        assert known["A"] == KnownFolder("A", "d1", scan.now, 2**63 - 1)
        assert known["B"] == KnownFolder("B", "", scan.now, 0)

    def test_the_folders_above_are_known_without_a_digest(self, scan: Scan) -> None:
        scan.write(folders=[folder("A", "kept")])
        scan.write(folders=[folder("A/B/C", "d")])
        known = scan.db.library_folders.within(ScanTarget("music"))
        assert {path: one.digest for path, one in known.items()} == {"": "", "A": "kept", "A/B": "", "A/B/C": "d"}
        assert set(scan.db.library_folders.within(ScanTarget("music", "A", recursive=False))) == {"A", "A/B"}

    def test_a_new_digest_replaces_the_old_one(self, scan: Scan) -> None:
        scan.write(folders=[folder("A", "d1")])
        scan.write(folders=[folder("A", "d2"), folder("A", "d3")])
        known = scan.db.library_folders.within(ScanTarget("music"))
        assert (known["A"].digest, known["A"].scanned_at) == ("d3", scan.now)

    @pytest.mark.parametrize("path", ["A", "A/B", "A+", "Z", "", "nowhere"])
    def test_a_gone_folder_takes_everything_below_along(self, folders: Scan, other: Scan, path: str) -> None:
        folders.write(gone_folders=[path])
        assert folders.folders() == {known for known in self.FOLDERS if not is_within(known, path)}
        assert other.folders() == set(self.FOLDERS)

    def test_a_folder_can_go_and_come_in_one_batch(self, folders: Scan) -> None:
        folders.write(gone_folders=["A"], folders=[folder("A", "new")])
        assert folders.folders() == {path for path in self.FOLDERS if path == "A" or not is_within(path, "A")}


class TestPlaylists:
    def test_entries_stay_in_order_and_as_they_were_written(self, scan: Scan) -> None:
        lines = tuple(PlaylistLine(text) for text in ["../b\udcff.mp3", "", "a", "a", "\\x41", "http://x/é"])
        result = scan.write(playlists=[PlaylistUpsert("D/p.m3u", stat(1), lines, "error \udcff")])
        assert result.playlists == 1
        [stored] = scan.db.library_sidecars.playlists("music")
        assert (stored.library_id, stored.path, stored.error) == ("music", "D/p.m3u", "error \udcff")
        assert [entry.text for entry in stored.entries] == [line.text for line in lines]
        assert {entry.file_id for entry in stored.entries} == {None}

    def test_an_entry_finds_its_file_as_soon_as_there_is_one(self, scan: Scan) -> None:
        scan.write(playlists=[playlist("p.m3u", "a", "b", None)])
        assert scan.db.library_sidecars.resolve_entries(scan.lease, now=START) == 0
        files = scan.add("a")
        assert scan.db.library_sidecars.resolve_entries(scan.lease, now=START) == 1
        assert scan.db.library_sidecars.resolve_entries(scan.lease, now=START) == 0
        assert self.ids(scan) == [files["a"].file_id, None, None]
        files = scan.add("b")
        assert scan.db.library_sidecars.resolve_entries(scan.lease, now=START) == 1
        assert self.ids(scan) == [files["a"].file_id, files["b"].file_id, None]

    def test_no_entry_finds_its_file_once_the_lease_has_run_out(self, scan: Scan) -> None:
        scan.write(playlists=[playlist("p.m3u", "a")])
        scan.add("a")
        with pytest.raises(LeaseLost):
            scan.db.library_sidecars.resolve_entries(scan.lease, now=START + 1e7)
        assert self.ids(scan) == [None]

    def test_an_entry_follows_its_file(self, scan: Scan, other: Scan) -> None:
        files = scan.add("a", "b")
        scan.write(playlists=[playlist("p.m3u", "a", "b")])
        scan.db.library_sidecars.resolve_entries(scan.lease, now=START)
        scan.write(moves=[moved(files["a"], "New/a")])
        other.write(moves=[moved(files["b"], "b")])
        scan.write(upserts=[upsert("a", number=9)])
        assert scan.db.library_sidecars.resolve_entries(scan.lease, now=START) == 0
        assert self.ids(scan) == [files["a"].file_id, files["b"].file_id]

    def test_an_entry_may_mean_a_file_of_another_library(self, scan: Scan, other: Scan) -> None:
        scan.add("a")
        theirs = other.add("a")
        scan.write(playlists=[playlist("p.m3u", "a", library_id="other")])
        scan.db.library_sidecars.resolve_entries(scan.lease, now=START)
        assert self.ids(scan) == [theirs["a"].file_id]

    def test_a_file_that_was_forgotten_leaves_the_text(self, scan: Scan, other: Scan) -> None:
        other.add("a")
        scan.write(playlists=[playlist("p.m3u", "a", library_id="other")])
        scan.db.library_sidecars.resolve_entries(scan.lease, now=START)
        scan.db.library.remove_library("other")
        assert self.ids(scan) == [None]

    def test_a_playlist_written_again_has_only_its_new_entries(self, scan: Scan) -> None:
        scan.write(playlists=[playlist("p.m3u", "a", "b", "c", error="old")])
        scan.write(playlists=[playlist("p.m3u", "d", number=2)])
        [stored] = scan.db.library_sidecars.playlists("music")
        assert [entry.text for entry in stored.entries] == ["line d"]
        assert stored.error is None
        assert scan.db.library_sidecars.in_folders("music", [""]) == [KnownSidecar("p.m3u", stat(2))]

    def test_a_removed_playlist_is_gone_with_its_entries(self, scan: Scan) -> None:
        scan.write(playlists=[playlist("p.m3u", "a"), playlist("q.m3u")], images=[image("c.jpg")])
        result = scan.write(gone_sidecars=["p.m3u", "c.jpg", "never.jpg"])
        assert (result.playlists, result.images) == (1, 1)
        assert [stored.path for stored in scan.db.library_sidecars.playlists("music")] == ["q.m3u"]
        scan.add("a")
        assert scan.db.library_sidecars.resolve_entries(scan.lease, now=START) == 0

    def test_playlists_come_by_path(self, scan: Scan, other: Scan) -> None:
        other.write(playlists=[playlist("theirs.m3u")])
        scan.write(playlists=[playlist("b.m3u"), playlist("A/z.m3u"), playlist("a.m3u")])
        found = [stored.path for stored in scan.db.library_sidecars.playlists("music")]
        assert found == ["A/z.m3u", "a.m3u", "b.m3u"]

    def test_playlists_come_a_page_at_a_time(self, scan: Scan, other: Scan) -> None:
        paths = ["A/z.m3u", "\\.m3u", "a.m3u", "a\udcff.m3u", "b.m3u", "\u00e9.m3u", "e\u0301.m3u"]
        other.write(playlists=[playlist("theirs.m3u")])
        scan.write(playlists=[playlist(path, error="bad \udcff") for path in paths], images=[image("a.jpg")])
        sidecars = scan.db.library_sidecars
        whole = sidecars.page_of_playlists("music", after="", limit=100)
        assert whole == [PlaylistRecord("music", each.path, "bad \udcff") for each in sidecars.playlists("music")]
        assert sorted(each.path for each in whole) == sorted(paths)
        for number, each in enumerate(whole):
            assert sidecars.page_of_playlists("music", after=each.path, limit=2) == whole[number + 1 : number + 3]

    def test_entries_come_a_page_at_a_time(self, scan: Scan) -> None:
        scan.add("a", "b")
        scan.write(playlists=[playlist("p\udcff.m3u", "a", None, "b"), playlist("q.m3u")], images=[image("c.jpg")])
        sidecars = scan.db.library_sidecars
        sidecars.resolve_entries(scan.lease, now=START)
        entries = list(next(sidecars.playlists("music")).entries)
        for start in range(4):
            found = sidecars.page_of_entries("music", "p\udcff.m3u", after=start, limit=2)
            assert found == entries[start : start + 2]
        assert sidecars.page_of_entries("music", "q.m3u", after=0, limit=2) == []
        for library, path in (("music", "c.jpg"), ("music", "P.m3u"), ("other", "q.m3u")):
            assert sidecars.page_of_entries(library, path, after=0, limit=2) is None

    def test_sidecars_are_known_by_folder_and_below(self, scan: Scan) -> None:
        scan.write(images=[image("A/c.jpg", 3), image("A/B/c.jpg"), image("A+/c.jpg")], playlists=[playlist("p.m3u")])
        sidecars = scan.db.library_sidecars
        assert sidecars.in_folders("music", ["A"]) == [KnownSidecar("A/c.jpg", stat(3))]
        assert sidecars.in_folders("music", []) == []
        assert sorted(sidecars.below("music", "A")) == ["A/B/c.jpg", "A/c.jpg"]
        assert len(sidecars.below("music", "")) == 4

    def test_entries_are_resolved_only_with_the_lease(self, scan: Scan) -> None:
        scan.write(playlists=[playlist("p.m3u", "a")])
        scan.add("a")
        lose_lease(scan)
        with pytest.raises(LeaseLost):
            scan.db.library_sidecars.resolve_entries(scan.lease, now=START)
        assert self.ids(scan) == [None]

    @staticmethod
    def ids(scan: Scan) -> list[str | None]:
        [stored] = scan.db.library_sidecars.playlists("music")
        return [entry.file_id for entry in stored.entries]


class TestEvents:
    def test_a_reader_resumes_after_the_last_one_it_saw(self, scan: Scan) -> None:
        scan.add(*(f"{number:03d}" for number in range(25)))
        events, seq = [], 0
        while page := scan.db.events.after(seq, limit=10):
            assert len(page) <= 10
            events += page
            seq = page[-1].seq
        assert [event.path for event in events] == [f"{number:03d}" for number in range(25)]
        assert seq == scan.db.events.last_seq()
        assert scan.db.events.after(seq) == []

    def test_an_empty_feed_begins_at_0(self, db: Database) -> None:
        assert db.events.last_seq() == 0
        assert db.events.after(0) == []

    def test_old_events_are_forgotten_and_numbers_never_used_again(self, scan: Scan) -> None:
        scan.add("a")
        scan.add("b")
        scan.db.events.prune(before=scan.now)
        assert [event.path for event in scan.db.events.after(0)] == ["b"]
        last = scan.db.events.last_seq()
        scan.db.events.prune(before=scan.now + 1)
        assert scan.db.events.after(0) == []
        assert scan.db.events.last_seq() == last
        scan.add("c")
        assert [(event.path, event.seq > last) for event in scan.db.events.after(0)] == [("c", True)]

    def test_pruning_nothing_is_allowed(self, db: Database) -> None:
        db.events.prune(before=START)
        assert db.events.last_seq() == 0


@pytest.mark.parametrize("value", ["{}", "", '"é \U0001f3b8"', "x" * 100_000])
def test_settings_are_kept(db: Database, value: str) -> None:
    assert db.settings.get("key") is None
    db.settings.set("key", "before")
    db.settings.set("key", value)
    assert db.settings.get("key") == value
    assert db.settings.get("KEY") is None


names = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=8) | st.binary(
    min_size=1, max_size=8
).map(lambda raw: raw.replace(b"/", b"_").replace(b"\0", b"_").decode("utf-8", "surrogateescape"))
_library_names = (f"library {number}" for number in itertools.count())


@settings(max_examples=60, derandomize=True, deadline=None)
@given(wanted=st.lists(st.lists(names, min_size=1, max_size=3).map("/".join), unique=True, max_size=12))
def test_any_path_comes_back_as_it_was(any_database: Database, wanted: list[str]) -> None:
    library = start_scan(any_database, next(_library_names))
    library.write(upserts=[upsert(path, tags=read(None)) for path in wanted])
    assert paths(library.known()) == sorted(wanted)
    for folder_path in {folder_of(path) for path in wanted}:
        expected = sorted(path for path in wanted if is_within(folder_of(path), folder_path))
        assert below(library, folder_path) == expected
