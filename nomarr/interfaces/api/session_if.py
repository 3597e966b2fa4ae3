"""Lets a browser use a token without keeping it where scripts can read it."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

from nomarr.interfaces.api.answers_if import Answer
from nomarr.interfaces.api.context_if import Running
from nomarr.interfaces.api.models_if import NewSession, SessionShape
from nomarr.interfaces.api.problems_if import NO_BODY, PROBLEMS, Refused, problems
from nomarr.interfaces.api.tokens_if import Tokens, TokenScope

__all__ = ["SESSION_COOKIE", "SESSION_PATH", "router"]

SESSION_COOKIE: Final = "nomarr_token"
SESSION_PATH: Final = "/api/v1/session"
_YEAR_SECONDS: Final = 31_536_000
"""Browsers keep nothing for longer; the token says itself when it ends."""

router = APIRouter(tags=["tokens"], responses=PROBLEMS)


@router.get(SESSION_PATH, response_model=SessionShape)
async def show_session(request: Request, service: Running) -> Response:
    """Whether this browser uses a token that is good: its scripts can't see it."""
    token = request.cookies.get(SESSION_COOKIE, "")
    return Answer({"has_token": service.options.tokens_required and _is_good(token, request)})


@router.put(SESSION_PATH, status_code=204, responses=problems(*NO_BODY))
async def begin_session(wish: NewSession, request: Request, service: Running) -> Response:
    """Let this browser use a token from now on, until the token ends."""
    answer = Response(status_code=204)
    if service.options.tokens_required:
        _tokens(request).check(wish.token, TokenScope.READ)
        answer.set_cookie(
            SESSION_COOKIE,
            wish.token,
            max_age=_YEAR_SECONDS,
            httponly=True,
            samesite="strict",
            secure=_came_by_https(request),
        )
    return answer


@router.delete(SESSION_PATH, status_code=204)
async def end_session() -> Response:
    """Let this browser forget its token."""
    answer = Response(status_code=204)
    answer.delete_cookie(SESSION_COOKIE)
    return answer


def _tokens(request: Request) -> Tokens:
    tokens: Tokens = request.app.state.tokens()
    return tokens


def _is_good(token: str, request: Request) -> bool:
    try:
        _tokens(request).check(token, TokenScope.READ)
    except Refused:
        return False
    return True


def _came_by_https(request: Request) -> bool:
    """Whether the browser did, which only a proxy before this service may know.

    Anybody may say so and is believed: all that follows is that this browser sends its cookie by HTTPS only.
    """
    first, _, _ = request.headers.get("x-forwarded-proto", request.url.scheme).partition(",")
    return first.strip().lower() == "https"
