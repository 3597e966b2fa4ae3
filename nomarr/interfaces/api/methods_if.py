"""HEAD, for everything that can be read, and which methods a path knows."""

from __future__ import annotations

from typing import Final

from fastapi import Request
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["HeadAsGet", "allowed_methods", "is_head_only"]

_HEAD_ONLY: Final = "nomarr.head_only"
"""In the scope of a request that is answered without a body."""
_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")


class HeadAsGet:
    """ASGI middleware. Answers HEAD as GET, without the body: whatever can be read has both (RFC 9110, 9.1)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "HEAD":
            await self._app({**scope, "method": "GET", _HEAD_ONLY: True}, receive, _without_body(send))
        else:
            await self._app(scope, receive, send)


def is_head_only(scope: Scope) -> bool:
    """True if nobody gets the body of the answer: what has no end must not begin."""
    return _HEAD_ONLY in scope


def allowed_methods(request: Request) -> str:
    """For the header `Allow`: every method that the request's path knows, not only those of its first route."""
    methods = [method for method in _METHODS if _is_known(request, method)]
    return ", ".join("GET, HEAD" if method == "GET" else method for method in methods)


def _is_known(request: Request, method: str) -> bool:
    asked = {**request.scope, "method": method}
    return any(route.matches(asked)[0] is Match.FULL for route in request.app.routes)


def _without_body(send: Send) -> Send:
    async def head_only(message: Message) -> None:
        await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

    return head_only
