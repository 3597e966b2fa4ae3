"""The history of scans in SQLite."""

from __future__ import annotations

import sqlite3

from nomarr.helpers.dto.scan import ScanRun, ScanRunState
from nomarr.persistence.embedded.connection import SqliteConnections
from nomarr.persistence.embedded.rows_operations import report_from_json, targets_from_json, unescaped_or_none

__all__ = ["SqliteScanRuns"]


class SqliteScanRuns:
    """`ScanRunStore` on SQLite."""

    def __init__(self, connections: SqliteConnections) -> None:
        self._connections = connections

    def list_runs(self, library_id: str | None = None, *, limit: int = 100) -> list[ScanRun]:
        where, values = ("", ()) if library_id is None else ("WHERE library_id = ?", (library_id,))
        rows = self._connections.read(
            f"SELECT * FROM scan_runs {where} ORDER BY started_at DESC, rowid DESC LIMIT ?", (*values, limit)
        )
        return [_scan_run(row) for row in rows]

    def prune(self, *, keep_per_library: int) -> None:
        self._connections.write(
            lambda db: db.execute(
                "DELETE FROM scan_runs WHERE rowid IN (SELECT id FROM (SELECT rowid AS id, ROW_NUMBER() OVER"
                " (PARTITION BY library_id ORDER BY started_at DESC, rowid DESC) AS age FROM scan_runs) WHERE age > ?)",
                (keep_per_library,),
            )
        )


def _scan_run(row: sqlite3.Row) -> ScanRun:
    return ScanRun(
        scan_id=row["scan_id"],
        library_id=row["library_id"],
        state=ScanRunState(row["state"]),
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        targets=targets_from_json(row["library_id"], row["targets"]),
        full=bool(row["is_full"]),
        error=unescaped_or_none(row["error"]),
        report=report_from_json(row["report"]),
    )
