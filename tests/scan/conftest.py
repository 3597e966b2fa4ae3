"""Fixtures for tests of scans."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.music import wait_for_another_timestamp
from support.scanned import Music, Scanned
from support.scans import ids, last_seq, scan

from nomarr import Nomarr


@pytest.fixture
def scanned(nomarr: Nomarr, music_tree: Callable[..., Path]) -> Scanned:
    async def make(tree: dict[str, object], name: str = "music") -> Music:
        root = music_tree(tree, name)
        wait_for_another_timestamp(root.parent, 0.03)
        library = await nomarr.libraries.add_library(name, root)
        await scan(nomarr, library)
        wait_for_another_timestamp(root.parent)
        return Music(nomarr, library, await ids(nomarr, library), await last_seq(nomarr))

    return make
