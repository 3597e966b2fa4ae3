"""AQL text into tokens."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from support.arango.errors import Problem, ServerError

# The manual, "Keywords": none of them can be an attribute or variable name without backticks.
# fmt: off
KEYWORDS = frozenset({
    "AGGREGATE", "ALL", "ALL_SHORTEST_PATHS", "AND", "ANY", "ASC", "COLLECT", "DESC", "DISTINCT", "FALSE",
    "FILTER", "FOR", "GRAPH", "IN", "INBOUND", "INSERT", "INTO", "K_PATHS", "K_SHORTEST_PATHS", "LET", "LIKE",
    "LIMIT", "NONE", "NOT", "NULL", "OR", "OUTBOUND", "REMOVE", "REPLACE", "RETURN", "SHORTEST_PATH", "SORT",
    "TRUE", "UPDATE", "UPSERT", "WINDOW", "WITH",
})
# fmt: on
_SAME = {"&&": "AND", "||": "OR", "!": "NOT"}
_TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*|/\*.*?\*/)
    |(?P<number>(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)
    |(?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    |(?P<quoted>`[^`]+`|´[^´]+´)
    |(?P<bind>@@?[A-Za-z0-9][A-Za-z0-9_]*)
    |(?P<word>\$?[A-Za-z_][A-Za-z0-9_]*)
    |(?P<sign>\.\.|==|!=|<=|>=|&&|\|\||=~|!~|::|[-+*/%<>=!?:.,(){}\[\]])""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Token:
    """`kind` is keyword, name, bind, number, string, sign or end; keywords are in capitals."""

    kind: str
    text: str
    position: int


def tokens(text: str) -> Iterator[Token]:
    """Every token and an end; ServerError 1501 at the first character that belongs to none."""
    position = 0
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None:
            raise ServerError(Problem.PARSE, f"unexpected character near {text[position : position + 20]!r}")
        if found.lastgroup != "space":
            yield _token(found)
        position = found.end()
    yield Token("end", "", position)


def _token(found: re.Match[str]) -> Token:
    kind, text, at = str(found.lastgroup), found.group(), found.start()
    if kind == "word":
        return Token("keyword", text.upper(), at) if text.upper() in KEYWORDS else Token("name", text, at)
    if kind == "quoted":
        return Token("name", text[1:-1], at)
    if kind == "sign" and text in _SAME:
        return Token("keyword", _SAME[text], at)
    return Token(kind, text, at)


def string_value(literal: str) -> str:
    """What a string literal with its quotes stands for; the escapes are those of JSON and `\\'`."""
    inner = re.sub(r"\\(.)|(\")|([\x00-\x1f])", _as_json, literal[1:-1], flags=re.DOTALL)
    return str(json.loads(f'"{inner}"'))


def _as_json(found: re.Match[str]) -> str:
    escaped, quote, control = found.groups()
    if quote:
        return '\\"'
    if control:
        return f"\\u{ord(control):04x}"
    return found.group() if escaped in '"\\/bfnrtu' else json.dumps(escaped)[1:-1]
