"""Only the process that enriches writes what enrichment found: one that was paused for too long has to stop."""

from __future__ import annotations

from pathlib import Path

import pytest
from storage_kit import LEASE_SECONDS, START, Scan, owner, store
from support.arango import ArangoDouble
from support.arango.faults import Fault, InTurn, LostAnswer, TruncatedJson, no_faults

from nomarr.components.media.cover_store_comp import CoverStore
from nomarr.helpers.dto.enrichment import Enrichment, EnrichmentUpdate, ProcessingStatus
from nomarr.helpers.exceptions import EnrichmentBusy
from nomarr.workflows.library.enrichment_lease_wf import enrichment_lease

COVER, ANOTHER = "1" * 32, "2" * 32
PAUSED, OTHER = owner("paused"), owner("other")
EXPIRED = START + LEASE_SECONDS


def update_of(scan: Scan, path: str = "a", cover_id: str = COVER) -> EnrichmentUpdate:
    file = scan.files()[path]
    found = Enrichment(file.stat, "a" * 32, 5000, cover_id=cover_id)
    return EnrichmentUpdate(file.file_id, file.stat, ProcessingStatus.COMPLETE, None, found)


@pytest.fixture
def update(scan: Scan) -> EnrichmentUpdate:
    """What came of a file that was looked at by the process which has the lease."""
    scan.add("a")
    assert scan.db.enrichment.take_lease(PAUSED, now=START, lease_seconds=LEASE_SECONDS)
    return update_of(scan)


@pytest.fixture
def loose(scan: Scan, update: EnrichmentUpdate) -> str:
    """A cover that has lost its file."""
    for cover_id in (COVER, ANOTHER):
        assert scan.db.enrichment.store(update_of(scan, cover_id=cover_id), PAUSED, now=START)
    assert scan.db.enrichment.loose_covers(limit=9) == [COVER]
    return COVER


def take(scan: Scan, now: float = EXPIRED) -> None:
    assert scan.db.enrichment.take_lease(OTHER, now=now, lease_seconds=LEASE_SECONDS)


def test_who_lost_the_lease_stores_nothing(scan: Scan, update: EnrichmentUpdate) -> None:
    take(scan)
    # The cover of the one that was paused is in no row, so the other one deletes its file.
    assert scan.db.enrichment.covers_in_use([COVER]) == set()
    with pytest.raises(EnrichmentBusy) as raised:
        scan.db.enrichment.store(update, PAUSED, now=START)
    assert raised.value.owner == str(OTHER)
    assert scan.db.enrichment.covers_in_use([COVER]) == set()
    assert scan.record("a").processing_status == ProcessingStatus.METADATA_DONE


def test_who_let_the_lease_run_out_stores_nothing_until_it_is_renewed(scan: Scan, update: EnrichmentUpdate) -> None:
    enrichment = scan.db.enrichment
    with pytest.raises(EnrichmentBusy):
        enrichment.store(update, PAUSED, now=EXPIRED)
    assert enrichment.renew_lease(PAUSED, now=EXPIRED, lease_seconds=LEASE_SECONDS)
    assert enrichment.store(update, PAUSED, now=EXPIRED + LEASE_SECONDS - 1)
    assert enrichment.covers_in_use([COVER]) == {COVER}


def test_who_gave_the_lease_back_stores_nothing(scan: Scan, update: EnrichmentUpdate) -> None:
    scan.db.enrichment.give_lease_back(PAUSED)
    with pytest.raises(EnrichmentBusy):
        scan.db.enrichment.store(update, PAUSED, now=START)


def test_a_lease_that_somebody_else_had_meanwhile_is_not_renewed(scan: Scan, update: EnrichmentUpdate) -> None:
    enrichment = scan.db.enrichment
    take(scan)
    assert not enrichment.renew_lease(PAUSED, now=START, lease_seconds=LEASE_SECONDS)
    enrichment.give_lease_back(OTHER)
    assert not enrichment.renew_lease(PAUSED, now=START, lease_seconds=LEASE_SECONDS)
    assert enrichment.holder() is None


def test_a_lease_that_is_renewed_is_kept_for_longer(scan: Scan, update: EnrichmentUpdate) -> None:
    enrichment = scan.db.enrichment
    assert enrichment.renew_lease(PAUSED, now=START + 50, lease_seconds=LEASE_SECONDS)
    assert not enrichment.take_lease(OTHER, now=EXPIRED, lease_seconds=LEASE_SECONDS)
    take(scan, START + 50 + LEASE_SECONDS)


def test_who_lost_the_lease_forgets_no_loose_cover(scan: Scan, loose: str) -> None:
    take(scan)
    with pytest.raises(EnrichmentBusy) as raised:
        scan.db.enrichment.forget_loose_covers([loose], PAUSED, now=START)
    assert raised.value.owner == str(OTHER)
    assert scan.db.enrichment.loose_covers(limit=9) == [loose]
    scan.db.enrichment.forget_loose_covers([loose], OTHER, now=EXPIRED)
    assert scan.db.enrichment.loose_covers(limit=9) == []


async def test_a_machine_that_slept_goes_on_unless_another_one_enriched_meanwhile(scan: Scan, tmp_path: Path) -> None:
    scan.add("a")
    now = START
    async with enrichment_lease(scan.db, CoverStore(tmp_path / "covers"), lambda: now) as lease:
        now += 1000
        assert lease.store(update_of(scan))
        assert lease.store(update_of(scan, cover_id=ANOTHER))
        lease.forget_loose_covers([COVER])
        now += 1000
        take(scan, now)
        with pytest.raises(EnrichmentBusy):
            lease.store(update_of(scan))
    assert scan.db.enrichment.covers_in_use([COVER, ANOTHER]) == {ANOTHER}
    assert scan.db.enrichment.holder() == str(OTHER)


@pytest.mark.parametrize("database_url", ["arangodb"], indirect=True)
@pytest.mark.parametrize("lost", [LostAnswer(), TruncatedJson()])
@pytest.mark.parametrize("later", [START, EXPIRED])
def test_what_was_stored_is_told_although_the_answer_was_lost(
    arango_server: ArangoDouble, scan: Scan, update: EnrichmentUpdate, lost: Fault, later: float
) -> None:
    times = iter([START, later])
    arango_server.faults = InTurn([lost])
    try:
        assert scan.db.enrichment.store(update, PAUSED, now=lambda: next(times))
    finally:
        arango_server.faults = no_faults
    assert list(times) == []
    assert scan.db.enrichment.covers_in_use([COVER]) == {COVER}
    assert store(scan.db, update_of(scan, cover_id=ANOTHER), now=EXPIRED)
    assert scan.db.enrichment.loose_covers(limit=9) == [COVER]
