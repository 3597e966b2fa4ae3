"""`nomarr` with a watcher that scans when a line comes on stdin, instead of when the disk changes.

The lines: `scan` scans every watched library, `state STATE REASON` tells a state of all of them,
`follow` watches libraries that were added since.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Self

import anyio

import nomarr.app
from nomarr import Library, Nomarr, ScanTarget, WatchMode
from nomarr.helpers.dto.watching import WatcherState, WatchMessage, WatchMessageType, WatchStatus
from nomarr.interfaces.cli.main_cli import run


class PretendedWatcher:
    """As the real one for whoever listens; it looks at no disk."""

    def __init__(self, nomarr: Nomarr) -> None:
        self._nomarr = nomarr
        self._statuses: dict[str, WatchStatus] = {}
        self._subscribers: list[Callable[[WatchMessage], None]] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop_all()

    def subscribe(self, on_message: Callable[[WatchMessage], None]) -> None:
        self._subscribers.append(on_message)

    def status(self) -> list[WatchStatus]:
        return list(self._statuses.values())

    async def watch_all(self) -> None:
        for library in await self._nomarr.libraries.list_libraries():
            if library.enabled and library.watch_mode is not WatchMode.OFF:
                await self.start_watching_library(library.library_id)

    async def start_watching_library(self, library_id: str) -> None:
        if library_id in self._statuses:
            return
        library = await self._nomarr.libraries.get_library(library_id)
        if not self._statuses:
            self._nomarr.tasks.start("pretended watcher", self._obey)
        self._statuses[library_id] = _first_status(library)
        self._nomarr.tasks.start(f"first scan {library_id}", partial(self._begin, library_id))

    async def stop_all(self) -> None:
        for task in self._nomarr.tasks.list():
            self._nomarr.tasks.cancel(task.name)

    async def _begin(self, library_id: str) -> None:
        await self._scan(library_id)
        self._set_state(library_id, WatcherState.WATCHING, None)
        self._tell(library_id, WatchMessageType.WATCHING)

    async def _scan(self, library_id: str) -> None:
        target = ScanTarget(library_id)
        self._tell(library_id, WatchMessageType.SCAN_STARTED, targets=(target,))
        report = await self._nomarr.libraries.scan_targets(
            [target],
            on_progress=lambda progress: self._tell(library_id, WatchMessageType.SCAN_PROGRESS, progress=progress),
        )
        status = self._statuses[library_id]
        self._statuses[library_id] = replace(status, scans=status.scans + 1, last_scan_at=time.time())
        self._tell(library_id, WatchMessageType.SCAN_COMPLETED, report=report)

    async def _obey(self) -> None:
        stdin, rest = sys.stdin.fileno(), b""
        while True:
            await anyio.wait_readable(stdin)
            rest += os.read(stdin, 4096)
            *lines, rest = rest.split(b"\n")
            for line in lines:
                await self._obey_line(*line.decode().split(" ", 2))

    async def _obey_line(self, order: str, *words: str) -> None:
        if order == "follow":
            await self.watch_all()
            return
        for library_id in self._statuses:
            if order == "scan":
                await self._scan(library_id)
            else:
                self._set_state(library_id, WatcherState(words[0]), words[1])

    def _set_state(self, library_id: str, state: WatcherState, reason: str | None) -> None:
        self._statuses[library_id] = replace(self._statuses[library_id], state=state, reason=reason)
        self._tell(library_id, WatchMessageType.STATE)

    def _tell(self, library_id: str, kind: WatchMessageType, **more: Any) -> None:
        message = WatchMessage(kind, library_id, time.time(), self._statuses[library_id], **more)
        for on_message in self._subscribers:
            on_message(message)


def _first_status(library: Library) -> WatchStatus:
    return WatchStatus(library.library_id, library.name, library.root_path, library.watch_mode, WatcherState.STARTING)


class PretendedNomarr(Nomarr):
    """An open Nomarr with the pretended watcher."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.watcher = PretendedWatcher(self)


if __name__ == "__main__":
    nomarr.app.Nomarr = PretendedNomarr
    run()
