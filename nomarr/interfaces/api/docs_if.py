"""The OpenAPI document for people: one page without scripts, and without anything from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterable
from html import escape
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from nomarr.interfaces.contract import JsonObject

__all__ = ["router"]

router = APIRouter()
_KINDS: Final = {"string": "text", "integer": "whole number", "boolean": "true or false", "null": "null"}
_PAGE: Final = "Page_"


@router.get("/docs", include_in_schema=False)
async def show_docs(request: Request) -> HTMLResponse:
    """Every endpoint with its parameters, its body and its answers; then the shapes of these."""
    document = request.app.openapi()
    shapes = document["components"]["schemas"]
    title = escape(document["info"]["title"])
    endpoints = "".join(
        _endpoint(method, path, operation, shapes)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    )
    described = "".join(
        f'<h3 id="{escape(name)}">{escape(name)}</h3>{_shape(shape)}'
        for name, shape in shapes.items()
        if not name.startswith(_PAGE)
    )
    return HTMLResponse(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><h1>{title}</h1>'
        f'<p>For programs: <a href="/openapi.json">openapi.json</a></p>{endpoints}<h2>Shapes</h2>{described}</html>'
    )


def _endpoint(method: str, path: str, operation: JsonObject, shapes: JsonObject) -> str:
    parts = [
        f"<h2><code>{method.upper()} {escape(path)}</code></h2><p>{escape(operation.get('description', ''))}</p>",
        _titled("Parameters", map(_parameter, operation.get("parameters", ()))),
        _body(operation["requestBody"], shapes) if "requestBody" in operation else "",
        _titled("Answers", (_answer(status, answer) for status, answer in operation["responses"].items())),
    ]
    return "".join(parts)


def _titled(title: str, items: Iterable[str]) -> str:
    listed = _list(items)
    return f"<h3>{title}</h3>{listed}" if listed else ""


def _list(items: Iterable[str]) -> str:
    rows = "".join(f"<li>{item}</li>" for item in items)
    return f"<ul>{rows}</ul>" if rows else ""


def _parameter(parameter: JsonObject) -> str:
    words = f": {escape(parameter['description'])}" if "description" in parameter else ""
    field = _field(parameter["name"], parameter["schema"], is_needed=parameter.get("required", False))
    return f"{field} (in the {escape(parameter['in'])}){words}"


def _body(body: JsonObject, shapes: JsonObject) -> str:
    (schema,) = (media["schema"] for media in body["content"].values())
    name = _name(schema)
    return f"<h3>Body</h3><p>{_kind(schema)}</p>" + (_fields(shapes[name]) if name else "")


def _answer(status: str, answer: JsonObject) -> str:
    kinds = [
        _kind(media["schema"]) if "schema" in media else escape(media_type)
        for media_type, media in answer.get("content", {}).items()
    ]
    return f"{status} {escape(answer['description'])}" + (f": {' or '.join(kinds)}" if kinds else "")


def _shape(shape: JsonObject) -> str:
    words = f"<p>{escape(shape.get('description', ''))}</p>"
    return words + (_fields(shape) if "properties" in shape else f"<p>{_kind(shape)}</p>")


def _fields(shape: JsonObject) -> str:
    needed = shape.get("required", ())
    return _list(_field(name, schema, is_needed=name in needed) for name, schema in shape["properties"].items())


def _field(name: str, schema: JsonObject, *, is_needed: bool) -> str:
    default = f", by default {escape(json.dumps(schema['default']))}" if "default" in schema else ""
    return f"<code>{escape(name)}</code>: {_kind(schema)}{_limits(schema)}{default}{', needed' if is_needed else ''}"


def _limits(schema: JsonObject) -> str:
    least, most = schema.get("minimum"), schema.get("maximum")
    return "" if most is None else f", {least} to {most}"


def _kind(schema: JsonObject) -> str:
    """What a schema means, in words; a shape is a link to its fields."""
    if name := _name(schema):
        if name.startswith(_PAGE):
            return f"a page of {_link(name.removeprefix(_PAGE).removesuffix('_'))}"
        return _link(name)
    if "anyOf" in schema:
        return " or ".join(map(_kind, schema["anyOf"]))
    if "enum" in schema:
        return "one of " + ", ".join(escape(str(value)) for value in schema["enum"])
    if "const" in schema:
        return escape(json.dumps(schema["const"]))
    if schema.get("type") == "array":
        return f"list of {_kind(schema['items'])}"
    kind: str = schema.get("type", "anything")
    return escape(_KINDS.get(kind, kind))


def _name(schema: JsonObject) -> str:
    """That of the shape that a schema refers to; empty if it is none."""
    reference: Any = schema.get("$ref", "")
    return str(reference).rpartition("/")[2]


def _link(name: str) -> str:
    return f'<a href="#{escape(name)}">{escape(name)}</a>'
