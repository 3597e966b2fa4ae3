"""Tokens with which other computers may use the service."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

__all__ = ["LONGEST_TOKEN_NAME", "UNNAMED_TOKEN", "KeptToken", "KnownTokens", "TokenScope"]

LONGEST_TOKEN_NAME: Final = 100
"""Characters."""
UNNAMED_TOKEN: Final = "unnamed"
"""What a token is called that was given no name."""


class TokenScope(StrEnum):
    """What a token is good for."""

    READ = "read"
    ADMIN = "admin"
    """Everything."""


@dataclass(frozen=True, slots=True)
class KeptToken:
    """What is kept of a token. The token itself is not: whoever reads the database has no use of this."""

    token_id: str
    name: str
    scope: TokenScope
    created_at: float
    """Epoch seconds, as is"""
    expires_at: float


@dataclass(frozen=True, slots=True)
class KnownTokens:
    """What tells good tokens from others, as it was at one moment."""

    key: str = field(repr=False)
    """What signs them; a secret."""
    token_ids: frozenset[str]
    """Those that were neither revoked nor have ended."""
