"""Several processes want to scan one library: one of them does, and a paused one does no harm."""

from __future__ import annotations

import random
import signal
import sqlite3
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from disk_model import Disk, files_on
from process_kit import Scanner, integrity, opened, rows, scan_state, wait_until
from scan_once import Job

STATES = "SELECT state, COUNT(*) AS runs FROM scan_runs GROUP BY state"


def job(database: Path, root: Path, **more: Any) -> Job:
    settings = {"settle_seconds": 0, "tag_workers": 2, **more.pop("settings", {})}
    return Job(str(database), [str(root)], settings=settings, **more)


def scan(database: Path, root: Path, **more: Any) -> dict[str, Any]:
    with Scanner(job(database, root, **more)) as scanner:
        return scanner.reports()[0]


def states(database: Path) -> dict[str, int]:
    return {row["state"]: row["runs"] for row in rows(database, STATES)}


def content(database: Path) -> dict[str, list[dict[str, Any]]]:
    """Everything that a scan writes."""
    tables = ("library_files", "library_folders", "library_sidecars", "events", "scan_runs", "libraries")
    return {table: rows(database, f"SELECT * FROM {table}") for table in tables}


def assert_equal_to_disk(database: Path, root: Path) -> None:
    found = rows(database, "SELECT path, size, inode FROM library_files WHERE missing_since IS NULL")
    disk = {path: (seen.identity.size, seen.identity.inode) for path, seen in files_on(root).items()}
    assert {row["path"]: (row["size"], row["inode"]) for row in found} == disk
    assert len(found) == len(disk)
    assert integrity(database) == []


def expire(database: Path, root: Path) -> None:
    """Wait until the stored lease has run out by the clock."""
    expires_at = scan_state(database, root)["scan_expires_at"]
    wait_until(lambda: time.time() > expires_at + 0.05, "the lease to run out")


def test_of_two_that_start_at_once_one_scans(database: Path, root: Path) -> None:
    with Scanner(job(database, root, wait_for_go=True, slow="walking")) as one:
        one.stage("open")
        with Scanner(job(database, root, wait_for_go=True, slow="walking")) as other:
            other.stage("open")
            one.go()
            other.go()
            results = [*one.results(), *other.results()]
    refused = [result for result in results if result["result"] == "error"]
    assert [result["error"] for result in refused] == ["LibraryAlreadyScanning"]
    assert sum(isinstance(result["result"], dict) for result in results) == 1
    assert states(database) == {"completed": 1}
    assert_equal_to_disk(database, root)


@pytest.mark.parametrize("stage", ["walking", "settling"])
def test_one_that_comes_later_is_refused(database: Path, root: Path, stage: str) -> None:
    with Scanner(job(database, root, slow=stage, settings={"settle_seconds": 2})) as holder:
        holder.stage("open")
        with Scanner(job(database, root, wait_for_go=True)) as other:
            other.stage("open")
            holder.stage(stage)
            other.go()
            assert other.fact(result="error")["error"] == "LibraryAlreadyScanning"
        assert holder.reports()[0]["state"] == "completed"
    assert_equal_to_disk(database, root)


def test_one_that_may_wait_scans_afterwards(database: Path, root: Path) -> None:
    with Scanner(job(database, root, slow="walking")) as holder:
        holder.stage("walking")
        with Scanner(job(database, root, wait=True)) as other:
            assert holder.reports()[0]["files_processed"] == 1500
            assert other.reports()[0]["files_processed"] == 0
    assert states(database) == {"completed": 2}
    runs = rows(database, "SELECT started_at, ended_at FROM scan_runs ORDER BY started_at")
    assert runs[0]["ended_at"] <= runs[1]["started_at"]
    assert_equal_to_disk(database, root)


def pause_between_transactions(scanner: Scanner, database: Path) -> None:
    """Stop it while it holds no lock: a transaction that is open when the pause begins is still its own."""

    def is_paused() -> bool:
        scanner.send(signal.SIGSTOP)
        wait_until(lambda: psutil.Process(scanner.pid).status() == psutil.STATUS_STOPPED, "it to stop")
        with opened(database) as db:
            db.execute("PRAGMA busy_timeout = 0")
            try:
                db.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                scanner.send(signal.SIGCONT)
                return False
            db.execute("ROLLBACK")
        return True

    wait_until(is_paused, "a moment between two transactions")


