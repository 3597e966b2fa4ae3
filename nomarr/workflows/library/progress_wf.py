"""How far a scan is: written by worker threads, published by the event loop."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import anyio

from nomarr.helpers.dto.scan import ScanPhase, ScanProgress

__all__ = ["ProgressMeter", "ScanStopped"]

_INTERVAL_SECONDS = 0.2


class ScanStopped(Exception):
    """Raised in a worker thread whose scan was cancelled, so that the thread ends soon."""


@dataclass(slots=True)
class ProgressMeter:
    """The running numbers of one scan. Threads set plain attributes; nobody locks."""

    phase: ScanPhase = ScanPhase.WALKING
    folders_done: int = 0
    folders_total: int | None = None
    files_done: int = 0
    files_total: int | None = None
    current_folder: str = ""
    stopped: bool = False
    _reading_since: float | None = None

    def folders_known(self, count: int) -> None:
        """Called by the walking thread before each target; a first scan knows none."""
        if count:
            self.folders_total = (self.folders_total or 0) + count

    def folder_done(self, folder: str) -> None:
        """Called by the walking thread after each folder."""
        if self.stopped:
            raise ScanStopped
        self.folders_done += 1
        self.current_folder = folder

    def start_reading(self, files: int) -> None:
        """From now on files are read, `files` in all."""
        self.phase = ScanPhase.READING
        self.files_total = (self.files_total or 0) + files
        if self._reading_since is None:
            self._reading_since = time.monotonic()

    def snapshot(self) -> ScanProgress:
        """The numbers as a value."""
        rate = 0.0
        if self._reading_since is not None:
            rate = self.files_done / max(time.monotonic() - self._reading_since, 0.001)
        left = None if self.files_total is None else self.files_total - self.files_done
        return ScanProgress(
            phase=self.phase,
            folders_done=self.folders_done,
            folders_total=self.folders_total,
            files_done=self.files_done,
            files_total=self.files_total,
            current_folder=self.current_folder,
            files_per_second=round(rate, 1),
            eta_seconds=round(left / rate, 1) if left is not None and rate > 0 else None,
        )

    async def publish(self, on_progress: Callable[[ScanProgress], None]) -> None:
        """Tell about every change until cancelled."""
        last = None
        while True:
            current = self.snapshot()
            if current != last:
                on_progress(current)
                last = current
            await anyio.sleep(_INTERVAL_SECONDS)
