"""Libraries, leases and scan states in SQLite."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Sequence
from dataclasses import replace

from nomarr.helpers.dto.library import (
    Library,
    LibraryState,
    RootIdentity,
    ScanTarget,
    TranscodePolicy,
    WatchMode,
)
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
from nomarr.persistence.embedded.connection import SqliteConnections
from nomarr.persistence.embedded.rows_operations import (
    escaped_or_none,
    held_back_from_json,
    held_back_json,
    report_json,
    targets_from_json,
    targets_json,
    unescaped_or_none,
)

__all__ = ["SqliteLibraries", "require_lease", "require_no_scan"]

_UNCOUNTED = "SELECT *, 0 AS rows_of_all, 0 AS rows_absent, 0 AS rows_missing FROM libraries"
_COUNTED = """
    SELECT l.*,
        (SELECT COUNT(*) FROM library_files f WHERE f.library_id = l.library_id) AS rows_of_all,
        (SELECT COUNT(*) FROM library_files f WHERE f.library_id = l.library_id
            AND (f.missing_since IS NOT NULL OR f.ignored_by IS NOT NULL)) AS rows_absent,
        (SELECT COUNT(*) FROM library_files f WHERE f.library_id = l.library_id
            AND (f.missing_since IS NOT NULL OR f.ignored_by IS NOT NULL)
            AND f.missing_since IS NOT NULL AND f.ignored_by IS NULL) AS rows_missing
    FROM libraries l
