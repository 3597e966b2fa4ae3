"""Small named values in ArangoDB."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from nomarr.persistence.database.connection import ArangoConnection
from nomarr.persistence.database.queries import (
    GET_OR_SET_SETTING,
    GET_SETTING,
    REMOVE_SETTINGS,
    REPLACE_SETTING,
    SET_SETTING,
    SETTINGS_BELOW,
)
from nomarr.persistence.database.rows_operations import key_of

__all__ = ["ArangoSettings"]


class ArangoSettings:
    """`SettingStore` on ArangoDB."""

    def __init__(self, connection: ArangoConnection) -> None:
        self._connection = connection

    def get(self, key: str) -> str | None:
        found = self._connection.query(GET_SETTING, {"key": key_of(key)})
        return _text(found[0]["value"]) if found else None

    def get_or_set(self, key: str, value: str) -> str:
        [stored] = self._connection.query(GET_OR_SET_SETTING, {"key": key_of(key), "name": key, "value": value})
        return str(stored)

    def below(self, prefix: str) -> dict[str, str]:
        return dict(self._connection.query(SETTINGS_BELOW, {"prefix": prefix}))

    def remove(self, keys: Iterable[str]) -> None:
        wanted = [key_of(key) for key in keys]
        if wanted:
            self._connection.query(REMOVE_SETTINGS, {"keys": wanted})

    def set(self, key: str, value: str) -> None:
        self._connection.query(SET_SETTING, {"key": key_of(key), "name": key, "value": value})

    def update(self, key: str, change: Callable[[str | None], str]) -> str:
        while True:
            found = self._connection.query(GET_SETTING, {"key": key_of(key)})
            value = change(_text(found[0]["value"]) if found else None)
            is_stored = self._replace(key, found[0]["revision"], value) if found else self._is_first(key, value)
            # Also after an answer that was lost: then what is read is what was written.
            if is_stored:
                return value

    def _replace(self, key: str, revision: str, value: str) -> bool:
        """False if somebody else was quicker."""
        binds = {"key": key_of(key), "revision": revision, "value": value}
        return bool(self._connection.query(REPLACE_SETTING, binds))

    def _is_first(self, key: str, value: str) -> bool:
        return self.get_or_set(key, value) == value


def _text(stored: Any) -> str:
    """What is stored; of a document that others have written, and that holds no text, its JSON."""
    return stored if isinstance(stored, str) else json.dumps(stored)
