"""Scans on a server that fails at random calls in every way that it can: they end exact, or stop and go on later."""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support.arango import ArangoDouble
from support.arango.faults import (
    CONFLICT,
    LEADERSHIP_CHANGE,
    LOGIN_REFUSED,
    QUEUE_TIME,
    STALE_REVISION,
    UNAVAILABLE,
    UNIQUE,
    AtRandom,
    Away,
    Fault,
    LostAnswer,
    ResetBefore,
    Stall,
    TruncatedJson,
)
from support.disk import assert_equal, disk_files
from support.music import tone, wait_for_another_timestamp
from support.scans import events, scan

from nomarr import DatabaseError, LeaseLost, Library, LibraryAlreadyScanning, Nomarr, ScanReport

PASSING: tuple[Fault, ...] = (
    *(CONFLICT, UNIQUE, STALE_REVISION, UNAVAILABLE, LEADERSHIP_CHANGE, QUEUE_TIME),
    *(Away(0.01), ResetBefore(), LostAnswer(), Stall(10), TruncatedJson()),
)
"""The stall is far longer than the client waits: what it asked for is done when nobody expects it any more."""
OPTIONS = "?patience_seconds=90&opening_seconds=20&read_seconds="
BATCH = 50
A_FOLDER = 100


@dataclass
class Story:
    """A library on a disk that changes, scanned until nothing is left to find."""

    nomarr: Nomarr
    library: Library
    server: ArangoDouble
    randomness: random.Random
    seq: int = 0
    made: int = 0
    stopped: Counter[str] = field(default_factory=Counter)

    @property
    def root(self) -> Path:
        return Path(self.library.root_path)

    def add(self, count: int) -> Counter[str]:
        for _ in range(count):
            path = self.root / f"{self.made // A_FOLDER:03}" / f"{self.made}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(tone(100 + self.made % 40))
            self.made += 1
        return Counter(created=count)

    def change(self, share: float) -> Counter[str]:
        """Rename, lose, rewrite and add a share of the files each; the events that tell of it."""
        # In a few folders: with so many faults an answer of many pages would hardly ever come whole.
        paths = sorted(disk_files(self.root))[: 10 * A_FOLDER]
        count = int(len(paths) * share)
        some = self.randomness.sample(paths, 3 * count)
        for path in some[:count]:
            os.rename(self.root / path, self.root / f"{path}-renamed.wav")
        for path in some[count : 2 * count]:
            (self.root / path).unlink()
        for path in some[2 * count :]:
            (self.root / path).write_bytes(tone(150 + self.randomness.randrange(50)))
        return Counter(renamed=count, missing=count, modified=count) + self.add(count)

    async def scan_until_it_completes(self) -> ScanReport:
        """A scan that stops has a typed error, and the next one goes on where it was."""
        while True:
            try:
                return await scan(self.nomarr, self.library)
            except (DatabaseError, LeaseLost, LibraryAlreadyScanning) as error:
                self.stopped[type(error).__name__] += 1

    async def look(self, expected: Counter[str]) -> ScanReport:
        """Scan, and compare with the disk and with what the feed told, each change once."""
        wait_for_another_timestamp(self.root.parent)
        report = await self.scan_until_it_completes()
        plan, self.server.faults = self.server.faults, lambda _: None
        await assert_equal(self.nomarr, self.library)
        news = await events(self.nomarr, self.seq)
        assert [event.seq for event in news] == list(range(self.seq + 1, self.seq + 1 + len(news)))
        assert Counter(event.type.value for event in news) == expected
        self.seq = news[-1].seq
        self.server.faults = plan
        return report


@pytest.fixture
def failing_server() -> Iterator[ArangoDouble]:
    with ArangoDouble() as running:
        yield running


async def scan_under_faults(
    server: ArangoDouble,
    folder: Path,
    *,
    files: int,
    faults: tuple[Fault, ...],
    number: int,
    share: float,
    read_seconds: float = 0.5,
) -> Story:
    """Scan a new library of so many files, then change it and scan it again, until so many faults were given."""
    root = folder / "music"
    root.mkdir()
    settings = {"settle_seconds": 0, "tag_workers": 1, "scan_batch_size": BATCH, "data_folder": str(folder / "data")}
    async with Nomarr.open(f"{server.database_url()}{OPTIONS}{read_seconds}", **settings, lease_seconds=60) as nomarr:
        library = await nomarr.libraries.add_library("music", root)
        story = Story(nomarr, library, server, random.Random(7))
        plan = AtRandom(7, faults, share=share, limit=number)
        server.faults = plan
        added = story.add(files)
        report = await story.look(added)
        if not story.stopped:
            assert (report.files_added, report.files_scanned, report.files_failed) == (files, files, 0)
        while plan.given < number:
            expected = story.change(0.02)
            stops = story.stopped.total()
            report = await story.look(expected)
            if story.stopped.total() == stops:
                told = Counter(
                    created=report.files_added,
                    renamed=report.files_moved,
                    missing=report.files_missing,
                    modified=report.files_updated,
                )
                assert told == expected
        server.faults = lambda _: None
        assert nomarr.database.check_integrity() == []
    return story


async def test_a_scan_survives_faults_that_pass(failing_server: ArangoDouble, tmp_path: Path) -> None:
    story = await scan_under_faults(failing_server, tmp_path, files=300, faults=PASSING, number=60, share=0.5)
    assert story.stopped == Counter()


async def test_a_scan_that_is_shut_out_stops_and_goes_on_later(failing_server: ArangoDouble, tmp_path: Path) -> None:
    faults = (*PASSING, LOGIN_REFUSED, LOGIN_REFUSED)
    story = await scan_under_faults(failing_server, tmp_path, files=300, faults=faults, number=60, share=0.4)
    assert story.stopped


@pytest.mark.chaos
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("faults", [PASSING, (*PASSING, LOGIN_REFUSED)], ids=["passing", "all"])
async def test_ten_thousand_files_and_a_thousand_faults(
    failing_server: ArangoDouble, tmp_path: Path, faults: tuple[Fault, ...]
) -> None:
    # The stand-in for a server takes a second to list so many files.
    await scan_under_faults(
        failing_server, tmp_path, files=10_000, faults=faults, number=1000, share=0.75, read_seconds=2
    )
