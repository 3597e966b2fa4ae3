"""Lets a browser use a token without keeping it where scripts can read it."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.datastructures import Headers
from starlette.requests import cookie_parser

from nomarr.helpers.dto.tokens import TokenScope
from nomarr.interfaces.api.answers_if import Answer
from nomarr.interfaces.api.context_if import Running
from nomarr.interfaces.api.models_if import NewSession, SessionShape
from nomarr.interfaces.api.problems_if import NO_BODY, PROBLEMS, Refused, problems
from nomarr.interfaces.api.revocation_if import CurrentTokens

__all__ = ["HTTPS_COOKIE", "HTTP_COOKIE", "SESSION_PATH", "router", "session_token"]

HTTP_COOKIE: Final = "nomarr_token"
HTTPS_COOKIE: Final = "__Host-nomarr_token"
"""Another one, as what came by HTTP may not overwrite a secure cookie of the same name (RFC 6265bis, 5.7). The prefix
lets browsers take it by HTTPS only, and from no neighbour in the domain (4.1.3.2)."""
SESSION_PATH: Final = "/api/v1/session"
_YEAR_SECONDS: Final = 31_536_000
"""Browsers keep nothing for longer; the token says itself when it ends."""

router = APIRouter(tags=["tokens"], responses=PROBLEMS)


@router.get(SESSION_PATH, response_model=SessionShape)
async def show_session(request: Request, service: Running) -> Response:
    """Whether this browser uses a token that is good: its scripts can't see it."""
    token = session_token(request.headers, request.url.scheme)
    return Answer({"has_token": service.options.tokens_required and await _is_good(token, request)})


@router.put(SESSION_PATH, status_code=204, responses=problems(*NO_BODY))
async def begin_session(wish: NewSession, request: Request, service: Running) -> Response:
    """Let this browser use a token from now on, until the token ends."""
    answer = Response(status_code=204)
    if service.options.tokens_required:
        await _current(request).check(wish.token, TokenScope.READ)
        by_https = _came_by_https(request.headers, request.url.scheme)
        answer.set_cookie(
            HTTPS_COOKIE if by_https else HTTP_COOKIE,
            wish.token,
            max_age=_YEAR_SECONDS,
            httponly=True,
            samesite="strict",
            secure=by_https,
        )
    return answer


@router.delete(SESSION_PATH, status_code=204)
async def end_session() -> Response:
    """Let this browser forget its token, by HTTPS also one of HTTP."""
    answer = Response(status_code=204)
    answer.delete_cookie(HTTP_COOKIE)
    answer.delete_cookie(HTTPS_COOKIE, secure=True)
    return answer


def session_token(headers: Headers, scheme: str) -> str:
    """The token that this browser has handed in before; empty if there is none.

    By HTTPS, and by HTTP from the same computer, a browser may send both cookies: then that counts which was set so.
    """
    cookies = cookie_parser(headers.get("cookie", ""))
    names = (HTTP_COOKIE, HTTPS_COOKIE)
    for name in reversed(names) if _came_by_https(headers, scheme) else names:
        if cookies.get(name):
            return cookies[name]
    return ""


def _current(request: Request) -> CurrentTokens:
    current: CurrentTokens = request.app.state.current
    return current


async def _is_good(token: str, request: Request) -> bool:
    try:
        await _current(request).check(token, TokenScope.READ)
    except Refused:
        return False
    return True


def _came_by_https(headers: Headers, scheme: str) -> bool:
    """Whether the browser did, which only a proxy before this service may know.

    Anybody may say so and is believed: all that follows is that this browser sends its cookie by HTTPS only.
    """
    first, _, _ = headers.get("x-forwarded-proto", scheme).partition(",")
    return first.strip().lower() == "https"
