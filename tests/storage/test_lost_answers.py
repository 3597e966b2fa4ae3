"""What a server wrote although its answer was lost: it is written once, and told exactly."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from storage_kit import LATER, WISHES, Scan, moved, start_scan, store, upsert
from support.arango import ArangoDouble
from support.arango.faults import UNIQUE, Fault, InTurn, LostAnswer, TruncatedJson, no_faults
from support.arango.requests import Request
from support.backends import create, fresh_name

from nomarr.helpers.dto.enrichment import Enrichment, EnrichmentUpdate, ProcessingStatus
from nomarr.persistence.database import pieces
from nomarr.persistence.db import Database

FILES = 10
PIECE = 3


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


# -- what is written in pieces ------------------------------------------------------------------------------------


def enriched(scan: Scan, status: ProcessingStatus) -> None:
    scan.add(*(f"{number}" for number in range(FILES)))
    for job in scan.db.enrichment.next_jobs(now=LATER, limit=100):
        due_at = None if status is ProcessingStatus.COMPLETE else LATER * 2
        found = Enrichment(job.stat, "a" * 32, 5000)
        update = EnrichmentUpdate(job.file_id, job.stat, status, due_at, found, attempts=int(due_at is not None))
        assert store(scan.db, update)


@pytest.mark.parametrize(("wish", "status"), WISHES.items())
@pytest.mark.parametrize("lost", [LostAnswer(), TruncatedJson()])
def test_what_is_wanted_of_every_file_is_counted_exactly(
    arango_server: ArangoDouble,
    scan: Scan,
    monkeypatch: pytest.MonkeyPatch,
    wish: Callable[[Scan], int],
    status: ProcessingStatus,
    lost: Fault,
) -> None:
    monkeypatch.setattr(pieces, "ROWS_AT_ONCE", PIECE)
    enriched(scan, status)
    losses = {"": 0}

    def lose_every_first_answer(request: Request) -> Fault | None:
        """Of each request its answer, and that of its repetition not."""
        asked = request.body.decode()
        losses[asked] = losses.get(asked, 0) + 1
        return lost if losses[asked] == 1 else None

    arango_server.faults = lose_every_first_answer
    assert wish(scan) == FILES
    arango_server.faults = no_faults
    assert wish(scan) == 0
    assert len(scan.db.enrichment.next_jobs(now=LATER, limit=100)) == FILES


@pytest.mark.parametrize(("wish", "status"), WISHES.items())
def test_a_later_piece_does_not_look_at_what_the_earlier_ones_wrote(
    arango_server: ArangoDouble,
    scan: Scan,
    monkeypatch: pytest.MonkeyPatch,
    wish: Callable[[Scan], int],
    status: ProcessingStatus,
) -> None:
    monkeypatch.setattr(pieces, "ROWS_AT_ONCE", PIECE)
    enriched(scan, status)
    arango_server.forget_requests()
    assert wish(scan) == FILES
    # The double looks at everything that an index offers, and at both ends of a range; a server only up to the limit.
    searches = [seen.looked_at for seen in arango_server.log if "@limit" in seen.query]
    assert len(searches) == 4
    assert all(looked_at <= left + 1 for looked_at, left in zip(searches, (10, 7, 4, 1), strict=True))
    assert [seen.looked_at for seen in arango_server.log if seen.written] == [3, 3, 3, 1]


def test_events_are_forgotten_whatever_happens_to_answers(
    arango_server: ArangoDouble, scan: Scan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "ROWS_AT_ONCE", PIECE)
    scan.add(*(f"{number}" for number in range(FILES)))
    arango_server.faults = InTurn([LostAnswer() if number % 2 else None for number in range(20)])
    arango_server.forget_requests()
    scan.db.events.prune(before=LATER)
    arango_server.faults = no_faults
    assert scan.db.events.after(0) == []
    assert all(seen.written <= PIECE for seen in arango_server.log)


@pytest.mark.parametrize("before", [None, "old"])
@pytest.mark.parametrize("lost", [LostAnswer(), TruncatedJson()])
def test_a_setting_is_changed_once(arango_server: ArangoDouble, scan: Scan, before: str | None, lost: Fault) -> None:
    if before is not None:
        scan.db.settings.set("key", before)
    # The first request asks for the text; the second one writes.
    arango_server.faults = InTurn([None, lost])
    assert scan.db.settings.update("key", lambda text: "old, new" if text in (None, "old") else str(text)) == "old, new"
    arango_server.faults = no_faults
    assert scan.db.settings.get("key") == "old, new"
