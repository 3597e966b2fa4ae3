"""How libraries are watched, and what is wrong, over HTTP."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response

from nomarr.interfaces.api.answers_if import Answer
from nomarr.interfaces.api.context_if import OpenNomarr
from nomarr.interfaces.api.models_if import CheckShape, StatusShape
from nomarr.interfaces.api.problems_if import PROBLEMS
from nomarr.interfaces.contract import check_object, status_object

__all__ = ["router"]

router = APIRouter(prefix="/api/v1/watcher", tags=["watcher"], responses=PROBLEMS)


@router.get("", response_model=list[StatusShape])
async def list_watched(nomarr: OpenNomarr) -> Response:
    """Every watched library as its watcher sees it, with the reason where something can't be seen."""
    return Answer([status_object(status) for status in nomarr.watcher.status()])


@router.get("/health", response_model=list[CheckShape])
async def check_health(nomarr: OpenNomarr) -> Response:
    """What `nomarr doctor` finds: each thing that was looked at, and the remedy where something is wrong."""
    checks = await nomarr.doctor.check_machine() + await nomarr.doctor.check_database()
    return Answer([check_object(check) for check in checks])
