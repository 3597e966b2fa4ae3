"""What the server does with a request: paths, codes and bodies of the HTTP API of ArangoDB 3.12."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from typing import Any

from support.arango.cursors import DEFAULT_PAGE, Cursors
from support.arango.errors import Problem, ServerError
from support.arango.explain import explain
from support.arango.interpreter import execute, patched
from support.arango.parser import parse
from support.arango.requests import Answer, Request
from support.arango.store import Collection, Database, Document, Index, Store
from support.arango.syntax import Json

VERSION = "3.12.5"
Handler = Callable[[Request], Answer]


def system_clock() -> float:
    return time.time()


class Api:
    """One server without its network. Calls come one after the other."""

    def __init__(
        self, *, username: str = "root", password: str = "", clock: Callable[[], float] = system_clock
    ) -> None:
        self.store = Store()
        self.cursors = Cursors()
        self.password = password
        self.clock = clock
        self.mode = "default"
        self.role = "SINGLE"
        self.disk_usage: dict[str, Json] = {
            "bytesUsed": 127316844,
            "bytesLimit": 107374182400,
            "limitReached": False,
            "secondsUntilReadOnly": 315569520,
            "secondsUntilShutDown": 315569520,
            "status": "good",
        }
        """What `/_admin/license` tells since 3.12.5."""
        self._username = username
        self._handlers: dict[str, Handler] = {
            "version": self._version,
            "engine": lambda request: Answer(200, {"name": "rocksdb"}),
            "database": self._database,
            "collection": self._collection,
            "index": self._index,
            "document": self._document,
            "cursor": self._cursor,
            "explain": self._explain,
            "query": self._parse,
            "server": self._server,
            "time": lambda request: Answer.done(200, time=self.clock()),
            "status": self._status,
            "license": lambda request: Answer(200, {"upgrading": False, "diskUsage": self.disk_usage}),
        }

    def answer(self, request: Request) -> Answer:
        """What the server answers; it never raises."""
        try:
            self._check_login(request)
            handler = self._handlers.get(request.parts[0]) if request.parts else None
            if handler is None:
                raise ServerError(Problem.NOT_FOUND, request.path)
            self.store.database(request.database)
            return handler(request)
        except ServerError as error:
            return Answer.failed(error.problem, str(error))

    def _check_login(self, request: Request) -> None:
        expected = base64.b64encode(f"{self._username}:{self.password}".encode()).decode()
        if request.headers.get("authorization") != f"Basic {expected}":
            raise ServerError(Problem.FORBIDDEN)

    # The server

    def _version(self, request: Request) -> Answer:
        return Answer(200, {"server": "arango", "license": "community", "version": VERSION, "details": {}})

    def _server(self, request: Request) -> Answer:
        bodies = {"role": {"role": self.role}, "availability": {"mode": "default"}, "mode": {"mode": self.mode}}
        return Answer.done(200, **bodies[request.parts[1]])

    def _status(self, request: Request) -> Answer:
        info = {"maintenance": False, "role": self.role, "writeOpsEnabled": True, "readOnly": False}
        return Answer(200, {"server": "arango", "license": "community", "version": VERSION, "serverInfo": info})

    # Databases

    def _database(self, request: Request) -> Answer:
        name = request.parts[1] if len(request.parts) > 1 else ""
        if request.method == "GET":
            return self._show_database(request, name)
        if request.database != "_system":
            raise ServerError(Problem.ONLY_IN_SYSTEM)
        if request.method == "POST":
            wanted = request.json()
            self.store.create_database(wanted.get("name", ""), wanted.get("options", {}))
            return Answer.done(201, result=True)
        self.store.drop_database(name)
        return Answer.done(200, result=True)

    def _show_database(self, request: Request, name: str) -> Answer:
        if name == "current":
            return Answer.done(200, result=_database_properties(self._current(request)))
        return Answer.done(200, result=sorted(self.store.databases))

    def _current(self, request: Request) -> Database:
        return self.store.database(request.database)

    # Collections

    def _collection(self, request: Request) -> Answer:
        database = self._current(request)
        if len(request.parts) == 1:
            return self._create_collection(request) if request.method == "POST" else _list_collections(database)
        collection = database.collection(request.parts[1])
        if request.method == "DELETE":
            del database.collections[collection.name]
            return Answer.done(200, id=collection.number)
        if request.parts[2:] == ("truncate",):
            collection.truncate()
        properties = collection_properties(collection)
        if request.parts[2:] == ("count",):
            properties["count"] = len(collection.documents)
        return Answer.done(200, **properties)

    def _create_collection(self, request: Request) -> Answer:
        wanted = request.json()
        made = self._current(request).create_collection(str(wanted.get("name", "")), wanted)
        return Answer.done(200, **collection_properties(made))

    # Indexes

    def _index(self, request: Request) -> Answer:
        database = self._current(request)
        if request.method == "POST":
            return _create_index(database.collection(request.parameters.get("collection")), request.json())
        if len(request.parts) == 1:
            collection = database.collection(request.parameters.get("collection"))
            return Answer.done(200, indexes=[describe_index(collection, index) for index in collection.indexes])
        collection = database.collection(request.parts[1])
        index = _index_called(collection, request.parts[2])
        if request.method == "DELETE":
            collection.indexes.remove(index)
            return Answer.done(200, id=f"{collection.name}/{index.number}")
        return Answer.done(200, **describe_index(collection, index))

    # Documents

    def _document(self, request: Request) -> Answer:
        collection = self._current(request).collection(request.parts[1])
        with self._current(request).transaction():
            if len(request.parts) == 2:
                return self._create_document(request, collection)
            old = collection.get(request.parts[2])
            if old is None:
                raise ServerError(Problem.DOCUMENT_NOT_FOUND)
            return self._single_document(request, collection, old)

    def _create_document(self, request: Request, collection: Collection) -> Answer:
        document = request.json()
        if request.method != "POST" or not isinstance(document, dict):
            raise ServerError(Problem.BAD_PARAMETER, "only single documents are served here")
        return _stored(request, collection.insert(document), None)

    def _single_document(self, request: Request, collection: Collection, old: Document) -> Answer:
        _check_revision(request, old)
        if request.method in ("GET", "HEAD"):
            return Answer(200, old if request.method == "GET" else None, {"Etag": f'"{old["_rev"]}"'})
        if request.method == "DELETE":
            collection.remove(old)
            return Answer(202, _identity(old))
        given = request.json()
        options = {name: request.is_set(name, True) for name in ("keepNull", "mergeObjects")}
        new = given if request.method == "PUT" else patched(old, given, options)
        return _stored(request, collection.replace(old, new), old)

    # Queries

    def _cursor(self, request: Request) -> Answer:
        if len(request.parts) > 1:
            return self._open_cursor(request, request.parts[1])
        wanted = request.json()
        now_ms = int(self.clock() * 1000)
        outcome = execute(self._current(request), wanted.get("query", ""), wanted.get("bindVars") or {}, now_ms)
        page_size = wanted.get("batchSize", DEFAULT_PAGE)
        return Answer.done(
            201, **self.cursors.first_page(outcome, page_size=page_size, counts=wanted.get("count", False))
        )

    def _open_cursor(self, request: Request, cursor: str) -> Answer:
        if request.method == "DELETE":
            self.cursors.close(cursor)
            return Answer.done(202, id=cursor)
        return Answer.done(200, **self.cursors.next_page(cursor))

    def _explain(self, request: Request) -> Answer:
        wanted = request.json()
        return Answer.done(200, **explain(self._current(request), wanted["query"], wanted.get("bindVars") or {}))

    def _parse(self, request: Request) -> Answer:
        parse(request.json()["query"])
        return Answer.done(200, parsed=True, bindVars=[], collections=[], ast=[])


def _database_properties(database: Database) -> dict[str, Any]:
    defaults = {"id": "1", "path": "", "isSystem": database.name == "_system", "sharding": "", "replicationFactor": 1}
    return {**defaults, **database.options, "name": database.name}


def _list_collections(database: Database) -> Answer:
    return Answer.done(200, result=[_collection_summary(found) for found in database.collections.values()])


def _collection_summary(collection: Collection) -> dict[str, Any]:
    return {
        "id": collection.number,
        "name": collection.name,
        "status": 3,
        "type": 2,
        "isSystem": collection.name.startswith("_"),
        "globallyUniqueId": f"h{collection.number}/{collection.number}",
    }


def collection_properties(collection: Collection) -> dict[str, Any]:
    keys = {"type": "traditional", "allowUserKeys": True, "lastValue": 0}
    return {
        **_collection_summary(collection),
        "statusString": "loaded",
        "waitForSync": collection.options.get("waitForSync", False),
        "writeConcern": 1,
        "keyOptions": collection.options.get("keyOptions", keys),
        "schema": collection.options.get("schema"),
        "cacheEnabled": False,
    }


def _create_index(collection: Collection, definition: dict[str, Any]) -> Answer:
    if definition.get("type") != "persistent" or not definition.get("fields"):
        raise ServerError(Problem.BAD_PARAMETER, "only persistent indexes are served here")
    index, is_new = collection.add_index(definition)
    status = 201 if is_new else 200
    return Answer.done(status, **describe_index(collection, index), isNewlyCreated=is_new)


def _index_called(collection: Collection, number_or_name: str) -> Index:
    for index in collection.indexes[1:]:
        if number_or_name in (index.number, index.name):
            return index
    raise ServerError(Problem.INDEX_NOT_FOUND)


def describe_index(collection: Collection, index: Index) -> dict[str, Any]:
    described = {
        "id": f"{collection.name}/{index.number}",
        "type": index.type,
        "name": index.name,
        "fields": list(index.fields),
        "unique": index.unique,
        "sparse": index.sparse,
        "selectivityEstimate": 1,
    }
    more = {"deduplicate": True, "estimates": True, "cacheEnabled": False}
    return described if index.type == "primary" else {**described, **more}


def _check_revision(request: Request, document: Document) -> None:
    """If-Match, or `_rev` in the body with `ignoreRevs=false`: error 1200, over HTTP with status 412."""
    expected = request.headers.get("if-match", "").strip('"')
    if not expected and request.method in ("PUT", "PATCH") and not request.is_set("ignoreRevs", True):
        expected = request.json().get("_rev", "")
    if expected and expected != document["_rev"]:
        raise ServerError(Problem.STALE_REVISION)


def _identity(document: Document) -> dict[str, Json]:
    return {name: document[name] for name in ("_id", "_key", "_rev")}


def _stored(request: Request, new: Document, old: Document | None) -> Answer:
    body: dict[str, Json] = _identity(new)
    if old is not None:
        body["_oldRev"] = old["_rev"]
    if request.is_set("returnNew"):
        body["new"] = new
    if request.is_set("returnOld") and old is not None:
        body["old"] = old
    return Answer(201 if request.is_set("waitForSync") else 202, body)
