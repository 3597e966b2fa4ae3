"""Texts without what nobody else may read."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["without_secrets"]

_HIDDEN: Final = "***"
_SECRETS: Final = (
    # Name and password in an address (RFC 3986, userinfo); a password may hold an @ that nobody escaped.
    # The one that our own messages give as an example is none.
    (re.compile(r"(://)(?!user:password@host[:/])[^\s/]+(?=@)"), rf"\1{_HIDDEN}"),
    (re.compile(r"(?i)\b(bearer\s+)[\w.~+/=-]+"), rf"\1{_HIDDEN}"),
    # A token as this service makes them (RFC 7519): it begins with the JSON of its header.
    (re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]*"), _HIDDEN),
    (re.compile(r"(?i)\b(password|passwd|secret|token|api_token_key)(\s*[=:]\s*)[^\s&,;]+"), rf"\1\2{_HIDDEN}"),
)


def without_secrets(text: str) -> str:
    """`text` with asterisks instead of passwords in addresses, tokens, and what is named a password or secret."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text
