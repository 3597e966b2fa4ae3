"""Settings that were changed while a service ran."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["KeptSettings"]


@dataclass(frozen=True, slots=True)
class KeptSettings:
    """What the database keeps of them."""

    usable: Mapping[str, Any] = field(default_factory=dict)
    """By name, as they were changed."""
    unreadable: frozenset[str] = frozenset()
    """Settings of the database for which something is stored that nobody understands."""
    unusable: frozenset[str] = frozenset()
    """Other settings of which the same is true; they are left out."""
