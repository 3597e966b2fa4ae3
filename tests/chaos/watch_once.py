"""The program that is broken and killed while it watches one library through `Nomarr.open`.

Arguments: the database, the root. Each line on its standard input is a fault to make, or `status`; it answers with a
line of JSON on its standard output.
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import asdict
from typing import Any

import psutil

import nomarr.components.watch.pending_changes_comp as pending_changes_comp
import nomarr.components.watch.watch_plan_comp as watch_plan_comp
import nomarr.services.infrastructure.library_watch_svc as library_watch_svc
from nomarr import Nomarr

# A storm is over a hundred times as fast here; everything else takes its usual course, only with short pauses.
watch_plan_comp._STORM_SECONDS = (0.3, 0.6, 1.2, 2.4, 4.8, 6.0)  # type: ignore[misc] # Final for the program, not here
library_watch_svc._AFTER_FAULT_SECONDS = (0.0, 0.2, 0.4, 0.8, 1.6, 3.0)  # type: ignore[misc] # as above
SETTINGS = {
    "watcher_debounce_seconds": 0.2,
    "settle_seconds": 0.2,
    "lease_seconds": 10.0,
    "tag_workers": 1,
    "watcher_poll_seconds": 2.0,
}


def tree_of(nomarr: Nomarr) -> Any:
    [watch] = nomarr.watcher._watches.values()
    return watch._watching.tree


def break_something(nomarr: Nomarr, what: str) -> None:
    """Make one of the faults that have no outside."""
    tree = tree_of(nomarr)
    if tree is None:
        return
    if what == "reader raises":
        tree.handle_event = raising
    elif what == "reader ends":
        tree.stopped_event.set()
    elif what == "handler raises":
        targets_of = pending_changes_comp.targets_of

        def once(*arguments: Any) -> Any:
            pending_changes_comp.targets_of = targets_of
            raising()

        pending_changes_comp.targets_of = once


def raising(*_: object) -> None:
    raise RuntimeError("made by a test")


def status_of(nomarr: Nomarr) -> dict[str, Any]:
    [status] = nomarr.watcher.status()
    tree = tree_of(nomarr)
    return {
        **asdict(status),
        "reader": tree is not None and tree.is_alive(),
        "rss": psutil.Process().memory_info().rss,
        "threads": psutil.Process().num_threads(),
        "files": psutil.Process().num_fds(),
    }


async def watch(database: str, root: str) -> None:
    loop = asyncio.get_running_loop()
    commands = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    async with Nomarr.open(f"sqlite:///{database}", **SETTINGS) as nomarr:
        await nomarr.libraries.find_or_add_library(root)
        await nomarr.watch_all()
        while line := (await commands.readline()).decode().strip():
            if line != "status":
                break_something(nomarr, line)
            print(json.dumps(status_of(nomarr), default=str), flush=True)


if __name__ == "__main__":
    asyncio.run(watch(*sys.argv[1:]))
