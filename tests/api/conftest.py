"""A running service over a real database and real files."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from api_kit import Api, running_api
from support.music import tone

from nomarr import Library, Nomarr
from nomarr.interfaces.api.options_if import ServiceOptions


@pytest.fixture
def options(tmp_path: Path) -> ServiceOptions:
    """Without watching, so that only what a test asks for is scanned; clients may ask as often as they like."""
    return ServiceOptions(browse_roots=(str(tmp_path),), watch=False, requests_per_second=1e6, burst=1_000_000)


@pytest.fixture
async def api(nomarr: Nomarr, options: ServiceOptions) -> AsyncIterator[Api]:
    async with running_api(nomarr, options) as running:
        yield running


@pytest.fixture
async def library(nomarr: Nomarr, music_tree: Callable[..., Path]) -> Library:
    """Three files in two folders; not scanned yet."""
    root = music_tree({"Rock": {"a.wav": tone(200), "b.wav": tone(210)}, "Jazz": {"c.wav": tone(220)}})
    return await nomarr.libraries.add_library("Music", root)
