"""The OpenAPI document for people: one page without scripts, and without anything from elsewhere."""

from __future__ import annotations

from html import escape
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

__all__ = ["router"]

router = APIRouter()


@router.get("/docs", include_in_schema=False)
async def show_docs(request: Request) -> HTMLResponse:
    """Every endpoint with its parameters."""
    document = request.app.openapi()
    endpoints = "".join(
        _endpoint(method, path, operation)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    )
    title = escape(document["info"]["title"])
    return HTMLResponse(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><h1>{title}</h1>'
        f'<p>For programs: <a href="/openapi.json">openapi.json</a></p><dl>{endpoints}</dl></html>'
    )


def _endpoint(method: str, path: str, operation: dict[str, Any]) -> str:
    parameters = ", ".join(escape(parameter["name"]) for parameter in operation.get("parameters", []))
    words = escape(operation.get("description", "")) + (f" ({parameters})" if parameters else "")
    return f"<dt><code>{method.upper()} {escape(path)}</code></dt><dd>{words}</dd>"
