"""The functions of AQL that need nothing but their arguments."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import chain

from support.arango.syntax import Json
from support.arango.values import are_equal, is_number, is_true, normalized, rank, sort_key, to_number, to_string

SYSTEM_ATTRIBUTES = frozenset({"_id", "_key", "_rev"})


@dataclass(frozen=True, slots=True)
class Function:
    """A function and how many arguments it takes; `most` None is any number."""

    call: Callable[..., Json]
    least: int
    most: int | None

    def takes(self, count: int) -> bool:
        return self.least <= count and (self.most is None or count <= self.most)


def unique(values: Iterable[Json]) -> list[Json]:
    found: dict[tuple[Json, ...], Json] = {}
    for value in values:
        found.setdefault(sort_key(value, exact=True), value)
    return list(found.values())


def merge(old: dict[str, Json], new: dict[str, Json]) -> dict[str, Json]:
    """MERGE_RECURSIVE, which is also what `mergeObjects: true` does."""
    merged = {**old, **new}
    for name in old.keys() & new.keys():
        if isinstance(old[name], dict) and isinstance(new[name], dict):
            merged[name] = merge(old[name], new[name])
    return merged


def like(text: Json, pattern: Json, case_insensitive: Json = False) -> bool:
    """`%` is any text, `_` any character, a backslash takes the meaning from either."""
    parts = re.findall(r"\\[%_\\]|.", to_string(pattern), flags=re.DOTALL)
    expression = "".join({"%": ".*", "_": "."}.get(part) or re.escape(part[-1]) for part in parts)
    flags = re.DOTALL | (re.IGNORECASE if is_true(case_insensitive) else 0)
    return re.fullmatch(expression, to_string(text), flags) is not None


def length(value: Json) -> int:
    """Of an array, an object, a string in characters; null and false count 0, true 1."""
    if isinstance(value, (list, dict)):
        return len(value)
    if value is None or isinstance(value, bool):
        return int(value or 0)
    return len(to_string(value))


def _of_array(function: Callable[..., Json]) -> Callable[..., Json]:
    """null for a first argument that is no array."""

    def guarded(values: Json, *arguments: Json) -> Json:
        return function(values, *arguments) if isinstance(values, list) else None

    return guarded


def _of_arrays(function: Callable[..., Json]) -> Callable[..., Json]:
    def guarded(*arguments: Json) -> Json:
        return function(*arguments) if all(isinstance(values, list) for values in arguments) else None

    return guarded


def _of_object(function: Callable[..., Json]) -> Callable[..., Json]:
    def guarded(document: Json, *arguments: Json) -> Json:
        return function(document, *arguments) if isinstance(document, dict) else None

    return guarded


def _of_number(function: Callable[[float], float]) -> Callable[[Json], Json]:
    def guarded(value: Json) -> Json:
        return normalized(function(to_number(value)))

    return guarded


def _names(arguments: tuple[Json, ...]) -> list[str]:
    """UNSET and KEEP take names one by one or as one array."""
    return arguments[0] if len(arguments) == 1 and isinstance(arguments[0], list) else list(arguments)


def _merge(*objects: Json) -> Json:
    parts = objects[0] if len(objects) == 1 and isinstance(objects[0], list) else objects
    if not all(isinstance(part, dict) for part in parts):
        return None
    return dict(chain.from_iterable(part.items() for part in parts))


def _merge_recursive(*objects: Json) -> Json:
    merged: dict[str, Json] = {}
    for part in objects:
        if not isinstance(part, dict):
            return None
        merged = merge(merged, part)
    return merged


def _unset(document: dict[str, Json], *names: Json) -> Json:
    unwanted = _names(names)
    return {name: value for name, value in document.items() if name not in unwanted}


def _keep(document: dict[str, Json], *names: Json) -> Json:
    return {name: document[name] for name in _names(names) if name in document}


def _append(values: list[Json], more: Json, once: Json = False) -> Json:
    joined = values + (more if isinstance(more, list) else [more])
    return unique(joined) if is_true(once) else joined


def _push(values: list[Json], value: Json, once: Json = False) -> Json:
    return values if is_true(once) and _contains(values, value) else [*values, value]


def _contains(values: list[Json], value: Json) -> bool:
    return any(are_equal(item, value) for item in values)


def _minus(first: list[Json], *others: list[Json]) -> Json:
    return unique(value for value in first if not any(_contains(other, value) for other in others))


def _intersection(first: list[Json], *others: list[Json]) -> Json:
    return unique(value for value in first if all(_contains(other, value) for other in others))


def _union(*arrays: list[Json]) -> Json:
    return list(chain.from_iterable(arrays))


def _flatten(values: list[Json], depth: Json = 1) -> Json:
    if to_number(depth) < 1:
        return values
    parts = (_flatten(value, to_number(depth) - 1) if isinstance(value, list) else [value] for value in values)
    return list(chain.from_iterable(parts))


def _slice(values: list[Json], start: Json, count: Json = None) -> Json:
    rest = values[int(to_number(start)) :]
    return rest if count is None else rest[: int(to_number(count))]


def _nth(values: list[Json], index: Json) -> Json:
    at = int(to_number(index))
    return values[at] if 0 <= at < len(values) else None


def _concat(*parts: Json) -> str:
    given = parts[0] if len(parts) == 1 and isinstance(parts[0], list) else parts
    return "".join(to_string(part) for part in given)


def _concat_separator(separator: Json, *parts: Json) -> str:
    given = parts[0] if len(parts) == 1 and isinstance(parts[0], list) else parts
    return to_string(separator).join(to_string(part) for part in given if part is not None)


def _substring(text: Json, start: Json, count: Json = None) -> str:
    rest = to_string(text)[int(to_number(start)) :]
    return rest if count is None else rest[: int(to_number(count))]


def _text_contains(text: Json, search: Json, as_index: Json = False) -> Json:
    index = to_string(text).find(to_string(search))
    return index if is_true(as_index) else index >= 0


def _split(text: Json, separator: Json) -> list[Json]:
    return list(to_string(text).split(to_string(separator)))


def _numbers(values: list[Json]) -> list[Json]:
    return [value for value in values if value is not None]


def _min(values: list[Json]) -> Json:
    return min(_numbers(values), key=sort_key, default=None)


def _max(values: list[Json]) -> Json:
    return max(values, key=sort_key, default=None)


def _sum(values: list[Json]) -> Json:
    numbers = _numbers(values)
    return normalized(sum(numbers)) if all(map(is_number, numbers)) else None


def _average(values: list[Json]) -> Json:
    numbers = _numbers(values)
    return normalized(sum(numbers) / len(numbers)) if numbers and all(map(is_number, numbers)) else None


def _first_not_null(*values: Json) -> Json:
    return next((value for value in values if value is not None), None)


def _values(document: dict[str, Json], without_system: Json = False) -> Json:
    return [document[name] for name in _attributes(document, without_system)]


def _attributes(document: dict[str, Json], without_system: Json = False, ordered: Json = False) -> Json:
    names = [name for name in document if not (is_true(without_system) and name.startswith("_"))]
    return sorted(names, key=sort_key) if is_true(ordered) else names


def _zip(names: list[Json], values: list[Json]) -> Json:
    return dict(zip(map(to_string, names), values, strict=True)) if len(names) == len(values) else None


def value_range(low: Json, high: Json, step: Json = None) -> list[Json]:
    """Both ends belong to it; it counts down when the first is the greater one."""
    start, stop = int(to_number(low)), int(to_number(high))
    stride = int(to_number(step)) if step is not None else (1 if start <= stop else -1)
    return list(range(start, stop + (1 if stride > 0 else -1), stride))


def _parse_identifier(value: Json) -> Json:
    identifier = value.get("_id") if isinstance(value, dict) else value
    if not isinstance(identifier, str) or identifier.count("/") != 1:
        return None
    collection, key = identifier.split("/")
    return {"collection": collection, "key": key}


def _is(*ranks: int) -> Callable[[Json], bool]:
    return lambda value: rank(value) in ranks


def _round(number: float) -> float:
    return math.floor(number + 0.5)  # half up, also below zero: ROUND(-2.5) is -2


def _table() -> dict[str, Function]:
    any_number = None
    return {
        "ABS": Function(_of_number(abs), 1, 1),
        "APPEND": Function(_of_array(_append), 2, 3),
        "ATTRIBUTES": Function(_of_object(_attributes), 1, 3),
        "AVERAGE": Function(_of_array(_average), 1, 1),
        "CEIL": Function(_of_number(math.ceil), 1, 1),
        "CONCAT": Function(_concat, 1, any_number),
        "CONCAT_SEPARATOR": Function(_concat_separator, 2, any_number),
        "CONTAINS": Function(_text_contains, 2, 3),
        "COUNT": Function(length, 1, 1),
        "FIRST": Function(_of_array(lambda values: values[0] if values else None), 1, 1),
        "FLATTEN": Function(_of_array(_flatten), 1, 2),
        "FLOOR": Function(_of_number(math.floor), 1, 1),
        "HAS": Function(lambda document, name: isinstance(document, dict) and to_string(name) in document, 2, 2),
        "INTERSECTION": Function(_of_arrays(_intersection), 2, any_number),
        "IS_ARRAY": Function(_is(4), 1, 1),
        "IS_BOOL": Function(_is(1), 1, 1),
        "IS_NULL": Function(_is(0), 1, 1),
        "IS_NUMBER": Function(_is(2), 1, 1),
        "IS_OBJECT": Function(_is(5), 1, 1),
        "IS_STRING": Function(_is(3), 1, 1),
        "KEEP": Function(_of_object(_keep), 2, any_number),
        "LAST": Function(_of_array(lambda values: values[-1] if values else None), 1, 1),
        "LENGTH": Function(length, 1, 1),
        "LIKE": Function(like, 2, 3),
        "LOWER": Function(lambda text: to_string(text).lower(), 1, 1),
        "MAX": Function(_of_array(_max), 1, 1),
        "MERGE": Function(_merge, 1, any_number),
        "MERGE_RECURSIVE": Function(_merge_recursive, 1, any_number),
        "MIN": Function(_of_array(_min), 1, 1),
        "MINUS": Function(_of_arrays(_minus), 2, any_number),
        "NOT_NULL": Function(_first_not_null, 1, any_number),
        "NTH": Function(_of_array(_nth), 2, 2),
        "PARSE_IDENTIFIER": Function(_parse_identifier, 1, 1),
        "POSITION": Function(_of_array(_contains), 2, 2),
        "PUSH": Function(_of_array(_push), 2, 3),
        "RANGE": Function(value_range, 2, 3),
        "REVERSE": Function(lambda value: value[::-1] if isinstance(value, (list, str)) else None, 1, 1),
        "ROUND": Function(_of_number(_round), 1, 1),
        "SLICE": Function(_of_array(_slice), 2, 3),
        "SORTED": Function(_of_array(lambda values: sorted(values, key=sort_key)), 1, 1),
        "SORTED_UNIQUE": Function(_of_array(lambda values: sorted(unique(values), key=sort_key)), 1, 1),
        "SPLIT": Function(_split, 2, 2),
        "STARTS_WITH": Function(lambda text, prefix: to_string(text).startswith(to_string(prefix)), 2, 2),
        "SUBSTRING": Function(_substring, 2, 3),
        "SUM": Function(_of_array(_sum), 1, 1),
        "TO_BOOL": Function(is_true, 1, 1),
        "TO_NUMBER": Function(to_number, 1, 1),
        "TO_STRING": Function(to_string, 1, 1),
        "TRIM": Function(lambda text: to_string(text).strip(), 1, 1),
        "UNION": Function(_of_arrays(_union), 2, any_number),
        "UNION_DISTINCT": Function(_of_arrays(lambda *arrays: unique(_union(*arrays))), 2, any_number),
        "UNIQUE": Function(_of_array(unique), 1, 1),
        "UNSET": Function(_of_object(_unset), 2, any_number),
        "UPPER": Function(lambda text: to_string(text).upper(), 1, 1),
        "VALUES": Function(_of_object(_values), 1, 2),
        "ZIP": Function(_of_arrays(_zip), 2, 2),
    }


FUNCTIONS = _table()
