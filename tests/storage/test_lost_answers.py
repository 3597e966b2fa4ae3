"""A batch that a server wrote although its answer was lost: it is written once, and tells exactly what it did."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from storage_kit import Scan, moved, start_scan, upsert
from support.arango import ArangoDouble
from support.arango.faults import UNIQUE, Fault, InTurn, LostAnswer, TruncatedJson, no_faults
from support.backends import create, fresh_name

from nomarr.persistence.db import Database


@pytest.fixture
def scan(arango_server: ArangoDouble) -> Iterator[Scan]:
    url = arango_server.database_url(fresh_name())
    create(arango_server, url)
    with Database.open(url) as db:
        yield start_scan(db)
    arango_server.faults = no_faults


@pytest.mark.parametrize("lost", [LostAnswer(), TruncatedJson()])
@pytest.mark.parametrize("refusals", [0, 1, 5])
def test_a_batch_is_told_exactly(arango_server: ArangoDouble, scan: Scan, lost: Fault, refusals: int) -> None:
    known = scan.add("a", "b")
    before = scan.db.events.last_seq()
    # The first request asks for the rows; the second one writes, and whoever asks again is refused at first.
    arango_server.faults = InTurn([None, lost, *[UNIQUE] * refusals])
    result = scan.write(moves=[moved(known["a"], "c")], upserts=[upsert("d", number=4)])
    arango_server.faults = no_faults
    assert (result.moved, result.lost_moves, len(result.upserts)) == (1, (), 1)
    assert [event.type for event in scan.db.events.after(before)] == ["renamed", "created"]
