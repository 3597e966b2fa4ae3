"""Read the tags of many files: in order, in worker processes, and never stopped by one bad file."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, Self, TypeVar

import anyio
import anyio.to_thread

from nomarr.components.media.read_files_comp import ReadFile, read_files, stat_of
from nomarr.helpers.dto.tags import TagReadResult
from nomarr.helpers.time_helper import system_clock
from nomarr.workflows.library.tag_worker_wf import TagWorker, WorkerWillNotStart
from nomarr.workflows.library.task_errors_wf import single_error

__all__ = ["READ_CHUNK", "FileReader", "in_order"]

logger = logging.getLogger(__name__)

READ_CHUNK: Final = 64
"""Files handed to a worker at once: enough that handing over costs nothing, few enough to share the work evenly."""

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class FileReader:
    """Reads chunks of files in worker processes, at most `workers` at a time; a handful of files in a thread.

    A context manager: leaving it ends the processes. One that dies, or is silent for the time that a file may take, is
    ended, and the files that it has not answered are read one by one to find the culprit.
    """

    def __init__(self, workers: int, file_timeout_seconds: float) -> None:
        self._limiter = anyio.CapacityLimiter(max(1, workers))
        self._file_timeout = file_timeout_seconds
        self._idle: list[TagWorker] = []
        self._can_start_workers = True
        # One: two threads take longer for the same files than one.
        self._threads = anyio.CapacityLimiter(1)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        while self._idle:
            await self._idle.pop().end()

    async def read(self, paths: Sequence[str], *, few: bool) -> list[ReadFile]:
        """One answer for each path, in their order.

        Args:
            few: there are only a few files in all, not worth starting a process.
        """
        answers = await (self._read_in_thread(paths) if few else self._read_in_process(paths))
        rest = paths[len(answers) :]
        if rest:
            logger.warning("reading tags got stuck or lost its process; %d files are read one by one", len(rest))
        return answers + [await self._read_alone(path) for path in rest]

    async def _read_alone(self, path: str) -> ReadFile:
        answers = await self._read_in_process([path])
        if answers:
            return answers[0]
        reason = f"took longer than {self._file_timeout:g} s to read, or ended the process that read it"
        return ReadFile(TagReadResult(None, reason), stat_of(path), system_clock())

    async def _read_in_process(self, paths: Sequence[str]) -> list[ReadFile]:
        # The time spent waiting for a free worker does not count.
        async with self._limiter:
            worker = await self._free_worker()
            if worker is None:
                return await self._read_in_thread(paths)
            try:
                return await worker.read(paths, self._file_timeout)
            finally:
                if worker.is_ready:
                    self._idle.append(worker)
                else:
                    await worker.end()

    async def _free_worker(self) -> TagWorker | None:
        if self._idle:
            return self._idle.pop()
        if self._can_start_workers:
            try:
                return await TagWorker.start()
            except WorkerWillNotStart as error:
                self._can_start_workers = False
                logger.warning("no process can be started for reading tags (%s); this takes longer", error)
        return None

    async def _read_in_thread(self, paths: Sequence[str]) -> list[ReadFile]:
        # The time spent waiting for the thread does not count.
        async with self._threads:
            with anyio.move_on_after(self._file_timeout + len(paths)):
                return await anyio.to_thread.run_sync(
                    read_files, paths, limiter=anyio.CapacityLimiter(1), abandon_on_cancel=True
                )
        return []


async def in_order(
    items: Iterable[Item],
    work: Callable[[Item], Awaitable[Answer]],
    deliver: Callable[[Item, Answer], Awaitable[None]],
    *,
    ahead: int,
) -> None:
    """Run `work` on the items, up to `ahead` of them at a time, and `deliver` the answers in the items' order."""
    with single_error():
        async with anyio.create_task_group() as tasks:
            waiting: deque[_Pending[Item, Answer]] = deque()
            for item in items:
                pending = _Pending(item, work)
                tasks.start_soon(pending.run)
                waiting.append(pending)
                if len(waiting) >= ahead:
                    first = waiting.popleft()
                    await deliver(first.item, await first.answer())
            while waiting:
                first = waiting.popleft()
                await deliver(first.item, await first.answer())


@dataclass(slots=True)
class _Pending(Generic[Item, Answer]):
    item: Item
    work: Callable[[Item], Awaitable[Answer]]
    _done: anyio.Event = field(default_factory=anyio.Event)
    _answers: list[Answer] = field(default_factory=list)

    async def run(self) -> None:
        self._answers.append(await self.work(self.item))
        self._done.set()

    async def answer(self) -> Answer:
        await self._done.wait()
        return self._answers.pop()
