"""What one batch does to the files of a library, and what it says that it did."""

from __future__ import annotations

import pytest
from storage_kit import (
    INT64_MAX,
    INT64_MIN,
    START,
    Scan,
    folder,
    fresh_id,
    gone,
    hidden,
    image,
    lose_lease,
    moved,
    playlist,
    read,
    seen,
    stat,
    unreadable,
    upsert,
)

from nomarr.helpers.dto.batches import BatchResult, FileGone, FileMove, FileUpsert, RowOutcome, ScanBatch
from nomarr.helpers.dto.files import FileStat, KnownFile
from nomarr.helpers.dto.library import ScanTarget
from nomarr.helpers.dto.tags import AudioTags, TagReadResult
from nomarr.helpers.exceptions import DatabaseError, LeaseLost

INSERTED, UPDATED, UNCHANGED, RESTORED = RowOutcome


def test_each_row_says_what_became_of_it(scan: Scan) -> None:
    scan.add("same", "changed", "missing", "hidden")
    files = scan.files()
    scan.write(gone=[gone(files["missing"])], hidden=[hidden(files["hidden"])])
    result = scan.write(
        upserts=[
            upsert("new", number=9),
            upsert("hidden", number=4),
            upsert("same", number=1),
            upsert("missing", number=3),
            upsert("changed", number=7),
        ]
    )
    assert result.upserts == (INSERTED, RESTORED, UNCHANGED, RESTORED, UPDATED)
    assert result.changed_rows == 4


def test_the_same_batch_again_changes_nothing(scan: Scan) -> None:
    batch = [upsert(f"{number}.flac", number=number) for number in range(5)]
    assert scan.write(upserts=batch).upserts == (INSERTED,) * 5
    before, told = scan.known(), scan.told()
    assert scan.write(upserts=batch) == BatchResult(upserts=(UNCHANGED,) * 5)
    assert scan.known() == before
    assert len(told) == 5
    assert scan.told() == []


@pytest.mark.parametrize("number", [1, 2])
def test_a_known_row_keeps_its_id_whatever_id_the_upsert_brings(scan: Scan, number: int) -> None:
    file = scan.add("a.flac")["a.flac"]
    scan.write(upserts=[upsert("a.flac", number=number, file_id=fresh_id())])
    assert [known.file_id for known in scan.known()] == [file.file_id]


def test_a_file_whose_row_was_moved_away_meanwhile_has_a_fresh_id(scan: Scan, other: Scan) -> None:
    """It was saved anew, and a scan of the other library found what it was before."""
    [before] = scan.add("a").values()
    other.write(moves=[moved(before, "b")])
    scan.new_events()
    assert scan.write(upserts=[upsert("a", number=7, file_id=before.file_id)]).upserts == (INSERTED,)
    [after] = scan.known()
    assert (after.path, after.stat) == ("a", stat(7))
    assert after.file_id != before.file_id
    assert other.files()["b"].file_id == before.file_id
    assert [(event.path, event.file_id) for event in scan.new_events()] == [("a", after.file_id)]


def test_every_number_and_time_is_kept(scan: Scan) -> None:
    file_id = fresh_id()
    tags = AudioTags(title="T", artists=("A", "B"), year=1999)
    scan.write(upserts=[FileUpsert(file_id, "d/a.flac", FileStat(1, 2, 3, 4), 5, TagReadResult(tags), 6.5)])
    [known] = scan.known()
    assert (known.file_id, known.library_id, known.path) == (file_id, "music", "d/a.flac")
    assert (known.stat, known.device, known.read_at) == (FileStat(1, 2, 3, 4), 5, 6.5)
    assert known.is_present
    record = scan.record("d/a.flac")
    assert (record.size, record.mtime_ns, record.ctime_ns, record.inode, record.device) == (1, 2, 3, 4, 5)
    assert record.tags == tags
    assert record.first_seen_at == record.updated_at == scan.now


@pytest.mark.parametrize("extreme", [INT64_MAX, INT64_MIN, 0, -1])
def test_64_bit_numbers_survive(scan: Scan, extreme: int) -> None:
    extremes = FileStat(extreme, extreme, extreme, extreme)
    scan.write(upserts=[FileUpsert(fresh_id(), "a", extremes, extreme, read(), START)])
    assert scan.files()["a"].stat == extremes
    assert scan.files()["a"].device == extreme
    assert [file.path for file in scan.db.library_files.with_inodes([extreme])] == ["a"]


