"""Log lines on stderr, above a progress bar if there is one."""

from __future__ import annotations

import logging
import sys

from nomarr.helpers.paths_helper import strip_control

__all__ = ["set_log_level"]


class _StderrHandler(logging.Handler):
    """Writes to whatever `sys.stderr` is now: a progress bar replaces it while it is drawn."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            lines = self.format(record).split("\n")
            print("\n".join(strip_control(line) for line in lines), file=sys.stderr)
        except Exception:
            self.handleError(record)


def set_log_level(level: str) -> None:
    """Log what Nomarr says from this level on; other libraries only speak up with warnings."""
    root = logging.getLogger()
    if not root.handlers:
        handler = _StderrHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        root.addHandler(handler)
    logging.getLogger("nomarr").setLevel(level.upper())
