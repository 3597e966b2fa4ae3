"""What a server finds wrong with a query before it runs it: names, bind parameters, options, reads after writes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from support.arango.errors import Problem, ServerError
from support.arango.functions import FUNCTIONS
from support.arango.planner import parts
from support.arango.store import Database
from support.arango.syntax import (
    Bind,
    Call,
    Change,
    Collect,
    Expansion,
    Expression,
    For,
    Insert,
    Json,
    Let,
    Modification,
    Name,
    Operation,
    Query,
    Subquery,
    Upsert,
)

CONTEXT_FUNCTIONS = {"DATE_NOW": (0, 0), "DOCUMENT": (1, 2)}
AGGREGATE_FUNCTIONS = frozenset(
    {
        "AVERAGE",
        "COUNT",
        "COUNT_DISTINCT",
        "COUNT_UNIQUE",
        "LENGTH",
        "MAX",
        "MIN",
        "PUSH",
        "SORTED_UNIQUE",
        "SUM",
        "UNIQUE",
    }
)


def check(query: Query, binds: Mapping[str, Json], database: Database) -> Check:
    """What the query reads and writes; ServerError for what is wrong with it."""
    found = Check(database, binds)
    found.query(query, frozenset())
    found.all_binds_used()
    return found


@dataclass
class Check:
    """Goes through a query in the order of its text."""

    database: Database
    binds: Mapping[str, Json]
    read: set[str] = field(default_factory=set)
    written: set[str] = field(default_factory=set)
    _used: set[str] = field(default_factory=set)

    def query(self, query: Query, outer: frozenset[str]) -> None:
        scope = outer
        for operation in query.operations:
            if isinstance(operation, Modification):
                scope = self._modification(operation, scope)
            else:
                scope = self._other(operation, scope, outer)

    def all_binds_used(self) -> None:
        for name in self.binds:
            if name not in self._used:
                raise ServerError(Problem.BIND_UNDECLARED, f"'{name}'")

    def collection_name(self, collection: Expression) -> str:
        """The name in `IN name` or `IN @@name`."""
        name = self._bound(collection) if isinstance(collection, Bind) else getattr(collection, "name", None)
        if not isinstance(name, str):
            raise ServerError(Problem.BIND_TYPE, f"{collection}")
        return self.database.collection(name).name

    def _other(self, operation: Operation, scope: frozenset[str], outer: frozenset[str]) -> frozenset[str]:
        if isinstance(operation, Collect):
            return self._collect(operation, scope, outer)
        self._all(parts(operation), scope)
        if isinstance(operation, For):
            self._constant(operation.options)
        if isinstance(operation, (For, Let)):
            return _declared(scope, operation.variable)
        return scope

    def _collect(self, operation: Collect, scope: frozenset[str], outer: frozenset[str]) -> frozenset[str]:
        self._all((value for _, value in operation.groups), scope)
        for _, call in operation.aggregates:
            if call.function not in AGGREGATE_FUNCTIONS:
                raise ServerError(Problem.PARSE, f"no aggregate function: {call.function}")
            self._all(call.arguments, scope)
        if operation.projection is not None:
            self._expression(operation.projection, scope)
        names = [name for name, _ in (*operation.groups, *operation.aggregates)]
        return _declared(outer, *names, *filter(None, (operation.into, operation.count_into)))

    def _modification(self, operation: Modification, scope: frozenset[str]) -> frozenset[str]:
        name = self.collection_name(operation.collection)
        expressions = [part for part in parts(operation) if part is not operation.collection]
        self._all(expressions, scope | {"OLD"} if isinstance(operation, Upsert) else scope)
        self._constant(operation.options)
        if name in self.written:
            raise ServerError(Problem.ACCESS_AFTER_MODIFICATION, f"AQL: {name}")
        self.written.add(name)
        new = {"NEW"} if isinstance(operation, (Insert, Change, Upsert)) else set()
        return scope | {"OLD"} | new

    def _constant(self, options: Expression | None) -> None:
        if options is not None and any(isinstance(part, (Name, Call, Subquery)) for part in _inside(options)):
            raise ServerError(Problem.COMPILE_TIME_OPTIONS)

    def _all(self, expressions: Iterable[Expression], scope: frozenset[str]) -> None:
        for expression in expressions:
            self._expression(expression, scope)

    def _expression(self, expression: Expression, scope: frozenset[str]) -> None:
        if isinstance(expression, Subquery):
            self.query(expression.query, scope)
        elif isinstance(expression, Bind):
            self._bind(expression)
        elif isinstance(expression, Name):
            self._name(expression.name, scope)
        else:
            self._compound(expression, scope)

    def _compound(self, expression: Expression, scope: frozenset[str]) -> None:
        if isinstance(expression, Call):
            _known_function(expression)
        if isinstance(expression, Expansion):
            scope = scope | {"CURRENT"}
        self._all(parts(expression), scope)

    def _bind(self, bind: Bind) -> None:
        value = self._bound(bind)
        if bind.name.startswith("@"):
            self._reads(value)

    def _bound(self, bind: Bind) -> Json:
        if bind.name not in self.binds:
            raise ServerError(Problem.BIND_MISSING, f"'{bind.name}'")
        self._used.add(bind.name)
        return self.binds[bind.name]

    def _name(self, name: str, scope: frozenset[str]) -> None:
        if name not in scope:
            self._reads(name)

    def _reads(self, name: Json) -> None:
        """A name that is no variable is a collection, so a misspelled variable is error 1203."""
        collection = self.database.collection(name)
        if collection.name in self.written:
            raise ServerError(Problem.ACCESS_AFTER_MODIFICATION, f"AQL: {collection.name}")
        self.read.add(collection.name)


def _known_function(call: Call) -> None:
    if call.function in CONTEXT_FUNCTIONS:
        least, most = CONTEXT_FUNCTIONS[call.function]
        if not least <= len(call.arguments) <= most:
            raise ServerError(Problem.ARGUMENT_COUNT, f"'{call.function}'")
    elif call.function not in FUNCTIONS:
        raise ServerError(Problem.UNKNOWN_FUNCTION, f"'{call.function}()'")
    elif not FUNCTIONS[call.function].takes(len(call.arguments)):
        raise ServerError(Problem.ARGUMENT_COUNT, f"'{call.function}'")


def _declared(scope: frozenset[str], *names: str) -> frozenset[str]:
    for name in names:
        if name in scope:
            raise ServerError(Problem.REDECLARED, f"variable '{name}'")
        scope = scope | {name}
    return scope


def _inside(expression: Expression) -> Iterable[Expression]:
    yield expression
    for part in parts(expression):
        yield from _inside(part)
