"""A fresh database on each backend, and what is stored in it, whatever stores it."""

from __future__ import annotations

import itertools
import os
import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Protocol

from arango.client import ArangoClient

from nomarr.helpers.paths_helper import name_of
from nomarr.persistence.database.connection import ArangoConnection
from nomarr.persistence.database.schema import COLLECTIONS
from nomarr.persistence.database.server_url import parsed
from nomarr.persistence.db import Database
from support.arango import ArangoDouble

BACKENDS = ("sqlite", "arangodb")
REAL_SERVER_URL = os.environ.get("NOMARR_TEST_ARANGO_URL")
"""`arangodb://user:password@host:8529/prefix`: tests create and drop databases whose names begin with the prefix."""
_TEMPLATE = "template"
_numbers = itertools.count()


class Server(Protocol):
    """Where tests have databases of their own."""

    def database_url(self, database: str = "nomarr") -> str:
        """The URL of a database, whether it is there or not."""

    def copy_database(self, source: str, name: str) -> None:
        """Make the empty database `name`."""


class RealServer:
    """A server that was there before; whatever tests create on it is dropped at the end."""

    def __init__(self, url: str) -> None:
        self._url, _, prefix = url.rpartition("/")
        self._prefix = f"{prefix}_{secrets.token_hex(4)}_"
        self._server = parsed(url)

    def database_url(self, database: str = "nomarr") -> str:
        return f"{self._url}/{self._prefix}{database}"

    def copy_database(self, source: str, name: str) -> None:
        """By requests: a server has nothing quicker."""
        Database.open(f"{self._url}/{name}").close()

    def drop_databases(self) -> None:
        client = ArangoClient(hosts=self._server.host)
        with closing(client):
            system = client.db("_system", username=self._server.user, password=self._server.password)
            for name in system.databases():
                if name.startswith(self._prefix):
                    system.delete_database(name)


@contextmanager
def prepared_server() -> Iterator[Server]:
    """A server for many tests; each takes a database of its own."""
    if REAL_SERVER_URL:
        real = RealServer(REAL_SERVER_URL)
        try:
            yield real
        finally:
            real.drop_databases()
        return
    with ArangoDouble() as server:
        with Database.open(server.database_url(_TEMPLATE)):
            pass
        yield server


def sqlite_url(database: Path) -> str:
    return f"sqlite:///{database}"


def fresh_name() -> str:
    """A name that no database has yet."""
    return f"test{next(_numbers)}"


def create(server: Server, url: str) -> None:
    """Create the database at the URL: by requests that takes forty of them, as many as the rest of a test."""
    server.copy_database(_TEMPLATE, name_of(url))


def dump(url: str, leaving_out: Sequence[str] = ("libraries", "scan_runs")) -> dict[str, list[Any]]:
    """Everything that is stored; without what says when a scan was."""
    stored = _dump_of_file(url.removeprefix("sqlite:///")) if url.startswith("sqlite") else _dump_of_server(url)
    return {name: rows for name, rows in stored.items() if name not in leaving_out}


def _dump_of_file(path: str) -> dict[str, list[Any]]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: sorted(connection.execute(f'SELECT * FROM "{name}"').fetchall(), key=repr) for name in names}


def _dump_of_server(url: str) -> dict[str, list[Any]]:
    connection = ArangoConnection(url)
    with closing(connection):
        return {name: sorted(connection.query(f"FOR d IN {name} RETURN d"), key=repr) for name in COLLECTIONS}
