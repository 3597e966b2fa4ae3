"""Several processes with one database: races for a lease, writing side by side, and death at any moment."""

from __future__ import annotations

import contextlib
import itertools
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from storage_kit import examples, start_scan

from nomarr.helpers.dto.library import Library
from nomarr.helpers.paths_helper import folder_of
from nomarr.persistence.db import Database

PROGRAM = Path(__file__).with_name("writer_process.py")
ROUNDS = 20


class Process:
    """`writer_process.py`, ready to begin."""

    def __init__(self, *arguments: str) -> None:
        self.popen = subprocess.Popen(
            [sys.executable, str(PROGRAM), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def hear(self) -> str:
        assert self.popen.stdout is not None
        line = self.popen.stdout.readline()
        return line.rstrip("\n") if line else f"ended: {self.rest()}"

    def begin(self) -> None:
        assert self.popen.stdin is not None
        self.popen.stdin.write("go\n")
        self.popen.stdin.flush()

    def rest(self) -> str:
        """Wait for its end; what it complained about."""
        _, complaints = self.popen.communicate(timeout=50)
        return complaints

    def kill(self) -> None:
        self.popen.kill()
        self.popen.communicate(timeout=50)


@contextlib.contextmanager
def processes(*commands: tuple[str, ...]) -> Iterator[list[Process]]:
    """All of them ready, and none left at the end."""
    started = [Process(*command) for command in commands]
    try:
        for process in started:
            assert process.hear() == "ready"
        yield started
    finally:
        for process in started:
            process.kill()


def test_exactly_one_of_two_processes_gets_the_lease(database_url: str) -> None:
    libraries = [f"library {number}" for number in range(ROUNDS)]
    with Database.open(database_url) as db:
        for library_id in libraries:
            db.library.add_library(Library(library_id, library_id, f"/{library_id}"))
    with processes(*(("race", database_url, *libraries) for _ in range(2))) as both:
        for _ in libraries:
            for process in both:
                process.begin()
            assert sorted(process.hear() for process in both) == ["1", "busy"]
            assert [process.hear() for process in both] == ["ready", "ready"]
    with Database.open(database_url) as db:
        assert Counter(run.library_id for run in db.scan_runs.list_runs()) == Counter(libraries)


def test_processes_open_a_new_database_at_once(database_url: str) -> None:
    with processes(*(("open", database_url) for _ in range(6))) as all_of_them:
        for process in all_of_them:
            process.begin()
        answers = {process.hear() for process in all_of_them}
    with Database.open(database_url) as db:
        assert answers == {str(db.schema_version())}
        assert db.check_integrity() == []


def test_processes_write_side_by_side(database_url: str) -> None:
    batches, rows = examples(database_url, 60), 40
    with Database.open(database_url) as db:
        scans = [start_scan(db, name) for name in ("one", "two", "three")]
        commands = [
            ("write", database_url, scan.library_id, str(scan.lease.fence), str(batches), str(rows)) for scan in scans
        ]
        with processes(*commands) as writers:
            for process in writers:
                process.begin()
            for process in writers:
                assert process.rest() == ""
                assert process.popen.returncode == 0
        for scan in scans:
            assert db.library_files.count_present(scan.library_id) == batches * rows
        events = db.events.after(0, limit=10**6)
        assert len(events) == len(scans) * batches * rows
        assert [event.seq for event in events] == sorted({event.seq for event in events})
        assert db.check_integrity() == []


def test_whoever_is_killed_leaves_whole_batches(database_url: str) -> None:
    moments = random.Random(20)
    kills = examples(database_url, 20) + 2
    rows = 30
    told: set[str] = set()
    with Database.open(database_url) as db:
        scan = start_scan(db)
    command = ("write", database_url, scan.library_id, str(scan.lease.fence), "0", str(rows))
    for _ in range(kills):
        with processes(command) as [writer]:
            writer.begin()
            told |= {writer.hear() for _ in range(moments.randrange(1, 12))}
            # Dead somewhere within the next batch.
            spin = moments.randrange(20_000)
            for _ in itertools.repeat(None, spin):
                pass
        with Database.open(database_url) as db:
            assert db.check_integrity() == []
            scan.db = db
            sizes = Counter(folder_of(file.path) for file in scan.known())
            assert set(sizes.values()) == {rows}
            assert set(sizes) == scan.folders() - {""}
            assert told <= set(sizes), "a batch that was confirmed is lost"
            assert db.events.last_seq() == len(db.events.after(0, limit=10**6)) == rows * len(sizes)
