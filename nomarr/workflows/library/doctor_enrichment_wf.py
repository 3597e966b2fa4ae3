"""Look at what enrichment needs and how far it is, and say what to do about what is wrong. Nothing is changed."""

from __future__ import annotations

from functools import partial
from typing import Final

from nomarr.components.library.lease_owner_comp import is_certainly_dead
from nomarr.components.media.cover_store_comp import CoverStore
from nomarr.helpers.disk_looks_helper import DiskLooks
from nomarr.helpers.dto.enrichment import DueWork
from nomarr.helpers.dto.files import FileRecord
from nomarr.helpers.dto.scan import LeaseOwner
from nomarr.helpers.exceptions import CoverFolderUnusable, DatabaseError
from nomarr.helpers.paths_helper import readable, strip_control
from nomarr.persistence.db import Database
from nomarr.workflows.library.doctor_wf import LOOK_SECONDS, UNANSWERED_REMEDY, Check, CheckStatus

__all__ = ["check_enrichment_workflow"]

_LITTLE_SPACE: Final = 500_000_000
_SHOWN_FILES: Final = 3
_REMEDY_FOR_COVERS: Final = (
    "give Nomarr the right to write there, or choose another folder with the setting data_folder"
)


def check_enrichment_workflow(db: Database, covers: CoverStore, now: float, looks: DiskLooks) -> list[Check]:
    """The folder of covers, what waits, and what failed. Synchronous: run it in a worker thread.

    Covers on a disk that does not answer cost `LOOK_SECONDS`.
    """
    found = looks.in_time({"covers": partial(_covers, covers)}, LOOK_SECONDS)
    try:
        return [found.get("covers") or _unanswered(covers), *_work(db, now)]
    except DatabaseError as error:
        return [Check("enrichment", CheckStatus.ERROR, str(error), "restore a backup of the database")]


def _work(db: Database, now: float) -> list[Check]:
    due = db.enrichment.due_work(now=now)
    waiting = _waiting(db, due)
    if not due.failed:
        return [waiting]
    return [waiting, _failed(due.failed, db.enrichment.failed_files(limit=_SHOWN_FILES))]


def _covers(covers: CoverStore) -> Check:
    folder = strip_control(str(covers.folder))
    try:
        problem, usage = covers.why_unwritable(), covers.usage()
    except CoverFolderUnusable as error:
        return Check("covers", CheckStatus.ERROR, str(error), _REMEDY_FOR_COVERS)
    if problem is not None:
        return Check("covers", CheckStatus.ERROR, f"can't be kept: {strip_control(problem)}", _REMEDY_FOR_COVERS)
    detail = f"{folder}: {usage.covers:,} stored, {usage.bytes / 1e6:.1f} MB; {usage.free_bytes / 1e9:.1f} GB free"
    if usage.free_bytes < _LITTLE_SPACE:
        return Check("covers", CheckStatus.WARN, detail, "free some space, or move the folder (data_folder)")
    return Check("covers", CheckStatus.OK, detail)


def _unanswered(covers: CoverStore) -> Check:
    detail = f"this disk does not answer: {strip_control(str(covers.folder))}"
    return Check("covers", CheckStatus.ERROR, detail, UNANSWERED_REMEDY)


def _waiting(db: Database, due: DueWork) -> Check:
    holder = db.enrichment.holder()
    if holder is not None and not is_certainly_dead(holder, of_one_machine=db.is_of_one_machine):
        owner = LeaseOwner.parse(holder)
        who = "another process" if owner is None else f"process {owner.pid}"
        return Check("enrichment", CheckStatus.OK, f"{who} works on it now, files that wait: {due.files:,}")
    if not due.files:
        return Check("enrichment", CheckStatus.OK, "no file waits")
    return Check(
        "enrichment",
        CheckStatus.OK,
        f"files that wait: {due.files:,}",
        "'nomarr enrich' works them off, and 'nomarr watch' does so by itself",
    )


def _failed(number: int, first: list[FileRecord]) -> Check:
    told = "; ".join(f"{readable(file.path)}: {strip_control(file.last_error or 'unknown')}" for file in first)
    more = "" if number <= len(first) else f"; and {number - len(first):,} more"
    return Check(
        "failed files",
        CheckStatus.WARN,
        f"files with an error: {number:,}: {told}{more}",
        "'nomarr files LIBRARY' shows all; scan again when they are mended, or try again: nomarr enrich --retry-failed",
    )
