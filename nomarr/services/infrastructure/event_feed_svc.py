"""The change feed for readers who want to be told: resumable by sequence number, nothing lost, nothing twice."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from functools import partial
from typing import Final, Self

import anyio
import anyio.to_thread

from nomarr.helpers.dto.events import ChangeEvent
from nomarr.helpers.exceptions import DatabaseError
from nomarr.persistence.db import Database

__all__ = ["EventFeed", "EventFeedService"]

logger = logging.getLogger(__name__)

_POLL_SECONDS: Final = 0.5
_FAILED_SECONDS: Final = 3.0
"""How long to leave a database alone that failed: a refusal, unlike silence, is answered at once."""
_PAGE: Final = 1000


class EventFeed:
    """The events after a sequence number, then every new one as it comes. An async context manager and iterator.

    While the database is away or refuses, it waits.
    """

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
        async for page in self.pages():
            for event in page:
                self.last_seq = event.seq
                yield event

    async def pages(self) -> AsyncIterator[list[ChangeEvent]]:
        """The same, as many at once as there are, for readers to whom that is cheaper."""
        # Polled from the database: other processes write into it too, and a reader that sleeps costs one small query.
        while True:
            page = await self._page()
            if page:
                yield page
                self.last_seq = page[-1].seq
            if len(page) < _PAGE:
                await anyio.sleep(self._poll_seconds)

    async def _page(self) -> list[ChangeEvent]:
        try:
            return await anyio.to_thread.run_sync(partial(self._db.events.after, self.last_seq, limit=_PAGE))
        except DatabaseError as error:
            # Somebody may mend it: a password, a full disk. What is missed now comes then.
            logger.warning("the change feed waits: %s", error)
            await anyio.sleep(_FAILED_SECONDS)
            return []


class EventFeedService:
    """Gives out the change feed."""

    def __init__(self, db: Database, *, poll_seconds: float = _POLL_SECONDS) -> None:
        self._db = db
        self._poll_seconds = poll_seconds

    def follow(self, after: int = 0) -> EventFeed:
        """Every event after `after`, old and future."""
        return EventFeed(self._db, after, self._poll_seconds)

    async def list_events(
        self, after: int = 0, *, limit: int = _PAGE, library_id: str | None = None, file_id: str | None = None
    ) -> list[ChangeEvent]:
        """The events that follow `after` and are there already, at most `limit`; of a library or a file, if asked."""
        ask = partial(self._db.events.after, after, limit=limit, library_id=library_id, file_id=file_id)
        return await anyio.to_thread.run_sync(ask)

    async def last_seq(self) -> int:
        """The number of the newest event; 0 if there was none."""
        return await anyio.to_thread.run_sync(self._db.events.last_seq)
