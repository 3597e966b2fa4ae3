"""Enrichment in words for people."""

from __future__ import annotations

from typing import Final

from nomarr.helpers.dto.enrichment import EnrichmentProgress, EnrichmentState, EnrichmentStep
from nomarr.interfaces.cli.output_cli import duration

__all__ = ["activity", "step_counts", "step_speed"]

_STEPS: Final = {
    EnrichmentStep.ART: "hashes and covers",
    EnrichmentStep.SOUND: "fingerprints",
}


def activity(progress: EnrichmentProgress) -> str:
    """What it is doing, or why it is not doing anything."""
    match progress.state:
        case EnrichmentState.RUNNING:
            return _STEPS[progress.step]
        case EnrichmentState.PAUSED:
            return "waiting while a scan runs"
        case EnrichmentState.IDLE:
            return "done"
        case _:
            return progress.problem or progress.state.value


def step_counts(progress: EnrichmentProgress) -> str:
    """`1,204/4,000 steps`."""
    return f"{progress.steps_done:,}/{progress.steps_total:,} steps"


def step_speed(progress: EnrichmentProgress) -> str:
    """`412/s 0:14 left`; nothing while nothing is done."""
    if progress.state is not EnrichmentState.RUNNING or not progress.steps_per_second:
        return ""
    rate = progress.steps_per_second
    left = f" {duration(progress.eta_seconds)} left" if progress.eta_seconds else ""
    return f"{rate:,.0f}/s{left}" if rate >= 10 else f"{rate:.1f}/s{left}"
