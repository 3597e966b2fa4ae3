"""Several processes scan one library of a database on a server: one of them does, and a paused one does no harm."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest
from disk_model import Disk, files_on
from process_kit import Scanner, wait_until
from scan_once import Job
from support.backends import Server, create, dump, fresh_name
from test_lease_races import _disk_of

from nomarr.helpers.dto.scan import ScanState
from nomarr.persistence.db import Database

FEW = 560
"""More than are read in threads: worker processes take part."""


@pytest.fixture
def url(arango_server: Server) -> str:
    made = arango_server.database_url(fresh_name())
    create(arango_server, made)
    return made


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "Music"
    folder.mkdir()
    Disk.fill(_disk_of(folder), folder, FEW)
    return folder


def job(url: str, root: Path, **more: Any) -> Job:
    settings = {"settle_seconds": 0, "tag_workers": 2, "data_folder": str(root.parent / "data"), "scan_batch_size": 50}
    return Job(url, [str(root)], settings=settings | more.pop("settings", {}), **more)


def scan(url: str, root: Path) -> dict[str, Any]:
    with Scanner(job(url, root)) as scanner:
        return scanner.reports()[0]


def states(url: str) -> Counter[str]:
    with Database.open(url) as db:
        return Counter(run.state.value for run in db.scan_runs.list_runs())


def scan_state(url: str) -> ScanState:
    with Database.open(url) as db:
        [library] = db.library.list_libraries(time.time())
        state = db.library.get_scan_state(library.library_id)
    assert state is not None
    return state


def assert_equal_to_disk(url: str, root: Path) -> None:
    with Database.open(url) as db:
        [library] = db.library.list_libraries(time.time())
        found = list(db.library_files.records(library.library_id))
        assert db.check_integrity() == []
    disk = {path: (seen.identity.size, seen.identity.inode) for path, seen in files_on(root).items()}
    assert {record.path: (record.size, record.inode) for record in found} == disk
    assert len(found) == len(disk)


def test_of_two_that_start_at_once_one_scans(url: str, root: Path) -> None:
    with Scanner(job(url, root, wait_for_go=True, slow="walking")) as one:
        one.stage("open")
        with Scanner(job(url, root, wait_for_go=True, slow="walking")) as other:
            other.stage("open")
            one.go()
            other.go()
            results = [*one.results(), *other.results()]
    assert [result["error"] for result in results if result["result"] == "error"] == ["LibraryAlreadyScanning"]
    assert states(url) == {"completed": 1}
    assert_equal_to_disk(url, root)


@pytest.mark.parametrize(
    ("stage", "taken_over"),
    [("walking", True), ("reading", False), pytest.param("reading", True, marks=pytest.mark.thorough)],
)
def test_a_holder_paused_beyond_its_lease_writes_nothing_more(
    url: str, root: Path, stage: str, taken_over: bool
) -> None:
    with Scanner(job(url, root, settings={"lease_seconds": 1}, stop_at=stage)) as paused:
        wait_until(lambda: psutil.Process(paused.pid).status() == psutil.STATUS_STOPPED, "it to stop itself")
        expires_at = scan_state(url).expires_at
        assert expires_at is not None
        # A server takes it for no waiting at all if a query came to it within a second.
        wait_until(lambda: time.time() > expires_at + 1.05, "the lease to run out")
        if taken_over:
            # Something new, which the paused scan must not touch either.
            Disk.fill(_disk_of(root), root, 20)
            scan(url, root)
            assert_equal_to_disk(url, root)
        before = dump(url, leaving_out=())
        paused.send(signal.SIGCONT)
        result = paused.results()[0]
        assert (result["result"], result.get("error")) == ("error", "LeaseLost"), result
        assert dump(url, leaving_out=()) == before
        paused.assert_nothing_left()
    assert scan(url, root)["state"] == "completed"
    assert states(url)["interrupted"] == 1
    assert_equal_to_disk(url, root)


def test_the_lease_of_a_killed_owner_is_taken_over_at_once(url: str, root: Path) -> None:
    with Scanner(job(url, root, slow="walking")) as killed:
        killed.stage("walking")
        killed.send(signal.SIGKILL)
        killed.results()
        killed.assert_nothing_left()
    assert (scan_state(url).expires_at or 0) > time.time() + 20
    assert scan(url, root)["state"] == "completed"
    assert states(url) == {"interrupted": 1, "completed": 1}
    assert_equal_to_disk(url, root)


def test_the_password_is_in_no_log_and_no_process_title(url: str, root: Path) -> None:
    secret = urlsplit(url).password
    assert secret
    variables = {"NOMARR_DATABASE_URL": url, "NOMARR_TAG_WORKERS": "2", "NOMARR_DATA_FOLDER": str(root.parent / "data")}
    command = [sys.executable, "-m", "nomarr", "--log-level", "debug", "scan", str(root)]
    with subprocess.Popen(
        command, env=os.environ | variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as program:
        titles: set[str] = set()

        def has_workers() -> bool:
            try:
                members = psutil.Process(program.pid).children(recursive=True)
                titles.update(" ".join(process.cmdline()) for process in [psutil.Process(program.pid), *members])
            except psutil.NoSuchProcess:
                pass
            return program.poll() is not None

        wait_until(has_workers, "the scan to end")
        told, _ = program.communicate(timeout=50)
    assert program.returncode == 0, told
    assert len(titles) > 1, "no worker was seen"
    assert not [title for title in titles if secret in title]
    assert secret not in told


def test_a_password_in_a_command_does_not_stay_in_its_title(url: str, root: Path) -> None:
    secret = urlsplit(url).password
    assert secret
    command = [sys.executable, "-m", "nomarr", "--db", url, "watch", str(root)]
    variables = {"NOMARR_DATA_FOLDER": str(root.parent / "data")}
    with subprocess.Popen(
        command, env=os.environ | variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as program:
        assert program.stdout is not None
        told = [program.stdout.readline()]
        title = " ".join(psutil.Process(program.pid).cmdline())
        program.terminate()
        told += program.stdout
    assert "showed the password" in told[0]
    assert secret not in title
    assert "://***@" in title
    assert str(root) in title
    assert not [line for line in told if secret in line]
