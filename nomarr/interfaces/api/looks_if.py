"""Looks again and again at what others change in the database."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import anyio

from nomarr.helpers.exceptions import DatabaseError

__all__ = ["look_every"]

logger = logging.getLogger(__name__)


async def look_every(seconds: float, look: Callable[[], Awaitable[None]], question: str) -> None:
    """Until cancelled; that the database is away, and so what `question` asks is not known, is said once."""
    is_known = True
    while True:
        await anyio.sleep(seconds)
        try:
            await look()
            is_known = True
        except DatabaseError as error:
            if is_known:
                logger.warning("%s is not known: %s", question, error)
            is_known = False
