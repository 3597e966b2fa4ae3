"""Named tasks inside one task group: nothing outlives the block that started them."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from types import TracebackType
from typing import Any, Self

import anyio
from anyio.abc import TaskGroup

from nomarr.helpers.exceptions import TaskAlreadyRunning

__all__ = ["BackgroundTaskService", "TaskState", "TaskStatus"]

logger = logging.getLogger(__name__)


class TaskState(StrEnum):
    """How a task stands or ended."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class TaskStatus:
    """One task, now."""

    name: str
    state: TaskState
    error: str | None = None


@dataclass(slots=True)
class _Task:
    name: str
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    done: anyio.Event = field(default_factory=anyio.Event)
    state: TaskState = TaskState.RUNNING
    error: BaseException | None = None

    def status(self) -> TaskStatus:
        return TaskStatus(self.name, self.state, None if self.error is None else str(self.error))


class BackgroundTaskService:
    """Starts, watches and ends named tasks. An async context manager: leaving it cancels what still runs.

    A task that fails is logged and keeps its error; the others go on. Of tasks that ended only the last of each
    name is remembered; `start_once` is for names that never come again.
    """

    def __init__(self) -> None:
        self._tasks: dict[str, _Task] = {}
        self._group: TaskGroup | None = None

    async def __aenter__(self) -> Self:
        self._group = anyio.create_task_group()
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        group, self._group = self._group, None
        if group is None:
            return None
        group.cancel_scope.cancel()
        if isinstance(error, Exception):
            # The caller's own error goes on as it is; the group would wrap it into a group of errors.
            await group.__aexit__(None, None, None)
            return None
        return await group.__aexit__(kind, error, trace)

    def start(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Start `work` as the task `name`.

        Raises:
            TaskAlreadyRunning: if a task of this name still runs.
            RuntimeError: outside of the `async with` block.
        """
        self._start(name, partial(_run, work=work))

    def start_once(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """As `start`, but the task is not remembered when it has ended well."""

        async def run(task: _Task) -> None:
            await _run(task, work)
            if task.state is TaskState.COMPLETED:
                del self._tasks[name]

        self._start(name, run)

    def _start(self, name: str, run: Callable[[_Task], Coroutine[Any, Any, None]]) -> None:
        if self._group is None:
            raise RuntimeError("BackgroundTaskService is used outside of its 'async with' block")
        before = self._tasks.get(name)
        if before is not None and before.state is TaskState.RUNNING:
            raise TaskAlreadyRunning(name)
        task = self._tasks[name] = _Task(name)
        self._group.start_soon(run, task, name=name)

    def status(self, name: str) -> TaskStatus | None:
        """The last task of this name; None if there was none."""
        task = self._tasks.get(name)
        return None if task is None else task.status()

    def list(self) -> list[TaskStatus]:
        """Every task that is remembered, by name."""
        return [self._tasks[name].status() for name in sorted(self._tasks)]

    def cancel(self, name: str) -> bool:
        """Ask a running task to end; False if there is none. `wait` tells when it has."""
        task = self._tasks.get(name)
        if task is None or task.state is not TaskState.RUNNING:
            return False
        task.scope.cancel()
        return True

    async def wait(self, name: str) -> TaskStatus | None:
        """Wait until the task has ended; None if there never was one."""
        task = self._tasks.get(name)
        if task is None:
            return None
        await task.done.wait()
        return task.status()


async def _run(task: _Task, work: Callable[[], Awaitable[None]]) -> None:
    try:
        with task.scope:
            await work()
            task.state = TaskState.COMPLETED
    except Exception as error:
        # A task's failure must not end its neighbours.
        logger.exception("background task '%s' failed", task.name)
        task.state, task.error = TaskState.FAILED, error
    finally:
        if task.state is TaskState.RUNNING:
            task.state = TaskState.CANCELLED
        task.done.set()
