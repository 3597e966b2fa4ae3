"""What enrichment reads and writes in SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Final

from nomarr.helpers.dto.enrichment import (
    DueWork,
    Enrichment,
    EnrichmentJob,
    EnrichmentStep,
    EnrichmentUpdate,
    KnownSound,
    ProcessingStatus,
)
from nomarr.helpers.dto.files import FileRecord, FileStat
from nomarr.helpers.dto.scan import LeaseOwner
from nomarr.helpers.exceptions import EnrichmentBusy
from nomarr.helpers.paths_helper import escaped, unescaped
from nomarr.helpers.time_helper import Clock
from nomarr.persistence.embedded.connection import SqliteConnections, in_turns
from nomarr.persistence.embedded.library_sidecars_operations import look_for_covers_again
from nomarr.persistence.embedded.rows_operations import (
    BEING_REMOVED,
    DUE_ANEW,
    ENRICHMENT_COLUMNS,
    FILE_RECORD_COLUMNS,
    FILE_RECORDS,
    KNOWN_FILE_COLUMNS,
    ROWS_AT_ONCE,
    chunks,
    enrichment_of,
    known_file,
    placeholders,
    standing_key,
)
from nomarr.persistence.rows import escaped_or_none, file_record, tags_from_json, unescaped_or_none

__all__ = ["SqliteEnrichment"]

_PRESENT: Final = "f.missing_since IS NULL AND f.ignored_by IS NULL AND f.path_key = f.path"
_KEPT: Final = f"library_id NOT IN ({BEING_REMOVED})"
_REACHABLE: Final = (
    f"f.library_id NOT IN (SELECT library_id FROM libraries WHERE offline_reason IS NOT NULL UNION ALL {BEING_REMOVED})"
)
_WAITING: Final = {
    EnrichmentStep.ART: "f.due_at IS NOT NULL AND f.processing_status <> 'art_done'",
    EnrichmentStep.SOUND: "f.due_at IS NOT NULL AND f.processing_status = 'art_done'",
}
"""As the partial indexes have it, so that these are used."""
_COMPLETE: Final = "processing_status = 'complete' AND due_at IS NULL"
_COMPLETE_WITHOUT: Final = (
    "SELECT f.row_id FROM enrichment e CROSS JOIN library_files f ON f.row_id = e.row_id"
    f" WHERE e.{{}} IS NULL AND {_COMPLETE}"
)
"""Without a value that enrichment finds; by the index of the few rows that lack it, in the order of a CROSS JOIN."""
_FILE: Final = ", ".join(f"f.{column.strip()}" for column in KNOWN_FILE_COLUMNS.split(","))
_FILE_VALUES: Final = len(KNOWN_FILE_COLUMNS.split(","))


class SqliteEnrichment:
    """`EnrichmentStore` on SQLite."""

    def __init__(self, connections: SqliteConnections) -> None:
        self._connections = connections

    # -- who may -----------------------------------------------------------------------------------------------

    def holder(self) -> str | None:
        rows = self._connections.read("SELECT owner FROM enrichment_lease")
        return rows[0]["owner"] if rows else None

    def take_lease(self, owner: LeaseOwner, *, now: float, lease_seconds: float, dead_owner: str | None = None) -> bool:
        def work(db: sqlite3.Connection) -> bool:
            taken = db.execute(
                "INSERT INTO enrichment_lease (only_one, owner, expires_at) VALUES (1, ?, ?) ON CONFLICT DO UPDATE SET"
                " owner = excluded.owner, expires_at = excluded.expires_at"
                " WHERE owner IN (excluded.owner, ?) OR expires_at <= ?",
                (str(owner), now + lease_seconds, dead_owner, now),
            )
            return taken.rowcount == 1

        return self._connections.write(work)

    def renew_lease(self, owner: LeaseOwner, *, now: float | Clock, lease_seconds: float) -> bool:
        def work(db: sqlite3.Connection, begun_at: float) -> bool:
            renewed = db.execute(
                "UPDATE enrichment_lease SET expires_at = ? WHERE owner = ?", (begun_at + lease_seconds, str(owner))
            )
            return renewed.rowcount == 1

        return self._connections.write_by(now, work)

    def give_lease_back(self, owner: LeaseOwner) -> None:
        self._connections.write(lambda db: db.execute("DELETE FROM enrichment_lease WHERE owner = ?", (str(owner),)))

    def is_any_scan_running(self, now: float) -> bool:
        return bool(
            self._connections.read(
                "SELECT 1 FROM libraries WHERE scan_owner IS NOT NULL AND scan_expires_at > ? LIMIT 1", (now,)
            )
        )

    # -- what is to be done ------------------------------------------------------------------------------------

    def next_jobs(self, *, now: float, limit: int, library_id: str | None = None) -> list[EnrichmentJob]:
        for step in EnrichmentStep:
            rows = self._connections.read(
                f"SELECT f.file_id, f.library_id, f.path, f.size, f.mtime_ns, f.ctime_ns, f.inode, f.device,"
                f" f.processing_status, f.attempts, f.last_error, f.due_at, {ENRICHMENT_COLUMNS} FROM {FILE_RECORDS}"
                f" WHERE {_WAITING[step]} AND f.due_at <= ? AND {_PRESENT} AND {_REACHABLE}"
                " AND f.library_id = COALESCE(?, f.library_id) ORDER BY f.first_seen_at DESC LIMIT ?",
                (now, library_id, limit),
            )
            if rows:
                return [_job(row) for row in rows]
        return []

    def due_work(self, *, now: float, library_id: str | None = None) -> DueWork:
        counts = {step: self._count_waiting(step, now, library_id) for step in EnrichmentStep}
        failed, given_up = self._connections.read(
            "SELECT COUNT(*), COUNT(*) FILTER (WHERE f.due_at IS NULL) FROM library_files f"
            f" WHERE f.processing_status = 'error' AND {_PRESENT} AND {_REACHABLE}"
            " AND f.library_id = COALESCE(?, f.library_id)",
            (library_id,),
        )[0]
        return DueWork(
            art=counts[EnrichmentStep.ART]["due"],
            sound=counts[EnrichmentStep.SOUND]["due"],
            failed=failed,
            next_due_at=min((row["next"] for row in counts.values() if row["next"] is not None), default=None),
            later=sum(row["later"] for row in counts.values()),
            given_up=given_up,
        )

    def _count_waiting(self, step: EnrichmentStep, now: float, library_id: str | None) -> sqlite3.Row:
        return self._connections.read(
            "SELECT COUNT(*) FILTER (WHERE f.due_at <= ?) AS due, COUNT(*) FILTER (WHERE f.due_at > ?) AS later,"
            " MIN(f.due_at) FILTER (WHERE f.due_at > ?) AS next FROM library_files f"
            f" WHERE {_WAITING[step]} AND {_PRESENT} AND {_REACHABLE} AND f.library_id = COALESCE(?, f.library_id)",
            (now, now, now, library_id),
        )[0]

    def failed_files(self, *, limit: int) -> list[FileRecord]:
        rows = self._connections.read(
            f"SELECT {FILE_RECORD_COLUMNS} FROM {FILE_RECORDS}"
            f" WHERE f.processing_status = 'error' AND {_PRESENT} AND {_REACHABLE}"
            # As the index of failed files has them: a collection without a codec has hundreds of thousands.
            " ORDER BY f.library_id, f.path_key LIMIT ?",
            (limit,),
        )
        return [file_record(row) for row in rows]

    def want_fingerprints(self, *, now: float) -> int:
        found = self._connections.read_numbers(_COMPLETE_WITHOUT.format("fingerprint_seconds"))
        return self._change_all(found, "processing_status = 'art_done', due_at = ?", now, condition=_COMPLETE)

    def want_content_hashes(self) -> int:
        found = self._connections.read_numbers(_COMPLETE_WITHOUT.format("content_xxh3"))
        return self._change_all(found, f"due_at = {DUE_ANEW}", condition=_COMPLETE)

    def retry_failed(self, *, now: float, library_id: str | None = None) -> int:
        tried = "processing_status = 'error' AND attempts > 0"
        found = self._connections.read_numbers(
            f"SELECT row_id FROM library_files WHERE {tried} AND library_id = COALESCE(?, library_id) AND {_KEPT}",
            (library_id,),
        )
        return self._change_all(found, "due_at = ?, attempts = 0", now, condition=tried)

    def _change_all(self, row_ids: Sequence[int], assignments: str, *values: object, condition: str) -> int:
        """Change those of the files in pieces for which the condition still holds; how many."""

        def work(db: sqlite3.Connection, piece: Sequence[int]) -> int:
            return db.execute(
                f"UPDATE library_files SET {assignments} WHERE row_id IN ({placeholders(len(piece))}) AND {condition}",
                (*values, *piece),
            ).rowcount

        return sum(self._connections.write(partial(work, piece=piece)) for piece in in_turns(chunks(row_ids)))

    # -- what came of it ---------------------------------------------------------------------------------------

    def store(self, update: EnrichmentUpdate, owner: LeaseOwner, *, now: float | Clock) -> bool:
        def work(db: sqlite3.Connection, begun_at: float) -> bool:
            _require_lease(db, owner, begun_at)
            written = db.execute(
                "UPDATE library_files SET processing_status = ?, last_error = ?, attempts = ?, due_at = ?"
                " WHERE file_id = ? AND size = ? AND mtime_ns = ? AND ctime_ns = ? AND inode = ?"
                " AND due_at IS COALESCE(?, due_at) RETURNING row_id",
                (
                    update.status,
                    escaped_or_none(update.error),
                    update.attempts,
                    update.due_at,
                    update.file_id,
                    *update.stat,
                    update.job_due_at,
                ),
            ).fetchall()
            if written and update.found is not None:
                _put(db, written[0]["row_id"], update.found)
            return bool(written)

        return self._connections.write_by(now, work)

    # -- sounds ------------------------------------------------------------------------------------------------

    def knows_any_sound(self) -> bool:
        return bool(self._connections.read("SELECT 1 FROM enrichment WHERE audio_bytes IS NOT NULL LIMIT 1"))

    def audio_lengths(self, lengths: Collection[int]) -> dict[int, int]:
        return self._counted("audio_bytes", lengths)

    def with_audio_bytes(self, lengths: Collection[int]) -> list[KnownSound]:
        return list(self._sounds("e.audio_bytes", lengths, "e.audio_hash IS NOT NULL"))

    def with_audio_hashes(self, hashes: Collection[str], *, at_most: int) -> list[KnownSound]:
        rare = [audio_hash for audio_hash, count in self._counted("audio_hash", hashes).items() if count <= at_most]
        return list(self._sounds("e.audio_hash", rare, "TRUE"))

    def folders_of_missing(self, library_id: str, folders: Sequence[str]) -> set[str]:
        found: set[str] = set()
        for chunk in chunks([escaped(folder) for folder in folders]):
            rows = self._connections.read(
                "SELECT DISTINCT folder FROM library_files WHERE library_id = ?"
                # The plus keeps SQLite from walking through every missing file of the library instead of the folders.
                f" AND folder IN ({placeholders(len(chunk))}) AND +missing_since IS NOT NULL",
                (library_id, *chunk),
            )
            found.update(unescaped(row["folder"]) for row in rows)
        return found

    def missing_at(self, library_id: str, paths: Sequence[str]) -> list[KnownSound]:
        return list(
            self._sounds(
                "f.path_key",
                [standing_key(path) for path in paths],
                # The plus keeps SQLite from walking through every missing file of the library instead of the paths.
                "+f.missing_since IS NOT NULL AND e.fingerprint IS NOT NULL AND f.library_id = ?",
                library_id,
                tags=True,
            )
        )

    def sounds_of(self, file_ids: Sequence[str]) -> list[KnownSound]:
        return list(self._sounds("f.file_id", file_ids, "TRUE", tags=True))

    def same_audio(self, library_id: str) -> Iterator[list[FileRecord]]:
        hashes = self._connections.read(
            "SELECT e.audio_hash FROM enrichment e JOIN library_files f ON f.row_id = e.row_id"
            f" WHERE f.library_id = ? AND e.audio_hash IS NOT NULL AND {_PRESENT}"
            " GROUP BY e.audio_hash HAVING COUNT(*) > 1 ORDER BY MIN(f.path)",
            (library_id,),
        )
        for (audio_hash,) in hashes:
            rows = self._connections.read(
                f"SELECT {FILE_RECORD_COLUMNS} FROM {FILE_RECORDS}"
                f" WHERE e.audio_hash = ? AND f.library_id = ? AND {_PRESENT} ORDER BY f.path",
                (audio_hash, library_id),
            )
            yield [file_record(row) for row in rows]

    def fingerprints(self, library_id: str) -> dict[str, tuple[str, float]]:
        rows = self._connections.read(
            "SELECT f.file_id, e.fingerprint, e.fingerprint_seconds FROM enrichment e"
            " JOIN library_files f ON f.row_id = e.row_id"
            f" WHERE f.library_id = ? AND e.fingerprint IS NOT NULL AND {_PRESENT}",
            (library_id,),
        )
        return {file_id: (fingerprint, seconds) for file_id, fingerprint, seconds in rows}

    def _counted(self, column: str, values: Collection[Any]) -> dict[Any, int]:
        counts: dict[Any, int] = {}
        for chunk in chunks(list(values)):
            rows = self._connections.read(
                f"SELECT {column}, COUNT(*) FROM enrichment WHERE {column} IN ({placeholders(len(chunk))})"
                f" GROUP BY {column}",
                tuple(chunk),
            )
            counts.update((value, count) for value, count in rows)
        return counts

    def _sounds(
        self, column: str, values: Collection[Any], condition: str, *more: object, tags: bool = False
    ) -> Iterator[KnownSound]:
        """Reading tags takes longer than everything else together."""
        said = "f.tags" if tags else "'{}' AS tags"
        for chunk in chunks(list(values)):
            rows = self._connections.read(
                f"SELECT {_FILE}, {ENRICHMENT_COLUMNS}, {said} FROM enrichment e"
                " JOIN library_files f ON f.row_id = e.row_id"
                f" WHERE {column} IN ({placeholders(len(chunk))}) AND {condition} AND f.{_KEPT}",
                (*chunk, *more),
            )
            yield from (sound for row in rows if (sound := _known_sound(row)) is not None)

    # -- covers ------------------------------------------------------------------------------------------------

    def covers_in_use(self, cover_ids: Sequence[str]) -> set[str]:
        used: set[str] = set()
        for chunk in chunks(cover_ids):
            rows = self._connections.read(
                f"SELECT DISTINCT cover_id FROM enrichment WHERE cover_id IN ({placeholders(len(chunk))})", tuple(chunk)
            )
            used.update(row["cover_id"] for row in rows)
        return used

    def look_for_covers_again(self, cover_ids: Sequence[str]) -> None:
        for look_again in in_turns(self._looks_again(cover_ids)):
            self._connections.write(look_again)

    def _looks_again(self, cover_ids: Sequence[str]) -> Iterator[Callable[[sqlite3.Connection], None]]:
        for covers in chunks(cover_ids):
            have_them = f"SELECT row_id FROM enrichment WHERE cover_id IN ({placeholders(len(covers))})"
            for row_ids in chunks(self._connections.read_numbers(have_them, tuple(covers))):
                yield partial(_look_again, f"row_id IN ({placeholders(len(row_ids))})", tuple(row_ids))

    def loose_covers(self, *, limit: int) -> list[str]:
        rows = self._connections.read("SELECT cover_id FROM loose_covers LIMIT ?", (limit,))
        return [row["cover_id"] for row in rows]

    def unused_covers(self, *, limit: int) -> list[str]:
        unused: list[str] = []
        after = ""
        while covers := self._judge_loose_covers(after):
            unused += [cover_id for cover_id, is_used in covers if not is_used]
            if len(unused) >= limit:
                break
            after = covers[-1][0]
        return unused[:limit]

    def _judge_loose_covers(self, after: str) -> list[tuple[str, bool]]:
        """The next loose covers, and whether a file still has them; these are forgotten."""

        def work(db: sqlite3.Connection) -> list[tuple[str, bool]]:
            rows = db.execute(
                "SELECT cover_id, EXISTS (SELECT 1 FROM enrichment e WHERE e.cover_id = c.cover_id)"
                f" FROM loose_covers c WHERE cover_id > ? ORDER BY cover_id LIMIT {ROWS_AT_ONCE}",
                (after,),
            ).fetchall()
            used = [(cover_id,) for cover_id, is_used in rows if is_used]
            db.executemany("DELETE FROM loose_covers WHERE cover_id = ?", used)
            return [(cover_id, bool(is_used)) for cover_id, is_used in rows]

        # Asked often, and nearly always in vain: that needs no transaction that writes.
        return self._connections.write(work) if self.loose_covers(limit=1) else []

    def forget_loose_covers(self, cover_ids: Iterable[str], owner: LeaseOwner, *, now: float | Clock) -> None:
        given = [(cover_id,) for cover_id in cover_ids]

        def work(db: sqlite3.Connection, begun_at: float) -> None:
            _require_lease(db, owner, begun_at)
            db.executemany("DELETE FROM loose_covers WHERE cover_id = ?", given)

        self._connections.write_by(now, work)


def _require_lease(db: sqlite3.Connection, owner: LeaseOwner, now: float) -> None:
    """Raises `EnrichmentBusy` unless the lease is the owner's and has not run out; call it inside the transaction."""
    row = db.execute("SELECT owner, expires_at FROM enrichment_lease").fetchone()
    if row is None or row["owner"] != str(owner) or row["expires_at"] <= now:
        raise EnrichmentBusy("another process" if row is None else row["owner"])