def test_only_a_change_moves_updated_at(scan: Scan) -> None:
    scan.add("a")
    first = scan.record("a")
    scan.write(upserts=[upsert("a", number=1)])
    assert scan.record("a").updated_at == first.updated_at
    scan.write(upserts=[upsert("a", number=2)])
    changed = scan.record("a")
    assert changed.updated_at == scan.now > first.updated_at
    assert changed.first_seen_at == first.first_seen_at


def test_read_at_is_kept_for_an_unchanged_file_too(scan: Scan) -> None:
    scan.add("a")
    scan.write(upserts=[upsert("a", number=1, read_at=START + 99)])
    assert scan.files()["a"].read_at == START + 99


def test_a_tag_that_was_removed_is_gone(scan: Scan) -> None:
    full = AudioTags(title="T", artists=("A", "B"), year=1999, musicbrainz_artist_ids=("x",), compilation=True)
    scan.write(upserts=[upsert("a", tags=TagReadResult(full))])
    result = scan.write(upserts=[upsert("a", tags=TagReadResult(AudioTags(artists=("A",))))])
    assert result.upserts == (UPDATED,)
    assert scan.record("a").tags == AudioTags(artists=("A",))


@pytest.mark.parametrize(
    "tags",
    [
        AudioTags(),
        AudioTags(title="", track=0, year=0, replaygain_track_gain=0.0, replaygain_track_peak=-0.5),
        AudioTags(title="NUL \x00 inside", comment='"quotes" \\ and\nlines', artist="é \U0001f3b8"),
        AudioTags(artists=("one",), genres=("a", "a", ""), has_cover=True, has_lyrics=True, compilation=True),
        AudioTags(title="x" * 100_000),
    ],
)
def test_tags_come_back_as_they_were(scan: Scan, tags: AudioTags) -> None:
    scan.write(upserts=[upsert("a", tags=TagReadResult(tags))])
    assert scan.record("a").tags == tags


def test_half_a_surrogate_pair_in_a_tag_harms_nothing(scan: Scan) -> None:
    batch = [upsert("a", tags=TagReadResult(AudioTags(title="half \ud83d", album="whole")))]
    scan.write(upserts=batch)
    assert scan.record("a").tags.album == "whole"
    assert scan.write(upserts=batch).upserts == (UNCHANGED,)


def test_a_file_that_cannot_be_read_keeps_what_it_last_said(scan: Scan) -> None:
    scan.write(upserts=[upsert("a", tags=read("Before"))])
    assert scan.write(upserts=[upsert("a", number=2, tags=unreadable())]).upserts == (UPDATED,)
    record = scan.record("a")
    assert record.tags.title == "Before"
    assert record.last_error == "the file is truncated"
    assert record.size == stat(2).size
    assert scan.write(upserts=[upsert("a", number=2, tags=unreadable())]).upserts == (UNCHANGED,)
    assert scan.write(upserts=[upsert("a", number=2, tags=read("Before"))]).upserts == (UPDATED,)
    assert scan.record("a").last_error is None


def test_a_new_file_that_cannot_be_read_has_a_row_without_tags(scan: Scan) -> None:
    assert scan.write(upserts=[upsert("a", tags=unreadable())]).upserts == (INSERTED,)
    assert scan.record("a").tags == AudioTags()
    assert scan.record("a").last_error == "the file is truncated"


@pytest.mark.parametrize(
    ("readings", "status"),
    [
        ([read()], "metadata_done"),
        ([unreadable()], "error"),
        ([read(), unreadable()], "error"),
        ([unreadable(), read()], "metadata_done"),
        ([read(), read("other")], "metadata_done"),
    ],
)
def test_processing_status_follows_what_was_read(scan: Scan, readings: list[TagReadResult], status: str) -> None:
    for number, tags in enumerate(readings):
        scan.write(upserts=[upsert("a", number=number, tags=tags)])
    assert scan.record("a").processing_status == status


def test_of_two_new_files_at_one_path_the_last_one_is_written(scan: Scan) -> None:
    first, last = upsert("a", number=1, tags=read("first")), upsert("a", number=2, tags=read("last"))
    result = scan.write(upserts=[first, upsert("b", number=3), last])
    assert result.upserts == (UNCHANGED, INSERTED, INSERTED)
    assert scan.record("a").tags.title == "last"
    assert scan.record("a").file_id == last.file_id
    assert sorted(scan.told()) == [("created", "a"), ("created", "b")]


