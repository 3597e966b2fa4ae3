"""The SQLite backend, opened."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from nomarr.persistence.embedded.connection import LOCKED_PATIENCE_SECONDS, SqliteConnections
from nomarr.persistence.embedded.enrichment_operations import SqliteEnrichment
from nomarr.persistence.embedded.events_operations import SqliteEvents
from nomarr.persistence.embedded.library_files_operations import SqliteFiles
from nomarr.persistence.embedded.library_folders_operations import SqliteFolders
from nomarr.persistence.embedded.library_operations import SqliteLibraries
from nomarr.persistence.embedded.library_sidecars_operations import SqliteSidecars
from nomarr.persistence.embedded.rows_operations import BEING_REMOVED
from nomarr.persistence.embedded.scan_runs_operations import SqliteScanRuns
from nomarr.persistence.embedded.settings_operations import SqliteSettings
from nomarr.persistence.embedded.stored_rows_operations import SqliteRows

__all__ = ["SqliteDatabase"]

_OF_LIBRARIES: Final = ("library_files", "library_folders", "library_sidecars", "scan_runs")


class SqliteDatabase:
    """`Backend` on one SQLite file, created if it is not there."""

    is_of_one_machine = True
    """Processes share the index of the log in memory: <https://www.sqlite.org/wal.html>, "Overview"."""

    def __init__(
        self,
        path: Path,
        *,
        migrations: Mapping[int, str] | None = None,
        patience_seconds: float = LOCKED_PATIENCE_SECONDS,
    ) -> None:
        self._connections = SqliteConnections(path, migrations=migrations, patience_seconds=patience_seconds)
        self.location = f"sqlite:///{path}"
        # As SQLite itself does with `-wal` and `-shm`.
        self.own_folder = path.absolute().with_name(f"{path.name}-data")
        self.library = SqliteLibraries(self._connections)
        self.library_files = SqliteFiles(self._connections)
        self.library_folders = SqliteFolders(self._connections)
        self.library_sidecars = SqliteSidecars(self._connections)
        self.scan_runs = SqliteScanRuns(self._connections)
        self.events = SqliteEvents(self._connections)
        self.enrichment = SqliteEnrichment(self._connections)
        self.settings = SqliteSettings(self._connections)
        self.rows = SqliteRows(self._connections)

    def schema_version(self) -> int:
        return self._connections.schema_version()

    def check_integrity(self) -> list[str]:
        found = [str(row[0]) for row in self._connections.read("PRAGMA integrity_check")]
        orphans = self._connections.read("SELECT \"table\" FROM pragma_foreign_key_check WHERE parent <> 'libraries'")
        return [
            *(text for text in found if text != "ok"),
            *(f"a row of {row[0]} belongs to nothing" for row in orphans),
            *(text for table in _OF_LIBRARIES for text in self._without_library(table)),
        ]

    def _without_library(self, table: str) -> list[str]:
        """What is left of a library that is being removed is nothing wrong."""
        rows = self._connections.read(
            f"SELECT library_id, COUNT(*) FROM {table}"
            f" WHERE library_id NOT IN (SELECT library_id FROM libraries UNION ALL {BEING_REMOVED}) GROUP BY library_id"
        )
        return [
            f"{count} rows of {table} belong to the library {library_id}, which is not there"
            for library_id, count in rows
        ]

    def examine_server(self) -> None:
        return None

    def give_up(self) -> None:
        self._connections.give_up()

    def close(self) -> None:
        self._connections.close()
