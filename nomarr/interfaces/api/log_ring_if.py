"""The newest log lines, in memory, for whoever looks from outside."""

from __future__ import annotations

import itertools
import logging
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from nomarr.helpers.paths_helper import strip_control
from nomarr.helpers.time_helper import iso8601
from nomarr.interfaces.contract import JsonObject

__all__ = ["LogRing"]

_LINES: Final = 2000
_LONGEST: Final = 4000
"""Characters of a line that are kept."""


@dataclass(frozen=True, slots=True)
class _Line:
    number: int
    time: float
    level: int
    logger: str
    message: str

    def as_object(self) -> JsonObject:
        return {
            "number": self.number,
            "time": iso8601(self.time),
            "level": logging.getLevelName(self.level).lower(),
            "logger": self.logger,
            "message": self.message,
        }


class LogRing(logging.Handler):
    """Keeps what Nomarr logs, whatever level the terminal shows from."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: deque[_Line] = deque(maxlen=_LINES)
        self._numbers = itertools.count(1)
        self.setFormatter(logging.Formatter("%(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = strip_control(self.format(record))[:_LONGEST]
            self._lines.append(_Line(next(self._numbers), record.created, record.levelno, record.name, message))
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

    def newest(self, *, level: int, text: str, after: int, limit: int) -> list[JsonObject]:
        """The newest lines of this level or a graver one with this text, oldest first."""
        wanted = text.casefold()
        # A copy: other threads log meanwhile.
        lines = [
            line
            for line in tuple(self._lines)
            if line.level >= level and line.number > after and wanted in f"{line.logger} {line.message}".casefold()
        ]
        return [line.as_object() for line in lines[-limit:]]
