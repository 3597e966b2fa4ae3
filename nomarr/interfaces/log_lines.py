"""Log lines as values, with the same members in the log of the process and over HTTP; secrets are left out."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, Final

from nomarr.helpers.paths_helper import strip_control
from nomarr.helpers.secrets_helper import without_secrets
from nomarr.helpers.time_helper import iso8601

__all__ = ["LogLine", "line_of"]

_LONGEST: Final = 4000
"""Characters of a message that are kept."""
_PLAIN: Final = logging.Formatter("%(message)s")
"""Adds the traceback, if there is one."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line; the message is printable, and on one line."""

    time: float
    level: int
    logger: str
    message: str

    def as_object(self) -> dict[str, Any]:
        """For programs."""
        return {
            "time": iso8601(self.time),
            "level": logging.getLevelName(self.level).lower(),
            "logger": self.logger,
            "message": self.message,
        }


def line_of(record: logging.LogRecord) -> LogLine:
    """What was logged, with its traceback."""
    message = strip_control(without_secrets(_PLAIN.format(record)))[:_LONGEST]
    return LogLine(record.created, record.levelno, record.name, message)
