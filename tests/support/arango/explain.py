"""The execution plan of a query, as far as it shows which collections are read by an index."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from support.arango.checks import Check, check
from support.arango.interpreter import Interpreter
from support.arango.parser import parse
from support.arango.planner import Comparisons, attribute_path, best_access, comparisons_of, parts
from support.arango.store import Collection, Database, Index
from support.arango.syntax import (
    Bind,
    Collect,
    Constant,
    Expression,
    Filter,
    For,
    Insert,
    Json,
    Let,
    Limit,
    Name,
    ObjectLiteral,
    Operation,
    Query,
    Remove,
    Return,
    Sort,
    Subquery,
    Upsert,
)

_TYPES: dict[type, str] = {
    Filter: "FilterNode",
    Let: "CalculationNode",
    Sort: "SortNode",
    Limit: "LimitNode",
    Collect: "CollectNode",
    Insert: "InsertNode",
    Remove: "RemoveNode",
    Upsert: "UpsertNode",
    Return: "ReturnNode",
}


def explain(database: Database, text: str, binds: Mapping[str, Json]) -> dict[str, Any]:
    """The body of the answer of `POST /_api/explain`."""
    query = parse(text)
    checked = check(query, binds, database)
    planner = _Plan(database, binds, checked, Interpreter(database, binds, 0, checked).constant)
    planner.add("SingletonNode")
    planner.query(query, frozenset())
    collections = [{"name": name, "type": "read"} for name in sorted(checked.read - checked.written)]
    collections += [{"name": name, "type": "write"} for name in sorted(checked.written)]
    plan = {
        "nodes": planner.nodes,
        "rules": [],
        "collections": collections,
        "variables": [],
        "estimatedCost": float(len(planner.nodes)),
        "estimatedNrItems": 1,
        "isModificationQuery": bool(checked.written),
    }
    return {"plan": plan, "cacheable": not checked.written, "warnings": [], "stats": {"plansCreated": 1}}


class _Plan:
    def __init__(
        self, database: Database, binds: Mapping[str, Json], checked: Check, constant: Callable[[Expression], Json]
    ) -> None:
        self._constant = constant
        self.nodes: list[dict[str, Any]] = []
        self._database, self._binds, self._checked = database, binds, checked

    def add(self, kind: str, **more: Any) -> None:
        number = len(self.nodes) + 1
        self.nodes.append({"type": kind, "id": number, "dependencies": [number - 1] if number > 1 else [], **more})

    def query(self, query: Query, known: frozenset[str]) -> None:
        for at, operation in enumerate(query.operations):
            self._subqueries(operation, known)
            if isinstance(operation, For):
                self._for(operation, query.operations[at + 1 :], known)
            elif isinstance(operation, Upsert):
                self._upsert(operation)
            else:
                self.add(_TYPES.get(type(operation), "") or f"{getattr(operation, 'kind', '').title()}Node")
            if isinstance(operation, (For, Let)):
                known = known | {operation.variable}

    def _subqueries(self, node: Operation | Expression, known: frozenset[str]) -> None:
        for part in parts(node):
            if isinstance(part, Subquery):
                self.add("SubqueryStartNode")
                self.query(part.query, known)
                self.add("SubqueryEndNode")
            else:
                self._subqueries(part, known)

    def _for(self, operation: For, following: Sequence[Operation], known: frozenset[str]) -> None:
        collection = self._collection(operation.source, known)
        if collection is None:
            self.add("EnumerateListNode")
            return
        access = best_access(collection, comparisons_of(operation.variable, following, known, self._constant))
        self._read(collection, access.index if access else _sorting(collection, operation.variable, following))

    def _upsert(self, operation: Upsert) -> None:
        comparisons = Comparisons(equal={name: Constant(None) for name in _names(operation.search)})
        collection = self._database.collection(self._checked.collection_name(operation.collection))
        access = best_access(collection, comparisons)
        self.add("SubqueryStartNode")
        self._read(collection, access.index if access else None)
        self.add("SubqueryEndNode")
        self.add("UpsertNode")

    def _read(self, collection: Collection, index: Index | None) -> None:
        if index is None:
            self.add("EnumerateCollectionNode", collection=collection.name)
        else:
            self.add(
                "IndexNode",
                collection=collection.name,
                indexes=[{"name": index.name, "type": index.type, "fields": list(index.fields)}],
            )

    def _collection(self, source: Expression, known: frozenset[str]) -> Collection | None:
        if isinstance(source, Name) and source.name not in known:
            return self._database.collection(source.name)
        if isinstance(source, Bind) and source.name.startswith("@"):
            return self._database.collection(self._binds[source.name])
        return None


def _names(search: Expression) -> list[str]:
    """The attributes that an UPSERT looks for, as far as they are written in the query."""
    pairs = search.pairs if isinstance(search, ObjectLiteral) else ()
    return [name.value for name, _ in pairs if isinstance(name, Constant)]


def _sorting(collection: Collection, variable: str, following: Sequence[Operation]) -> Index | None:
    """An index that gives the documents in the order asked for, when all of them are asked for."""
    for operation in following:
        if isinstance(operation, Sort):
            wanted = tuple(attribute_path(criterion, variable) for criterion, _ in operation.criteria)
            fitting = (index for index in collection.indexes if index.fields[: len(wanted)] == wanted)
            return next((index for index in fitting if not index.sparse), None)
        if not isinstance(operation, (Filter, Let)):
            return None
    return None
