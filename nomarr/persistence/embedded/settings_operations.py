"""Small named values in SQLite."""

from __future__ import annotations

import sqlite3

from nomarr.persistence.embedded.connection import SqliteConnections

__all__ = ["SqliteSettings"]


class SqliteSettings:
    """`SettingStore` on SQLite."""

    def __init__(self, connections: SqliteConnections) -> None:
        self._connections = connections

    def get(self, key: str) -> str | None:
        rows = self._connections.read("SELECT value FROM settings WHERE key = ?", (key,))
        return rows[0]["value"] if rows else None

    def get_or_set(self, key: str, value: str) -> str:
        def work(db: sqlite3.Connection) -> str:
            db.execute("INSERT INTO settings (key, value) VALUES (?, ?) ON CONFLICT (key) DO NOTHING", (key, value))
            return str(db.execute("SELECT value FROM settings WHERE key = ?", (key,)).fetchone()["value"])

        return self._connections.write(work)

    def set(self, key: str, value: str) -> None:
        self._connections.write(
            lambda db: db.execute(
                "INSERT INTO settings (key, value) VALUES (?, ?)"
                " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                (key, value),
            )
        )