@pytest.mark.parametrize(
    ("stage", "taken_over"),
    [
        ("walking", True),
        ("walking", False),
        ("reading", True),
        ("reading", False),
        ("settling", True),
        ("settling", False),
        ("before a write", True),
        ("before a write", False),
    ],
)
def test_a_holder_paused_beyond_its_lease_writes_nothing_more(
    database: Path, root: Path, stage: str, taken_over: bool
) -> None:
    settings = {"lease_seconds": 1, "settle_seconds": 3 if stage == "settling" else 0}
    stop_at = 6 if stage == "before a write" else None
    slow = "walking" if stage == "walking" else None
    with Scanner(job(database, root, settings=settings, slow=slow, stop_at_transaction=stop_at)) as paused:
        paused.stage(stage)
        if stop_at is not None:
            # It stops itself, just after it has told so; stopped by us before that, it would stop once more later.
            wait_until(lambda: psutil.Process(paused.pid).status() == psutil.STATUS_STOPPED, "it to stop itself")
        pause_between_transactions(paused, database)
        expire(database, root)
        if taken_over:
            # Something new, which the paused scan must not touch either.
            Disk.fill(_disk_of(root), root, 20)
            scan(database, root)
            assert_equal_to_disk(database, root)
        before = content(database)
        paused.send(signal.SIGCONT)
        result = paused.results()[0]
        assert (result["result"], result.get("error")) == ("error", "LeaseLost"), result
        assert content(database) == before
        paused.assert_nothing_left()
    assert scan(database, root)["state"] == "completed"
    assert states(database)["interrupted"] == 1
    assert_equal_to_disk(database, root)


def _disk_of(root: Path) -> Disk:
    disk = Disk([], random.Random(2))
    disk.roots.append(root)
    return disk


def test_a_holder_paused_for_less_than_its_lease_goes_on(database: Path, root: Path) -> None:
    with Scanner(job(database, root, slow="walking")) as holder:
        holder.stage("walking")
        holder.send(signal.SIGSTOP)
        with Scanner(job(database, root)) as other:
            assert other.fact(result="error")["error"] == "LibraryAlreadyScanning"
        holder.send(signal.SIGCONT)
        assert holder.reports()[0]["state"] == "completed"
    assert_equal_to_disk(database, root)


@pytest.mark.parametrize("stage", ["walking", "writing"])
def test_the_lease_of_a_killed_owner_is_taken_over_at_once(database: Path, root: Path, stage: str) -> None:
    with Scanner(job(database, root, slow=stage)) as killed:
        killed.stage(stage)
        killed.send(signal.SIGKILL)
        killed.results()
        killed.assert_nothing_left()
    assert scan_state(database, root)["scan_expires_at"] > time.time() + 20
    assert scan(database, root)["state"] == "completed"
    assert states(database) == {"interrupted": 1, "completed": 1}
    assert_equal_to_disk(database, root)


@pytest.mark.parametrize("owner", ["another-host/boot/pid:[1]|1|1|token", "what no version of ours would write"])
def test_an_owner_that_may_live_elsewhere_keeps_its_lease_until_it_runs_out(
    database: Path, root: Path, owner: str
) -> None:
    scan(database, root)
    with opened(database) as db:
        db.execute(
            "UPDATE libraries SET scan_state = 'running', scan_owner = ?, scan_expires_at = ?, scan_targets = ?",
            (owner, time.time() + 4, '[["", true]]'),
        )
    with Scanner(job(database, root)) as refused:
        assert refused.fact(result="error")["error"] == "LibraryAlreadyScanning"
    expires_at = scan_state(database, root)["scan_expires_at"]
    assert scan(database, root, wait=True)["state"] == "completed"
    assert scan_state(database, root)["last_scan_started_at"] >= expires_at
    assert_equal_to_disk(database, root)
