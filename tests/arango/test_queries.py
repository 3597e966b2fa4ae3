"""Every query is understood by the server and reads by indexes."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from support.arango import ArangoDouble

from nomarr.persistence.database import queries
from nomarr.persistence.database.connection import ArangoConnection
from nomarr.persistence.database.schema import prepare

NAMES = [name for name in queries.__all__ if isinstance(getattr(queries, name), str)]
ONE_COLLECTION = ("library_files", "library_folders", "library_sidecars", "scan_runs")


@pytest.fixture(scope="module")
def connection() -> Iterator[ArangoConnection]:
    with ArangoDouble() as server:
        made = ArangoConnection(server.database_url())
        prepare(made)
        yield made
        made.close()


def binds_of(text: str, collection: str) -> dict[str, object]:
    names = set(re.findall(r"(?<!@)@(@?\w+)", text))
    return {name: collection if name.startswith("@") else [] for name in names}


@pytest.mark.parametrize("name", NAMES)
def test_a_query_reads_by_indexes(connection: ArangoConnection, name: str) -> None:
    text = getattr(queries, name)
    scanned = set()
    for collection in ONE_COLLECTION if "@@" in text else ("",):
        plan = connection.database.aql.explain(text, bind_vars=binds_of(text, collection))
        scanned |= {node["collection"] for node in plan["nodes"] if node["type"] == "EnumerateCollectionNode"}
    if name == "SWEEP":
        # Only folders and sidecars are marked as gone.
        scanned -= {"library_files", "scan_runs"}
    assert scanned == queries.READS_WHOLE.get(name, frozenset())
