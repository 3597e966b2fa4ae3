"""Small named values in SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from typing import Final

from nomarr.persistence.embedded.connection import SqliteConnections

__all__ = ["SqliteSettings"]

_GET: Final = "SELECT value FROM settings WHERE key = ?"
_SET: Final = "INSERT INTO settings (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"


class SqliteSettings:
    """`SettingStore` on SQLite."""

    def __init__(self, connections: SqliteConnections) -> None:
        self._connections = connections

    def get(self, key: str) -> str | None:
        rows = self._connections.read(_GET, (key,))
        return rows[0]["value"] if rows else None

    def get_or_set(self, key: str, value: str) -> str:
        def work(db: sqlite3.Connection) -> str:
            db.execute("INSERT INTO settings (key, value) VALUES (?, ?) ON CONFLICT (key) DO NOTHING", (key, value))
            return str(db.execute(_GET, (key,)).fetchone()["value"])

        return self._connections.write(work)

    def below(self, prefix: str) -> dict[str, str]:
        # Of the same bytes and what follows them in the order of bytes; LIKE would read `_` and `%` as something else.
        rows = self._connections.read(
            "SELECT key, value FROM settings WHERE key >= ? AND substr(key, 1, ?) = ?", (prefix, len(prefix), prefix)
        )
        return {row["key"]: row["value"] for row in rows}

    def remove(self, keys: Iterable[str]) -> None:
        wanted = [(key,) for key in keys]
        if wanted:
            self._connections.write(lambda db: db.executemany("DELETE FROM settings WHERE key = ?", wanted))

    def set(self, key: str, value: str) -> None:
        self._connections.write(lambda db: db.execute(_SET, (key, value)))

    def update(self, key: str, change: Callable[[str | None], str]) -> str:
        def work(db: sqlite3.Connection) -> str:
            row = db.execute(_GET, (key,)).fetchone()
            value = change(None if row is None else row["value"])
            db.execute(_SET, (key, value))
            return value

        return self._connections.write(work)
