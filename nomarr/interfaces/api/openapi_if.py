"""The OpenAPI document: what the framework knows of the endpoints, with an example for everything, and who may ask."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from fastapi import FastAPI

from nomarr.interfaces.api.examples_if import PARAMETERS, SHAPES, TEXTS
from nomarr.interfaces.api.guard_if import needed_scope
from nomarr.interfaces.api.problems_if import Problem
from nomarr.interfaces.api.session_if import HTTP_COOKIE, HTTPS_COOKIE, SESSION_PATH
from nomarr.interfaces.contract import JsonObject

__all__ = ["DescribedApi"]

_JSON: Final = "application/json"
_SCHEMES: Final[JsonObject] = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "A token of `nomarr token create` or of `POST /api/v1/tokens`",
    },
    "cookie": {
        "type": "apiKey",
        "in": "cookie",
        "name": HTTP_COOKIE,
        "description": f"A browser's, which `PUT {SESSION_PATH}` gives it",
    },
    "secureCookie": {
        "type": "apiKey",
        "in": "cookie",
        "name": HTTPS_COOKIE,
        "description": f"A browser's, which `PUT {SESSION_PATH}` by HTTPS gives it",
    },
}


class DescribedApi(FastAPI):
    """An application whose document has examples, and says which token is needed."""

    def __init__(self, *, tokens_required: bool, **more: Any) -> None:
        super().__init__(**more)
        self._tokens_required = tokens_required

    def openapi(self) -> JsonObject:
        """The document; the framework keeps it."""
        is_new = self.openapi_schema is None
        document = super().openapi()
        if is_new:
            _add_shapes(document["components"]["schemas"])
            document["components"]["securitySchemes"] = _SCHEMES
            for method, path, operation in _operations(document):
                _add_examples(operation)
                operation["security"] = self._ways_in(method, path)
        return document

    def _ways_in(self, method: str, path: str) -> list[JsonObject]:
        """Each with what the token has to be good for; the empty one is without a token."""
        needed = needed_scope(method.upper(), path)
        if needed is None:
            return []
        ways: list[JsonObject] = [{scheme: [needed.value]} for scheme in _SCHEMES]
        return ways if self._tokens_required else [*ways, {}]


def _operations(document: JsonObject) -> Iterator[tuple[str, str, JsonObject]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def _add_shapes(shapes: JsonObject) -> None:
    shapes["Problem"] = Problem.model_json_schema()
    for name, example in SHAPES.items():
        if name in shapes:
            shapes[name]["example"] = example


def _add_examples(operation: JsonObject) -> None:
    for parameter in operation.get("parameters", ()):
        example = PARAMETERS.get(parameter["name"], parameter["schema"].get("default"))
        if example is not None:
            parameter["example"] = example
    bodies = [operation["requestBody"]] if "requestBody" in operation else []
    for body in (*bodies, *operation["responses"].values()):
        for media_type, media in body.get("content", {}).items():
            _add_example(media_type, media)


def _add_example(media_type: str, media: JsonObject) -> None:
    if media_type in TEXTS:
        media["example"] = TEXTS[media_type]
    elif media_type == _JSON and "example" not in media:
        media["example"] = _example_of(media["schema"])


def _example_of(schema: JsonObject) -> Any:
    """An example of a shape, of a list of it, or of a page of it."""
    if "examples" in schema:
        return schema["examples"][0]
    if schema.get("type") == "array":
        return [_example_of(schema["items"])]
    name = schema["$ref"].rpartition("/")[2]
    if name.startswith("Page_"):
        return {"items": [SHAPES[name.removeprefix("Page_").removesuffix("_")]], "next_cursor": None}
    return SHAPES[name]
