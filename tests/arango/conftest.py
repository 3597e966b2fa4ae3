"""A double of an ArangoDB server, the driver that talks to it, and AQL without either."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from arango.client import ArangoClient
from arango.database import StandardDatabase
from support.arango import ArangoDouble
from support.arango.interpreter import execute
from support.arango.store import Database

NOW_MS = 1_700_000_000_000


@pytest.fixture
def store() -> Database:
    """A database with the collections `files` and `other`; the first has indexes."""
    database = Database("nomarr")
    files = database.create_collection("files", {})
    files.add_index({"type": "persistent", "fields": ["library", "name"], "unique": True, "name": "by_name"})
    files.add_index({"type": "persistent", "fields": ["library", "within[*]"], "name": "within"})
    database.create_collection("other", {})
    return database


@pytest.fixture
def aql(store: Database) -> Callable[..., list[Any]]:
    """`aql(text, name=value)` executes a query and gives its results."""

    def run(text: str, **binds: Any) -> list[Any]:
        return execute(store, text, binds, NOW_MS).results

    return run


@pytest.fixture
def server() -> Iterator[ArangoDouble]:
    with ArangoDouble(clock=lambda: NOW_MS / 1000) as running:
        yield running


@pytest.fixture
def driver(server: ArangoDouble) -> Iterator[StandardDatabase]:
    """The database `nomarr` with a collection `files`, as python-arango sees it."""
    client = ArangoClient(hosts=server.url, resolver_max_tries=1)
    client.db("_system", username="root", password="secret").create_database("nomarr")
    database = client.db("nomarr", username="root", password="secret")
    database.create_collection("files")
    yield database
    client.close()
