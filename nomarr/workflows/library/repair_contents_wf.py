"""Look for what does not fit together, and repair what can be repaired without a doubt."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TypeVar

import anyio.to_thread

from nomarr.components.media.cover_store_comp import CoverStore
from nomarr.helpers.dto.stored import ContentCheck, FindingKind, StoredTable
from nomarr.helpers.time_helper import Clock
from nomarr.persistence.db import Database
from nomarr.workflows.library.check_contents_wf import ContentChecker
from nomarr.workflows.library.copy_database_wf import ProgressListener
from nomarr.workflows.library.enrichment_lease_wf import enrichment_lease
from nomarr.workflows.library.upkeep_wf import finish_removals

__all__ = ["check_contents_workflow"]

Answer = TypeVar("Answer")


async def check_contents_workflow(
    db: Database,
    covers: CoverStore,
    *,
    clock: Clock,
    repair: bool = False,
    on_progress: ProgressListener = lambda _: None,
) -> ContentCheck:
    """Look at every row and every cover; with `repair` mend what can be mended without a doubt.

    While a scan runs nothing is repaired: what is just being written may look wrong.

    Raises:
        EnrichmentBusy: if something is to be repaired while another process enriches.
        CoverFolderUnusable: if covers can't be looked at or deleted.
    """
    checker = ContentChecker(db, covers, clock(), on_progress)
    if not repair:
        return await _in_thread(checker.check)
    async with enrichment_lease(db, covers, clock) as lease:
        check = await _in_thread(partial(checker.check, nobody_enriches=True))
        if check.in_use:
            return check
        repaired = await _repair(db, checker)
        if FindingKind.COVER_WITHOUT_FILE in checker.kinds:
            lease.leaves_covers = True
            repaired.add(FindingKind.COVER_WITHOUT_FILE)
    if lease.problem is not None:
        raise lease.problem
    return replace(check, findings=checker.findings(repaired))


async def _repair(db: Database, checker: ContentChecker) -> set[FindingKind]:
    repairs: dict[FindingKind, Callable[[], object]] = {
        FindingKind.ROW_WITHOUT_LIBRARY: partial(_remove_orphans, db, checker),
        FindingKind.REMOVAL_UNFINISHED: partial(finish_removals, db),
        FindingKind.EVENT_BEYOND_COUNTER: partial(_count_on, db, checker),
        FindingKind.COVER_MISSING: partial(db.enrichment.look_for_covers_again, checker.missing_covers),
    }
    repaired = checker.kinds & repairs.keys()
    for kind in repaired:
        await _in_thread(repairs[kind])
    return repaired


def _remove_orphans(db: Database, checker: ContentChecker) -> None:
    for library_id in checker.orphaned:
        db.library.remove_library(library_id)


def _count_on(db: Database, checker: ContentChecker) -> None:
    db.rows.put(StoredTable.COUNTERS, [json.dumps({"name": "events", "value": checker.highest_seq})])


async def _in_thread(work: Callable[[], Answer]) -> Answer:
    return await anyio.to_thread.run_sync(work)
