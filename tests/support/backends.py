"""A fresh database on each backend, and what is stored in it, whatever stores it."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from nomarr.helpers.paths_helper import name_of
from nomarr.persistence.database.connection import ArangoConnection
from nomarr.persistence.database.schema import COLLECTIONS
from nomarr.persistence.db import Database
from support.arango import ArangoDouble

BACKENDS = ("sqlite", "arangodb")
_TEMPLATE = "template"
_numbers = itertools.count()


@contextmanager
def prepared_server() -> Iterator[ArangoDouble]:
    """A server for many tests; each takes a database of its own."""
    with ArangoDouble() as server:
        with Database.open(server.database_url(_TEMPLATE)):
            pass
        yield server


def sqlite_url(database: Path) -> str:
    return f"sqlite:///{database}"


def fresh_name() -> str:
    """A name that no database has yet."""
    return f"test{next(_numbers)}"


def create(server: ArangoDouble, url: str) -> None:
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
