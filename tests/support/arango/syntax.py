"""What the parser makes of AQL text: expressions and operations, nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Json = Any  # a JSON value; never changed in place once it is stored or returned


@dataclass(frozen=True, slots=True)
class Constant:
    value: Json


@dataclass(frozen=True, slots=True)
class Name:
    """A variable, or a collection where no variable has this name."""

    name: str


@dataclass(frozen=True, slots=True)
class Bind:
    """`@name`, or `@@name` for a collection."""

    name: str


@dataclass(frozen=True, slots=True)
class Attribute:
    base: Expression
    name: Expression


@dataclass(frozen=True, slots=True)
class Item:
    """`base[index]`: of an array by number, of an object by name."""

    base: Expression
    index: Expression


@dataclass(frozen=True, slots=True)
class Expansion:
    """`base[* FILTER condition RETURN projection]`; both see the element as CURRENT."""

    base: Expression
    condition: Expression | None
    projection: Expression


@dataclass(frozen=True, slots=True)
class Call:
    function: str
    arguments: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Unary:
    operator: Literal["NOT", "-", "+"]
    operand: Expression


@dataclass(frozen=True, slots=True)
class Binary:
    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Quantified:
    """`left ALL|ANY|NONE operator right`."""

    quantifier: str
    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Ternary:
    """Without `then` (`a ? : b`) the condition's own value is the result."""

    condition: Expression
    then: Expression | None
    otherwise: Expression


@dataclass(frozen=True, slots=True)
class Range:
    low: Expression
    high: Expression


@dataclass(frozen=True, slots=True)
class ArrayLiteral:
    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class ObjectLiteral:
    pairs: tuple[tuple[Expression, Expression], ...]


@dataclass(frozen=True, slots=True)
class Subquery:
    query: Query


Expression = (
    Constant
    | Name
    | Bind
    | Attribute
    | Item
    | Expansion
    | Call
    | Unary
    | Binary
    | Quantified
    | Ternary
    | Range
    | ArrayLiteral
    | ObjectLiteral
    | Subquery
)


@dataclass(frozen=True, slots=True)
class For:
    variable: str
    source: Expression
    options: Expression | None = None


@dataclass(frozen=True, slots=True)
class Filter:
    condition: Expression


@dataclass(frozen=True, slots=True)
class Let:
    variable: str
    value: Expression


@dataclass(frozen=True, slots=True)
class Sort:
    """Each criterion with True for descending."""

    criteria: tuple[tuple[Expression, bool], ...]


@dataclass(frozen=True, slots=True)
class Limit:
    offset: Expression
    count: Expression


@dataclass(frozen=True, slots=True)
class Collect:
    groups: tuple[tuple[str, Expression], ...]
    aggregates: tuple[tuple[str, Call], ...]
    into: str | None
    projection: Expression | None
    count_into: str | None


@dataclass(frozen=True, slots=True)
class Insert:
    document: Expression
    collection: Expression
    options: Expression | None


@dataclass(frozen=True, slots=True)
class Change:
    """UPDATE or REPLACE; without `document` the key is part of `patch`."""

    kind: Literal["UPDATE", "REPLACE"]
    document: Expression | None
    patch: Expression
    collection: Expression
    options: Expression | None


@dataclass(frozen=True, slots=True)
class Upsert:
    search: Expression
    insert: Expression
    kind: Literal["UPDATE", "REPLACE"]
    patch: Expression
    collection: Expression
    options: Expression | None


@dataclass(frozen=True, slots=True)
class Remove:
    document: Expression
    collection: Expression
    options: Expression | None


@dataclass(frozen=True, slots=True)
class Return:
    value: Expression
    distinct: bool


Modification = Insert | Change | Upsert | Remove
Operation = For | Filter | Let | Sort | Limit | Collect | Modification | Return


@dataclass(frozen=True, slots=True)
class Query:
    operations: tuple[Operation, ...]