"""


class SqliteLibraries:
    """`LibraryStore` on SQLite."""

    def __init__(self, connections: SqliteConnections) -> None:
        self._connections = connections

    def add_library(self, library: Library) -> None:
        def work(db: sqlite3.Connection) -> None:
            try:
                db.execute(
                    "INSERT INTO libraries (library_id, name, root_path, root_path_key, watch_mode, enabled,"
                    " ignore_patterns, transcode_policy) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        library.library_id,
                        escaped(library.name),
                        escaped(library.root_path),
                        path_key(library.root_path),
                        library.watch_mode,
                        library.enabled,
                        json.dumps(library.ignore_patterns),
                        library.transcode_policy,
                    ),
                )
            except sqlite3.IntegrityError as error:
                raise _already_exists(library.name, library.root_path, error) from error

        self._connections.write(work)

    def get_library(self, library_id: str, now: float, *, counted: bool = True) -> Library | None:
        query = _COUNTED if counted else _UNCOUNTED
        rows = self._connections.read(f"{query} WHERE library_id = ?", (library_id,))
        return _library(rows[0], now) if rows else None

    def list_libraries(self, now: float) -> list[Library]:
        libraries = [_library(row, now) for row in self._connections.read(_COUNTED)]
        return sorted(libraries, key=lambda library: library.name)

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
        changes: dict[str, object] = {}
        if name is not None:
            changes["name"] = escaped(name)
        if root_path is not None:
            changes |= {"root_path": escaped(root_path), "root_path_key": path_key(root_path)}
            changes |= {"root_device": None, "root_inode": None, "offline_reason": None}
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

        def work(db: sqlite3.Connection) -> None:
            assignments = ", ".join(f"{column} = ?" for column in changes)
            try:
                db.execute(f"UPDATE libraries SET {assignments} WHERE library_id = ?", (*changes.values(), library_id))
            except sqlite3.IntegrityError as error:
                raise _already_exists(name or library_id, root_path or "", error) from error

        self._connections.write(work)

    def remove_library(self, library_id: str) -> None:
        self._connections.write(lambda db: db.execute("DELETE FROM libraries WHERE library_id = ?", (library_id,)))

    def set_root_identity(self, lease: Lease, identity: RootIdentity, *, now: float | Clock) -> None:
        def work(db: sqlite3.Connection, begun_at: float) -> None:
            require_lease(db, lease, begun_at)
            db.execute(
                "UPDATE libraries SET root_device = ?, root_inode = ? WHERE library_id = ?",
                (identity.device, identity.inode, lease.library_id),
            )

        self._connections.write_by(now, work)

    def set_offline(self, lease: Lease, reason: str | None, *, now: float | Clock) -> None:
        def work(db: sqlite3.Connection, begun_at: float) -> None:
            require_lease(db, lease, begun_at)
            db.execute(
                "UPDATE libraries SET offline_reason = ? WHERE library_id = ?",
                (escaped_or_none(reason), lease.library_id),
            )

        self._connections.write_by(now, work)

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
        def work(db: sqlite3.Connection, begun_at: float) -> Lease | None:
            # By a clock: a scan that had to wait for the end of another one has not begun before it.
            started_at = begun_at if callable(now) else now
            row = db.execute(
                "SELECT scan_id, scan_fence, scan_state FROM libraries WHERE library_id = ?"
                " AND (scan_owner IS NULL OR scan_owner = ? OR scan_expires_at <= ?)",
                (library_id, dead_owner, begun_at),
            ).fetchone()
            if row is None:
                return None
            if row["scan_state"] == ScanRunState.RUNNING:
                db.execute(
                    "UPDATE scan_runs SET state = ?, ended_at = ? WHERE scan_id = ?",
                    (ScanRunState.INTERRUPTED, started_at, row["scan_id"]),
                )
            fence = row["scan_fence"] + 1
            stored_targets = targets_json(targets)
            db.execute(
                "UPDATE libraries SET scan_id = ?, scan_state = ?, scan_owner = ?, scan_expires_at = ?, scan_fence = ?,"
                " scan_targets = ?, queued_targets = '[]', last_scan_started_at = ?, full_scan_in_progress = ?,"
                " full_scan_since = ? WHERE library_id = ?",
                (
                    scan_id,
                    ScanRunState.RUNNING,
                    str(owner),
                    begun_at + lease_seconds,
                    fence,
                    stored_targets,
                    started_at,
                    full_since is not None,
                    full_since,
                    library_id,
                ),
            )
            db.execute(
                "INSERT INTO scan_runs (scan_id, library_id, state, started_at, targets, is_full)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (scan_id, library_id, ScanRunState.RUNNING, started_at, stored_targets, full_since is not None),
            )
            return Lease(library_id, str(owner), fence, started_at)

        return self._connections.write_by(now, work)

    def renew_lease(self, lease: Lease, *, now: float | Clock, lease_seconds: float) -> None:
        def work(db: sqlite3.Connection, begun_at: float) -> None:
            require_lease(db, lease, begun_at)
            db.execute(
                "UPDATE libraries SET scan_expires_at = ? WHERE library_id = ?",
                (begun_at + lease_seconds, lease.library_id),
            )

        self._connections.write_by(now, work)

    def mark_scan_completed(
        self, lease: Lease, state: ScanRunState, *, now: float, report: ScanReport | None, error: str | None = None
    ) -> None:
        def work(db: sqlite3.Connection) -> None:
            row = db.execute(
                "SELECT scan_id FROM libraries WHERE library_id = ? AND scan_owner = ? AND scan_fence = ?",
                (lease.library_id, lease.owner, lease.fence),
            ).fetchone()
            if row is None:
                return
            done = state is ScanRunState.COMPLETED
            # Whatever did not complete keeps its targets: the next scan may take them along.
            db.execute(
                "UPDATE libraries SET scan_state = ?, scan_owner = NULL, scan_expires_at = NULL,"
                " last_scan_at = CASE WHEN ? THEN ? ELSE last_scan_at END,"
                " scan_targets = CASE WHEN ? THEN '[]' ELSE scan_targets END,"
                " full_scan_in_progress = CASE WHEN ? THEN 0 ELSE full_scan_in_progress END,"
                " full_scan_since = CASE WHEN ? THEN NULL ELSE full_scan_since END"
                " WHERE library_id = ?",
                (state, done, now, done, done, done, lease.library_id),
            )
            db.execute(
                "UPDATE scan_runs SET state = ?, ended_at = ?, error = ?, report = ? WHERE scan_id = ?",
                (state, now, escaped_or_none(error), report_json(report), row["scan_id"]),
            )

        self._connections.write(work)

    def get_scan_state(self, library_id: str) -> ScanState | None:
        rows = self._connections.read("SELECT * FROM libraries WHERE library_id = ?", (library_id,))
        return _scan_state(rows[0]) if rows else None

    def check_interrupted_scan(
        self, library_id: str, *, now: float, dead_owner: str | None = None
    ) -> InterruptedScan | None:
        state = self.get_scan_state(library_id)
        if state is None or state.state is not ScanRunState.RUNNING or state.last_scan_started_at is None:
            return None
        if state.owner != dead_owner and (state.expires_at or 0.0) > now:
            return None
        return InterruptedScan(
            scan_id=state.scan_id,
            started_at=state.last_scan_started_at,
            targets=state.targets,
            full_since=state.full_scan_since,
        )

    def set_queued_targets(self, library_id: str, targets: Sequence[ScanTarget]) -> None:
        self._connections.write(
            lambda db: db.execute(
                "UPDATE libraries SET queued_targets = ? WHERE library_id = ?", (targets_json(targets), library_id)
            )
        )

    def set_held_back(self, lease: Lease, losses: HeldBackLosses | None, *, now: float | Clock) -> None:
        def work(db: sqlite3.Connection, begun_at: float) -> None:
            require_lease(db, lease, begun_at)
            db.execute(
                "UPDATE libraries SET held_back = ? WHERE library_id = ?", (held_back_json(losses), lease.library_id)
            )

        self._connections.write_by(now, work)

    def forget_held_back(self, library_id: str, *, now: float | Clock, dead_owners: Collection[str] = ()) -> None:
        def work(db: sqlite3.Connection, begun_at: float) -> None:
            require_no_scan(db, library_id, begun_at, dead_owners)
            db.execute("UPDATE libraries SET held_back = NULL WHERE library_id = ?", (library_id,))

        self._connections.write_by(now, work)


def require_lease(db: sqlite3.Connection, lease: Lease, now: float) -> None:
    """Raises `LeaseLost` unless the lease is still ours and has not run out; call it inside the transaction."""
    row = db.execute(
        "SELECT scan_expires_at FROM libraries WHERE library_id = ? AND scan_owner = ? AND scan_fence = ?",
        (lease.library_id, lease.owner, lease.fence),
    ).fetchone()
    if row is None or row["scan_expires_at"] <= now:
        raise LeaseLost(lease.library_id)


def require_no_scan(db: sqlite3.Connection, library_id: str, now: float, dead_owners: Collection[str]) -> None:
    """Raises `LibraryAlreadyScanning` while a lease of the library holds; call it inside the transaction.

    A scan that starts later finds what the transaction has written.

    Args:
        dead_owners: owners that are known to be dead; their leases do not count.
    """
    row = db.execute(
        "SELECT name, scan_owner, scan_expires_at FROM libraries"
        " WHERE library_id = ? AND scan_owner IS NOT NULL AND scan_expires_at > ?",
        (library_id, now),
    ).fetchone()
    if row is not None and row["scan_owner"] not in dead_owners:
        raise LibraryAlreadyScanning(unescaped(row["name"]), row["scan_owner"], row["scan_expires_at"])


def _already_exists(name: str, root_path: str, error: sqlite3.IntegrityError) -> LibraryAlreadyExists:
    taken = "that name is taken" if "libraries.name" in str(error) else "another library has that folder"
    return LibraryAlreadyExists(name, root_path, taken)


def _library(row: sqlite3.Row, now: float) -> Library:
    """One library; of one whose settings can't be read at least what it is called, and why it stands still."""
    try:
        return replace(
            _without_settings(row, now),
            watch_mode=WatchMode(row["watch_mode"]),
            enabled=bool(row["enabled"]),
            ignore_patterns=_patterns(row["ignore_patterns"]),
            transcode_policy=TranscodePolicy(row["transcode_policy"]),
        )
    except ValueError as error:
        reason = f"its settings can't be read ({error}); set them anew with 'nomarr library edit'"
        return replace(_without_settings(row, now), state=LibraryState.FAILED, enabled=False, offline_reason=reason)


