"""What may be about every document, in pieces: a transaction has to fit in the server's memory, and holds up others."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from nomarr.persistence.database.connection import ArangoConnection
from nomarr.persistence.database.rows_operations import ROWS_AT_ONCE

__all__ = ["change_all", "pieces", "remove_all"]


def pieces(
    connection: ArangoConnection, text: str, binds: Mapping[str, Any], after: object = None
) -> Iterator[list[Any]]:
    """The rows of a query that takes up to `@limit`, sent again until it finds fewer.

    Args:
        after: where a query begins that goes through an index by `@after`; each of its rows begins with its own place.
            None: the query has none, because what it has found it finds no more once that is written.
    """
    while True:
        place = {} if after is None else {"after": after}
        rows = connection.query(text, {**binds, **place, "limit": ROWS_AT_ONCE})
        yield rows
        # Also after a lost answer, when it has found less because the first attempt has written already.
        if len(rows) < ROWS_AT_ONCE:
            return
        if after is not None:
            after = rows[-1][0]


def remove_all(connection: ArangoConnection, text: str, binds: Mapping[str, Any], after: object = None) -> None:
    """Run a query that removes up to `@limit` documents until there are no more.

    `after` keeps it from looking at the traces that removed documents leave in an index until the server tidies up.
    """
    for _ in pieces(connection, text, binds, after):
        pass


def change_all(connection: ArangoConnection, text: str, keys: list[str], binds: Mapping[str, Any]) -> int:
    """Run a query that changes the documents of `@keys`, one piece; how many it did.

    It knows those that an earlier attempt has changed by `@token`, so it tells them, too.
    """
    if not keys:
        return 0
    return len(connection.query(text, {**binds, "keys": keys, "token": uuid.uuid4().hex}))
