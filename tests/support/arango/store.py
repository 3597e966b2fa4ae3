"""What the server keeps: databases, collections with their indexes, documents; and the undo of a transaction."""

from __future__ import annotations

import re
from bisect import bisect_left, insort
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count, product
from typing import Any

from support.arango.errors import Problem, ServerError
from support.arango.syntax import Json
from support.arango.values import sort_key

Document = dict[str, Json]
Undo = Callable[[], None]
Entry = tuple[Any, ...]
_AFTER_EVERY_VALUE = (9,)
_KEY = re.compile(r"[A-Za-z0-9_\-:.@()+,=;$!*'%]{1,254}")  # "Document keys"
_COLLECTION_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_\-]{0,255}")


class Index:
    """A persistent index: sorted, compared by collation, equality too; the primary index is one on `_key`."""

    def __init__(self, number: str, definition: dict[str, Any]) -> None:
        self.number = number
        self.definition = definition
        self.type: str = definition["type"]
        self.name: str = definition.get("name") or f"idx_{number}"
        self.fields: tuple[str, ...] = tuple(definition["fields"])
        self.unique: bool = definition.get("unique", False)
        self.sparse: bool = definition.get("sparse", False)
        self._entries: list[tuple[Entry, str]] = []

    def add(self, document: Document) -> None:
        """ServerError 1210 when the index is unique and another document has these values."""
        entries = self._entries_of(document)
        for values, _ in entries if self.unique else ():
            self._refuse_if_taken(values)
        for entry in entries:
            insort(self._entries, entry)

    def discard(self, document: Document) -> None:
        for entry in self._entries_of(document):
            at = bisect_left(self._entries, entry)
            if at < len(self._entries) and self._entries[at] == entry:
                del self._entries[at]

    def between(self, prefix: list[Json], low: Json = None, high: Json = None) -> list[str]:
        """Keys of documents whose first fields equal `prefix` and whose next one is from `low` up to `high`.

        Both ends are included; None leaves an end open."""
        equal = tuple(sort_key(value) for value in prefix)
        first = equal if low is None else (*equal, sort_key(low))
        last = (*equal, *(() if high is None else (sort_key(high),)), _AFTER_EVERY_VALUE)
        start = bisect_left(self._entries, (first,))
        stop = bisect_left(self._entries, (last,))
        return list(dict.fromkeys(key for _, key in self._entries[start:stop]))

    def is_like(self, definition: dict[str, Any]) -> bool:
        theirs = (
            definition["type"],
            tuple(definition["fields"]),
            definition.get("unique", False),
            definition.get("sparse", False),
        )
        return theirs == (self.type, self.fields, self.unique, self.sparse)

    def _refuse_if_taken(self, values: Entry) -> None:
        at = bisect_left(self._entries, (values,))
        if at < len(self._entries) and self._entries[at][0] == values:
            where = f"in index {self.name} of type {self.type} over '{', '.join(self.fields)}'"
            raise ServerError(Problem.UNIQUE, f"{where}; conflicting key: {self._entries[at][1]}")

    def _entries_of(self, document: Document) -> set[tuple[Entry, str]]:
        """One, or for a field such as `tags[*]` one for each different element of the array."""
        fields = [values_at(document, path) for path in self.fields]
        return {
            (tuple(sort_key(value) for value in values), document["_key"])
            for values in product(*fields)
            if not (self.sparse and None in values)
        }


def values_at(document: Json, path: str) -> list[Json]:
    """What an index field finds: the value, or those of each element for `a[*].b`; a missing array counts as null."""
    array, expands, rest = path.partition("[*]")
    found = value_at(document, array)
    if not expands or not isinstance(found, list):
        return [None] if expands else [found]
    return [value_at(item, rest.removeprefix(".")) if rest else item for item in found]


def value_at(document: Json, path: str) -> Json:
    for name in path.split("."):
        document = document.get(name) if isinstance(document, dict) else None
    return document