def _job(row: sqlite3.Row) -> EnrichmentJob:
    file_id, library_id, path, size, mtime_ns, ctime_ns, inode, device, status, attempts, error, due_at, *enrichment = (
        row
    )
    stat = FileStat(size, mtime_ns, ctime_ns, inode)
    known = enrichment_of(enrichment)
    # What waits for its sound may have changed meanwhile.
    is_looked_into = status == ProcessingStatus.ART_DONE and known is not None and known.hashed_stat == stat
    return EnrichmentJob(
        step=EnrichmentStep.SOUND if is_looked_into else EnrichmentStep.ART,
        file_id=file_id,
        library_id=library_id,
        path=unescaped(path),
        stat=stat,
        device=device,
        status=ProcessingStatus(status),
        attempts=attempts,
        known=known,
        due_at=due_at,
        error=unescaped_or_none(error),
    )


def _known_sound(row: sqlite3.Row) -> KnownSound | None:
    known = enrichment_of(row[_FILE_VALUES:-1])
    if known is None:
        return None
    tags = tags_from_json(row["tags"])
    return KnownSound(
        known_file(row[:_FILE_VALUES]),
        known,
        title=tags.title,
        artist=tags.artist,
        duration_seconds=known.duration_seconds or tags.duration_seconds,
    )


def _look_again(condition: str, values: tuple[int, ...], db: sqlite3.Connection) -> None:
    look_for_covers_again(db, condition, *values)


def _put(db: sqlite3.Connection, row_id: int, found: Enrichment) -> None:
    values = {
        "hashed_size": found.hashed_stat.size,
        "hashed_mtime_ns": found.hashed_stat.mtime_ns,
        "hashed_ctime_ns": found.hashed_stat.ctime_ns,
        "hashed_inode": found.hashed_stat.inode,
        "audio_hash": found.audio_hash,
        "audio_bytes": found.audio_bytes,
        "content_xxh3": found.content_xxh3,
        "content_sha256": found.content_sha256,
        "fingerprint_seconds": found.fingerprint_seconds,
        "duration_seconds": found.duration_seconds,
        "cover_id": found.cover_id,
        "fingerprint": found.fingerprint,
    }
    # Not INSERT OR REPLACE: that would be a removed row to the triggers, or none at all.
    db.execute(
        f"INSERT INTO enrichment (row_id, {', '.join(values)}) VALUES (?, {placeholders(len(values))})"
        f" ON CONFLICT (row_id) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in values)}",
        (row_id, *values.values()),
    )
