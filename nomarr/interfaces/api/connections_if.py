"""Connections: how many there may be, and how long a client may keep one without doing its part (ADR 21)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Any, Final

import h11
from starlette.types import Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol
from uvicorn.server import ServerState

from nomarr.interfaces.api.clients_if import client_of, share_of
from nomarr.interfaces.api.options_if import ServiceOptions
from nomarr.interfaces.api.problems_if import Refused, refusal_answer

__all__ = ["Connection", "Connections"]

logger = logging.getLogger(__name__)

_FAULTS: Final = logging.getLogger("uvicorn.error.connections")
"""For uvicorn's errors only: its warnings are of what clients say, and anybody may say anything, as often as wanted."""
_FAULTS.setLevel(logging.ERROR)
_CLOSE: Final = {"Connection": "close"}


class Connections:
    """All that are open. One that waits for a request, or the rest of one, makes room: waiting keeps nobody out."""

    def __init__(self, options: ServiceOptions, most: int) -> None:
        self.options = options
        self._most = most
        self._open: dict[Connection, str] = {}
        """The client of each, first the one that has waited for the longest."""

    def add(self, connection: Connection, client: str) -> None:
        """Raises `Refused` if all that the client may have, or all that there may be, are in use."""
        own = [other for other, whose in self._open.items() if whose == client]
        if len(own) >= share_of(client, self._most) and not self._end_idle(own):
            raise Refused(429, "too many connections; close some", error="TooManyConnections", **_CLOSE)
        if len(self._open) >= self._most and not self._end_idle(self._open):
            raise Refused(503, "too many clients are connected; try later", error="TooManyConnections", **_CLOSE)
        self._open[connection] = client

    def begins_to_wait(self, connection: Connection) -> None:
        """It has waited for less time than all others."""
        if connection in self._open:
            self._open[connection] = self._open.pop(connection)

    def remove(self, connection: Connection) -> None:
        """It has ended, or was never taken in."""
        self._open.pop(connection, None)

    def _end_idle(self, connections: Iterable[Connection]) -> bool:
        """End the one that has waited for a request for the longest; False if there is none."""
        idle = next((connection for connection in connections if connection.is_idle), None)
        if idle is None:
            return False
        self.remove(idle)
        idle.transport.abort()
        return True


class Connection(H11Protocol):
    """One connection. uvicorn itself only limits how long it may be idle after an answer."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        known: Connections,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.logger = _FAULTS
        self._answer = self.app
        self.app = self._answer_in_time
        self._known = known
        self._awaited: object = None
        """What the client has to send now, as the state that h11 sees it in."""
        self._arrival = _Deadline(self.loop)
        self._departure = _Deadline(self.loop)
        self._unsent = 0

    @property
    def is_idle(self) -> bool:
        """True while the client has not asked for anything that it did not get, or not to the end."""
        if self.conn.their_state is h11.SEND_BODY:
            return True
        owes_nothing = self.conn.our_state not in (h11.SEND_RESPONSE, h11.SEND_BODY)
        return owes_nothing and self.transport.get_write_buffer_size() == 0

    @property
    def _is_asked_for_head(self) -> bool:
        """True if the answer that it owes has no body."""
        return self.conn.our_state is h11.SEND_RESPONSE and self.scope["method"] == "HEAD"

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn does
        super().connection_made(transport)
        # Whatever the client does not take is noticed at once.
        transport.set_write_buffer_limits(high=0)
        try:
            self._known.add(self, client_of(self.client[0] if self.client else ""))
        except Refused as refusal:
            self._end_with(refusal)
        self._await_request()

    def connection_lost(self, exc: Exception | None) -> None:
        self._known.remove(self)
        self._arrival.cancel()
        self._departure.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._await_request()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._await_request()

    def shutdown(self) -> None:
        if self.conn.their_state is h11.SEND_BODY and self.conn.our_state is h11.SEND_RESPONSE:
            # The rest of the request may never arrive.
            self._end_with(_the_service_ends())
        else:
            super().shutdown()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._await_taking()

    def resume_writing(self) -> None:
        self._departure.cancel()
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        self._end_with(Refused(400, "this is no request in HTTP/1.1", error="NotHttp", **_CLOSE))

    async def _answer_in_time(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As the application does, until the service ends."""
        try:
            await self._answer(scope, receive, send)
        except asyncio.CancelledError:
            # uvicorn waits for a while and then cancels what has not ended. It would tell that as a fault.
            self._end_with(_the_service_ends())

    def _await_request(self) -> None:
        """Give what comes next its time; what has begun to come gets no more by coming slowly."""
        awaited = self.conn.their_state
        if awaited is self._awaited:
            return
        self._awaited = awaited
        self._known.begins_to_wait(self)
        options = self._known.options
        if awaited is h11.IDLE:
            self._arrival.set(options.head_seconds, self._end_late)
        elif awaited is h11.SEND_BODY:
            self._arrival.set(options.body_seconds, self._end_late)
        else:
            self._arrival.cancel()

    def _end_late(self) -> None:
        if self.conn.their_state is h11.IDLE and not self.conn.trailing_data[0]:
            # It has not even begun; browsers open such connections to be quick later.
            self.transport.close()
        else:
            self._end_with(Refused(408, "the request did not arrive in time", error="TooSlow", **_CLOSE))

    def _await_taking(self) -> None:
        self._unsent = self.transport.get_write_buffer_size()
        self._departure.set(self._known.options.send_seconds, self._end_if_stuck)

    def _end_if_stuck(self) -> None:
        if self.transport.get_write_buffer_size() < self._unsent:
            # Slow, but alive.
            self._await_taking()
        else:
            self.transport.abort()

    def _end_with(self, refusal: Refused) -> None:
        """End the connection, with an answer if it owes one."""
        logger.debug("the connection of %s is ended: %s", self.client, refusal.detail)
        if self.cycle is not None:
            # What an endpoint says from now on comes too late.
            self.cycle.disconnected = True
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            answer = refusal_answer(refusal)
            status = answer.status_code
            head = h11.Response(status_code=status, headers=answer.raw_headers, reason=STATUS_PHRASES[status])
            body = () if self._is_asked_for_head else (h11.Data(data=bytes(answer.body)),)
            for event in (head, *body, h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()


def _the_service_ends() -> Refused:
    return Refused(503, "the service ends; ask again once it runs", error="ServiceEnds", **_CLOSE)


class _Deadline:
    """Calls once something has taken too long."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None

    def set(self, seconds: float, call: Callable[[], None]) -> None:
        """Instead of what was set before."""
        self.cancel()
        self._timer = self._loop.call_later(seconds, call)

    def cancel(self) -> None:
        """There is no hurry any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
