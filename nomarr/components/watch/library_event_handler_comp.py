"""From the reader's thread to the event loop: nothing blocks, nothing is lost, nothing grows."""

from __future__ import annotations

import logging
from collections.abc import Callable

from nomarr.components.watch.pending_changes_comp import PendingChanges
from nomarr.helpers.dto.watching import DiskEvent, FaultKind, WatchFault
from nomarr.helpers.time_helper import SteadyClock

__all__ = ["LibraryEventHandler"]

logger = logging.getLogger(__name__)


class LibraryEventHandler:
    """Takes what the reader's thread has to tell of one library, and wakes the event loop when it was idle.

    Never blocks and never raises: whatever goes wrong here becomes a fault. Once retired it is deaf: a newer one has
    taken its place.
    """

    def __init__(self, pending: PendingChanges, steady: SteadyClock, wake: Callable[[], None]) -> None:
        self._pending = pending
        self._steady = steady
        self._wake = wake
        self._faults: list[WatchFault] = []
        self._is_retired = False

    def on_event(self, event: DiskEvent) -> None:
        """Note an event."""
        try:
            if not self._is_retired and self._pending.add(event, self._steady()):
                self._wake()
        except Exception as error:
            logger.exception("an event of the disk could not be handled")
            self.on_fault(WatchFault(FaultKind.BROKEN, f"an event could not be handled: {error!r}"))

    def on_fault(self, fault: WatchFault) -> None:
        """Note that events can't be relied on."""
        if self._is_retired:
            return
        self._pending.distrust_path_changes()
        # Each kind once: the owner looks at it soon.
        if all(known.kind is not fault.kind for known in self._faults):
            self._faults.append(fault)
            self._wake()

    def take_faults(self) -> list[WatchFault]:
        """The faults since the last call."""
        faults, self._faults = self._faults, []
        return faults

    def retire(self) -> None:
        """Hear nothing any more."""
        self._is_retired = True
