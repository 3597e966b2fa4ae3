"""How AQL orders, compares and converts values ("Type and value order", "Type cast functions")."""

from __future__ import annotations

import json
import unicodedata
from functools import lru_cache
from typing import Any

from support.arango.syntax import Json

# The order of ASCII's punctuation and symbols in the root collation (CLDR); digits and letters follow.
_SIGNS = " _-,;:!?.'\"()[]{}@*/\\&#%`^+<=>|~$"
_OTHER_SIGNS = "\x2e"  # before the digits, which weigh what they are
_AFTER_ALL = "\U0010ffff"  # the weight of U+FFFF
_RANKS: dict[type, int] = {type(None): 0, bool: 1, int: 2, float: 2, str: 3, list: 4, dict: 5}


def rank(value: Json) -> int:
    """null < bool < number < string < array < object."""
    return _RANKS[type(value)]


def is_true(value: Json) -> bool:
    """False are null, false, 0 and ""; every array and every object is true, the empty ones too."""
    return isinstance(value, (list, dict)) or bool(value)


def is_number(value: Json) -> bool:
    return rank(value) == 2


@lru_cache(maxsize=1_000_000)
def collation_key(text: str) -> tuple[str, str, str, str]:
    """Stands for ICU's root collation as the server sets it up: identical strength, capitals first.

    Letters first, then accents, then case, then the NFD form; so NFC and NFD are equal. It is near to ICU where names
    of music are concerned and claims no more: nothing may hang on the exact order."""
    if text.isascii() and text.isalnum() and text == text.lower():
        return text, "", "1" * len(text), text
    decomposed = text if text.isascii() else unicodedata.normalize("NFD", text)
    bases = [letter for letter in decomposed if not unicodedata.combining(letter)]
    letters = "".join(_weight(letter) for letter in bases)
    accents = "".join(letter for letter in decomposed if unicodedata.combining(letter))
    cases = "".join("0" if letter.isupper() else "1" for letter in bases)
    return letters, accents, cases, decomposed


@lru_cache(maxsize=10_000)
def _weight(letter: str) -> str:
    if letter in _SIGNS:
        return chr(1 + _SIGNS.index(letter))
    if letter == "\uffff":
        return _AFTER_ALL
    category = unicodedata.category(letter)
    if category in ("Cc", "Cf"):
        return ""  # without weight
    return _OTHER_SIGNS + letter if category[0] in "ZPS" else letter.casefold()


def sort_key(value: Json, *, exact: bool = False) -> tuple[Any, ...]:
    """Orders any two values and can be hashed; `exact` compares strings by code point, as == does without an index."""
    kind = rank(value)
    if kind < 3:
        return (kind, value or 0)
    if kind == 3:
        return (3, value if exact else collation_key(value))
    if kind == 4:
        return (4, tuple(sort_key(item, exact=exact) for item in value))
    return (5, tuple(sorted((name, sort_key(item, exact=exact)) for name, item in value.items() if item is not None)))


def are_equal(left: Json, right: Json, *, exact: bool = True) -> bool:
    return sort_key(left, exact=exact) == sort_key(right, exact=exact)


def to_number(value: Json) -> int | float:
    """What is no number counts as 0, also in arithmetic; an array with one item counts as this item."""
    if is_number(value):
        return value  # type: ignore[no-any-return]
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, list) and len(value) == 1:
        return to_number(value[0])
    return _number_in(value) if isinstance(value, str) else 0


def _number_in(text: str) -> int | float:
    try:
        return normalized(float(text)) if not text.strip().lstrip("+-").isdigit() else normalized(int(text))
    except ValueError:
        return 0


def normalized(number: int | float) -> int | float:
    """Whole numbers within 64 bits are integers, the rest are doubles."""
    if isinstance(number, float):
        return int(number) if number.is_integer() and abs(number) < 2**53 else number
    return number if -(2**63) <= number < 2**63 else float(number)


def to_string(value: Json) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else compact(value)


def compact(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
