"""Files that are missing for long are forgotten with everything that belongs to them; wrong moves are reversed."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from storage_kit import (
    START,
    Scan,
    examples,
    fresh_id,
    give_lease_back,
    gone,
    hidden,
    moved,
    owner,
    playlist,
    start_scan,
    stat,
    store,
    upsert,
)

from nomarr.helpers.dto.enrichment import Enrichment, EnrichmentUpdate, ProcessingStatus
from nomarr.helpers.dto.events import EventType
from nomarr.helpers.exceptions import LibraryAlreadyScanning, MoveCannotBeUndone, MoveNotFound
from nomarr.persistence.db import Database

DAY = 24 * 3600.0


def purge(scan: Scan, *, before: float | None = None, days: float = 30, limit: int = 100) -> list[str]:
    """Purge what is missing since `before`, or at all, so many days after the last write."""
    since = scan.now if before is None else before
    return scan.db.library_files.purge_missing(
        scan.library_id, before=since, now=scan.now + days * DAY, limit=limit, dead_owners=[str(owner())]
    )


def lose(scan: Scan, *paths: str) -> float:
    """Mark files missing; since when they are."""
    files = scan.files()
    scan.write(gone=[gone(files[path]) for path in paths])
    return scan.now


def enrich(scan: Scan, path: str, cover_id: str | None = None) -> None:
    file = scan.files()[path]
    found = Enrichment(file.stat, "a" * 32, 5000, fingerprint="AQAA", fingerprint_seconds=9.0, cover_id=cover_id)
    assert store(scan.db, EnrichmentUpdate(file.file_id, file.stat, ProcessingStatus.COMPLETE, None, found))


def all_paths(scan: Scan) -> list[str]:
    return sorted(file.path for file in scan.known())


# -- purging --------------------------------------------------------------------------------------------------


def test_files_that_are_spared_are_kept(scan: Scan) -> None:
    files = scan.add("a", "b", "c", "taker")
    # One after the other: of those that are missing for equally long, any may go first.
    before = [lose(scan, path) for path in ("a", "b", "c")][-1]
    scan.write(moves=[moved(files["taker"], "c")])
    alone = scan.db.library_files.long_missing_alone("music", before=before)
    assert alone == {files[path].file_id: path for path in ("a", "b")}
    give_lease_back(scan)
    for gone_now in (["a"], ["c"], []):
        purged = scan.db.library_files.purge_missing(
            "music", before=scan.now, now=scan.now, limit=1, spared={files["b"].file_id}
        )
        assert purged == gone_now
    assert all_paths(scan) == ["b", "c"]


def test_what_is_missing_for_long_enough_is_forgotten(scan: Scan) -> None:
    files = scan.add("here", "long", "short", "hidden")
    long_ago = lose(scan, "long")
    lose(scan, "short")
    scan.write(hidden=[hidden(files["hidden"])])
    scan.told()
    assert scan.db.library_files.long_missing("music", before=long_ago, limit=9) == ["long"]
    assert scan.db.library_files.count_long_missing("music", before=scan.now) == 2
    assert purge(scan, before=long_ago) == ["long"]
    assert all_paths(scan) == ["here", "hidden", "short"]
    (event,) = scan.new_events()
    assert (event.type, event.path, event.file_id) == (EventType.REMOVED, "long", files["long"].file_id)
    assert event.evidence == "missing for 30 days"


@pytest.mark.parametrize(
    ("days", "said"), [(0.5, "less than a day"), (1.2, "1 day"), (30, "30 days"), (400.9, "400 days")]
)
def test_the_event_says_for_how_long(scan: Scan, days: float, said: str) -> None:
    scan.add("a")
    lose(scan, "a")
    purge(scan, days=days)
    assert scan.new_events()[-1].evidence == f"missing for {said}"


def test_the_longest_missing_go_first_and_no_more_than_asked(scan: Scan) -> None:
    scan.add("a", "b", "c")
    for path in ("c", "a", "b"):
        lose(scan, path)
    assert [purge(scan, limit=2), purge(scan, limit=2), purge(scan, limit=2)] == [["c", "a"], ["b"], []]


def test_other_libraries_keep_their_missing_files(scan: Scan, other: Scan) -> None:
    for one in (scan, other):
        one.add("a")
        lose(one, "a")
    assert purge(scan) == ["a"]
    assert all_paths(other) == ["a"]


def test_a_displaced_file_goes_and_the_one_at_its_path_stays(scan: Scan) -> None:
    files = scan.add("from", "to")
    scan.write(moves=[moved(files["from"], "to")])
    assert purge(scan) == ["to"]
    assert [file.file_id for file in scan.known()] == [files["from"].file_id]


def test_a_file_that_a_scan_has_restored_stays(scan: Scan) -> None:
    scan.add("a")
    lose(scan, "a")
    scan.write(upserts=[upsert("a", number=5)])
    assert purge(scan) == []
    assert all_paths(scan) == ["a"]


def test_while_a_scan_runs_nothing_is_purged(scan: Scan) -> None:
    # It may have seen that a missing file is back, and would store the folder as done without the row.
    scan.add("a")
    lose(scan, "a")
    with pytest.raises(LibraryAlreadyScanning):
        scan.db.library_files.purge_missing("music", before=scan.now, now=scan.now, limit=9)
    assert all_paths(scan) == ["a"]
    give_lease_back(scan)
    assert scan.db.library_files.purge_missing("music", before=scan.now, now=scan.now, limit=9) == ["a"]


def test_a_move_of_a_purged_file_is_lost(scan: Scan) -> None:
    files = scan.add("a")
    lose(scan, "a")
    purge(scan)
    assert scan.write(moves=[moved(files["a"], "b")]).lost_moves == (files["a"].file_id,)


def test_what_enrichment_found_goes_along_and_covers_become_loose(scan: Scan) -> None:
    scan.add("a", "b")
    for path, cover_id in (("a", "cover-a"), ("b", "cover-b")):
        enrich(scan, path, cover_id)
    file_id = scan.files()["a"].file_id
    lose(scan, "a")
    purge(scan)
    enrichment = scan.db.enrichment
    assert enrichment.sounds_of([file_id]) == []
    assert enrichment.covers_in_use(["cover-a", "cover-b"]) == {"cover-b"}
    assert enrichment.loose_covers(limit=9) == ["cover-a"]
    assert scan.db.check_integrity() == []


def test_playlists_forget_it_and_mean_the_next_file_at_its_path(scan: Scan) -> None:
    files = scan.add("a", "b")
    scan.write(playlists=[playlist("list.m3u", "a", "b")])
    scan.db.library_sidecars.resolve_entries(scan.lease, now=scan.now)
    lose(scan, "a")
    purge(scan)

    def meant() -> list[str | None]:
        (found,) = scan.db.library_sidecars.playlists("music")
        return [entry.file_id for entry in found.entries]

    assert meant() == [None, files["b"].file_id]
    again = scan.add("a")["a"].file_id
    assert scan.db.library_sidecars.resolve_entries(scan.lease, now=scan.now) == 1
    assert meant() == [again, files["b"].file_id]


def test_exactly_those_that_are_due_go(any_database: Database) -> None:
    @settings(max_examples=examples(any_database.location, 100))
    @given(since=st.lists(st.integers(0, 20), max_size=12), before=st.integers(0, 20), limit=st.integers(1, 5))
    def story(since: list[int], before: int, limit: int) -> None:
        assert_those_go_that_are_due(any_database, since, before, limit)

    story()


def assert_those_go_that_are_due(db: Database, since: list[int], before: int, limit: int) -> None:
    scan = start_scan(db, fresh_id())
    paths = {f"{number}": START + 100 + seconds for number, seconds in enumerate(since)}
    files = scan.add(*paths) if paths else {}
    for path, when in sorted(paths.items(), key=lambda one: one[1]):
        scan.now = when - 1
        scan.write(gone=[gone(files[path])])
    scan.now = START + 1000
    purged: list[str] = []
    while some := purge(scan, before=START + 100 + before, limit=limit):
        assert len(some) <= limit
        purged += some
    assert sorted(purged) == sorted(path for path, when in paths.items() if when <= START + 100 + before)
    assert set(all_paths(scan)) == set(paths) - set(purged)


# -- moves ----------------------------------------------------------------------------------------------------


def move(scan: Scan, from_path: str, to_path: str) -> int:
    """The number of the move's event."""
    scan.write(moves=[moved(scan.files()[from_path], to_path)])
    return scan.db.events.moves(limit=1)[0].seq


