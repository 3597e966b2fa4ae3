"""Fixtures for tests of scans."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.backends import BACKENDS, Server, create, fresh_name, sqlite_url
from support.music import wait_for_another_timestamp
from support.scanned import Music, Scanned
from support.scans import ids, last_seq, scan

from nomarr import Nomarr

# Scans use the whole of a backend here; the other files run on a server with `-m thorough`.
ON_EVERY_BACKEND = frozenset(
    {
        "test_batch_sizes",
        "test_cost",
        "test_losses",
        "test_moves",
        "test_playlists",
        "test_scan_options",
        "test_undo_moves",
    }
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # pytest hands the items of all folders to this hook.
    for item in (item for item in items if item.path.parent == Path(__file__).parent):
        parameters = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
        if parameters.get("database_url") == "arangodb" and item.path.stem not in ON_EVERY_BACKEND:
            item.add_marker(pytest.mark.thorough)


@pytest.fixture(params=BACKENDS)
def database_url(
    request: pytest.FixtureRequest, database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> str:
    if request.param == "sqlite":
        return sqlite_url(database)
    server: Server = request.getfixturevalue("arango_server")
    url = server.database_url(fresh_name())
    create(server, url)
    monkeypatch.setenv("NOMARR_DATA_FOLDER", str(tmp_path / "data"))
    return url


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
