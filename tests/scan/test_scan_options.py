"""Full scans, dry scans, and scans that were interrupted."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from support.backends import dump
from support.disk import assert_equal
from support.music import build, tone, tones, wait_for_another_timestamp
from support.owners import owner_before_the_boot, owner_elsewhere
from support.scans import ids, kept_for, scan

from nomarr import Library, LibraryAlreadyScanning, LibraryState, Nomarr, ScanReport, ScanRunState, ScanTarget
from nomarr.helpers.dto.batches import ScanBatch
from nomarr.helpers.dto.files import FolderRecord
from nomarr.helpers.dto.scan import Lease, LeaseOwner, ScanOptions
from nomarr.services.domain.library_svc import LibraryService, LibrarySettings
from nomarr.workflows.library.doctor_wf import CheckStatus

DEAD = "the scan that died"
TREE = {"Rock": tones(20), "Pop": tones(30, first=200)}


async def scanned(nomarr: Nomarr, root: Path) -> Library:
    wait_for_another_timestamp(root.parent, 0.03)
    library = await nomarr.libraries.add_library("Music", root)
    await scan(nomarr, library)
    wait_for_another_timestamp(root.parent, 0.03)
    return library


def die_while_scanning(nomarr: Nomarr, *targets: ScanTarget, full_since: float | None = None) -> Lease:
    """Begin a scan as a process that is not there any more did."""
    lease = nomarr.database.library.mark_scan_started(
        targets[0].library_id,
        DEAD,
        owner_elsewhere(),
        targets,
        now=time.time() - 50,
        lease_seconds=60,
        full_since=full_since,
    )
    assert lease is not None
    return lease


def die_with_a_clock_ahead(nomarr: Nomarr, library: Library, owner: LeaseOwner) -> None:
    """A scan that ended with its machine, whose clock was two days ahead."""
    lease = nomarr.database.library.mark_scan_started(
        library.library_id,
        uuid.uuid4().hex,
        owner,
        [ScanTarget(library.library_id)],
        now=time.time() + 2 * 86400,
        lease_seconds=60,
    )
    assert lease is not None


async def test_a_lease_from_before_the_boot_holds_up_nobody(tmp_path: Path, music_tree: Callable[..., Path]) -> None:
    async with Nomarr.open(f"sqlite:///{tmp_path / 'x.db'}", settle_seconds=0) as nomarr:
        library = await scanned(nomarr, music_tree(TREE))
        die_with_a_clock_ahead(nomarr, library, owner_before_the_boot())
        assert (await nomarr.libraries.get_library(library.library_id)).state is LibraryState.INTERRUPTED
        assert (await scan(nomarr, library, wait=False)).state is ScanRunState.COMPLETED
        die_with_a_clock_ahead(nomarr, library, owner_before_the_boot())
        assert (await nomarr.libraries.purge_missing(older_than_days=0)).libraries[0].skipped is None
        await nomarr.libraries.remove_library(library.library_id)


async def test_a_lease_that_ends_too_late_and_that_nobody_renews_is_taken_over(
    tmp_path: Path, music_tree: Callable[..., Path]
) -> None:
    async with Nomarr.open(f"sqlite:///{tmp_path / 'x.db'}", settle_seconds=0, lease_seconds=1) as nomarr:
        library = await scanned(nomarr, music_tree(TREE))
        die_with_a_clock_ahead(nomarr, library, owner_elsewhere())
        with pytest.raises(LibraryAlreadyScanning):
            await scan(nomarr, library, wait=False)
        [check] = [check for check in await nomarr.doctor.check_database() if check.name == "library Music"]
        assert (check.status, "being scanned since" in check.detail) == (CheckStatus.WARN, True)
        assert (await scan(nomarr, library)).state is ScanRunState.COMPLETED


def let_lease_run_out(nomarr: Nomarr, lease: Lease) -> None:
    nomarr.database.library.renew_lease(lease, now=time.time() - 50, lease_seconds=1)


async def test_a_full_scan_reads_every_file(nomarr: Nomarr, music_tree: Callable[..., Path]) -> None:
    library = await scanned(nomarr, music_tree(TREE))
    before = await ids(nomarr, library)
    report = await scan(nomarr, library, full=True)
    assert (report.files_processed, report.files_unchanged, report.files_updated) == (50, 50, 0)
    assert report.changes_detected is False
    assert await ids(nomarr, library) == before
    assert (await nomarr.libraries.get_library(library.library_id)).state is not LibraryState.INTERRUPTED
    assert (await scan(nomarr, library)).files_processed == 0


def at_another_time(nomarr: Nomarr, seconds: float) -> LibraryService:
    """The libraries as they are seen by a clock that differs by so much."""
    settings = LibrarySettings(ScanOptions(settle_seconds=0))
    return LibraryService(nomarr.database, nomarr.tasks, kept_for(30.0), settings, lambda: time.time() + seconds)


async def test_a_full_scan_reads_everything_after_one_whose_clock_was_ahead(
    nomarr: Nomarr, music_tree: Callable[..., Path]
) -> None:
    library = await scanned(nomarr, music_tree(TREE))
    ahead = at_another_time(nomarr, 2 * 86400)
    await ahead.scan_targets([ScanTarget(library.library_id)], full=True)
    assert (await scan(nomarr, library, full=True)).files_processed == 50


@pytest.mark.parametrize("seconds", [2 * 86400, -2 * 86400])
async def test_a_full_scan_that_was_interrupted_with_a_wrong_clock_begins_anew(
    nomarr: Nomarr, music_tree: Callable[..., Path], seconds: float
) -> None:
    library = await scanned(nomarr, music_tree(TREE))
    lease = die_while_scanning(nomarr, ScanTarget(library.library_id), full_since=time.time() + seconds)
    let_lease_run_out(nomarr, lease)
    assert (await scan(nomarr, library)).files_processed == 50


async def test_an_interrupted_full_scan_goes_on_where_it_was(nomarr: Nomarr, music_tree: Callable[..., Path]) -> None:
    library = await scanned(nomarr, music_tree(TREE))
    whole = ScanTarget(library.library_id)
    folders = nomarr.database.library_folders.within(whole)
    lease = die_while_scanning(nomarr, whole, full_since=time.time())
    nomarr.database.library_files.upsert_batch(
        lease, ScanBatch(folders=[FolderRecord("Rock", folders["Rock"].digest)]), now=time.time() - 10
    )
    let_lease_run_out(nomarr, lease)
    now = await nomarr.libraries.get_library(library.library_id)
    assert now.state is LibraryState.INTERRUPTED
    report = await scan(nomarr, library, "Rock")
    assert report.files_processed == 50, "everything was looked at before that full scan began"


async def test_a_resumed_full_scan_does_not_read_finished_folders_again(
    nomarr: Nomarr, music_tree: Callable[..., Path]
) -> None:
    library = await scanned(nomarr, music_tree(TREE))
    whole = ScanTarget(library.library_id)
    folders = nomarr.database.library_folders.within(whole)
    since = time.time()
    lease = die_while_scanning(nomarr, whole, full_since=since)
    nomarr.database.library.renew_lease(lease, now=time.time(), lease_seconds=60)
    nomarr.database.library_files.upsert_batch(
        lease, ScanBatch(folders=[FolderRecord("Rock", folders["Rock"].digest)]), now=time.time
    )
    nomarr.database.library.renew_lease(lease, now=time.time() - 100, lease_seconds=1)
    report = await scan(nomarr, library)
    assert report.files_processed == 30
    assert (await scan(nomarr, library)).files_processed == 0
    runs = {run.scan_id: run.state for run in await nomarr.libraries.list_scans(library.library_id)}
    assert runs.pop(DEAD) is ScanRunState.INTERRUPTED
    assert set(runs.values()) == {ScanRunState.COMPLETED}


async def test_the_targets_of_an_interrupted_scan_are_scanned_with_the_next_one(
    nomarr: Nomarr, music_tree: Callable[..., Path]
) -> None:
    root = music_tree(TREE)
    library = await scanned(nomarr, root)
    build(root, {"Rock": {"new.wav": tone(900)}, "Pop": {"new.wav": tone(901)}, "Jazz": {"new.wav": tone(902)}})
    let_lease_run_out(nomarr, die_while_scanning(nomarr, ScanTarget(library.library_id, "Rock")))
    await scan(nomarr, library, "Pop")
    found = await ids(nomarr, library)
    assert {"Rock/new.wav", "Pop/new.wav"} <= set(found)
    assert "Jazz/new.wav" not in found


async def test_an_interrupted_scan_is_left_alone_if_the_policy_says_never(
    database_url: str, music_tree: Callable[..., Path]
) -> None:
    root = music_tree(TREE)
    async with Nomarr.open(database_url, settle_seconds=0, resume_policy="never") as nomarr:
        library = await scanned(nomarr, root)
        build(root, {"Rock": {"new.wav": tone(900)}})
        let_lease_run_out(nomarr, die_while_scanning(nomarr, ScanTarget(library.library_id, "Rock")))
        await scan(nomarr, library, "Pop")
        assert "Rock/new.wav" not in await ids(nomarr, library)


def counters(report: ScanReport) -> dict[str, object]:
    names = [name for name in ScanReport.__slots__ if name.startswith(("files_", "folders_", "playlists_", "images_"))]
    return {name: getattr(report, name) for name in (*names, "changes_detected")}


async def test_a_dry_scan_writes_nothing_and_tells_what_the_real_one_would_do(
    nomarr: Nomarr, music_tree: Callable[..., Path], database_url: str
) -> None:
    root = music_tree({**TREE, "Hide": tones(3, first=400), "Gone": tones(2, first=500), "list.m3u": "Rock/0000.wav\n"})
    os.rename(root / "Rock" / "0019.wav", root.parent / "away.wav")
    library = await scanned(nomarr, root)
    os.rename(root / "Rock" / "0018.wav", root.parent / "back.wav")
    await scan(nomarr, library)

    os.rename(root.parent / "back.wav", root / "Rock" / "0018.wav")
    os.rename(root / "Rock" / "0000.wav", root / "Rock" / "renamed.wav")
    os.rename(root / "Gone", root / "Here")
    (root / "Pop" / "0001.wav").unlink()
    (root / "Pop" / "0002.wav").write_bytes(tone(900))
    build(
        root, {"Hide": {".nomedia": None}, "New": tones(4, first=600), "cover.jpg": b"1", "list.m3u": "Here/0000.wav"}
    )
    wait_for_another_timestamp(root.parent, 0.03)

    before = dump(database_url, leaving_out=())
    dry = await scan(nomarr, library, dry_run=True)
    assert dump(database_url, leaving_out=()) == before
    real = await scan(nomarr, library)
    assert dry.dry_run
    assert not real.dry_run
    assert counters(dry) == counters(real)
    assert dry.batches_written == 0
    assert real.files_moved == 3
    assert (await scan(nomarr, library, dry_run=True)).changes_detected is False


async def test_a_dry_scan_of_a_new_library_counts_its_files(
    nomarr: Nomarr, music_tree: Callable[..., Path], database_url: str
) -> None:
    library = await nomarr.libraries.add_library("Music", music_tree(TREE))
    before = dump(database_url, leaving_out=())
    report = await scan(nomarr, library, dry_run=True)
    assert (report.files_added, report.files_processed, report.batches_written) == (50, 50, 0)
    assert dump(database_url, leaving_out=()) == before
    assert (await nomarr.libraries.get_library(library.library_id)).state is LibraryState.NEW


async def test_a_dry_scan_tells_of_losses_that_would_be_held_back(
    nomarr: Nomarr, music_tree: Callable[..., Path]
) -> None:
    root = music_tree({"Rock": tones(100), "keep.wav": tone(900)})
    library = await scanned(nomarr, root)
    os.rename(root / "Rock", root.parent / "away")
    report = await scan(nomarr, library, dry_run=True)
    assert (report.files_held_back, report.files_missing) == (100, 0)
    report = await scan(nomarr, library, dry_run=True, accept_losses=True)
    assert (report.files_held_back, report.files_missing) == (0, 100)
    os.rename(root.parent / "away", root / "Rock")
    await assert_equal(nomarr, library)
