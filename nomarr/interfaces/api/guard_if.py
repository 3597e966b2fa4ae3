"""What stands before every endpoint: who may ask, how much, how often, and what a browser may do with the answer."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

import anyio
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nomarr.helpers.dto.tokens import TokenScope
from nomarr.interfaces.api.clients_if import client_in
from nomarr.interfaces.api.options_if import ServiceOptions
from nomarr.interfaces.api.problems_if import Refused, refusal_answer
from nomarr.interfaces.api.revocation_if import CurrentTokens
from nomarr.interfaces.api.session_if import SESSION_PATH, session_token

__all__ = ["Guard", "needed_scope"]

_HARMLESS: Final = frozenset({"GET", "OPTIONS"})
"""HEAD has become GET before."""
_FOR_OUR_PAGE: Final = ("/api/", "/metrics", "/openapi.json")
"""What takes work or a place: no other site's page may have it done."""
_FOR_ADMINS: Final = frozenset({"/api/v1/folders", "/api/v1/tokens"})
"""What is only read, but serves only to change something, or tells who else may get in."""
_PROTECTED: Final = ("/api/", "/metrics", "/openapi.json", "/docs")
_SECURITY_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_CLIENTS: Final = 10_000
"""Of so many clients it is remembered how often they asked."""


class Guard:
    """ASGI middleware. What it refuses never reaches an endpoint."""

    def __init__(
        self,
        app: ASGIApp,
        options: ServiceOptions,
        current: Callable[[], CurrentTokens],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app = app
        self._options = options
        self._current = current
        self._rates = _Rates(options.requests_per_second, options.burst, clock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        guarded = _with_headers(send)
        try:
            await self._check(scope)
        except Refused as refusal:
            await refusal_answer(refusal)(scope, receive, guarded)
            return
        await self._app(scope, self._while_allowed(scope, _limited(receive, self._options.max_body_bytes)), guarded)

    async def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        self._check_rate(scope)
        self._check_host(headers)
        if scope["method"] not in _HARMLESS or scope["path"].startswith(_FOR_OUR_PAGE):
            _check_origin(headers)
        await self._check_token(scope, headers)
        self._check_size(headers)

    def _check_rate(self, scope: Scope) -> None:
        if not self._rates.allows(client_in(scope)):
            raise Refused(429, "too many requests; wait a second", error="TooManyRequests", Retry_After="1")

    def _check_host(self, headers: Headers) -> None:
        allowed = self._options.allowed_hosts
        if allowed and _host_name(headers.get("host", "")) not in allowed:
            raise Refused(421, f"this service answers to {', '.join(allowed)} only", error="WrongHost")

    def _check_size(self, headers: Headers) -> None:
        said = headers.get("content-length", "0")
        if not said.isascii() or not said.isdigit() or int(said[:20]) > self._options.max_body_bytes:
            raise _too_large(self._options.max_body_bytes)

    async def _check_token(self, scope: Scope, headers: Headers) -> None:
        needed = needed_scope(scope["method"], scope["path"])
        if not self._options.tokens_required or needed is None:
            return
        token = _token(headers, scope["scheme"])
        if not token:
            raise Refused(
                401,
                "a token is needed, in the header Authorization (scheme Bearer); 'nomarr token create' makes one",
                error="TokenMissing",
                WWW_Authenticate="Bearer",
            )
        await self._current().check(token, needed)

    def _while_allowed(self, scope: Scope, receive: Receive) -> Receive:
        """A stream must not outlive its token: it hears that its client has left."""
        headers = Headers(scope=scope)

        async def allowed() -> Message:
            while True:
                with anyio.move_on_after(self._options.token_look_seconds):
                    return await receive()
                try:
                    await self._check_token(scope, headers)
                except Refused:
                    return {"type": "http.disconnect"}

        return allowed


class _Rates:
    """A bucket for each client that fills evenly and is emptied by requests."""

    def __init__(self, per_second: float, burst: int, clock: Callable[[], float]) -> None:
        self._per_second = per_second
        self._burst = burst
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def allows(self, client: str) -> bool:
        """True if the client may ask once more now."""
        now = self._clock()
        left, since = self._buckets.pop(client, (float(self._burst), now))
        left = min(float(self._burst), left + (now - since) * self._per_second)
        self._buckets[client] = (max(0.0, left - 1), now)
        if len(self._buckets) > _CLIENTS:
            self._buckets.popitem(last=False)
        return left >= 1


def needed_scope(method: str, path: str) -> TokenScope | None:
    """What a token has to be good for; None: no token is needed."""
    # Whoever hands in a token has none yet.
    if not path.startswith(_PROTECTED) or path == SESSION_PATH:
        return None
    if method in _HARMLESS and path.rstrip("/") not in _FOR_ADMINS:
        return TokenScope.READ
    return TokenScope.ADMIN


def _token(headers: Headers, scheme: str) -> str:
    """The token of a program, or of a browser that has handed it in before; empty if there is none."""
    kind, _, token = headers.get("authorization", "").partition(" ")
    # Another scheme is for a proxy before this service, which passes it on all the same.
    if kind.lower() == "bearer":
        return token.strip()
    return session_token(headers, scheme)


def _check_origin(headers: Headers) -> None:
    """Pages of other sites have nothing to do here, even where no token is needed.

    Browsers keep the answers from them, but not the work that these are, nor the places that streams take.
    """
    origin = headers.get("origin")
    is_other = origin is not None and _place(origin) != headers.get("host", "")
    if is_other or headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise Refused(403, "pages of other sites may ask and change nothing here", error="OtherOrigin")


def _place(origin: str) -> str | None:
    """Host and port; None for what is no address."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None


def _host_name(host: str) -> str:
    """Without the port; an IPv6 address without its brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()


def _limited(receive: Receive, max_bytes: int) -> Receive:
    """A body without a stated length must not be endless."""
    received = 0

    async def limited() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > max_bytes:
            raise _too_large(max_bytes)
        return message

    return limited


def _too_large(max_bytes: int) -> Refused:
    return Refused(413, f"a request holds at most {max_bytes:,} bytes", error="TooLarge", Connection="close")


def _with_headers(send: Send) -> Send:
    async def guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _SECURITY_HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("Cache-Control", "no-store")
        await send(message)

    return guarded
