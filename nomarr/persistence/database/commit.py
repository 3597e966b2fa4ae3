"""Plan in memory, write in one query: rows, folders, sidecars and events together, or nothing.

A plan is made from what is known of the rows that it touches; at first that is nothing. The server writes it only if
these rows are what was known; otherwise it tells them, and the plan is made again. So a batch of new files is one
request, one of known files two, and two processes that touch the same rows can not both write.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from nomarr.helpers.dto.scan import Lease
from nomarr.helpers.exceptions import DatabaseError, DatabaseNotReachable, LeaseLost, LibraryAlreadyScanning
from nomarr.helpers.paths_helper import unescaped
from nomarr.helpers.time_helper import Clock
from nomarr.persistence.database.connection import ArangoConnection, ServerRefused
from nomarr.persistence.database.queries import COMMIT, PURGE
from nomarr.persistence.database.retries import DUPLICATE
from nomarr.persistence.database.rows_operations import Doc, key_of, waits_for

__all__ = ["FileRows", "Guard", "Known", "Plan", "commit"]

Result = TypeVar("Result")

_PLANS: Final = 50
"""Each further one means that another process has written the same rows meanwhile."""


@dataclass(frozen=True, slots=True)
class Guard:
    """What has to hold while something is written: a lease, or that nobody scans these libraries."""

    libraries: tuple[str, ...]
    lease: Lease | None = None
    dead_owners: tuple[str, ...] = ()

    @classmethod
    def of_lease(cls, lease: Lease) -> Guard:
        """The lease holds."""
        return cls((lease.library_id,), lease)

    @classmethod
    def no_scan(cls, libraries: Collection[str], dead_owners: Collection[str]) -> Guard:
        """No scan of the libraries runs; leases of dead owners do not count."""
        return cls(tuple(libraries), None, tuple(dead_owners))

    def binds(self) -> Doc:
        """For the query."""
        return {
            "libraries": [key_of(library_id) for library_id in self.libraries],
            "owner": None if self.lease is None else self.lease.owner,
            "fence": None if self.lease is None else self.lease.fence,
            "dead_owners": list(self.dead_owners),
        }

    def require(self, answer: Mapping[str, Any]) -> None:
        """Raises what the answer means if it did not hold."""
        if answer["is_written"] or answer["is_allowed"]:
            return
        if self.lease is not None:
            raise LeaseLost(self.lease.library_id)
        if answer["refused"]:
            refused = answer["refused"][0]
            raise LibraryAlreadyScanning(unescaped(refused["name"]), refused["owner"], refused["expires_at"])
        # Nothing of a library that was removed is left to write.


@dataclass(frozen=True, slots=True)
class Known:
    """Documents as the server told them, by key."""

    files: Mapping[str, Doc] = field(default_factory=dict)
    sidecars: Mapping[str, Doc] = field(default_factory=dict)

    @property
    def revisions(self) -> list[str]:
        """What the server compares."""
        return [doc["_rev"] for docs in (self.files, self.sidecars) for doc in docs.values()]


@dataclass(slots=True)
class Plan:
    """What is to be written, and which rows have to be known for it."""

    places: set[tuple[str, str]] = field(default_factory=set)
    """Library key and path key of files that stand there."""
    file_ids: set[str] = field(default_factory=set)
    sidecar_keys: set[str] = field(default_factory=set)
    entry_ids: set[str] = field(default_factory=set)
    """Files whose playlists have to be known."""
    files: list[Doc] = field(default_factory=list)
    folders: dict[str, Doc] = field(default_factory=dict)
    gone_folders: list[tuple[str, str]] = field(default_factory=list)
    sidecars: dict[str, Doc] = field(default_factory=dict)
    events: list[Doc] = field(default_factory=list)
    loose_covers: set[str] = field(default_factory=set)
    removes_files: bool = False
    """The keys in `files` are of rows to be removed."""

    def binds(self) -> Doc:
        """For the query."""
        return {
            "places": sorted(self.places),
            "file_ids": sorted(self.file_ids),
            "sidecar_keys": sorted(self.sidecar_keys),
            "entry_ids": sorted(self.entry_ids),
            "files": self.files,
            "folders": list(self.folders.values()),
            "gone_folders": self.gone_folders,
            "sidecars": list(self.sidecars.values()),
            "events": [{"number": number, "event": event} for number, event in enumerate(self.events, 1)],
            "loose_covers": sorted(self.loose_covers),
        }


def commit(
    connection: ArangoConnection,
    guard: Guard,
    make_plan: Callable[[Known], tuple[Plan, Result]],
    now: float | Clock,
) -> Result:
    """Write what `make_plan` makes of the rows that are there; what it says came of it.

    Raises:
        LeaseLost, LibraryAlreadyScanning: if the guard does not hold; nothing is written then.
    """
    known, batch = Known(), uuid.uuid4().hex
    plan, result = make_plan(known)
    for _ in range(_PLANS):
        binds = {**guard.binds(), **plan.binds(), "batch": batch, "revisions": known.revisions}
        try:
            answer = connection.row(PURGE if plan.removes_files else COMMIT, binds, now=now)
        except ServerRefused as error:
            # Somebody else has put a file at the same path between the snapshot and the write. The same plan again
            # is told of it, or, if an answer was lost before, that it was written.
            if error.error_code != DUPLICATE:
                raise
            continue
        guard.require(answer)
        if answer["is_written"] or not answer["is_allowed"]:
            return result
        known, batch = Known(_by_key(answer["files"]), _by_key(answer["sidecars"])), uuid.uuid4().hex
        plan, result = make_plan(known)
    raise DatabaseNotReachable(f"others write the same rows of {connection.location} all the time; try again later")


def _by_key(docs: list[Doc]) -> dict[str, Doc]:
    return {doc["_key"]: doc for doc in docs}


class FileRows:
    """The files that a plan touches: changed in memory, and told as what has to be written.

    A unique place is never handed from one document to another inside of a query: whoever comes to an occupied place
    is written into the document that has it. So files can be swapped in one statement.
    """

    def __init__(self, known: Mapping[str, Doc]) -> None:
        self._before = known
        self._rows = {key: dict(doc) for key, doc in known.items()}
        self._new: list[Doc] = []
        self._by_id = {row["file_id"]: row for row in self._rows.values()}
        self._by_place = {(row["library_key"], row["path_key"]): row for row in self._rows.values()}

    def all(self) -> list[Doc]:
        """Every row, also those that are new."""
        return [*self._rows.values(), *self._new]

    def by_id(self, file_id: str) -> Doc | None:
        """The file of this id."""
        return self._by_id.get(file_id)

    def at(self, library_key: str, path_key: str) -> Doc | None:
        """The file that stands there."""
        return self._by_place.get((library_key, path_key))

    def add(self, row: Doc) -> None:
        """A file that no document has yet; one id is one file's."""
        if row["file_id"] in self._by_id:
            raise DatabaseError(f"two files can't have the id {row['file_id']}: one already has that id")
        self._new.append(row)
        self._by_id[row["file_id"]] = row
        self._by_place[row["library_key"], row["path_key"]] = row

    def put(self, row: Doc, place: Doc, path_key: str) -> None:
        """Give a file another place."""
        if self._by_place.get((row["library_key"], row["path_key"])) is row:
            del self._by_place[row["library_key"], row["path_key"]]
        row.update(place, path_key=path_key)
        self._by_place[row["library_key"], path_key] = row

    def rename(self, row: Doc, file_id: str) -> None:
        """Give a file another id."""
        del self._by_id[row["file_id"]]
        row["file_id"] = file_id
        self._by_id[file_id] = row

    def writes(self) -> list[Doc]:
        """Documents to be inserted or updated."""
        for row in self.all():
            row["waits_for"] = waits_for(row["processing_status"], row["due_at"])
        changed = {key: row for key, row in self._rows.items() if row != self._before[key]}
        key_at = {(doc["library_key"], doc["path_key"]): key for key, doc in self._before.items()}
        written: dict[str, Doc] = {}
        homeless: list[tuple[str | None, Doc]] = []
        for own_key, row in [*changed.items(), *((None, row) for row in self._new)]:
            key = key_at.get((row["library_key"], row["path_key"]))
            if key is None:
                homeless.append((own_key, row))
            else:
                written[key] = row
        for own_key, row in [entry for entry in homeless if entry[0] is not None and entry[0] not in written]:
            assert own_key is not None
            written[own_key] = row
        placed = {id(row) for row in written.values()}
        free = [key for key in changed if key not in written]
        for _, row in homeless:
            if id(row) not in placed:
                written[free.pop() if free else uuid.uuid4().hex] = row
        return [self._write(key, row) for key, row in written.items()]

    def _write(self, key: str, row: Doc) -> Doc:
        whole = {name: value for name, value in row.items() if name not in ("_id", "_key", "_rev")}
        before = self._before.get(key, {})
        changed = {name: value for name, value in whole.items() if name not in before or before[name] != value}
        return {"key": key, "ins": {"_key": key, **whole} if not before else {"_key": key}, "upd": changed}