def test_of_two_changes_of_one_file_the_last_one_is_written(scan: Scan) -> None:
    scan.add("a")
    result = scan.write(upserts=[upsert("a", number=2), upsert("a", number=3)])
    assert result.upserts == (UNCHANGED, UPDATED)
    assert scan.files()["a"].stat == stat(3)


def test_the_same_value_twice_in_a_batch_is_one_row(scan: Scan) -> None:
    twice = upsert("a")
    result = scan.write(upserts=[twice, twice])
    assert sorted(result.upserts) == [INSERTED, UNCHANGED]
    assert len(scan.known()) == 1


def test_a_batch_larger_than_any_page_is_written_whole(scan: Scan) -> None:
    batch = [upsert(f"{number % 7}/{number}.flac", number=number) for number in range(1200)]
    assert scan.write(upserts=batch).upserts == (INSERTED,) * 1200
    assert scan.write(upserts=batch).upserts == (UNCHANGED,) * 1200


def test_seen_restores_and_refreshes(scan: Scan) -> None:
    files = scan.add("missing", "hidden", "there")
    scan.write(gone=[gone(files["missing"])], hidden=[hidden(files["hidden"])])
    scan.told()
    result = scan.write(seen=[seen(file, number=50 + index) for index, file in enumerate(files.values())])
    assert (result.restored, result.refreshed, result.changed_rows) == (2, 1, 2)
    assert all(file.is_present for file in scan.known())
    assert sorted(file.stat for file in scan.known()) == [stat(50), stat(51), stat(52)]
    assert sorted(scan.told()) == [("restored", "hidden"), ("restored", "missing")]


def test_seen_leaves_what_stands_elsewhere_alone(scan: Scan, other: Scan) -> None:
    files = scan.add("a", "b")
    scan.write(moves=[moved(files["a"], "c")])
    elsewhere = other.add("a")["a"]
    before = scan.known(), other.known()
    result = scan.write(seen=[seen(files["a"], number=9), seen(elsewhere, number=9)])
    assert (result.restored, result.refreshed) == (0, 0)
    assert (scan.known(), other.known()) == before


def test_gone_needs_the_path_and_counts_once(scan: Scan) -> None:
    files = scan.add("a", "b")
    wrong = [FileGone(files["a"].file_id, path) for path in ("elsewhere", "", "A", "a/", "b")]
    result = scan.write(gone=[*wrong, gone(files["b"]), gone(files["b"])])
    assert result.gone == 1
    assert scan.files()["a"].is_present
    assert scan.files()["b"].missing_since == scan.now
    missing_since = scan.now
    assert scan.write(gone=[gone(files["b"])]).gone == 0
    assert scan.files()["b"].missing_since == missing_since


def test_a_hidden_file_keeps_its_row_and_its_rule(scan: Scan) -> None:
    file = scan.add("a")["a"]
    assert scan.write(hidden=[hidden(file, "*.a")]).hidden == 1
    known = scan.files()["a"]
    assert (known.ignored_by, known.is_present, known.file_id) == ("*.a", False, file.file_id)
    assert scan.write(hidden=[hidden(file, "other rule")]).hidden == 0
    assert scan.files()["a"].ignored_by == "*.a"
    [event] = scan.new_events()[1:]
    assert (event.type, event.evidence) == ("removed", "*.a")


def test_a_hidden_file_that_is_gone_is_missing_and_not_hidden_any_more(scan: Scan) -> None:
    file = scan.add("a")["a"]
    scan.write(hidden=[hidden(file, "*.a")])
    assert scan.told()[-1] == ("removed", "a")
    result = scan.write(gone=[gone(file)])
    assert (result.gone, result.changed_rows) == (1, 1)
    known = scan.files()["a"]
    assert (known.file_id, known.missing_since, known.ignored_by) == (file.file_id, scan.now, None)
    # For those who follow the changes it has left already.
    assert scan.told() == []


def test_rules_and_errors_may_hold_any_name(scan: Scan) -> None:
    odd = "b\udcff\\x41\\ é\n"
    files = scan.add("a", "b")
    scan.write(hidden=[hidden(files["a"], odd)], upserts=[upsert("b", number=2, tags=unreadable(odd))])
    assert scan.files()["a"].ignored_by == odd
    assert scan.record("b").last_error == odd
    assert scan.new_events()[-1].evidence == odd


