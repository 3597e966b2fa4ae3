"""The one clock of the program, so that tests can turn it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

__all__ = ["Clock", "iso8601", "system_clock"]

Clock = Callable[[], float]
"""Tells the time as seconds since 1970-01-01 UTC."""

system_clock: Clock = time.time


def iso8601(seconds: float | None) -> str | None:
    """An epoch time as people and other programs read it, e.g. `2026-01-31T12:00:00.250Z`; None stays None."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
