"""How much each transaction wrote."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from nomarr.persistence.database import pieces, rows_operations
from nomarr.persistence.embedded import rows_operations as embedded_rows
from support.arango import ArangoDouble

Written = Callable[[], list[int]]
"""How many rows each transaction wrote since it was last asked; those that wrote nothing are left out."""


def written_by(
    request: pytest.FixtureRequest, database_url: str, monkeypatch: pytest.MonkeyPatch, rows_at_once: int
) -> Written:
    """`Written` of the database that a test is about to open; whatever is written in pieces is in such small ones."""
    for module in (pieces, rows_operations, embedded_rows):
        monkeypatch.setattr(module, "ROWS_AT_ONCE", rows_at_once)
    if database_url.startswith("sqlite"):
        return _written_to_file(monkeypatch)
    server = request.getfixturevalue("arango_server")
    if not isinstance(server, ArangoDouble):
        pytest.skip("a real server does not tell how much each query wrote")
    return partial(_written_on, server)


def _written_on(server: ArangoDouble) -> list[int]:
    """`Written` of a server."""
    counts = [seen.written for seen in server.log if seen.written]
    server.forget_requests()
    return counts


def _written_to_file(monkeypatch: pytest.MonkeyPatch) -> Written:
    """`Written` of every SQLite file that is opened from now on."""
    counts: list[int] = []
    connect = sqlite3.connect

    def connect_noting(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*arguments, **options)
        before = 0

        def note(statement: str) -> None:
            nonlocal before
            if statement == "COMMIT":
                counts.append(connection.total_changes - before)
                before = connection.total_changes

        connection.set_trace_callback(note)
        return connection

    def written() -> list[int]:
        since = [count for count in counts if count]
        counts.clear()
        return since

    monkeypatch.setattr(sqlite3, "connect", connect_noting)
    return written
