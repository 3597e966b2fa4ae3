"""Signals that come while an event loop waits for events."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nomarr.interfaces.cli.signals_cli import leaving_on_signals, on_first_signal

SIGNALS = (signal.SIGINT, signal.SIGTERM)
LOOKS = 20
"""So often in a row the main thread is seen asleep before it is taken to wait for events."""


@pytest.fixture(autouse=True)
def handlers_of_before() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def when_all_wait(react: Callable[[], object]) -> threading.Thread:
    """Starts a thread that calls `react` when the main thread has nothing to do."""
    state = Path(f"/proc/self/task/{threading.main_thread().native_id}/stat")

    def look() -> None:
        asleep = 0
        while asleep < LOOKS:
            asleep = asleep + 1 if state.read_text().rpartition(")")[2].split()[0] == "S" else 0
        react()

    thread = threading.Thread(target=look)
    thread.start()
    return thread


def signal_to_this_thread(number: int) -> None:
    signal.pthread_kill(threading.get_ident(), number)


@pytest.mark.timeout(10)
@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_heard_that_another_thread_gets(number: int) -> None:
    async def wait() -> int | None:
        came = asyncio.Event()
        with on_first_signal(came.set) as interruption:
            thread = when_all_wait(lambda: signal_to_this_thread(number))
            await came.wait()
        thread.join()
        return interruption.number

    assert asyncio.run(wait()) == number


@pytest.mark.timeout(10)
def test_work_that_has_nothing_to_clean_up_is_left_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    class Left(Exception):
        pass

    def leave(code: int) -> None:
        raise Left(code)

    monkeypatch.setattr(os, "_exit", leave)

    async def wait() -> None:
        with leaving_on_signals():
            when_all_wait(lambda: signal_to_this_thread(signal.SIGTERM))
            await asyncio.Event().wait()

    with pytest.raises(Left, match="143"):
        asyncio.run(wait())
