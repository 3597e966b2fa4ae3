"""How much each transaction wrote."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

import pytest

from support.arango import ArangoDouble

Written = Callable[[], list[int]]
"""How many rows each transaction wrote since it was last asked; those that wrote nothing are left out."""


def written_on(server: ArangoDouble) -> list[int]:
    """`Written` of a server."""
    counts = [seen.written for seen in server.log if seen.written]
    server.forget_requests()
    return counts


def written_to_file(monkeypatch: pytest.MonkeyPatch) -> Written:
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
