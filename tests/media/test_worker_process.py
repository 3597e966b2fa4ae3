"""One worker process: whatever happens to whoever starts it, no process stays behind."""

from __future__ import annotations

import os
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from nomarr.workflows.library.worker_process_wf import WorkerProcess

STEPS_OF_A_START = 12
"""More turns of the event loop than it takes to start a process and to connect its pipes."""


def children() -> set[int]:
    """The processes that this one started and that are not reaped."""
    of_threads = Path("/proc/self/task").glob("*/children")
    return {int(pid) for listed in of_threads for pid in listed.read_text().split()}


@pytest.mark.parametrize("steps", range(STEPS_OF_A_START))
async def test_a_start_that_is_cancelled_leaves_no_process_behind(steps: int) -> None:
    before = children()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(WorkerProcess.start, os.__name__)
        for _ in range(steps):
            await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()
    assert children() == before
