"""The newest log lines over HTTP."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager
from enum import StrEnum
from typing import Annotated

import anyio
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from nomarr.interfaces.api.answers_if import Answer
from nomarr.interfaces.api.context_if import Running
from nomarr.interfaces.api.log_ring_if import LogFilter
from nomarr.interfaces.api.models_if import LogLineShape
from nomarr.interfaces.api.problems_if import PROBLEMS
from nomarr.interfaces.api.streams_if import LAST_EVENT_ID, EventStream, last_event_id

__all__ = ["router"]

router = APIRouter(prefix="/api/v1", tags=["operations"], responses=PROBLEMS)


class LogLevel(StrEnum):
    """How grave a line is."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


_Text = Annotated[str, Query(max_length=200, description="A text in the message or in the name of the logger")]


@router.get("/logs", response_model=list[LogLineShape])
async def list_log_lines(
    service: Running,
    level: LogLevel = LogLevel.INFO,
    query: _Text = "",
    after: Annotated[int, Query(ge=0)] = 0,
    limit: Annotated[int, Query(ge=1, le=2000)] = 200,
) -> Response:
    """The newest lines of this level or a graver one with this text, oldest first.

    What is below the setting `log_level` is not logged at all.
    """
    return Answer(service.logs.newest(_filter(level, query), after=after, limit=limit))


@router.get(
    "/logs/stream",
    response_class=Response,
    responses={200: {"content": {"text/event-stream": {}}}},
    openapi_extra=LAST_EVENT_ID,
)
async def stream_log_lines(
    request: Request,
    service: Running,
    level: LogLevel = LogLevel.INFO,
    query: _Text = "",
    after: Annotated[int | None, Query(ge=0)] = None,
) -> Response:
    """Server-sent events: such lines as they come, as `log` with their number as id.

    A client that comes back with `Last-Event-ID` gets what it missed, as far as it is still kept; `lost` says that
    there may have been more.
    """
    last = last_event_id(request, after)

    def begin(_: anyio.Event) -> AbstractContextManager[AsyncIterator[bytes]]:
        # Nothing waits here for a client that is slow: it finds what is still kept when it is ready for more.
        return service.logs.stream(_filter(level, query), last)

    return EventStream(service.streams, begin)


def _filter(level: LogLevel, text: str) -> LogFilter:
    return LogFilter(logging.getLevelName(level.upper()), text)
