"""`Database`: one door to the stored library, whatever it is stored in."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Self

from nomarr.helpers.dto.server import ServerExamination
from nomarr.helpers.exceptions import ConfigurationError, DatabaseNotReachable, UnfinishedCopy
from nomarr.persistence.ports import (
    Backend,
    EnrichmentStore,
    EventStore,
    FileStore,
    FolderStore,
    LibraryStore,
    RowStore,
    ScanRunStore,
    SettingStore,
    SidecarStore,
)

__all__ = ["Database"]

_EXAMPLE = "sqlite:///path/to/nomarr.db or arangodb://user:password@host:8529/nomarr"
_SERVER_SCHEMES = ("arangodb", "arangodb+https")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_SOURCE = "database URL"


class Database:
    """An open database; a context manager that closes it. Synchronous: call it from worker threads."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.location: str = backend.location
        self.own_folder: Path | None = backend.own_folder
        self.library: LibraryStore = backend.library
        self.is_of_one_machine = backend.is_of_one_machine
        """True if only processes of one machine, in one boot, can have it open at the same time."""
        self.library_files: FileStore = backend.library_files
        self.library_folders: FolderStore = backend.library_folders
        self.library_sidecars: SidecarStore = backend.library_sidecars
        self.scan_runs: ScanRunStore = backend.scan_runs
        self.events: EventStore = backend.events
        self.enrichment: EnrichmentStore = backend.enrichment
        self.settings: SettingStore = backend.settings
        self.rows: RowStore = backend.rows

    @classmethod
    def open(cls, url: str, *, create: bool = True, unfinished: bool = False) -> Self:
        """Open the database at `sqlite:///relative/path`, `sqlite:////absolute/path` or on a server.

        A server is `arangodb://user:password@host:8529/name`, or `arangodb+https://…`. What is not there is created.

        Args:
            create: False to refuse what is not there.
            unfinished: also open a database that is being copied into, for whoever goes on with the copy.

        Raises:
            ConfigurationError: if the URL names no backend of this version.
            DatabaseNotReachable: if it can't be opened, or is not there and not to be created.
            DatabaseSchemaTooNew: if a newer Nomarr wrote it.
            UnfinishedCopy: if a copy into it was begun and not finished.
        """
        opened = cls(_open_backend(url, create=create))
        try:
            mark = None if unfinished else opened.rows.unfinished_copy()
            if mark is not None:
                raise UnfinishedCopy(opened.location, mark.source)
        except BaseException:
            opened.close()
            raise
        return opened

    @staticmethod
    def is_on_server(url: str) -> bool:
        """True if the database is one that may be away for a while and come back."""
        return url.partition("://")[0].lower() in _SERVER_SCHEMES

    def schema_version(self) -> int:
        """The version of the stored schema."""
        return self._backend.schema_version()

    def check_integrity(self) -> list[str]:
        """What is wrong with the stored data; empty if nothing is."""
        return self._backend.check_integrity()

    def examine_server(self) -> ServerExamination | None:
        """A look at the server that keeps the database; None if there is none. Writes a small value and deletes it."""
        return self._backend.examine_server()

    def give_up(self) -> None:
        """From now on wait no more for a server that is away or a locked file; what can be done is still done.

        For whoever is about to close: calls that wait in other threads raise `DatabaseNotReachable`.
        """
        self._backend.give_up()

    def close(self) -> None:
        """Give everything back."""
        self._backend.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _open_backend(url: str, *, create: bool) -> Backend:
    scheme, separator, place = url.partition("://")
    # Nothing of the rest is ever told: it may hold a password.
    if not separator or not _SCHEME.fullmatch(scheme):
        raise ConfigurationError(f"it is not a URL; use {_EXAMPLE}", source=_SOURCE)
    if Database.is_on_server(url):
        return _open_server(url, create=create)
    if scheme.lower() != "sqlite":
        raise ConfigurationError(f"'{scheme}://' is not supported; use {_EXAMPLE}", source=_SOURCE)
    path = place.removeprefix("/")
    if not place.startswith("/") or not path or path == ":memory:" or "\0" in path:
        raise ConfigurationError(f"it names no file; use {_EXAMPLE}", source=_SOURCE)
    file = Path(path).expanduser()
    if not create and not file.exists():
        raise DatabaseNotReachable(f"there is no database {file}; check its name")
    # The backend is imported where it is used: nobody pays for the other one.
    from nomarr.persistence.embedded.database import SqliteDatabase

    return SqliteDatabase(file)


def _open_server(url: str, *, create: bool) -> Backend:
    try:
        from nomarr.persistence.database.database import ArangoBackend
    except ModuleNotFoundError as error:
        problem = f"ArangoDB needs the package {error.name}; in a copy of Nomarr's source: pip install '.[arangodb]'"
        raise ConfigurationError(problem, source=_SOURCE) from error
    return ArangoBackend(url, create=create)
