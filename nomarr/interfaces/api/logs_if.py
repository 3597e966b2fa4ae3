"""The newest log lines over HTTP."""

from __future__ import annotations

import logging
from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response

from nomarr.interfaces.api.answers_if import Answer
from nomarr.interfaces.api.context_if import Running
from nomarr.interfaces.api.models_if import LogLineShape
from nomarr.interfaces.api.problems_if import PROBLEMS

__all__ = ["router"]

router = APIRouter(prefix="/api/v1", tags=["operations"], responses=PROBLEMS)


class _Level(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@router.get("/logs", response_model=list[LogLineShape])
async def list_log_lines(
    service: Running,
    level: _Level = _Level.INFO,
    query: Annotated[str, Query(max_length=200)] = "",
    after: Annotated[int, Query(ge=0)] = 0,
    limit: Annotated[int, Query(ge=1, le=2000)] = 200,
) -> Response:
    """The newest lines of this level or a graver one with this text, oldest first.

    What is below the setting `log_level` is not logged at all.
    """
    lines = service.logs.newest(level=logging.getLevelName(level.upper()), text=query, after=after, limit=limit)
    return Answer(lines)
