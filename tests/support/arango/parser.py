"""AQL tokens into a Query, by recursive descent; the precedence of operators is that of the manual."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from support.arango.errors import Problem, ServerError
from support.arango.lexer import Token, string_value, tokens
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
    Let,
    Limit,
    Modification,
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

# "Operator precedence", from the loosest to the tightest.
_LEVELS: tuple[frozenset[str], ...] = (
    frozenset({"OR"}),
    frozenset({"AND"}),
    frozenset({"==", "!=", "LIKE", "NOT LIKE"}),
    frozenset({"IN", "NOT IN"}),
    frozenset({"<", "<=", ">", ">="}),
    frozenset({".."}),
    frozenset({"+", "-"}),
    frozenset({"*", "/", "%"}),
)
_CONSTANTS = {"NULL": None, "TRUE": True, "FALSE": False}
_BEGINS_QUERY = frozenset({"FOR", "LET", "RETURN", "INSERT", "UPDATE", "REPLACE", "UPSERT", "REMOVE"})


@lru_cache(maxsize=500)
def parse(text: str) -> Query:
    """The query; ServerError 1501 or 1502 when the text is none."""
    if not text.strip():
        raise ServerError(Problem.EMPTY_QUERY)
    return Parser(text).whole()


class Parser:
    """Reads one text from its first token to its last."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(tokens(text))
        self._at = 0
        # `REMOVE x IN c`: here IN ends the expression and is no operator.
        self._in_ends = False
        self._operations: dict[str, Callable[[], Operation]] = {
            "FOR": self._for,
            "FILTER": lambda: Filter(self._expression()),
            "LET": self._let,
            "SORT": self._sort,
            "LIMIT": self._limit,
            "COLLECT": self._collect,
            "INSERT": self._insert,
            "UPDATE": self._update,
            "REPLACE": self._replace,
            "UPSERT": self._upsert,
            "REMOVE": self._remove,
            "RETURN": self._return,
        }

    def whole(self) -> Query:
        found = self._query()
        if self._next.kind != "end":
            raise self._unexpected()
        return found

    # Tokens

    @property
    def _next(self) -> Token:
        return self._tokens[self._at]

    def _take(self) -> Token:
        self._at += 1
        return self._tokens[self._at - 1]

    def _sees(self, *texts: str) -> bool:
        return self._next.kind in ("keyword", "sign") and self._next.text in texts

    def _sees_word(self, word: str) -> bool:
        """A word such as OPTIONS or COUNT, which means something only in its place."""
        return self._next.kind == "name" and self._next.text.upper() == word

    def _accept(self, *texts: str) -> bool:
        if self._sees(*texts):
            self._at += 1
            return True
        return False

    def _accept_word(self, word: str) -> bool:
        if self._sees_word(word):
            self._at += 1
            return True
        return False

    def _expect(self, *texts: str) -> None:
        if not self._accept(*texts):
            raise self._unexpected()

    def _name(self) -> str:
        if self._next.kind != "name":
            raise self._unexpected()
        return self._take().text

    def _unexpected(self) -> ServerError:
        at = self._next.position
        line = self._text.count("\n", 0, at) + 1
        near = self._text[at : at + 40] or "end of query"
        return ServerError(Problem.PARSE, f"unexpected {self._next.kind} near '{near}' at position {line}")

    # Operations

    def _query(self) -> Query:
        found: list[Operation] = []
        while self._next.kind == "keyword" and self._next.text in self._operations:
            found.append(self._operations[self._take().text]())
            if isinstance(found[-1], Return):
                return Query(tuple(found))
        if not any(isinstance(operation, Modification) for operation in found):
            raise self._unexpected()
        return Query(tuple(found))

    def _for(self) -> For:
        variable = self._name()
        self._expect("IN")
        return For(variable, self._expression(), self._options())

    def _let(self) -> Let:
        variable = self._name()
        self._expect("=")
        return Let(variable, self._expression())

    def _sort(self) -> Sort:
        criteria = [self._criterion()]
        while self._accept(","):
            criteria.append(self._criterion())
        return Sort(tuple(criteria))

    def _criterion(self) -> tuple[Expression, bool]:
        value = self._expression()
        descending = self._sees("DESC")
        self._accept("ASC", "DESC")
        return value, descending

    def _limit(self) -> Limit:
        first = self._expression()
        if self._accept(","):
            return Limit(first, self._expression())
        return Limit(Constant(0), first)

    def _return(self) -> Return:
        distinct = self._accept("DISTINCT")
        return Return(self._expression(), distinct)

    def _collect(self) -> Collect:
        groups = self._assignments() if self._next.kind == "name" else []
        aggregates: list[tuple[str, Call]] = []
        if self._accept("AGGREGATE"):
            aggregates = [(name, self._aggregate(value)) for name, value in self._assignments()]
        count_into = self._count_into()
        into = self._name() if count_into is None and self._accept("INTO") else None
        projection = self._expression() if into is not None and self._accept("=") else None
        self._options()
        return Collect(tuple(groups), tuple(aggregates), into, projection, count_into)

    def _assignments(self) -> list[tuple[str, Expression]]:
        found = [self._assignment()]
        while self._accept(","):
            found.append(self._assignment())
        return found

    def _assignment(self) -> tuple[str, Expression]:
        name = self._name()
        self._expect("=")
        return name, self._expression()

    def _aggregate(self, value: Expression) -> Call:
        if not isinstance(value, Call):
            raise ServerError(Problem.PARSE, "an aggregate expression must be a function call")
        return value

    def _count_into(self) -> str | None:
        if not self._accept("WITH"):
            return None
        if not self._accept_word("COUNT"):
            raise self._unexpected()
        self._expect("INTO")
        return self._name()

    def _insert(self) -> Insert:
        document = self._before_in()
        return Insert(document, self._collection(), self._options())

    def _remove(self) -> Remove:
        document = self._before_in()
        return Remove(document, self._collection(), self._options())

    def _update(self) -> Change:
        document, patch = self._document_and_patch()
        return Change("UPDATE", document, patch, self._collection(), self._options())

    def _replace(self) -> Change:
        document, patch = self._document_and_patch()
        return Change("REPLACE", document, patch, self._collection(), self._options())

    def _document_and_patch(self) -> tuple[Expression | None, Expression]:
        first = self._before_in()
        if self._accept("WITH"):
            return first, self._before_in()
        return None, first

    def _upsert(self) -> Upsert:
        search = self._before_in()
        self._expect("INSERT")
        insert = self._before_in()
        replaces = self._sees("REPLACE")
        self._expect("UPDATE", "REPLACE")
        patch = self._before_in()
        kind = "REPLACE" if replaces else "UPDATE"
        return Upsert(search, insert, kind, patch, self._collection(), self._options())  # type: ignore[arg-type]

    def _before_in(self) -> Expression:
        before, self._in_ends = self._in_ends, True
        found = self._expression()
        self._in_ends = before
        return found

    def _collection(self) -> Expression:
        self._expect("IN", "INTO")
        if self._next.kind == "bind" and self._next.text.startswith("@@"):
            return Bind(self._take().text[1:])
        return Name(self._name())

    def _options(self) -> Expression | None:
        return self._object() if self._accept_word("OPTIONS") else None

    # Expressions

    def _expression(self) -> Expression:
        condition = self._binary(0)
        if not self._accept("?"):
            return condition
        if self._accept(":"):
            return Ternary(condition, None, self._expression())
        then = self._expression()
        self._expect(":")
        return Ternary(condition, then, self._expression())

    def _binary(self, level: int) -> Expression:
        if level == len(_LEVELS):
            return self._unary()
        left = self._binary(level + 1)
        while True:
            quantifier = self._quantifier(level)
            operator = self._operator(_LEVELS[level])
            if operator is None:
                return left
            right = self._binary(level + 1)
            left = _joined(quantifier, operator, left, right)

    def _quantifier(self, level: int) -> str | None:
        """ALL, ANY or NONE before a comparison of this level."""
        if not self._sees("ALL", "ANY", "NONE"):
            return None
        following = self._tokens[self._at + 1].text
        known = following in _LEVELS[level] or (following == "NOT" and "NOT IN" in _LEVELS[level])
        return self._take().text if known else None

    def _operator(self, known: frozenset[str]) -> str | None:
        text = self._next.text if self._next.kind in ("keyword", "sign") else ""
        if text == "NOT":
            text = f"NOT {self._tokens[self._at + 1].text}"
        if text not in known or (self._in_ends and text == "IN"):
            return None
        self._at += len(text.split())
        return text

    def _unary(self) -> Expression:
        if self._accept("NOT"):
            return Unary("NOT", self._unary())
        if self._accept("-"):
            return Unary("-", self._unary())
        if self._accept("+"):
            return Unary("+", self._unary())
        return self._suffixed(self._primary())

    def _suffixed(self, base: Expression) -> Expression:
        while self._sees(".", "["):
            if self._accept("."):
                base = Attribute(base, self._attribute_name())
            elif self._tokens[self._at + 1].text == "*":
                return self._expansion(base)
            else:
                base = Item(base, self._in_brackets())
        return base

    def _attribute_name(self) -> Expression:
        return self._bind() if self._next.kind == "bind" else Constant(self._name())

    def _in_brackets(self) -> Expression:
        self._expect("[")
        index = self._free()
        self._expect("]")
        return index

    def _expansion(self, base: Expression) -> Expression:
        """`[* FILTER … RETURN …]`; what follows the bracket applies to every element."""
        self._expect("[")
        self._expect("*")
        condition = self._free() if self._accept("FILTER") else None
        element: Expression = self._free() if self._accept("RETURN") else Name("CURRENT")
        self._expect("]")
        return Expansion(base, condition, self._suffixed(element))

    def _free(self) -> Expression:
        """An expression within brackets, where IN is an operator again."""
        before, self._in_ends = self._in_ends, False
        found = self._expression()
        self._in_ends = before
        return found

    def _primary(self) -> Expression:
        kind = self._next.kind
        if kind == "number":
            return Constant(_number(self._take().text))
        if kind == "string":
            return Constant(string_value(self._take().text))
        if kind == "bind":
            return self._bind()
        if kind == "name":
            return self._call_or_name()
        if self._sees("("):
            return self._parenthesised()
        if self._sees("["):
            return self._array()
        if self._sees("{"):
            return self._object()
        if self._next.text in _CONSTANTS and kind == "keyword":
            return Constant(_CONSTANTS[self._take().text])
        if self._sees("LIKE") and self._tokens[self._at + 1].text == "(":
            return Call(self._take().text, self._arguments())
        raise self._unexpected()

    def _bind(self) -> Bind:
        return Bind(self._take().text[1:])

    def _call_or_name(self) -> Expression:
        name = self._take().text
        return Call(name.upper(), self._arguments()) if self._sees("(") else Name(name)

    def _arguments(self) -> tuple[Expression, ...]:
        self._expect("(")
        found: list[Expression] = []
        while not self._accept(")"):
            found.append(self._argument())
            if not self._sees(")"):
                self._expect(",")
        return tuple(found)

    def _argument(self) -> Expression:
        return self._subquery() if self._begins_query() else self._free()

    def _begins_query(self) -> bool:
        return self._next.kind == "keyword" and self._next.text in _BEGINS_QUERY

    def _subquery(self) -> Subquery:
        before, self._in_ends = self._in_ends, False
        query = self._query()
        self._in_ends = before
        return Subquery(query)

    def _parenthesised(self) -> Expression:
        self._expect("(")
        found = self._argument()
        self._expect(")")
        return found

    def _array(self) -> ArrayLiteral:
        self._expect("[")
        items: list[Expression] = []
        while not self._accept("]"):
            items.append(self._free())
            if not self._sees("]"):
                self._expect(",")
        return ArrayLiteral(tuple(items))

    def _object(self) -> ObjectLiteral:
        self._expect("{")
        pairs: list[tuple[Expression, Expression]] = []
        while not self._accept("}"):
            pairs.append(self._pair())
            if not self._sees("}"):
                self._expect(",")
        return ObjectLiteral(tuple(pairs))

    def _pair(self) -> tuple[Expression, Expression]:
        if self._next.kind == "name":
            name = self._take().text
            return Constant(name), self._free() if self._accept(":") else Name(name)
        key = self._object_key()
        self._expect(":")
        return key, self._free()

    def _object_key(self) -> Expression:
        if self._next.kind == "string":
            return Constant(string_value(self._take().text))
        if self._next.kind == "bind":
            return self._bind()
        if self._sees("["):
            return self._in_brackets()
        raise self._unexpected()


def _joined(quantifier: str | None, operator: str, left: Expression, right: Expression) -> Expression:
    if quantifier:
        return Quantified(quantifier, operator, left, right)
    return Range(left, right) if operator == ".." else Binary(operator, left, right)


def _number(text: str) -> int | float:
    """Whole numbers stay exact up to 64 bits, beyond that they are doubles."""
    return int(text) if text.isdigit() and int(text) < 2**63 else float(text)
