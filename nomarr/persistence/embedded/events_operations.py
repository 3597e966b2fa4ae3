"""The change feed in SQLite."""

from __future__ import annotations

from nomarr.helpers.dto.events import ChangeEvent, EventType
from nomarr.helpers.paths_helper import unescaped
from nomarr.persistence.embedded.connection import SqliteConnections
from nomarr.persistence.embedded.rows_operations import unescaped_or_none

__all__ = ["SqliteEvents"]


class SqliteEvents:
    """`EventStore` on SQLite."""

    def __init__(self, connections: SqliteConnections) -> None:
        self._connections = connections

    def after(self, seq: int, *, limit: int = 1000) -> list[ChangeEvent]:
        rows = self._connections.read("SELECT * FROM events WHERE seq > ? ORDER BY seq LIMIT ?", (seq, limit))
        return [
            ChangeEvent(
                seq=row["seq"],
                time=row["time"],
                type=EventType(row["type"]),
                library_id=row["library_id"],
                file_id=row["file_id"],
                path=unescaped(row["path"]),
                old_path=unescaped_or_none(row["old_path"]),
                evidence=unescaped_or_none(row["evidence"]),
            )
            for row in rows
        ]

    def last_seq(self) -> int:
        # Not MAX(seq): the newest events may have been pruned, and numbers are never used again.
        rows = self._connections.read("SELECT seq FROM sqlite_sequence WHERE name = 'events'")
        return int(rows[0]["seq"]) if rows else 0

    def prune(self, *, before: float) -> None:
        # By number up to the first one that is young enough, so that no index on the time is needed.
        self._connections.write(
            lambda db: db.execute(
                "DELETE FROM events WHERE seq < COALESCE((SELECT seq FROM events WHERE time >= ? ORDER BY seq LIMIT 1),"
                " (SELECT MAX(seq) + 1 FROM events))",
                (before,),
            )
        )
