"""Settings that were changed while a service ran: the database keeps them."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any, Final

import anyio.to_thread

from nomarr.helpers.dto.settings import KeptSettings
from nomarr.helpers.exceptions import ConfigurationError
from nomarr.persistence.db import Database

__all__ = ["KeptSettingService"]

logger = logging.getLogger(__name__)

_KEY: Final = "service_settings"
"""The setting of the database that holds them all, as a JSON object."""
_CHOSEN: Final = "choose it again on the page of 'nomarr serve' or over HTTP"


class KeptSettingService:
    """Reads and changes the settings that were changed over HTTP, whoever else changes others at the same time."""

    def __init__(
        self, db: Database, check: Callable[[Mapping[str, Any]], object], of_the_database: Collection[str]
    ) -> None:
        """
        Args:
            check: raises `ConfigurationError` for settings that can't be used.
            of_the_database: settings of which nobody may take something unreadable for nothing.
        """
        self._db = db
        self._check = check
        self._of_the_database = frozenset(of_the_database)
        self._told: frozenset[str] = frozenset()

    async def read(self) -> KeptSettings:
        """What is kept; what can't be used is told in the log, once."""
        return await anyio.to_thread.run_sync(self.read_now)

    def read_now(self) -> KeptSettings:
        """As `read`. Synchronous: call it in a worker thread."""
        return self._judged(self._db.settings.get(_KEY))

    async def change(self, changes: Mapping[str, Any]) -> None:
        """Keep these, besides the others that are kept."""
        await self._rewrite(lambda kept: {**kept, **changes})

    async def forget(self, name: str) -> None:
        """Keep this setting no longer."""
        await self._rewrite(lambda kept: {other: value for other, value in kept.items() if other != name})

    async def forget_unusable(self) -> KeptSettings:
        """As `read`; what can't be used is not kept any longer, unless it is a setting of the database."""
        kept = await self.read()
        if kept.unusable:
            await self._rewrite(self._without_unusable)
        return kept

    async def _rewrite(self, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        def changed(text: str | None) -> str:
            before = self._stored(text)
            after = change(before)
            # What nobody can read stays as it is until somebody chooses: the version that wrote it may come back.
            return text if text is not None and after == before else json.dumps(after)

        await anyio.to_thread.run_sync(partial(self._db.settings.update, _KEY, changed))

    def _stored(self, text: str | None) -> dict[str, Any]:
        """What is stored by name. If it can't be told what that is, each setting of the database may be in it."""
        if text is None:
            return {}
        kept = _object_in(text)
        return dict.fromkeys(sorted(self._of_the_database)) if kept is None else kept

    def _judged(self, text: str | None) -> KeptSettings:
        stored = self._stored(text)
        problems = {name: problem for name, value in stored.items() if (problem := self._problem_of(name, value))}
        self._tell(frozenset(problems.values()))
        usable = {name: value for name, value in stored.items() if name not in problems}
        found = frozenset(problems)
        return KeptSettings(usable, found & self._of_the_database, found - self._of_the_database)

    def _without_unusable(self, stored: dict[str, Any]) -> dict[str, Any]:
        return {
            name: value
            for name, value in stored.items()
            if name in self._of_the_database or self._problem_of(name, value) is None
        }

    def _problem_of(self, name: str, value: Any) -> str | None:
        try:
            self._check({name: value})
        except ConfigurationError as error:
            if name in self._of_the_database:
                return f"what was chosen for {name} can't be read ({error}); {_CHOSEN}"
            # Another version stored it; a program is worth more without it than not at all.
            return f"a setting that was changed over HTTP is left out: {error}"
        return None

    def _tell(self, problems: frozenset[str]) -> None:
        """In the log, unless the last look found it, too: whoever watches looks every few seconds."""
        new, self._told = problems - self._told, problems
        for problem in sorted(new):
            logger.warning("%s", problem)


def _object_in(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