def undo(scan: Scan, seq: int) -> str | None:
    """The id of the new file; None if it is gone."""
    scan.now += 1
    dead = [str(owner()), str(owner("two"))]
    return scan.db.library_files.undo_move(seq, fresh_id(), now=scan.now, dead_owners=dead).new_file_id


def test_moves_are_listed_newest_first_with_where_they_came_from(scan: Scan, other: Scan) -> None:
    scan.add("a", "b", "c")
    file = scan.files()["c"]
    first, second = move(scan, "a", "Rock/a"), move(scan, "b", "renamed")
    other.write(moves=[moved(file, "c")])
    found = scan.db.events.moves()
    assert [(event.seq, event.old_library_id, event.old_path) for event in found[1:]] == [
        (second, "music", "b"),
        (first, "music", "a"),
    ]
    assert (found[0].old_library_id, found[0].library_id, found[0].old_path) == ("music", "other", "c")
    assert [len(scan.db.events.moves(library_id)) for library_id in ("music", "other", "none")] == [3, 1, 0]
    assert scan.db.events.moves(limit=1) == found[:1]


def test_events_of_other_kinds_come_from_nowhere(scan: Scan) -> None:
    scan.add("a")
    lose(scan, "a")
    assert {(event.old_library_id, event.old_path) for event in scan.new_events()} == {(None, None)}


