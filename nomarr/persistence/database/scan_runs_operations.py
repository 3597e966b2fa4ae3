"""The history of scans in ArangoDB."""

from __future__ import annotations

from nomarr.helpers.dto.scan import ScanPlace, ScanRun
from nomarr.persistence.database.connection import ArangoConnection
from nomarr.persistence.database.queries import PRUNE_RUNS, SCAN_RUNS
from nomarr.persistence.database.rows_operations import key_of
from nomarr.persistence.rows import scan_run_of

__all__ = ["ArangoScanRuns"]


class ArangoScanRuns:
    """`ScanRunStore` on ArangoDB."""

    def __init__(self, connection: ArangoConnection) -> None:
        self._connection = connection

    def list_runs(
        self, library_id: str | None = None, *, limit: int = 100, before: ScanPlace | None = None
    ) -> list[ScanRun]:
        wanted = {
            "library": None if library_id is None else key_of(library_id),
            "started_at": None if before is None else before.started_at,
            "run_key": None if before is None else key_of(before.scan_id),
            "limit": limit,
        }
        return [scan_run_of(row) for row in self._connection.query(SCAN_RUNS, wanted)]

    def prune(self, *, keep_per_library: int) -> None:
        self._connection.query(PRUNE_RUNS, {"keep": keep_per_library})
