"""The OpenAPI document: what the framework knows of the endpoints, with an example for everything."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from fastapi import FastAPI

from nomarr.interfaces.api.examples_if import PARAMETERS, SHAPES, TEXTS
from nomarr.interfaces.api.problems_if import Problem
from nomarr.interfaces.contract import JsonObject

__all__ = ["DescribedApi"]

_JSON: Final = "application/json"


class DescribedApi(FastAPI):
    """An application whose document has examples."""

    def openapi(self) -> JsonObject:
        """The document; the framework keeps it."""
        is_new = self.openapi_schema is None
        document = super().openapi()
        if is_new:
            _add_shapes(document["components"]["schemas"])
            for operation in _operations(document):
                _add_examples(operation)
        return document


def _operations(document: JsonObject) -> Iterator[JsonObject]:
    for methods in document["paths"].values():
        yield from methods.values()


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
