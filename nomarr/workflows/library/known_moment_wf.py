"""A moment of the past by which files are forgotten; no single clock that is wrong can make it up."""

from __future__ import annotations

import json
import math
from typing import Final

from nomarr.helpers.time_helper import Clock
from nomarr.persistence.db import Database

__all__ = ["forget_moment", "next_moment", "note_clock", "seconds_between_moments"]

_HOUR_SECONDS: Final = 3600.0
_WEEK_SECONDS: Final = 7 * 24 * _HOUR_SECONDS


def note_clock(db: Database, library_id: str, clock: Clock) -> None:
    """To be called before a scan marks anything as missing: if the clock was set back, its time is the known moment.

    Otherwise what the scan finds out at that time would look old as soon as the clock is right again.
    Synchronous, one small query: run it in a worker thread.
    """
    now, key = clock(), _key(library_id)
    known = _moment(db.settings.get(key))
    if known is not None and known > now:
        db.settings.update(key, lambda stored: json.dumps(_earlier(_moment(stored), now)))


def next_moment(db: Database, library_id: str, *, seconds_between: float, clock: Clock) -> float | None:
    """The known moment of a library if it is that long ago; then the next one is now. None as long as it is not.

    By it a clock that is ahead makes nothing old that is not, and one that was set back makes everything wait anew.
    Synchronous, one small query: run it in a worker thread.
    """
    now, key = clock(), _key(library_id)
    known = _moment(db.settings.get(key))
    if known is not None and now - known < seconds_between:
        return None
    # Not if another process was told meanwhile that the clock was set back.
    db.settings.update(key, lambda stored: json.dumps(now if _moment(stored) == known else _moment(stored)))
    return known


def seconds_between_moments(keep_days: float | None) -> float:
    """A quarter of the retention, at most a week: what is kept for a day only can't wait for a week."""
    if keep_days is None:
        return _WEEK_SECONDS
    return min(_WEEK_SECONDS, max(_HOUR_SECONDS, keep_days * 24 * _HOUR_SECONDS / 4))


def forget_moment(db: Database, library_id: str) -> None:
    """Of a library that is removed."""
    db.settings.remove([_key(library_id)])


def _key(library_id: str) -> str:
    return f"known_moment:{library_id}"


def _moment(stored: str | None) -> float | None:
    """None if nobody can tell: then it begins anew."""
    try:
        moment = json.loads(stored or "null")
    except ValueError:
        return None
    return moment if isinstance(moment, float) and math.isfinite(moment) else None


def _earlier(known: float | None, now: float) -> float:
    return now if known is None else min(known, now)
