"""Times as people and other programs read them."""

from __future__ import annotations

import time

import pytest

from nomarr.helpers.time_helper import iso8601, system_clock


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, None),
        (0.0, "1970-01-01T00:00:00.000Z"),
        (1_769_860_800.25, "2026-01-31T12:00:00.250Z"),
        (-1.0, "1969-12-31T23:59:59.000Z"),
        (4_102_444_800, "2100-01-01T00:00:00.000Z"),
    ],
)
def test_a_time_is_utc_with_milliseconds(seconds: float | None, text: str | None) -> None:
    assert iso8601(seconds) == text


def test_the_clock_tells_seconds_since_1970() -> None:
    assert time.time() - 5 < system_clock() <= time.time()
