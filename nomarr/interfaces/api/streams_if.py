"""Server-sent events: how they are written, and clients that listen to them, a limited number of them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any, Final

import anyio
import anyio.lowlevel
from fastapi import Request
from fastapi.responses import Response
from starlette.types import Receive, Scope, Send

from nomarr.interfaces.api.clients_if import client_in, share_of
from nomarr.interfaces.api.methods_if import is_head_only
from nomarr.interfaces.api.problems_if import Refused, refusal_answer
from nomarr.interfaces.contract import JsonObject

__all__ = [
    "HELLO",
    "LAST_EVENT_ID",
    "EventStream",
    "Source",
    "Streams",
    "block",
    "last_event_id",
    "or_keep_alive",
]

HELLO: Final = b"retry: 2000\n\n"
"""What a stream begins with: a browser that lost it comes back after so many milliseconds."""
LAST_EVENT_ID: Final[dict[str, Any]] = {
    "parameters": [
        {
            "name": "Last-Event-ID",
            "in": "header",
            "schema": {"type": "string", "pattern": "^[0-9]{1,18}$"},
            "description": "Go on after this event; browsers send it by themselves",
        }
    ]
}
"""For the OpenAPI document."""
_STILL_HERE: Final = b": still here\n\n"
_KEEP_ALIVE_SECONDS: Final = 15.0
_LONGEST_SEND_SECONDS: Final = 30.0
"""A client that has not taken one block for so long is let go."""

Source = Callable[[anyio.Event], AbstractContextManager[AsyncIterator[bytes]]]
"""Begins to tell one client; the event lets it go."""


class Streams:
    """Who listens."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._places: dict[anyio.Event, str] = {}
        """Which client has each."""
        self._is_closed = False
        self.dropped = 0
        """Clients that were let go because they read too slowly."""

    def __len__(self) -> int:
        return len(self._places)

    @contextmanager
    def place(self, client: str) -> Iterator[anyio.Event]:
        """A place for one stream, as the event that lets it go. Raises `Refused` if there is none for this client."""
        if list(self._places.values()).count(client) >= share_of(client, self._most):
            raise Refused(429, "too many streams; close some", error="TooManyStreams", Retry_After="5")
        if self._is_closed or len(self._places) >= self._most:
            raise Refused(503, "too many clients listen already; try later", error="TooManyStreams", Retry_After="5")
        gone = anyio.Event()
        self._places[gone] = client
        try:
            yield gone
        finally:
            del self._places[gone]
            if gone.is_set() and not self._is_closed:
                self.dropped += 1

    def close(self) -> None:
        """Let every client go: the service ends."""
        self._is_closed = True
        for gone in self._places:
            gone.set()


class EventStream(Response):
    """Sends until the client leaves, is let go, or the service ends."""

    media_type = "text/event-stream"

    def __init__(self, streams: Streams, source: Source) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        # Its length is not known.
        del self.headers["content-length"]
        self._streams = streams
        self._source = source

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        head = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        if is_head_only(scope):
            # Nobody listens: it takes no place.
            await send(head)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            return
        try:
            with self._streams.place(client_in(scope)) as gone:
                await send(head)
                await self._send_until_gone(gone, receive, send)
        except Refused as refusal:
            await refusal_answer(refusal)(scope, receive, send)
            return
        with anyio.move_on_after(1):
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_until_gone(self, gone: anyio.Event, receive: Receive, send: Send) -> None:
        async with anyio.create_task_group() as tasks:
            # Also out of a `send` that waits for a client that reads nothing.
            async def end_when_gone() -> None:
                await gone.wait()
                tasks.cancel_scope.cancel()

            async def end_when_left() -> None:
                # Whoever sends too much meanwhile has to leave, too.
                with suppress(Refused):
                    while (await receive())["type"] != "http.disconnect":
                        pass
                tasks.cancel_scope.cancel()

            tasks.start_soon(end_when_gone)
            tasks.start_soon(end_when_left)
            with self._source(gone) as blocks:
                async for body in blocks:
                    with anyio.move_on_after(_LONGEST_SEND_SECONDS) as patience:
                        await send({"type": "http.response.body", "body": body, "more_body": True})
                        # A send that does not have to wait gives nobody else a turn.
                        await anyio.lowlevel.checkpoint()
                    if patience.cancelled_caught:
                        gone.set()


def block(kind: str, said: JsonObject, number: int | None = None) -> bytes:
    """One event; a client that comes back names the last `number` that it got."""
    # ASCII and on one line: json.dumps escapes line ends and everything else that would end the block.
    numbered = "" if number is None else f"id: {number}\n"
    return f"{numbered}event: {kind}\ndata: {json.dumps(said)}\n\n".encode("ascii")


def last_event_id(request: Request, after: int | None) -> int | None:
    """The last event that a client got: its `Last-Event-ID`, or else `after`. Raises `Refused`."""
    said = request.headers.get("last-event-id")
    if said is None:
        return after
    if not said.isascii() or not said.isdigit() or len(said) > 18:
        raise Refused(422, "Last-Event-ID is the number of an event", error="RequestNotValid")
    return int(said)


async def or_keep_alive(arrival: anyio.Event) -> bytes | None:
    """Wait until there is something; what keeps the connection open if there is nothing for long."""
    with anyio.move_on_after(_KEEP_ALIVE_SECONDS):
        await arrival.wait()
        return None
    return _STILL_HERE
