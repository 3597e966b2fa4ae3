"""The change feed in SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Final, NamedTuple

from nomarr.helpers.dto.events import ChangeEvent, EventType
from nomarr.persistence.embedded.connection import SqliteConnections, in_turns
from nomarr.persistence.embedded.rows_operations import chunks, placeholders
from nomarr.persistence.rows import event_of

__all__ = ["IS_MOVE", "NewEvent", "SqliteEvents", "forget_events_of", "insert_events"]

IS_MOVE: Final = "type IN ('moved', 'renamed')"
"""As the partial index has it, so that this is used."""


class NewEvent(NamedTuple):
    """An event to be written; paths, rules and other texts as they are stored."""

    time: float
    type: EventType
    library_id: str
    file_id: str
    path: str
    old_path: str | None = None
    evidence: str | None = None
    old_library_id: str | None = None


def insert_events(db: sqlite3.Connection, events: Iterable[NewEvent]) -> None:
    """Write events in this order, inside the transaction that writes what they tell of."""
    db.executemany(
        "INSERT INTO events (time, type, library_id, file_id, path, old_path, evidence, old_library_id)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        events,
    )


class SqliteEvents:
    """`EventStore` on SQLite."""

    def __init__(self, connections: SqliteConnections) -> None:
        self._connections = connections

    def after(
        self, seq: int, *, limit: int = 1000, library_id: str | None = None, file_id: str | None = None
    ) -> list[ChangeEvent]:
        rows = self._connections.read(
            "SELECT * FROM events WHERE seq > ? AND (? IS NULL OR ? IN (library_id, old_library_id))"
            " AND (? IS NULL OR file_id = ?) ORDER BY seq LIMIT ?",
            (seq, library_id, library_id, file_id, file_id, limit),
        )
        return [event_of(row) for row in rows]

    def moves(self, library_id: str | None = None, *, limit: int = 100) -> list[ChangeEvent]:
        rows = self._connections.read(
            f"SELECT * FROM events WHERE {IS_MOVE} AND (? IS NULL OR ? IN (library_id, old_library_id))"
            " ORDER BY seq DESC LIMIT ?",
            (library_id, library_id, limit),
        )
        return [event_of(row) for row in rows]

    def last_seq(self) -> int:
        # Not MAX(seq): the newest events may have been pruned, and numbers are never used again.
        rows = self._connections.read("SELECT seq FROM sqlite_sequence WHERE name = 'events'")
        return int(rows[0]["seq"]) if rows else 0

    def prune(self, *, before: float) -> None:
        # By number up to the first one that is young enough, so that no index on the time is needed.
        old = self._connections.read_numbers(
            "SELECT seq FROM events WHERE seq < COALESCE((SELECT seq FROM events WHERE time >= ? ORDER BY seq LIMIT 1),"
            " (SELECT MAX(seq) + 1 FROM events)) ORDER BY seq",
            (before,),
        )
        for seqs in in_turns(chunks(old)):
            self._connections.write(partial(_remove, first=seqs[0], last=seqs[-1]))


def forget_events_of(connections: SqliteConnections, library_id: str) -> Iterator[Callable[[sqlite3.Connection], None]]:
    """What lets the feed forget a library, in pieces.

    To whoever follows another library, a file that went from there is removed, and one that came from here is created.
    """
    seqs = connections.read_numbers(
        # By number, as there is no index on the libraries.
        "SELECT seq FROM events WHERE seq > 0 AND ? IN (library_id, old_library_id)",
        (library_id,),
    )
    for piece in chunks(seqs):
        yield partial(_forget_library, seqs=tuple(piece), library_id=library_id)


def _forget_library(db: sqlite3.Connection, *, seqs: Sequence[int], library_id: str) -> None:
    these = f"seq IN ({placeholders(len(seqs))})"
    db.execute(
        f"DELETE FROM events WHERE {these} AND library_id = ? AND COALESCE(old_library_id, library_id) = library_id",
        (*seqs, library_id),
    )
    db.execute(
        "UPDATE events SET type = 'removed', library_id = old_library_id, path = old_path, old_library_id = NULL,"
        f" old_path = NULL, evidence = NULL WHERE {these} AND library_id = ?",
        (*seqs, library_id),
    )
    db.execute(
        "UPDATE events SET type = 'created', old_library_id = NULL, old_path = NULL, evidence = NULL"
        f" WHERE {these} AND old_library_id = ?",
        (*seqs, library_id),
    )


def _remove(db: sqlite3.Connection, *, first: int, last: int) -> None:
    db.execute("DELETE FROM events WHERE seq BETWEEN ? AND ?", (first, last))
