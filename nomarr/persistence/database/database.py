"""The ArangoDB backend, opened."""

from __future__ import annotations

from nomarr.helpers.dto.server import ServerExamination
from nomarr.persistence.database.connection import ArangoConnection
from nomarr.persistence.database.enrichment_operations import ArangoEnrichment
from nomarr.persistence.database.events_operations import ArangoEvents
from nomarr.persistence.database.examination_operations import examine
from nomarr.persistence.database.library_files_operations import ArangoFiles
from nomarr.persistence.database.library_folders_operations import ArangoFolders
from nomarr.persistence.database.library_operations import ArangoLibraries
from nomarr.persistence.database.library_sidecars_operations import ArangoSidecars
from nomarr.persistence.database.queries import ORPHANS
from nomarr.persistence.database.scan_runs_operations import ArangoScanRuns
from nomarr.persistence.database.schema import prepare, require_database, schema_version
from nomarr.persistence.database.settings_operations import ArangoSettings
from nomarr.persistence.database.stored_rows_operations import ArangoRows

__all__ = ["ArangoBackend"]

_OF_LIBRARIES = ("library_files", "library_folders", "library_sidecars", "scan_runs")


class ArangoBackend:
    """`Backend` on one database of an ArangoDB server, created if it is not there.

    Args:
        create: False to refuse a database that is not there.

    Raises:
        ConfigurationError: if the URL names no server and database.
        DatabaseNotReachable: if the server does not answer, or the database is not to be created.
        DatabaseSchemaTooNew: if a newer Nomarr wrote it.
    """

    is_of_one_machine = False

    def __init__(self, url: str, *, create: bool = True) -> None:
        self._connection = ArangoConnection(url)
        try:
            if not create:
                require_database(self._connection)
            prepare(self._connection)
            # Also whoever never takes a lease has to judge those of others.
            self._connection.measure_clock()
            self._connection.be_patient()
        except BaseException:
            self._connection.close()
            raise
        self.location = self._connection.location
        # A server has no place beside it that is ours: covers need the setting `data_folder`.
        self.own_folder = None
        self.library = ArangoLibraries(self._connection)
        self.library_files = ArangoFiles(self._connection)
        self.library_folders = ArangoFolders(self._connection)
        self.library_sidecars = ArangoSidecars(self._connection)
        self.scan_runs = ArangoScanRuns(self._connection)
        self.events = ArangoEvents(self._connection)
        self.enrichment = ArangoEnrichment(self._connection)
        self.settings = ArangoSettings(self._connection)
        self.rows = ArangoRows(self._connection)

    def schema_version(self) -> int:
        return schema_version(self._connection)

    def check_integrity(self) -> list[str]:
        return [
            f"{row['rows']} documents of {collection} belong to the library {row['library_id']}, which is not there"
            for collection in _OF_LIBRARIES
            for row in self._connection.query(ORPHANS, {"@collection": collection})
        ]

    def examine_server(self) -> ServerExamination:
        return examine(self._connection)

    def give_up(self) -> None:
        self._connection.give_up()

    def close(self) -> None:
        self._connection.close()
