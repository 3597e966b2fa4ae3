"""Which progress of enrichment is worth telling."""

from __future__ import annotations

from typing import Final

from nomarr.helpers.dto.enrichment import EnrichmentProgress, EnrichmentState

__all__ = ["EnrichmentNews"]

_ONGOING: Final = (EnrichmentState.RUNNING, EnrichmentState.PAUSED)
_SECONDS_BETWEEN: Final = 1.0


class EnrichmentNews:
    """While enrichment goes on, its newest progress once a second; and the last one of every run.

    A run that finds nothing to do is no news, nor is trouble that was told already.
    """

    def __init__(self) -> None:
        self._last_state = EnrichmentState.IDLE
        self._untold: list[EnrichmentProgress] = []
        self._told_at = float("-inf")

    def put(self, progress: EnrichmentProgress) -> None:
        """Note what enrichment tells."""
        if not progress.steps_total and progress.state in (EnrichmentState.RUNNING, self._last_state):
            return
        self._last_state = progress.state
        if self._untold and self._untold[-1].state in _ONGOING:
            self._untold.pop()
        self._untold.append(progress)

    def take(self, now: float) -> list[EnrichmentProgress]:
        """What is to be told at this moment of the steady clock, in order."""
        due = [progress for progress in self._untold if self._is_due(progress, now)]
        if due:
            self._untold = self._untold[len(due) :]
            self._told_at = now
        return due

    def _is_due(self, progress: EnrichmentProgress, now: float) -> bool:
        return progress.state not in _ONGOING or now - self._told_at >= _SECONDS_BETWEEN
