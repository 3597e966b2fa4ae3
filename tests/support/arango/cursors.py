"""Results that wait to be fetched page by page."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from typing import Any

from support.arango.errors import Problem, ServerError
from support.arango.interpreter import Outcome
from support.arango.syntax import Json

DEFAULT_PAGE = 1000


@dataclass
class _Open:
    results: list[Json]
    page_size: int
    common: dict[str, Any]
    at: int = 0


@dataclass
class Cursors:
    """Open cursors by their id; one that was read to its end is gone."""

    _open: dict[str, _Open] = field(default_factory=dict)
    _ids: Any = field(default_factory=lambda: count(7001))

    def first_page(self, outcome: Outcome, *, page_size: int, counts: bool) -> dict[str, Any]:
        common: dict[str, Any] = {
            "cached": False,
            "extra": {"warnings": outcome.warnings, "stats": outcome.statistics},
        }
        if counts:
            common["count"] = len(outcome.results)
        return self._page(str(next(self._ids)), _Open(outcome.results, page_size, common))

    def next_page(self, cursor: str) -> dict[str, Any]:
        return self._page(cursor, self._take(cursor))

    def close(self, cursor: str) -> None:
        self._take(cursor)

    def __len__(self) -> int:
        return len(self._open)

    def _take(self, cursor: str) -> _Open:
        try:
            return self._open.pop(cursor)
        except KeyError:
            raise ServerError(Problem.CURSOR_NOT_FOUND) from None

    def _page(self, cursor: str, reading: _Open) -> dict[str, Any]:
        end = reading.at + reading.page_size
        page = reading.results[reading.at : end]
        reading.at = end
        body = {**reading.common, "result": page, "hasMore": end < len(reading.results)}
        if not body["hasMore"]:
            return body
        self._open[cursor] = reading
        return {**body, "id": cursor}
