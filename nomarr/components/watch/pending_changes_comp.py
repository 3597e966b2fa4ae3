"""What happened in one library since it was last handed to a scan."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass
from typing import Final

from nomarr.components.watch.debounce_comp import Debouncer
from nomarr.components.watch.event_filter_comp import path_change_of, targets_of
from nomarr.components.watch.scan_targets_comp import TargetSet
from nomarr.helpers.dto.library import ScanTarget
from nomarr.helpers.dto.watching import DiskChange, DiskEvent, PathChange

__all__ = ["ChangesToScan", "PendingChanges"]

_MAX_PATH_CHANGES: Final = 10_000


@dataclass(frozen=True, slots=True)
class ChangesToScan:
    """What one scan is asked for."""

    targets: tuple[ScanTarget, ...]
    path_changes: tuple[PathChange, ...] = ()
    """Renames and deletions in their order: evidence for where a file is now."""


class PendingChanges:
    """Collects events in bounded memory; any thread may call. It reads no clock."""

    def __init__(self, library_id: str, quiet_seconds: float, max_wait_seconds: float) -> None:
        self._library_id = library_id
        self._debouncer = Debouncer(quiet_seconds, max_wait_seconds)
        self._targets = TargetSet(library_id)
        self._path_changes: list[PathChange] = []
        self._is_log_broken = False
        self._lock = threading.Lock()
        self.events_by_change: Counter[DiskChange] = Counter()
        self.suppressed = 0
        """Events that asked for nothing that was not pending already."""
        self.last_event_at: float | None = None

    def use(self, quiet_seconds: float, max_wait_seconds: float) -> None:
        """Wait so long from now on."""
        with self._lock:
            self._debouncer.use(quiet_seconds, max_wait_seconds)

    def __len__(self) -> int:
        return len(self._targets)

    @property
    def events(self) -> int:
        """How many events asked for something."""
        return self.events_by_change.total()

    @property
    def folds(self) -> int:
        """How often deep folders became their parents."""
        return self._targets.folds

    @property
    def due_at(self) -> float | None:
        """When to scan; None if nothing happened."""
        with self._lock:
            return self._debouncer.due_at

    def add(self, event: DiskEvent, now: float) -> bool:
        """Note an event; True if it is the first one since nothing was pending."""
        targets = targets_of(event, self._library_id)
        if not targets:
            return False
        with self._lock:
            was_idle = self._debouncer.due_at is None
            self.events_by_change[event.change] += 1
            self.last_event_at = now
            self.suppressed += not self._targets.add(targets)
            self._debouncer.note(now)
            self._note_path_change(event)
        return was_idle

    def put_back(self, changes: ChangesToScan, now: float) -> None:
        """What a scan could not do has to be done again.

        Its path changes are not: what was deleted since they were taken is not among those that are noted now.
        """
        with self._lock:
            self._targets.add(changes.targets)
            self._debouncer.note(now)
        self.distrust_path_changes()

    def distrust_path_changes(self) -> None:
        """An event was lost, or is told twice: renames are no evidence until the next `take`.

        Half a log could name the wrong file; without one, scans go by the files' inodes.
        """
        with self._lock:
            self._path_changes.clear()
            self._is_log_broken = True

    def take(self) -> ChangesToScan:
        """Everything, for a scan."""
        with self._lock:
            changes = ChangesToScan(tuple(self._targets.take()), tuple(self._path_changes))
            self._path_changes.clear()
            self._is_log_broken = False
            self._debouncer.reset()
        return changes

    def _note_path_change(self, event: DiskEvent) -> None:
        change = path_change_of(event)
        # A deletion only matters after a rename: it ends what the rename began.
        if change is None or self._is_log_broken or (change.new is None and not self._path_changes):
            return
        self._path_changes.append(change)
        if len(self._path_changes) > _MAX_PATH_CHANGES:
            self._path_changes.clear()
            self._is_log_broken = True
