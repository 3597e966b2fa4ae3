"""Small values that belong to the database and are kept in it."""

from __future__ import annotations

from functools import partial

import anyio.to_thread

from nomarr.persistence.db import Database

__all__ = ["SettingService"]


class SettingService:
    """Named texts."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def get(self, name: str) -> str | None:
        """None if nothing is stored under this name."""
        return await anyio.to_thread.run_sync(self._db.settings.get, name)

    async def put(self, name: str, text: str) -> None:
        """Store it, instead of what was there."""
        await anyio.to_thread.run_sync(partial(self._db.settings.set, name, text))

    async def get_or_put(self, name: str, text: str) -> str:
        """What is stored; `text`, and it is stored, if nothing was, whoever else asks at the same time."""
        return await anyio.to_thread.run_sync(partial(self._db.settings.get_or_set, name, text))
