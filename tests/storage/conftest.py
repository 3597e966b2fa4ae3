"""Every storage test runs on each backend of `BACKENDS`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from storage_kit import Scan, start_scan
from support.backends import BACKENDS, Server, create, fresh_name, sqlite_url

from nomarr.persistence.db import Database


def fresh_url(request: pytest.FixtureRequest, folder: Path) -> str:
    """A database of the parameter's backend that does not exist yet."""
    if request.param == "sqlite":
        return sqlite_url(folder / "nomarr.db")
    server: Server = request.getfixturevalue("arango_server")
    return server.database_url(fresh_name())


@pytest.fixture(params=BACKENDS)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return fresh_url(request, tmp_path)


@pytest.fixture
def db(request: pytest.FixtureRequest, database_url: str) -> Iterator[Database]:
    if database_url.startswith("arangodb"):
        create(request.getfixturevalue("arango_server"), database_url)
    with Database.open(database_url) as opened:
        yield opened


@pytest.fixture
def scan(db: Database) -> Scan:
    """The library "music", being scanned."""
    return start_scan(db)


@pytest.fixture
def other(db: Database) -> Scan:
    """The library "other", being scanned."""
    return start_scan(db, "other", token="two")


@pytest.fixture(scope="module", params=BACKENDS)
def any_database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """One database for all examples of a property; each example adds a library of its own."""
    with Database.open(fresh_url(request, tmp_path_factory.mktemp("database"))) as opened:
        yield opened
