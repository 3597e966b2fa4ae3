"""Libraries, leases and scan states in ArangoDB."""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection, Sequence
from typing import Any, Final

from nomarr.helpers.dto.library import Library, RootIdentity, ScanTarget, TranscodePolicy, WatchMode
from nomarr.helpers.dto.scan import (
    HeldBackLosses,
    InterruptedScan,
    Lease,
    LeaseOwner,
    ScanReport,
    ScanRunState,
    ScanState,
)
from nomarr.helpers.exceptions import LeaseLost, LibraryAlreadyExists, LibraryAlreadyScanning
from nomarr.helpers.paths_helper import escaped, path_key, unescaped
from nomarr.helpers.time_helper import Clock
from nomarr.persistence.database.connection import ArangoConnection, ServerRefused
from nomarr.persistence.database.pieces import remove_all
from nomarr.persistence.database.queries import (
    ADD_LIBRARY,
    COUNTED_LIBRARIES,
    FORGET_ARRIVALS,
    FORGET_DEPARTURES,
    FORGET_EVENTS,
    FORGET_HELD_BACK,
    FORGET_REMOVAL,
    LIBRARIES,
    REMOVE_FILES,
    REMOVE_LIBRARY,
    REMOVE_OF_LIBRARY,
    RENEW_LEASE,
    SCAN_COMPLETED,
    SCAN_STARTED,
    UNFINISHED_REMOVALS,
    UPDATE_LEASED,
    UPDATE_LIBRARY,
)
from nomarr.persistence.database.retries import DUPLICATE
from nomarr.persistence.database.rows_operations import Doc, key_of
from nomarr.persistence.rows import (
    escaped_or_none,
    held_back_json,
    interrupted_scan,
    library_of,
    report_json,
    scan_state_of,
    targets_json,
)

__all__ = ["ArangoLibraries"]

_UNCOUNTED: Final = {"rows_of_all": 0, "rows_absent": 0, "rows_missing": 0}
_NEVER_SCANNED: Final[Doc] = {
    "root_device": None,
    "root_inode": None,
    "offline_reason": None,
    "scan_id": None,
    "scan_key": None,
    "scan_state": None,
    "scan_owner": None,
    "scan_expires_at": None,
    "scan_fence": 0,
    "scan_token": None,
    "scan_targets": "[]",
    "queued_targets": "[]",
    "last_scan_started_at": None,
    "last_scan_at": None,
    "full_scan_in_progress": False,
    "full_scan_since": None,
    "held_back": None,
    "last_batch": None,
}


