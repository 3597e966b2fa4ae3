"""The history of scans in SQLite."""

from __future__ import annotations

from nomarr.helpers.dto.scan import ScanPlace, ScanRun
from nomarr.persistence.embedded.connection import SqliteConnections
from nomarr.persistence.embedded.rows_operations import BEING_REMOVED
from nomarr.persistence.rows import scan_run_of

__all__ = ["SqliteScanRuns"]


class SqliteScanRuns:
    """`ScanRunStore` on SQLite."""

    def __init__(self, connections: SqliteConnections) -> None:
        self._connections = connections

    def list_runs(
        self, library_id: str | None = None, *, limit: int = 100, before: ScanPlace | None = None
    ) -> list[ScanRun]:
        where, values = ("TRUE", ()) if library_id is None else ("library_id = ?", (library_id,))
        place: tuple[object, ...] = ()
        if before is not None:
            where += (
                " AND (started_at < ? OR (started_at = ? AND rowid < (SELECT rowid FROM scan_runs WHERE scan_id = ?)))"
            )
            place = (before.started_at, before.started_at, before.scan_id)
        rows = self._connections.read(
            f"SELECT * FROM scan_runs WHERE {where} AND library_id NOT IN ({BEING_REMOVED})"
            " ORDER BY started_at DESC, rowid DESC LIMIT ?",
            (*values, *place, limit),
        )
        return [scan_run_of(row) for row in rows]

    def prune(self, *, keep_per_library: int) -> None:
        self._connections.write(
            lambda db: db.execute(
                "DELETE FROM scan_runs WHERE rowid IN (SELECT id FROM (SELECT rowid AS id, ROW_NUMBER() OVER"
                " (PARTITION BY library_id ORDER BY started_at DESC, rowid DESC) AS age FROM scan_runs) WHERE age > ?)",
                (keep_per_library,),
            )
        )
