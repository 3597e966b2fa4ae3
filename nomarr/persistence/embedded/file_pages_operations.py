"""Files a page at a time, in any order, in SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Final

from nomarr.helpers.dto.file_pages import FilePage, FilePlace, FileQuery, FileSort
from nomarr.helpers.dto.files import FileRecord
from nomarr.persistence.embedded.connection import SqliteConnections
from nomarr.persistence.embedded.rows_operations import (
    BEING_REMOVED,
    FILE_RECORD_COLUMNS,
    FILE_RECORDS,
    chunks,
    placeholders,
    subtree,
)
from nomarr.persistence.rows import TextSearch, file_record, matches

__all__ = ["chunks_that_may_match", "page_of_files"]

_SORTED_BY: Final = {
    FileSort.PATH: "f.path",
    FileSort.TITLE: "COALESCE(f.title, '') COLLATE NOCASE",
    FileSort.ARTIST: "COALESCE(f.artist, '') COLLATE NOCASE",
    FileSort.ALBUM: "COALESCE(f.album, '') COLLATE NOCASE",
    FileSort.SIZE: "f.size",
    FileSort.CHANGED: "f.mtime_ns",
    FileSort.ADDED: "f.first_seen_at",
}


def page_of_files(connections: SqliteConnections, query: FileQuery, after: FilePlace | None, limit: int) -> FilePage:
    """The first `limit` files that the query means, or those that follow the place `after`."""
    found: list[tuple[FileRecord, FilePlace]] = []
    for record, place in _records(connections, query, after, limit + 1):
        found.append((record, place))
        if len(found) > limit:
            break
    files = tuple(record for record, _ in found[:limit])
    return FilePage(files, found[limit - 1][1] if len(found) > limit else None)


def chunks_that_may_match(
    connections: SqliteConnections, ids: Sequence[int], text: str | None
) -> Iterator[Sequence[int]]:
    """These rows in pieces that fit one statement, in their order, without most of those that don't hold the text."""
    search = None if text is None else TextSearch(text)
    for chunk in chunks(ids):
        kept = chunk if search is None else _may_match(connections, chunk, search)
        if kept:
            yield kept


def _may_match(connections: SqliteConnections, ids: Sequence[int], search: TextSearch) -> Sequence[int]:
    rows = connections.read(
        f"SELECT row_id, path, tags FROM library_files WHERE row_id IN ({placeholders(len(ids))})", tuple(ids)
    )
    found = {row_id for row_id, path, tags in rows if search.may_match(path, tags)}
    return [row_id for row_id in ids if row_id in found]


def _records(
    connections: SqliteConnections, query: FileQuery, after: FilePlace | None, wanted: int
) -> Iterator[tuple[FileRecord, FilePlace]]:
    value = _SORTED_BY[query.sort]
    direction, follows = ("DESC", "<") if query.descending else ("ASC", ">")
    order = f"ORDER BY {value} {direction}, f.file_id {direction}"
    condition, values = _condition(query)
    if after is not None:
        condition += f" AND ({value}, f.file_id) {follows} (?, ?)"
        values = (*values, *after)
    # Sorted once, ids alone: a text is looked for in the rows, so nobody knows how many of them it takes.
    at_most = wanted if query.text is None else -1
    ids = connections.read_numbers(
        f"SELECT f.row_id FROM library_files f WHERE {condition} {order} LIMIT ?", (*values, at_most)
    )
    for chunk in chunks_that_may_match(connections, ids, query.text):
        rows = connections.read(
            f"SELECT {FILE_RECORD_COLUMNS}, {value} AS sorted_by FROM {FILE_RECORDS}"
            f" WHERE f.row_id IN ({placeholders(len(chunk))}) AND {condition} {order}",
            (*chunk, *values),
        )
        for row in rows:
            record = file_record(row)
            if query.text is None or matches(record, query.text):
                yield record, _place(row)


def _condition(query: FileQuery) -> tuple[str, tuple[object, ...]]:
    scope, folders = subtree("f.folder", query.folder)
    condition = f"(? IS NULL OR f.library_id = ?) AND {scope} AND f.ignored_by IS NULL"
    condition += f" AND f.library_id NOT IN ({BEING_REMOVED})"
    condition += " AND f.missing_since IS NOT NULL" if query.missing else " AND f.missing_since IS NULL"
    values: tuple[object, ...] = (query.library_id, query.library_id, *folders)
    if query.status is None:
        return condition, values
    return f"{condition} AND f.processing_status = ?", (*values, query.status)


def _place(row: sqlite3.Row) -> FilePlace:
    return row["sorted_by"], row["file_id"]
