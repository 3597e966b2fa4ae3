"""How long what is promised in seconds may take in a test."""

from __future__ import annotations

import os
from typing import Final

__all__ = ["promised"]

_BESIDE_OTHERS: Final = 4
"""So many times as long, as other tests take the processors and the disk."""


def promised(seconds: float) -> float:
    """`seconds` if this is the only process that runs tests, more if there are others."""
    return seconds * (_BESIDE_OTHERS if "PYTEST_XDIST_WORKER" in os.environ else 1)
