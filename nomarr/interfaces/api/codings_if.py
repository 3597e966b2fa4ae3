"""Answers in gzip, for whoever takes it."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import Receive, Scope, Send

__all__ = ["GzipIfTaken"]

_HEADER = b"accept-encoding"


class GzipIfTaken(GZipMiddleware):
    """ASGI middleware. The framework's own takes `gzip;q=0`, which refuses gzip, for a wish for it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            taken = b"gzip" if _takes_gzip(",".join(Headers(scope=scope).getlist("accept-encoding"))) else b"identity"
            others = [(name, value) for name, value in scope["headers"] if name != _HEADER]
            scope = {**scope, "headers": [*others, (_HEADER, taken)]}
        await super().__call__(scope, receive, send)


def _takes_gzip(accepted: str) -> bool:
    """`*` stands for what is not named, and a weight of 0 means no (RFC 9110, 12.5.3)."""
    weights = dict(map(_weighted, accepted.lower().split(",")))
    return weights.get("gzip", weights.get("*", 0.0)) > 0


def _weighted(coding: str) -> tuple[str, float]:
    name, _, weight = coding.partition(";")
    try:
        return name.strip(), float(weight.strip().removeprefix("q=") or 1)
    except ValueError:
        # Whatever this means, it is no clear yes.
        return name.strip(), 0.0
