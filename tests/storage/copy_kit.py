"""Databases that have something of everything, and what two of them have in common."""

from __future__ import annotations

from dataclasses import replace

from storage_kit import (
    START,
    Scan,
    folder,
    fresh_id,
    gone,
    hidden,
    image,
    moved,
    owner,
    playlist,
    seen,
    start_scan,
    store,
    take_lease,
    unreadable,
    upsert,
)

from nomarr.helpers.dto.enrichment import Enrichment, EnrichmentUpdate, ProcessingStatus
from nomarr.helpers.dto.library import RootIdentity, ScanTarget, TranscodePolicy, WatchMode
from nomarr.helpers.dto.scan import HeldBackLosses, ScanReport, ScanRunState
from nomarr.helpers.dto.stored import StoredTable, TableDigest
from nomarr.persistence.db import Database
from nomarr.workflows.library.copy_database_wf import digest_of

ODD = "caf\udce9/\\x41/cafe\u0301"


def digests(db: Database) -> list[TableDigest]:
    return [digest_of(db, table) for table in StoredTable]


def everything(db: Database) -> dict[str, object]:
    """All that can be asked of a database, as its users ask."""
    libraries = db.library.list_libraries(START)
    ids = [library.library_id for library in libraries]
    return {
        "libraries": libraries,
        "states": [db.library.get_scan_state(library_id) for library_id in ids],
        "files": [list(db.library_files.records(one, fingerprints=True)) for one in ids],
        "missing": [list(db.library_files.records(one, missing=True)) for one in ids],
        "rows": {row.file_id: row for one in ids for page in db.library_files.below(one, "") for row in page},
        "folders": [db.library_folders.within(ScanTarget(library_id)) for library_id in ids],
        "playlists": [list(db.library_sidecars.playlists(library_id)) for library_id in ids],
        "sidecars": [sorted(db.library_sidecars.below(library_id, "")) for library_id in ids],
        "runs": db.scan_runs.list_runs(),
        "events": db.events.after(0),
        "last event": db.events.last_seq(),
        "moves": db.events.moves("music"),
        "jobs": sorted(job.file_id for job in db.enrichment.next_jobs(now=START + 1e9, limit=100)),
        "work": db.enrichment.due_work(now=START),
        "loose covers": db.enrichment.loose_covers(limit=10),
        "settings": [db.settings.get(key) for key in ("token", "caf\u00e9")],
    }


def fill(db: Database, *, folders: int = 3) -> None:
    """Two libraries with something of everything that Nomarr knows."""
    _fill_music(db, folders)
    _fill_other(db)
    db.settings.set("token", '"secret"')
    db.settings.set("caf\u00e9", "{}")
    db.enrichment.take_lease(owner(), now=START, lease_seconds=0.0)


def _fill_music(db: Database, folders: int) -> None:
    scan = start_scan(db)
    db.library.set_root_identity(scan.lease, RootIdentity(64, 2), now=scan.now)
    for number in range(folders):
        place = f"{ODD}/{number}"
        scan.write(
            upserts=[upsert(f"{place}/{name}", number=10 * number + name) for name in range(4)],
            folders=[folder(place, f"digest {number}", disk=number << 61)],
            playlists=[playlist(f"{place}/list.m3u", f"{place}/0", "nowhere", None, number=number)],
            images=[image(f"{place}/cover.jpg", number=90 + number)],
        )
    scan.write(upserts=[upsert("broken.mp3", number=77, tags=unreadable("it is \udcff broken"))])
    db.library_sidecars.resolve_entries(scan.lease, now=scan.now)
    files = scan.files()
    first, second, third, fourth = (files[f"{ODD}/0/{number}"] for number in range(4))
    # Displaced, missing, ignored, restored.
    scan.write(moves=[moved(first, second.path)])
    scan.write(gone=[gone(third)], hidden=[hidden(fourth, "*.\udcff")])
    scan.write(seen=[seen(third)])
    # The first cover becomes a loose one.
    _enrich(scan, third.file_id, "a" * 32)
    _enrich(scan, third.file_id, "b" * 32)
    report = replace(ScanReport("one", "music", ScanRunState.COMPLETED), warnings=("odd \u00e9",))
    db.library.set_held_back(scan.lease, HeldBackLosses(5, scan.now, 1), now=scan.now)
    db.library.mark_scan_completed(scan.lease, ScanRunState.COMPLETED, now=scan.now, report=report)
    db.events.prune(before=START + 2)


def _enrich(scan: Scan, file_id: str, cover_id: str) -> None:
    stat = scan.by_id()[file_id].stat
    found = Enrichment(stat, "f" * 32, 4711, None, "c" * 64, "AQAD", 12.25, 180.5, cover_id)
    update = EnrichmentUpdate(file_id, stat, ProcessingStatus.ART_DONE, due_at=START, found=found)
    assert store(scan.db, update)


def _fill_other(db: Database) -> None:
    scan = start_scan(db, "other", now=START + 50, token="two", lease_seconds=10.0)
    scan.write(upserts=[upsert("a")], folders=[folder("")])
    db.library.mark_scan_completed(scan.lease, ScanRunState.FAILED, now=START, report=None, error="disk \udcff away")
    db.library.update_library(
        "other",
        watch_mode=WatchMode.OFF,
        enabled=False,
        ignore_patterns=["*.tmp"],
        transcode_policy=TranscodePolicy.NEW_ID,
    )
    # Interrupted: its lease ran out long ago.
    take_lease(db, "other", scan_id=fresh_id(), now=START + 100, token="dead", full_since=START + 100)
    db.library.set_queued_targets("other", [ScanTarget("other", "b", recursive=False)])
