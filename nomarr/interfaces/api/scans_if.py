"""Scans over HTTP: ask for one, look how far it is, cancel it, and decide about losses that it held back."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Final

from fastapi import APIRouter, Query
from fastapi.responses import Response

from nomarr.helpers.dto.library import ScanTarget
from nomarr.helpers.dto.scan import ScanPlace
from nomarr.interfaces.api.answers_if import Answer
from nomarr.interfaces.api.context_if import OpenNomarr, Running
from nomarr.interfaces.api.cursors_if import LONGEST_NUMBER_CURSOR, cursor_of, cursor_of_number, number_of, place_of
from nomarr.interfaces.api.models_if import HeldBackShape, NewScan, Page, RunningScanShape, RunShape, ScanRequestShape
from nomarr.interfaces.api.problems_if import NO_BODY, PROBLEMS, Refused, problems
from nomarr.interfaces.api.scan_requests_if import ScanRequest
from nomarr.interfaces.contract import held_back_object, run_object, target_object

__all__ = ["router"]

router = APIRouter(prefix="/api/v1", tags=["scans"], responses=PROBLEMS)
_REQUESTS: Final = "scan requests"
_RUNS: Final = "scans"
_LONGEST_CURSOR: Final = 200
"""Of a scan in the history: a time and an id."""


@router.post(
    "/libraries/{library_id}/scans", response_model=ScanRequestShape, status_code=202, responses=problems(*NO_BODY, 404)
)
async def start_scan(library_id: str, wish: NewScan, service: Running) -> Response:
    """Scan a library, or folders of it, in the background. What is asked for while a scan runs is done right after.

    Requests that wait and differ in their folders only become one scan of all these folders, with one report for all.
    """
    targets = [ScanTarget(library_id, folder.folder_path, folder.recursive) for folder in wish.folders]
    return await _start(service, library_id, targets, wish)


@router.get("/libraries/{library_id}/scan", response_model=RunningScanShape, responses=problems(404))
async def show_running_scan(library_id: str, nomarr: OpenNomarr) -> Response:
    """The scan that runs in this service now, whoever began it."""
    await nomarr.libraries.get_library(library_id)
    handle = nomarr.libraries.running_scan(library_id)
    return Answer(
        {
            "library_id": library_id,
            "running": handle is not None,
            "targets": [] if handle is None else [target_object(target) for target in handle.targets],
            "full": handle is not None and handle.options.full,
            "dry_run": handle is not None and handle.options.dry_run,
            "progress": None if handle is None else asdict(handle.progress),
        }
    )


@router.post("/libraries/{library_id}/scan/cancel", status_code=204, responses=problems(404))
async def cancel_running_scan(library_id: str, nomarr: OpenNomarr) -> Response:
    """End the scan that runs now, within a second; what it has written stays. Fine if none runs."""
    await nomarr.libraries.get_library(library_id)
    handle = nomarr.libraries.running_scan(library_id)
    if handle is not None:
        handle.cancel()
    return Response(status_code=204)


@router.get("/scan-requests", response_model=Page[ScanRequestShape], responses=problems(404))
async def list_scan_requests(
    service: Running,
    library_id: str | None = None,
    cursor: Annotated[str | None, Query(max_length=LONGEST_NUMBER_CURSOR)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """Scans that clients asked for since the service started, newest first; those of a removed library, too.

    Each with its first ten targets; the request itself tells all of them.
    """
    if library_id is not None and not service.requests.has_any(library_id):
        await service.nomarr.libraries.get_library(library_id, counted=False)
    before = None if cursor is None else number_of(cursor, _REQUESTS)
    found = service.requests.page(library_id, before=before, limit=limit)
    following = cursor_of_number(found[-1].number, _REQUESTS) if len(found) == limit else None
    return Answer(
        {"items": [service.requests.as_object(request, listed=True) for request in found], "next_cursor": following}
    )


@router.get("/scan-requests/{request_id}", response_model=ScanRequestShape, responses=problems(404))
async def show_scan_request(request_id: str, service: Running) -> Response:
    """How a scan stands that a client asked for: its progress, and then its report."""
    return Answer(service.requests.as_object(_request(service, request_id)))


@router.post("/scan-requests/{request_id}/cancel", status_code=204, responses=problems(404))
async def cancel_scan_request(request_id: str, service: Running) -> Response:
    """The client does not want this scan any more: end it, or do not begin it, unless others asked for it, too.

    The request is `cancelled` at once if the scan waits, or goes on for others; else within a second. Fine if it has
    ended.
    """
    service.requests.cancel(_request(service, request_id))
    return Response(status_code=204)


@router.get("/scans", response_model=Page[RunShape], responses=problems(404))
async def list_scans(
    nomarr: OpenNomarr,
    library_id: str | None = None,
    cursor: Annotated[str | None, Query(max_length=_LONGEST_CURSOR)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """The history of scans, newest first."""
    place = place_of(cursor, _RUNS, is_text=False)
    before = None if place is None else ScanPlace(float(place[0]), place[1])
    runs = await nomarr.libraries.list_scans(library_id, limit=limit, before=before)
    following = cursor_of(runs[-1].place, _RUNS) if len(runs) == limit else None
    return Answer({"items": [run_object(run) for run in runs], "next_cursor": following})


@router.get("/libraries/{library_id}/held-back-losses", response_model=HeldBackShape, responses=problems(404))
async def show_held_back_losses(library_id: str, nomarr: OpenNomarr) -> Response:
    """Files that can't be found, of which nobody has said yet that they are really gone."""
    return Answer(held_back_object(library_id, await nomarr.libraries.held_back_losses(library_id)))


@router.post(
    "/libraries/{library_id}/held-back-losses/accept",
    response_model=ScanRequestShape,
    status_code=202,
    responses=problems(404),
)
async def accept_held_back_losses(library_id: str, service: Running) -> Response:
    """The files are really gone: scan the library once more, and believe it."""
    return await _start(service, library_id, [], NewScan(accept_losses=True))


@router.post("/libraries/{library_id}/held-back-losses/discard", status_code=204, responses=problems(404, 409))
async def discard_held_back_losses(library_id: str, nomarr: OpenNomarr) -> Response:
    """The files will come back: time must not confirm the losses that were seen until now."""
    await nomarr.libraries.discard_held_back_losses(library_id)
    return Response(status_code=204)


async def _start(service: Running, library_id: str, targets: list[ScanTarget], wish: NewScan) -> Response:
    request = await service.requests.start(
        library_id, targets, full=wish.full, dry_run=wish.dry_run, accept_losses=wish.accept_losses
    )
    where = {"Location": f"/api/v1/scan-requests/{request.request_id}"}
    return Answer(service.requests.as_object(request), status_code=202, headers=where)


def _request(service: Running, request_id: str) -> ScanRequest:
    request = service.requests.get(request_id)
    if request is None:
        raise Refused(404, "there is no such scan request; it may be too old", error="ScanRequestNotFound")
    return request
