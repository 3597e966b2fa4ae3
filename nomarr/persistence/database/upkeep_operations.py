"""Missing files that are forgotten and moves that are undone."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from nomarr.helpers.dto.events import ChangeEvent, EventType
from nomarr.helpers.dto.files import FileStat
from nomarr.helpers.dto.upkeep import UndoneMove
from nomarr.helpers.exceptions import MoveCannotBeUndone, MoveNotFound
from nomarr.helpers.paths_helper import escaped, path_key, unescaped
from nomarr.helpers.time_helper import Clock
from nomarr.persistence.database.batch_plan import detached_entries, new_file
from nomarr.persistence.database.commit import FileRows, Guard, Known, Plan, commit
from nomarr.persistence.database.connection import ArangoConnection
from nomarr.persistence.database.events_operations import new_event
from nomarr.persistence.database.queries import EVENT_AT, LATER_MOVE, LIBRARY_KEYS, LONG_MISSING
from nomarr.persistence.database.rows_operations import Doc, displaced_key, key_of
from nomarr.persistence.rows import event_of, missing_for

__all__ = ["purge_missing", "undo_move"]

_UNDONE: Final = "move undone"
_NO_NUMBERS: Final = FileStat(0, 0, 0, 0)


def purge_missing(
    connection: ArangoConnection,
    library_id: str,
    before: float,
    now: float | Clock,
    limit: int,
    dead_owners: Collection[str],
    spared: Collection[str],
) -> list[str]:
    """See `FileStore.purge_missing`."""
    rows = connection.query(
        LONG_MISSING, {"library": key_of(library_id), "before": before, "limit": limit, "spared": list(spared)}
    )
    file_ids = [row["file_id"] for row in rows]

    def plan(known: Known) -> tuple[Plan, list[str]]:
        return _purge_plan(library_id, file_ids, before, now() if callable(now) else now, known)

    return commit(connection, Guard.no_scan([library_id], dead_owners), plan, now)


def _purge_plan(
    library_id: str, file_ids: Sequence[str], before: float, now: float, known: Known
) -> tuple[Plan, list[str]]:
    wanted = set(file_ids)
    # A scan may have found one again since they were listed.
    rows = [doc for doc in known.files.values() if doc["file_id"] in wanted and _is_long_missing(doc, before)]
    rows.sort(key=lambda row: file_ids.index(row["file_id"]))
    plan = Plan(file_ids=wanted, entry_ids=wanted, removes_files=True)
    plan.files = [{"key": row["_key"]} for row in rows]
    plan.loose_covers = {row["cover_id"] for row in rows if row["cover_id"] is not None}
    plan.events = [
        new_event(
            now,
            EventType.REMOVED,
            library_id,
            row["file_id"],
            unescaped(row["path"]),
            evidence=missing_for(now - row["missing_since"]),
        )
        for row in rows
    ]
    gone = {row["file_id"] for row in rows}
    for key, playlist in known.sidecars.items():
        if changes := detached_entries(playlist, gone):
            plan.sidecars[key] = {"key": key, "ins": {"_key": key}, "upd": changes}
    return plan, [unescaped(row["path"]) for row in rows]


def _is_long_missing(row: Doc, before: float) -> bool:
    return row["missing_since"] is not None and row["missing_since"] <= before


@dataclass(frozen=True, slots=True)
class _NotedMove:
    """A move as its event tells it."""

    seq: int
    file_id: str
    library_id: str
    path: str
    old_library_id: str
    old_path: str


def undo_move(
    connection: ArangoConnection, seq: int, new_file_id: str, now: float | Clock, dead_owners: Collection[str]
) -> UndoneMove:
    """See `FileStore.undo_move`."""
    move = _noted_move(connection, seq)

    def plan(known: Known) -> tuple[Plan, str | MoveCannotBeUndone | None]:
        return _undo_plan(move, new_file_id, now() if callable(now) else now, known)

    guard = Guard.no_scan({move.library_id, move.old_library_id}, dead_owners)
    new_id = commit(connection, guard, plan, now)
    if isinstance(new_id, MoveCannotBeUndone):
        raise _with_later_move(connection, move)
    return UndoneMove(
        seq=seq,
        file_id=move.file_id,
        library_id=move.old_library_id,
        path=move.old_path,
        new_file_id=new_id,
        new_library_id=move.library_id,
        new_path=move.path,
    )


def _noted_move(connection: ArangoConnection, seq: int) -> _NotedMove:
    rows = connection.query(EVENT_AT, {"seq": seq})
    if not rows or not rows[0]["is_move"]:
        raise MoveNotFound(seq)
    event: ChangeEvent = event_of(rows[0])
    if event.old_library_id is None or event.old_path is None:
        raise MoveCannotBeUndone(seq, "an older version of Nomarr noted it, without the library that it came from")
    involved = [key_of(event.library_id), key_of(event.old_library_id)]
    known = connection.query(LIBRARY_KEYS, {"libraries": involved})
    if involved[1] not in known:
        raise MoveCannotBeUndone(seq, "the library that the file came from was removed")
    move = _NotedMove(seq, event.file_id, event.library_id, event.path, event.old_library_id, event.old_path)
    if involved[0] not in known:
        raise _with_later_move(connection, move)
    return move


def _undo_plan(
    move: _NotedMove, new_file_id: str, now: float, known: Known
) -> tuple[Plan, str | MoveCannotBeUndone | None]:
    rows = FileRows(known.files)
    old_place = (key_of(move.old_library_id), path_key(move.old_path))
    plan = Plan(places={old_place}, file_ids={move.file_id}, entry_ids={move.file_id})
    row = rows.by_id(move.file_id)
    if row is None or (row["library_id"], row["path"]) != (move.library_id, escaped(move.path)):
        return plan, MoveCannotBeUndone(move.seq, _not_there(move))
    # If the other file is gone as well, nobody needs what is known of it.
    new_id = new_file_id if row["missing_since"] is None else None
    is_hidden = row["ignored_by"] is not None
    is_taken = rows.at(*old_place) is not None
    key = displaced_key(move.file_id) if is_taken else old_place[1]
    put_back = new_file(move.file_id, move.old_library_id, move.old_path, key, _NO_NUMBERS) | {
        "missing_since": now,
        "first_seen_at": row["first_seen_at"],
        "updated_at": now,
    }
    if new_id is None:
        if row["cover_id"] is not None:
            plan.loose_covers = {row["cover_id"]}
        rows.put(row, put_back, key)
    else:
        rows.rename(row, new_id)
        row.update(first_seen_at=now, updated_at=now)
        rows.add(put_back)
    plan.files = rows.writes()
    _mean_the_paths(plan, known, move, new_id)
    plan.events = [
        new_event(now, EventType.MISSING, move.old_library_id, move.file_id, move.old_path, evidence=_UNDONE)
    ]
    if new_id is not None and not is_hidden:
        plan.events.append(new_event(now, EventType.CREATED, move.library_id, new_id, move.path, evidence=_UNDONE))
    return plan, new_id


def _mean_the_paths(plan: Plan, known: Known, move: _NotedMove, new_id: str | None) -> None:
    """Entries that mean the old path go on meaning the file that was there; those of the new one mean the new id."""
    place = (key_of(move.library_id), path_key(move.path))
    for key, playlist in known.sidecars.items():
        entries = [
            entry | {"file_id": new_id}
            if entry["file_id"] == move.file_id and (entry["library_key"], entry["path_key"]) == place
            else entry
            for entry in playlist["entries"]
        ]
        if entries != playlist["entries"]:
            changes: dict[str, Any] = {"entries": entries, "is_open": playlist["is_open"] or new_id is None}
            plan.sidecars[key] = {"key": key, "ins": {"_key": key}, "upd": changes}


def _not_there(move: _NotedMove) -> str:
    return f"the file is not at {move.path} any more"


def _with_later_move(connection: ArangoConnection, move: _NotedMove) -> MoveCannotBeUndone:
    """The move that has put the file where it is now; one that was undone has not."""
    later = connection.query(LATER_MOVE, {"file_id": move.file_id, "seq": move.seq})
    seq = next((event["seq"] for event in later if event["is_there"]), None)
    return MoveCannotBeUndone(move.seq, _not_there(move), later_seq=seq)
