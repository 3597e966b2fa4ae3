"""Cursors: where a list goes on, as a word that clients hand back unread. Each is good for its own list only."""

from __future__ import annotations

import base64
import json
import os
from typing import Final

from nomarr.helpers.dto.file_pages import FilePlace
from nomarr.interfaces.api.problems_if import Refused

__all__ = [
    "LONGEST_NUMBER_CURSOR",
    "LONGEST_PATH_CURSOR",
    "cursor_of",
    "cursor_of_number",
    "cursor_of_path",
    "number_of",
    "path_of",
    "place_of",
]

LONGEST_PATH_CURSOR: Final = 5500
"""Of a path of 4,096 bytes, which is the longest on Linux."""
LONGEST_NUMBER_CURSOR: Final = 100
_INT64 = 1 << 63


def cursor_of(place: FilePlace | None, of: str) -> str | None:
    """Where the list `of` goes on. None stays None."""
    if place is None:
        return None
    return _word(of, json.dumps(place).encode("ascii"))


def cursor_of_path(path: str, of: str) -> str:
    """Where a list goes on that is sorted by path."""
    return _word(of, os.fsencode(path))


def cursor_of_number(number: int, of: str) -> str:
    """Where a list goes on that is sorted by number."""
    return _word(of, b"%d" % number)


def path_of(cursor: str, of: str) -> str:
    """The inverse of `cursor_of_path`. Raises `Refused` for what is no cursor of this list."""
    try:
        return os.fsdecode(_read(cursor, of))
    except ValueError:
        raise _refused() from None


def number_of(cursor: str, of: str) -> int:
    """The inverse of `cursor_of_number`. Raises `Refused` for what is no cursor of this list."""
    try:
        return int(_read(cursor, of))
    except ValueError:
        raise _refused() from None


def place_of(cursor: str | None, of: str, *, is_text: bool) -> FilePlace | None:
    """The inverse of `cursor_of`; `is_text`: the list is sorted by a text.

    Raises `Refused` for what is no cursor of this list.
    """
    if cursor is None:
        return None
    try:
        value, file_id = json.loads(_read(cursor, of))
    except (ValueError, TypeError, RecursionError):
        raise _refused() from None
    if not isinstance(file_id, str) or isinstance(value, bool):
        raise _refused()
    if is_text and isinstance(value, str) and not _has_surrogates(value + file_id):
        return value, file_id
    if not is_text and isinstance(value, int | float) and -_INT64 <= value < _INT64:
        return value, file_id
    raise _refused()


def _word(of: str, content: bytes) -> str:
    return base64.urlsafe_b64encode(_begin(of) + content).decode("ascii").rstrip("=")


def _read(word: str, of: str) -> bytes:
    """The content of a word that `_word` made. Raises `ValueError`."""
    content = base64.urlsafe_b64decode(word + "=" * (-len(word) % 4))
    if not content.startswith(_begin(of)):
        raise ValueError(f"no cursor of {of}")
    return content.removeprefix(_begin(of))


def _begin(of: str) -> bytes:
    return f"{of}:".encode("ascii")


def _has_surrogates(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


def _refused() -> Refused:
    return Refused(422, "this is no cursor of this list; begin without one", error="CursorNotValid")
