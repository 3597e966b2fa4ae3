"""Is the service alive, and can it answer?"""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response

from nomarr.interfaces.api.answers_if import Answer
from nomarr.interfaces.api.context_if import Running
from nomarr.interfaces.api.models_if import HealthShape, ReadyShape
from nomarr.interfaces.api.problems_if import PROBLEMS, Refused

__all__ = ["router"]

router = APIRouter(tags=["operations"], responses=PROBLEMS)


@router.get("/healthz", response_model=HealthShape)
async def is_alive() -> Response:
    """The process answers."""
    return Answer({"status": "ok"})


@router.get("/readyz", response_model=ReadyShape)
async def is_ready(service: Running) -> Response:
    """The database answers, too, and changes are passed on; 503 if not."""
    await service.nomarr.event_feed.last_seq()
    if not service.hub.is_running:
        raise Refused(503, "changes are not passed on any more; restart the service", error="EventsStopped")
    return Answer({"ready": True})


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(service: Running) -> Response:
    """Numbers for Prometheus."""
    return Response(await service.metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")
