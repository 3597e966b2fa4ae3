"""The web page: files as they are, to be asked for again whenever they may have changed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from fastapi import APIRouter, FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from nomarr.interfaces.api.problems_if import Refused

__all__ = ["install_page"]

_FOLDER: Final = Path(__file__).parents[1] / "web"
_ASK_AGAIN: Final = {"Cache-Control": "no-cache"}
"""Browsers keep it and ask whether it is still the same, so that an upgrade is seen at once."""

router = APIRouter()


def install_page(app: FastAPI) -> None:
    """Answer `/` with the page, and what is below `/page/` with the files that it is made of."""
    app.include_router(router)
    app.mount("/page", _files)


@router.get("/", include_in_schema=False)
async def show_page(request: Request) -> Response:
    """The page."""
    return await _files.get_response("index.html", request.scope)


class _PageFiles(StaticFiles):
    async def get_response(self, path: str, scope: Scope) -> Response:
        if scope["method"] != "GET":
            raise Refused(405, "the page's files can only be read", error="Http", Allow="GET, HEAD")
        if scope["path"] != "/" and scope["path"].endswith("/"):
            # The framework would take it for the file without it.
            raise HTTPException(404)
        # These files are small, so no part of one is sent alone, and a range that is none is no error.
        scope["headers"] = [(name, value) for name, value in scope["headers"] if name != b"range"]
        return await super().get_response(path, scope)

    def file_response(
        self, full_path: str | os.PathLike[str], stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        answer = super().file_response(full_path, stat_result, scope, status_code)
        answer.headers.update(_ASK_AGAIN)
        return answer


_files: Final = _PageFiles(directory=_FOLDER)
