"""Collections and indexes, and the way from one version of them to the next."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from nomarr.helpers.exceptions import DatabaseNotReachable, DatabaseSchemaTooNew
from nomarr.persistence.database.connection import ArangoConnection, ServerRefused
from nomarr.persistence.database.queries import SCHEMA_VERSION, SET_SCHEMA_VERSION
from nomarr.persistence.database.retries import DATABASE_MISSING, TABLE_MISSING

__all__ = ["COLLECTIONS", "INDEXES", "MIGRATIONS", "Index", "prepare", "require_database", "schema_version"]

logger = logging.getLogger(__name__)

_EXISTS_ALREADY: Final = 1207
_COORDINATOR: Final = "COORDINATOR"

COLLECTIONS: Final = (
    "libraries",
    "library_files",
    "library_folders",
    "library_sidecars",
    "scan_runs",
    "events",
    "loose_covers",
    "settings",
    "meta",
)
"""`meta` holds the schema's version, the number of the newest event and the enrichment lease."""


class Index(NamedTuple):
    """A changed definition needs a new name: the server keeps what it has under a known one."""

    collection: str
    name: str
    fields: tuple[str, ...]
    unique: bool = False

    def definition(self) -> dict[str, Any]:
        """As the HTTP interface wants it."""
        return {
            "type": "persistent",
            "name": self.name,
            "fields": list(self.fields),
            "unique": self.unique,
            "sparse": False,
        }


# Texts are indexed by their hashes: indexes compare by ICU collation, to which NFC and NFD forms are equal.
INDEXES: Final = (
    Index("libraries", "by_name_1", ("name_key",), unique=True),
    Index("libraries", "by_root_1", ("root_path_key",), unique=True),
    Index("library_files", "by_path_1", ("library_key", "path_key"), unique=True),
    Index("library_files", "by_file_id_1", ("file_id",)),
    Index("library_files", "by_folder_1", ("library_key", "folder_key")),
    Index("library_files", "within_1", ("library_key", "within[*]", "path_key")),
    Index("library_files", "by_inode_1", ("inode",)),
    Index("library_files", "absent_1", ("library_key", "missing_since", "ignored_by")),
    Index("library_files", "waiting_1", ("waits_for", "first_seen_at")),
    Index("library_files", "by_status_1", ("processing_status", "library_key", "path_key")),
    Index("library_files", "unheard_1", ("processing_status", "fingerprint_seconds", "due_at")),
    Index("library_files", "unhashed_1", ("processing_status", "content_xxh3", "due_at")),
    Index("library_files", "by_audio_hash_1", ("audio_hash",)),
    Index("library_files", "by_audio_bytes_1", ("audio_bytes",)),
    Index("library_files", "by_cover_1", ("cover_id",)),
    Index("library_folders", "by_parent_1", ("library_key", "parent_key")),
    Index("library_folders", "within_1", ("library_key", "within[*]")),
    Index("library_folders", "gone_1", ("is_gone",)),
    Index("library_sidecars", "by_folder_1", ("library_key", "folder_key")),
    Index("library_sidecars", "within_1", ("library_key", "within[*]")),
    Index("library_sidecars", "open_1", ("is_open",)),
    Index("library_sidecars", "by_entry_1", ("entries[*].file_id",)),
    Index("library_sidecars", "gone_1", ("is_gone",)),
    Index("scan_runs", "by_library_1", ("library_key", "started_at")),
    Index("scan_runs", "by_start_1", ("started_at",)),
    Index("events", "by_seq_1", ("seq",), unique=True),
    Index("events", "moves_1", ("is_move", "seq")),
    Index("events", "by_file_1", ("file_id",)),
)

Migration = Callable[[ArangoConnection], None]
"""Leads from the version before to its own; has to bear to be run twice, also by two processes at once."""


def _create_everything(connection: ArangoConnection) -> None:
    for collection in COLLECTIONS:
        _create_collection(connection, collection)
    for index in INDEXES:
        _create_index(connection, index)


def _create_index(connection: ArangoConnection, index: Index) -> None:
    connection.attempt(lambda: connection.database.collection(index.collection).add_index(index.definition()))


def _create_indexes_of_what_enrichment_lacks(connection: ArangoConnection) -> None:
    for index in INDEXES:
        if index.name in ("unheard_1", "unhashed_1"):
            _create_index(connection, index)


MIGRATIONS: Final[Mapping[int, Migration]] = {1: _create_everything, 2: _create_indexes_of_what_enrichment_lacks}


def prepare(connection: ArangoConnection, migrations: Mapping[int, Migration] = MIGRATIONS) -> None:
    """Create the database and what is in it where that is missing, and bring an older schema up to date.

    Raises:
        DatabaseSchemaTooNew: if a newer Nomarr wrote it.
    """
    newest = max(migrations)
    found = _found_version(connection)
    if found > newest:
        raise DatabaseSchemaTooNew(connection.location, found, newest)
    for version in range(found + 1, newest + 1):
        migrations[version](connection)
        connection.query(SET_SCHEMA_VERSION, {"version": version})
        logger.debug("schema of %s is at version %d", connection.location, version)


def require_database(connection: ArangoConnection) -> None:
    """Raises `DatabaseNotReachable` if Nomarr has never been there; nothing is created."""
    try:
        is_there = schema_version(connection) > 0
    except ServerRefused as error:
        if error.error_code not in (DATABASE_MISSING, TABLE_MISSING):
            raise
        is_there = False
    if not is_there:
        raise DatabaseNotReachable(f"there is no database of Nomarr at {connection.location}; check its name")


def schema_version(connection: ArangoConnection) -> int:
    """0 if nothing was created yet."""
    [version] = connection.query(SCHEMA_VERSION)
    return int(version or 0)


def _found_version(connection: ArangoConnection) -> int:
    try:
        return schema_version(connection)
    except ServerRefused as error:
        if error.error_code == DATABASE_MISSING:
            _create_database(connection)
        elif error.error_code != TABLE_MISSING:
            raise
        return 0


def _create_database(connection: ArangoConnection) -> None:
    role = connection.attempt(connection.system.role)
    # All of it on one server, so that a batch stays one transaction.
    sharding = "single" if role == _COORDINATOR else None
    _unless_it_exists(connection, lambda: connection.system.create_database(connection.name, sharding=sharding))


def _create_collection(connection: ArangoConnection, name: str) -> None:
    _unless_it_exists(connection, lambda: connection.database.create_collection(name))


def _unless_it_exists(connection: ArangoConnection, create: Callable[[], object]) -> None:
    try:
        connection.attempt(create)
    except ServerRefused as error:
        if error.error_code != _EXISTS_ALREADY:
            raise
