"""The newest log lines, in memory, for whoever looks from outside."""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import anyio

from nomarr.interfaces.api.streams_if import HELLO, block, or_keep_alive
from nomarr.interfaces.contract import JsonObject
from nomarr.interfaces.log_lines import LogLine, line_of

__all__ = ["LogFilter", "LogRing"]

_LINES: Final = 2000


@dataclass(frozen=True, slots=True)
class LogFilter:
    """Which lines somebody wants: of this level or a graver one, with this text in message or logger."""

    level: int = logging.DEBUG
    text: str = ""

    def wants(self, line: LogLine) -> bool:
        """True if the line is one of them."""
        return line.level >= self.level and self.text.casefold() in f"{line.logger} {line.message}".casefold()


@dataclass(frozen=True, slots=True)
class _Numbered:
    number: int
    line: LogLine

    def as_object(self) -> JsonObject:
        return {"number": self.number} | self.line.as_object()


class _Reader:
    """Somebody in the event loop who waits for lines that any thread may log."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.arrival = anyio.Event()

    def wake(self) -> None:
        self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        self.arrival.set()


class LogRing(logging.Handler):
    """Keeps what Nomarr logs: the newest lines only, however slowly they are read."""

    def __init__(self, lines: int = _LINES) -> None:
        super().__init__()
        self._lines: deque[_Numbered] = deque(maxlen=lines)
        # Later than every number before a restart, so that a client may go on after the last one that it knows.
        self._numbers = itertools.count(time.time_ns() // 1_000_000)
        self._readers: set[_Reader] = set()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._lines.append(_Numbered(next(self._numbers), line_of(record)))
            for reader in tuple(self._readers):
                reader.wake()
        except Exception:
            self.handleError(record)

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Listen inside of the block."""
        logger = logging.getLogger("nomarr")
        logger.addHandler(self)
        try:
            yield
        finally:
            logger.removeHandler(self)

    def newest(self, wanted: LogFilter, *, after: int, limit: int) -> list[JsonObject]:
        """The newest lines that are wanted, oldest first."""
        return [line.as_object() for line in self._after(after) if wanted.wants(line.line)][-limit:]

    @contextmanager
    def stream(self, wanted: LogFilter, after: int | None) -> Iterator[AsyncIterator[bytes]]:
        """Every wanted line after `after` as a server-sent event; None: only lines that come from now on."""
        reader = _Reader()
        self._readers.add(reader)
        try:
            newest = self._last_number()
            # Before a restart the clock may have been ahead, and the numbers with it.
            yield self._blocks(reader, wanted, newest if after is None else min(after, newest))
        finally:
            self._readers.discard(reader)

    async def _blocks(self, reader: _Reader, wanted: LogFilter, last: int) -> AsyncIterator[bytes]:
        yield HELLO
        while True:
            reader.arrival = anyio.Event()
            lines = self._after(last)
            if len(lines) == self._lines.maxlen:
                # Perhaps there was one more line, which is forgotten by now.
                yield block("lost", {"after": last})
            for line in lines:
                last = line.number
                if wanted.wants(line.line):
                    yield block("log", line.as_object(), line.number)
            if (alive := await or_keep_alive(reader.arrival)) is not None:
                yield alive

    def _after(self, number: int) -> list[_Numbered]:
        # A copy: other threads log meanwhile.
        return [line for line in tuple(self._lines) if line.number > number]

    def _last_number(self) -> int:
        return max((line.number for line in tuple(self._lines)), default=0)
