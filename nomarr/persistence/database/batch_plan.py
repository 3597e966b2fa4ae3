"""What a scan's batch makes of the rows that are there; pure, so that it can be made again and again."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from typing import Final

from nomarr.helpers.dto.batches import (
    BatchResult,
    FileMove,
    FileSeen,
    FileUpsert,
    ImageUpsert,
    PlaylistLine,
    PlaylistUpsert,
    RowOutcome,
    ScanBatch,
)
from nomarr.helpers.dto.events import EventType
from nomarr.helpers.dto.files import ROOT_DISK, FileStat
from nomarr.helpers.paths_helper import escaped, folder_of, folders_above, path_key
from nomarr.persistence.database.commit import FileRows, Known, Plan
from nomarr.persistence.database.events_operations import new_event
from nomarr.persistence.database.rows_operations import (
    DISPLACED,
    Doc,
    displaced_key,
    enrichment_fields,
    key_of,
    place_fields,
    within,
)
from nomarr.persistence.rows import (
    DUE_NOW,
    EVENT_OF,
    escaped_or_none,
    event_of_move,
    read_again,
    status_after_reading,
    tags_json,
)

__all__ = [
    "BatchPlanner",
    "blank_folder",
    "detached_entries",
    "entry_target",
    "is_enriched",
    "look_for_cover_again",
    "new_file",
]

_NO_FILES_CTIME: Final = -1


class BatchPlanner:
    """One batch of one library, planned from what is known of its rows."""

    def __init__(self, library_id: str, batch: ScanBatch, known: Known, now: float) -> None:
        self._library_id = library_id
        self._library_key = key_of(library_id)
        self._batch = batch
        self._now = now
        self._known = known
        self._rows = FileRows(known.files)
        self._plan = Plan()
        self._displaced_ids: set[str] = set()
        self._gone_folders = set(batch.gone_folders)

    def plan(self) -> tuple[Plan, BatchResult]:
        """The writes, and what they do."""
        self._ask()
        batch = self._batch
        moved, displaced = self._move(batch.moves)
        outcomes = self._upsert(batch.upserts)
        restored, refreshed = self._see(batch.seen)
        gone = sum(
            self._set_absent("missing_since", self._now, file.file_id, file.path, EventType.MISSING)
            for file in batch.gone
        )
        hidden = sum(
            self._set_absent("ignored_by", escaped(file.rule), file.file_id, file.path, EventType.REMOVED, file.rule)
            for file in batch.hidden
        )
        playlists, images = self._write_sidecars()
        self._write_folders()
        self._plan.files = self._rows.writes()
        return self._plan, BatchResult(
            upserts=outcomes,
            moved=len(moved),
            lost_moves=tuple(move.file_id for move in batch.moves if move.file_id not in moved),
            restored=restored,
            refreshed=refreshed,
            gone=gone,
            displaced=displaced,
            hidden=hidden,
            playlists=playlists,
            images=images,
        )

    # -- which rows have to be known ---------------------------------------------------------------------------

    def _ask(self) -> None:
        batch, plan = self._batch, self._plan
        paths = [*(upsert.path for upsert in batch.upserts), *(move.to_path for move in batch.moves)]
        plan.places = {(self._library_key, path_key(path)) for path in paths}
        plan.file_ids = {
            file.file_id for part in (batch.moves, batch.upserts, batch.seen, batch.gone, batch.hidden) for file in part
        }
        plan.sidecar_keys = {key_of(self._library_id, path) for path in batch.gone_sidecars}

    def _known_sidecar(self, path: str, kind: str) -> Doc | None:
        doc = self._known.sidecars.get(key_of(self._library_id, path))
        return doc if doc is not None and doc["kind"] == kind and not doc["is_gone"] else None

    # -- files -------------------------------------------------------------------------------------------------

    def _move(self, moves: Sequence[FileMove]) -> tuple[set[str], int]:
        """The ids of the files that were moved, and how many others had to make room."""
        # A file that is moved twice goes to the last place that was told.
        moves = list({move.file_id: move for move in moves}.values())
        # Two steps, because the new path of one is often the old path of another (swaps, chains).
        leaving = [
            (move, row) for move in moves if (row := self._row_at(move.file_id, move.from_library_id, move.from_path))
        ]
        for _, row in leaving:
            self._rows.put(row, {}, displaced_key(row["file_id"]))
        displaced = 0
        for move, row in leaving:
            self._open_left_folder(move)
            displaced += self._displace(move.to_path, forget_inode=move.is_other_file)
            self._rows.put(row, place_fields(self._library_id, move.to_path), path_key(move.to_path))
            row.update(missing_since=None, ignored_by=None, updated_at=self._now)
            if folder_of(move.to_path) != folder_of(move.from_path) or move.from_library_id != self._library_id:
                look_for_cover_again(row)
            self._note_move(move)
        return {move.file_id for move, _ in leaving}, displaced

    def _row_at(self, file_id: str, library_id: str, path: str) -> Doc | None:
        """The file, if it is where it is believed to be."""
        row = self._rows.by_id(file_id)
        return row if row is not None and (row["library_id"], row["path"]) == (library_id, escaped(path)) else None

    def _displace(self, path: str, *, forget_inode: bool) -> int:
        """Make room at `path`; 1 if a file that was there is missing from now on."""
        row = self._rows.at(self._library_key, path_key(path))
        if row is None:
            return 0
        was_present = row["missing_since"] is None and row["ignored_by"] is None
        self._rows.put(row, {}, displaced_key(row["file_id"]))
        row["updated_at"] = self._now
        if row["missing_since"] is None:
            row["missing_since"] = self._now
        if forget_inode:
            row["inode"] = 0
        # Playlists mean the file that stands at the path.
        self._displaced_ids.add(row["file_id"])
        if was_present:
            self._note(EventType.MISSING, row["file_id"], path, "overwritten by a moved file")
        return int(was_present)

    def _upsert(self, upserts: Sequence[FileUpsert]) -> tuple[RowOutcome, ...]:
        # Of several for one path the last one is written, and the others changed nothing.
        last = {upsert.path: index for index, upsert in enumerate(upserts)}
        # Before any is added: what is new in this batch takes no id from another.
        known = {path: self._rows.at(self._library_key, path_key(path)) for path in last}
        taken = {
            upsert.file_id for upsert in upserts if known[upsert.path] is None and self._rows.by_id(upsert.file_id)
        }
        return tuple(
            self._upsert_one(upsert, known[upsert.path], upsert.file_id in taken)
            if index == last[upsert.path]
            else RowOutcome.UNCHANGED
            for index, upsert in enumerate(upserts)
        )

    def _upsert_one(self, upsert: FileUpsert, row: Doc | None, is_taken: bool) -> RowOutcome:
        if row is None:
            # A scan of another library may have moved the row away since it was seen at this path.
            file_id = uuid.uuid4().hex if is_taken else upsert.file_id
            self._rows.add(self._new_row(file_id, upsert))
            outcome = RowOutcome.INSERTED
        else:
            file_id = row["file_id"]
            outcome, columns = read_again(row, upsert, self._now)
            row.update(columns)
        if event := EVENT_OF.get(outcome):
            self._note(event, file_id, upsert.path)
        return outcome

    def _new_row(self, file_id: str, upsert: FileUpsert) -> Doc:
        error = escaped_or_none(upsert.tags.error)
        row = new_file(file_id, self._library_id, upsert.path, path_key(upsert.path), upsert.stat)
        return row | {
            "device": upsert.device,
            "tags": "{}" if upsert.tags.tags is None else tags_json(upsert.tags.tags),
            "read_at": upsert.read_at,
            "processing_status": status_after_reading("pending", error, error),
            "last_error": error,
            "due_at": None if error is not None else DUE_NOW,
            "first_seen_at": self._now,
            "updated_at": self._now,
        }

    def _see(self, seen: Sequence[FileSeen]) -> tuple[int, int]:
        restored = refreshed = 0
        for file in {file.file_id: file for file in seen}.values():
            row = self._row_at(file.file_id, self._library_id, file.path)
            # Not a displaced row: it is another file that stands at its path.
            if row is None or row["path_key"].startswith(DISPLACED):
                continue
            if row["missing_since"] is not None or row["ignored_by"] is not None:
                restored += 1
                row.update(missing_since=None, ignored_by=None, updated_at=self._now)
                self._note(EventType.RESTORED, file.file_id, file.path)
            else:
                refreshed += 1
            row.update(_numbers(file.stat), device=file.device)
        return restored, refreshed

    def _set_absent(
        self, column: str, value: object, file_id: str, path: str, event: EventType, evidence: str | None = None
    ) -> int:
        row = self._row_at(file_id, self._library_id, path)
        if row is None or row[column] is not None:
            return 0
        # Of one that was not there any more, those who follow the changes were told.
        if row["missing_since"] is None and row["ignored_by"] is None:
            self._note(event, file_id, path, evidence)
        # A hidden file that is gone is missing, and not hidden any more.
        row.update({"ignored_by": None, column: value, "updated_at": self._now})
        return 1

    # -- sidecars ----------------------------------------------------------------------------------------------

    def _write_sidecars(self) -> tuple[int, int]:
        """How many playlists and images changed."""
        batch = self._batch
        gone_playlists = self._remove_sidecars("playlist")
        gone_images = self._remove_sidecars("image")
        for playlist in batch.playlists:
            self._put_sidecar("playlist", playlist, playlist.lines, playlist.error)
        for image in batch.images:
            self._put_sidecar("image", image)
        self._detach_entries()
        return gone_playlists + len(batch.playlists), gone_images + len(batch.images)

    def _remove_sidecars(self, kind: str) -> int:
        removed = {path for path in self._batch.gone_sidecars if self._known_sidecar(path, kind)}
        for path in removed:
            key = key_of(self._library_id, path)
            self._plan.sidecars[key] = {"key": key, "ins": {"_key": key}, "upd": {"is_gone": True, "is_open": False}}
        return len(removed)

    def _put_sidecar(
        self,
        kind: str,
        sidecar: PlaylistUpsert | ImageUpsert,
        lines: Iterable[PlaylistLine] = (),
        error: str | None = None,
    ) -> None:
        key = key_of(self._library_id, sidecar.path)
        entries = [_entry(line) for line in lines]
        row = {
            **place_fields(self._library_id, sidecar.path),
            **_numbers(sidecar.stat),
            "kind": kind,
            "problem": escaped_or_none(error),
            "entries": entries,
            "is_open": any(entry["path_key"] is not None for entry in entries),
            "is_gone": False,
        }
        self._plan.sidecars[key] = {"key": key, "ins": {"_key": key, **row}, "upd": row}

    def _detach_entries(self) -> None:
        self._plan.entry_ids |= self._displaced_ids
        for key, doc in self._known.sidecars.items():
            if key not in self._plan.sidecars and (changes := detached_entries(doc, self._displaced_ids)):
                self._plan.sidecars[key] = {"key": key, "ins": {"_key": key}, "upd": changes}

    # -- folders -----------------------------------------------------------------------------------------------

    def _write_folders(self) -> None:
        """Folders of which the batch writes a part have no digest until the rest is written.

        If the scan ends before that, the next one compares them again, and knows of them when they are gone by then.
        """
        batch = self._batch
        unfinished = batch.unfinished_folders()
        self._plan.gone_folders = [(self._library_key, path_key(path)) for path in batch.gone_folders]
        opened = {above for path in unfinished for above in folders_above(path)} | unfinished
        # What is gone goes with everything below it, whatever the batch writes there.
        for folder in {path for path in opened if not self._is_gone(path)}:
            self._open_folder(folder, {"is_gone": False, **({"digest": ""} if folder in unfinished else {})})
        # A folder is found through the folders above it, also when only itself was ever looked at.
        for folder in {above for record in batch.folders for above in folders_above(record.path)}:
            if self._is_gone(folder):
                self._put_folder(folder, self._blank_folder(folder))
            else:
                self._open_folder(folder, {"is_gone": False})
        for record in batch.folders:
            row = self._blank_folder(record.path) | {
                "digest": record.digest,
                "scanned_at": self._now,
                "on_other_device": record.disk,
            }
            self._put_folder(record.path, row)

    def _is_gone(self, folder: str) -> bool:
        return not self._gone_folders.isdisjoint((folder, *folders_above(folder)))

    def _open_left_folder(self, move: FileMove) -> None:
        # It may be out of this scan; as long as it has a digest, nobody looks into it.
        folder = folder_of(move.from_path)
        if move.from_library_id == self._library_id and self._is_gone(folder):
            return
        row = blank_folder(move.from_library_id, folder) | {"is_gone": True}
        key = key_of(move.from_library_id, folder)
        self._plan.folders[key] = {"key": key, "ins": {"_key": key, **row}, "upd": {"digest": ""}}

    def _blank_folder(self, path: str) -> Doc:
        return blank_folder(self._library_id, path)

    def _open_folder(self, path: str, changes: Doc) -> None:
        """Insert it without a digest, or only change it."""
        key = key_of(self._library_id, path)
        earlier = self._plan.folders.get(key)
        changes = changes if earlier is None else earlier["upd"] | changes
        self._plan.folders[key] = {"key": key, "ins": {"_key": key, **self._blank_folder(path)}, "upd": changes}

    def _put_folder(self, path: str, row: Doc) -> None:
        key = key_of(self._library_id, path)
        self._plan.folders[key] = {"key": key, "ins": {"_key": key, **row}, "upd": row}

    # -- events ------------------------------------------------------------------------------------------------

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
        self._plan.events.append(
            new_event(self._now, event, self._library_id, file_id, path, evidence=evidence, came_from=came_from)
        )


def new_file(file_id: str, library_id: str, path: str, key: str, stat: FileStat) -> Doc:
    """A file of which nothing else is known; every field of the collection is in it."""
    return {
        "file_id": file_id,
        **place_fields(library_id, path),
        "path_key": key,
        **_numbers(stat),
        "device": 0,
        "tags": "{}",
        "read_at": 0.0,
        "processing_status": "pending",
        "last_error": None,
        "missing_since": None,
        "ignored_by": None,
        "first_seen_at": 0.0,
        "updated_at": 0.0,
        "due_at": None,
        "attempts": 0,
        "wanted_by": None,
        "stored_by": None,
        **enrichment_fields(None),
    }


def is_enriched(row: Doc) -> bool:
    """True if something was found out about the file."""
    return row["hashed_size"] is not None


def look_for_cover_again(row: Doc) -> None:
    """The file has other images beside it now: one of these may be its cover."""
    if is_enriched(row):
        # A ctime that no file has: its hashes still hold, but the file is to be looked into.
        row["hashed_ctime_ns"] = _NO_FILES_CTIME
    has_failed = row["processing_status"] == "error" and row["attempts"] > 0
    # Those that wait already, too: one may be worked on just now, with the image that was there before.
    if row["due_at"] is not None or row["processing_status"] == "complete" or has_failed:
        row["due_at"] = min(row["due_at"] or 0.0, 0.0) - 1.0


def detached_entries(playlist: Doc, file_ids: Iterable[str]) -> Doc:
    """The changes of a playlist whose entries do not mean these files any more; empty for none."""
    lost = set(file_ids)
    if not any(entry["file_id"] in lost for entry in playlist["entries"]):
        return {}
    entries = [entry | {"file_id": None} if entry["file_id"] in lost else entry for entry in playlist["entries"]]
    return {"entries": entries, "is_open": True}


def _entry(line: PlaylistLine) -> Doc:
    return {
        "text": escaped(line.text),
        **entry_target(line.target_library_id, line.target_path),
        "file_id": None,
    }


def entry_target(library_id: str | None, path: str | None) -> Doc:
    """The place that an entry of a playlist means."""
    return {
        "library_id": library_id,
        "library_key": None if library_id is None else key_of(library_id),
        "path": escaped_or_none(path),
        "path_key": None if path is None else path_key(path),
    }


def _numbers(stat: FileStat) -> Doc:
    return stat._asdict()


def blank_folder(library_id: str, path: str) -> Doc:
    """A folder that nobody has looked at; every field of the collection is in it."""
    return {
        "library_id": library_id,
        "library_key": key_of(library_id),
        "path": escaped(path),
        "parent_key": path_key(folder_of(path)) if path else None,
        "within": within(path),
        "digest": "",
        "scanned_at": 0.0,
        "on_other_device": ROOT_DISK,
        "is_gone": False,
    }
