"""Small named values in ArangoDB."""

from __future__ import annotations

from nomarr.persistence.database.connection import ArangoConnection
from nomarr.persistence.database.queries import GET_OR_SET_SETTING, GET_SETTING, SET_SETTING
from nomarr.persistence.database.rows_operations import key_of

__all__ = ["ArangoSettings"]


class ArangoSettings:
    """`SettingStore` on ArangoDB."""

    def __init__(self, connection: ArangoConnection) -> None:
        self._connection = connection

    def get(self, key: str) -> str | None:
        found = self._connection.query(GET_SETTING, {"key": key_of(key)})
        return found[0] if found else None

    def get_or_set(self, key: str, value: str) -> str:
        [stored] = self._connection.query(GET_OR_SET_SETTING, {"key": key_of(key), "name": key, "value": value})
        return str(stored)

    def set(self, key: str, value: str) -> None:
        self._connection.query(SET_SETTING, {"key": key_of(key), "name": key, "value": value})
