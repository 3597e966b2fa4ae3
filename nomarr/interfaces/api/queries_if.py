"""Which parameters an endpoint knows: whoever misspells one must not get the answer to another question."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute

__all__ = ["require_clear_query"]


async def require_clear_query(request: Request) -> None:
    """For every endpoint for programs. Raises what the framework raises for parameters that are not valid."""
    route: APIRoute = request.scope["route"]
    if not route.include_in_schema:
        return
    known = {*_told_to_the_framework(route.dependant), *_read_by_the_endpoint(route)}
    given = Counter(name for name, _ in request.query_params.multi_items())
    there_are = f"this is no parameter here; there are: {', '.join(sorted(known)) or 'none'}"
    faults = {name: there_are for name in given if name not in known}
    faults |= {name: "this is given more than once" for name in given if name in known and given[name] > 1}
    if faults:
        raise RequestValidationError([{"loc": ("query", name), "msg": fault} for name, fault in faults.items()])


def _told_to_the_framework(dependant: Dependant) -> Iterator[str]:
    yield from (field.alias for field in dependant.query_params)
    for needed in dependant.dependencies:
        yield from _told_to_the_framework(needed)


def _read_by_the_endpoint(route: APIRoute) -> Iterator[str]:
    """Paths, which it reads byte for byte; only the document knows of them."""
    told = (route.openapi_extra or {}).get("parameters", ())
    return (parameter["name"] for parameter in told if parameter["in"] == "query")
