"""Notices while the service runs which tokens were made and revoked, whoever did it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

import anyio

from nomarr.app import Nomarr
from nomarr.helpers.dto.tokens import TokenScope
from nomarr.helpers.exceptions import DatabaseError
from nomarr.interfaces.api.looks_if import look_every
from nomarr.interfaces.api.problems_if import Refused
from nomarr.interfaces.api.tokens_if import TokenNotListed, Tokens

__all__ = ["CurrentTokens", "current_tokens"]

_TASK: Final = "look for revoked tokens"


class CurrentTokens:
    """Tokens as the database had them when it was looked last."""

    def __init__(self, nomarr: Nomarr) -> None:
        self._nomarr = nomarr
        self._tokens: Tokens
        self._lock = anyio.Lock()
        self._begun = 0
        self._done = 0
        """The number of the newest look that succeeded."""

    async def check(self, token: str, needed: TokenScope) -> None:
        """As `Tokens.check`; a token that another process may have made just now is looked for first.

        That somebody has this done again and again with a token that was revoked costs one look at a time.
        """
        try:
            self._tokens.check(token, needed)
        except TokenNotListed:
            await self._look_for_a_client()
            self._tokens.check(token, needed)

    async def look(self) -> None:
        """Look at the database now. Whoever waits for somebody else's look shares the next one with all who wait."""
        begun = self._begun
        async with self._lock:
            if self._done > begun:
                return
            self._begun += 1
            self._tokens = Tokens(await self._nomarr.tokens.known())
            self._done = self._begun

    async def _look_for_a_client(self) -> None:
        try:
            await self.look()
        except DatabaseError as error:
            raise Refused(
                503, f"whether this token is good is not known now: {error}", error=type(error).__name__
            ) from error


@asynccontextmanager
async def current_tokens(nomarr: Nomarr, look_seconds: float) -> AsyncIterator[CurrentTokens]:
    """What checks tokens now. Inside of the block it is looked every so many seconds whether they were revoked."""
    current = CurrentTokens(nomarr)
    await current.look()
    nomarr.tasks.start(_TASK, partial(look_every, look_seconds, current.look, "whether tokens were revoked"))
    try:
        yield current
    finally:
        nomarr.tasks.cancel(_TASK)
