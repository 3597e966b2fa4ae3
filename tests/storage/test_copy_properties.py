"""Whatever rows there are: a copy from one backend to the other and back again is the same database."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

import anyio
import pytest
from copy_kit import digests
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from storage_kit import INT64_MAX, INT64_MIN, ODD_NAMES
from support.backends import Server

from nomarr.helpers.dto.events import EventType
from nomarr.helpers.dto.library import TranscodePolicy, WatchMode
from nomarr.helpers.dto.scan import ScanRunState
from nomarr.helpers.dto.stored import StoredRow, StoredTable
from nomarr.helpers.paths_helper import escaped
from nomarr.persistence.db import Database
from nomarr.persistence.stored_rows import COLUMNS, stored_content
from nomarr.workflows.library.copy_database_wf import copy_database_workflow

# What a column may hold, by its type; what the columns below hold has a meaning.
VALUES: Mapping[type, st.SearchStrategy[object]] = {
    bool: st.booleans(),
    int: st.integers(INT64_MIN, INT64_MAX),
    float: st.floats(allow_nan=False, allow_infinity=False),
    str: st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
}
NAMES = st.sampled_from([escaped(name) for name in ODD_NAMES])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
LIBRARIES = ["one", "tw\u00f6"]
NEVER_NULL = {
    StoredTable.SETTINGS: {"value"},
    StoredTable.LIBRARIES: {"watch_mode", "enabled", "ignore_patterns", "transcode_policy", "scan_fence"}
    | {"scan_targets", "queued_targets", "full_scan_in_progress", "scan_expires_at"},
    StoredTable.FOLDERS: {"digest", "scanned_at", "on_other_device"},
    StoredTable.FILES: {"size", "mtime_ns", "ctime_ns", "inode", "device", "tags", "read_at", "processing_status"}
    | {"first_seen_at", "updated_at", "attempts"},
    StoredTable.SIDECARS: {"kind", "size", "mtime_ns", "ctime_ns", "inode"},
    StoredTable.SCAN_RUNS: {"state", "started_at", "targets", "is_full"},
    StoredTable.EVENTS: {"time", "type", "path"},
}
MEANT: Mapping[str, list[object]] = {
    "watch_mode": [*WatchMode],
    "transcode_policy": [*TranscodePolicy],
    "scan_state": [None, ScanRunState.COMPLETED, ScanRunState.FAILED],
    "ignore_patterns": ["[]", '["*.\u00e9"]'],
    "scan_targets": ["[]", '[["a\\\\b", true]]'],
    "queued_targets": ["[]"],
    "held_back": [None, '{"files": 1, "first_seen_at": 2.5, "sightings": 3}'],
    "tags": ["{}", '{"title":"caf\u00e9 \\ud83c"}'],
}
HASHED = ("hashed_size", "hashed_mtime_ns", "hashed_ctime_ns", "hashed_inode")


@st.composite
def rows(draw: st.DrawFn, table: StoredTable, **told: object) -> str:
    """A row of any values, but for those that are told."""
    row: dict[str, object] = {}
    for name, kind in COLUMNS[table].items():
        if name in told:
            row[name] = told[name]
        elif name in MEANT:
            row[name] = draw(st.sampled_from(MEANT[name]))
        elif name in NEVER_NULL.get(table, ()):
            row[name] = draw(VALUES[kind])
        else:
            row[name] = draw(st.none() | VALUES[kind])
    if table is StoredTable.FILES:
        is_enriched = draw(st.booleans())
        enriched = list(row)[list(row).index(HASHED[0]) :]
        row |= {name: draw(VALUES[int]) for name in HASHED} if is_enriched else dict.fromkeys(enriched)
    return stored_content(table, row)


ENTRIES = st.lists(
    st.tuples(VALUES[str], st.none() | st.sampled_from(LIBRARIES), st.none() | PATHS, st.none() | NAMES), max_size=3
).map(lambda entries: [list(entry) for entry in entries])


@st.composite
def contents(draw: st.DrawFn) -> dict[StoredTable, list[str]]:
    """A few rows of each table; of files and the like none without its library."""
    table = StoredTable
    places = st.tuples(st.sampled_from(LIBRARIES), PATHS)
    files = draw(st.lists(places, unique=True, max_size=6))
    return {
        table.SETTINGS: [draw(rows(table.SETTINGS, key=key)) for key in draw(st.sets(NAMES, max_size=2))],
        table.LIBRARIES: [
            draw(rows(table.LIBRARIES, library_id=one, name=one, root_path=f"/{one}")) for one in LIBRARIES
        ],
        table.FOLDERS: [
            draw(rows(table.FOLDERS, library_id=library, path=path))
            for library, path in draw(st.lists(places, unique=True, max_size=4))
        ],
        table.FILES: [
            draw(rows(table.FILES, file_id=f"{number:032x}", library_id=library, path=path, is_displaced=False))
            for number, (library, path) in enumerate(files)
        ]
        + [
            draw(rows(table.FILES, file_id=f"f{number:031x}", library_id=library, path=path, is_displaced=True))
            for number, (library, path) in enumerate(files[:2])
        ],
        table.SIDECARS: [
            draw(rows(table.SIDECARS, library_id=library, path=path, entries=draw(ENTRIES)))
            for library, path in draw(st.lists(places, unique=True, max_size=3))
        ],
        table.SCAN_RUNS: [
            draw(rows(table.SCAN_RUNS, scan_id=scan_id, library_id=draw(st.sampled_from(LIBRARIES))))
            for scan_id in draw(st.sets(NAMES, max_size=3))
        ],
        table.EVENTS: [
            draw(rows(table.EVENTS, seq=seq, type=kind, library_id="gone", file_id="x", path=path))
            for seq, kind, path in draw(
                st.lists(
                    st.tuples(st.integers(1, 2**40), st.sampled_from([*EventType]), PATHS),
                    unique_by=lambda event: event[0],
                    max_size=4,
                )
            )
        ],
        table.COUNTERS: [json.dumps({"name": "events", "value": 2**40})],
        table.LOOSE_COVERS: [json.dumps({"cover_id": cover}) for cover in draw(st.sets(st.sampled_from("abc")))],
    }


@pytest.fixture(scope="module")
def databases(
    arango_server: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Database, Database, Database]]:
    """One of each kind for all examples, and one more to come back to."""
    folder = tmp_path_factory.mktemp("copies")
    with (
        Database.open(f"sqlite:///{folder / 'first.db'}") as first,
        Database.open(arango_server.database_url("there_and_back")) as there,
        Database.open(f"sqlite:///{folder / 'back.db'}") as back,
    ):
        yield first, there, back


@settings(max_examples=15, phases=[Phase.explicit, Phase.generate])
@given(held=contents())
def test_there_and_back_is_the_same(
    databases: tuple[Database, Database, Database], held: dict[StoredTable, list[str]]
) -> None:
    first, there, back = databases
    for db in databases:
        db.rows.clear()
        db.rows.mark_copy(None)
    for table, its_rows in held.items():
        first.rows.put(table, its_rows)
    anyio.run(copy, first, there)
    anyio.run(copy, there, back)
    assert digests(back) == digests(there) == digests(first)
    assert {table.table: table.rows for table in digests(first)} == {
        table: len(its_rows) for table, its_rows in held.items()
    }
    assert [row for db in databases for row in all_rows(db) if row.misfiled] == []


def all_rows(db: Database) -> list[StoredRow]:
    return [row for table in StoredTable for row in db.rows.page(table, "", limit=100)]


async def copy(source: Database, target: Database) -> None:
    await copy_database_workflow(source, target, clock=lambda: 1.7e9, rows_at_once=2)
