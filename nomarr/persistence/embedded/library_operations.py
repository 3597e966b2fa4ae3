"""Libraries, leases and scan states in SQLite."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from typing import Final

from nomarr.helpers.dto.library import (
    Library,
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
from nomarr.persistence.embedded.connection import SqliteConnections, in_turns
from nomarr.persistence.embedded.events_operations import forget_events_of
from nomarr.persistence.embedded.rows_operations import BEING_REMOVED, REMOVAL, chunks, placeholders
from nomarr.persistence.rows import (
    escaped_or_none,
    held_back_json,
    interrupted_scan,
    library_of,
    report_json,
    scan_state_of,
    targets_json,
)

__all__ = ["SqliteLibraries", "require_lease", "require_no_scan"]

_FILES_REMOVED_AT_ONCE: Final = 5000
"""Half a second. Of a row every index has another page, and each transaction writes its pages anew: with 500 files in
each, to remove 200,000 takes five times as long as in one."""
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
        return library_of(rows[0], now) if rows else None

    def list_libraries(self, now: float, *, counted: bool = True) -> list[Library]:
        rows = self._connections.read(_COUNTED if counted else _UNCOUNTED)
        libraries = [library_of(row, now) for row in rows]
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
        self._connections.write_unlinked(partial(_begin_removal, library_id=library_id))
        for remove in in_turns(self._removals(library_id)):
            self._connections.write(remove)
        self._connections.write(lambda db: db.execute("DELETE FROM settings WHERE key = ?", (REMOVAL + library_id,)))

    def unfinished_removals(self) -> list[str]:
        return [row["value"] for row in self._connections.read(BEING_REMOVED)]

    def _removals(self, library_id: str) -> Iterator[Callable[[sqlite3.Connection], object]]:
        """Of everything that a library had, in pieces."""
        row_ids = self._connections.read_numbers("SELECT row_id FROM library_files WHERE library_id = ?", (library_id,))
        for piece in chunks(row_ids, _FILES_REMOVED_AT_ONCE):
            yield partial(_remove, "library_files", "row_id", tuple(piece), library_id)
        for table, key in (("library_folders", "path"), ("library_sidecars", "path"), ("scan_runs", "scan_id")):
            rows = self._connections.read(f"SELECT {key} FROM {table} WHERE library_id = ?", (library_id,))
            for chunk in chunks([row[0] for row in rows]):
                yield partial(_remove, table, key, tuple(chunk), library_id)
        yield from forget_events_of(self._connections, library_id)

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
        return scan_state_of(rows[0]) if rows else None

    def check_interrupted_scan(
        self, library_id: str, *, now: float, dead_owner: str | None = None
    ) -> InterruptedScan | None:
        state = self.get_scan_state(library_id)
        return None if state is None else interrupted_scan(state, now, dead_owner)

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


def _begin_removal(db: sqlite3.Connection, library_id: str) -> None:
    # First of all, so that a scan that still runs writes nothing more.
    db.execute("DELETE FROM libraries WHERE library_id = ?", (library_id,))
    db.execute(
        "INSERT INTO settings (key, value) VALUES (?, ?) ON CONFLICT (key) DO NOTHING",
        (REMOVAL + library_id, library_id),
    )


def _remove(table: str, key: str, values: tuple[object, ...], library_id: str, db: sqlite3.Connection) -> None:
    # A scan of another library may have moved a file to itself meanwhile.
    db.execute(
        f"DELETE FROM {table} WHERE {key} IN ({placeholders(len(values))}) AND library_id = ?", (*values, library_id)
    )


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
