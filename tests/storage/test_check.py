"""What a look at all contents finds in each backend, and what it repairs."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from copy_kit import fill
from storage_kit import START, folder, owner, start_scan, store, take_lease
from support.arango import ArangoDouble

from nomarr.components.media.cover_store_comp import CoverStore
from nomarr.helpers.dto.enrichment import Enrichment, EnrichmentUpdate, ProcessingStatus
from nomarr.helpers.dto.scan import ScanRunState
from nomarr.helpers.dto.stored import FindingKind, RowProgress, StoredTable
from nomarr.helpers.exceptions import DatabaseError, EnrichmentBusy
from nomarr.persistence.db import Database
from nomarr.persistence.stored_rows import stored_values
from nomarr.services.infrastructure.integrity_svc import IntegrityService
from nomarr.workflows.library.copy_database_wf import copy_database_workflow

NOW = START + 1e6
COVER = "0123456789abcdef" * 2
NO_COVER = "../../etc/passwd"


@pytest.fixture
def covers(tmp_path: Path) -> CoverStore:
    return CoverStore(tmp_path / "covers")


@pytest.fixture
def integrity(db: Database, covers: CoverStore) -> IntegrityService:
    return IntegrityService(db, covers, clock=lambda: NOW)


@pytest.fixture
def double() -> Iterator[ArangoDouble]:
    """A server whose documents can be damaged."""
    with ArangoDouble() as running:
        yield running


@pytest.fixture
def tidy(db: Database) -> Database:
    """A library with two files in a folder, of which nothing is wrong."""
    scan = start_scan(db)
    scan.write(folders=[folder("")])
    scan.add("Rock/a", "Rock/b")
    db.library.mark_scan_completed(scan.lease, ScanRunState.COMPLETED, now=scan.now, report=None)
    return db


async def found(integrity: IntegrityService, *, repair: bool = False) -> dict[FindingKind, int]:
    check = await integrity.check(repair=repair)
    assert all(finding.meaning and finding.remedy and finding.examples for finding in check.findings)
    return {finding.kind: finding.count for finding in check.findings if not finding.repaired}


def change(db: Database, table: StoredTable, number: int = 0, **values: object) -> None:
    """Add a copy of a row with other values."""
    row = stored_values(db.rows.page(table, "", limit=9)[number].content)
    db.rows.put(table, [json.dumps(row | values)])


def move_event_counter(db: Database, seq: int) -> None:
    db.rows.put(StoredTable.COUNTERS, [json.dumps({"name": "events", "value": seq})])


async def test_nothing_is_found_where_nothing_is_wrong(tidy: Database, integrity: IntegrityService) -> None:
    told: list[RowProgress] = []
    check = await integrity.check(on_progress=told.append)
    assert (check.findings, check.is_consistent, check.in_use) == ((), True, False)
    assert (told[-1].rows_done, told[-1].rows_total) == (check.rows, check.rows)


async def test_what_scans_leave_is_consistent(db: Database, integrity: IntegrityService) -> None:
    fill(db)
    # A scan that was interrupted, and a cover that only its file tells of.
    assert await found(integrity) == {FindingKind.COVER_MISSING: 1, FindingKind.LEASE_STANDS_STILL: 1}


def lonely_folder(db: Database) -> None:
    change(db, StoredTable.FOLDERS, path="Jazz/Live")


def lonely_file(db: Database) -> None:
    change(db, StoredTable.FILES, file_id="lonely", path="Jazz/a")


def link_to_nothing(db: Database) -> None:
    row = {"library_id": "music", "path": "list.m3u", "kind": "playlist", "error": None}
    row |= dict.fromkeys(("size", "mtime_ns", "ctime_ns", "inode"), 1)
    entries = [["a", "music", "Rock/a", "nothing"], ["b", None, None, None]]
    db.rows.put(StoredTable.SIDECARS, [json.dumps(row | {"entries": entries})])


def endless_run(db: Database) -> None:
    change(db, StoredTable.SCAN_RUNS, scan_id="endless", state="running")


def early_counter(db: Database) -> None:
    move_event_counter(db, 1)


def lost_lease(db: Database) -> None:
    take_lease(db, now=START + 100)


def lease_of_a_wrong_clock(db: Database) -> None:
    take_lease(db, now=NOW, lease_seconds=1e6)


@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        (lonely_folder, FindingKind.FOLDER_WITHOUT_PARENT),
        (lonely_file, FindingKind.FILE_WITHOUT_FOLDER),
        (link_to_nothing, FindingKind.PLAYLIST_LINK_TO_NOTHING),
        (endless_run, FindingKind.RUN_WITHOUT_END),
        (early_counter, FindingKind.EVENT_BEYOND_COUNTER),
        (lost_lease, FindingKind.LEASE_STANDS_STILL),
        (lease_of_a_wrong_clock, FindingKind.LEASE_STANDS_STILL),
    ],
)
async def test_damage_is_found(
    tidy: Database, integrity: IntegrityService, damage: Callable[[Database], None], kind: FindingKind
) -> None:
    damage(tidy)
    assert await found(integrity) == {kind: 1}


async def test_a_scan_repairs_folders_that_are_not_known(tidy: Database, integrity: IntegrityService) -> None:
    lonely_file(tidy)
    lease = take_lease(tidy, now=NOW, token="next")
    assert lease is not None
    scan = start_scan(tidy, "other", token="other")
    scan.lease, scan.library_id, scan.now = lease, "music", NOW
    scan.write(folders=[folder("Jazz")])
    assert FindingKind.FILE_WITHOUT_FOLDER not in await found(integrity)


async def test_events_are_counted_on_from_the_highest(tidy: Database, integrity: IntegrityService) -> None:
    early_counter(tidy)
    assert await found(integrity, repair=True) == {}
    assert tidy.events.last_seq() == 2
    assert await found(integrity) == {}


async def test_rows_of_a_removed_library_are_found_and_removed(double: ArangoDouble, covers: CoverStore) -> None:
    with Database.open(double.database_url("orphans")) as db:
        fill(db)
        double.api.store.database("orphans").collection("libraries").truncate()
        integrity = IntegrityService(db, covers, clock=lambda: NOW)
        counts = await found(integrity)
        # The backend itself has noticed, too.
        assert counts.keys() == {FindingKind.ROW_WITHOUT_LIBRARY, FindingKind.BROKEN_STORAGE}
        assert counts[FindingKind.ROW_WITHOUT_LIBRARY] > 20
        await integrity.check(repair=True)
        assert await found(integrity) == {}


async def test_documents_of_another_form_are_found_and_not_copied(
    double: ArangoDouble, covers: CoverStore, tmp_path: Path
) -> None:
    with Database.open(double.database_url("damaged")) as db, Database.open(f"sqlite:///{tmp_path}/copy.db") as copy:
        scan = start_scan(db)
        scan.write(folders=[folder("")])
        scan.add("a", "b", "c")
        db.library.mark_scan_completed(scan.lease, ScanRunState.COMPLETED, now=scan.now, report=None)
        documents = [*double.api.store.database("damaged").collection("library_files").documents.values()]
        documents[0]["path"], documents[1]["size"] = None, "large"
        del documents[2]["file_id"]
        assert await found(IntegrityService(db, covers, clock=lambda: NOW)) == {FindingKind.UNREADABLE_ROW: 3}
        with pytest.raises(DatabaseError, match="3 rows of library_files"):
            await copy_database_workflow(db, copy, clock=lambda: NOW)


async def test_an_id_that_two_files_have_is_found(double: ArangoDouble, covers: CoverStore) -> None:
    with Database.open(double.database_url("twice")) as db:
        scan = start_scan(db)
        scan.add("a", "b")
        one, other = double.api.store.database("twice").collection("library_files").documents.values()
        other["file_id"] = one["file_id"]
        counts = await found(IntegrityService(db, covers, clock=lambda: scan.now))
        assert counts[FindingKind.FILE_ID_TWICE] == 1


async def test_rows_under_wrong_keys_are_found(tmp_path: Path, double: ArangoDouble, covers: CoverStore) -> None:
    file = tmp_path / "damaged.db"
    for url in (f"sqlite:///{file}", double.database_url("misfiled")):
        with Database.open(url) as db:
            scan = start_scan(db)
            scan.write(folders=[folder("")])
            scan.add("Rock/a", "Rock/b")
            db.library.mark_scan_completed(scan.lease, ScanRunState.COMPLETED, now=scan.now, report=None)
            if url.startswith("sqlite"):
                with closing(sqlite3.connect(file)) as damaged, damaged:
                    damaged.execute("UPDATE library_files SET folder = 'x' WHERE path = 'Rock/a'")
            else:
                documents = double.api.store.database("misfiled").collection("library_files").documents
                next(iter(documents.values()))["folder_key"] = "x"
            integrity = IntegrityService(db, covers, clock=lambda: NOW)
            assert await found(integrity) == {FindingKind.MISFILED_ROW: 1}


async def test_lost_covers_are_made_again_and_unused_ones_removed(
    tidy: Database, integrity: IntegrityService, covers: CoverStore
) -> None:
    record = tidy.library_files.find("music", "Rock/a")
    assert record is not None
    known = {file.file_id: file for file in tidy.library_files.in_folders("music", ["Rock"])}
    stat = known[record.file_id].stat
    done = EnrichmentUpdate(
        record.file_id, stat, ProcessingStatus.COMPLETE, due_at=None, found=Enrichment(stat, cover_id=COVER)
    )
    assert store(tidy, done)
    (covers.folder / "ff").mkdir(parents=True)
    (covers.folder / "ff" / ("f" * 32)).write_bytes(b"nobody's")
    wrong = {FindingKind.COVER_MISSING: 1, FindingKind.COVER_WITHOUT_FILE: 1}
    assert await found(integrity) == wrong
    assert await found(integrity, repair=True) == {}
    assert not (covers.folder / "ff" / ("f" * 32)).exists()
    jobs = {job.file_id: job for job in tidy.enrichment.next_jobs(now=NOW, limit=9)}
    job = jobs[record.file_id]
    assert job.known is not None
    assert job.known.hashed_stat != job.stat


async def test_a_cover_id_that_is_none_is_a_missing_cover(tidy: Database, integrity: IntegrityService) -> None:
    (file, _) = tidy.library_files.in_folders("music", ["Rock"])
    found_out = Enrichment(file.stat, cover_id=NO_COVER)
    update = EnrichmentUpdate(file.file_id, file.stat, ProcessingStatus.COMPLETE, due_at=None, found=found_out)
    assert store(tidy, update)
    assert await found(integrity) == {FindingKind.COVER_MISSING: 1}


async def test_while_a_scan_runs_nothing_is_repaired(tidy: Database, integrity: IntegrityService) -> None:
    early_counter(tidy)
    take_lease(tidy, now=NOW)
    check = await integrity.check(repair=True)
    assert check.in_use
    assert not check.is_consistent
    assert tidy.events.last_seq() == 1


async def test_while_another_process_enriches_nothing_is_repaired(tidy: Database, integrity: IntegrityService) -> None:
    early_counter(tidy)
    tidy.enrichment.take_lease(owner(), now=NOW, lease_seconds=60.0)
    assert (await integrity.check()).in_use
    with pytest.raises(EnrichmentBusy):
        await integrity.check(repair=True)
    assert tidy.events.last_seq() == 1