class Collection:
    """Documents by key, in the order of insertion, with every index kept true."""

    def __init__(self, name: str, number: str, options: dict[str, Any], database: Database) -> None:
        self.name = name
        self.number = number
        self.options = options
        self._database = database
        self.documents: dict[str, Document] = {}
        self.primary = Index("0", {"type": "primary", "name": "primary", "fields": ["_key"], "unique": True})
        self.indexes: list[Index] = [self.primary]

    def get(self, key: Json) -> Document | None:
        return self.documents.get(key) if isinstance(key, str) else None

    def insert(self, document: Document) -> Document:
        key = document.get("_key")
        if key is None:
            key = self._database.next_number()
        if not isinstance(key, str) or not _KEY.fullmatch(key):
            raise ServerError(Problem.BAD_KEY, repr(key))
        stored = self._with_system_attributes(key, document)
        self._put(stored)
        return stored

    def replace(self, old: Document, new: Document) -> Document:
        """Its key stays, its revision is a new one."""
        stored = self._with_system_attributes(old["_key"], new)
        self.remove(old)
        try:
            self._put(stored)
        except ServerError:
            self._put(old)
            raise
        return stored

    def remove(self, document: Document) -> None:
        self._take_out(document)
        self._database.remember(lambda: self._restore(document))

    def add_index(self, definition: dict[str, Any]) -> tuple[Index, bool]:
        """The index and whether it is new; ServerError 1210 when the documents do not fit it."""
        for known in self.indexes:
            if known.is_like(definition):
                return known, False
            if known.name == definition.get("name"):
                raise ServerError(Problem.DUPLICATE_NAME, f"index {known.name}")
        made = Index(self._database.next_number(), definition)
        for document in self.documents.values():
            made.add(document)
        self.indexes.append(made)
        return made, True

    def truncate(self) -> None:
        for document in list(self.documents.values()):
            self.remove(document)

    def _put(self, document: Document) -> None:
        entered: list[Index] = []
        try:
            for index in self.indexes:
                index.add(document)
                entered.append(index)
        except ServerError:
            for index in entered:
                index.discard(document)
            raise
        self.documents[document["_key"]] = document
        self._database.remember(lambda: self._take_out(document))

    def _restore(self, document: Document) -> None:
        for index in self.indexes:
            index.add(document)
        self.documents[document["_key"]] = document

    def _take_out(self, document: Document) -> None:
        del self.documents[document["_key"]]
        for index in self.indexes:
            index.discard(document)

    def _with_system_attributes(self, key: str, document: Document) -> Document:
        own = {name: value for name, value in document.items() if name not in ("_key", "_id", "_rev")}
        return {"_key": key, "_id": f"{self.name}/{key}", "_rev": self._database.next_revision(), **own}


@dataclass
class Database:
    """Collections by name; changes within `transaction` are undone when it fails."""

    name: str
    options: dict[str, Any] = field(default_factory=dict)
    collections: dict[str, Collection] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=lambda: count(1001))
    _undo: list[Undo] | None = None

    def collection(self, name: Json) -> Collection:
        found = self.collections.get(name) if isinstance(name, str) else None
        if found is None:
            raise ServerError(Problem.COLLECTION_NOT_FOUND, str(name))
        return found

    def create_collection(self, name: str, options: dict[str, Any]) -> Collection:
        if not _COLLECTION_NAME.fullmatch(name):
            raise ServerError(Problem.ILLEGAL_NAME, str(name))
        if name in self.collections:
            raise ServerError(Problem.DUPLICATE_NAME, name)
        self.collections[name] = Collection(name, self.next_number(), options, self)
        return self.collections[name]

    def next_number(self) -> str:
        return str(next(self._numbers))

    def next_revision(self) -> str:
        return f"_k{next(self._numbers):08x}---"

    def remember(self, undo: Undo) -> None:
        if self._undo is not None:
            self._undo.append(undo)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of it happens or, when an error leaves the block, nothing."""
        self._undo = []
        try:
            yield
        except BaseException:
            undo, self._undo = self._undo, None
            for step in reversed(undo):
                step()
            raise
        finally:
            self._undo = None


class Store:
    """All databases of the server; `_system` is always there."""

    def __init__(self) -> None:
        self.databases: dict[str, Database] = {"_system": Database("_system")}

    def database(self, name: str) -> Database:
        if name not in self.databases:
            raise ServerError(Problem.DATABASE_NOT_FOUND, name)
        return self.databases[name]

    def create_database(self, name: str, options: dict[str, Any]) -> None:
        if not name or name in self.databases:
            raise ServerError(Problem.DUPLICATE_NAME if name else Problem.ILLEGAL_NAME, name)
        self.databases[name] = Database(name, options)

    def copy_database(self, source: str, name: str) -> None:
        """A new database with the collections, indexes and documents of another one."""
        self.create_database(name, {})
        copied = self.databases[name]
        for collection in self.databases[source].collections.values():
            made = copied.create_collection(collection.name, collection.options)
            for index in collection.indexes[1:]:
                made.add_index(index.definition)
            for document in collection.documents.values():
                made.insert(document)

    def drop_database(self, name: str) -> None:
        self.database(name)
        del self.databases[name]
