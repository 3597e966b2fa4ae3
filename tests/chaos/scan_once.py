"""The program that gets killed, paused and cancelled: it scans libraries once through `Nomarr.open`.

Its one argument is a `Job` as JSON. It tells what happens as JSON lines on its standard output.
"""

from __future__ import annotations

import asyncio
import json
import mmap
import os
import signal
import struct
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import anyio

from nomarr import Config, Nomarr, NomarrError, ScanProgress

COUNTERS = struct.Struct("<QQQ")
"""Write transactions begun, statements run, 1 while a transaction is open: a file that outlives the process."""


@dataclass(frozen=True)
class Job:
    """What the program is to do."""

    database: str
    """A file for SQLite, or the URL of a database on a server."""
    roots: list[str]
    full: bool = False
    wait: bool = False
    accept_losses: bool = False
    settings: dict[str, Any] = field(default_factory=dict)
    counters: str | None = None
    kill_at_statement: int | None = None
    """SIGKILL itself just before this statement of its writing connection."""
    stop_at_transaction: int | None = None
    """SIGSTOP itself just before it begins this write transaction."""
    stop_at: str | None = None
    """SIGSTOP itself when it reaches this stage."""
    slow: str | None = None
    """A stage to spend time in: walking (each folder takes longer), writing (each statement does)."""
    cancel_at: str | None = None
    """Cancel itself at this stage."""
    cancel_how: str = "handle"
    """By the scans' handles, or by the scope of the task that waits for them."""
    wait_for_go: bool = False
    """Open the database, then wait for a line on the standard input."""

    @property
    def is_on_server(self) -> bool:
        return "://" in self.database

    def as_json(self) -> str:
        return json.dumps(asdict(self))


def tell(**facts: Any) -> None:
    # One write for a whole line: several threads tell.
    os.write(1, (json.dumps({"time": time.monotonic(), **facts}) + "\n").encode())


class Stages:
    """Announces each stage of the scan once, and calls `on_stage` in the event loop."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._seen: set[str] = set()
        self.reached: dict[str, Callable[[], None]] = {}

    def reach(self, stage: str) -> None:
        if stage not in self._seen:
            self._seen.add(stage)
            tell(stage=stage)
            self.reached.get(stage, lambda: None)()
            if stage == self._job.stop_at:
                os.kill(os.getpid(), signal.SIGSTOP)

    def watch_folders(self) -> None:
        """Look over the shoulder of the walk at the one place where it meets the operating system."""
        scandir, listed = os.scandir, 0

        def watched(path: Any = ".") -> Any:
            nonlocal listed
            if str(path).startswith(tuple(self._job.roots)):
                listed += 1
                if listed > 5:
                    self.reach("walking")
                    if self._job.slow == "walking":
                        time.sleep(0.01)
            return scandir(path)

        os.scandir = watched  # type: ignore[assignment]

    def watch_statements(self, nomarr: Nomarr) -> None:
        """Count what the writing connection does, and end or pause the process in the middle of it."""
        counters = self._counters()
        transactions = statements = 0

        def watched(statement: str) -> None:
            nonlocal transactions, statements
            statements += 1
            transactions += statement.startswith("BEGIN")
            COUNTERS.pack_into(counters, 0, transactions, statements, not statement.startswith("COMMIT"))
            if statements == self._job.kill_at_statement:
                os.kill(os.getpid(), signal.SIGKILL)
            if statement.startswith("BEGIN") and transactions == self._job.stop_at_transaction:
                tell(stage="before a write")
                os.kill(os.getpid(), signal.SIGSTOP)
            if statement.startswith("INSERT INTO library_files") and transactions > 4:
                self.reach("writing")
                if self._job.slow == "writing":
                    time.sleep(0.0005)

        nomarr.database._backend._connections._writer.set_trace_callback(watched)  # type: ignore[attr-defined]

    def watch_progress(self, progress: ScanProgress) -> None:
        if progress.phase == "reading" and progress.files_done:
            self.reach("reading")
        if progress.phase == "settling":
            self.reach("settling")

    def _counters(self) -> mmap.mmap | bytearray:
        if self._job.counters is None:
            return bytearray(COUNTERS.size)
        with open(self._job.counters, "r+b") as file:
            return mmap.mmap(file.fileno(), COUNTERS.size)


async def scan(job: Job) -> None:
    stages = Stages(job)
    stages.watch_folders()
    url = job.database if job.is_on_server else f"sqlite:///{job.database}"
    config = Config(database_url=url, **job.settings)
    async with Nomarr.open(config) as nomarr:
        if not job.is_on_server:
            stages.watch_statements(nomarr)
        libraries = [await nomarr.libraries.find_or_add_library(root) for root in job.roots]
        tell(stage="open")
        if job.wait_for_go:
            await anyio.to_thread.run_sync(sys.stdin.readline)
        tell(stage="start")
        scope = anyio.CancelScope()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(cancel_on_sigterm, scope)
            with scope:
                await scan_libraries(nomarr, [library.library_id for library in libraries], job, stages, scope)
            tasks.cancel_scope.cancel()
        if scope.cancelled_caught:
            tell(result="cancelled by its task")
    tell(stage="closed")


async def scan_libraries(
    nomarr: Nomarr, library_ids: list[str], job: Job, stages: Stages, scope: anyio.CancelScope
) -> None:
    handles = []
    for library_id in library_ids:
        handle = await nomarr.libraries.start_scan_for_library(
            library_id, full=job.full, wait=job.wait, accept_losses=job.accept_losses
        )
        handle.subscribe(stages.watch_progress)
        handles.append(handle)
    if job.cancel_at is not None:
        loop = asyncio.get_running_loop()

        def cancel() -> None:
            tell(stage="cancel")
            for cancelled in [handle.cancel for handle in handles] if job.cancel_how == "handle" else [scope.cancel]:
                cancelled()

        def cancel_from_anywhere() -> None:
            loop.call_soon_threadsafe(cancel)

        stages.reached[job.cancel_at] = cancel_from_anywhere
    try:
        for handle in handles:
            try:
                report = await handle.result()
                tell(result="cancelled" if report is None else asdict(report), library_id=handle.library_id)
            except NomarrError as error:
                tell(result="error", error=type(error).__name__, text=str(error), library_id=handle.library_id)
    except BaseException:
        for handle in handles:
            handle.cancel()
        raise


async def cancel_on_sigterm(scope: anyio.CancelScope) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM) as signals:
        async for _ in signals:
            scope.cancel()


if __name__ == "__main__":
    try:
        anyio.run(scan, Job(**json.loads(sys.argv[1])))
    except KeyboardInterrupt:
        tell(result="KeyboardInterrupt")