def test_after_an_undo_each_path_has_its_own_file_again(scan: Scan) -> None:
    file_id = scan.add("a")["a"].file_id
    first_seen = scan.record("a").first_seen_at
    enrich(scan, "a", "cover")
    seq = move(scan, "a", "b")
    before = scan.record("b")
    scan.told()
    new_id = undo(scan, seq)

    old, new = scan.record("a"), scan.record("b")
    assert (old.file_id, old.missing_since, old.first_seen_at) == (file_id, scan.now, first_seen)
    assert (old.inode, old.size, old.audio_hash, old.cover_id, old.tags.title) == (0, 0, None, None, None)
    assert (new.file_id, new.missing_since, new.first_seen_at) == (new_id, None, scan.now)
    assert (new.inode, new.size, new.tags) == (before.inode, before.size, before.tags)
    assert (new.audio_hash, new.cover_id, new.processing_status) == ("a" * 32, "cover", "complete")
    assert [sound.file.file_id for sound in scan.db.enrichment.sounds_of([file_id, new.file_id])] == [new_id]
    events = scan.new_events()
    assert [(event.type, event.path, event.file_id, event.evidence) for event in events] == [
        (EventType.MISSING, "a", file_id, "move undone"),
        (EventType.CREATED, "b", new_id, "move undone"),
    ]
    assert scan.db.check_integrity() == []


def test_a_file_goes_back_to_the_library_that_it_came_from(scan: Scan, other: Scan) -> None:
    file = scan.add("a")["a"]
    other.write(moves=[moved(file, "b")])
    undo(other, scan.db.events.moves()[0].seq)
    assert scan.by_id()[file.file_id].path == "a"
    assert [(row.path, row.is_present) for row in other.known()] == [("b", True)]


def test_where_another_file_stands_the_one_that_comes_back_is_displaced(scan: Scan) -> None:
    file_id = scan.add("a")["a"].file_id
    seq = move(scan, "a", "b")
    scan.write(upserts=[upsert("a", number=77)])
    undo(scan, seq)
    row = scan.by_id()[file_id]
    assert (row.path, row.displaced, row.is_present) == ("a", True, False)
    assert scan.files()["a"].stat == stat(77)


