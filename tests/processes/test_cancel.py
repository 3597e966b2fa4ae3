"""A scan is cancelled, at every stage and in every way: soon, cleanly, and the next one is right."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from process_kit import Scanner, integrity, rows, scan_state
from scan_once import Job
from support.patience import promised
from test_lease_races import assert_equal_to_disk, job, scan, states

STAGES = ["walking", "reading", "writing", "settling"]
WITHIN_SECONDS = promised(1)


def slow_job(database: Path, root: Path, stage: str, **more: str) -> Job:
    settings = {"settle_seconds": 5 if stage == "settling" else 0}
    return job(database, root, settings=settings, slow=stage, **more)


def assert_cancelled(database: Path, root: Path, scanner: Scanner, since: float) -> None:
    assert scanner.process.returncode == 0, scanner.errors
    assert scanner.facts[-1]["time"] - since < WITHIN_SECONDS
    scanner.assert_nothing_left()
    state = scan_state(database, root)
    assert (state["scan_state"], state["scan_owner"]) == ("cancelled", None)
    assert states(database) == {"cancelled": 1}
    assert integrity(database) == []
    written = rows(database, "SELECT COUNT(*) AS files FROM library_files")[0]["files"]
    report = scan(database, root)
    assert report["state"] == "completed"
    assert report["files_processed"] == 1500 - written
    assert states(database) == {"cancelled": 1, "completed": 1}
    assert_equal_to_disk(database, root)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("how", ["handle", "task"])
def test_cancelled_in_the_program(database: Path, root: Path, stage: str, how: str) -> None:
    with Scanner(slow_job(database, root, stage, cancel_at=stage, cancel_how=how)) as scanner:
        result = scanner.results()[0]["result"]
        assert scanner.process.returncode == 0, scanner.errors
        assert result == ("cancelled" if how == "handle" else "cancelled by its task")
        assert_cancelled(database, root, scanner, scanner.stage("cancel")["time"])


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_cancelled_by_a_signal(database: Path, root: Path, stage: str, number: signal.Signals) -> None:
    with Scanner(slow_job(database, root, stage)) as scanner:
        scanner.stage(stage)
        since = scanner.send(number)
        scanner.results()
        assert "Traceback" not in scanner.errors
        assert_cancelled(database, root, scanner, since)


@pytest.mark.parametrize("stage", STAGES)
def test_interrupted_from_a_terminal(database: Path, root: Path, stage: str) -> None:
    """Ctrl-C reaches the worker processes too."""
    with Scanner(slow_job(database, root, stage)) as scanner:
        since = scanner.stage(stage)["time"]
        os.killpg(scanner.pid, signal.SIGINT)
        scanner.results()
        assert_cancelled(database, root, scanner, since)
