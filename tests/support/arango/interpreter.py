"""Runs a query: each operation takes all rows of the one before it and makes new ones."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from support.arango.checks import Check, check
from support.arango.errors import Problem, ServerError
from support.arango.functions import FUNCTIONS, like, merge, unique, value_range
from support.arango.parser import parse
from support.arango.planner import Access, Comparisons, attribute_path, best_access, comparisons_of, element_path
from support.arango.store import Collection, Database, Document, value_at
from support.arango.syntax import (
    ArrayLiteral,
    Attribute,
    Binary,
    Bind,
    Call,
    Change,
    Collect,
    Constant,
    Expansion,
    Expression,
    Filter,
    For,
    Insert,
    Item,
    Json,
    Let,
    Limit,
    Name,
    ObjectLiteral,
    Operation,
    Quantified,
    Query,
    Range,
    Remove,
    Return,
    Sort,
    Subquery,
    Ternary,
    Unary,
    Upsert,
)
from support.arango.values import are_equal, is_true, normalized, sort_key, to_number, to_string

Row = dict[str, Json]
_MANY = 20  # to look through so many values one by one takes longer than to hash them for all rows
_ORDERINGS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {"+": operator.add, "-": operator.sub, "*": operator.mul}
_OPTIONS = frozenset(
    {
        "exclusive",
        "forceIndexHint",
        "ignoreErrors",
        "ignoreRevs",
        "indexHint",
        "keepNull",
        "mergeObjects",
        "overwrite",
        "overwriteMode",
        "readOwnWrites",
        "refillIndexCaches",
        "waitForSync",
    }
)


@dataclass
class Outcome:
    """Every result of a query, its warnings as the server words them and what it did."""

    results: list[Json]
    warnings: list[dict[str, Json]] = field(default_factory=list)
    statistics: dict[str, Json] = field(default_factory=dict)


def execute(database: Database, text: str, binds: Mapping[str, Json], now_ms: int) -> Outcome:
    """Run a query as one transaction: with an error nothing of it stays."""
    query = parse(text)
    checked = check(query, binds, database)
    with database.transaction():
        return Interpreter(database, binds, now_ms, checked).outcome(query)


class Interpreter:
    """One run of one query."""

    def __init__(self, database: Database, binds: Mapping[str, Json], now_ms: int, checked: Check) -> None:
        self._database = database
        self._binds = binds
        self._now_ms = now_ms
        self._checked = checked
        self._warnings: list[dict[str, Json]] = []
        self._writes = self._scanned_full = self._scanned_by_index = 0
        # Which collection a FOR variable comes from; its indexed attributes are compared by collation in a FILTER.
        self._sources: dict[str, Collection] = {}
        self._filtering = False
        # What was found out about a node of this query is true for every row.
        self._accesses: dict[int, Access | None] = {}
        self._exact: dict[int, bool] = {}
        # The list is kept with its members, so that no other one gets its id.
        self._members: dict[tuple[int, bool], tuple[list[Json], frozenset[Any]]] = {}
        self._written: set[str] = set()
        self._operations: dict[type, Callable[[Any, list[Row]], list[Row]]] = {
            Filter: self._filter,
            Let: self._let,
            Sort: self._sort,
            Limit: self._limit,
            Insert: self._insert,
            Change: self._change,
            Upsert: self._upsert,
            Remove: self._remove,
        }
        self._expressions: dict[type, Callable[[Any, Row], Json]] = {
            Constant: lambda node, row: node.value,
            Name: self._name,
            Bind: self._bind,
            Attribute: self._attribute,
            Item: self._item,
            Expansion: self._expansion,
            Call: self._call,
            Unary: self._unary,
            Binary: self._binary,
            Quantified: self._quantified,
            Ternary: self._ternary,
            Range: lambda node, row: value_range(self._value(node.low, row), self._value(node.high, row)),
            ArrayLiteral: lambda node, row: [self._value(item, row) for item in node.items],
            ObjectLiteral: self._object,
            Subquery: self._subquery,
        }

    def constant(self, expression: Expression) -> Json:
        """The value of an expression that mentions no name."""
        return self._value(expression, {})

    def outcome(self, query: Query) -> Outcome:
        results = self._run(query, {})
        statistics = {
            "writesExecuted": self._writes,
            "writesIgnored": 0,
            "scannedFull": self._scanned_full,
            "scannedIndex": self._scanned_by_index,
            "filtered": 0,
            "httpRequests": 0,
            "executionTime": 0.001,
            "peakMemoryUsage": 0,
            "intermediateCommits": 0,
        }
        return Outcome(results, self._warnings, statistics)

    # Operations

    def _run(self, query: Query, outer: Row) -> list[Json]:
        rows = [outer]
        for at, operation in enumerate(query.operations):
            if isinstance(operation, Return):
                return self._return(operation, rows)
            if isinstance(operation, For):
                rows = self._for(operation, query.operations[at + 1 :], rows)
            elif isinstance(operation, Collect):
                rows = self._collect(operation, rows, outer)
            else:
                rows = self._operations[type(operation)](operation, rows)
        return []

    def _return(self, operation: Return, rows: list[Row]) -> list[Json]:
        values = [self._value(operation.value, row) for row in rows]
        return unique(values) if operation.distinct else values

    def _for(self, operation: For, following: Sequence[Operation], rows: list[Row]) -> list[Row]:
        variable = operation.variable
        return [{**row, variable: value} for row in rows for value in self._items_of(operation, following, row)]

    def _items_of(self, operation: For, following: Sequence[Operation], row: Row) -> list[Json]:
        collection = self._collection_named_by(operation.source, row)
        if collection is None:
            return self._array(self._value(operation.source, row))
        self._sources[operation.variable] = collection
        if id(operation) not in self._accesses:
            comparisons = comparisons_of(operation.variable, following, row, self.constant)
            self._accesses[id(operation)] = best_access(collection, comparisons)
        return self._documents(collection, self._accesses[id(operation)], row)

    def _collection_named_by(self, source: Expression, row: Row) -> Collection | None:
        if isinstance(source, Name) and source.name not in row:
            return self._database.collection(source.name)
        if isinstance(source, Bind) and source.name.startswith("@"):
            return self._database.collection(self._binds[source.name])
        return None

    def _documents(self, collection: Collection, access: Access | None, row: Row) -> list[Document]:
        if access is None:
            self._scanned_full += len(collection.documents)
            return list(collection.documents.values())
        keys = access.keys(lambda expression: self._value(expression, row))
        self._scanned_by_index += len(keys)
        return [collection.documents[key] for key in keys]

    def _array(self, value: Json) -> list[Json]:
        if isinstance(value, list):
            return value
        raise ServerError(Problem.ARRAY_EXPECTED, "collection or array expected as operand to FOR loop")

    def _filter(self, operation: Filter, rows: list[Row]) -> list[Row]:
        self._filtering = True
        try:
            return [row for row in rows if is_true(self._value(operation.condition, row))]
        finally:
            self._filtering = False

    def _let(self, operation: Let, rows: list[Row]) -> list[Row]:
        return [{**row, operation.variable: self._value(operation.value, row)} for row in rows]

    def _sort(self, operation: Sort, rows: list[Row]) -> list[Row]:
        ordered = rows
        for criterion, descending in reversed(operation.criteria):
            keyed = [(sort_key(self._value(criterion, row)), row) for row in ordered]
            ordered = [row for _, row in sorted(keyed, key=lambda pair: pair[0], reverse=descending)]
        return ordered

    def _limit(self, operation: Limit, rows: list[Row]) -> list[Row]:
        offset, count = (self._whole(part) for part in (operation.offset, operation.count))
        return rows[offset : offset + count]

    def _whole(self, expression: Expression) -> int:
        value = self._value(expression, {})
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise ServerError(Problem.PARSE, "LIMIT takes whole numbers")
        return value

    def _collect(self, operation: Collect, rows: list[Row], outer: Row) -> list[Row]:
        groups: dict[tuple[Json, ...], tuple[Row, list[Row]]] = {}
        for row in rows:
            values = {name: self._value(expression, row) for name, expression in operation.groups}
            key = tuple(sort_key(value, exact=True) for value in values.values())
            groups.setdefault(key, (values, []))[1].append(row)
        if not operation.groups and not groups:
            groups[()] = ({}, [])
        found = [
            {**outer, **values, **self._about_group(operation, members, outer)} for values, members in groups.values()
        ]
        return sorted(found, key=lambda row: [sort_key(row[name]) for name, _ in operation.groups])

    def _about_group(self, operation: Collect, members: list[Row], outer: Row) -> Row:
        about: Row = {name: self._aggregate(call, members) for name, call in operation.aggregates}
        if operation.count_into is not None:
            about[operation.count_into] = len(members)
        if operation.into is not None:
            about[operation.into] = [self._member(operation, row, outer) for row in members]
        return about

    def _member(self, operation: Collect, row: Row, outer: Row) -> Json:
        if operation.projection is not None:
            return self._value(operation.projection, row)
        return {name: value for name, value in row.items() if name not in outer}

    def _aggregate(self, call: Call, members: list[Row]) -> Json:
        values = [self._value(call.arguments[0], row) for row in members] if call.arguments else []
        if call.function in ("LENGTH", "COUNT"):
            return len(members)
        if call.function in ("COUNT_DISTINCT", "COUNT_UNIQUE"):
            return len(unique(values))
        if call.function == "PUSH":
            return values
        # SUM and AVERAGE of no row at all are null, unlike SUM([]).
        return FUNCTIONS[call.function].call(values) if values or "UNIQUE" in call.function else None

    # Modifications

    def _insert(self, operation: Insert, rows: list[Row]) -> list[Row]:
        collection, options = self._target(operation)
        documents = [self._document(self._value(operation.document, row)) for row in rows]
        return [
            {**row, **self._store(collection, document, options)} for row, document in zip(rows, documents, strict=True)
        ]

    def _store(self, collection: Collection, document: Document, options: Row) -> Row:
        mode = options.get("overwriteMode") or ("replace" if is_true(options.get("overwrite")) else "conflict")
        old = collection.get(document.get("_key")) if mode != "conflict" else None
        if old is None:
            self._writes += 1
            return {"OLD": None, "NEW": collection.insert(document)}
        if mode == "ignore":
            return {"OLD": None, "NEW": None}
        return self._rewrite(collection, old, document, mode.upper(), options)

    def _change(self, operation: Change, rows: list[Row]) -> list[Row]:
        collection, options = self._target(operation)
        changes = [self._selector_and_patch(operation, row) for row in rows]
        return [
            {
                **row,
                **self._rewrite(
                    collection, self._selected(collection, selector, options), patch, operation.kind, options
                ),
            }
            for row, (selector, patch) in zip(rows, changes, strict=True)
        ]

    def _selector_and_patch(self, operation: Change, row: Row) -> tuple[Json, Document]:
        patch = self._document(self._value(operation.patch, row))
        return (patch if operation.document is None else self._value(operation.document, row)), patch

    def _rewrite(self, collection: Collection, old: Document, patch: Document, kind: str, options: Row) -> Row:
        self._writes += 1
        new = patch if kind == "REPLACE" else patched(old, patch, options)
        return {"OLD": old, "NEW": collection.replace(old, new)}

    def _remove(self, operation: Remove, rows: list[Row]) -> list[Row]:
        collection, options = self._target(operation)
        selectors = [self._value(operation.document, row) for row in rows]
        found = []
        for row, selector in zip(rows, selectors, strict=True):
            old = self._selected(collection, selector, options)
            collection.remove(old)
            self._writes += 1
            found.append({**row, "OLD": old})
        return found

    def _upsert(self, operation: Upsert, rows: list[Row]) -> list[Row]:
        collection, options = self._target(operation)
        if is_true(options.get("readOwnWrites", True)):
            return [
                self._upsert_one(operation, collection, options, row, self._match(operation, collection, row))
                for row in rows
            ]
        matches = [self._match(operation, collection, row) for row in rows]
        return [
            self._upsert_one(operation, collection, options, row, match)
            for row, match in zip(rows, matches, strict=True)
        ]

    def _match(self, operation: Upsert, collection: Collection, row: Row) -> Document | None:
        example = self._document(self._value(operation.search, row))
        comparisons = Comparisons(equal={path: Constant(value) for path, value in flattened(example)})
        access = best_access(collection, comparisons)
        for document in self._documents(collection, access, row):
            if all(
                are_equal(value_at(document, path), value, exact=access is None) for path, value in flattened(example)
            ):
                return document
        return None

    def _upsert_one(
        self, operation: Upsert, collection: Collection, options: Row, row: Row, old: Document | None
    ) -> Row:
        if old is None:
            self._writes += 1
            document = self._document(self._value(operation.insert, row))
            return {**row, "OLD": None, "NEW": collection.insert(document)}
        if collection.get(old["_key"]) is not old:
            raise ServerError(Problem.CONFLICT, f"{collection.name}/{old['_key']} was changed in this query")
        patch = self._document(self._value(operation.patch, {**row, "OLD": old}))
        return {**row, **self._rewrite(collection, old, patch, operation.kind, options)}

    def _target(self, operation: Insert | Change | Upsert | Remove) -> tuple[Collection, Row]:
        options = {} if operation.options is None else self._value(operation.options, {})
        for name in options:
            if name not in _OPTIONS:
                self._warn(1539, f"invalid option attribute '{name}'")
        if is_true(options.get("ignoreErrors")):
            raise ServerError(Problem.BAD_PARAMETER, "the double knows no `ignoreErrors: true`")
        collection = self._database.collection(self._checked.collection_name(operation.collection))
        self._written.add(collection.name)
        return collection, options

    def _document(self, value: Json) -> Document:
        if not isinstance(value, dict):
            raise ServerError(Problem.DOCUMENT_TYPE_INVALID)
        return value

    def _selected(self, collection: Collection, selector: Json, options: Row) -> Document:
        """The document with this key, or with the `_key` (and, when asked, the `_rev`) of this object."""
        key = selector.get("_key") if isinstance(selector, dict) else selector
        if not isinstance(key, str):
            raise ServerError(Problem.KEY_MISSING)
        found = collection.get(key)
        if found is None:
            raise ServerError(Problem.DOCUMENT_NOT_FOUND, f"{collection.name}/{key}")
        expected = selector.get("_rev", found["_rev"]) if isinstance(selector, dict) else found["_rev"]
        if expected != found["_rev"] and not is_true(options.get("ignoreRevs", True)):
            raise ServerError(Problem.CONFLICT, "_rev values do not match")
        return found

    # Expressions

    def _value(self, expression: Expression, row: Row) -> Json:
        return self._expressions[type(expression)](expression, row)

    def _name(self, node: Name, row: Row) -> Json:
        if node.name in row:
            return row[node.name]
        return list(self._database.collection(node.name).documents.values())

    def _bind(self, node: Bind, row: Row) -> Json:
        value = self._binds[node.name]
        return list(self._database.collection(value).documents.values()) if node.name.startswith("@") else value

    def _attribute(self, node: Attribute, row: Row) -> Json:
        base = self._value(node.base, row)
        return base.get(self._value(node.name, row)) if isinstance(base, dict) else None

    def _item(self, node: Item, row: Row) -> Json:
        base, index = self._value(node.base, row), self._value(node.index, row)
        if isinstance(base, dict):
            return base.get(to_string(index))
        if not isinstance(base, list) or isinstance(index, str):
            return None
        at = int(to_number(index))
        return base[at] if -len(base) <= at < len(base) else None

    def _expansion(self, node: Expansion, row: Row) -> Json:
        base = self._value(node.base, row)
        rows = [{**row, "CURRENT": item} for item in base] if isinstance(base, list) else []
        condition = node.condition
        return [
            self._value(node.projection, item)
            for item in rows
            if condition is None or is_true(self._value(condition, item))
        ]

    def _call(self, node: Call, row: Row) -> Json:
        arguments = [self._value(argument, row) for argument in node.arguments]
        if node.function == "DATE_NOW":
            return self._now_ms
        if node.function == "DOCUMENT":
            return self._look_up(arguments)
        return FUNCTIONS[node.function].call(*arguments)

    def _look_up(self, arguments: list[Json]) -> Json:
        """DOCUMENT(id) and DOCUMENT(collection, key), each also with an array; null for what is not there."""
        wanted = arguments[-1]
        if isinstance(wanted, list):
            found = [self._look_up([*arguments[:-1], item]) for item in wanted]
            return [document for document in found if document is not None]
        identifier = to_string(wanted) if len(arguments) == 1 else f"{arguments[0]}/{wanted}"
        name, _, key = identifier.partition("/")
        if name in self._written:
            raise ServerError(Problem.ACCESS_AFTER_MODIFICATION, f"AQL: {name}")
        return self._database.collection(name).get(key) if key else None

    def _unary(self, node: Unary, row: Row) -> Json:
        value = self._value(node.operand, row)
        if node.operator == "NOT":
            return not is_true(value)
        return -to_number(value) if node.operator == "-" else to_number(value)

    def _binary(self, node: Binary, row: Row) -> Json:
        left = self._value(node.left, row)
        # The first operand that decides is the result, not a bool made of it.
        if node.operator == "AND":
            return self._value(node.right, row) if is_true(left) else left
        if node.operator == "OR":
            return left if is_true(left) else self._value(node.right, row)
        return self._operate(node.operator, left, self._value(node.right, row), exact=self._is_exact(node))

    def _is_exact(self, node: Binary) -> bool:
        """Whether strings are compared by code point.

        Where an index may answer a FILTER it does so by collation; nobody knows which one the optimizer takes, so every
        indexed attribute is taken to be read by its index."""
        if not self._filtering:
            return True
        if id(node) not in self._exact:
            self._exact[id(node)] = not self._reads_indexed(node)
        return self._exact[id(node)]

    def _reads_indexed(self, node: Binary) -> bool:
        paths = {
            (find(side, variable), collection.name)
            for variable, collection in self._sources.items()
            for side in (node.left, node.right)
            for find in (attribute_path, element_path)
        }
        return any(path in self._indexed_fields(name) for path, name in paths)

    def _indexed_fields(self, collection: str) -> set[str]:
        """Without those of the primary index, which is exact."""
        return {path for index in self._database.collection(collection).indexes[1:] for path in index.fields}

    def _operate(self, name: str, left: Json, right: Json, *, exact: bool = True) -> Json:
        if name.startswith("NOT "):
            return not self._operate(name.removeprefix("NOT "), left, right, exact=exact)
        if name in ("==", "!="):
            return are_equal(left, right, exact=exact) == (name == "==")
        if name in _ORDERINGS:
            return _ORDERINGS[name](sort_key(left), sort_key(right))
        if name == "IN":
            return isinstance(right, list) and self._is_in(left, right, exact=exact)
        return like(left, right) if name == "LIKE" else self._calculate(name, to_number(left), to_number(right))

    def _is_in(self, value: Json, values: list[Json], *, exact: bool) -> bool:
        if len(values) < _MANY:
            return any(are_equal(value, item, exact=exact) for item in values)
        return sort_key(value, exact=exact) in self._members_of(values, exact=exact)

    def _members_of(self, values: list[Json], *, exact: bool) -> frozenset[Any]:
        """What a value is looked for in; once for all rows of the query, as lists never change."""
        found = self._members.get((id(values), exact))
        if found is None or found[0] is not values:
            found = (values, frozenset(sort_key(value, exact=exact) for value in values))
            self._members[id(values), exact] = found
        return found[1]

    def _calculate(self, name: str, left: float, right: float) -> Json:
        if name in _ARITHMETIC:
            return normalized(_ARITHMETIC[name](left, right))
        if right == 0:
            self._warn(Problem.DIVISION_BY_ZERO.number, Problem.DIVISION_BY_ZERO.text)
            return None
        # The sign of a remainder is that of the dividend, as in C.
        remainder = abs(left) % abs(right)
        return normalized(left / right if name == "/" else (remainder if left >= 0 else -remainder))

    def _quantified(self, node: Quantified, row: Row) -> bool:
        values, right = self._value(node.left, row), self._value(node.right, row)
        if not isinstance(values, list):
            return False
        results = [is_true(self._operate(node.operator, value, right)) for value in values]
        return {"ALL": all(results), "ANY": any(results), "NONE": not any(results)}[node.quantifier]

    def _ternary(self, node: Ternary, row: Row) -> Json:
        condition = self._value(node.condition, row)
        if not is_true(condition):
            return self._value(node.otherwise, row)
        return condition if node.then is None else self._value(node.then, row)

    def _object(self, node: ObjectLiteral, row: Row) -> Json:
        return {to_string(self._value(name, row)): self._value(value, row) for name, value in node.pairs}

    def _subquery(self, node: Subquery, row: Row) -> list[Json]:
        before, self._filtering = self._filtering, False
        found = self._run(node.query, row)
        self._filtering = before
        return found

    def _warn(self, number: int, message: str) -> None:
        self._warnings.append({"code": number, "message": message})


def patched(old: Document, patch: Document, options: Mapping[str, Json]) -> Document:
    """What UPDATE makes of a document: `mergeObjects` and `keepNull` are true unless it is said."""
    deep = is_true(options.get("mergeObjects", True))
    new = merge(old, patch) if deep else {**old, **patch}
    return new if is_true(options.get("keepNull", True)) else _without_nulls(new, patch)


def _without_nulls(document: Document, patch: Document) -> Document:
    """Without the attributes that the patch sets to null, inner ones too."""
    kept: Document = {}
    for name, value in document.items():
        change = patch.get(name)
        if isinstance(value, dict) and isinstance(change, dict):
            kept[name] = _without_nulls(value, change)
        elif value is not None or name not in patch:
            kept[name] = value
    return kept


def flattened(example: Document, prefix: str = "") -> list[tuple[str, Json]]:
    """`{a: {b: 1}}` as `a.b`, 1."""
    found: list[tuple[str, Json]] = []
    for name, value in example.items():
        inner = isinstance(value, dict) and value
        found += flattened(value, f"{prefix}{name}.") if inner else [(f"{prefix}{name}", value)]
    return found
