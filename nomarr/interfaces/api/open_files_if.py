"""Connections are open files, of which a process may have a limited number only."""

from __future__ import annotations

import asyncio
import errno
import logging
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

__all__ = ["connections_that_fit", "shortage_told_once"]

logger = logging.getLogger(__name__)

_PART: Final = 2
"""Connections may have a half of the files: everything else opens some, too."""
_SHORTAGES: Final = frozenset({errno.EMFILE, errno.ENFILE})
_SAY_AGAIN_SECONDS: Final = 600.0


def connections_that_fit(wanted: int) -> int:
    """As many connections as are wanted, or as this process may have."""
    return min(wanted, _open_files() // _PART)


@contextmanager
def shortage_told_once() -> Iterator[None]:
    """Inside of the block nobody is told again and again that no more connections can be accepted.

    The event loop tries again every second, and would say so every time.
    """
    loop = asyncio.get_running_loop()
    others = loop.get_exception_handler()
    told_at = -_SAY_AGAIN_SECONDS

    def tell(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        nonlocal told_at
        error = context.get("exception")
        if not isinstance(error, OSError) or error.errno not in _SHORTAGES:
            others(loop, context) if others else loop.default_exception_handler(context)
        elif time.monotonic() - told_at >= _SAY_AGAIN_SECONDS:
            told_at = time.monotonic()
            logger.error(
                "nobody can connect, as no more files can be opened (%s, the limit is %d); allow more: "
                "'ulimit -n', or LimitNOFILE in the systemd unit",
                error.strerror,
                _open_files(),
            )

    loop.set_exception_handler(tell)
    try:
        yield
    finally:
        loop.set_exception_handler(others)


def _open_files() -> int:
    """The limit of this process, which can be changed while it runs."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft
