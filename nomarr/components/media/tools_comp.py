"""The external programs that know more about sound than we do."""

from __future__ import annotations

import os
import shutil
from typing import Final

__all__ = ["FFPROBE", "FPCALC", "find_tool"]

FFPROBE: Final = "ffprobe"
"""Counts the packets of a stream; part of FFmpeg."""

FPCALC: Final = "fpcalc"
"""Makes acoustic fingerprints; part of chromaprint."""


def find_tool(name: str) -> str | None:
    """The absolute path of a program on the search path; None if it is not there or may not be run."""
    found = shutil.which(name)
    return None if found is None else os.path.abspath(found)
