"""When which part of a library has to be scanned."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from nomarr.components.watch.pending_changes_comp import ChangesToScan, PendingChanges
from nomarr.helpers.dto.library import ScanTarget
from nomarr.helpers.dto.watching import WatchSettings

__all__ = ["WatchPlan"]

_RETRY_SECONDS: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0)
_STORM_SECONDS: Final = (30.0, 60.0, 120.0, 240.0, 480.0, 600.0)
"""Between whole scans that were asked for because events were lost."""

_HELD_BACK_SECONDS: Final = (15.0, 60.0, 300.0, 1800.0)
"""Between whole scans while losses are held back: what made them so many is often only on its way."""

_FRUITLESS_SCANS: Final = 5
_HOLD_SECONDS: Final = (60.0, 120.0, 240.0, 480.0, 960.0, 1920.0, 3600.0)
_MAX_COUNTED: Final = 4096
_RECONCILE_SPREAD: Final = 0.5


@dataclass(slots=True)
class _Fruitless:
    """Scans of one target, one after the other, that changed no row."""

    scans: int
    last_at: float

    def hold_seconds(self) -> float:
        """How long the target has to wait; 0 as long as nothing is unusual."""
        extra = self.scans - _FRUITLESS_SCANS
        return 0.0 if extra <= 0 else _HOLD_SECONDS[min(extra, len(_HOLD_SECONDS)) - 1]


class WatchPlan:
    """Decides for one library; it is told the time, and holds no timer.

    Whole scans come when they are asked for, when the library is polled, and from time to time for what makes no event.
    Whole scans because of lost events come ever less often while events keep being lost. Scans that failed are tried
    again, later each time. A target that was scanned again and again without a changed row has to wait. While losses
    are held back, which only a whole scan can judge, there are more of these.
    """

    def __init__(
        self, library_id: str, pending: PendingChanges, settings: WatchSettings, random: Callable[[], float]
    ) -> None:
        """
        Args:
            random: numbers from 0 to 1, so that many libraries are not reconciled at the same time.
        """
        self.is_polled = False
        """True: the kernel does not tell everything, so scan every `poll_seconds`."""
        self._library_id = library_id
        self._pending = pending
        self._settings = settings
        self._random = random
        self._whole_at: float | None = None
        self._reconcile_at: float | None = None
        self._last_whole_at: float | None = None
        self._failures = 0
        self._retry_at = -math.inf
        self._storms = 0
        self._storm_over_at = -math.inf
        self._is_storm = False
        self._held_back_scans = 0
        self._fruitless: dict[ScanTarget, _Fruitless] = {}
        self._held: dict[ScanTarget, float] = {}

    def use(self, settings: WatchSettings, now: float) -> None:
        """Plan with other times from now on."""
        self._settings = settings
        self._pending.use(settings.debounce_seconds, settings.longest_wait)
        if self._reconcile_at is not None:
            self._reconcile_at = min(self._reconcile_at, now + settings.reconcile_seconds)

    def scan_everything(self, now: float) -> None:
        """Ask for a whole scan as soon as possible."""
        self._whole_at = now if self._whole_at is None else min(self._whole_at, now)

    def scan_everything_after_loss(self, now: float) -> None:
        """Ask for a whole scan because events were lost."""
        self._is_storm = True
        self.scan_everything(max(now, self._storm_over_at))

    @property
    def next_whole_at(self) -> float | None:
        """When the whole library is scanned next, as far as is known now."""
        times = [self._whole_at, self._reconcile_at, self._next_poll_at()]
        return min((time for time in times if time is not None), default=None)

    @property
    def held_target(self) -> ScanTarget | None:
        """A target that waits because scanning it changes nothing."""
        return next(iter(self._held), None)

    def due_at(self) -> float | None:
        """When to call `take` next; None if nothing is to be done."""
        times = [self._pending.due_at, self.next_whole_at, *self._held.values()]
        first = min((time for time in times if time is not None), default=None)
        return None if first is None else max(first, self._retry_at)

    def take(self, now: float) -> ChangesToScan | None:
        """What to scan now, if anything; ends with `completed` or `failed`."""
        due_at = self.due_at()
        if due_at is None or due_at > now:
            return None
        whole_at = self.next_whole_at
        if whole_at is not None and whole_at <= now:
            return self._take_everything(now)
        changes = self._pending.take()
        if not changes.path_changes:
            # A rename is a change in any case.
            changes = ChangesToScan(tuple(self._not_held(changes.targets, now)))
        released = [target for target, until in self._held.items() if until <= now]
        for target in released:
            del self._held[target]
        targets = (*changes.targets, *released)
        return ChangesToScan(targets, changes.path_changes) if targets else None

    def completed(self, changes: ChangesToScan, *, changed: bool, now: float, held_back: bool = False) -> None:
        """The scan is done; `changed` if a row is another one now, `held_back` if losses wait to be confirmed."""
        self._failures = 0
        self._retry_at = -math.inf
        is_whole = ScanTarget(self._library_id) in changes.targets
        if held_back:
            self._judge_losses_later(now, is_whole=is_whole)
        elif is_whole:
            self._held_back_scans = 0
        if is_whole:
            self._last_whole_at = now
            spread = 1 + _RECONCILE_SPREAD * (self._random() - 0.5)
            self._reconcile_at = now + self._settings.reconcile_seconds * spread
        elif changed:
            # Which of the targets it was is not known.
            self._fruitless.clear()
        else:
            self._count_fruitless(changes, now)

    def failed(self, changes: ChangesToScan, now: float) -> None:
        """The scan could not be done: everything goes back, and is tried again a little later."""
        self._retry_at = now + _RETRY_SECONDS[min(self._failures, len(_RETRY_SECONDS) - 1)]
        self._failures += 1
        self._pending.put_back(changes, now)

    def _take_everything(self, now: float) -> ChangesToScan:
        if self._is_storm:
            calm = now - self._storm_over_at > _STORM_SECONDS[self._storms]
            self._storms = 0 if calm else min(self._storms + 1, len(_STORM_SECONDS) - 1)
            self._storm_over_at = now + _STORM_SECONDS[self._storms]
            self._is_storm = False
        self._whole_at = None
        self._reconcile_at = None
        # Until this scan is done, and then from its end.
        self._last_whole_at = now
        self._held.clear()
        changes = self._pending.take()
        return ChangesToScan((ScanTarget(self._library_id),), changes.path_changes)

    def _judge_losses_later(self, now: float, *, is_whole: bool) -> None:
        longest = len(_HELD_BACK_SECONDS) - 1
        self.scan_everything(now + _HELD_BACK_SECONDS[min(self._held_back_scans, longest)])
        self._held_back_scans += is_whole

    def _next_poll_at(self) -> float | None:
        if not self.is_polled or self._last_whole_at is None:
            return None
        return self._last_whole_at + self._settings.poll_seconds

    def _not_held(self, targets: tuple[ScanTarget, ...], now: float) -> list[ScanTarget]:
        free = []
        for target in targets:
            known = self._fruitless.get(target)
            if known is None or now - known.last_at >= known.hold_seconds():
                free.append(target)
            else:
                self._held.setdefault(target, known.last_at + known.hold_seconds())
        return free

    def _count_fruitless(self, changes: ChangesToScan, now: float) -> None:
        if len(self._fruitless) > _MAX_COUNTED:
            self._fruitless.clear()
        for target in changes.targets:
            known = self._fruitless.get(target)
            # Once in a while is nothing unusual.
            if known is None or now - known.last_at > 2 * max(known.hold_seconds(), _HOLD_SECONDS[0]):
                self._fruitless[target] = _Fruitless(1, now)
            else:
                known.scans += 1
                known.last_at = now
