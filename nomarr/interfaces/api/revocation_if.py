"""Notices while the service runs that every token was revoked: the key that signs them is another one."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

import anyio

from nomarr.app import Nomarr
from nomarr.helpers.exceptions import DatabaseError
from nomarr.interfaces.api.tokens_if import TOKEN_KEY, Tokens, new_key

__all__ = ["current_tokens"]

logger = logging.getLogger(__name__)

_TASK: Final = "look for revoked tokens"


class _Current:
    """Tokens of the key that was in the database when it was looked last."""

    def __init__(self, nomarr: Nomarr) -> None:
        self._nomarr = nomarr
        self.tokens: Tokens

    async def look(self) -> None:
        self.tokens = Tokens(await self._nomarr.settings.get_or_put(TOKEN_KEY, new_key()))

    async def look_every(self, seconds: float) -> None:
        """Until cancelled; that the database is away is said once."""
        is_known = True
        while True:
            await anyio.sleep(seconds)
            try:
                await self.look()
                is_known = True
            except DatabaseError as error:
                if is_known:
                    logger.warning("whether tokens were revoked is not known: %s", error)
                is_known = False


@asynccontextmanager
async def current_tokens(nomarr: Nomarr, look_seconds: float) -> AsyncIterator[Callable[[], Tokens]]:
    """What checks tokens now. Inside of the block it is looked every so many seconds whether they were revoked."""
    current = _Current(nomarr)
    await current.look()
    nomarr.tasks.start(_TASK, partial(current.look_every, look_seconds))
    try:
        yield lambda: current.tokens
    finally:
        nomarr.tasks.cancel(_TASK)
