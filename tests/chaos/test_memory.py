"""How much memory a scan takes, all its processes together."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections import defaultdict
from pathlib import Path

import psutil
import pytest

REPOSITORY = Path(__file__).parents[2]
SAMPLES_PER_SECOND = 50
MEGABYTE = 1e6
WORKERS = 2
"""As on the two cores that the limits were set for."""

PROGRAM = """
import sys, json, time
import anyio
from nomarr import Config, Nomarr

async def scan(database, root, workers):
    phase = None
    def on_progress(progress):
        nonlocal phase
        if progress.phase != phase:
            phase = progress.phase
            print(json.dumps(phase), flush=True)
    async with Nomarr.open(Config(database_url=f"sqlite:///{database}", tag_workers=workers)) as nomarr:
        library = await nomarr.libraries.find_or_add_library(root)
        handle = await nomarr.libraries.start_scan_for_library(library.library_id)
        handle.subscribe(on_progress)
        report = await handle.result()
        print(json.dumps({"files": report.files_added, "seconds": report.duration_seconds}), flush=True)

anyio.run(scan, sys.argv[1], sys.argv[2], int(sys.argv[3]))
"""


class PeaksByPhase:
    """Samples the resident memory of a process and its descendants, and keeps the highest sum of each phase.

    Pages that processes share are counted once for each of them, so the sum is never too low.
    """

    def __init__(self, pid: int) -> None:
        self.phase = "starting"
        self.peaks: dict[str, int] = defaultdict(int)
        self._root = psutil.Process(pid)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample)

    def __enter__(self) -> PeaksByPhase:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._ended.wait(1 / SAMPLES_PER_SECOND):
            self.peaks[self.phase] = max(self.peaks[self.phase], self._resident_bytes())

    def _resident_bytes(self) -> int:
        total = 0
        try:
            for process in [self._root, *self._root.children(recursive=True)]:
                try:
                    total += process.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
        except psutil.NoSuchProcess:
            return 0
        return total


def peaks_of_scan(database: Path, library: Path, times: str) -> tuple[dict[str, float], int]:
    """Peak megabytes of each phase of one scan, and how many files it added."""
    command = [sys.executable, "-c", PROGRAM, str(database), str(library), str(WORKERS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            with PeaksByPhase(process.pid) as memory:
                last: object = None
                for line in process.stdout:
                    last = json.loads(line)
                    if isinstance(last, str):
                        memory.phase = last
            assert process.wait() == 0
        finally:
            process.kill()
    assert isinstance(last, dict), last
    peaks = {phase: round(peak / MEGABYTE, 1) for phase, peak in memory.peaks.items()}
    print(f"\n{times} scan of {last['files']} new files: {last['seconds']:.1f} s, peak MB by phase: {peaks}")
    return peaks, last["files"]


def made_library(tmp_path: Path, ready: str | None, *size: str) -> Path:
    """A library of `benchmarks/make_library.py`; one that was made before is used again."""
    if ready is not None:
        return Path(ready)
    library = tmp_path / "library"
    subprocess.run([sys.executable, "-m", "benchmarks.make_library", *size, str(library)], cwd=REPOSITORY, check=True)
    return library


@pytest.mark.chaos
@pytest.mark.timeout(1800)
def test_a_first_scan_of_20000_files_stays_below_250_megabytes(tmp_path: Path) -> None:
    ready = os.environ.get("NOMARR_CHAOS_LIBRARY")
    library = made_library(tmp_path, ready, "--files", "20000")
    peaks, files = peaks_of_scan(tmp_path / "nomarr.db", library, "first")
    assert files > 15_000
    assert max(peaks.values()) < 250, peaks
    unchanged, _ = peaks_of_scan(tmp_path / "nomarr.db", library, "unchanged")
    assert max(unchanged.values()) < 250, unchanged


@pytest.mark.chaos
@pytest.mark.timeout(7200)
def test_a_first_scan_of_a_million_files_stays_below_500_megabytes(tmp_path: Path) -> None:
    ready = os.environ.get("NOMARR_CHAOS_MILLION")
    library = made_library(tmp_path, ready, "--tiny", "1000000")
    began = time.monotonic()
    peaks, files = peaks_of_scan(tmp_path / "nomarr.db", library, "first")
    print(f"{files / (time.monotonic() - began):.0f} files/s")
    assert files == 1_000_000
    assert max(peaks.values()) < 500, peaks
    unchanged, _ = peaks_of_scan(tmp_path / "nomarr.db", library, "unchanged")
    assert max(unchanged.values()) < 500, unchanged
