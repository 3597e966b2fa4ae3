"""Tokens: signed, with a scope and an end. Nothing of them is stored but the key that signs them."""

from __future__ import annotations

import secrets
import time
import uuid
from enum import StrEnum
from typing import Final

import jwt

from nomarr.interfaces.api.problems_if import Refused

__all__ = ["TOKEN_KEY", "TokenScope", "Tokens", "new_key"]

TOKEN_KEY: Final = "api_token_key"
"""The setting that holds the key."""
_ALGORITHM: Final = "HS256"
_AUDIENCE: Final = "nomarr"
_DAY_SECONDS: Final = 86_400


class TokenScope(StrEnum):
    """What a token is good for."""

    READ = "read"
    ADMIN = "admin"
    """Everything."""


def new_key() -> str:
    """A key that nobody can guess."""
    return secrets.token_hex(32)


class Tokens:
    """Makes and checks the tokens of one database."""

    def __init__(self, key: str) -> None:
        self._key = key

    def create(self, scope: TokenScope, days: float) -> str:
        """A token that ends after so many days."""
        now = time.time()
        claims = {
            "aud": _AUDIENCE,
            "scope": scope.value,
            "iat": int(now),
            "exp": int(now + days * _DAY_SECONDS),
            "jti": uuid.uuid4().hex,
        }
        return jwt.encode(claims, self._key, algorithm=_ALGORITHM)

    def check(self, token: str, needed: TokenScope) -> None:
        """Raises `Refused` unless the token is ours, has not ended and is good for what is needed."""
        try:
            claims = jwt.decode(
                token, self._key, algorithms=[_ALGORITHM], audience=_AUDIENCE, options={"require": ["exp", "scope"]}
            )
        except jwt.ExpiredSignatureError:
            raise _refused("this token has ended; 'nomarr token create' makes another one") from None
        except jwt.InvalidTokenError:
            raise _refused("this is no token of this service; 'nomarr token create' makes one") from None
        if claims["scope"] not in (needed.value, TokenScope.ADMIN.value):
            raise Refused(403, "this token is good for reading only", error="ScopeTooSmall")


def _refused(detail: str) -> Refused:
    return Refused(401, detail, error="TokenNotValid", WWW_Authenticate='Bearer error="invalid_token"')