def test_a_file_that_comes_back_to_the_old_path_has_its_id_again(scan: Scan) -> None:
    file_id = scan.add("a")["a"].file_id
    undo(scan, move(scan, "a", "b"))
    scan.write(upserts=[upsert("a", number=50)])
    assert (scan.record("a").file_id, scan.record("a").missing_since) == (file_id, None)


def test_if_the_other_file_is_gone_as_well_nothing_stays_of_it(scan: Scan) -> None:
    file_id = scan.add("a")["a"].file_id
    enrich(scan, "a", "cover")
    seq = move(scan, "a", "b")
    lose(scan, "b")
    scan.told()
    assert undo(scan, seq) is None
    assert [(row.file_id, row.path) for row in scan.known()] == [(file_id, "a")]
    assert scan.told() == [("missing", "a")]
    assert scan.db.enrichment.loose_covers(limit=9) == ["cover"]


def test_a_purge_waits_for_the_file_that_went_back(scan: Scan) -> None:
    scan.add("a")
    seq = move(scan, "a", "b")
    undo(scan, seq)
    assert purge(scan, before=scan.now - 1) == []
    assert purge(scan, before=scan.now) == ["a"]


def test_playlists_mean_the_file_whose_path_they_name(scan: Scan) -> None:
    file_id = scan.add("a")["a"].file_id
    scan.write(playlists=[playlist("list.m3u", "a", "b")])
    scan.db.library_sidecars.resolve_entries(scan.lease, now=scan.now)
    seq = move(scan, "a", "b")
    scan.db.library_sidecars.resolve_entries(scan.lease, now=scan.now)
    new_id = undo(scan, seq)
    (found,) = scan.db.library_sidecars.playlists("music")
    assert [entry.file_id for entry in found.entries] == [file_id, new_id]


def test_only_the_last_move_of_a_file_can_be_undone(scan: Scan) -> None:
    scan.add("a")
    file_id = scan.files()["a"].file_id
    first, second, third = move(scan, "a", "b"), move(scan, "b", "c"), move(scan, "c", "d")
    for seq in (first, second):
        with pytest.raises(MoveCannotBeUndone) as error:
            undo(scan, seq)
        assert error.value.later_seq == third
    new_id = undo(scan, third)
    assert [undo(scan, second), undo(scan, first)] == [None, None]
    assert sorted((row.path, row.file_id) for row in scan.known()) == [("a", file_id), ("d", new_id)]
    for seq in (first, second, third):
        with pytest.raises(MoveCannotBeUndone) as error:
            undo(scan, seq)
        assert error.value.later_seq is None


def test_a_move_is_undone_once(scan: Scan) -> None:
    scan.add("a")
    seq = move(scan, "a", "b")
    undo(scan, seq)
    with pytest.raises(MoveCannotBeUndone) as error:
        undo(scan, seq)
    assert error.value.later_seq is None


@pytest.mark.parametrize("seq", [1, 2, 4711, -1])
def test_what_is_no_move_is_not_found(scan: Scan, seq: int) -> None:
    scan.add("a")
    lose(scan, "a")
    with pytest.raises(MoveNotFound):
        undo(scan, seq)


def test_a_file_of_a_library_that_was_removed_can_not_go_back(scan: Scan, other: Scan) -> None:
    other.write(moves=[moved(scan.add("a")["a"], "b")])
    seq = other.db.events.moves()[0].seq
    scan.db.library.remove_library("music")
    # The feed has forgotten where it came from.
    with pytest.raises(MoveNotFound):
        undo(other, seq)


@pytest.mark.parametrize("busy", ["music", "other"])
def test_while_one_of_the_libraries_is_scanned_nothing_is_undone(scan: Scan, other: Scan, busy: str) -> None:
    other.write(moves=[moved(scan.add("a")["a"], "b")])
    give_lease_back(other if busy == "music" else scan)
    before = other.known()
    with pytest.raises(LibraryAlreadyScanning) as error:
        scan.db.library_files.undo_move(scan.db.events.moves()[0].seq, fresh_id(), now=other.now)
    assert error.value.name == busy.title()
    assert other.known() == before
