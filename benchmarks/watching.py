"""Measure watching: how soon a new file has its row, what waiting costs, how fast it starts, what a burst takes.

Unlike `bench.py` there is no other program beside it: the limits are the acceptance lines of watching, in seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import statistics
import struct
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
from acceptance import FAIL, Check, judged

from nomarr import Nomarr
from nomarr.helpers.dto.events import EventType
from nomarr.helpers.dto.watching import WatchMessage, WatchMessageType

FOLDERS = 50_000
FILES_PER_SECOND = 10
QUICK_DEBOUNCE = 0.2
LATENCY_P50, LATENCY_P99, LATENCY_DEFAULT = 0.5, 1.0, 4.0
IDLE_SECONDS, IDLE_CPU_SHARE, IDLE_RSS_MB, START_SECONDS = 60, 0.001, 120, 3.0
BURST_FILES, BURST_SCANS = 5_000, 3
TOUCHED_FILES = 60_000

# A WAV file without a single sample.
SILENCE = b"RIFF$\0\0\0WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 8000, 1, 8) + b"data\0\0\0\0"


@dataclass
class Watch:
    """One watched folder, and what its watcher told."""

    nomarr: Nomarr
    library_id: str
    messages: list[WatchMessage] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)

    @property
    def scans(self) -> int:
        return sum(message.type is WatchMessageType.SCAN_STARTED for message in self.messages)

    async def until(self, condition: Callable[[], bool], seconds: float = 300) -> None:
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError(str(self.nomarr.watcher.status()))
            await asyncio.sleep(0.01)

    async def until_equal(self, pause: float) -> float:
        """How long it took until disk and database were equal."""
        since = time.monotonic()
        for _ in range(1000):
            if (await self.nomarr.libraries.verify(self.library_id)).equal:
                return time.monotonic() - since
            await asyncio.sleep(pause)
        raise TimeoutError(str(self.nomarr.watcher.status()))


class watching:
    """`async with watching(folder) as watch:`; inside, the first scan is done unless `ready=False`."""

    def __init__(self, root: Path, *, ready: bool = True, state: Path | None = None, **settings: Any) -> None:
        self._root, self._ready, self._settings = root, ready, settings
        self._temporary = tempfile.TemporaryDirectory(prefix="nomarr-bench-")
        self._state = state or Path(self._temporary.name)

    async def __aenter__(self) -> Watch:
        self._open = Nomarr.open(f"sqlite:///{self._state}/nomarr.db", **self._settings)
        nomarr = await self._open.__aenter__()
        library = await nomarr.libraries.find_or_add_library(self._root)
        watch = Watch(nomarr, library.library_id)
        nomarr.watcher.subscribe(watch.messages.append)
        watch.started = time.monotonic()
        await nomarr.watch_all()
        if self._ready:
            await watch.until(lambda: any(m.type is WatchMessageType.WATCHING for m in watch.messages))
            watch.messages.clear()
        return watch

    async def __aexit__(self, *error: Any) -> None:
        await self._open.__aexit__(*error)
        self._temporary.cleanup()


async def latency(work: Path, files: int, **settings: Any) -> list[float]:
    """Seconds from the close of each new file to its row, at 10 files a second."""
    root = work / "latency"
    root.mkdir()
    written: dict[str, float] = {}
    seconds: list[float] = []
    async with watching(root, **settings) as watch:

        async def listen() -> None:
            # The time of an event is the time of the transaction that wrote the row.
            async with watch.nomarr.events() as feed:
                async for event in feed:
                    if event.type is EventType.CREATED:
                        seconds.append(event.time - written[event.path])
                    if len(seconds) == files:
                        return

        listener = asyncio.create_task(listen())
        for number in range(files):
            name = f"{number % 7}/{number}.wav"
            (root / name).parent.mkdir(exist_ok=True)
            (root / name).write_bytes(SILENCE)
            written[name] = time.time()
            await asyncio.sleep(1 / FILES_PER_SECOND)
        await asyncio.wait_for(listener, 60)
    shutil.rmtree(root)
    return seconds


def watch_and_wait(root: Path, state: Path) -> dict[str, float]:
    """In a process of its own: start, wait, and say what it took."""
    return asyncio.run(_watch_and_wait(root, state))


async def _watch_and_wait(root: Path, state: Path) -> dict[str, float]:
    process = psutil.Process()
    async with watching(root, ready=False, state=state) as watch:
        await watch.until(lambda: watch.nomarr.watcher.status()[0].watched_folders >= FOLDERS)
        started = time.monotonic() - watch.started
        await watch.until(lambda: any(m.type is WatchMessageType.WATCHING for m in watch.messages))
        ready = time.monotonic() - watch.started
        await asyncio.sleep(5)
        before = sum(process.cpu_times()[:2])
        await asyncio.sleep(IDLE_SECONDS)
        share = (sum(process.cpu_times()[:2]) - before) / IDLE_SECONDS
        return {"started": started, "ready": ready, "share": share, "rss": process.memory_info().rss / 1e6}


async def idle(work: Path) -> list[Check]:
    """Twice: with a database that has never seen the folders, and with one that knows them, as after a restart."""
    root, state = work / "idle", work / "idle-state"
    for number in range(FOLDERS):
        (root / str(number // 250) / str(number)).mkdir(parents=True)
    state.mkdir()
    checks = []
    for when in ("first time", "known"):
        with ProcessPoolExecutor(1, get_context("spawn")) as one:
            found = await asyncio.wrap_future(one.submit(watch_and_wait, root, state))
        what = f"{FOLDERS:,} folders, {when}"
        checks += [
            judged("start", f"{what}: watched within {START_SECONDS:g} s", found["started"] <= START_SECONDS,
                   f"{found['started']:.2f} s, the first scan done after {found['ready']:.2f} s"),
            judged("idle", f"{what}: at most {IDLE_CPU_SHARE:.1%} of a core over {IDLE_SECONDS} s",
                   found["share"] <= IDLE_CPU_SHARE, f"{found['share']:.3%}"),
            judged("idle", f"{what}: at most {IDLE_RSS_MB} MB", found["rss"] <= IDLE_RSS_MB, f"{found['rss']:.0f} MB"),
        ]  # fmt: skip
    shutil.rmtree(root)
    return checks


async def burst(work: Path) -> list[Check]:
    source, root = work / "source", work / "burst"
    for number in range(BURST_FILES):
        (source / str(number // 12)).mkdir(parents=True, exist_ok=True)
        (source / str(number // 12) / f"{number}.wav").write_bytes(SILENCE)
    root.mkdir()
    async with watching(root) as watch:
        await asyncio.to_thread(shutil.copytree, source, root / "copy")
        took = await watch.until_equal(0.1)
        await asyncio.sleep(5)
        scans = watch.scans
    shutil.rmtree(source)
    shutil.rmtree(root)
    text = f"{BURST_FILES:,} files copied in at once: all there, at most {BURST_SCANS} scans"
    return [judged("burst", text, scans <= BURST_SCANS, f"{scans} scans, equal {took:.1f} s after the copy")]


async def flood(work: Path) -> list[Check]:
    root = work / "flood"
    for number in range(TOUCHED_FILES):
        (root / str(number // 100)).mkdir(parents=True, exist_ok=True)
        (root / str(number // 100) / f"{number}.wav").write_bytes(b"")
    async with watching(root) as watch:
        touch = await asyncio.create_subprocess_shell(f"find {root} -type f -exec touch {{}} +")
        await touch.wait()
        took = await watch.until_equal(0.5)
        [status] = watch.nomarr.watcher.status()
        scans = watch.scans
    shutil.rmtree(root)
    measured = f"{status.overflows} overflows, {status.rebuilds} rebuilds, {scans} scans, equal after {took:.1f} s"
    return [judged("flood", f"touch of {TOUCHED_FILES:,} files: equal afterwards", took < 120, measured)]


async def measure(work: Path) -> list[Check]:
    quick = sorted(await latency(work, 300, watcher_debounce_seconds=QUICK_DEBOUNCE))
    usual = sorted(await latency(work, 50))
    p50, p99 = statistics.median(quick), quick[int(len(quick) * 0.99)]
    return [
        judged("latency", f"debounce {QUICK_DEBOUNCE:g} s, {FILES_PER_SECOND} files/s: p50 at most {LATENCY_P50:g} s",
               p50 <= LATENCY_P50, f"{p50:.2f} s"),
        judged("latency", f"debounce {QUICK_DEBOUNCE:g} s, {FILES_PER_SECOND} files/s: p99 at most {LATENCY_P99:g} s",
               p99 <= LATENCY_P99, f"{p99:.2f} s"),
        judged("latency", f"defaults: at most {LATENCY_DEFAULT:g} s after the last file",
               usual[0] <= LATENCY_DEFAULT, f"{usual[0]:.2f} s; while files keep coming {usual[-1]:.2f} s"),
        *await burst(work),
        *await flood(work),
        *await idle(work),
    ]  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, help="where the folders are made (default: a temporary folder)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nomarr-watching-", dir=options.work) as work:
        checks = asyncio.run(measure(Path(work)))
    for check in checks:
        print(f"{check.state} {check.line:8} {check.text}: {check.measured}")
    return int(any(check.state == FAIL for check in checks))


if __name__ == "__main__":
    sys.exit(main())
