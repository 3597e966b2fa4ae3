"""Playlists over HTTP: which there are, and what is in one, both a page at a time."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from nomarr.interfaces.api.answers_if import Answer
from nomarr.interfaces.api.context_if import OpenNomarr, query_path
from nomarr.interfaces.api.cursors_if import LONGEST_PATH_CURSOR, cursor_of_path, path_of
from nomarr.interfaces.api.models_if import EntryShape, Page, PlaylistShape
from nomarr.interfaces.api.problems_if import PROBLEMS, Refused, problems
from nomarr.interfaces.contract import playlist_entry_object

__all__ = ["router"]

router = APIRouter(prefix="/api/v1/libraries/{library_id}/playlists", tags=["playlists"], responses=PROBLEMS)
_PLAYLISTS: Final = "playlists"
_PATH_PARAMETER: Final = {
    "parameters": [
        {
            "name": "path",
            "in": "query",
            "required": True,
            "schema": {"type": "string"},
            "description": "Path of the playlist, relative to the library's root",
        }
    ]
}
_Limit = Annotated[int, Query(ge=1, le=1000)]


@router.get("", response_model=Page[PlaylistShape], responses=problems(404))
async def list_playlists(
    library_id: str,
    nomarr: OpenNomarr,
    cursor: Annotated[str | None, Query(max_length=LONGEST_PATH_CURSOR)] = None,
    limit: _Limit = 100,
) -> Response:
    """The library's playlists by path, without their entries."""
    after = "" if cursor is None else path_of(cursor, _PLAYLISTS)
    found = await nomarr.libraries.page_of_playlists(library_id, after=after, limit=limit)
    items = [{"library_id": each.library_id, "path": each.path, "error": each.error} for each in found]
    following = cursor_of_path(found[-1].path, _PLAYLISTS) if len(found) == limit else None
    return Answer({"items": items, "next_cursor": following})


@router.get("/entries", response_model=Page[EntryShape], responses=problems(404), openapi_extra=_PATH_PARAMETER)
async def list_entries(
    library_id: str,
    request: Request,
    nomarr: OpenNomarr,
    after: Annotated[int, Query(ge=0, lt=1 << 31)] = 0,
    limit: _Limit = 100,
) -> Response:
    """The entries of one playlist behind its first `after` ones, in its order; `next_cursor` is the next `after`."""
    path = query_path(request, "path")
    entries = await nomarr.libraries.page_of_entries(library_id, path, after=after, limit=limit)
    if entries is None:
        raise Refused(404, "there is no such playlist in this library", error="PlaylistNotFound")
    following = str(after + limit) if len(entries) == limit else None
    return Answer({"items": [playlist_entry_object(entry) for entry in entries], "next_cursor": following})
