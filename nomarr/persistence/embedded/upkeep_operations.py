"""Missing files that are forgotten and moves that are undone, each inside a transaction that somebody else began."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from dataclasses import dataclass
from itertools import islice
from typing import Final

from nomarr.helpers.dto.events import EventType
from nomarr.helpers.dto.upkeep import UndoneMove
from nomarr.helpers.exceptions import MoveCannotBeUndone, MoveNotFound
from nomarr.helpers.paths_helper import escaped, folder_of, unescaped
from nomarr.persistence.embedded.events_operations import IS_MOVE, NewEvent, insert_events
from nomarr.persistence.embedded.library_operations import require_no_scan
from nomarr.persistence.embedded.rows_operations import (
    chunks,
    displaced_key,
    placeholders,
    standing_key,
)
from nomarr.persistence.rows import missing_for

__all__ = ["LONG_MISSING", "purge_missing", "undo_move"]

LONG_MISSING: Final = "FROM library_files WHERE library_id = ? AND missing_since <= ?"
_UNDONE: Final = "move undone"


def purge_missing(
    db: sqlite3.Connection, library_id: str, before: float, now: float, limit: int, spared: Collection[str]
) -> list[str]:
    """See `FileStore.purge_missing`."""
    found = db.execute(
        f"SELECT row_id, file_id, path, missing_since {LONG_MISSING} ORDER BY missing_since", (library_id, before)
    )
    rows = list(islice((row for row in found if row["file_id"] not in spared), limit))
    # A statement that is still being read must not see its own rows go.
    found.close()
    for chunk in chunks(rows):
        of_chunk = f"IN ({placeholders(len(chunk))})"
        db.execute(
            f"UPDATE playlist_entries SET file_id = NULL WHERE file_id {of_chunk}", [row["file_id"] for row in chunk]
        )
        db.execute(f"DELETE FROM library_files WHERE row_id {of_chunk}", [row["row_id"] for row in chunk])
    insert_events(
        db,
        (
            NewEvent(
                now,
                EventType.REMOVED,
                library_id,
                row["file_id"],
                row["path"],
                evidence=missing_for(now - row["missing_since"]),
            )
            for row in rows
        ),
    )
    return [unescaped(row["path"]) for row in rows]


@dataclass(frozen=True, slots=True)
class _NotedMove:
    """A move as its event tells it, with paths as they are stored."""

    seq: int
    file_id: str
    library_id: str
    path: str
    old_library_id: str
    old_path: str


def undo_move(
    db: sqlite3.Connection, seq: int, new_file_id: str, now: float, dead_owners: Collection[str]
) -> UndoneMove:
    """See `FileStore.undo_move`."""
    move = _noted_move(db, seq)
    for library_id in {move.library_id, move.old_library_id}:
        require_no_scan(db, library_id, now, dead_owners)
    row = _moved_row(db, move)
    # If the other file is gone as well, nobody needs what is known of it.
    new_id = new_file_id if row["missing_since"] is None else None
    if new_id is None:
        db.execute("DELETE FROM library_files WHERE row_id = ?", (row["row_id"],))
    else:
        db.execute(
            "UPDATE library_files SET file_id = ?, first_seen_at = ?, updated_at = ? WHERE row_id = ?",
            (new_id, now, now, row["row_id"]),
        )
    # Entries that mean the old path go on meaning the file that was there.
    db.execute(
        "UPDATE playlist_entries SET file_id = ? WHERE file_id = ? AND target_library_id = ? AND target_path_key = ?",
        (new_id, move.file_id, move.library_id, standing_key(unescaped(move.path))),
    )
    _put_back(db, move, row["first_seen_at"], now)
    events = [
        NewEvent(now, EventType.MISSING, move.old_library_id, move.file_id, move.old_path, evidence=_UNDONE),
    ]
    if new_id is not None and row["ignored_by"] is None:
        events.append(NewEvent(now, EventType.CREATED, move.library_id, new_id, move.path, evidence=_UNDONE))
    insert_events(db, events)
    return UndoneMove(
        seq=seq,
        file_id=move.file_id,
        library_id=move.old_library_id,
        path=unescaped(move.old_path),
        new_file_id=new_id,
        new_library_id=move.library_id,
        new_path=unescaped(move.path),
    )


def _noted_move(db: sqlite3.Connection, seq: int) -> _NotedMove:
    row = db.execute(
        f"SELECT seq, file_id, library_id, path, old_library_id, old_path FROM events WHERE seq = ? AND {IS_MOVE}",
        (seq,),
    ).fetchone()
    if row is None:
        raise MoveNotFound(seq)
    if row["old_library_id"] is None:
        raise MoveCannotBeUndone(seq, "an older version of Nomarr noted it, without the library that it came from")
    if not db.execute("SELECT 1 FROM libraries WHERE library_id = ?", (row["old_library_id"],)).fetchone():
        raise MoveCannotBeUndone(seq, "the library that the file came from was removed")
    return _NotedMove(**row)


def _moved_row(db: sqlite3.Connection, move: _NotedMove) -> sqlite3.Row:
    """The row of the file, if it is still where the move has put it."""
    row: sqlite3.Row | None = db.execute(
        "SELECT row_id, missing_since, ignored_by, first_seen_at FROM library_files"
        # Not if that library is being removed.
        " WHERE file_id = ? AND library_id = ? AND path = ? AND library_id IN (SELECT library_id FROM libraries)",
        (move.file_id, move.library_id, move.path),
    ).fetchone()
    if row is not None:
        return row
    # The move that has put it where it is now; one that was undone has not.
    later = db.execute(
        "SELECT e.seq FROM events e JOIN library_files f ON f.file_id = e.file_id AND f.library_id = e.library_id"
        f" AND f.path = e.path WHERE e.seq > ? AND e.{IS_MOVE} AND e.file_id = ? ORDER BY e.seq DESC LIMIT 1",
        (move.seq, move.file_id),
    ).fetchone()
    raise MoveCannotBeUndone(
        move.seq,
        f"the file is not at {unescaped(move.path)} any more",
        later_seq=None if later is None else later["seq"],
    )


def _put_back(db: sqlite3.Connection, move: _NotedMove, first_seen_at: float, now: float) -> None:
    """A missing file at the old path, of which nothing is known but its id: all else told of the other file."""
    path = unescaped(move.old_path)
    key = standing_key(path)
    is_taken = db.execute(
        "SELECT 1 FROM library_files WHERE library_id = ? AND path_key = ?", (move.old_library_id, key)
    ).fetchone()
    columns = {
        "file_id": move.file_id,
        "library_id": move.old_library_id,
        "path": move.old_path,
        "path_key": displaced_key(move.file_id) if is_taken else key,
        "folder": escaped(folder_of(path)),
        "size": 0,
        "mtime_ns": 0,
        "ctime_ns": 0,
        "device": 0,
        # No file is found by this inode, so that no scan takes the other file for this one again.
        "inode": 0,
        "tags": "{}",
        "read_at": 0.0,
        "processing_status": "pending",
        "missing_since": now,
        "first_seen_at": first_seen_at,
        "updated_at": now,
    }
    db.execute(
        f"INSERT INTO library_files ({', '.join(columns)}) VALUES ({placeholders(len(columns))})",
        tuple(columns.values()),
    )
