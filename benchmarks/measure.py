"""Run commands and say what they took: wall time, processor time, peak memory of the whole process tree."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import threading
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import psutil  # type: ignore[import-untyped]

SAMPLES_PER_SECOND = 50


class BenchmarkError(Exception):
    """A measurement is not possible or not meaningful."""


@dataclass(frozen=True, slots=True)
class Run:
    seconds: float
    cpu_seconds: float
    exit_code: int
    output: str
    errors: str
    peak_rss_bytes: int | None


class PeakMemory:
    """Samples the resident memory of a process and its descendants, summed, while the block runs.

    Pages that processes share are counted once for each of them, so the sum is never too low."""

    def __init__(self, pid: int) -> None:
        self.peak_bytes = 0
        self._root = psutil.Process(pid)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample_until_ended, name="peak-memory")

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()

    def _sample_until_ended(self) -> None:
        while not self._ended.wait(1 / SAMPLES_PER_SECOND):
            self.peak_bytes = max(self.peak_bytes, self._resident_bytes())

    def _resident_bytes(self) -> int:
        try:
            processes = [self._root, *self._root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return 0
        return sum(_rss(process) for process in processes)


def _rss(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def run(
    command: Sequence[str | bytes],
    *,
    cwd: Path,
    environment: Mapping[str, str] | None = None,
    sample_memory: bool = False,
    keep_output: bool = True,
) -> Run:
    """Run a command to its end. Sampling memory costs processor time, so time and memory are measured in runs apart."""
    before = _children_cpu_seconds()
    started = time.perf_counter()
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if keep_output else subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    peak = None
    if sample_memory:
        with PeakMemory(process.pid) as memory:
            output, errors = process.communicate()
        peak = memory.peak_bytes
    else:
        output, errors = process.communicate()
    seconds = time.perf_counter() - started
    cpu_seconds = _children_cpu_seconds() - before
    return Run(seconds, cpu_seconds, process.returncode, os.fsdecode(output or b""), os.fsdecode(errors), peak)


def _children_cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def read_all(folder: Path) -> int:
    """Bring every file of a folder into the page cache; the number of bytes."""
    size = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with open(os.path.join(parent, name), "rb", buffering=0) as file:
                while block := file.read(1 << 20):
                    size += len(block)
    return size


def use_cores(count: int) -> int:
    """Keep this process and all that it starts on that many cores; the number that there are to use."""
    cores = sorted(os.sched_getaffinity(0))[:count]
    os.sched_setaffinity(0, cores)
    return len(cores)


@dataclass(slots=True)
class Samples:
    """Seconds by case ("first scan") and by what was measured ("MPD")."""

    values: dict[tuple[str, str], list[float]] = field(default_factory=lambda: defaultdict(list))

    def add(self, case: str, what: str, seconds: float) -> None:
        self.values[case, what].append(seconds)

    def median(self, case: str, what: str) -> float | None:
        values = self.values.get((case, what))
        return statistics.median(values) if values else None

    def cases(self) -> list[str]:
        return list(dict.fromkeys(case for case, _ in self.values))
