"""A library whose removal was begun is shown to nobody, and whoever goes on with it finishes it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from copy_kit import digests
from storage_kit import START, Scan, folder, give_lease_back, moved, playlist, start_scan, store
from support.arango import ArangoDouble
from support.arango.faults import UNIQUE, no_faults
from support.backends import fresh_name, sqlite_url

from nomarr.components.media.cover_store_comp import CoverStore
from nomarr.helpers.dto.enrichment import DueWork, Enrichment, EnrichmentJob, EnrichmentUpdate, ProcessingStatus
from nomarr.helpers.dto.events import EventType
from nomarr.helpers.dto.file_pages import FileQuery
from nomarr.helpers.dto.stored import FindingKind, StoredTable
from nomarr.helpers.exceptions import DatabaseError, MoveCannotBeUndone
from nomarr.persistence.db import Database
from nomarr.services.infrastructure.integrity_svc import IntegrityService
from nomarr.workflows.library.copy_database_wf import copy_database_workflow

LATER = START + 1000.0
HASH = "a" * 32
COVER = "1" * 32

BreakOff = Callable[..., None]


@pytest.fixture
def break_off(request: pytest.FixtureRequest, database_url: str) -> BreakOff:
    """`break_off(scan)` removes the library and fails before the first of its files is gone; with `at_end` after all
    that it had, but before the removal is over."""
    if database_url.startswith("sqlite"):
        return partial(_break_off_in_file, database_url.removeprefix("sqlite:///"))
    server = request.getfixturevalue("arango_server")
    if not isinstance(server, ArangoDouble):
        pytest.skip("a real server does not fail when it is told to")
    return partial(_break_off_on, server)


def _break_off_in_file(file: str, scan: Scan, *, at_end: bool = False) -> None:
    table = "settings" if at_end else "library_files"
    with closing(sqlite3.connect(file)) as raw:
        raw.execute(f"CREATE TRIGGER fails BEFORE DELETE ON {table} BEGIN SELECT RAISE(ABORT, 'no'); END")
        with pytest.raises(DatabaseError):
            scan.db.library.remove_library(scan.library_id)
        raw.execute("DROP TRIGGER fails")


def _break_off_on(server: ArangoDouble, scan: Scan, *, at_end: bool = False) -> None:
    step = b"REMOVE m IN meta" if at_end else b"doomed"
    server.faults = lambda request: UNIQUE if step in request.body else None
    try:
        with pytest.raises(DatabaseError):
            scan.db.library.remove_library(scan.library_id)
    finally:
        server.faults = no_faults


@pytest.fixture
def filled(scan: Scan, other: Scan) -> Scan:
    """The libraries "music" and "other" with the same two files, of which one is heard and one failed."""
    for library in (scan, other):
        library.add("x/heard", "x/failed")
        library.write(folders=[folder(""), folder("x")], playlists=[playlist("p.m3u", "x/heard")])
        for job in scan.db.enrichment.next_jobs(now=LATER, limit=9, library_id=library.library_id):
            store(scan.db, _outcome(job))
        give_lease_back(library)
    return scan


def _outcome(job: EnrichmentJob) -> EnrichmentUpdate:
    if job.path == "x/failed":
        return EnrichmentUpdate(job.file_id, job.stat, ProcessingStatus.ERROR, LATER * 2, error="broken", attempts=1)
    found = Enrichment(job.stat, HASH, 5000, cover_id=COVER)
    return EnrichmentUpdate(job.file_id, job.stat, ProcessingStatus.ART_DONE, START, found)


def libraries_shown(db: Database) -> dict[str, set[str]]:
    """Everything that is asked of all libraries, and of which of them the answers are."""
    jobs = db.enrichment.next_jobs(now=LATER, limit=9)
    return {
        "libraries": {library.library_id for library in db.library.list_libraries(LATER)},
        "runs": {run.library_id for run in db.scan_runs.list_runs()},
        "page": {file.library_id for file in db.library_files.page(FileQuery(), after=None, limit=9).files},
        "inodes": {file.library_id for file in db.library_files.with_inodes(range(1, 9))},
        "jobs": {job.library_id for job in jobs},
        "failed": {file.library_id for file in db.enrichment.failed_files(limit=9)},
        "bytes": {sound.file.library_id for sound in db.enrichment.with_audio_bytes([5000])},
        "hashes": {sound.file.library_id for sound in db.enrichment.with_audio_hashes([HASH], at_most=9)},
    }


def test_what_is_left_is_shown_to_nobody(filled: Scan, break_off: BreakOff) -> None:
    db = filled.db
    known = filled.files()
    assert set(map(frozenset, libraries_shown(db).values())) == {frozenset({"music", "other"})}
    break_off(filled)
    assert filled.known() != []
    assert db.library.unfinished_removals() == ["music"]
    assert set(map(frozenset, libraries_shown(db).values())) == {frozenset({"other"})}
    assert db.enrichment.due_work(now=LATER) == DueWork(sound=1, failed=1, later=1, next_due_at=LATER * 2)
    assert db.enrichment.retry_failed(now=LATER) == 1
    heard = known["x/heard"].file_id
    assert (db.library_files.get(heard), db.enrichment.sounds_of([heard])) == (None, [])
    assert db.check_integrity() == []


def test_a_removal_that_was_begun_goes_on_when_it_is_called_again(filled: Scan, break_off: BreakOff) -> None:
    break_off(filled)
    filled.db.library.remove_library("music")
    assert filled.db.library.unfinished_removals() == []
    assert (filled.known(), filled.folders(), filled.db.library_sidecars.below("music", "")) == ([], set(), [])
    assert filled.db.scan_runs.list_runs("music") == []
    assert filled.db.rows.count(StoredTable.FILES) == 2


def test_a_removal_that_goes_well_leaves_no_mark(filled: Scan) -> None:
    filled.db.library.remove_library("music")
    assert filled.db.library.unfinished_removals() == []


def test_the_feed_forgets_it_too(filled: Scan, other: Scan) -> None:
    """And goes on to tell all of the other libraries, with the same numbers."""
    before = filled.db.events.after(0)
    theirs = [event for event in before if event.library_id == "other"]
    assert len(theirs) < len(before)
    filled.db.library.remove_library("music")
    assert filled.db.events.after(0) == theirs
    assert filled.db.events.last_seq() == before[-1].seq


def test_what_moved_to_and_fro_is_told_of_the_other_library_alone(scan: Scan, other: Scan) -> None:
    """Whoever follows the feed of the other library still hears which files are in it."""
    went = scan.add("went\udcff")["went\udcff"]
    came, stays = (other.add("came\udcff", "stays")[path] for path in ("came\udcff", "stays"))
    other.write(moves=[moved(went, "new")])
    scan.write(moves=[moved(came, "private")])
    other.write(moves=[moved(stays, "renamed")])
    give_lease_back(scan)
    scan.db.library.remove_library("music")
    told = [
        (event.type, event.library_id, event.file_id, event.path, event.old_path, event.old_library_id, event.evidence)
        for event in scan.db.events.after(0)
        if event.type is not EventType.MODIFIED
    ]
    *_, rename = told
    assert told == [
        (EventType.CREATED, "other", came.file_id, "came\udcff", None, None, None),
        (EventType.CREATED, "other", stays.file_id, "stays", None, None, None),
        (EventType.CREATED, "other", went.file_id, "new", None, None, None),
        (EventType.REMOVED, "other", came.file_id, "came\udcff", None, None, None),
        (EventType.RENAMED, "other", stays.file_id, "renamed", "stays", "other", rename[-1]),
    ]
    assert [move.file_id for move in scan.db.events.moves()] == [stays.file_id]
    assert scan.db.check_integrity() == []


def test_the_mark_is_no_setting(filled: Scan, break_off: BreakOff) -> None:
    break_off(filled)
    assert filled.db.rows.count(StoredTable.SETTINGS) == 0
    assert filled.db.rows.page(StoredTable.SETTINGS, "", limit=9) == []


def test_a_move_out_of_a_library_that_is_being_removed_can_not_be_undone(
    scan: Scan, other: Scan, break_off: BreakOff
) -> None:
    known = scan.add("a", "stays")
    other.write(moves=[moved(known["a"], "b")])
    give_lease_back(scan)
    give_lease_back(other)
    seq = scan.db.events.last_seq()
    break_off(scan)
    with pytest.raises(MoveCannotBeUndone, match="was removed"):
        scan.db.library_files.undo_move(seq, "f" * 32, now=LATER)


def test_a_move_into_a_library_that_is_being_removed_can_not_be_undone(
    scan: Scan, other: Scan, break_off: BreakOff
) -> None:
    known = other.add("a")
    scan.write(moves=[moved(known["a"], "b")])
    give_lease_back(scan)
    give_lease_back(other)
    seq = scan.db.events.last_seq()
    break_off(scan)
    with pytest.raises(MoveCannotBeUndone, match="not at b any more"):
        scan.db.library_files.undo_move(seq, "f" * 32, now=LATER)
    assert scan.db.events.last_seq() == seq


@pytest.mark.parametrize("backend", ["sqlite", "arangodb"])
async def test_a_copy_leaves_out_what_is_being_removed(
    filled: Scan, break_off: BreakOff, arango_server: ArangoDouble, tmp_path: Path, backend: str
) -> None:
    break_off(filled)
    name = fresh_name()
    url = sqlite_url(tmp_path / f"{name}.db") if backend == "sqlite" else arango_server.database_url(name)
    with Database.open(url) as target:
        await copy_database_workflow(filled.db, target, clock=lambda: LATER)
        assert filled.db.library.unfinished_removals() == []
        assert target.rows.count(StoredTable.FILES) == 2
        assert digests(target) == digests(filled.db)


async def test_a_copy_is_not_hidden_by_what_was_removed_before(scan: Scan, break_off: BreakOff, tmp_path: Path) -> None:
    give_lease_back(scan)
    with Database.open(sqlite_url(tmp_path / "source.db")) as source:
        give_lease_back(start_scan(source))
        break_off(scan, at_end=True)
        assert scan.db.library.unfinished_removals() == ["music"]
        await copy_database_workflow(source, scan.db, clock=lambda: LATER)
    assert [library.library_id for library in scan.db.library.list_libraries(LATER)] == ["music"]
    assert scan.db.library.unfinished_removals() == []


async def test_a_check_says_what_it_is(filled: Scan, break_off: BreakOff, tmp_path: Path) -> None:
    covers = CoverStore(tmp_path / "covers")
    integrity = IntegrityService(filled.db, covers, clock=lambda: LATER)

    async def found(*, repair: bool = False) -> set[FindingKind]:
        check = await integrity.check(repair=repair)
        return {finding.kind for finding in check.findings if not finding.repaired}

    before = await found()
    break_off(filled)
    assert await found() == before | {FindingKind.REMOVAL_UNFINISHED}
    assert FindingKind.REMOVAL_UNFINISHED not in await found(repair=True)
    assert filled.known() == []
    assert filled.db.library.unfinished_removals() == []
