"""What may be about every row is written in pieces: others get their turn in between, and no transaction is large."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from storage_kit import LATER, START, WISHES, Scan, folder, image, lose_lease, playlist, store, upsert
from support.written import Written, written_by

from nomarr.helpers.dto.enrichment import Enrichment, EnrichmentUpdate, ProcessingStatus
from nomarr.helpers.exceptions import LeaseLost
from nomarr.persistence.database import library_sidecars_operations
from nomarr.persistence.db import Database
from nomarr.persistence.embedded import library_operations
from nomarr.persistence.embedded import library_sidecars_operations as embedded_sidecars

PIECE = 3
FILES = [f"{name}/{number}" for name in "ab" for number in range(5)]
COVER = "1" * 32


@pytest.fixture
def written(request: pytest.FixtureRequest, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Written:
    """`written()` tells how many rows each transaction wrote since it was last asked; pieces are small ones."""
    monkeypatch.setattr(library_operations, "_FILES_REMOVED_AT_ONCE", PIECE)
    for sidecars in (library_sidecars_operations, embedded_sidecars):
        monkeypatch.setattr(sidecars, "_PLAYLISTS_AT_ONCE", PIECE)
    return written_by(request, database_url, monkeypatch, PIECE)


def enriched(scan: Scan, status: ProcessingStatus = ProcessingStatus.COMPLETE, **more: Any) -> None:
    """Store the outcome of enrichment for every file that is due."""
    for job in scan.db.enrichment.next_jobs(now=LATER, limit=1000):
        found = Enrichment(job.stat, "a" * 32, 5000, **more)
        failed = {"attempts": 1, "error": "broken"} if status is ProcessingStatus.ERROR else {}
        due_at = None if status is ProcessingStatus.COMPLETE else LATER * 2
        update = EnrichmentUpdate(job.file_id, job.stat, status, due_at, found, **failed)  # type: ignore[arg-type]
        assert store(scan.db, update)


@pytest.mark.parametrize(("wish", "status"), WISHES.items())
def test_what_is_wanted_of_every_file_is_written_in_pieces(
    written: Written, scan: Scan, wish: Callable[[Scan], int], status: ProcessingStatus
) -> None:
    scan.add(*FILES)
    enriched(scan, status)
    written()
    assert wish(scan) == len(FILES)
    assert written() == [3, 3, 3, 1]
    assert len(scan.db.enrichment.next_jobs(now=LATER, limit=100)) == len(FILES)
    assert wish(scan) == 0
    assert written() == []


def test_failed_files_of_one_library_alone_are_tried_again(written: Written, scan: Scan, other: Scan) -> None:
    for library in (scan, other):
        library.add(*FILES)
    enriched(scan, ProcessingStatus.ERROR)
    written()
    assert scan.db.enrichment.retry_failed(now=LATER, library_id="other") == len(FILES)
    assert written() == [3, 3, 3, 1]
    assert scan.db.enrichment.retry_failed(now=LATER) == len(FILES)


def test_old_events_are_forgotten_in_pieces(written: Written, scan: Scan) -> None:
    scan.add(*FILES)
    scan.add("young")
    written()
    scan.db.events.prune(before=scan.now)
    assert written() == [3, 3, 3, 1]
    assert [event.path for event in scan.db.events.after(0)] == ["young"]
    scan.db.events.prune(before=scan.now + 1)
    assert written() == [1]
    assert scan.db.events.after(0) == []


def test_a_cover_that_every_file_has_is_looked_for_in_pieces(written: Written, scan: Scan) -> None:
    scan.add(*FILES)
    enriched(scan, cover_id=COVER, fingerprint_seconds=1.0)
    written()
    scan.db.enrichment.look_for_covers_again([COVER, "2" * 32])
    # SQLite keeps what was found apart from the files.
    assert max(written()) <= 2 * PIECE
    assert len(scan.db.enrichment.next_jobs(now=LATER, limit=100)) == len(FILES)


@pytest.mark.parametrize("folders", [["a"], ["a", "b"]])
def test_covers_beside_many_files_are_looked_for_in_pieces(written: Written, scan: Scan, folders: list[str]) -> None:
    scan.add(*FILES, "a/below/c", "elsewhere")
    enriched(scan, cover_id=COVER, fingerprint_seconds=1.0)
    written()
    scan.db.library_sidecars.look_for_covers_in(scan.lease, folders, now=scan.now)
    # SQLite keeps what was found apart from the files.
    assert max(written()) <= 2 * PIECE
    due = scan.db.enrichment.next_jobs(now=LATER, limit=100)
    assert sorted(job.path for job in due) == [path for path in FILES if path[0] in folders]
    assert all(job.known is not None and job.known.is_of(job.stat) for job in due)


def test_whoever_lost_the_lease_looks_for_no_covers(written: Written, scan: Scan) -> None:
    scan.add(*FILES)
    enriched(scan, cover_id=COVER)
    lose_lease(scan)
    written()
    with pytest.raises(LeaseLost):
        scan.db.library_sidecars.look_for_covers_in(scan.lease, ["a"], now=scan.now)
    assert written() == []
    assert scan.db.enrichment.next_jobs(now=LATER, limit=100) == []


def test_covers_that_are_still_in_use_are_looked_at_in_pieces(written: Written, scan: Scan) -> None:
    scan.add(*FILES)
    due = {job.path: job for job in scan.db.enrichment.next_jobs(now=LATER, limit=100)}

    def give(path: str, cover: str) -> None:
        found = Enrichment(due[path].stat, "a" * 32, 5000, cover_id=cover * 32)
        update = EnrichmentUpdate(due[path].file_id, due[path].stat, ProcessingStatus.COMPLETE, None, found)
        assert store(scan.db, update)

    for path in FILES:
        give(path, path[-1])
    for path in (*FILES[:5], "b/1", "b/4"):
        give(path, "f")
    written()
    enrichment = scan.db.enrichment
    assert sorted(enrichment.loose_covers(limit=100)) == [cover * 32 for cover in "01234"]
    assert enrichment.unused_covers(limit=1) == ["1" * 32]
    assert sorted(enrichment.unused_covers(limit=100)) == ["1" * 32, "4" * 32]
    assert sum(counts := written()) == 3
    assert max(counts) <= PIECE
    assert sorted(enrichment.loose_covers(limit=100)) == ["1" * 32, "4" * 32]


def test_a_library_is_removed_in_pieces(written: Written, scan: Scan, other: Scan) -> None:
    for library in (scan, other):
        library.add(*FILES)
        library.write(
            folders=[folder(name) for name in ("", *"abcdefgh")],
            images=[image(f"{name}.jpg") for name in "abcdefgh"],
            playlists=[playlist("p.m3u", *FILES, library_id=library.library_id)],
        )
    enriched(scan, cover_id=COVER)
    kept = other.known()
    written()
    scan.db.library.remove_library("music")
    # With a file SQLite removes what was found of it, whose cover becomes loose; with a playlist its entries.
    assert max(written()) <= max(3 * PIECE, PIECE + len(FILES))
    assert (scan.known(), scan.folders(), scan.db.library_sidecars.below("music", "")) == ([], set(), [])
    assert scan.db.enrichment.loose_covers(limit=10) == [COVER]
    assert other.known() == kept
    assert scan.db.check_integrity() == []


def test_a_library_may_be_removed_twice_and_by_two(written: Written, scan: Scan, database_url: str) -> None:
    scan.add(*FILES)
    with Database.open(database_url) as theirs:
        assert theirs.library.get_library("music", START) is not None
        scan.db.library.remove_library("music")
        theirs.library.remove_library("music")
        with pytest.raises(LeaseLost):
            scan.write(upserts=[upsert("new")])
    assert scan.known() == []
    assert scan.db.check_integrity() == []


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_rows_of_a_library_that_nobody_removed_are_found_and_removed(scan: Scan, database_url: str) -> None:
    scan.add(*FILES)
    with closing(sqlite3.connect(database_url.removeprefix("sqlite:///"))) as raw, raw:
        raw.execute("DELETE FROM libraries")
    assert scan.db.check_integrity() == [
        f"{count} rows of {table} belong to the library music, which is not there"
        for table, count in (("library_files", 10), ("library_folders", 3), ("scan_runs", 1))
    ]
    scan.db.library.remove_library("music")
    assert (scan.known(), scan.db.check_integrity()) == ([], [])


def test_entries_of_playlists_are_resolved_in_pieces(written: Written, scan: Scan) -> None:
    scan.write(playlists=[playlist(f"{number}.m3u", "a/0", "b/1", "nowhere") for number in range(10)])
    scan.add(*FILES)
    written()
    assert scan.db.library_sidecars.resolve_entries(scan.lease, now=scan.now) == 20
    # ArangoDB writes playlists and the library, whose fence it checks; SQLite writes entries.
    assert max(written()) <= 2 * PIECE
    resolved = [
        [entry.file_id is not None for entry in one.entries] for one in scan.db.library_sidecars.playlists("music")
    ]
    assert resolved == [[True, True, False]] * 10
    assert scan.db.library_sidecars.resolve_entries(scan.lease, now=scan.now) == 0
    assert written() == []


def test_whoever_lost_the_lease_resolves_no_further_piece(written: Written, scan: Scan) -> None:
    scan.write(playlists=[playlist(f"{number}.m3u", "a/0") for number in range(10)])
    scan.add(*FILES)
    lose_lease(scan)
    written()
    with pytest.raises(LeaseLost):
        scan.db.library_sidecars.resolve_entries(scan.lease, now=scan.now)
    assert written() == []
