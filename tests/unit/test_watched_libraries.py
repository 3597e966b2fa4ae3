"""Which libraries are watched, and how, while others change that."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from support.music import tone
from support.scans import ids
from support.system import Disk, Gate, until

from nomarr import Library, Nomarr
from nomarr.helpers.dto.watching import WatchSettings
from nomarr.services.infrastructure import library_watch_svc
from nomarr.services.infrastructure.file_watcher_svc import FileWatcherService


class Overtaken:
    """The libraries, with somebody who does something just after they were listed."""

    def __init__(self, nomarr: Nomarr) -> None:
        self._libraries = nomarr.libraries
        self.overtake: Callable[[], Awaitable[Any]] | None = None

    async def list_libraries(self, *, counted: bool = True) -> list[Library]:
        listed = await self._libraries.list_libraries(counted=counted)
        if self.overtake is not None:
            overtake, self.overtake = self.overtake, None
            await overtake()
        return listed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._libraries, name)


@pytest.fixture
def libraries(nomarr: Nomarr) -> Overtaken:
    return Overtaken(nomarr)


@pytest.fixture
async def watcher(nomarr: Nomarr, libraries: Overtaken) -> AsyncIterator[FileWatcherService]:
    async with FileWatcherService(libraries, nomarr.tasks) as watcher:
        yield watcher


@pytest.fixture
async def library(nomarr: Nomarr, music_tree: Callable[..., Path]) -> Library:
    return await nomarr.libraries.add_library("Music", music_tree({}))


async def modes(watcher: FileWatcherService) -> list[str]:
    """How libraries are watched, once they are."""
    await until(lambda: all(status.state != "starting" for status in watcher.status()))
    return [status.mode for status in watcher.status()]


@pytest.mark.parametrize(("before", "after", "watched"), [("auto", "off", []), ("off", "poll", ["poll"])])
async def test_a_mode_that_is_switched_meanwhile_wins(
    nomarr: Nomarr,
    libraries: Overtaken,
    watcher: FileWatcherService,
    library: Library,
    before: str,
    after: str,
    watched: list[str],
) -> None:
    await watcher.switch_watch_mode(library.library_id, before)
    await watcher.watch_all()
    await modes(watcher)
    libraries.overtake = lambda: watcher.switch_watch_mode(library.library_id, after)
    await watcher.follow_libraries()
    assert await modes(watcher) == watched


async def test_a_library_that_is_added_meanwhile_is_not_taken_for_a_forgotten_one(
    nomarr: Nomarr, libraries: Overtaken, watcher: FileWatcherService, music_tree: Callable[..., Path]
) -> None:
    async def add_and_watch() -> None:
        added = await nomarr.libraries.add_library("Music", music_tree({}))
        await watcher.start_watching_library(added.library_id)

    libraries.overtake = add_and_watch
    await watcher.follow_libraries()
    assert await modes(watcher) == ["auto"]


async def test_a_library_that_is_forgotten_meanwhile_is_not_watched(
    nomarr: Nomarr, libraries: Overtaken, watcher: FileWatcherService, library: Library
) -> None:
    await watcher.watch_all()
    await modes(watcher)
    libraries.overtake = lambda: nomarr.libraries.remove_library(library.library_id)
    await watcher.follow_libraries()
    assert await modes(watcher) == []


async def test_a_disk_that_does_not_answer_is_asked_by_one_thread(
    watcher: FileWatcherService, library: Library, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library_watch_svc, "_ANSWER_SECONDS", 0.2)
    gate = Gate()
    disk.before_listing(Path(library.root_path), gate.pass_through)
    try:
        await watcher.watch_all()
        await gate.wait_for(1)
        for mode in ("off", "auto") * 5:
            await watcher.switch_watch_mode(library.library_id, mode)
            await anyio.wait_all_tasks_blocked()
        await until(lambda: [status.state for status in watcher.status()] == ["offline"])
        assert [status.reason for status in watcher.status()] == ["its disk does not answer"]
        assert gate.arrived == 1
    finally:
        gate.open()
    await until(lambda: [status.state for status in watcher.status()] == ["watching"])


async def test_a_clock_that_is_set_back_stops_no_watching(
    nomarr: Nomarr, music_tree: Callable[..., Path], tmp_path: Path
) -> None:
    roots = {mode: music_tree({"a.wav": tone(300)}, mode) for mode in ("events", "poll")}
    libraries = {mode: await nomarr.libraries.add_library(mode, root, watch_mode=mode) for mode, root in roots.items()}
    step = [0.0]
    settings = WatchSettings(debounce_seconds=0.3, max_wait_seconds=1.0, poll_seconds=0.5)

    async def follows(mode: str, name: str) -> None:
        (roots[mode] / name).write_bytes(tone(440))
        while name not in await ids(nomarr, libraries[mode]):  # noqa: ASYNC110 (another task makes it true)
            await anyio.sleep(0.05)

    def clock() -> float:
        return time.time() + step[0]

    def is_about_now(moment: float | None) -> bool:
        return moment is not None and abs(moment - clock()) < 60

    async with FileWatcherService(nomarr.libraries, nomarr.tasks, settings, clock=clock) as watcher:
        await watcher.watch_all()
        await modes(watcher)
        for name, seconds in (("before.wav", 0.0), ("back.wav", -36_000.0), ("ahead.wav", 36_000.0)):
            step[0] = seconds
            with anyio.fail_after(10):
                for mode in roots:
                    await follows(mode, name)
        # The scan that found the last file may be about to end.
        await until(lambda: all(is_about_now(status.last_scan_at) for status in watcher.status()))
        for status in watcher.status():
            assert status.next_whole_scan_at == pytest.approx(clock(), abs=settings.reconcile_seconds * 2)
            assert status.mode == "poll" or is_about_now(status.last_event_at)
        roots["events"].rename(tmp_path / "unplugged")
        step[0] = 0.0
        with anyio.fail_after(15):
            await until(lambda: watcher.status()[0].state == "offline")
            step[0] = -36_000.0
            (tmp_path / "unplugged").rename(roots["events"])
            await until(lambda: watcher.status()[0].state == "watching")
