"""A watched music folder for every test that wants one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from watch_kit import Watched, watched


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Where the music is; still empty."""
    root = tmp_path / "music"
    root.mkdir()
    return root


@pytest.fixture
async def seen(root: Path, database: Path) -> AsyncIterator[Watched]:
    """The folder `root`, watched with short pauses."""
    (root / "here.wav").write_bytes(b"")
    async with watched(root, database) as seen:
        yield seen
