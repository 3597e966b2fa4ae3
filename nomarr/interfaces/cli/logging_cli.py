"""Log lines on stderr, above a progress bar if there is one."""

from __future__ import annotations

import json
import logging
import sys

from nomarr.helpers.paths_helper import strip_control
from nomarr.helpers.secrets_helper import without_secrets
from nomarr.interfaces.log_lines import line_of

__all__ = ["set_logging"]


class _TextFormatter(logging.Formatter):
    """For people; a traceback keeps its lines."""

    def format(self, record: logging.LogRecord) -> str:
        lines = without_secrets(super().format(record)).split("\n")
        return "\n".join(strip_control(line) for line in lines)


class _JsonFormatter(logging.Formatter):
    """For programs: one object a line."""

    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(line_of(record).as_object())


class _StderrHandler(logging.Handler):
    """Writes to whatever `sys.stderr` is now: a progress bar replaces it while it is drawn."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            print(self.format(record), file=sys.stderr)
        except Exception:
            self.handleError(record)


def set_logging(level: str, log_format: str = "text") -> None:
    """Log what Nomarr says from this level on; other libraries only speak up with warnings.

    Args:
        log_format: "text" for people, or "json".
    """
    root = logging.getLogger()
    if not root.handlers:
        root.addHandler(_StderrHandler())
    for handler in root.handlers:
        # Not those of a program that uses this command line as a part of it.
        if isinstance(handler, _StderrHandler):
            handler.setFormatter(_formatter(log_format))
    logging.getLogger("nomarr").setLevel(level.upper())
    # It tells of each attempt at a locked file, and Nomarr says what it waits for.
    logging.getLogger("stamina").setLevel(logging.ERROR)


def _formatter(log_format: str) -> logging.Formatter:
    if log_format == "json":
        return _JsonFormatter()
    return _TextFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
