"""Copies of whole databases, from each backend into each: equal, resumable, and never over something else."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
from copy_kit import ODD, digests, everything, fill
from storage_kit import START, owner, start_scan, take_lease, upsert
from support.arango import ArangoDouble
from support.arango.faults import CONFLICT, UNAVAILABLE, AtRandom, LostAnswer, ResetBefore, TruncatedJson, no_faults
from support.backends import BACKENDS, Server, create, fresh_name, sqlite_url

from nomarr.helpers.dto.library import Library
from nomarr.helpers.dto.scan import ScanRunState
from nomarr.helpers.dto.stored import CopyReport, RowProgress, RowStep, StoredTable
from nomarr.helpers.exceptions import (
    CopyDiffers,
    CopyTargetNotEmpty,
    DatabaseError,
    DatabaseInUse,
    DatabaseNotReachable,
    UnfinishedCopy,
)
from nomarr.helpers.time_helper import system_clock
from nomarr.persistence.db import Database
from nomarr.persistence.stored_rows import stored_values
from nomarr.services.infrastructure.database_copy_svc import copy_database
from nomarr.workflows.library.copy_database_wf import copy_database_workflow

NewUrl = Callable[[str], str]


@pytest.fixture
def new_url(arango_server: Server, tmp_path: Path) -> NewUrl:
    """`new_url("sqlite")` is a database that is not there yet."""

    def make(backend: str) -> str:
        name = fresh_name()
        return sqlite_url(tmp_path / f"{name}.db") if backend == "sqlite" else arango_server.database_url(name)

    return make


@pytest.fixture
def source(request: pytest.FixtureRequest, database_url: str) -> str:
    """A database with something of everything."""
    if database_url.startswith("arangodb"):
        create(request.getfixturevalue("arango_server"), database_url)
    with Database.open(database_url) as db:
        fill(db)
    return database_url


def clock() -> float:
    return START + 1e6


async def copy_by_few(
    source: str, target: str, on_progress: Callable[[RowProgress], None] = lambda _: None
) -> CopyReport:
    """A copy in more steps than so few rows would need."""
    with Database.open(source) as db, Database.open(target, unfinished=True) as copy:
        return await copy_database_workflow(db, copy, clock=clock, on_progress=on_progress, rows_at_once=3)


class Ended(Exception):
    """Whatever ends a process."""


def ends_after(told: int) -> Callable[[RowProgress], None]:
    """Ends the copy when it tells of its progress for the so-many-th time."""
    left = itertools.count(told, -1)

    def listen(_: RowProgress) -> None:
        if next(left) == 0:
            raise Ended

    return listen


@pytest.mark.parametrize("backend", BACKENDS)
async def test_a_copy_holds_the_same_and_the_original_is_as_it_was(source: str, new_url: NewUrl, backend: str) -> None:
    target = new_url(backend)
    with Database.open(source) as db:
        before = everything(db)
        rows = digests(db)
    report = await copy_database(source, target, clock=clock)
    assert (list(report.tables), report.resumed) == (rows, False)
    assert all(table.rows for table in report.tables)
    with Database.open(source) as db, Database.open(target) as copy:
        assert everything(copy) == before == everything(db)


@pytest.mark.parametrize("backend", BACKENDS)
async def test_a_scan_goes_on_in_the_copy(source: str, new_url: NewUrl, backend: str) -> None:
    target = new_url(backend)
    await copy_database(source, target, clock=clock)
    with Database.open(target) as db:
        last = db.events.last_seq()
        lease = take_lease(db, "music", token="next", now=clock())
        assert lease is not None
        scan = start_scan(db, "third", token="third")
        scan.lease = lease
        scan.library_id, scan.now = "music", clock()
        known = {file.path: file for file in scan.known() if not file.displaced}
        place = f"{ODD}/2/0"
        scan.write(upserts=[upsert("new"), upsert(place, number=99, file_id=known[place].file_id)])
        assert [(event.seq, str(event.type)) for event in db.events.after(last)] == [
            (last + 1, "created"),
            (last + 2, "modified"),
        ]
        assert scan.files()[place].file_id == known[place].file_id


@pytest.mark.parametrize("told", [1, 2, 7, 13, 20, 28, 37, 45])
async def test_an_ended_copy_goes_on_where_it_was(source: str, new_url: NewUrl, told: int) -> None:
    target = new_url("arangodb" if source.startswith("sqlite") else "sqlite")
    with pytest.raises(Ended):
        await copy_by_few(source, target, ends_after(told))
    with pytest.raises(UnfinishedCopy):
        Database.open(target)
    report = await copy_by_few(source, target)
    with Database.open(source) as db, Database.open(target) as copy:
        assert digests(copy) == list(report.tables) == digests(db)


async def test_what_was_written_is_not_written_again(source: str, new_url: NewUrl) -> None:
    target = new_url("sqlite")
    with pytest.raises(Ended):
        await copy_database(source, target, clock=clock, on_progress=ends_after(12))
    told: list[RowProgress] = []
    report = await copy_database(source, target, clock=clock, on_progress=told.append)
    assert report.resumed
    first = told[0]
    assert first.step is RowStep.COPYING
    assert 0 < first.rows_done < first.rows_total == report.rows
    last = told[-1]
    assert (last.step, last.rows_done, last.rows_total) == (RowStep.VERIFYING, 2 * report.rows, 2 * report.rows)


async def test_an_ended_copy_of_what_has_changed_since_begins_anew(source: str, new_url: NewUrl) -> None:
    target = new_url("sqlite")
    with pytest.raises(Ended):
        await copy_database(source, target, clock=clock, on_progress=ends_after(12))
    with Database.open(source) as db:
        db.library.remove_library("other")
        start_scan(db, "third", now=START + 200, lease_seconds=60.0).add("a", "b")
    report = await copy_database(source, target, clock=clock)
    assert not report.resumed
    with Database.open(source) as db, Database.open(target) as copy:
        assert everything(copy) == everything(db)


async def test_what_changes_while_it_is_copied_is_found_and_the_next_copy_begins_anew(
    source: str, new_url: NewUrl
) -> None:
    target = new_url("sqlite")

    def write(progress: RowProgress) -> None:
        if progress.step is RowStep.VERIFYING and not progress.rows_done:
            with Database.open(source) as db:
                db.settings.set("token", "another")

    with pytest.raises(CopyDiffers, match="settings"):
        await copy_database(source, target, clock=clock, on_progress=write)
    assert not (await copy_database(source, target, clock=clock)).resumed
    with Database.open(target) as copy:
        assert copy.settings.get("token") == "another"


async def test_a_database_that_holds_something_is_not_copied_into(source: str, new_url: NewUrl) -> None:
    target = new_url("sqlite")
    with Database.open(target) as db:
        db.library.add_library(Library("kept", "Kept", "/kept"))
    with pytest.raises(CopyTargetNotEmpty, match="libraries"):
        await copy_database(source, target, clock=clock)
    with pytest.raises(CopyTargetNotEmpty, match="itself"):
        await copy_database(source, source, clock=clock)
    with Database.open(target) as db:
        assert [library.name for library in db.library.list_libraries(START)] == ["Kept"]


async def test_an_unfinished_copy_of_another_database_is_not_copied_into(source: str, new_url: NewUrl) -> None:
    other, target = new_url("sqlite"), new_url("arangodb")
    with Database.open(other) as db:
        fill(db)
    with pytest.raises(Ended):
        await copy_database(other, target, clock=clock, on_progress=ends_after(12))
    with pytest.raises(CopyTargetNotEmpty, match="unfinished copy of sqlite"):
        await copy_database(source, target, clock=clock)


async def test_while_a_scan_or_enrichment_runs_nothing_is_copied(source: str, new_url: NewUrl) -> None:
    target = new_url("sqlite")
    with Database.open(source) as db:
        now = system_clock()
        lease = take_lease(db, "music", token="busy", now=now)
        assert lease is not None
        with pytest.raises(DatabaseInUse, match="'Music' is being scanned"):
            await copy_database(source, target)
        db.library.mark_scan_completed(lease, ScanRunState.COMPLETED, now=now, report=None)
        assert db.enrichment.take_lease(owner("busy"), now=now, lease_seconds=60.0)
        with pytest.raises(DatabaseInUse, match="another process enriches"):
            await copy_database(source, target)
        db.enrichment.give_lease_back(owner("busy"))
        await copy_database(source, target)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_database_that_is_not_there_is_not_created(new_url: NewUrl, tmp_path: Path, backend: str) -> None:
    source = new_url(backend)
    for _ in range(2):
        with pytest.raises(DatabaseNotReachable, match="there is no database"):
            anyio.run(copy_database, source, new_url("sqlite"))
    assert list(tmp_path.iterdir()) == []


async def test_an_empty_database_can_be_copied(new_url: NewUrl) -> None:
    source, target = new_url("arangodb"), new_url("sqlite")
    Database.open(source).close()
    assert (await copy_database(source, target)).rows == 1
    with Database.open(target) as copy:
        assert copy.events.last_seq() == 0


def test_rows_that_do_not_fit_are_refused_and_none_of_them_is_written(db: Database) -> None:
    start_scan(db).add("a", "b")
    one, other = (stored_values(row.content) for row in db.rows.page(StoredTable.FILES, "", limit=2))
    new = one | {"file_id": "new", "path": "new"}
    at_a_taken_path = other | {"file_id": "other", "path": one["path"]}
    with pytest.raises(DatabaseError, match="rows of library_files do not fit"):
        db.rows.put(StoredTable.FILES, [json.dumps(row) for row in (new, at_a_taken_path)])
    assert db.rows.count(StoredTable.FILES) == 2


def test_rows_that_are_there_stay_as_they_are(db: Database) -> None:
    start_scan(db).add("a")
    (row,) = db.rows.page(StoredTable.FILES, "", limit=2)
    fresh = stored_values(row.content) | {"file_id": "fresh", "path": "fresh"}
    db.rows.put(StoredTable.FILES, [json.dumps(fresh)])
    db.rows.put(StoredTable.FILES, [json.dumps(fresh | {"size": 0})])
    sizes = {stored_values(one.content)["size"] for one in db.rows.page(StoredTable.FILES, "", limit=9)}
    assert sizes == {fresh["size"]}
    db.rows.clear()
    assert [db.rows.count(table) for table in StoredTable if table is not StoredTable.COUNTERS] == [0] * 8
    assert db.events.last_seq() == 0


@pytest.mark.parametrize("seed", range(3))
async def test_a_server_that_fails_now_and_then_gets_an_equal_copy(tmp_path: Path, seed: int) -> None:
    source = sqlite_url(tmp_path / "source.db")
    with Database.open(source) as db:
        fill(db)
    with ArangoDouble() as server:
        target, back = server.database_url(), sqlite_url(tmp_path / "back.db")
        Database.open(target).close()
        server.faults = AtRandom(seed, [LostAnswer(), ResetBefore(), TruncatedJson(), CONFLICT, UNAVAILABLE], share=0.2)
        await copy_by_few(source, target)
        await copy_by_few(target, back)
        server.faults = no_faults
    with Database.open(source) as db, Database.open(back) as copy:
        assert digests(copy) == digests(db)
