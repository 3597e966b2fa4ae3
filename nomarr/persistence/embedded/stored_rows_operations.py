"""Every row of SQLite as it is, for copies and checks."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from nomarr.helpers.dto.stored import CopyMark, StoredRow, StoredTable
from nomarr.helpers.exceptions import DatabaseError
from nomarr.helpers.paths_helper import folder_of, path_key, unescaped
from nomarr.persistence.embedded.connection import SqliteConnections
from nomarr.persistence.embedded.rows_operations import REMOVAL, displaced_key, placeholders, standing_key
from nomarr.persistence.stored_rows import (
    COLUMNS,
    copy_mark_from_json,
    copy_mark_json,
    stored_content,
    stored_values,
)

__all__ = ["SqliteRows"]

Values = dict[str, Any]
Derive = Callable[[Mapping[str, Any]], Values]

_MARK: Final = "unfinished_copy"
"""The setting that holds the mark of a copy; no row of its table to anybody else."""
_ENRICHMENT: Final = tuple(COLUMNS[StoredTable.FILES])[tuple(COLUMNS[StoredTable.FILES]).index("hashed_size") :]
_TOP_DOWN: Final = ("libraries", "events", "settings", "loose_covers", "sqlite_sequence")
"""What has to be emptied so that everything is; rows of libraries go with them, and their covers become loose."""


@dataclass(frozen=True, slots=True)
class _Listing:
    """Where the rows of a table are, and what orders and tells them apart."""

    source: str
    columns: tuple[str, ...]
    """SQL for each value, beside what is derived from them."""
    key: tuple[str, ...]
    condition: str = "TRUE"

    def count(self) -> str:
        return f"SELECT COUNT(*) FROM {self.source} WHERE {self.condition}"

    def page(self, *, begins: bool) -> str:
        """The first page, or one that begins behind a key."""
        keys = ", ".join(self.key)
        selected = ", ".join((*self.columns, *(f"{part} AS key_{number}" for number, part in enumerate(self.key))))
        follows = "TRUE" if begins else f"({keys}) > ({placeholders(len(self.key))})"
        return f"SELECT {selected} FROM {self.source} WHERE {self.condition} AND {follows} ORDER BY {keys} LIMIT ?"

    def key_of(self, row: sqlite3.Row) -> str:
        return json.dumps([row[f"key_{number}"] for number in range(len(self.key))])


def _columns(table: StoredTable, *without: str) -> tuple[str, ...]:
    return tuple(name for name in COLUMNS[table] if name not in without)


_LISTINGS: Final = {
    StoredTable.SETTINGS: _Listing(
        "settings",
        _columns(StoredTable.SETTINGS),
        ("key",),
        f"key <> '{_MARK}' AND substr(key, 1, {len(REMOVAL)}) <> '{REMOVAL}'",
    ),
    StoredTable.LIBRARIES: _Listing("libraries", (*_columns(StoredTable.LIBRARIES), "root_path_key"), ("library_id",)),
    StoredTable.FOLDERS: _Listing(
        "library_folders", (*_columns(StoredTable.FOLDERS), "parent"), ("library_id", "path")
    ),
    StoredTable.FILES: _Listing(
        "library_files f LEFT JOIN enrichment e ON e.row_id = f.row_id",
        (*_columns(StoredTable.FILES, "is_displaced"), "path_key <> path AS is_displaced", "path_key", "folder"),
        ("f.row_id",),
    ),
    StoredTable.SIDECARS: _Listing(
        "library_sidecars", (*_columns(StoredTable.SIDECARS, "entries"), "folder"), ("library_id", "path")
    ),
    StoredTable.SCAN_RUNS: _Listing("scan_runs", _columns(StoredTable.SCAN_RUNS), ("rowid",)),
    StoredTable.EVENTS: _Listing("events", _columns(StoredTable.EVENTS), ("seq",)),
    StoredTable.COUNTERS: _Listing(
        "(SELECT 'events' AS name, COALESCE((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0) AS value)",
        _columns(StoredTable.COUNTERS),
        ("name",),
    ),
    StoredTable.LOOSE_COVERS: _Listing("loose_covers", _columns(StoredTable.LOOSE_COVERS), ("cover_id",)),
}


def _derived_of_file(values: Mapping[str, Any]) -> Values:
    path = values["path"]
    key = displaced_key(values["file_id"]) if values["is_displaced"] else standing_key(unescaped(path))
    return {"path_key": key, "folder": folder_of(path)}


_DERIVED: Final[Mapping[StoredTable, Derive]] = {
    StoredTable.LIBRARIES: lambda values: {"root_path_key": path_key(unescaped(values["root_path"]))},
    StoredTable.FOLDERS: lambda values: {"parent": folder_of(values["path"]) if values["path"] else None},
    StoredTable.FILES: _derived_of_file,
    StoredTable.SIDECARS: lambda values: {"folder": folder_of(values["path"])},
}
"""Columns beside those that mean something by themselves."""


class SqliteRows:
    """`RowStore` on SQLite."""

    def __init__(self, connections: SqliteConnections) -> None:
        self._connections = connections

    def count(self, table: StoredTable) -> int:
        return int(self._connections.read(_LISTINGS[table].count())[0][0])

    def page(self, table: StoredTable, after: str, *, limit: int) -> list[StoredRow]:
        listing = _LISTINGS[table]
        begins = after == ""
        last = () if begins else tuple(json.loads(after))
        rows = self._connections.read(listing.page(begins=begins), (*last, limit))
        entries = self._entries(rows) if table is StoredTable.SIDECARS else {}
        return [self._stored(table, row, entries) for row in rows]

    def _stored(
        self, table: StoredTable, row: sqlite3.Row, entries: Mapping[tuple[str, str], list[list[str | None]]]
    ) -> StoredRow:
        values: Values = dict(row)
        if table is StoredTable.SIDECARS:
            values["entries"] = entries.get((values["library_id"], values["path"]), [])
        derived = _derived(table, values)
        misfiled = tuple(name for name, value in derived.items() if values[name] != value)
        return StoredRow(_LISTINGS[table].key_of(row), stored_content(table, values), misfiled)

    def _entries(self, sidecars: Sequence[sqlite3.Row]) -> dict[tuple[str, str], list[list[str | None]]]:
        """The entries of these playlists, by library and path."""
        found: dict[tuple[str, str], list[list[str | None]]] = {}
        if not sidecars:
            return found
        first, last = ((row["library_id"], row["path"]) for row in (sidecars[0], sidecars[-1]))
        rows = self._connections.read(
            "SELECT library_id, playlist_path, text, target_library_id, target_path_key, file_id FROM playlist_entries"
            " WHERE (library_id, playlist_path) BETWEEN (?, ?) AND (?, ?)"
            " ORDER BY library_id, playlist_path, position",
            (*first, *last),
        )
        for library_id, path, *entry in rows:
            found.setdefault((library_id, path), []).append(entry)
        return found

    def put(self, table: StoredTable, contents: Sequence[str]) -> None:
        rows = [stored_values(content) for content in contents]
        try:
            self._connections.write(lambda db: _put(db, table, rows))
        except DatabaseError as error:
            if not isinstance(error.__cause__, sqlite3.IntegrityError):
                raise
            raise DatabaseError(
                f"rows of {table} do not fit ({error.__cause__}): 'nomarr db check' of the source says what is wrong"
            ) from error

    def clear(self) -> None:
        def work(db: sqlite3.Connection) -> None:
            mark = _mark(db)
            for table in _TOP_DOWN:
                db.execute(f"DELETE FROM {table}")
            if mark is not None:
                _set_mark(db, mark)

        self._connections.write(work)

    def unfinished_copy(self) -> CopyMark | None:
        rows = self._connections.read("SELECT value FROM settings WHERE key = ?", (_MARK,))
        return copy_mark_from_json(rows[0]["value"]) if rows else None

    def mark_copy(self, mark: CopyMark | None) -> None:
        def work(db: sqlite3.Connection) -> None:
            db.execute("DELETE FROM settings WHERE key = ?", (_MARK,))
            if mark is not None:
                _set_mark(db, copy_mark_json(mark))

        self._connections.write(work)


def _derived(table: StoredTable, values: Mapping[str, Any]) -> Values:
    derive = _DERIVED.get(table)
    return {} if derive is None else derive(values)


def _put(db: sqlite3.Connection, table: StoredTable, rows: Sequence[Values]) -> None:
    match table:
        case StoredTable.COUNTERS:
            db.execute("DELETE FROM sqlite_sequence WHERE name = 'events'")
            _insert(db, "sqlite_sequence", [{"name": row["name"], "seq": row["value"]} for row in rows])
        case StoredTable.FILES:
            _insert(db, "library_files", map(_of_scans, rows), "file_id")
            _insert_enrichment(db, [row for row in rows if row["hashed_size"] is not None])
        case StoredTable.SIDECARS:
            _insert(db, "library_sidecars", (_whole(table, row, "entries") for row in rows), "library_id, path")
            entries = (entry for row in rows for entry in _entries_of(row))
            _insert(db, "playlist_entries", entries, "library_id, playlist_path, position")
        case _:
            key = next(iter(COLUMNS[table])) if table is not StoredTable.FOLDERS else "library_id, path"
            _insert(db, str(table), (_whole(table, row) for row in rows), key)


def _whole(table: StoredTable, values: Values, *without: str) -> Values:
    """Everything that a row has, also what is derived."""
    kept = {name: value for name, value in values.items() if name not in without}
    return kept | _derived(table, values)


def _of_scans(values: Values) -> Values:
    return _whole(StoredTable.FILES, values, "is_displaced", *_ENRICHMENT)


def _entries_of(playlist: Values) -> Iterator[Values]:
    for position, (text, library_id, path, file_id) in enumerate(playlist["entries"]):
        yield {
            "library_id": playlist["library_id"],
            "playlist_path": playlist["path"],
            "position": position,
            "text": text,
            "target_library_id": library_id,
            "target_path_key": path,
            "file_id": file_id,
        }


def _insert_enrichment(db: sqlite3.Connection, rows: Sequence[Values]) -> None:
    values = ", ".join("?" * len(_ENRICHMENT))
    db.executemany(
        f"INSERT INTO enrichment (row_id, {', '.join(_ENRICHMENT)})"
        f" SELECT row_id, {values} FROM library_files WHERE file_id = ? ON CONFLICT (row_id) DO NOTHING",
        ([*(row[name] for name in _ENRICHMENT), row["file_id"]] for row in rows),
    )


def _insert(db: sqlite3.Connection, table: str, rows: Iterable[Values], key: str | None = None) -> None:
    """Insert what is not there yet by its key."""
    conflict = "" if key is None else f" ON CONFLICT ({key}) DO NOTHING"
    for row in rows:
        db.execute(
            f"INSERT INTO {table} ({', '.join(row)}) VALUES ({placeholders(len(row))}){conflict}", tuple(row.values())
        )


def _mark(db: sqlite3.Connection) -> str | None:
    row = db.execute("SELECT value FROM settings WHERE key = ?", (_MARK,)).fetchone()
    return None if row is None else str(row["value"])


def _set_mark(db: sqlite3.Connection, mark: str) -> None:
    db.execute("INSERT INTO settings (key, value) VALUES (?, ?)", (_MARK, mark))
