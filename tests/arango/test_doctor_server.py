"""What `nomarr doctor` finds out about a server, and what it makes of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.arango import ArangoDouble
from support.arango.errors import Problem
from support.arango.faults import LOGIN_REFUSED, LostAnswer, Refusal
from support.arango.store import Index

from nomarr.helpers.dto.server import LicenseUsage, QueryPlan, ServerExamination
from nomarr.persistence.database import queries
from nomarr.persistence.database.queries import SET_SETTING
from nomarr.persistence.database.query_examples import named_queries
from nomarr.persistence.db import Database
from nomarr.workflows.library.doctor_server_wf import check_server_workflow, judge_server
from nomarr.workflows.library.doctor_wf import CheckStatus

GOOD = ServerExamination(
    version="3.12.9-1",
    edition="community",
    role="SINGLE",
    is_one_shard=True,
    is_read_only=False,
    license=LicenseUsage(1 << 30, 100 << 30, "good", 1e8, 1e8),
    missing_indexes=(),
    plans=(QueryPlan("ANY_FILE"),),
    probe_problem=None,
    skew_seconds=0.1,
    latency_seconds=0.001,
)


@pytest.fixture
def server() -> Iterator[ArangoDouble]:
    with ArangoDouble() as running:
        yield running


@pytest.fixture
def db(server: ArangoDouble) -> Iterator[Database]:
    with Database.open(server.database_url()) as opened:
        yield opened


def wrong(db: Database) -> dict[str, str]:
    """What is not in order, with its detail."""
    return {check.name: check.detail for check in check_server_workflow(db) if check.status is not CheckStatus.OK}


def test_a_new_server_is_in_order(db: Database) -> None:
    checks = {check.name: check for check in check_server_workflow(db)}
    assert {name for name, check in checks.items() if check.status is not CheckStatus.OK} == set()
    assert checks["server"].detail == "ArangoDB 3.12.5, community edition"
    assert checks["server licence"].detail == "0.1 of 100 GiB used, of all databases together"


def test_every_query_is_explained_and_reads_by_an_index(db: Database) -> None:
    found = db.examine_server()
    assert found is not None
    assert [plan.name for plan in found.plans] == [name for name, _ in named_queries()]
    # Those that differ by what is sorted by are several of one name.
    assert {plan.name.partition(" ")[0] for plan in found.plans} == set(queries.__all__)
    assert [plan for plan in found.plans if not plan.is_good] == []


def test_nothing_is_left_by_the_probe(server: ArangoDouble, db: Database) -> None:
    settings = server.api.store.database("nomarr").collection("settings")
    before = dict(settings.documents)
    check_server_workflow(db)
    assert settings.documents == before


def test_a_missing_index_is_named_and_shows_in_the_queries(server: ArangoDouble, db: Database) -> None:
    files = server.api.store.database("nomarr").collection("library_files")
    files.indexes = [index for index in files.indexes if index.name != "by_inode_1"]
    found = wrong(db)
    assert found.keys() == {"server indexes", "server queries"}
    assert found["server indexes"] == "missing: library_files.by_inode_1"
    assert found["server queries"] == "WITH_INODES reads all of library_files"


def test_an_index_of_another_kind_is_none_of_ours(server: ArangoDouble, db: Database) -> None:
    files = server.api.store.database("nomarr").collection("library_files")
    # As an administrator may add one; the fields of an inverted index are objects.
    files.indexes.append(Index("99", {"type": "inverted", "name": "search", "fields": [{"name": "tags"}]}))
    assert not wrong(db)


def test_a_missing_collection_is_no_end_of_the_examination(server: ArangoDouble, db: Database) -> None:
    del server.api.store.database("nomarr").collections["events"]
    found = wrong(db)
    assert "events.by_seq_1" in found["server indexes"]
    assert "EVENTS_AFTER can't be run: " in found["server queries"] or "more" in found["server queries"]


def test_what_the_licence_forbids_is_told(server: ArangoDouble, db: Database) -> None:
    server.api.disk_usage |= {"bytesUsed": 90 << 30}
    assert wrong(db) == {"server licence": "90.0 of 100 GiB used, of all databases together: the limit is near"}
    server.api.disk_usage |= {"bytesUsed": 101 << 30, "status": "limit-reached", "secondsUntilReadOnly": 7200}
    assert wrong(db)["server licence"].endswith("it becomes read-only in 2 h")
    server.api.disk_usage |= {"status": "read-only", "secondsUntilShutDown": 3600}
    server.api.mode = "readonly"
    found = wrong(db)
    assert found["server licence"].endswith("it is read-only and shuts down in 1 h")
    assert found["server mode"] == "read-only: nothing can be stored"


def test_a_clock_that_differs_is_a_warning(server: ArangoDouble, db: Database) -> None:
    before = server.api.clock
    server.api.clock = lambda: before() + 90
    assert wrong(db)["server clock"].startswith("the server's clock differs by 90.")


def test_a_database_of_a_cluster_is_on_one_of_its_machines(server: ArangoDouble) -> None:
    server.api.role = "COORDINATOR"
    with Database.open(server.database_url("ours")) as ours:
        assert wrong(ours) == {}
    server.api.store.create_database("theirs", {})
    with Database.open(server.database_url("theirs")) as theirs:
        assert wrong(theirs).keys() == {"server shards"}


def test_a_server_that_can_not_write_fails_the_probe(server: ArangoDouble, db: Database) -> None:
    server.faults = lambda request: (
        Refusal(Problem.DISK_FULL) if request.path == "/_api/cursor" and request.query == SET_SETTING else None
    )
    assert wrong(db).keys() == {"server probe"}


def test_a_server_that_refuses_the_user_is_one_error(server: ArangoDouble, db: Database) -> None:
    server.faults = lambda request: LOGIN_REFUSED
    (check,) = check_server_workflow(db)
    assert check.status is CheckStatus.ERROR
    assert "user or the password" in check.detail
    assert "secret" not in check.detail


def test_lost_answers_do_not_disturb_it(server: ArangoDouble, db: Database) -> None:
    server.faults = lambda request: LostAnswer() if request.number % 7 == 0 else None
    assert {name for name in wrong(db) if name != "server latency"} == set()


def test_an_embedded_database_has_no_server(tmp_path: Path) -> None:
    with Database.open(f"sqlite:///{tmp_path / 'nomarr.db'}") as embedded:
        assert check_server_workflow(embedded) == []


@pytest.mark.parametrize(
    ("found", "name"),
    [
        (replace(GOOD, version="3.11.8"), "server"),
        (replace(GOOD, version=""), "server"),
        (replace(GOOD, is_read_only=True), "server mode"),
        (replace(GOOD, role="COORDINATOR", is_one_shard=False), "server shards"),
        (replace(GOOD, license=LicenseUsage(1, 2, "shutdown", 0, 0)), "server licence"),
        (replace(GOOD, missing_indexes=("a.b",)), "server indexes"),
        (replace(GOOD, plans=(QueryPlan("A", warnings=("1562 slow",)),)), "server queries"),
        (replace(GOOD, plans=(QueryPlan("A", problem="error 1501"),) * 9), "server queries"),
        (replace(GOOD, probe_problem="no rights"), "server probe"),
        (replace(GOOD, skew_seconds=-60.0), "server clock"),
        (replace(GOOD, latency_seconds=0.2), "server latency"),
    ],
)
def test_what_is_wrong_comes_with_a_remedy(found: ServerExamination, name: str) -> None:
    (bad,) = (check for check in judge_server(found) if check.status is not CheckStatus.OK)
    assert bad.name == name
    assert bad.remedy


def test_versions_are_compared_as_numbers() -> None:
    for version in ("3.12.0", "3.13.1", "4.0", "3.100.2"):
        assert judge_server(replace(GOOD, version=version, license=None))[0].status is CheckStatus.OK
