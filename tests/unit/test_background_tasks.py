"""Named tasks: start, status, cancel, wait; nothing outlives the block."""

from __future__ import annotations

import anyio
import pytest

from nomarr.helpers.exceptions import TaskAlreadyRunning
from nomarr.services.infrastructure.background_task_svc import BackgroundTaskService, TaskState


async def _return() -> None:
    return


async def _fail() -> None:
    raise ValueError("broken")


async def test_a_task_runs_and_is_remembered() -> None:
    async with BackgroundTaskService() as tasks:
        tasks.start("one", _return)
        status = await tasks.wait("one")
        assert status is not None
        assert (status.state, status.error) == (TaskState.COMPLETED, None)
        assert tasks.status("one") == status


async def test_a_task_that_is_started_once_is_remembered_only_if_it_failed() -> None:
    async with BackgroundTaskService() as tasks:
        tasks.start_once("good", _return)
        tasks.start_once("bad", _fail)
        assert [task.name for task in tasks.list()] == ["bad", "good"]
        await tasks.wait("good")
        await tasks.wait("bad")
        assert [task.name for task in tasks.list()] == ["bad"]


async def test_a_failure_is_kept_and_does_not_end_the_others(caplog: pytest.LogCaptureFixture) -> None:
    async with BackgroundTaskService() as tasks:
        tasks.start("other", anyio.sleep_forever)
        tasks.start("bad", _fail)
        status = await tasks.wait("bad")
        assert status is not None
        assert (status.state, status.error) == (TaskState.FAILED, "broken")
        other = tasks.status("other")
        assert other is not None
        assert other.state is TaskState.RUNNING
    assert "background task 'bad' failed" in caplog.text


async def test_a_task_can_be_cancelled() -> None:
    async with BackgroundTaskService() as tasks:
        tasks.start("long", anyio.sleep_forever)
        assert tasks.cancel("long")
        status = await tasks.wait("long")
        assert status is not None
        assert status.state is TaskState.CANCELLED
        assert not tasks.cancel("long")


async def test_a_name_runs_once_at_a_time_and_can_be_used_again() -> None:
    async with BackgroundTaskService() as tasks:
        tasks.start("scan", anyio.sleep_forever)
        with pytest.raises(TaskAlreadyRunning):
            tasks.start("scan", _return)
        tasks.cancel("scan")
        await tasks.wait("scan")
        tasks.start("scan", _return)
        status = await tasks.wait("scan")
        assert status is not None
        assert status.state is TaskState.COMPLETED


async def test_leaving_the_block_ends_what_runs_and_lets_it_clean_up() -> None:
    ended: list[str] = []

    async def work() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            ended.append("cleaned up")

    async with BackgroundTaskService() as tasks:
        tasks.start("work", work)
        await anyio.wait_all_tasks_blocked()
    assert ended == ["cleaned up"]


async def test_nothing_is_known_of_a_task_that_never_was() -> None:
    async with BackgroundTaskService() as tasks:
        assert tasks.status("none") is None
        assert await tasks.wait("none") is None
        assert not tasks.cancel("none")
        assert tasks.list() == []


async def test_an_error_in_the_block_comes_out_as_it_is() -> None:
    async def fail_beside_a_task() -> None:
        async with BackgroundTaskService() as tasks:
            tasks.start("long", anyio.sleep_forever)
            raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        await fail_beside_a_task()


async def test_tasks_are_listed_by_name() -> None:
    async with BackgroundTaskService() as tasks:
        tasks.start("b", _return)
        tasks.start("a", _return)
        assert [status.name for status in tasks.list()] == ["a", "b"]


def test_outside_of_the_block_nothing_starts() -> None:
    with pytest.raises(RuntimeError, match="async with"):
        BackgroundTaskService().start("early", _return)
