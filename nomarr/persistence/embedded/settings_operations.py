"""Small named values in SQLite."""

from __future__ import annotations

from nomarr.persistence.embedded.connection import SqliteConnections

__all__ = ["SqliteSettings"]


class SqliteSettings:
    """`SettingStore` on SQLite."""

    def __init__(self, connections: SqliteConnections) -> None:
        self._connections = connections

    def get(self, key: str) -> str | None:
        rows = self._connections.read("SELECT value FROM settings WHERE key = ?", (key,))
        return rows[0]["value"] if rows else None

    def set(self, key: str, value: str) -> None:
        self._connections.write(
            lambda db: db.execute(
                "INSERT INTO settings (key, value) VALUES (?, ?)"
                " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                (key, value),
            )
        )
