"""Enrichment by itself: when it works, what it tells, and when it does not begin at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from support.music import tones
from support.owners import owner_elsewhere
from support.scans import present, scan
from support.system import until

from nomarr import EnrichmentProgress, EnrichmentReport, EnrichmentState, EnrichmentStep, Nomarr
from nomarr.helpers.dto.enrichment import EnrichmentUpdate, ProcessingStatus
from nomarr.helpers.time_helper import system_clock


async def test_what_scans_leave_is_worked_off(nomarr: Nomarr, music_tree: Callable[..., Path]) -> None:
    told: list[EnrichmentProgress] = []
    nomarr.enrichment.subscribe(told.append)
    nomarr.enrich_in_background()
    library = await nomarr.libraries.add_library("Music", music_tree(tones(3)))
    await scan(nomarr, library)
    await until(lambda: bool(told) and told[-1].state is EnrichmentState.IDLE and told[-1].steps_done == 6)
    assert {file.processing_status for file in (await present(nomarr, library)).values()} == {"complete"}
    assert all(one.eta_seconds is None for one in told if one.step is EnrichmentStep.ART)
    assert [one.steps_done for one in told] == sorted(one.steps_done for one in told)


async def test_it_can_be_turned_off(tmp_path: Path, music_tree: Callable[..., Path]) -> None:
    async with Nomarr.open(f"sqlite:///{tmp_path / 'nomarr.db'}", settle_seconds=0, enable_enrichment=False) as nomarr:
        nomarr.enrich_in_background()
        assert "enrich files" not in {task.name for task in nomarr.tasks.list()}


async def test_it_says_when_it_is_no_longer_busy(nomarr: Nomarr, music_tree: Callable[..., Path]) -> None:
    await scan(nomarr, await nomarr.libraries.add_library("Music", music_tree(tones(1))))
    store, other = nomarr.database.enrichment, owner_elsewhere()
    assert store.take_lease(other, now=system_clock(), lease_seconds=60)
    nomarr.enrich_in_background()
    await until(lambda: nomarr.enrichment.progress.state is EnrichmentState.BUSY)
    [job] = store.next_jobs(now=system_clock(), limit=9)
    update = EnrichmentUpdate(job.file_id, job.stat, ProcessingStatus.COMPLETE, None)
    assert store.store(update, other, now=system_clock)
    store.give_lease_back(other)
    nomarr.enrichment.wake()
    await until(lambda: nomarr.enrichment.progress == EnrichmentProgress())


def test_several_runs_are_reported_as_one() -> None:
    one, other = EnrichmentReport(2, 1, 5, 1.5, ("a", "b")), EnrichmentReport(1, 0, 2, 0.25, ("b", "c"))
    assert one + other == EnrichmentReport(3, 1, 7, 1.75, ("a", "b", "c"))
