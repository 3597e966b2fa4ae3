"""Tokens as texts: signed, with an id, a scope and an end. Which ids are good is on the list of `TokenService`."""

from __future__ import annotations

from typing import Any, Final

import jwt

from nomarr.helpers.dto.tokens import KeptToken, KnownTokens, TokenScope
from nomarr.interfaces.api.problems_if import Refused

__all__ = ["TokenNotListed", "TokenNotValid", "Tokens", "sign"]

_ALGORITHM: Final = "HS256"
_AUDIENCE: Final = "nomarr"
_LISTED: Final = "listed"
"""The claim that says that a token is worthless once it is not on the list any more.

Tokens of versions that kept no list have none, and are good until they end or all are revoked.
"""


class TokenNotValid(Refused):
    """A token that is good for nothing; `detail` says why."""

    def __init__(self, detail: str) -> None:
        super().__init__(401, detail, error="TokenNotValid", WWW_Authenticate='Bearer error="invalid_token"')


class TokenNotListed(TokenNotValid):
    """A token that is ours and has not ended, but was revoked; or it was made since the list was read."""

    def __init__(self) -> None:
        super().__init__("this token was revoked; 'nomarr token create' makes another one")


def sign(token: KeptToken, key: str) -> str:
    """What a client shows to use this token."""
    claims = {
        "aud": _AUDIENCE,
        "scope": token.scope.value,
        "iat": int(token.created_at),
        "exp": int(token.expires_at),
        "jti": token.token_id,
        _LISTED: True,
    }
    return jwt.encode(claims, key, algorithm=_ALGORITHM)


class Tokens:
    """Checks tokens against what was known of them at one moment."""

    def __init__(self, known: KnownTokens) -> None:
        self._known = known

    def check(self, token: str, needed: TokenScope) -> None:
        """Raises `Refused` unless the token is ours, has not ended and is good for what is needed.

        Raises:
            TokenNotListed: if only the list speaks against it.
        """
        claims = self._claims(token)
        if claims.get(_LISTED) and claims.get("jti") not in self._known.token_ids:
            raise TokenNotListed
        if claims["scope"] not in (needed.value, TokenScope.ADMIN.value):
            raise Refused(
                403,
                "this token is good for reading only; for this, one with the scope admin is needed",
                error="ScopeTooSmall",
            )

    def _claims(self, token: str) -> dict[str, Any]:
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                self._known.key,
                algorithms=[_ALGORITHM],
                audience=_AUDIENCE,
                # When it was made says nothing: another computer may have made it, whose clock is ahead.
                options={"require": ["exp", "scope"], "verify_iat": False},
            )
        except jwt.ExpiredSignatureError:
            raise TokenNotValid("this token has ended; 'nomarr token create' makes another one") from None
        except jwt.InvalidTokenError:
            raise TokenNotValid("this is no token of this service; 'nomarr token create' makes one") from None
        return claims
