"""The change feed over HTTP: a page of it, or a stream that goes on."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from nomarr.app import Nomarr
from nomarr.helpers.dto.events import ChangeEvent
from nomarr.interfaces.api.answers_if import Answer
from nomarr.interfaces.api.context_if import OpenNomarr, Running
from nomarr.interfaces.api.models_if import EventShape, Page
from nomarr.interfaces.api.problems_if import PROBLEMS, problems
from nomarr.interfaces.api.streams_if import LAST_EVENT_ID, EventStream, last_event_id
from nomarr.interfaces.contract import JsonObject, event_object

__all__ = ["event_page", "router"]

router = APIRouter(prefix="/api/v1", tags=["events"], responses=PROBLEMS)
_LARGEST: Final = (1 << 63) - 1
_STREAM: Final[dict[int | str, dict[str, Any]]] = {200: {"content": {"text/event-stream": {}}}}


def event_page(events: Sequence[ChangeEvent], limit: int) -> JsonObject:
    """Events, and the number of the last one if there may be more."""
    following = str(events[-1].seq) if len(events) == limit else None
    return {"items": [event_object(event) for event in events], "next_cursor": following}


@router.get("/events", response_model=Page[EventShape], responses=problems(404))
async def list_events(
    nomarr: OpenNomarr,
    after: Annotated[int, Query(ge=0, le=_LARGEST)] = 0,
    library_id: str | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    newest: bool = False,
) -> Response:
    """What happened to files after the event with this number, oldest first; `next_cursor` is the next `after`.

    With `newest` it begins where only `limit` events of all libraries are left.
    """
    await _require_known(nomarr, library_id)
    if newest:
        after = max(after, await nomarr.event_feed.last_seq() - limit)
    events = await nomarr.event_feed.list_events(after, limit=limit, library_id=library_id)
    return Answer(event_page(events, limit))


@router.get(
    "/events/stream",
    response_class=Response,
    responses=_STREAM | problems(404),
    openapi_extra=LAST_EVENT_ID,
)
async def stream_events(
    request: Request,
    service: Running,
    after: Annotated[int | None, Query(ge=0, le=_LARGEST)] = None,
    library_id: str | None = None,
) -> Response:
    """Server-sent events: every `change` once, in order and with its number as id; and, as they come, `watch`,
    `scan`, `scan_request`, `library` and `enrichment`.

    A client that comes back with `Last-Event-ID` misses no change. One that does not keep up is disconnected.
    """
    await _require_known(service.nomarr, library_id)
    last = last_event_id(request, after)
    if last is not None:
        # A database that was restored from a copy is behind what the client knows; it would hear nothing for long.
        last = min(last, await service.nomarr.event_feed.last_seq())
    return EventStream(service.streams, partial(service.hub.stream, last, library_id))


async def _require_known(nomarr: Nomarr, library_id: str | None) -> None:
    """Raises `LibraryNotFound`."""
    if library_id is not None:
        await nomarr.libraries.get_library(library_id, counted=False)
