"""Ctrl-C and SIGTERM: the first may end gently, the second leaves at once."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Final, NoReturn

__all__ = ["Interruption", "leave", "leave_on_signals", "leaving_on_signals", "on_first_signal"]

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
_SHOW_CURSOR: Final = "\x1b[?25h"

_Handler = Callable[[int, FrameType | None], object]
"""Of signals, as Python calls it."""


@dataclass(slots=True)
class Interruption:
    """Which signal came, if one did."""

    number: int | None = None

    @property
    def exit_code(self) -> int:
        """As shells count it: 130 for Ctrl-C, 143 for SIGTERM."""
        return 128 + (self.number or 0)


def leave_on_signals() -> None:
    """From now on a signal ends the process at once: nothing is being written that a half-done end could harm."""
    for number in _SIGNALS:
        signal.signal(number, _leave_at_once)


@contextmanager
def on_first_signal(react: Callable[[], object]) -> Iterator[Interruption]:
    """Inside of the block the event loop calls `react` after a signal, and a second one ends the process at once."""
    interruption = Interruption()

    def first(number: int, _: FrameType | None) -> None:
        interruption.number = number
        leave_on_signals()

    with _heard_by_the_loop(react, first):
        yield interruption


@contextmanager
def leaving_on_signals() -> Iterator[None]:
    """As `leave_on_signals`, for a block in an event loop."""
    with _heard_by_the_loop(lambda: None, _leave_at_once):
        yield


@contextmanager
def _heard_by_the_loop(react: Callable[[], object], handle: _Handler) -> Iterator[None]:
    """Inside of the block a signal calls `handle` at once, and then the event loop calls `react`.

    Python calls a handler between two instructions of the main thread. A signal that comes just before this one waits
    for events, or that another thread gets, would be noticed only after the next event, so the loop has to be woken.
    """
    # Imported here: it takes a fifth of the time of a help text.
    import asyncio

    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, react)
        # Only the loop's handler is replaced; it is still woken, and calls `react`.
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
        leave_on_signals()


def leave(code: int) -> NoReturn:
    """End the process without waiting for threads that are stuck, in a call to a disk that is away for one."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            continue
    os._exit(code)


def _leave_at_once(number: int, _: FrameType | None) -> None:
    if sys.stderr.isatty():
        # Past the stream's buffer, which the interrupted code may be just about to write.
        os.write(sys.stderr.fileno(), f"{_SHOW_CURSOR}\n".encode("ascii"))
    os._exit(128 + number)
