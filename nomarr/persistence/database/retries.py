"""Which failures of a server pass by themselves, and how long to wait before asking again."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Final

__all__ = ["DATABASE_MISSING", "DISK_FULL", "DUPLICATE", "TABLE_MISSING", "explained", "is_passing", "pauses"]

DUPLICATE: Final = 1210
TABLE_MISSING: Final = 1203
DATABASE_MISSING: Final = 1228
DISK_FULL: Final = 1104

_FORBIDDEN: Final = 11
_NO_RIGHTS: Final = "its user may not do that; give it the right to read and write this database"

_PASSING: Final = frozenset(
    (18, 28, 29, 30, 38, 503, 1200, 1302, 1303, 1429, 1457, 1464, 1465, 1478, 1491, 1495, 1496, 1600, 21003)
)
"""Locks, timeouts, conflicts of two writers, and a server that starts, stops or hands over; 1600: a cursor that is
gone. From the list of error codes in the documentation of ArangoDB 3.12."""

_PASSING_STATUS: Final = frozenset((408, 409, 412, 429, 500, 502, 503, 504))
"""Of answers without an error code: one that broke off, or that somebody between us and the server has given."""

_TEXTS: Final = {
    _FORBIDDEN: "it refused the user or the password; check both in the database URL",
    32: "the query needs more memory than the server allows; raise --query.memory-limit or lower scan_batch_size",
    DATABASE_MISSING: "there is no such database, and this user may not create it; let an administrator do that",
    TABLE_MISSING: "its collections are missing; open it once with a user that may create them",
    1004: "it is read-only at the moment; end its maintenance or free its disk, and try again",
}

_FIRST_SECONDS: Final = 0.02
_LONGEST_SECONDS: Final = 1.0


def is_passing(error_code: int | None, http_code: int | None) -> bool:
    """True if the same request may succeed a moment later."""
    # The driver takes the status for the code where an answer has none.
    return error_code in _PASSING or (error_code in (None, http_code) and http_code in _PASSING_STATUS)


def explained(error_code: int | None, http_code: int | None, message: str) -> str:
    """What went wrong and what helps, for people."""
    if http_code == 401:
        error_code = _FORBIDDEN
    elif error_code == _FORBIDDEN:
        return _NO_RIGHTS
    return _TEXTS.get(error_code or 0, f"{message} (error {error_code}, HTTP {http_code})")


def pauses(patience_seconds: float, randomness: random.Random) -> Iterator[float]:
    """Seconds to wait before each further attempt, growing and never regular, until the patience is used up."""
    waited, longest = 0.0, _FIRST_SECONDS
    while waited < patience_seconds:
        pause = randomness.uniform(longest / 2, longest)
        yield pause
        waited += pause
        longest = min(longest * 2, _LONGEST_SECONDS)
