"""What state a library is really in, and why: more than its row tells."""

from __future__ import annotations

from dataclasses import replace

from nomarr.components.library.lease_owner_comp import is_certainly_dead
from nomarr.helpers.dto.library import Library, LibraryState
from nomarr.persistence.db import Database

__all__ = ["with_true_state"]


def with_true_state(db: Database, library: Library) -> Library:
    """A lease whose owner is dead makes no scan, and a scan that failed has left a reason.

    Synchronous: run it in a worker thread. Asks the database only about libraries that are being scanned or failed.
    """
    if library.state is LibraryState.SCANNING:
        return _unless_dead(db, library)
    if library.state is LibraryState.FAILED and library.offline_reason is None:
        return replace(library, failure=_failure(db, library))
    return library


def _unless_dead(db: Database, library: Library) -> Library:
    state = db.library.get_scan_state(library.library_id)
    if state is None or state.owner is None:
        return library
    is_dead = is_certainly_dead(state.owner, of_one_machine=db.is_of_one_machine)
    return replace(library, state=LibraryState.INTERRUPTED) if is_dead else library


def _failure(db: Database, library: Library) -> str:
    runs = db.scan_runs.list_runs(library.library_id, limit=1)
    error = runs[0].error if runs else None
    return f"its last scan failed: {error}" if error else "its last scan failed; the log says why"
