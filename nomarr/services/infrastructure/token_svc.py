"""The list of tokens: what was made, until it ends or is revoked. The database keeps it, and the key that signs them.

Each token has a setting of its own, so that processes that make and revoke tokens at the same time lose nothing.
"""

from __future__ import annotations

import hashlib
import json
import logging
import secrets
from collections.abc import Mapping
from functools import partial
from typing import Final

import anyio.to_thread

from nomarr.helpers.dto.tokens import LONGEST_TOKEN_NAME, KeptToken, KnownTokens, TokenScope
from nomarr.helpers.exceptions import InvalidTokenName, TokenNotFound, TooManyTokens
from nomarr.helpers.time_helper import Clock, system_clock
from nomarr.persistence.db import Database

__all__ = ["MOST_TOKENS", "TokenService"]

logger = logging.getLogger(__name__)

MOST_TOKENS: Final = 1000
"""So many may be good at the same time: the running service reads all of them again and again."""
_KEY: Final = "api_token_key"
"""The setting that holds the key."""
_KEPT: Final = "api_token/"
"""What the names of the tokens' settings begin with; the mark of the key and the id of the token follow."""
_DAY_SECONDS: Final = 86_400


class TokenService:
    """Knows which tokens are good. It neither makes nor reads the tokens themselves."""

    def __init__(self, db: Database, *, clock: Clock = system_clock) -> None:
        self._settings = db.settings
        self._clock = clock

    async def were_made(self) -> bool:
        """Whether there is a key, as there is since the first token was made."""
        return await anyio.to_thread.run_sync(self._settings.get, _KEY) is not None

    async def known(self) -> KnownTokens:
        """What tells good tokens from others; from now on there is a key."""
        return await anyio.to_thread.run_sync(self._known)

    async def list_tokens(self) -> list[KeptToken]:
        """Those that have not ended, newest first. Older versions of Nomarr kept nothing of the tokens they made."""
        return await anyio.to_thread.run_sync(self._listed)

    async def keep(self, name: str, scope: TokenScope, days: float) -> tuple[KeptToken, str]:
        """Put a new token on the list that ends after so many days; it, and the key to sign it with.

        Raises:
            InvalidTokenName: if nobody could tell from the name which token it is.
            TooManyTokens: if there are as many as there may be.
        """
        return await anyio.to_thread.run_sync(partial(self._keep, _checked(name), scope, days))

    async def revoke(self, token_id: str) -> None:
        """From now on this token is worthless.

        Raises:
            TokenNotFound: if there is none with this id, or no more.
        """
        await anyio.to_thread.run_sync(self._revoke, token_id)

    async def revoke_all(self) -> None:
        """Make every token until now worthless, also those that are not on the list: another key signs from now on."""
        await anyio.to_thread.run_sync(self._revoke_all)

    def _known(self) -> KnownTokens:
        key = self._key()
        return KnownTokens(key, frozenset(token.token_id for token in self._good(key)))

    def _listed(self) -> list[KeptToken]:
        key = self._settings.get(_KEY)
        found = [] if key is None else self._good(key)
        return sorted(found, key=lambda token: (-token.created_at, token.token_id))

    def _keep(self, name: str, scope: TokenScope, days: float) -> tuple[KeptToken, str]:
        key = self._forget_worthless()
        now = self._clock()
        # A token names its end in whole seconds.
        token = KeptToken(secrets.token_hex(8), name, scope, now, float(int(now + days * _DAY_SECONDS)))
        setting = _setting(key, token.token_id)
        self._settings.set(setting, _text_of(token))
        # Counted afterwards: of several that are made at the same time the last one knows all others.
        if len(self._good(key)) > MOST_TOKENS:
            self._settings.remove([setting])
            raise TooManyTokens(MOST_TOKENS)
        return token, key

    def _revoke(self, token_id: str) -> None:
        if token_id not in {token.token_id for token in self._listed()}:
            raise TokenNotFound(token_id)
        self._settings.remove([_setting(self._key(), token_id)])

    def _revoke_all(self) -> None:
        self._settings.set(_KEY, _new_key())
        self._forget_worthless()

    def _key(self) -> str:
        return self._settings.get_or_set(_KEY, _new_key())

    def _good(self, key: str) -> list[KeptToken]:
        now = self._clock()
        kept = _tokens_in(self._settings.below(_setting(key, "")))
        return [token for token in kept.values() if token.expires_at > now]

    def _forget_worthless(self) -> str:
        """Forget what another key has signed, and what has ended if room is needed; the key that signs now."""
        kept = self._settings.below(_KEPT)
        # Read after them: what another key has signed until then stays worthless, as no key comes back.
        key = self._key()
        ours = _tokens_in({name: text for name, text in kept.items() if name.startswith(_setting(key, ""))})
        worthless = kept.keys() - ours.keys()
        if len(ours) >= MOST_TOKENS:
            # Not before: by a clock that is ahead for a while, tokens have ended that are good when it is right again.
            now = self._clock()
            worthless |= {name for name, token in ours.items() if token.expires_at <= now}
        self._settings.remove(worthless)
        return key


def _checked(name: str) -> str:
    wanted = name.strip(" ")
    if not wanted or len(wanted) > LONGEST_TOKEN_NAME or not wanted.isprintable():
        raise InvalidTokenName(name, LONGEST_TOKEN_NAME)
    return wanted


def _new_key() -> str:
    """A key that nobody can guess."""
    return secrets.token_hex(32)


def _setting(key: str, token_id: str) -> str:
    """The name under which a token is kept; of the empty id what all that this key signs have in common."""
    mark = hashlib.sha256(f"the mark of {key}".encode()).hexdigest()[:16]
    return f"{_KEPT}{mark}/{token_id}"


def _text_of(token: KeptToken) -> str:
    kept = {"name": token.name, "scope": token.scope, "created_at": token.created_at, "expires_at": token.expires_at}
    return json.dumps(kept)


def _tokens_in(settings: Mapping[str, str]) -> dict[str, KeptToken]:
    """By the name of the setting; what can't be read is left out, so that its token is worthless."""
    found = {}
    for name, text in settings.items():
        token_id = name.rpartition("/")[2]
        try:
            found[name] = _token_of(token_id, text)
        except (ValueError, KeyError, TypeError) as error:
            logger.warning("what is kept of the token %s can't be read, so it is worthless: %r", token_id, error)
    return found


def _token_of(token_id: str, text: str) -> KeptToken:
    """Raises `ValueError`, `KeyError` or `TypeError` for what was not written by `_text_of`."""
    kept = json.loads(text)
    name = str(kept["name"])
    return KeptToken(token_id, name, TokenScope(kept["scope"]), float(kept["created_at"]), float(kept["expires_at"]))
