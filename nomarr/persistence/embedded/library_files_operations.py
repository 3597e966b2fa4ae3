"""Files in SQLite: what is read of them, and the one transaction that writes a batch."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Collection, Iterator, Sequence
from typing import Final

from nomarr.helpers.dto.batches import BatchResult, FileMove, FileSeen, FileUpsert, RowOutcome, ScanBatch
from nomarr.helpers.dto.events import EventType
from nomarr.helpers.dto.file_pages import FilePage, FilePlace, FileQuery
from nomarr.helpers.dto.files import FileRecord, FolderRecord, KnownFile
from nomarr.helpers.dto.scan import Lease
from nomarr.helpers.dto.upkeep import UndoneMove
from nomarr.helpers.paths_helper import escaped, folder_of, folders_above, unescaped
from nomarr.helpers.time_helper import Clock
from nomarr.persistence.embedded.connection import SqliteConnections
from nomarr.persistence.embedded.events_operations import NewEvent, insert_events
from nomarr.persistence.embedded.file_pages_operations import chunks_that_may_match, page_of_files
from nomarr.persistence.embedded.library_operations import require_lease, require_no_scan
from nomarr.persistence.embedded.library_sidecars_operations import look_for_covers_again, write_sidecars
from nomarr.persistence.embedded.rows_operations import (
    BEING_REMOVED,
    FILE_RECORD_COLUMNS,
    FILE_RECORDS,
    KNOWN_FILE_COLUMNS,
    chunks,
    displaced_key,
    known_file,
    placeholders,
    standing_key,
    subtree,
)
from nomarr.persistence.embedded.upkeep_operations import LONG_MISSING, purge_missing, undo_move
from nomarr.persistence.rows import (
    DUE_NOW,
    EVENT_OF,
    escaped_or_none,
    event_of_move,
    file_record,
    matches,
    read_again,
    status_after_reading,
    tags_json,
)

__all__ = ["SqliteFiles"]

_PAGE: Final = 2000
_FOLDER_COLUMNS: Final = "INTO library_folders (library_id, path, parent, digest, scanned_at, on_other_device)"


class SqliteFiles:
    """`FileStore` on SQLite."""

    def __init__(self, connections: SqliteConnections) -> None:
        self._connections = connections

    def upsert_batch(self, lease: Lease, batch: ScanBatch, *, now: float | Clock) -> BatchResult:
        if not batch:
            return BatchResult()

        def work(db: sqlite3.Connection, begun_at: float) -> BatchResult:
            require_lease(db, lease, begun_at)
            return _BatchWriter(db, lease.library_id, begun_at if callable(now) else now).write(batch)

        return self._connections.write_by(now, work)

    def any_files(self) -> bool:
        return bool(self._connections.read("SELECT 1 FROM library_files LIMIT 1"))

    def in_folders(self, library_id: str, folders: Sequence[str]) -> list[KnownFile]:
        found = []
        for chunk in chunks([escaped(folder) for folder in folders]):
            rows = self._connections.read(
                f"SELECT {KNOWN_FILE_COLUMNS} FROM library_files"
                f" WHERE library_id = ? AND folder IN ({placeholders(len(chunk))})",
                (library_id, *chunk),
            )
            found += [known_file(row) for row in rows]
        return found

    def below(self, library_id: str, folder: str) -> Iterator[list[KnownFile]]:
        scope, values = subtree("folder", folder)
        # In the index's own order: a page costs what it holds, however large the library is.
        last = (escaped(folder), 0)
        while True:
            rows = self._connections.read(
                f"SELECT {KNOWN_FILE_COLUMNS} FROM library_files WHERE library_id = ? AND (folder, row_id) >"
                f" (?, ?) AND {scope} ORDER BY folder, row_id LIMIT ?",
                (library_id, *last, *values, _PAGE),
            )
            if not rows:
                return
            last = (rows[-1]["folder"], rows[-1]["row_id"])
            yield [known_file(row) for row in rows]

    def with_inodes(self, inodes: Sequence[int]) -> list[KnownFile]:
        found = []
        for chunk in chunks(inodes):
            rows = self._connections.read(
                f"SELECT {KNOWN_FILE_COLUMNS} FROM library_files WHERE inode IN ({placeholders(len(chunk))})"
                f" AND library_id NOT IN ({BEING_REMOVED})",
                tuple(chunk),
            )
            found += [known_file(row) for row in rows]
        return found

    def sample(self, library_id: str, limit: int) -> list[KnownFile]:
        # Ids are random: the first ones are a choice from everywhere, and always the same. An index holds the first
        # ones alone, so that this costs the same in a large library; a small one may have too few of them.
        rows: list[sqlite3.Row] = []
        for among in ("file_id < '04'", "TRUE"):
            if len(rows) < limit:
                rows = self._connections.read(
                    f"SELECT {KNOWN_FILE_COLUMNS} FROM library_files WHERE library_id = ? AND {among}"
                    " AND missing_since IS NULL AND ignored_by IS NULL ORDER BY file_id LIMIT ?",
                    (library_id, limit),
                )
        return [known_file(row) for row in rows]

    def count_present(self, library_id: str) -> int:
        rows = self._connections.read(
            "SELECT COUNT(*) FROM library_files WHERE library_id = ? AND missing_since IS NULL AND ignored_by IS NULL",
            (library_id,),
        )
        return int(rows[0][0])

    def find(self, library_id: str, path: str) -> FileRecord | None:
        # A displaced file is found only when nothing stands at its path any more.
        rows = self._connections.read(
            f"SELECT {FILE_RECORD_COLUMNS} FROM {FILE_RECORDS} WHERE f.library_id = ? AND f.folder = ? AND f.path = ?"
            " ORDER BY f.path_key = ? DESC, f.updated_at DESC LIMIT 1",
            (library_id, escaped(folder_of(path)), escaped(path), standing_key(path)),
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
        columns = f"{FILE_RECORD_COLUMNS}, e.fingerprint" if fingerprints else FILE_RECORD_COLUMNS
        scope, values = subtree("f.folder", folder)
        wanted = f"f.library_id = ? AND {scope} AND f.ignored_by IS NULL"
        wanted += " AND f.missing_since IS NOT NULL" if missing else " AND f.missing_since IS NULL"
        order = "ORDER BY f.path, f.file_id"
        # Sorted once: no index is on the path, so each page of a query by path would sort the whole library again.
        sorted_ids = self._connections.read_numbers(
            f"SELECT f.row_id FROM library_files f WHERE {wanted} {order}", (library_id, *values)
        )
        for page in chunks_that_may_match(self._connections, sorted_ids, query):
            rows = self._connections.read(
                f"SELECT {columns} FROM {FILE_RECORDS}"
                f" WHERE f.row_id IN ({placeholders(len(page))}) AND {wanted} {order}",
                (*page, library_id, *values),
            )
            found = (file_record(row) for row in rows)
            yield from found if query is None else (record for record in found if matches(record, query))

    def get(self, file_id: str) -> FileRecord | None:
        rows = self._connections.read(
            f"SELECT {FILE_RECORD_COLUMNS} FROM {FILE_RECORDS}"
            f" WHERE f.file_id = ? AND f.library_id NOT IN ({BEING_REMOVED})",
            (file_id,),
        )
        return file_record(rows[0]) if rows else None

    def page(self, query: FileQuery, *, after: FilePlace | None, limit: int) -> FilePage:
        return page_of_files(self._connections, query, after, limit)

    def count_long_missing(self, library_id: str, *, before: float) -> int:
        return int(self._connections.read(f"SELECT COUNT(*) {LONG_MISSING}", (library_id, before))[0][0])

    def long_missing(self, library_id: str, *, before: float, limit: int) -> list[str]:
        rows = self._connections.read(
            f"SELECT path {LONG_MISSING} ORDER BY missing_since LIMIT ?", (library_id, before, limit)
        )
        return [unescaped(row["path"]) for row in rows]

    def long_missing_alone(self, library_id: str, *, before: float) -> dict[str, str]:
        rows = self._connections.read(f"SELECT file_id, path {LONG_MISSING} AND path_key = path", (library_id, before))
        return {row["file_id"]: unescaped(row["path"]) for row in rows}

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
        def work(db: sqlite3.Connection, begun_at: float) -> list[str]:
            require_no_scan(db, library_id, begun_at, dead_owners)
            return purge_missing(db, library_id, before, begun_at, limit, spared)

        return self._connections.write_by(now, work)

    def undo_move(
        self, seq: int, new_file_id: str, *, now: float | Clock, dead_owners: Collection[str] = ()
    ) -> UndoneMove:
        return self._connections.write_by(
            now, lambda db, begun_at: undo_move(db, seq, new_file_id, begun_at, dead_owners)
        )


def _parent(folder: str) -> str | None:
    return escaped(folder_of(folder)) if folder else None


class _BatchWriter:
    """Writes one batch inside a transaction that somebody else began."""

    def __init__(self, db: sqlite3.Connection, library_id: str, now: float) -> None:
        self._db = db
        self._library_id = library_id
        self._now = now
        self._events: list[NewEvent] = []

    def write(self, batch: ScanBatch) -> BatchResult:
        moved, displaced = self._move(batch.moves)
        lost = tuple(move.file_id for move in batch.moves if move.file_id not in moved)
        outcomes = self._upsert(batch.upserts)
        restored, refreshed = self._see(batch.seen)
        gone = sum(
            self._set_absent("missing_since", self._now, file.file_id, file.path, EventType.MISSING, None)
            for file in batch.gone
        )
        hidden = sum(
            self._set_absent("ignored_by", escaped(file.rule), file.file_id, file.path, EventType.REMOVED, file.rule)
            for file in batch.hidden
        )
        playlists, images = write_sidecars(self._db, self._library_id, batch)
        self._open_folders(batch)
        self._put_folders(batch.folders, batch.gone_folders)
        insert_events(self._db, self._events)
        return BatchResult(
            upserts=outcomes,
            moved=len(moved),
            lost_moves=lost,
            restored=restored,
            refreshed=refreshed,
            gone=gone,
            displaced=displaced,
            hidden=hidden,
            playlists=playlists,
            images=images,
        )

    def _move(self, moves: Sequence[FileMove]) -> tuple[set[str], int]:
        """The ids of the files that were moved, and how many others had to make room."""
        # A file that is moved twice goes to the last place that was told.
        moves = list({move.file_id: move for move in moves}.values())
        # Two steps, because the new path of one is often the old path of another (swaps, chains).
        leaving = [move for move in moves if self._leave(move)]
        # The folders that they leave may be out of this scan; as long as these have a digest, nobody looks into them.
        left = {(move.from_library_id, escaped(folder_of(move.from_path))) for move in leaving}
        self._db.executemany("UPDATE library_folders SET digest = '' WHERE library_id = ? AND path = ?", left)
        displaced = 0
        for move in leaving:
            displaced += self._displace(move.to_path, forget_inode=move.is_other_file)
            self._db.execute(
                "UPDATE library_files SET library_id = ?, path = ?, path_key = ?, folder = ?, missing_since = NULL,"
                " ignored_by = NULL, updated_at = ? WHERE file_id = ?",
                (
                    self._library_id,
                    escaped(move.to_path),
                    standing_key(move.to_path),
                    escaped(folder_of(move.to_path)),
                    self._now,
                    move.file_id,
                ),
            )
            if folder_of(move.to_path) != folder_of(move.from_path) or move.from_library_id != self._library_id:
                look_for_covers_again(self._db, "file_id = ?", move.file_id)
            self._note_move(move)
        return {move.file_id for move in leaving}, displaced

    def _leave(self, move: FileMove) -> bool:
        found = self._db.execute(
            "UPDATE library_files SET path_key = ? WHERE file_id = ? AND library_id = ? AND path = ?",
            (displaced_key(move.file_id), move.file_id, move.from_library_id, escaped(move.from_path)),
        )
        return found.rowcount == 1

    def _displace(self, path: str, *, forget_inode: bool) -> int:
        """Make room at `path`; 1 if a file that was there is missing from now on."""
        row = self._db.execute(
            "SELECT file_id, missing_since, ignored_by FROM library_files WHERE library_id = ? AND path_key = ?",
            (self._library_id, standing_key(path)),
        ).fetchone()
        if row is None:
            return 0
        self._db.execute(
            "UPDATE library_files SET path_key = ?, missing_since = COALESCE(missing_since, ?), updated_at = ?,"
            " inode = CASE WHEN ? THEN 0 ELSE inode END WHERE file_id = ?",
            (displaced_key(row["file_id"]), self._now, self._now, forget_inode, row["file_id"]),
        )
        # Playlists mean the file that stands at the path.
        self._db.execute("UPDATE playlist_entries SET file_id = NULL WHERE file_id = ?", (row["file_id"],))
        if row["missing_since"] is not None or row["ignored_by"] is not None:
            return 0
        self._note(EventType.MISSING, row["file_id"], path, evidence="overwritten by a moved file")
        return 1

    def _upsert(self, upserts: Sequence[FileUpsert]) -> tuple[RowOutcome, ...]:
        # Of several for one path the last one is written, and the others changed nothing.
        last = {upsert.path: index for index, upsert in enumerate(upserts)}
        keys = {path: standing_key(path) for path in last}
        known = self._known_rows(list(keys.values()))
        taken = self._known_ids([upsert.file_id for upsert in upserts if keys[upsert.path] not in known])
        new = []
        outcomes = []
        for index, upsert in enumerate(upserts):
            if index != last[upsert.path]:
                outcomes.append(RowOutcome.UNCHANGED)
                continue
            key = keys[upsert.path]
            row = known.get(key)
            if row is None:
                # A scan of another library may have moved the row away since it was seen at this path.
                file_id = uuid.uuid4().hex if upsert.file_id in taken else upsert.file_id
                new.append(self._new_row(file_id, upsert, key))
                outcome = RowOutcome.INSERTED
            else:
                outcome, file_id = self._read_again(row, upsert), row["file_id"]
            outcomes.append(outcome)
            if event := EVENT_OF.get(outcome):
                self._note(event, file_id, upsert.path)
        self._db.executemany(
            "INSERT INTO library_files (file_id, library_id, path, path_key, folder, size, mtime_ns, ctime_ns, inode,"
            " device, tags, read_at, processing_status, last_error, due_at, first_seen_at, updated_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            new,
        )
        return tuple(outcomes)

    def _known_rows(self, path_keys: Sequence[str]) -> dict[str, sqlite3.Row]:
        known: dict[str, sqlite3.Row] = {}
        for chunk in chunks(path_keys):
            rows = self._db.execute(
                "SELECT file_id, path_key, size, mtime_ns, ctime_ns, inode, tags, last_error, processing_status,"
                " attempts, due_at, missing_since, ignored_by, updated_at FROM library_files"
                f" WHERE library_id = ? AND path_key IN ({placeholders(len(chunk))})",
                (self._library_id, *chunk),
            )
            known |= {row["path_key"]: row for row in rows}
        return known

    def _known_ids(self, file_ids: Sequence[str]) -> set[str]:
        known: set[str] = set()
        for chunk in chunks(file_ids):
            rows = self._db.execute(
                f"SELECT file_id FROM library_files WHERE file_id IN ({placeholders(len(chunk))})", tuple(chunk)
            )
            known.update(row["file_id"] for row in rows)
        return known

    def _new_row(self, file_id: str, upsert: FileUpsert, key: str) -> tuple[object, ...]:
        error = escaped_or_none(upsert.tags.error)
        return (
            file_id,
            self._library_id,
            escaped(upsert.path),
            key,
            escaped(folder_of(upsert.path)),
            *upsert.stat,
            upsert.device,
            "{}" if upsert.tags.tags is None else tags_json(upsert.tags.tags),
            upsert.read_at,
            status_after_reading("pending", error, error),
            error,
            None if error is not None else DUE_NOW,
            self._now,
            self._now,
        )

    def _read_again(self, row: sqlite3.Row, upsert: FileUpsert) -> RowOutcome:
        outcome, columns = read_again(row, upsert, self._now)
        self._db.execute(
            f"UPDATE library_files SET {', '.join(f'{name} = ?' for name in columns)} WHERE file_id = ?",
            (*columns.values(), row["file_id"]),
        )
        return outcome

    def _see(self, seen: Sequence[FileSeen]) -> tuple[int, int]:
        restored = refreshed = 0
        for file in {file.file_id: file for file in seen}.values():
            # Not a displaced row: it is another file that stands at its path.
            place = (file.file_id, self._library_id, escaped(file.path), displaced_key(file.file_id))
            came_back = self._db.execute(
                "UPDATE library_files SET missing_since = NULL, ignored_by = NULL, updated_at = ?"
                " WHERE file_id = ? AND library_id = ? AND path = ? AND path_key <> ?"
                " AND (missing_since IS NOT NULL OR ignored_by IS NOT NULL)",
                (self._now, *place),
            ).rowcount
            found = self._db.execute(
                "UPDATE library_files SET size = ?, mtime_ns = ?, ctime_ns = ?, inode = ?, device = ?"
                " WHERE file_id = ? AND library_id = ? AND path = ? AND path_key <> ?",
                (*file.stat, file.device, *place),
            ).rowcount
            restored += came_back
            refreshed += found - came_back
            if came_back:
                self._note(EventType.RESTORED, file.file_id, file.path)
        return restored, refreshed

    def _set_absent(
        self, column: str, value: object, file_id: str, path: str, event: EventType, evidence: str | None
    ) -> int:
        # A hidden file that is gone is missing, and not hidden any more.
        changes = {"ignored_by": None, column: value, "updated_at": self._now}
        update = (
            f"UPDATE library_files SET {', '.join(f'{name} = ?' for name in changes)}"
            f" WHERE file_id = ? AND library_id = ? AND path = ? AND {column} IS NULL"
        )
        values = (*changes.values(), file_id, self._library_id, escaped(path))
        if self._db.execute(f"{update} AND missing_since IS NULL AND ignored_by IS NULL", values).rowcount:
            self._note(event, file_id, path, evidence=evidence)
            return 1
        # Of one that was not there any more, those who follow the changes were told.
        return self._db.execute(update, values).rowcount

    def _open_folders(self, batch: ScanBatch) -> None:
        """Folders of which the batch writes a part have no digest until the rest is written.

        If the scan ends before that, the next one compares them again, and knows of them when they are gone by then.
        """
        unfinished = batch.unfinished_folders()
        known = {place for folder in unfinished for place in (folder, *folders_above(folder))}
        self._db.executemany(
            f"INSERT OR IGNORE {_FOLDER_COLUMNS} VALUES (?, ?, ?, '', 0, 0)",
            ((self._library_id, escaped(path), _parent(path)) for path in known),
        )
        self._db.executemany(
            "UPDATE library_folders SET digest = '' WHERE library_id = ? AND path = ?",
            ((self._library_id, escaped(path)) for path in unfinished),
        )

    def _put_folders(self, folders: Sequence[FolderRecord], gone: Sequence[str]) -> None:
        for path in gone:
            condition, values = subtree("path", path)
            self._db.execute(
                f"DELETE FROM library_folders WHERE library_id = ? AND {condition}", (self._library_id, *values)
            )
        # A folder is found through the folders above it, also when only itself was ever looked at.
        above = {folder for record in folders for folder in folders_above(record.path)}
        self._db.executemany(
            f"INSERT OR IGNORE {_FOLDER_COLUMNS} VALUES (?, ?, ?, '', 0, 0)",
            ((self._library_id, escaped(path), _parent(path)) for path in above),
        )
        self._db.executemany(
            f"INSERT OR REPLACE {_FOLDER_COLUMNS} VALUES (?, ?, ?, ?, ?, ?)",
            (
                (
                    self._library_id,
                    escaped(folder.path),
                    _parent(folder.path),
                    folder.digest,
                    self._now,
                    folder.disk,
                )
                for folder in folders
            ),
        )

    def _note_move(self, move: FileMove) -> None:
        event, came_from = event_of_move(move, self._library_id)
        self._note(event, move.file_id, move.to_path, move.evidence, came_from)

    def _note(
        self,
        event: EventType,
        file_id: str,
        path: str,
        evidence: str | None = None,
        came_from: tuple[str, str] | None = None,
    ) -> None:
        """Note an event; `came_from` is the library and the path where the file was before."""
        old_library_id, old_path = came_from or (None, None)
        self._events.append(
            NewEvent(
                time=self._now,
                type=event,
                library_id=self._library_id,
                file_id=file_id,
                path=escaped(path),
                old_path=escaped_or_none(old_path),
                evidence=escaped_or_none(evidence),
                old_library_id=old_library_id,
            )
        )
