"""Look into many files: in order, in worker processes, and never stopped by one bad file."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, Self, TypeVar

import anyio
import anyio.to_thread

from nomarr.helpers.paths_helper import join
from nomarr.workflows.library.task_errors_wf import single_error
from nomarr.workflows.library.worker_process_wf import WorkerProcess, WorkerWillNotStart

__all__ = ["READ_CHUNK", "FileSkill", "FileWorkers", "in_order"]

logger = logging.getLogger(__name__)

READ_CHUNK: Final = 64
"""Files handed to a worker at once: enough that handing over costs nothing, few enough to share the work evenly."""

Item = TypeVar("Item")
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class FileSkill(Generic[Item, Answer]):
    """Something that is done with one file at a time."""

    work: Callable[[Item], Answer]
    """A function of a module, which worker processes find by its name; it handles every error of the file itself."""
    give_up: Callable[[Item, str], Answer]
    """The answer for an item that ended or stopped its process; the text continues a sentence that begins with it."""


class FileWorkers:
    """Works on chunks of files in worker processes, at most `workers` at a time; on a handful of files in a thread.

    A context manager: leaving it ends the processes. One that dies, or is silent for the time that a file may take, is
    ended, and the files that it has not answered are done one by one to find the culprit.
    """

    def __init__(self, workers: int, file_timeout_seconds: float, *, module: str) -> None:
        """
        Args:
            module: where the skills are at home; worker processes import it before their first work.
        """
        self._limiter = anyio.CapacityLimiter(max(1, workers))
        self._file_timeout = file_timeout_seconds
        self._module = module
        self._idle: list[WorkerProcess] = []
        self._can_start_workers = True
        # One: two threads take longer for the same files than one.
        self._threads = anyio.CapacityLimiter(1)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        while self._idle:
            await self._idle.pop().end()

    async def run(self, skill: FileSkill[Item, Answer], items: Sequence[Item], *, few: bool) -> list[Answer]:
        """One answer for each item, in their order.

        Args:
            few: there are only a few files in all, not worth starting a process.
        """
        answers = await (self._in_thread(skill, items) if few else self._in_process(skill, items))
        rest = items[len(answers) :]
        if rest:
            logger.warning("a file stopped its reader or ended it; %d files are looked at one by one", len(rest))
        return answers + [await self._alone(skill, item) for item in rest]

    async def look_into(
        self, skill: FileSkill[str, Answer | None], root: str, paths: Sequence[str], *, few: bool
    ) -> dict[str, Answer]:
        """Path to answer, of those that have one.

        Args:
            paths: normalized paths below `root`.
        """
        answers: dict[str, Answer] = {}

        async def look(chunk: Sequence[str]) -> list[Answer | None]:
            return await self.run(skill, [join(root, path) for path in chunk], few=few)

        async def keep(chunk: Sequence[str], found: Sequence[Answer | None]) -> None:
            answers.update((path, answer) for path, answer in zip(chunk, found, strict=True) if answer is not None)

        chunks = (paths[start : start + READ_CHUNK] for start in range(0, len(paths), READ_CHUNK))
        await in_order(chunks, look, keep, ahead=2 * int(self._limiter.total_tokens))
        return answers

    async def _alone(self, skill: FileSkill[Item, Answer], item: Item) -> Answer:
        answers = await self._in_process(skill, [item])
        if answers:
            return answers[0]
        return skill.give_up(
            item, f"took longer than {self._file_timeout:g} s to read, or ended the process that read it"
        )

    async def _in_process(self, skill: FileSkill[Item, Answer], items: Sequence[Item]) -> list[Answer]:
        # The time spent waiting for a free worker does not count.
        async with self._limiter:
            worker = await self._free_worker()
            if worker is None:
                return await self._in_thread(skill, items)
            try:
                return await worker.run(skill.work, items, self._file_timeout)
            finally:
                if worker.is_ready:
                    self._idle.append(worker)
                else:
                    await worker.end()

    async def _free_worker(self) -> WorkerProcess | None:
        if self._idle:
            return self._idle.pop()
        if self._can_start_workers:
            try:
                return await WorkerProcess.start(self._module)
            except WorkerWillNotStart as error:
                self._can_start_workers = False
                logger.warning("no process can be started for reading files (%s); this takes longer", error)
        return None

    async def _in_thread(self, skill: FileSkill[Item, Answer], items: Sequence[Item]) -> list[Answer]:
        # The time spent waiting for the thread does not count.
        async with self._threads:
            with anyio.move_on_after(self._file_timeout + len(items)):
                return await anyio.to_thread.run_sync(
                    lambda: [skill.work(item) for item in items],
                    limiter=anyio.CapacityLimiter(1),
                    abandon_on_cancel=True,
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
