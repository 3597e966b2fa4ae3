"""Files in ArangoDB: what is read of them, and the batches that are written."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

from nomarr.helpers.dto.batches import BatchResult, ScanBatch
from nomarr.helpers.dto.file_pages import FilePage, FilePlace, FileQuery
from nomarr.helpers.dto.files import FileRecord, KnownFile
from nomarr.helpers.dto.scan import Lease
from nomarr.helpers.dto.upkeep import UndoneMove
from nomarr.helpers.paths_helper import folder_of, path_key, unescaped
from nomarr.helpers.time_helper import Clock
from nomarr.persistence.database.batch_plan import BatchPlanner
from nomarr.persistence.database.commit import Guard, commit
from nomarr.persistence.database.connection import ArangoConnection
from nomarr.persistence.database.pieces import remove_all
from nomarr.persistence.database.queries import (
    ANY_FILE,
    COUNT_LONG_MISSING,
    COUNT_PRESENT,
    FILE_PAGES,
    FILES_IN_FOLDERS,
    FILES_OF_KEYS,
    FILES_OF_LIBRARY,
    FIND_FILE,
    KEYS_BELOW,
    LONG_MISSING,
    PATHS_BELOW,
    RECORD_OF_ID,
    RECORDS_OF_KEYS,
    SAMPLE,
    SWEEP,
    TEXTS_OF_KEYS,
    WITH_INODES,
)
from nomarr.persistence.database.rows_operations import DISPLACED, Doc, chunks, key_of, known_file
from nomarr.persistence.database.upkeep_operations import purge_missing, undo_move
from nomarr.persistence.rows import TextSearch, file_record, matches

__all__ = ["ArangoFiles"]

_PAGE: Final = 2000
_LARGEST_PIECE: Final = 50_000
_ANY_NUMBER: Final = 1_000_000_000


class ArangoFiles:
    """`FileStore` on ArangoDB."""

    def __init__(self, connection: ArangoConnection) -> None:
        self._connection = connection

    def upsert_batch(self, lease: Lease, batch: ScanBatch, *, now: float | Clock) -> BatchResult:
        if not batch:
            return BatchResult()
        result = commit(
            self._connection,
            Guard.of_lease(lease),
            lambda known: BatchPlanner(lease.library_id, batch, known, now() if callable(now) else now).plan(),
            now,
        )
        # One query can't both write and remove documents of a collection, so it has only marked them.
        if batch.gone_folders:
            remove_all(self._connection, SWEEP, {"@collection": "library_folders"})
        if batch.gone_sidecars:
            remove_all(self._connection, SWEEP, {"@collection": "library_sidecars"})
        return result

    def any_files(self) -> bool:
        return bool(self._connection.query(ANY_FILE))

    def in_folders(self, library_id: str, folders: Sequence[str]) -> list[KnownFile]:
        found: list[KnownFile] = []
        for chunk in chunks(path_key(folder) for folder in folders):
            rows = self._connection.query(FILES_IN_FOLDERS, {"library": key_of(library_id), "folders": chunk})
            found += [known_file(row) for row in rows]
        return found

    def below(self, library_id: str, folder: str) -> Iterator[list[KnownFile]]:
        pages = self._of_folder(library_id, folder) if folder else self._of_library(library_id)
        for rows in pages:
            yield [known_file(row) for row in rows]

    def _of_library(self, library_id: str) -> Iterator[list[Doc]]:
        last = ""
        binds = {"library": key_of(library_id), "limit": _PAGE}
        while rows := self._connection.query(FILES_OF_LIBRARY, {**binds, "after": last}):
            last = rows[-1]["path_key"]
            yield rows

    def _of_folder(self, library_id: str, folder: str) -> Iterator[list[Doc]]:
        binds = {"library": key_of(library_id), "folder": path_key(folder)}
        for keys in chunks(self._connection.query(KEYS_BELOW, binds), _PAGE):
            yield self._connection.query(FILES_OF_KEYS, {**binds, "keys": keys})

    def with_inodes(self, inodes: Sequence[int]) -> list[KnownFile]:
        found: list[KnownFile] = []
        for chunk in chunks(inodes):
            found += [known_file(row) for row in self._connection.query(WITH_INODES, {"inodes": chunk})]
        return found

    def sample(self, library_id: str, limit: int) -> list[KnownFile]:
        rows = self._connection.query(SAMPLE, {"library": key_of(library_id), "limit": limit})
        return [known_file(row) for row in rows]

    def count_present(self, library_id: str) -> int:
        [count] = self._connection.query(COUNT_PRESENT, {"library": key_of(library_id)})
        return int(count)

    def find(self, library_id: str, path: str) -> FileRecord | None:
        # A displaced file is found only when nothing stands at its path any more.
        rows = self._connection.query(
            FIND_FILE,
            {
                "library": key_of(library_id),
                "folder": path_key(folder_of(path)),
                "place": path_key(path),
                "unwanted": ["fingerprint"],
            },
        )
        return file_record(rows[0]) if rows else None

    def records(
        self,
        library_id: str,
        *,
        folder: str = "",
        missing: bool = False,
        query: str | None = None,
        fingerprints: bool = False,
    ) -> Iterator[FileRecord]:
        binds = {"library": key_of(library_id), "missing": missing}
        listed = self._connection.query(PATHS_BELOW, {**binds, "folder": path_key(folder)})
        # Sorted here: the server's order of texts depends on its locale.
        listed.sort()
        unwanted = [] if fingerprints else ["fingerprint"]
        for page in chunks(key for _, _, key in listed):
            keys = self._may_match(page, query)
            rows = self._connection.query(RECORDS_OF_KEYS, {**binds, "keys": keys, "unwanted": unwanted})
            rows.sort(key=lambda row: (row["path"], row["file_id"]))
            found = (file_record(row) for row in rows)
            yield from found if query is None else (record for record in found if matches(record, query))

    def get(self, file_id: str) -> FileRecord | None:
        rows = self._connection.query(RECORD_OF_ID, {"file_id": file_id, "unwanted": ["fingerprint"]})
        return file_record(rows[0]) if rows else None

    def page(self, query: FileQuery, *, after: FilePlace | None, limit: int) -> FilePage:
        found: list[tuple[FileRecord, FilePlace]] = []
        for record, place in self._in_order(query, after, limit + 1):
            found.append((record, place))
            if len(found) > limit:
                break
        files = tuple(record for record, _ in found[:limit])
        return FilePage(files, found[limit - 1][1] if len(found) > limit else None)

    def _in_order(
        self, query: FileQuery, after: FilePlace | None, wanted: int
    ) -> Iterator[tuple[FileRecord, FilePlace]]:
        # A text is looked for in the rows, so nobody knows how many of them it takes; each piece is sorted anew.
        piece = wanted if query.text is None else _PAGE
        while places := self._places(query, after, piece):
            for chunk in chunks(places):
                yield from self._matching(query, chunk)
            if len(places) < piece:
                return
            value, file_id, _ = places[-1]
            after, piece = (value, file_id), min(piece * 4, _LARGEST_PIECE)

    def _places(
        self, query: FileQuery, after: FilePlace | None, limit: int
    ) -> list[tuple[str | int | float, str, str]]:
        """The value that is sorted by, the id and the key of each file that may be meant."""
        return self._connection.query(
            FILE_PAGES[query.sort, query.descending],
            {
                **_scope(query),
                "folder": path_key(query.folder),
                "status": query.status,
                "after": after,
                "limit": limit,
            },
        )

    def _matching(
        self, query: FileQuery, places: Sequence[tuple[str | int | float, str, str]]
    ) -> Iterator[tuple[FileRecord, FilePlace]]:
        keys = self._may_match([key for _, _, key in places], query.text)
        rows = self._connection.query(RECORDS_OF_KEYS, {**_scope(query), "keys": keys, "unwanted": ["fingerprint"]})
        by_id = {row["file_id"]: file_record(row) for row in rows}
        for value, file_id, _ in places:
            record = by_id.get(file_id)
            if record is not None and (query.text is None or matches(record, query.text)):
                yield record, (value, file_id)

    def _may_match(self, keys: Sequence[str], text: str | None) -> Sequence[str]:
        """The keys of those of these files that may hold the text; all of them if there is none to look for."""
        if text is None:
            return keys
        search = TextSearch(text)
        rows = self._connection.query(TEXTS_OF_KEYS, {"keys": keys})
        return [key for key, path, tags in rows if search.may_match(path, tags)]

    def count_long_missing(self, library_id: str, *, before: float) -> int:
        [count] = self._connection.query(COUNT_LONG_MISSING, {"library": key_of(library_id), "before": before})
        return int(count)

    def long_missing(self, library_id: str, *, before: float, limit: int) -> list[str]:
        return [unescaped(row["path"]) for row in self._long_missing(library_id, before, limit)]

    def long_missing_alone(self, library_id: str, *, before: float) -> dict[str, str]:
        rows = self._long_missing(library_id, before, _ANY_NUMBER)
        alone = (row for row in rows if not row["path_key"].startswith(DISPLACED))
        return {row["file_id"]: unescaped(row["path"]) for row in alone}

    def _long_missing(self, library_id: str, before: float, limit: int) -> list[Mapping[str, Any]]:
        return self._connection.query(
            LONG_MISSING, {"library": key_of(library_id), "before": before, "limit": limit, "spared": []}
        )

    def purge_missing(
        self,
        library_id: str,
        *,
        before: float,
        now: float | Clock,
        limit: int,
        dead_owners: Collection[str] = (),
        spared: Collection[str] = (),
    ) -> list[str]:
        return purge_missing(self._connection, library_id, before, now, limit, dead_owners, spared)

    def undo_move(
        self, seq: int, new_file_id: str, *, now: float | Clock, dead_owners: Collection[str] = ()
    ) -> UndoneMove:
        return undo_move(self._connection, seq, new_file_id, now, dead_owners)


def _scope(query: FileQuery) -> dict[str, Any]:
    return {"library": None if query.library_id is None else key_of(query.library_id), "missing": query.missing}
