"""Libraries over HTTP."""

from __future__ import annotations

from dataclasses import asdict

from fastapi import APIRouter, Request
from fastapi.responses import Response

from nomarr.interfaces.api.answers_if import Answer
from nomarr.interfaces.api.browse_if import folders_in, require_inside
from nomarr.interfaces.api.context_if import OpenNomarr, Running, query_path
from nomarr.interfaces.api.models_if import (
    FoldersShape,
    LibraryChanges,
    LibraryShape,
    NewLibrary,
    NewPlace,
    NewWatchMode,
    PatternProblemShape,
)
from nomarr.interfaces.api.problems_if import NO_BODY, PROBLEMS, problems
from nomarr.interfaces.contract import library_object

__all__ = ["router"]

router = APIRouter(prefix="/api/v1", tags=["libraries"], responses=PROBLEMS)
_FOLDER_PARAMETER = {
    "parameters": [{"name": "path", "in": "query", "schema": {"type": "string"}, "description": "Absolute path"}]
}


@router.get("/libraries", response_model=list[LibraryShape])
async def list_libraries(nomarr: OpenNomarr) -> Response:
    """Every library, by name."""
    return Answer([library_object(library) for library in await nomarr.libraries.list_libraries()])


@router.post("/libraries", response_model=LibraryShape, status_code=201, responses=problems(*NO_BODY, 409))
async def add_library(new: NewLibrary, service: Running) -> Response:
    """Make a folder a library. It is watched, and so scanned, at once unless its watch mode is off."""
    nomarr = service.nomarr
    path = await require_inside(new.path, service.options.browse_roots)
    library = await nomarr.libraries.add_library(
        new.name,
        path,
        watch_mode=new.watch_mode,
        ignore_patterns=new.ignore_patterns,
        transcode_policy=new.transcode_policy,
    )
    await service.follow_libraries()
    where = {"Location": f"/api/v1/libraries/{library.library_id}"}
    return Answer(library_object(library), status_code=201, headers=where)


@router.get("/libraries/{library_id}", response_model=LibraryShape, responses=problems(404))
async def show_library(library_id: str, nomarr: OpenNomarr) -> Response:
    """One library."""
    return Answer(library_object(await nomarr.libraries.get_library(library_id)))


@router.patch("/libraries/{library_id}", response_model=LibraryShape, responses=problems(*NO_BODY, 404, 409))
async def edit_library(library_id: str, changes: LibraryChanges, service: Running) -> Response:
    """Change what is given. Of the ignore patterns only those are judged that the library does not have already."""
    library = await service.nomarr.libraries.update_library(
        library_id,
        name=changes.name,
        watch_mode=changes.watch_mode,
        enabled=changes.enabled,
        ignore_patterns=changes.ignore_patterns,
        transcode_policy=changes.transcode_policy,
    )
    await service.follow_libraries()
    return Answer(library_object(library))


@router.get(
    "/libraries/{library_id}/pattern-problems", response_model=list[PatternProblemShape], responses=problems(404)
)
async def list_pattern_problems(library_id: str, nomarr: OpenNomarr) -> Response:
    """The library's ignore patterns that can't mean what they say, which older versions took."""
    return Answer([asdict(problem) for problem in await nomarr.libraries.pattern_problems(library_id)])


@router.put("/libraries/{library_id}/watch-mode", response_model=LibraryShape, responses=problems(*NO_BODY, 404))
async def switch_watch_mode(library_id: str, wish: NewWatchMode, nomarr: OpenNomarr) -> Response:
    """Watch a library in another way from now on, or not at all."""
    await nomarr.watcher.switch_watch_mode(library_id, wish.watch_mode)
    return Answer(library_object(await nomarr.libraries.get_library(library_id)))


@router.post("/libraries/{library_id}/relocate", response_model=LibraryShape, responses=problems(*NO_BODY, 404, 409))
async def relocate_library(library_id: str, place: NewPlace, service: Running) -> Response:
    """Tell that a library's folder is somewhere else now; the ids of its files stay."""
    path = await require_inside(place.path, service.options.browse_roots)
    library = await service.nomarr.libraries.relocate_library(library_id, path)
    await service.follow_libraries()
    return Answer(library_object(library))


@router.delete("/libraries/{library_id}", status_code=204, responses=problems(404, 409))
async def remove_library(library_id: str, service: Running) -> Response:
    """Forget a library and everything known about its files, in the change feed, too; the music is not touched."""
    nomarr = service.nomarr
    await nomarr.libraries.get_library(library_id)
    # A watcher's scan ends with it.
    async with nomarr.watcher.stopped(library_id):
        await nomarr.libraries.remove_library(library_id)
    service.hub.library_removed(library_id)
    return Response(status_code=204)


@router.get("/folders", response_model=FoldersShape, responses=problems(404), openapi_extra=_FOLDER_PARAMETER)
async def list_folders(request: Request, service: Running) -> Response:
    """Folders that may become a library; only those inside the allowed roots."""
    return Answer(await folders_in(query_path(request, "path"), service.options.browse_roots))
