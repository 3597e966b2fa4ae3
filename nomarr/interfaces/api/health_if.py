"""Is the service alive, and can it answer?"""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response

from nomarr.interfaces.api.answers_if import Answer
from nomarr.interfaces.api.context_if import OpenNomarr, Running
from nomarr.interfaces.api.models_if import HealthShape, ReadyShape
from nomarr.interfaces.api.problems_if import PROBLEMS

__all__ = ["router"]

router = APIRouter(tags=["operations"], responses=PROBLEMS)


@router.get("/healthz", response_model=HealthShape)
async def is_alive() -> Response:
    """The process answers."""
    return Answer({"status": "ok"})


@router.get("/readyz", response_model=ReadyShape)
async def is_ready(nomarr: OpenNomarr) -> Response:
    """The database answers, too; 503 if it does not."""
    await nomarr.event_feed.last_seq()
    return Answer({"ready": True})


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(service: Running) -> Response:
    """Numbers for Prometheus."""
    return Response(await service.metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")