def test_an_empty_batch_asks_nobody(scan: Scan) -> None:
    lose_lease(scan)
    assert scan.db.library_files.upsert_batch(scan.lease, ScanBatch(), now=START) == BatchResult()


def test_events_stand_in_the_order_of_the_batch(scan: Scan) -> None:
    files = scan.add("move", "gone", "hide", "come back", "change", "occupied", "onto")
    scan.write(gone=[gone(files["come back"])])
    scan.new_events()
    scan.write(
        moves=[moved(files["move"], "D/move", "ino"), moved(files["onto"], "occupied", "ino")],
        upserts=[upsert("change", number=99), upsert("new", number=98)],
        seen=[seen(files["come back"])],
        gone=[gone(files["gone"])],
        hidden=[hidden(files["hide"], "rule")],
    )
    events = scan.new_events()
    assert [(str(event.type), event.path, event.old_path, event.evidence) for event in events] == [
        ("moved", "D/move", "move", "ino"),
        ("missing", "occupied", None, "overwritten by a moved file"),
        ("renamed", "occupied", "onto", "ino"),
        ("modified", "change", None, None),
        ("created", "new", None, None),
        ("restored", "come back", None, None),
        ("missing", "gone", None, None),
        ("removed", "hide", None, "rule"),
    ]
    assert [event.seq for event in events] == sorted({event.seq for event in events})
    assert {event.time for event in events} == {scan.now}
    assert {event.library_id for event in events} == {"music"}
    known = {file.file_id for file in scan.known()}
    assert {event.file_id for event in events} <= known


def _everything(scan: Scan, files: list[FileUpsert]) -> ScanBatch:
    known = scan.files()
    return ScanBatch(
        moves=[moved(known["a"], "moved")],
        upserts=files,
        seen=[seen(known["b"], number=77)],
        gone=[gone(known["c"])],
        hidden=[hidden(known["d"])],
        playlists=[playlist("p.m3u", "a")],
        images=[image("cover.jpg")],
        gone_sidecars=["old.jpg"],
        folders=[folder("", "other digest"), folder("New")],
        gone_folders=["Old"],
    )


def _stored(scan: Scan) -> object:
    return (
        scan.known(),
        scan.folders(),
        scan.db.library_sidecars.below("music", ""),
        list(scan.db.library_sidecars.playlists("music")),
        scan.db.events.last_seq(),
    )


@pytest.fixture
def filled(scan: Scan) -> Scan:
    scan.add("a", "b", "c", "d", "taken")
    scan.write(folders=[folder(""), folder("Old")], images=[image("old.jpg")])
    return scan


def test_a_batch_without_the_lease_leaves_nothing(filled: Scan) -> None:
    batch = _everything(filled, [upsert("new", number=88)])
    lose_lease(filled)
    before = _stored(filled)
    with pytest.raises(LeaseLost):
        filled.db.library_files.upsert_batch(filled.lease, batch, now=filled.now)
    assert _stored(filled) == before


def test_a_batch_after_the_lease_ran_out_leaves_nothing(filled: Scan) -> None:
    batch = _everything(filled, [upsert("new", number=88)])
    before = _stored(filled)
    with pytest.raises(LeaseLost):
        filled.db.library_files.upsert_batch(filled.lease, batch, now=filled.lease.started_at + 2e6)
    assert _stored(filled) == before


def test_a_batch_that_fails_half_way_leaves_nothing(filled: Scan) -> None:
    twice = fresh_id()
    new = [upsert("first", number=88, file_id=twice), upsert("second", number=89, file_id=twice)]
    batch = _everything(filled, new)
    before = _stored(filled)
    with pytest.raises(DatabaseError):
        filled.db.library_files.upsert_batch(filled.lease, batch, now=filled.now)
    assert _stored(filled) == before
    filled.db.library_files.upsert_batch(filled.lease, _everything(filled, []), now=filled.now)
    assert _stored(filled) != before


def test_a_lease_of_one_library_writes_nothing_into_another(scan: Scan, other: Scan) -> None:
    theirs = other.add("a")["a"]
    scan.add("a")
    result = scan.write(gone=[gone(theirs)], hidden=[hidden(theirs)], seen=[seen(theirs, number=9)])
    assert result == BatchResult()
    assert other.files()["a"] == theirs


