"""Errors as RFC 9457 problems. `errors_cli` has the exit codes of the same errors."""

from __future__ import annotations

import logging
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException

from nomarr.helpers.exceptions import (
    ConfigurationError,
    CopyDiffers,
    CopyTargetNotEmpty,
    CoverFolderUnusable,
    DatabaseError,
    DatabaseInUse,
    EnrichmentBusy,
    FileNotKnown,
    FingerprintLibraryMissing,
    InvalidPath,
    InvalidTokenName,
    LeaseLost,
    LibraryAlreadyExists,
    LibraryAlreadyScanning,
    LibraryNotFound,
    LibraryOffline,
    MoveCannotBeUndone,
    MoveNotFound,
    NomarrError,
    ScanCancelled,
    TaskAlreadyRunning,
    TokenNotFound,
    TooManyTokens,
)
from nomarr.helpers.paths_helper import strip_control
from nomarr.helpers.secrets_helper import without_secrets
from nomarr.interfaces.api.answers_if import Answer
from nomarr.interfaces.api.methods_if import allowed_methods

__all__ = [
    "NO_BODY",
    "PROBLEMS",
    "Problem",
    "Refused",
    "install_problems",
    "problem_answer",
    "problems",
    "refusal_answer",
    "status_of",
]

logger = logging.getLogger(__name__)

_MEDIA_TYPE: Final = "application/problem+json"
_STATUSES: Final[tuple[tuple[type[NomarrError], int], ...]] = (
    (ConfigurationError, 422),
    (InvalidPath, 422),
    (InvalidTokenName, 422),
    (LibraryNotFound, 404),
    (FileNotKnown, 404),
    (MoveNotFound, 404),
    (TokenNotFound, 404),
    (LibraryAlreadyExists, 409),
    (MoveCannotBeUndone, 409),
    (LibraryAlreadyScanning, 409),
    (LeaseLost, 409),
    (ScanCancelled, 409),
    (EnrichmentBusy, 409),
    (TaskAlreadyRunning, 409),
    (TooManyTokens, 409),
    (DatabaseInUse, 409),
    (CopyTargetNotEmpty, 409),
    (CopyDiffers, 409),
    (LibraryOffline, 503),
    (DatabaseError, 503),
    (CoverFolderUnusable, 503),
    (FingerprintLibraryMissing, 503),
)
_UNEXPECTED: Final = 500
_TITLES: Final = {
    400: "Bad request",
    401: "A token is needed",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    408: "Too slow",
    409: "Not possible now",
    413: "Too large",
    421: "Wrong host",
    422: "Not valid",
    429: "Too many requests",
    500: "A mistake of Nomarr itself",
    503: "Not available now",
}


class Problem(BaseModel):
    """What went wrong and what to do about it (RFC 9457)."""

    model_config = ConfigDict(extra="allow")

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    error: str
    """The name of the error, for programs."""


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For the OpenAPI document: an endpoint may answer with these problems."""
    content = {_MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": _TITLES[status], "content": content} for status in statuses}


PROBLEMS: Final = problems(401, 403, 413, 421, 422, 429, 503)
"""Those with which every endpoint may answer: also one that reads no body refuses one that is too large."""
NO_BODY: Final = (400, 408)
"""Those of endpoints that read a body, if it is none or too slow."""


class Refused(HTTPException):
    """A request that this service does not serve; `detail` says why and what to do.

    The framework lets its own kind of exceptions alone, also those that come while it reads a body.
    """

    def __init__(self, status: int, detail: str, *, error: str = "Refused", **headers: str) -> None:
        super().__init__(status, detail, {name.replace("_", "-"): value for name, value in headers.items()})
        self.error = error


def status_of(error: NomarrError) -> int:
    """The HTTP status for an error."""
    return next((status for kind, status in _STATUSES if isinstance(error, kind)), _UNEXPECTED)


def problem_answer(
    status: int, detail: str, error: str, *, headers: dict[str, str] | None = None, **more: Any
) -> Response:
    """A problem as a response; `more` are members of its own."""
    problem = {
        "type": "about:blank",
        "title": _TITLES.get(status, "Error"),
        "status": status,
        "detail": strip_control(without_secrets(detail)),
        "error": error,
        **more,
    }
    return Answer(problem, status_code=status, media_type=_MEDIA_TYPE, headers=headers)


def refusal_answer(refusal: Refused) -> Response:
    """A refusal as a response."""
    return problem_answer(refusal.status_code, refusal.detail, refusal.error, headers=dict(refusal.headers or {}))


def install_problems(app: FastAPI) -> None:
    """Let every error that leaves an endpoint be told as a problem."""
    app.add_exception_handler(NomarrError, _known)
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(RequestValidationError, _not_valid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)


async def _known(_: Request, error: Exception) -> Response:
    assert isinstance(error, NomarrError)
    return problem_answer(status_of(error), str(error), type(error).__name__)


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return refusal_answer(error)


async def _not_valid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    faults = [_fault(fault) for fault in error.errors()]
    detail = "; ".join(f"{fault['at']}: {fault['problem']}" for fault in faults)
    if any(fault["at"] == "body" for fault in faults) and "json" not in request.headers.get("content-type", ""):
        detail += "; send it with the header 'Content-Type: application/json'"
    return problem_answer(422, detail, "RequestNotValid", faults=faults)


def _fault(fault: dict[str, Any]) -> dict[str, str]:
    # The framework's own words before those of a check of ours.
    problem = str(fault["msg"]).removeprefix("Value error, ")
    return {"at": ".".join(map(str, fault["loc"])), "problem": problem}


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers["Allow"] = allowed_methods(request)
    return problem_answer(error.status_code, f"{error.detail}; /docs shows what there is", "Http", headers=headers)


async def _unexpected(request: Request, error: Exception) -> Response:
    logger.error("%s %s failed", request.method, strip_control(request.url.path), exc_info=error)
    return problem_answer(_UNEXPECTED, "something unexpected went wrong; the log tells more", type(error).__name__)
