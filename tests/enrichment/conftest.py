"""Fixtures for tests of enrichment."""

from __future__ import annotations

import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from enrichment_kit import FFPROBE, FPCALC, Tools, children

from nomarr import Nomarr

# The program that is killed lives with the chaos tests.
sys.path.insert(0, str(Path(__file__).parents[1] / "chaos"))


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tools:
    """The external tools, watched: fpcalc and ffprobe log their calls."""
    for name in (FPCALC, FFPROBE, "ffmpeg"):
        if shutil.which(name) is None:
            pytest.skip(f"{name} is missing")
    found = Tools(tmp_path / "tools", monkeypatch)
    found.wrap(FPCALC)
    found.wrap(FFPROBE)
    return found


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An empty music folder."""
    folder = tmp_path / "music"
    folder.mkdir()
    return folder


@pytest.fixture
async def impatient(database: Path) -> AsyncIterator[Nomarr]:
    """A tool gets a second for each file."""
    url = f"sqlite:///{database}"
    async with Nomarr.open(url, settle_seconds=0, tag_workers=1, enrichment_timeout_seconds=1.0) as opened:
        yield opened


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    yield
    assert children() == []