class TestMoves:
    def test_only_the_place_changes(self, scan: Scan) -> None:
        file = scan.add("A/a.flac")["A/a.flac"]
        before = scan.record("A/a.flac")
        assert scan.write(moves=[moved(file, "B/b.flac")]).moved == 1
        [known] = scan.known()
        assert (known.file_id, known.path, known.stat) == (file.file_id, "B/b.flac", file.stat)
        after = scan.record("B/b.flac")
        assert (after.tags, after.first_seen_at, after.processing_status) == (
            before.tags,
            before.first_seen_at,
            before.processing_status,
        )
        assert scan.db.library_files.find("music", "A/a.flac") is None
        assert [file.path for file in scan.db.library_files.in_folders("music", ["A", "B"])] == ["B/b.flac"]

    @pytest.mark.parametrize(
        ("from_path", "to_path", "kind"),
        [
            ("A/a", "A/b", "renamed"),
            ("a", "b", "renamed"),
            ("A/a", "B/a", "moved"),
            ("a", "A/a", "moved"),
            ("a", "A", "renamed"),
        ],
    )
    def test_a_new_name_and_a_new_folder_are_told_apart(
        self, scan: Scan, from_path: str, to_path: str, kind: str
    ) -> None:
        file = scan.add(from_path)[from_path]
        scan.told()
        scan.write(moves=[moved(file, to_path)])
        [event] = scan.new_events()
        assert (event.type, event.path, event.old_path) == (kind, to_path, from_path)
        assert event.evidence == "device+inode"

    def test_two_files_swap_their_places(self, scan: Scan) -> None:
        files = scan.add("a", "b")
        result = scan.write(moves=[moved(files["a"], "b"), moved(files["b"], "a")])
        assert (result.moved, result.displaced) == (2, 0)
        assert {path: file.file_id for path, file in scan.files().items()} == {
            "a": files["b"].file_id,
            "b": files["a"].file_id,
        }
        assert all(file.is_present for file in scan.known())

    @pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
    def test_a_chain_moves_in_any_order(self, scan: Scan, order: tuple[int, ...]) -> None:
        files = scan.add("a", "b", "c")
        chain = [moved(files["a"], "b"), moved(files["b"], "c"), moved(files["c"], "d")]
        result = scan.write(moves=[chain[index] for index in order])
        assert (result.moved, result.displaced) == (3, 0)
        ids = {path: file.file_id for path, file in scan.files().items()}
        assert ids == {"b": files["a"].file_id, "c": files["b"].file_id, "d": files["c"].file_id}

    def test_whoever_stood_there_is_missing_and_keeps_its_id(self, scan: Scan) -> None:
        files = scan.add("a", "b")
        result = scan.write(moves=[moved(files["a"], "b")])
        assert (result.moved, result.displaced, result.changed_rows) == (1, 1, 2)
        displaced = scan.by_id()[files["b"].file_id]
        assert (displaced.path, displaced.displaced, displaced.missing_since) == ("b", True, scan.now)
        assert scan.record("b").file_id == files["a"].file_id
        assert scan.db.library_files.count_present("music") == 1

    def test_a_missing_occupant_is_displaced_without_a_word(self, scan: Scan) -> None:
        files = scan.add("a", "b")
        scan.write(gone=[gone(files["b"])])
        missing_since = scan.now
        scan.told()
        assert scan.write(moves=[moved(files["a"], "b")]).displaced == 0
        assert scan.by_id()[files["b"].file_id].missing_since == missing_since
        assert scan.told() == [("renamed", "b")]

    def test_a_displaced_file_is_found_again_elsewhere(self, scan: Scan) -> None:
        files = scan.add("a", "b")
        scan.write(moves=[moved(files["a"], "b")])
        assert scan.write(moves=[moved(scan.by_id()[files["b"].file_id], "c")]).moved == 1
        back = scan.by_id()[files["b"].file_id]
        assert (back.path, back.displaced, back.is_present) == ("c", False, True)

    def test_a_displaced_file_comes_back_to_its_place(self, scan: Scan) -> None:
        files = scan.add("a", "b")
        scan.write(moves=[moved(files["a"], "b")])
        scan.told()
        displaced = scan.by_id()[files["b"].file_id]
        result = scan.write(moves=[moved(scan.files()["b"], "a"), moved(displaced, "b")])
        assert result.moved == 2
        assert {path: file.file_id for path, file in scan.files().items()} == {p: f.file_id for p, f in files.items()}
        assert scan.told() == [("renamed", "a"), ("restored", "b")]

    def test_a_displaced_file_is_not_seen_at_the_path_of_another(self, scan: Scan) -> None:
        files = scan.add("a", "b")
        scan.write(moves=[moved(files["a"], "b")])
        displaced = scan.by_id()[files["b"].file_id]
        result = scan.write(seen=[seen(displaced)])
        assert (result.restored, result.refreshed) == (0, 0)
        assert scan.by_id()[files["b"].file_id].missing_since is not None

    def test_a_displaced_file_is_found_by_path_once_nobody_stands_there(self, scan: Scan) -> None:
        files = scan.add("a", "b")
        scan.write(moves=[moved(files["a"], "b")])
        scan.write(moves=[moved(scan.files()["b"], "c")])
        assert scan.record("b").file_id == files["b"].file_id
        assert scan.write(upserts=[upsert("b", number=5)]).upserts == (INSERTED,)
        assert scan.record("b").file_id not in (files["a"].file_id, files["b"].file_id)

    def test_a_move_to_another_library_keeps_the_id(self, scan: Scan, other: Scan) -> None:
        file = scan.add("A/a")["A/a"]
        other.told()
        assert other.write(moves=[moved(file, "A/a")]).moved == 1
        assert scan.known() == []
        assert other.files()["A/a"].file_id == file.file_id
        assert other.files()["A/a"].library_id == "other"
        [event] = other.new_events()
        assert (event.type, event.library_id, event.old_path) == ("moved", "other", "A/a")

    @pytest.mark.parametrize("wrong", ["elsewhere", "", "A"])
    def test_a_file_that_left_its_old_path_is_not_moved(self, scan: Scan, wrong: str) -> None:
        file = scan.add("a")["a"]
        scan.told()
        result = scan.write(moves=[FileMove(file.file_id, "music", wrong, "b", "e")])
        assert result == BatchResult(lost_moves=(file.file_id,))
        assert scan.files() == {"a": file}
        assert scan.told() == []

    def test_the_guard_knows_the_library_too(self, scan: Scan) -> None:
        file = scan.add("a")["a"]
        assert scan.write(moves=[FileMove(file.file_id, "other", "a", "b", "e")]).moved == 0

    def test_the_same_move_again_does_nothing(self, scan: Scan) -> None:
        file = scan.add("a")["a"]
        move = moved(file, "b")
        scan.write(moves=[move])
        scan.told()
        assert scan.write(moves=[move]) == BatchResult(lost_moves=(file.file_id,))
        assert scan.told() == []

    def test_a_file_that_is_moved_twice_goes_to_the_last_place(self, scan: Scan) -> None:
        file = scan.add("a")["a"]
        scan.told()
        assert scan.write(moves=[moved(file, "b"), moved(file, "c")]).moved == 1
        assert list(scan.files()) == ["c"]
        assert scan.told() == [("renamed", "c")]

    def test_a_missing_or_hidden_file_is_there_again(self, scan: Scan) -> None:
        files = scan.add("a", "b")
        scan.write(gone=[gone(files["a"])], hidden=[hidden(files["b"])])
        scan.write(moves=[moved(files["a"], "c"), moved(files["b"], "d")])
        assert all(file.is_present for file in scan.known())

    def test_the_batch_goes_on_from_where_a_move_ended(self, scan: Scan) -> None:
        file = scan.add("a")["a"]
        result = scan.write(moves=[moved(file, "b")], upserts=[upsert("b", number=5), upsert("a", number=6)])
        assert result.upserts == (UPDATED, INSERTED)
        assert scan.record("b").file_id == file.file_id
        assert scan.record("a").file_id != file.file_id


