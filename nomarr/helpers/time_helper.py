"""The clocks of the program, so that tests can turn them: one for moments, one for waiting."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime

__all__ = ["Clock", "SteadyClock", "iso8601", "steady_clock", "system_clock"]

Clock = Callable[[], float]
"""Tells the time as seconds since 1970-01-01 UTC."""

system_clock: Clock = time.time

SteadyClock = Callable[[], float]
"""Tells how many seconds have passed since some moment before; nobody sets it. It means nothing to another process."""


def steady_clock() -> float:
    """Goes on while the machine sleeps, where the system can tell: what is due after minutes is due when it wakes up.

    On Linux the monotonic clock stands still meanwhile (clock_gettime(2), CLOCK_BOOTTIME).
    """
    return time.clock_gettime(time.CLOCK_BOOTTIME) if sys.platform == "linux" else time.monotonic()


def iso8601(seconds: float | None) -> str | None:
    """An epoch time as people and other programs read it, e.g. `2026-01-31T12:00:00.250Z`; None stays None."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