def _patterns(stored: str) -> tuple[str, ...]:
    patterns = json.loads(stored)
    if not isinstance(patterns, list) or not all(isinstance(pattern, str) for pattern in patterns):
        raise ValueError("the ignore patterns are no list of texts")
    return tuple(patterns)


def _without_settings(row: sqlite3.Row, now: float) -> Library:
    identity = None
    if row["root_inode"] is not None:
        identity = RootIdentity(row["root_device"], row["root_inode"])
    return Library(
        library_id=row["library_id"],
        name=unescaped(row["name"]),
        root_path=unescaped(row["root_path"]),
        root_identity=identity,
        state=_library_state(row, now),
        offline_reason=unescaped_or_none(row["offline_reason"]),
        files=row["rows_of_all"] - row["rows_absent"],
        missing=row["rows_missing"],
        last_scan_started_at=row["last_scan_started_at"],
        last_scan_at=row["last_scan_at"],
    )


def _library_state(row: sqlite3.Row, now: float) -> LibraryState:
    if row["scan_state"] is None and row["offline_reason"] is None:
        return LibraryState.NEW
    if row["scan_state"] == ScanRunState.RUNNING:
        return LibraryState.SCANNING if row["scan_expires_at"] > now else LibraryState.INTERRUPTED
    if row["offline_reason"] is not None:
        return LibraryState.OFFLINE
    return _STATE_AFTER[ScanRunState(row["scan_state"])]


_STATE_AFTER = {
    ScanRunState.COMPLETED: LibraryState.READY,
    ScanRunState.CANCELLED: LibraryState.CANCELLED,
    ScanRunState.FAILED: LibraryState.FAILED,
    ScanRunState.INTERRUPTED: LibraryState.INTERRUPTED,
    ScanRunState.OFFLINE: LibraryState.OFFLINE,
}


def _scan_state(row: sqlite3.Row) -> ScanState:
    library_id = row["library_id"]
    return ScanState(
        library_id=library_id,
        state=None if row["scan_state"] is None else ScanRunState(row["scan_state"]),
        owner=row["scan_owner"],
        expires_at=row["scan_expires_at"],
        fence=row["scan_fence"],
        scan_id=row["scan_id"],
        last_scan_started_at=row["last_scan_started_at"],
        last_scan_at=row["last_scan_at"],
        full_scan_in_progress=bool(row["full_scan_in_progress"]),
        full_scan_since=row["full_scan_since"],
        targets=targets_from_json(library_id, row["scan_targets"]),
        queued_targets=targets_from_json(library_id, row["queued_targets"]),
        held_back=held_back_from_json(row["held_back"]),
    )
