"""Files over HTTP: many of them a page at a time, or one with everything that is known of it."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from nomarr.helpers.dto.enrichment import ProcessingStatus, ThumbnailSize
from nomarr.helpers.dto.file_pages import FileQuery, FileSort
from nomarr.helpers.dto.files import FileRecord
from nomarr.interfaces.api.answers_if import Answer
from nomarr.interfaces.api.browse_if import require_inside
from nomarr.interfaces.api.context_if import OpenNomarr, Running, query_path
from nomarr.interfaces.api.cursors_if import cursor_of, place_of
from nomarr.interfaces.api.events_if import event_page
from nomarr.interfaces.api.models_if import DuplicatesShape, EventShape, ExplanationShape, FileShape, Page
from nomarr.interfaces.api.problems_if import PROBLEMS, Refused, problems
from nomarr.interfaces.contract import JsonObject, duplicate_object, explanation_object, file_object

__all__ = ["router"]

router = APIRouter(prefix="/api/v1", tags=["files"], responses=PROBLEMS)
_BY_TEXT: Final = {FileSort.PATH, FileSort.TITLE, FileSort.ARTIST, FileSort.ALBUM}
_IMAGES: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"image/*": {}}},
    304: {"description": "The client has it already"},
}
_IMAGE_AGE: Final = "private, max-age=31536000, immutable"


def _path_parameter(name: str, words: str) -> dict[str, object]:
    return {"parameters": [{"name": name, "in": "query", "schema": {"type": "string"}, "description": words}]}


@router.get(
    "/files",
    response_model=Page[FileShape],
    responses=problems(404),
    openapi_extra=_path_parameter("folder", "Only what is in this folder or below it, relative to the library's root"),
)
async def list_files(
    request: Request,
    nomarr: OpenNomarr,
    library_id: str | None = None,
    missing: bool = False,
    status: ProcessingStatus | None = None,
    query: Annotated[str | None, Query(max_length=200)] = None,
    sort: FileSort = FileSort.PATH,
    descending: bool = False,
    wide: bool = False,
    cursor: Annotated[str | None, Query(max_length=20_000)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """Files of one library or of all; `query` is a text in path, title, artist, album or album artist."""
    wanted = FileQuery(
        library_id=library_id,
        folder=query_path(request, "folder"),
        missing=missing,
        status=status,
        text=query or None,
        sort=sort,
        descending=descending,
    )
    place = place_of(cursor, _sorted_by(sort), is_text=sort in _BY_TEXT)
    page = await nomarr.libraries.page_of_files(wanted, after=place, limit=limit)
    items = [_file(record, wide=wide) for record in page.files]
    return Answer({"items": items, "next_cursor": cursor_of(page.next_place, _sorted_by(sort))})


@router.get("/files/{file_id}", response_model=FileShape, responses=problems(404))
async def show_file(file_id: str, nomarr: OpenNomarr) -> Response:
    """One file with everything that is known of it, except its fingerprint."""
    return Answer(_file(await nomarr.libraries.get_file(file_id), wide=True))


@router.get("/files/{file_id}/events", response_model=Page[EventShape])
async def list_events_of_file(
    file_id: str,
    nomarr: OpenNomarr,
    after: Annotated[int, Query(ge=0, lt=1 << 63)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """What happened to one file, oldest first; also to one that is purged."""
    events = await nomarr.event_feed.list_events(after, limit=limit, file_id=file_id)
    return Answer(event_page(events, limit))


@router.get(
    "/explain",
    response_model=ExplanationShape,
    openapi_extra=_path_parameter("path", "Absolute path of a file or folder"),
)
async def explain(request: Request, service: Running) -> Response:
    """Why a path is or isn't in a library."""
    roots = [library.root_path for library in await service.nomarr.libraries.list_libraries(counted=False)]
    path = query_path(request, "path")
    await require_inside(path, [*roots, *service.options.browse_roots])
    return Answer(explanation_object(await service.nomarr.libraries.explain(path)))


@router.get("/libraries/{library_id}/duplicates", response_model=Page[DuplicatesShape], responses=problems(404))
async def list_duplicates(
    library_id: str,
    nomarr: OpenNomarr,
    after: Annotated[int, Query(ge=0, lt=1 << 31)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """Groups of files that hold the same music, behind the first `after` ones; `next_cursor` is the next `after`.

    The first page compares all files, which takes about 2 ms for each, unless that was done within the last minute and
    nothing has changed since. For ten minutes the following pages come out of the same comparison,
    unless somebody else has begun anew meanwhile.
    """
    page = await nomarr.libraries.page_of_duplicates(library_id, after=after, limit=limit)
    following = None if page.next_place is None else str(page.next_place)
    return Answer({"items": [duplicate_object(group) for group in page.groups], "next_cursor": following})


@router.get(
    "/covers/{cover_id}",
    response_class=Response,
    responses=_IMAGES | problems(404),
)
async def show_cover(
    cover_id: str, request: Request, nomarr: OpenNomarr, size: ThumbnailSize | None = None
) -> Response:
    """A cover as it was found, or a WebP whose longer side has this many pixels."""
    # An id is the hash of the image, so the same id is the same image for ever.
    tag = f'"{cover_id}-{size or "original"}"'
    try:
        image = await nomarr.enrichment.read_cover(cover_id, size=size)
    except ValueError as error:
        raise Refused(404, str(error), error="CoverNotFound") from error
    if image is None:
        raise Refused(404, "there is no such cover", error="CoverNotFound")
    headers = {"ETag": tag, "Cache-Control": _IMAGE_AGE}
    if _has(request, tag):
        return Response(status_code=304, headers=headers)
    return Response(image.content, media_type=image.mime_type, headers=headers)


def _has(request: Request, tag: str) -> bool:
    """True if the client has what has this tag; `*` is anything (RFC 9110, 13.1.2)."""
    known = [each.strip().removeprefix("W/") for each in request.headers.get("if-none-match", "").split(",")]
    return tag in known or known == ["*"]


def _sorted_by(sort: FileSort) -> str:
    return f"files by {sort}"


def _file(record: FileRecord, *, wide: bool) -> JsonObject:
    return file_object(record, wide=wide) | {"library_id": record.library_id, "cover_id": record.cover_id}
