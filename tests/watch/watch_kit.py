"""A library that is watched, and the one question of all these tests: does the database equal the disk?"""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
from support.disk import as_known, disk_files
from support.scans import ids, present, scan

from nomarr import Library, Nomarr
from nomarr.helpers.dto.watching import WatcherState, WatchMessage, WatchMessageType, WatchStatus

SECONDS = 5.0
"""How soon the database equals the disk (watching.md), on a machine that does nothing else."""

PATIENCE = 4 * SECONDS
"""How long tests wait for it: machines that run tests are busy."""


class Watched:
    """An open Nomarr that watches one library."""

    def __init__(self, nomarr: Nomarr, library: Library) -> None:
        self.nomarr = nomarr
        self.library = library
        self.root = Path(library.root_path)
        self.messages: list[WatchMessage] = []
        nomarr.watcher.subscribe(self.messages.append)

    @property
    def status(self) -> WatchStatus:
        [status] = self.nomarr.watcher.status()
        return status

    @property
    def scans(self) -> int:
        """How many scans were begun since `forget`."""
        return sum(message.type is WatchMessageType.SCAN_STARTED for message in self.messages)

    @property
    def whole_scans(self) -> int:
        """Those of everything."""
        return sum(
            any(not target.folder_path and target.recursive for target in message.targets)
            for message in self.messages
            if message.type is WatchMessageType.SCAN_STARTED
        )

    def forget(self) -> None:
        """Count anew."""
        self.messages.clear()

    async def until(self, condition: Callable[[], Any], what: str, within: float = PATIENCE) -> None:
        """Wait for something."""
        deadline = time.monotonic() + within
        while not condition():
            assert time.monotonic() < deadline, f"waited in vain: {what}; {self.status}"
            await anyio.sleep(0.01)

    async def until_state(self, state: WatcherState, within: float = PATIENCE) -> None:
        """Wait until it is watched like this."""
        await self.until(lambda: self.status.state is state, f"state {state.value}", within)

    async def until_quiet(self, within: float = PATIENCE) -> None:
        """Wait until all that happened on the disk is scanned and nothing is left to do."""
        # A tree that is just being replaced has no reader to ask.
        deadline = time.monotonic() + within
        while not await self.nomarr.watcher.wait_until_read(self.library.library_id):
            assert time.monotonic() < deadline, f"no reader: {self.status}"
            await anyio.sleep(0.01)
        await self.until(self._is_quiet, "quiet", within)

    def _is_quiet(self) -> bool:
        started = self.scans
        ended = sum(
            message.type in (WatchMessageType.SCAN_COMPLETED, WatchMessageType.SCAN_FAILED) for message in self.messages
        )
        return started <= ended and self.status.pending_targets == 0 and not self._follows_up()

    def _follows_up(self) -> bool:
        return self.nomarr.libraries.running_scan(self.library.library_id) is not None

    async def until_equal(self, within: float = PATIENCE) -> None:
        """Wait until every file that is there has its row, and no other row says that a file is there."""
        deadline = time.monotonic() + within
        while differences := await self.differences():
            assert time.monotonic() < deadline, (
                f"{len(differences)} differences, such as {differences[:5]}; {self.status}"
            )
            await anyio.sleep(0.02)

    async def until_paths(self, paths: set[str], within: float = PATIENCE) -> None:
        """Wait until these are the files that are there for the database."""
        deadline = time.monotonic() + within
        while (found := set(await self.ids())) != paths:
            assert time.monotonic() < deadline, f"{sorted(found)}; {self.status}"
            await anyio.sleep(0.02)

    async def until_equal_with_probes(self, within: float = PATIENCE) -> None:
        """As `until_equal`, then once more with a new file in every folder: no folder is blind."""
        await self.until_equal(within)
        probes = [Path(folder) / "probe.mp3" for folder, _, _ in os.walk(self.root)]
        for probe in probes:
            probe.touch()
        await self.until_equal(within)
        for probe in probes:
            probe.unlink()
        # Losses of so many files at once would be held back.
        await scan(self.nomarr, self.library, accept_losses=True)
        await self.until_equal(within)

    async def differences(self) -> list[str]:
        """Paths where the disk and the rows differ."""
        rows = {path: as_known(record) for path, record in (await present(self.nomarr, self.library)).items()}
        try:
            disk = disk_files(self.root)
        except FileNotFoundError:
            # Something went while it was looked at.
            return ["?"]
        return sorted(path for path in rows.keys() | disk.keys() if rows.get(path) != disk.get(path))

    async def ids(self) -> dict[str, str]:
        """Path to id."""
        return await ids(self.nomarr, self.library)


@asynccontextmanager
async def watched(root: Path | str, database: Path, **settings: Any) -> AsyncIterator[Watched]:
    """Watch `root`; inside the block, the first scan is done. Another time with one database finds its library."""
    options = {"watcher_debounce_seconds": 0.1, "settle_seconds": 0.1, "tag_workers": 1, "lease_seconds": 10.0}
    async with Nomarr.open(f"sqlite:///{database}", **(options | settings)) as nomarr:
        known = await nomarr.libraries.list_libraries()
        library = known[0] if known else await nomarr.libraries.add_library("Music", root)
        seen = Watched(nomarr, library)
        await nomarr.watch_all()
        await seen.until(
            lambda: any(message.type is WatchMessageType.WATCHING for message in seen.messages), "ready", 30
        )
        seen.forget()
        yield seen