class TestFoldersThatAreNotFinished:
    """A scan may end between two batches: what the first one touched is looked at again."""

    @staticmethod
    def digests(scan: Scan) -> dict[str, str]:
        known = scan.db.library_folders.within(ScanTarget(scan.library_id))
        return {path: folder.digest for path, folder in known.items()}

    @pytest.fixture
    def files(self, scan: Scan) -> dict[str, KnownFile]:
        files = scan.add("d/a", "d/b", "e/c")
        scan.write(folders=[folder("d"), folder("e"), folder("f")])
        return files

    def test_a_folder_is_known_from_its_first_row(self, scan: Scan) -> None:
        scan.write(upserts=[upsert("x/y/a")])
        assert self.digests(scan) == {"": "", "x": "", "x/y": ""}

    def test_a_folder_is_known_from_the_first_file_that_moved_into_it(
        self, scan: Scan, files: dict[str, KnownFile]
    ) -> None:
        scan.write(moves=[moved(files["d/a"], "new/a"), moved(files["d/b"], "e/b")])
        assert self.digests(scan) == {"": "", "d": "", "e": "", "f": "digest", "new": ""}

    @pytest.mark.parametrize("part", ["upserts", "seen", "gone", "hidden"])
    def test_whatever_is_written_takes_the_digest_away(
        self, scan: Scan, files: dict[str, KnownFile], part: str
    ) -> None:
        file = files["d/a"]
        rows = {"upserts": upsert("d/new", number=9), "seen": seen(file), "gone": gone(file), "hidden": hidden(file)}
        scan.write(**{part: [rows[part]]})
        assert self.digests(scan) == {"": "", "d": "", "e": "digest", "f": "digest"}

    @pytest.mark.parametrize(
        "rows",
        [{"images": [image("d/new.jpg")]}, {"playlists": [playlist("d/p.m3u")]}, {"gone_sidecars": ["d/old.jpg"]}],
        ids=lambda rows: next(iter(rows)),
    )
    def test_images_and_playlists_take_it_away_too(
        self, scan: Scan, files: dict[str, KnownFile], rows: dict[str, list[object]]
    ) -> None:
        scan.write(**rows)
        assert self.digests(scan) == {"": "", "d": "", "e": "digest", "f": "digest"}
        scan.write(**rows, folders=[folder("d", "new digest")])
        assert self.digests(scan)["d"] == "new digest"

    def test_a_folder_that_ends_with_the_batch_has_its_new_digest(
        self, scan: Scan, files: dict[str, KnownFile]
    ) -> None:
        scan.write(gone=[gone(files["d/a"])], folders=[folder("d", "new digest")])
        assert self.digests(scan)["d"] == "new digest"

    def test_a_folder_that_is_gone_is_not_known_by_its_lost_files(
        self, scan: Scan, files: dict[str, KnownFile]
    ) -> None:
        scan.write(gone=[gone(files["d/a"]), gone(files["d/b"])], gone_folders=["d"])
        assert "d" not in self.digests(scan)

    def test_a_folder_that_its_files_left_is_gone_with_what_is_below_it(self, scan: Scan) -> None:
        files = scan.add("old/a", "old/sub/b")
        scan.write(folders=[folder(""), folder("old"), folder("old/sub")])
        moves = [moved(files["old/a"], "new/a"), moved(files["old/sub/b"], "new/b")]
        scan.write(moves=moves, gone_folders=["old"], folders=[folder(""), folder("new")])
        assert self.digests(scan) == {"": "digest", "new": "digest"}


