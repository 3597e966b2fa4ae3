"""The change feed in ArangoDB."""

from __future__ import annotations

from nomarr.helpers.dto.events import ChangeEvent, EventType
from nomarr.helpers.paths_helper import escaped, path_key
from nomarr.persistence.database.connection import ArangoConnection
from nomarr.persistence.database.pieces import remove_all
from nomarr.persistence.database.queries import EVENTS_AFTER, FIRST_KEPT_EVENT, LAST_SEQ, MOVES, PRUNE_EVENTS
from nomarr.persistence.database.rows_operations import Doc, key_of
from nomarr.persistence.rows import escaped_or_none, event_of

__all__ = ["ArangoEvents", "new_event"]


def new_event(
    time: float,
    event: EventType,
    library_id: str,
    file_id: str,
    path: str,
    *,
    evidence: str | None = None,
    came_from: tuple[str, str] | None = None,
) -> Doc:
    """An event to be written; `came_from` is the library and the path where the file was before."""
    old_library_id, old_path = came_from or (None, None)
    return {
        "time": time,
        "type": event,
        "library_id": library_id,
        "library_key": key_of(library_id),
        "file_id": file_id,
        "path": escaped(path),
        "place_key": path_key(path),
        "old_path": escaped_or_none(old_path),
        "evidence": escaped_or_none(evidence),
        "old_library_id": old_library_id,
        "old_library_key": None if old_library_id is None else key_of(old_library_id),
        "is_move": event in (EventType.MOVED, EventType.RENAMED),
    }


class ArangoEvents:
    """`EventStore` on ArangoDB."""

    def __init__(self, connection: ArangoConnection) -> None:
        self._connection = connection

    def after(
        self, seq: int, *, limit: int = 1000, library_id: str | None = None, file_id: str | None = None
    ) -> list[ChangeEvent]:
        library = None if library_id is None else key_of(library_id)
        binds = {"seq": seq, "limit": limit, "library": library, "file_id": file_id}
        return [event_of(row) for row in self._connection.query(EVENTS_AFTER, binds)]

    def moves(self, library_id: str | None = None, *, limit: int = 100) -> list[ChangeEvent]:
        library = None if library_id is None else key_of(library_id)
        return [event_of(row) for row in self._connection.query(MOVES, {"library": library, "limit": limit})]

    def last_seq(self) -> int:
        [seq] = self._connection.query(LAST_SEQ)
        return int(seq)

    def prune(self, *, before: float) -> None:
        [end] = self._connection.query(FIRST_KEPT_EVENT, {"before": before})
        remove_all(self._connection, PRUNE_EVENTS, {"end": end}, after=0)
