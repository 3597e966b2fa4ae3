"""The change feed over HTTP: a page of it, or a stream that goes on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

import anyio
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from starlette.types import Receive, Scope, Send

from nomarr.helpers.dto.events import ChangeEvent
from nomarr.interfaces.api.answers_if import Answer
from nomarr.interfaces.api.context_if import OpenNomarr, Running
from nomarr.interfaces.api.event_hub_if import EventHub, TooManyStreams
from nomarr.interfaces.api.models_if import EventShape, Page
from nomarr.interfaces.api.problems_if import PROBLEMS, Refused, refusal_answer
from nomarr.interfaces.contract import JsonObject, event_object

__all__ = ["event_page", "router"]

router = APIRouter(prefix="/api/v1", tags=["events"], responses=PROBLEMS)
_LARGEST: Final = (1 << 63) - 1


def event_page(events: Sequence[ChangeEvent], limit: int) -> JsonObject:
    """Events, and the number of the last one if there may be more."""
    following = str(events[-1].seq) if len(events) == limit else None
    return {"items": [event_object(event) for event in events], "next_cursor": following}


@router.get("/events", response_model=Page[EventShape])
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
    if newest:
        after = max(after, await nomarr.event_feed.last_seq() - limit)
    events = await nomarr.event_feed.list_events(after, limit=limit, library_id=library_id)
    return Answer(event_page(events, limit))


@router.get(
    "/events/stream",
    response_class=Response,
    responses={200: {"content": {"text/event-stream": {}}}},
    openapi_extra={
        "parameters": [
            {"name": "Last-Event-ID", "in": "header", "schema": {"type": "string"}, "description": "Go on after it"}
        ]
    },
)
async def stream_events(
    request: Request,
    service: Running,
    after: Annotated[int | None, Query(ge=0, le=_LARGEST)] = None,
    library_id: str | None = None,
) -> Response:
    """Server-sent events: every `change` once, in order and with its number as id; and, as they come, `watch`,
    `scan`, `scan_request` and `enrichment`.

    A client that comes back with `Last-Event-ID` misses no change. One that does not keep up is disconnected.
    """
    said = request.headers.get("last-event-id")
    if said is not None:
        after = _event_id(said)
    return _EventStream(service.hub, after, library_id)


def _event_id(said: str) -> int:
    if not said.isascii() or not said.isdigit() or len(said) > 18:
        raise Refused(422, "Last-Event-ID is the number of an event", error="RequestNotValid")
    return int(said)


class _EventStream(Response):
    """Sends until the client leaves, is let go, or the service ends."""

    media_type = "text/event-stream"

    def __init__(self, hub: EventHub, after: int | None, library_id: str | None) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        # Its length is not known.
        del self.headers["content-length"]
        self._hub = hub
        self._after = after
        self._library_id = library_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            with self._hub.listen() as listener:
                await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
                async with anyio.create_task_group() as tasks:
                    # Also out of a `send` that waits for a client that reads nothing.
                    async def end_when_gone() -> None:
                        await listener.gone.wait()
                        tasks.cancel_scope.cancel()

                    async def end_when_left() -> None:
                        while (await receive())["type"] != "http.disconnect":
                            pass
                        tasks.cancel_scope.cancel()

                    tasks.start_soon(end_when_gone)
                    tasks.start_soon(end_when_left)
                    async for block in self._hub.blocks(listener, self._after, self._library_id):
                        await send({"type": "http.response.body", "body": block, "more_body": True})
        except TooManyStreams:
            refusal = Refused(
                503, "too many clients listen already; try later", error="TooManyStreams", Retry_After="5"
            )
            await refusal_answer(refusal)(scope, receive, send)
            return
        with anyio.move_on_after(1):
            await send({"type": "http.response.body", "body": b"", "more_body": False})
