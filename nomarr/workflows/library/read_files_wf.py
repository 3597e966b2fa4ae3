"""Read the tags of many files: in order, in worker processes, and never stopped by one bad file."""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

import anyio
import anyio.to_process
import anyio.to_thread

from nomarr.components.media.read_tags_comp import read_tags
from nomarr.helpers.dto.files import FileStat, int64
from nomarr.helpers.dto.quick_pickle import QuickPickle
from nomarr.helpers.dto.tags import TagReadResult
from nomarr.helpers.time_helper import system_clock
from nomarr.workflows.library.task_errors_wf import single_error

__all__ = ["READ_CHUNK", "FileReader", "ReadFile", "in_order", "read_here"]

logger = logging.getLogger(__name__)

READ_CHUNK: Final = 64
"""Files handed to a worker at once: enough that handing over costs nothing, few enough to share the work evenly."""

Item = TypeVar("Item")
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class ReadFile(QuickPickle):
    """Tags, and the file's numbers just after they were read (None if it was gone by then)."""

    tags: TagReadResult
    stat: FileStat | None
    read_at: float
    """Just before it was opened: what was written later than this may not have been seen."""


class FileReader:
    """Reads chunks of files in worker processes, at most `workers` at a time; a handful of files in a thread.

    A worker that dies or takes too long is ended, and its files are read one by one to find the culprit.
    """

    def __init__(self, workers: int, file_timeout_seconds: float) -> None:
        self._limiter = anyio.CapacityLimiter(max(1, workers))
        self._file_timeout = file_timeout_seconds
        # One: two threads take longer for the same files than one.
        self._threads = anyio.CapacityLimiter(1)

    async def read(self, paths: Sequence[str], *, few: bool) -> list[ReadFile]:
        """One answer for each path, in their order.

        Args:
            few: there are only a few files in all, not worth starting a process.
        """
        if not paths:
            return []
        patience = self._file_timeout + len(paths)
        attempt = self._try_in_thread if few else self._try
        answers = await attempt(list(paths), patience)
        if answers is not None:
            return answers
        logger.warning("reading tags got stuck or lost its process; these %d files are read one by one", len(paths))
        return [await self._read_one(path) for path in paths]

    async def _try_in_thread(self, paths: list[str], patience: float) -> list[ReadFile] | None:
        # The time spent waiting for the thread does not count.
        async with self._threads:
            with anyio.move_on_after(patience):
                return await anyio.to_thread.run_sync(
                    read_here, paths, limiter=anyio.CapacityLimiter(1), abandon_on_cancel=True
                )
        return None

    async def _read_one(self, path: str) -> ReadFile:
        answers = await self._try([path], self._file_timeout)
        if answers is not None:
            return answers[0]
        reason = f"took longer than {self._file_timeout:g} s to read, or ended the process that read it"
        return ReadFile(TagReadResult(None, reason), _stat(path), system_clock())

    async def _try(self, paths: list[str], patience: float) -> list[ReadFile] | None:
        try:
            # The time spent waiting for a free worker does not count.
            async with self._limiter:
                with anyio.fail_after(patience):
                    return await anyio.to_process.run_sync(
                        read_here, paths, cancellable=True, limiter=anyio.CapacityLimiter(1)
                    )
        except (TimeoutError, anyio.BrokenWorkerProcess):
            return None


def read_here(paths: list[str]) -> list[ReadFile]:
    """Read in this process. A changed file shows by its numbers afterwards."""
    return [_read_one_here(path) for path in paths]


def _read_one_here(path: str) -> ReadFile:
    read_at = system_clock()
    tags = read_tags(path)
    return ReadFile(tags, _stat(path), read_at)


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


def _stat(path: str) -> FileStat | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return FileStat(*map(int64, (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)))
