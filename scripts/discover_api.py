#!/usr/bin/env python3
"""Print a module's public names with their signatures and the first line of their docstrings.

    .venv/bin/python scripts/discover_api.py nomarr.helpers.dto.library
    .venv/bin/python scripts/discover_api.py nomarr --json

Public is what __all__ lists; without it, what the module itself defines under a name without a leading underscore.
"""

from __future__ import annotations

import argparse
import dataclasses
import enum
import importlib
import inspect
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import GenericAlias, ModuleType
from typing import get_origin

REPOSITORY = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Name:
    """One public name; the members of a class are names themselves."""

    name: str
    kind: str
    signature: str
    summary: str
    members: tuple[Name, ...] = ()


def public_names(module: ModuleType) -> list[Name]:
    """Describe what the module offers, in its own order."""
    return [describe(name, value) for name, value in _exported(module)]


def describe(name: str, value: object) -> Name:
    """Describe one value under the name by which it is reached."""
    if inspect.isclass(value):
        return Name(name, "class", _class_signature(value), _summary(value), tuple(_members(value)))
    if inspect.isroutine(value):
        kind = "async function" if inspect.iscoroutinefunction(value) else "function"
        return Name(name, kind, _signature(value), _summary(value))
    if inspect.ismodule(value):
        return Name(name, "module", "", _summary(value))
    if isinstance(value, GenericAlias) or get_origin(value) is not None:
        return Name(name, "type", f" = {inspect.formatannotation(value)}", "")
    return Name(name, "value", f": {type(value).__name__}", "")


def as_lines(names: list[Name], indent: str = "") -> Iterator[str]:
    """Write the names as a person reads them."""
    for name in names:
        prefix = {"class": "class ", "function": "def ", "async function": "async def "}.get(name.kind, "")
        yield f"{indent}{prefix}{name.name}{name.signature}"
        if name.summary:
            yield f"{indent}    {name.summary}"
        yield from as_lines(list(name.members), indent + "    ")


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        module = importlib.import_module(options.module)
    except ModuleNotFoundError as error:
        print(f"{error}. Name a module such as nomarr.helpers.dto.library.", file=sys.stderr)
        return 2
    names = public_names(module)
    if options.json:
        print(json.dumps([dataclasses.asdict(name) for name in names], indent=2))
    else:
        print("\n".join(as_lines(names)))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Print a module's public names and signatures.")
    parser.add_argument("module", help="a module's dotted name, such as nomarr.helpers.dto.library")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _exported(module: ModuleType) -> Iterator[tuple[str, object]]:
    listed = getattr(module, "__all__", None)
    if listed is not None:
        yield from ((name, getattr(module, name)) for name in listed)
        return
    for name, value in list(vars(module).items()):
        if not name.startswith("_") and _is_defined_in(module, name, value):
            yield name, value


def _is_defined_in(module: ModuleType, name: str, value: object) -> bool:
    """Tell a module's own names from those that it imported.

    A plain value does not know where it comes from: it counts when the module annotates it or writes it in capitals."""
    if inspect.ismodule(value):
        return False
    if inspect.isclass(value) or inspect.isfunction(value):
        return value.__module__ == module.__name__
    return name in inspect.get_annotations(module) or name.isupper()


def _members(cls: type) -> Iterator[Name]:
    if issubclass(cls, enum.Enum):
        yield from (Name(member.name, "value", f" = {member.value!r}", "") for member in cls)
    for name, value in vars(cls).items():
        if name.startswith("_"):
            continue
        if isinstance(value, property):
            yield Name(name, "property", _returned(value), _summary(value))
        elif isinstance(value, staticmethod | classmethod) or inspect.isfunction(value):
            yield describe(name, getattr(cls, name))


def _class_signature(cls: type) -> str:
    if issubclass(cls, enum.Enum):
        return f"({cls.__mro__[1].__name__})"
    if issubclass(cls, BaseException) and "__init__" not in vars(cls):
        return f"({cls.__base__.__name__})" if cls.__base__ else ""
    # What a class returns when it is called needs no saying.
    return _signature(cls).removesuffix(" -> None")


def _signature(value: object) -> str:
    try:
        signature = inspect.signature(value)  # type: ignore[arg-type]  # it is callable, and fails like one without a signature
    except (TypeError, ValueError):
        return "(...)"
    # Annotations are strings here, and would be printed in quotes.
    parameters = [_unquoted(parameter) for parameter in signature.parameters.values()]
    return str(signature.replace(parameters=parameters, return_annotation=_as_source(signature.return_annotation)))


def _unquoted(parameter: inspect.Parameter) -> inspect.Parameter:
    return parameter.replace(annotation=_as_source(parameter.annotation))


def _as_source(annotation: object) -> object:
    return annotation if annotation is inspect.Signature.empty else _Source(annotation)


class _Source:
    """An annotation that inspect prints as the source says it."""

    def __init__(self, annotation: object) -> None:
        self._text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)

    def __repr__(self) -> str:
        return self._text


def _returned(value: property) -> str:
    if value.fget is None:
        return ""
    annotation = inspect.get_annotations(value.fget).get("return")
    return f": {_Source(annotation)!r}" if annotation is not None else ""


def _summary(value: object) -> str:
    own = vars(value).get("__doc__") if inspect.isclass(value) else getattr(value, "__doc__", None)
    # A dataclass without a docstring gets its own signature as one.
    if not isinstance(own, str) or (inspect.isclass(value) and own.startswith(f"{value.__name__}(")):
        return ""
    return inspect.cleandoc(own).partition("\n")[0]


if __name__ == "__main__":
    sys.path.insert(0, str(REPOSITORY))
    raise SystemExit(main())
