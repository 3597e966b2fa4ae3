"""When to act on events: after a pause, but not for ever."""

from __future__ import annotations

__all__ = ["Debouncer"]


class Debouncer:
    """Due after a quiet period, at the latest a maximum time after the first event.

    It holds no timer and reads no clock: the caller says what time it is.
    """

    def __init__(self, quiet_seconds: float, max_wait_seconds: float) -> None:
        self.use(quiet_seconds, max_wait_seconds)
        self._first: float | None = None
        self._last = 0.0

    def use(self, quiet_seconds: float, max_wait_seconds: float) -> None:
        """Wait so long from now on, also for what has happened already."""
        self._quiet = quiet_seconds
        self._max_wait = max(quiet_seconds, max_wait_seconds)

    def note(self, now: float) -> None:
        """Something happened."""
        if self._first is None:
            self._first = now
        self._last = now

    @property
    def due_at(self) -> float | None:
        """When to act; None if nothing happened."""
        if self._first is None:
            return None
        return min(self._last + self._quiet, self._first + self._max_wait)

    def reset(self) -> None:
        """What happened is dealt with."""
        self._first = None
