"""Cursors: where a list goes on, as a word that clients hand back unread."""

from __future__ import annotations

import base64
import json

from nomarr.helpers.dto.file_pages import FilePlace
from nomarr.interfaces.api.problems_if import Refused

__all__ = ["cursor_of", "place_of"]

_INT64 = 1 << 63


def cursor_of(place: FilePlace | None) -> str | None:
    """None stays None."""
    if place is None:
        return None
    return base64.urlsafe_b64encode(json.dumps(place).encode("ascii")).decode("ascii").rstrip("=")


def place_of(cursor: str | None, *, is_text: bool) -> FilePlace | None:
    """The inverse of `cursor_of`; `is_text`: the list is sorted by a text. Raises `Refused` for what is no cursor."""
    if cursor is None:
        return None
    try:
        value, file_id = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, TypeError):
        raise _refused() from None
    if not isinstance(file_id, str) or isinstance(value, bool):
        raise _refused()
    if is_text and isinstance(value, str) and not _has_surrogates(value + file_id):
        return value, file_id
    if not is_text and isinstance(value, int | float) and -_INT64 <= value < _INT64:
        return value, file_id
    raise _refused()


def _has_surrogates(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


def _refused() -> Refused:
    return Refused(422, "this is no cursor of this list; begin without one", error="CursorNotValid")
