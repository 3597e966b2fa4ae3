"""The change feed for readers who want to be told: resumable by sequence number, nothing lost, nothing twice."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from functools import partial
from typing import Final, Self

import anyio
import anyio.to_thread

from nomarr.helpers.dto.events import ChangeEvent
from nomarr.helpers.exceptions import DatabaseNotReachable
from nomarr.persistence.db import Database

__all__ = ["EventFeed", "EventFeedService"]

logger = logging.getLogger(__name__)

_POLL_SECONDS: Final = 0.5
_PAGE: Final = 1000


class EventFeed:
    """The events after a sequence number, then every new one as it comes. An async context manager and iterator.

    While the database is away, it waits."""

    def __init__(self, db: Database, after: int, poll_seconds: float) -> None:
        self._db = db
        self.last_seq = after
        """The last event that was handed out; resume with it."""
        self._poll_seconds = poll_seconds

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing is held between two events."""

    async def __aiter__(self) -> AsyncIterator[ChangeEvent]:
        # Polled from the database: other processes write into it too, and a reader that sleeps costs one small query.
        while True:
            page = await self._page()
            for event in page:
                self.last_seq = event.seq
                yield event
            if len(page) < _PAGE:
                await anyio.sleep(self._poll_seconds)

    async def _page(self) -> list[ChangeEvent]:
        try:
            return await anyio.to_thread.run_sync(partial(self._db.events.after, self.last_seq, limit=_PAGE))
        except DatabaseNotReachable as error:
            # It was asked for a minute; what is missed now comes when it is back.
            logger.warning("the change feed waits: %s", error)
            return []


class EventFeedService:
    """Gives out the change feed."""

    def __init__(self, db: Database, *, poll_seconds: float = _POLL_SECONDS) -> None:
        self._db = db
        self._poll_seconds = poll_seconds

    def follow(self, after: int = 0) -> EventFeed:
        """Every event after `after`, old and future."""
        return EventFeed(self._db, after, self._poll_seconds)

    async def list_events(self, after: int = 0, *, limit: int = _PAGE) -> list[ChangeEvent]:
        """The events that follow `after` and are there already, at most `limit`."""
        return await anyio.to_thread.run_sync(partial(self._db.events.after, after, limit=limit))

    async def last_seq(self) -> int:
        """The number of the newest event; 0 if there was none."""
        return await anyio.to_thread.run_sync(self._db.events.last_seq)
