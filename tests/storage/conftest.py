"""Every storage test runs on each backend of `BACKENDS`."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from storage_kit import Scan, start_scan
from support.arango import ArangoDouble

from nomarr.helpers.paths_helper import name_of
from nomarr.persistence.db import Database

BACKENDS = ["sqlite", "arangodb"]
TEMPLATE = "template"
_numbers = itertools.count()


@pytest.fixture(scope="session")
def arango_server() -> Iterator[ArangoDouble]:
    """One server for all tests; each has a database of its own."""
    with ArangoDouble() as server:
        with Database.open(server.database_url(TEMPLATE)):
            pass
        yield server


def fresh_url(request: pytest.FixtureRequest, folder: Path) -> str:
    """A database of the parameter's backend that does not exist yet."""
    if request.param == "sqlite":
        return f"sqlite:///{folder / 'nomarr.db'}"
    server: ArangoDouble = request.getfixturevalue("arango_server")
    return server.database_url(f"test{next(_numbers)}")


@pytest.fixture(params=BACKENDS)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return fresh_url(request, tmp_path)


@pytest.fixture
def db(request: pytest.FixtureRequest, database_url: str) -> Iterator[Database]:
    if database_url.startswith("arangodb"):
        # To create collections and indexes takes forty requests, as many as the rest of a test.
        server: ArangoDouble = request.getfixturevalue("arango_server")
        server.copy_database(TEMPLATE, name_of(database_url))
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