class ArangoLibraries:
    """`LibraryStore` on ArangoDB."""

    def __init__(self, connection: ArangoConnection) -> None:
        self._connection = connection

    def add_library(self, library: Library) -> None:
        row = _NEVER_SCANNED | {
            "_key": key_of(library.library_id),
            "library_id": library.library_id,
            **_name(library.name),
            **_root(library.root_path),
            "watch_mode": library.watch_mode,
            "enabled": library.enabled,
            "ignore_patterns": json.dumps(library.ignore_patterns),
            "transcode_policy": library.transcode_policy,
            "added_by": uuid.uuid4().hex,
        }
        try:
            self._connection.query(ADD_LIBRARY, {"library": row})
        except ServerRefused as error:
            raise _already_exists(library.name, library.root_path, error) from error

    def get_library(self, library_id: str, now: float, *, counted: bool = True) -> Library | None:
        query = COUNTED_LIBRARIES if counted else LIBRARIES
        rows = self._connection.query(query, {"library": key_of(library_id)})
        return self._library(rows[0], now) if rows else None

    def list_libraries(self, now: float, *, counted: bool = True) -> list[Library]:
        rows = self._connection.query(COUNTED_LIBRARIES if counted else LIBRARIES, {"library": None})
        return sorted((self._library(row, now) for row in rows), key=lambda library: library.name)

    def _library(self, row: Doc, now: float) -> Library:
        return library_of(_UNCOUNTED | self._by_our_clock(row), now)

    def _by_our_clock(self, row: Doc) -> Doc:
        expires_at = row["scan_expires_at"]
        return row if expires_at is None else row | {"scan_expires_at": self._connection.latest_time(expires_at)}

    def update_library(
        self,
        library_id: str,
        *,
        name: str | None = None,
        root_path: str | None = None,
        watch_mode: WatchMode | None = None,
        enabled: bool | None = None,
        ignore_patterns: Sequence[str] | None = None,
        transcode_policy: TranscodePolicy | None = None,
    ) -> None:
        changes: Doc = {}
        if name is not None:
            changes |= _name(name)
        if root_path is not None:
            changes |= {**_root(root_path), "root_device": None, "root_inode": None, "offline_reason": None}
        if watch_mode is not None:
            changes["watch_mode"] = watch_mode
        if enabled is not None:
            changes["enabled"] = enabled
        if ignore_patterns is not None:
            changes["ignore_patterns"] = json.dumps(list(ignore_patterns))
        if transcode_policy is not None:
            changes["transcode_policy"] = transcode_policy
        if not changes:
            return
        try:
            self._update(library_id, changes)
        except ServerRefused as error:
            raise _already_exists(name or library_id, root_path or "", error) from error

    def _update(self, library_id: str, changes: Doc) -> None:
        self._connection.query(UPDATE_LIBRARY, {"library": key_of(library_id), "changes": changes})

    def remove_library(self, library_id: str) -> None:
        library, removal = key_of(library_id), _removal_key(library_id)
        self._connection.query(REMOVE_LIBRARY, {"library": library, "library_id": library_id, "key": removal})
        remove_all(self._connection, REMOVE_FILES, {"library": library}, after="")
        for collection in ("library_folders", "library_sidecars", "scan_runs"):
            remove_all(self._connection, REMOVE_OF_LIBRARY, {"library": library, "@collection": collection})
        for forget in (FORGET_EVENTS, FORGET_DEPARTURES, FORGET_ARRIVALS):
            remove_all(self._connection, forget, {"library": library}, after=0)
        self._connection.query(FORGET_REMOVAL, {"key": removal})

    def unfinished_removals(self) -> list[str]:
        return self._connection.query(UNFINISHED_REMOVALS)

    def set_root_identity(self, lease: Lease, identity: RootIdentity, *, now: float | Clock) -> None:
        self._update_leased(lease, {"root_device": identity.device, "root_inode": identity.inode}, now)

    def set_offline(self, lease: Lease, reason: str | None, *, now: float | Clock) -> None:
        self._update_leased(lease, {"offline_reason": escaped_or_none(reason)}, now)

    def set_held_back(self, lease: Lease, losses: HeldBackLosses | None, *, now: float | Clock) -> None:
        self._update_leased(lease, {"held_back": held_back_json(losses)}, now)

    def forget_held_back(self, library_id: str, *, now: float | Clock, dead_owners: Collection[str] = ()) -> None:
        binds = {"library": key_of(library_id), "dead_owners": list(dead_owners)}
        for scanned in self._connection.query(FORGET_HELD_BACK, binds, now=now):
            until = self._connection.latest_time(scanned["expires_at"])
            raise LibraryAlreadyScanning(unescaped(scanned["name"]), scanned["owner"], until)

    def _update_leased(self, lease: Lease, changes: Doc, now: float | Clock) -> None:
        if not self._connection.query(UPDATE_LEASED, {**_proof(lease), "changes": changes}, now=now):
            raise LeaseLost(lease.library_id)

    def mark_scan_started(
        self,
        library_id: str,
        scan_id: str,
        owner: LeaseOwner,
        targets: Sequence[ScanTarget],
        *,
        now: float | Clock,
        lease_seconds: float,
        full_since: float | None = None,
        dead_owner: str | None = None,
    ) -> Lease | None:
        self._connection.measure_clock()
        stored_targets = targets_json(targets)
        run = {
            "_key": key_of(scan_id),
            "scan_id": scan_id,
            "library_id": library_id,
            "library_key": key_of(library_id),
            "state": ScanRunState.RUNNING,
            "ended_at": None,
            "targets": stored_targets,
            "is_full": full_since is not None,
            "error": None,
            "report": None,
        }
        changes = {
            "scan_id": scan_id,
            "scan_key": key_of(scan_id),
            "scan_state": ScanRunState.RUNNING,
            "scan_owner": str(owner),
            "scan_targets": stored_targets,
            "queued_targets": "[]",
            "full_scan_in_progress": full_since is not None,
            "full_scan_since": full_since,
        }
        taken = self._connection.row(
            SCAN_STARTED,
            {
                "library": key_of(library_id),
                "token": uuid.uuid4().hex,
                "dead_owner": dead_owner,
                "lease_seconds": lease_seconds,
                "by_clock": callable(now),
                "skew": self._connection.skew_seconds,
                "run": run,
                "changes": changes,
            },
            now=now,
        )
        if taken["fence"] is None:
            return None
        return Lease(library_id, str(owner), taken["fence"], taken["started_at"])

    def renew_lease(self, lease: Lease, *, now: float | Clock, lease_seconds: float) -> None:
        if not self._connection.query(RENEW_LEASE, {**_proof(lease), "lease_seconds": lease_seconds}, now=now):
            raise LeaseLost(lease.library_id)

    def mark_scan_completed(
        self, lease: Lease, state: ScanRunState, *, now: float, report: ScanReport | None, error: str | None = None
    ) -> None:
        changes: Doc = {"scan_state": state, "scan_owner": None, "scan_expires_at": None}
        # Whatever did not complete keeps its targets: the next scan may take them along.
        if state is ScanRunState.COMPLETED:
            changes |= {
                "last_scan_at": now,
                "scan_targets": "[]",
                "full_scan_in_progress": False,
                "full_scan_since": None,
            }
        run = {"state": state, "ended_at": now, "error": escaped_or_none(error), "report": report_json(report)}
        self._connection.query(SCAN_COMPLETED, {**_proof(lease), "changes": changes, "run": run})

    def get_scan_state(self, library_id: str) -> ScanState | None:
        rows = self._connection.query(LIBRARIES, {"library": key_of(library_id)})
        return scan_state_of(self._by_our_clock(rows[0])) if rows else None

    def check_interrupted_scan(
        self, library_id: str, *, now: float, dead_owner: str | None = None
    ) -> InterruptedScan | None:
        state = self.get_scan_state(library_id)
        return None if state is None else interrupted_scan(state, now, dead_owner)

    def set_queued_targets(self, library_id: str, targets: Sequence[ScanTarget]) -> None:
        self._update(library_id, {"queued_targets": targets_json(targets)})


def _removal_key(library_id: str) -> str:
    """Of the document in `meta` that says that a removal was begun."""
    return f"removal-{key_of(library_id)}"


def _proof(lease: Lease) -> dict[str, Any]:
    return {"library": key_of(lease.library_id), "owner": lease.owner, "fence": lease.fence}


def _name(name: str) -> Doc:
    return {"name": escaped(name), "name_key": path_key(name)}


def _root(root_path: str) -> Doc:
    return {"root_path": escaped(root_path), "root_path_key": path_key(root_path)}


def _already_exists(name: str, root_path: str, error: ServerRefused) -> Exception:
    """What the caller is to be told; the error itself if it says something else."""
    if error.error_code != DUPLICATE:
        return error
    taken = "that name is taken" if "by_name" in error.message else "another library has that folder"
    return LibraryAlreadyExists(name, root_path, taken)