# -- who has to make room -----------------------------------------------------------------------------------------


def test_a_playlist_means_the_file_that_took_the_place_of_another(scan: Scan) -> None:
    known = scan.add("a", "b")
    scan.write(playlists=[playlist("p.m3u", "a"), playlist("q.m3u", "b")])
    scan.db.library_sidecars.resolve_entries(scan.lease, now=scan.now)
    scan.write(moves=[moved(known["b"], "a")])
    entry = {one.path: one.entries[0].file_id for one in scan.db.library_sidecars.playlists("music")}
    assert entry == {"p.m3u": None, "q.m3u": known["b"].file_id}
    assert scan.db.library_sidecars.resolve_entries(scan.lease, now=scan.now) == 1
    [first, _] = scan.db.library_sidecars.playlists("music")
    assert first.entries[0].file_id == known["b"].file_id


def test_whoever_makes_room_for_another_file_on_the_disk_is_not_known_by_its_inode(scan: Scan) -> None:
    known = scan.add("a", "b")
    move = FileMove(known["b"].file_id, "music", "b", "a", "audio hash", is_other_file=True)
    assert scan.write(moves=[move]).displaced == 1
    assert scan.db.library_files.with_inodes([known["a"].stat.inode]) == []
    assert scan.by_id()[known["a"].file_id].displaced


def test_a_folder_inside_one_that_is_gone_and_came_back_is_found_through_it(scan: Scan) -> None:
    scan.write(folders=[folder(""), folder("d"), folder("d/old")])
    scan.write(folders=[folder("d/new")], gone_folders=["d"])
    known = scan.db.library_folders.within(ScanTarget("music"))
    assert {path: one.digest for path, one in known.items()} == {"": "digest", "d": "", "d/new": "digest"}
