"""Which index a FOR or an UPSERT can use; the interpreter reads by it and `explain` shows it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from support.arango.store import Collection as StoredCollection
from support.arango.store import Index
from support.arango.syntax import (
    Attribute,
    Binary,
    Constant,
    Expansion,
    Expression,
    Filter,
    For,
    Item,
    Json,
    Let,
    Name,
    Operation,
    Subquery,
)
from support.arango.values import is_true

_MIRRORED = {"==": "==", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


@dataclass(frozen=True, slots=True)
class Access:
    """An index and what its first fields are compared with."""

    index: Index
    equal: tuple[Expression, ...]
    one_of: Expression | None = None
    low: Expression | None = None
    high: Expression | None = None

    @property
    def worth(self) -> tuple[int, int]:
        """The more fields are bound, the fewer documents are read."""
        bounds = (self.low is not None) + (self.high is not None)
        return len(self.equal) + (self.one_of is not None), bounds

    def keys(self, evaluate: Callable[[Expression], Json]) -> list[str]:
        """Keys of all documents that may match, each once, in the order of the index."""
        equal = [evaluate(expression) for expression in self.equal]
        if self.one_of is not None:
            values = evaluate(self.one_of)
            found = [self.index.between([*equal, value]) for value in values] if isinstance(values, list) else []
            return list(dict.fromkeys(key for keys in found for key in keys))
        low, high = (None if bound is None else evaluate(bound) for bound in (self.low, self.high))
        return self.index.between(equal, low, high)


@dataclass
class Comparisons:
    """What is demanded of a document's attributes, by their paths."""

    equal: dict[str, Expression] = field(default_factory=dict)
    one_of: dict[str, Expression] = field(default_factory=dict)
    low: dict[str, Expression] = field(default_factory=dict)
    high: dict[str, Expression] = field(default_factory=dict)

    def add(self, path: str, operator: str, value: Expression) -> None:
        kinds = {"==": self.equal, "IN": self.one_of, ">": self.low, ">=": self.low, "<": self.high, "<=": self.high}
        kinds[operator].setdefault(path, value)

    def through(self, index: Index) -> Access | None:
        """How this index would be used; None where it is of no use, as a sparse one that may miss documents."""
        if index.sparse:
            return None
        bound = list(_bound_first(index.fields, self.equal))
        access = Access(index, tuple(self.equal[path] for path in bound))
        if len(bound) < len(index.fields):
            following = index.fields[len(bound)]
            one_of = self.one_of.get(following)
            bounds = (None, None) if one_of else (self.low.get(following), self.high.get(following))
            access = dataclasses.replace(access, one_of=one_of, low=bounds[0], high=bounds[1])
        return access if any(access.worth) else None


def _bound_first(fields: Sequence[str], bound: Collection[str]) -> Iterator[str]:
    for path in fields:
        if path not in bound:
            return
        yield path


def best_access(collection: StoredCollection, comparisons: Comparisons) -> Access | None:
    """The access that binds most fields; None when every document has to be read."""
    sorted_ones = [index for index in collection.indexes if index.type in ("primary", "persistent")]
    usable = [access for index in sorted_ones if (access := comparisons.through(index)) is not None]
    return max(usable, key=lambda access: access.worth, default=None)


def comparisons_of(
    variable: str, following: Sequence[Operation], known: Collection[str], constant: Callable[[Expression], Json]
) -> Comparisons:
    """What the FILTERs after `FOR variable` demand of it, as far as it can be told from `known` names.

    `constant` evaluates an expression that mentions no name."""
    found = Comparisons()
    for condition in _conditions(following, constant):
        for path, operator, value in _readings(condition, variable):
            if not mentioned(value) - set(known):
                found.add(path, operator, value)
    return found


def _conditions(following: Sequence[Operation], constant: Callable[[Expression], Json]) -> Iterator[Expression]:
    """Every part of the FILTERs which the optimizer can move up to the FOR."""
    for operation in following:
        if isinstance(operation, Filter):
            yield from _conjuncts(operation.condition, constant)
        elif not isinstance(operation, (For, Let)):
            return


def _conjuncts(condition: Expression, constant: Callable[[Expression], Json]) -> Iterator[Expression]:
    """The parts that all must hold; `false OR x` is x, as the optimizer folds constants first."""
    operator = condition.operator if isinstance(condition, Binary) else ""
    if isinstance(condition, Binary) and operator == "AND":
        yield from _conjuncts(condition.left, constant)
        yield from _conjuncts(condition.right, constant)
    elif isinstance(condition, Binary) and operator == "OR" and not mentioned(condition.left):
        if not is_true(constant(condition.left)):
            yield from _conjuncts(condition.right, constant)
    else:
        yield condition


def _readings(condition: Expression, variable: str) -> Iterator[tuple[str, str, Expression]]:
    if not isinstance(condition, Binary) or condition.operator not in {*_MIRRORED, "IN"}:
        return
    if left := attribute_path(condition.left, variable):
        yield left, condition.operator, condition.right
    right = attribute_path(condition.right, variable)
    if right and condition.operator != "IN":
        yield right, _MIRRORED[condition.operator], condition.left
    elements = element_path(condition.right, variable)
    if elements and condition.operator == "IN":
        yield elements, "==", condition.left


def attribute_path(expression: Expression, variable: str) -> str:
    """`a.b` for `variable.a.b`; "" for everything else."""
    names: list[str] = []
    while isinstance(expression, (Attribute, Item)):
        name = expression.name if isinstance(expression, Attribute) else expression.index
        if not isinstance(name, Constant) or not isinstance(name.value, str):
            return ""
        names.append(name.value)
        expression = expression.base
    return ".".join(reversed(names)) if expression == Name(variable) else ""


def element_path(expression: Expression, variable: str) -> str:
    """`a[*].b` for `variable.a[*].b`; "" for everything else. Without `[*]` no array index is used."""
    if not isinstance(expression, Expansion) or expression.condition is not None:
        return ""
    array = attribute_path(expression.base, variable)
    inner = attribute_path(expression.projection, "CURRENT")
    is_plain = expression.projection == Name("CURRENT") or inner
    return f"{array}[*]{'.' if inner else ''}{inner}" if array and is_plain else ""


def mentioned(expression: Expression) -> set[str]:
    """Names an expression reads; a subquery counts as a name that nobody knows."""
    if isinstance(expression, Subquery):
        return {"a subquery"}
    if isinstance(expression, Name):
        return {expression.name}
    return {name for part in parts(expression) for name in mentioned(part)} - {"CURRENT"}


def parts(node: Any) -> Iterator[Expression]:
    """The expressions directly within an expression or operation."""
    for name in node.__slots__:
        yield from _expressions(getattr(node, name))


def _expressions(value: Any) -> Iterator[Expression]:
    if isinstance(value, tuple):
        for item in value:
            yield from _expressions(item)
    elif isinstance(value, Expression):
        yield value
