"""Every row of ArangoDB as it is, for copies and checks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from nomarr.helpers.dto.events import EventType
from nomarr.helpers.dto.files import FileStat
from nomarr.helpers.dto.stored import CopyMark, StoredRow, StoredTable
from nomarr.helpers.exceptions import DatabaseError
from nomarr.helpers.paths_helper import path_key, unescaped
from nomarr.persistence.database.batch_plan import blank_folder, entry_target, new_file
from nomarr.persistence.database.connection import ArangoConnection, ServerRefused
from nomarr.persistence.database.events_operations import new_event
from nomarr.persistence.database.pieces import remove_all
from nomarr.persistence.database.queries import (
    CLEAR_COLLECTION,
    COUNT_ROWS,
    GET_COPY_MARK,
    LAST_SEQ,
    PUT_ROWS,
    ROWS_AFTER,
    SET_COPY_MARK,
    SET_LAST_SEQ,
)
from nomarr.persistence.database.retries import DUPLICATE
from nomarr.persistence.database.rows_operations import Doc, displaced_key, key_of, place_fields, waits_for
from nomarr.persistence.rows import unescaped_or_none
from nomarr.persistence.stored_rows import (
    COLUMNS,
    copy_mark_from_json,
    copy_mark_json,
    stored_content,
    stored_values,
)

__all__ = ["ArangoRows"]

Values = Mapping[str, Any]

_COUNTER: Final = "events"
_FRESH: Final[Mapping[StoredTable, Doc]] = {
    StoredTable.LIBRARIES: {"scan_token": None, "last_batch": None, "added_by": None},
    StoredTable.FILES: {"wanted_by": None, "stored_by": None},
}
"""What tells of attempts of this server only: a new document has none."""


class ArangoRows:
    """`RowStore` on ArangoDB."""

    def __init__(self, connection: ArangoConnection) -> None:
        self._connection = connection

    def count(self, table: StoredTable) -> int:
        if table is StoredTable.COUNTERS:
            return 1
        [rows] = self._connection.query(COUNT_ROWS, {"@collection": table})
        return int(rows)

    def page(self, table: StoredTable, after: str, *, limit: int) -> list[StoredRow]:
        if table is StoredTable.COUNTERS:
            return [] if after else [self._counter()]
        docs = self._connection.query(ROWS_AFTER, {"@collection": table, "after": after, "limit": limit})
        return [_stored(table, doc) for doc in docs]

    def _counter(self) -> StoredRow:
        [seq] = self._connection.query(LAST_SEQ)
        return StoredRow(_COUNTER, stored_content(StoredTable.COUNTERS, {"name": _COUNTER, "value": seq}))

    def put(self, table: StoredTable, contents: Sequence[str]) -> None:
        rows = [stored_values(content) for content in contents]
        if table is StoredTable.COUNTERS:
            for row in rows:
                self._connection.query(SET_LAST_SEQ, {"seq": row["value"]})
            return
        documents = [_FRESH.get(table, {}) | _document(table, row) for row in rows]
        try:
            self._connection.query(PUT_ROWS, {"@collection": table, "rows": documents})
        except ServerRefused as error:
            if error.error_code != DUPLICATE:
                raise
            raise DatabaseError(
                f"rows of {table} do not fit ({error.message}): 'nomarr db check' of the source says what is wrong"
            ) from error

    def clear(self) -> None:
        for table in StoredTable:
            if table is not StoredTable.COUNTERS:
                remove_all(self._connection, CLEAR_COLLECTION, {"@collection": table}, after="")
        self._connection.query(SET_LAST_SEQ, {"seq": 0})

    def unfinished_copy(self) -> CopyMark | None:
        marks = self._connection.query(GET_COPY_MARK)
        return copy_mark_from_json(marks[0]) if marks else None

    def mark_copy(self, mark: CopyMark | None) -> None:
        self._connection.query(SET_COPY_MARK, {"mark": None if mark is None else copy_mark_json(mark)})


def _stored(table: StoredTable, doc: Doc) -> StoredRow:
    try:
        return _readable(table, doc)
    except (AttributeError, KeyError, TypeError, ValueError):
        # Somebody else has written it: a collection takes documents of any form.
        return StoredRow(doc["_key"], "")


def _readable(table: StoredTable, doc: Doc) -> StoredRow:
    values = dict.fromkeys(COLUMNS[table]) | doc | _TOLD.get(table, _as_it_is)(doc)
    expected = _document(table, values)
    misfiled = tuple(name for name, value in expected.items() if not _is_as_expected(table, name, value, doc))
    return StoredRow(doc["_key"], stored_content(table, values), misfiled)


def _is_as_expected(table: StoredTable, name: str, value: Any, doc: Doc) -> bool:
    # The keys of files are random, and a playlist with nothing to look for may be looked at once more.
    if (table is StoredTable.FILES and name == "_key") or (name == "is_open" and doc.get(name) is True):
        return True
    return bool(doc.get(name) == value)


# -- what documents say ---------------------------------------------------------------------------------------------


def _as_it_is(_: Doc) -> Doc:
    return {}


def _told_of_sidecar(doc: Doc) -> Doc:
    entries = [
        [entry.get(name) for name in ("text", "library_id", "path", "file_id")] for entry in doc.get("entries") or ()
    ]
    return {"error": doc.get("problem"), "entries": entries}


_TOLD: Final[Mapping[StoredTable, Callable[[Doc], Doc]]] = {
    StoredTable.SETTINGS: lambda doc: {"key": doc.get("name")},
    StoredTable.FILES: lambda doc: {"is_displaced": doc.get("path_key") == displaced_key(doc["file_id"])},
    StoredTable.SIDECARS: _told_of_sidecar,
    StoredTable.LOOSE_COVERS: lambda doc: {"cover_id": doc["_key"]},
}
"""Values that are not a field of the same name."""


# -- documents that say it ------------------------------------------------------------------------------------------


def _document(table: StoredTable, values: Values) -> Doc:
    """The document of these values, with everything that is derived from them."""
    return _DOCUMENTS[table]({name: values[name] for name in COLUMNS[table]})


def _setting(values: Doc) -> Doc:
    return {"_key": key_of(values["key"]), "name": values["key"], "value": values["value"]}


def _library(values: Doc) -> Doc:
    return values | {
        "_key": key_of(values["library_id"]),
        "name_key": path_key(unescaped(values["name"])),
        "root_path_key": path_key(unescaped(values["root_path"])),
        "scan_key": None if values["scan_id"] is None else key_of(values["scan_id"]),
    }


def _folder(values: Doc) -> Doc:
    path = unescaped(values["path"])
    return {"_key": key_of(values["library_id"], path), **blank_folder(values["library_id"], path)} | values


def _file(values: Doc) -> Doc:
    file_id, path = values["file_id"], unescaped(values["path"])
    own = {name: value for name, value in values.items() if name != "is_displaced"}
    key = displaced_key(file_id) if values["is_displaced"] else path_key(path)
    stat = FileStat(values["size"], values["mtime_ns"], values["ctime_ns"], values["inode"])
    document = new_file(file_id, values["library_id"], path, key, stat) | own
    named = {name: value for name, value in document.items() if name not in _FRESH[StoredTable.FILES]}
    return named | {
        "_key": key_of(file_id),
        "waits_for": waits_for(values["processing_status"], values["due_at"]),
    }


def _sidecar(values: Doc) -> Doc:
    path = unescaped(values["path"])
    entries = [
        {"text": text, **entry_target(library_id, unescaped_or_none(target)), "file_id": file_id}
        for text, library_id, target, file_id in values["entries"]
    ]
    own = {name: value for name, value in values.items() if name != "error"}
    return own | {
        "_key": key_of(values["library_id"], path),
        **place_fields(values["library_id"], path),
        "problem": values["error"],
        "entries": entries,
        "is_open": any(entry["file_id"] is None and entry["path_key"] is not None for entry in entries),
        "is_gone": False,
    }


def _scan_run(values: Doc) -> Doc:
    return values | {"_key": key_of(values["scan_id"]), "library_key": key_of(values["library_id"])}


def _event(values: Doc) -> Doc:
    old_library_id = values["old_library_id"]
    event = new_event(
        values["time"],
        EventType(values["type"]),
        values["library_id"],
        values["file_id"],
        unescaped(values["path"]),
    )
    # An event of an old version may know the path that a file came from without its library.
    return event | {
        "evidence": values["evidence"],
        "old_path": values["old_path"],
        "old_library_id": old_library_id,
        "old_library_key": None if old_library_id is None else key_of(old_library_id),
        "_key": str(values["seq"]),
        "seq": values["seq"],
    }


def _loose_cover(values: Doc) -> Doc:
    return {"_key": values["cover_id"]}


_DOCUMENTS: Final[Mapping[StoredTable, Callable[[Doc], Doc]]] = {
    StoredTable.SETTINGS: _setting,
    StoredTable.LIBRARIES: _library,
    StoredTable.FOLDERS: _folder,
    StoredTable.FILES: _file,
    StoredTable.SIDECARS: _sidecar,
    StoredTable.SCAN_RUNS: _scan_run,
    StoredTable.EVENTS: _event,
    StoredTable.LOOSE_COVERS: _loose_cover,
}
