"""What enrichment reads and writes in ArangoDB."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from nomarr.helpers.dto.enrichment import (
    DueWork,
    EnrichmentJob,
    EnrichmentStep,
    EnrichmentUpdate,
    KnownSound,
    ProcessingStatus,
)
from nomarr.helpers.dto.files import FileRecord, FileStat
from nomarr.helpers.dto.scan import LeaseOwner
from nomarr.helpers.exceptions import EnrichmentBusy
from nomarr.helpers.paths_helper import path_key, unescaped
from nomarr.helpers.time_helper import Clock
from nomarr.persistence.database.connection import ArangoConnection
from nomarr.persistence.database.pieces import change_all, pieces
from nomarr.persistence.database.queries import (
    COUNT_WAITING,
    COVERS_IN_USE,
    ENRICHMENT_HOLDER,
    FAILED_FILES,
    FAILED_PLACES,
    FILES_WITH_COVERS,
    FINGERPRINTS,
    FOLDERS_OF_MISSING,
    FORGET_LOOSE_COVERS,
    GIVE_ENRICHMENT_BACK,
    HASHES_IN,
    IS_SCAN_RUNNING,
    JUDGE_LOOSE_COVERS,
    KNOWS_ANY_SOUND,
    LENGTHS_IN,
    LIBRARY_KEYS,
    LOOK_FOR_COVERS_AGAIN,
    LOOSE_COVERS,
    NEXT_JOBS,
    RECORDS_OF_KEYS,
    RENEW_ENRICHMENT,
    RETRY_FAILED,
    SAME_AUDIO,
    SOUNDS_AT,
    SOUNDS_BY_BYTES,
    SOUNDS_BY_HASH,
    SOUNDS_BY_ID,
    STORE_ENRICHMENT,
    TAKE_ENRICHMENT,
    UNHASHED_FILES,
    UNHEARD_FILES,
    WANT_CONTENT_HASHES,
    WANT_FINGERPRINTS,
)
from nomarr.persistence.database.rows_operations import (
    Doc,
    chunks,
    enrichment_fields,
    enrichment_of,
    key_of,
    known_file,
    waits_for,
)
from nomarr.persistence.rows import escaped_or_none, file_record, tags_from_json, unescaped_or_none

__all__ = ["ArangoEnrichment"]


class ArangoEnrichment:
    """`EnrichmentStore` on ArangoDB."""

    def __init__(self, connection: ArangoConnection) -> None:
        self._connection = connection

    # -- who may -----------------------------------------------------------------------------------------------

    def holder(self) -> str | None:
        found = self._connection.query(ENRICHMENT_HOLDER)
        return found[0] if found else None

    def take_lease(self, owner: LeaseOwner, *, now: float, lease_seconds: float, dead_owner: str | None = None) -> bool:
        self._connection.measure_clock()
        binds = {
            "owner": str(owner),
            "dead_owner": dead_owner,
            "lease_seconds": lease_seconds,
        }
        return bool(self._connection.query(TAKE_ENRICHMENT, binds, now=now))

    def renew_lease(self, owner: LeaseOwner, *, now: float | Clock, lease_seconds: float) -> bool:
        self._connection.measure_clock()
        binds = {"owner": str(owner), "lease_seconds": lease_seconds}
        return bool(self._connection.query(RENEW_ENRICHMENT, binds, now=now))

    def give_lease_back(self, owner: LeaseOwner) -> None:
        self._connection.query(GIVE_ENRICHMENT_BACK, {"owner": str(owner)})

    def is_any_scan_running(self, now: float) -> bool:
        return bool(self._connection.query(IS_SCAN_RUNNING, now=now))

    # -- what is to be done ------------------------------------------------------------------------------------

    def next_jobs(self, *, now: float, limit: int, library_id: str | None = None) -> list[EnrichmentJob]:
        for step in EnrichmentStep:
            binds = {"step": step, "due_before": now, "limit": limit, "library": _key_or_none(library_id)}
            if rows := self._connection.query(NEXT_JOBS, binds):
                return [_job(row) for row in rows]
        return []

    def due_work(self, *, now: float, library_id: str | None = None) -> DueWork:
        counts = self._connection.row(COUNT_WAITING, {"due_before": now, "library": _key_or_none(library_id)})
        return DueWork(**counts)

    def failed_files(self, *, limit: int) -> list[FileRecord]:
        # Sorted here: the server's order of texts depends on its locale.
        return self._records(sorted(self._connection.query(FAILED_FILES))[:limit])

    def _records(self, places: Sequence[Sequence[str]]) -> list[FileRecord]:
        """The present files of these sort keys (of any kind, the document's key last), sorted."""
        keys = [place[-1] for place in places]
        rows: list[Doc] = []
        for chunk in chunks(keys):
            binds = {"keys": chunk, "missing": False, "unwanted": ["fingerprint"], "library": None}
            rows += self._connection.query(RECORDS_OF_KEYS, binds)
        return [file_record(row) for row in sorted(rows, key=lambda row: (row["library_id"], row["path"]))]

    def want_fingerprints(self, *, now: float) -> int:
        return sum(
            change_all(self._connection, WANT_FINGERPRINTS, keys, {"time": now})
            for keys in pieces(self._connection, UNHEARD_FILES, {})
        )

    def want_content_hashes(self) -> int:
        return sum(
            change_all(self._connection, WANT_CONTENT_HASHES, keys, {})
            for keys in pieces(self._connection, UNHASHED_FILES, {})
        )

    def retry_failed(self, *, now: float, library_id: str | None = None) -> int:
        libraries = None if library_id is None else [key_of(library_id)]
        return sum(
            self._retry_failed(library, now)
            for library in self._connection.query(LIBRARY_KEYS, {"libraries": libraries})
        )

    def _retry_failed(self, library: str, now: float) -> int:
        return sum(
            change_all(self._connection, RETRY_FAILED, [key for _, key, is_tried in places if is_tried], {"time": now})
            for places in pieces(self._connection, FAILED_PLACES, {"library": library}, after="")
        )

    # -- what came of it ---------------------------------------------------------------------------------------

    def store(self, update: EnrichmentUpdate, owner: LeaseOwner, *, now: float | Clock) -> bool:
        changes = {
            "processing_status": update.status,
            "last_error": escaped_or_none(update.error),
            "attempts": update.attempts,
            "due_at": update.due_at,
            "waits_for": waits_for(update.status, update.due_at),
            **({} if update.found is None else enrichment_fields(update.found)),
        }
        answer = self._connection.row(
            STORE_ENRICHMENT,
            {
                "owner": str(owner),
                "file_id": update.file_id,
                **update.stat._asdict(),
                "job_due_at": update.job_due_at,
                "changes": changes,
                "token": uuid.uuid4().hex,
            },
            now=now,
        )
        if not answer["is_held"] and not answer["is_stored"]:
            raise EnrichmentBusy(self.holder() or "another process")
        return bool(answer["is_stored"])

    # -- sounds ------------------------------------------------------------------------------------------------

    def knows_any_sound(self) -> bool:
        return bool(self._connection.query(KNOWS_ANY_SOUND))

    def audio_lengths(self, lengths: Collection[int]) -> dict[int, int]:
        return dict(self._of_values(LENGTHS_IN, lengths))

    def with_audio_bytes(self, lengths: Collection[int]) -> list[KnownSound]:
        return _sounds(self._of_values(SOUNDS_BY_BYTES, lengths))

    def with_audio_hashes(self, hashes: Collection[str], *, at_most: int) -> list[KnownSound]:
        rare = [audio_hash for audio_hash, count in self._of_values(HASHES_IN, hashes) if count <= at_most]
        return _sounds(self._of_values(SOUNDS_BY_HASH, rare))

    def folders_of_missing(self, library_id: str, folders: Sequence[str]) -> set[str]:
        by_key = {path_key(folder): folder for folder in folders}
        found: set[str] = set()
        for chunk in chunks(by_key):
            keys = self._connection.query(FOLDERS_OF_MISSING, {"library": key_of(library_id), "folders": chunk})
            found.update(by_key[key] for key in keys)
        return found

    def missing_at(self, library_id: str, paths: Sequence[str]) -> list[KnownSound]:
        return _sounds(self._of_values(SOUNDS_AT, [path_key(path) for path in paths], library=key_of(library_id)))

    def sounds_of(self, file_ids: Sequence[str]) -> list[KnownSound]:
        return _sounds(self._of_values(SOUNDS_BY_ID, file_ids))

    def same_audio(self, library_id: str) -> Iterator[list[FileRecord]]:
        groups = self._connection.query(SAME_AUDIO, {"library": key_of(library_id)})
        # Sorted here: the server's order of texts depends on its locale.
        for group in sorted(sorted(group) for group in groups):
            yield self._records(group)

    def fingerprints(self, library_id: str) -> dict[str, tuple[str, float]]:
        rows = self._connection.query(FINGERPRINTS, {"library": key_of(library_id)})
        return {file_id: (fingerprint, seconds) for file_id, fingerprint, seconds in rows}

    def _of_values(self, query: str, values: Iterable[Any], **binds: object) -> Iterator[Any]:
        for chunk in chunks(values):
            yield from self._connection.query(query, {"values": chunk, **binds})

    # -- covers ------------------------------------------------------------------------------------------------

    def covers_in_use(self, cover_ids: Sequence[str]) -> set[str]:
        return set(self._of_values(COVERS_IN_USE, cover_ids))

    def look_for_covers_again(self, cover_ids: Sequence[str]) -> None:
        for covers in chunks(cover_ids):
            for keys in chunks(self._connection.query(FILES_WITH_COVERS, {"values": covers})):
                self._connection.query(LOOK_FOR_COVERS_AGAIN, {"keys": keys, "values": covers})

    def loose_covers(self, *, limit: int) -> list[str]:
        return self._connection.query(LOOSE_COVERS, {"limit": limit})

    def unused_covers(self, *, limit: int) -> list[str]:
        # Asked often, and nearly always in vain: that needs no query that writes.
        if not self.loose_covers(limit=1):
            return []
        unused: list[str] = []
        for judged in pieces(self._connection, JUDGE_LOOSE_COVERS, {}, after=""):
            unused += [cover_id for cover_id, is_used in judged if not is_used]
            if len(unused) >= limit:
                break
        return unused[:limit]

    def forget_loose_covers(self, cover_ids: Iterable[str], owner: LeaseOwner, *, now: float | Clock) -> None:
        for chunk in chunks(cover_ids):
            binds = {"values": chunk, "owner": str(owner), "token": uuid.uuid4().hex}
            [is_held] = self._connection.query(FORGET_LOOSE_COVERS, binds, now=now)
            if not is_held:
                raise EnrichmentBusy(self.holder() or "another process")


def _key_or_none(library_id: str | None) -> str | None:
    return None if library_id is None else key_of(library_id)


def _job(row: Doc) -> EnrichmentJob:
    stat = FileStat(row["size"], row["mtime_ns"], row["ctime_ns"], row["inode"])
    known = enrichment_of(row)
    # What waits for its sound may have changed meanwhile.
    is_looked_into = (
        row["processing_status"] == ProcessingStatus.ART_DONE and known is not None and known.hashed_stat == stat
    )
    return EnrichmentJob(
        step=EnrichmentStep.SOUND if is_looked_into else EnrichmentStep.ART,
        file_id=row["file_id"],
        library_id=row["library_id"],
        path=unescaped(row["path"]),
        stat=stat,
        device=row["device"],
        status=ProcessingStatus(row["processing_status"]),
        attempts=row["attempts"],
        known=known,
        due_at=row["due_at"],
        error=unescaped_or_none(row["last_error"]),
    )


def _sounds(rows: Iterable[Doc]) -> list[KnownSound]:
    return [sound for row in rows if (sound := _known_sound(row)) is not None]


def _known_sound(row: Doc) -> KnownSound | None:
    known = enrichment_of(row)
    if known is None:
        return None
    tags = tags_from_json(row.get("tags", "{}"))
    return KnownSound(
        known_file(row),
        known,
        title=tags.title,
        artist=tags.artist,
        duration_seconds=known.duration_seconds or tags.duration_seconds,
    )
