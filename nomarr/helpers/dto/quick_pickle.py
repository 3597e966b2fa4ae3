"""Cheap travelling between processes for small frozen values."""

from __future__ import annotations

from dataclasses import fields
from functools import cache
from operator import attrgetter
from typing import Any

__all__ = ["QuickPickle"]


class QuickPickle:
    """Pickles a frozen dataclass as its class and its fields, in order.

    What dataclasses do by themselves looks every field up by name: five times as slow, and thousands of these
    come back from the processes that read tags each second. Needs two fields or more.
    """

    __slots__ = ()

    def __reduce__(self) -> tuple[type[Any], tuple[Any, ...]]:
        kind: Any = type(self)
        return kind, _values_of(kind)(self)


@cache
def _values_of(kind: Any) -> attrgetter[tuple[Any, ...]]:
    return attrgetter(*(field.name for field in fields(kind)))
