"""What another process does with the same database in test_processes.py; told on the command line.

It says `ready` on its standard output and begins when a line arrives on its standard input.
"""

from __future__ import annotations

import itertools
import sys
import uuid

from storage_kit import START, fresh_id, owner, upsert

from nomarr.helpers.dto.batches import ScanBatch
from nomarr.helpers.dto.files import FolderRecord
from nomarr.helpers.dto.library import ScanTarget
from nomarr.helpers.dto.scan import Lease
from nomarr.persistence.db import Database


def main() -> None:
    """`open URL`, `race URL LIBRARY...`, `write URL LIBRARY FENCE BATCHES ROWS`."""
    task, url, *rest = sys.argv[1:]
    if task == "open":
        wait()
        with Database.open(url) as db:
            say(str(db.schema_version()))
        return
    with Database.open(url) as db:
        wait()
        if task == "race":
            race(db, rest)
        else:
            write(db, Lease(rest[0], str(owner()), int(rest[1]), START), int(rest[2]), int(rest[3]))


def wait() -> None:
    say("ready")
    sys.stdin.readline()


def say(text: str) -> None:
    print(text, flush=True)


def race(db: Database, libraries: list[str]) -> None:
    token = uuid.uuid4().hex
    for library_id in libraries:
        lease = db.library.mark_scan_started(
            library_id, fresh_id(), owner(token), [ScanTarget(library_id)], now=START, lease_seconds=60
        )
        say("busy" if lease is None else str(lease.fence))
        wait()


def write(db: Database, lease: Lease, batches: int, rows: int) -> None:
    """Folders named by their number, each with its files, one batch each; endlessly if `batches` is 0."""
    for number in itertools.count() if batches == 0 else range(batches):
        folder = uuid.uuid4().hex
        files = [upsert(f"{folder}/{index}", number=number * rows + index) for index in range(rows)]
        db.library_files.upsert_batch(
            lease, ScanBatch(upserts=files, folders=[FolderRecord(folder, "digest")]), now=START
        )
        say(folder)


if __name__ == "__main__":
    main()
