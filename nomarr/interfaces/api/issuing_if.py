"""Makes, lists and revokes tokens over HTTP."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from nomarr.interfaces.api.answers_if import Answer
from nomarr.interfaces.api.context_if import OpenNomarr, Running, Service
from nomarr.interfaces.api.models_if import KeptTokenShape, NewToken, TokenShape
from nomarr.interfaces.api.problems_if import NO_BODY, PROBLEMS, problems
from nomarr.interfaces.api.tokens_if import sign
from nomarr.interfaces.contract import token_object

__all__ = ["router"]

router = APIRouter(prefix="/api/v1/tokens", tags=["tokens"], responses=PROBLEMS)


@router.get("", response_model=list[KeptTokenShape])
async def list_tokens(nomarr: OpenNomarr) -> Response:
    """The tokens that are good, newest first, as `nomarr token list` shows them; what they are is told to nobody."""
    return Answer([token_object(token) for token in await nomarr.tokens.list_tokens()])


@router.post("", response_model=TokenShape, status_code=201, responses=problems(*NO_BODY, 409))
async def create_token(wish: NewToken, request: Request, service: Running) -> Response:
    """Make a token, as `nomarr token create` does. Whoever has it can use it until it ends; it is told only now."""
    kept, key = await service.nomarr.tokens.keep(wish.name, wish.scope, wish.days)
    await _look_now(request, service)
    said = token_object(kept) | {"token": sign(kept, key)}
    return Answer(said, status_code=201, headers={"Cache-Control": "no-store"})


@router.delete("/{token_id}", status_code=204, responses=problems(404))
async def revoke_token(token_id: str, request: Request, service: Running) -> Response:
    """Make one token worthless, as `nomarr token revoke` does."""
    await service.nomarr.tokens.revoke(token_id)
    await _look_now(request, service)
    return Response(status_code=204)


@router.delete("", status_code=204)
async def revoke_all_tokens(request: Request, service: Running) -> Response:
    """Make every token until now worthless, also the one of this request, as `nomarr token revoke --all` does."""
    await service.nomarr.tokens.revoke_all()
    await _look_now(request, service)
    return Response(status_code=204)


async def _look_now(request: Request, service: Service) -> None:
    """This service must not be the last to know which tokens are good."""
    if service.options.tokens_required:
        await request.app.state.current.look()
