"""A request as it came, the answer to it, and the line that the log keeps."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from support.arango.errors import Problem, ServerError
from support.arango.syntax import Json


@dataclass(frozen=True)
class Request:
    """`path` is without the database, `parameters` are those after the question mark, `number` counts from 1."""

    number: int
    method: str
    path: str
    database: str
    parameters: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def parts(self) -> tuple[str, ...]:
        """`("collection", "files", "count")` for `/_api/collection/files/count`."""
        return tuple(part for part in self.path.split("/")[2:] if part)

    def json(self) -> Any:
        """The body; ServerError 600 when it is not JSON, or has half a surrogate pair.

        The server refuses `"\\udc89"`, which stands for a byte that is not UTF-8, since 3.11 (arangodb#18782)."""
        try:
            found = json.loads(self.body) if self.body else {}
            if b"\\ud" in self.body.lower():
                json.dumps(found, ensure_ascii=False).encode()
        except ValueError as error:
            raise ServerError(Problem.CORRUPTED_JSON, str(error)) from error
        return found

    def is_set(self, parameter: str, default: bool = False) -> bool:
        return self.parameters.get(parameter, str(default)).lower() in ("true", "1", "yes")

    @property
    def query(self) -> str:
        """The AQL text of a request to `/_api/cursor` or `/_api/explain`; "" for any other."""
        return str(self._statement.get("query", ""))

    @property
    def bind_names(self) -> tuple[str, ...]:
        return tuple(sorted(self._statement.get("bindVars") or {}))

    @cached_property
    def _statement(self) -> dict[str, Json]:
        """Empty for a body that cannot be read, too: that is a matter of the answer, not of the log."""
        if self.method != "POST" or self.parts not in (("cursor",), ("explain",), ("query",)):
            return {}
        try:
            return dict(self.json())
        except ServerError:
            return {}


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: Json = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def done(cls, status: int, /, **body: Json) -> Answer:
        return cls(status, {**body, "error": False, "code": status})

    @classmethod
    def failed(cls, problem: Problem, message: str = "") -> Answer:
        body = {
            "error": True,
            "code": problem.status,
            "errorNum": problem.number,
            "errorMessage": message or problem.text,
        }
        return cls(problem.status, body)

    @property
    def content(self) -> bytes:
        return b"" if self.body is None else json.dumps(self.body, ensure_ascii=False).encode()


@dataclass(frozen=True, slots=True)
class Logged:
    """One request and what became of it; `fault` names the injected one, `status` is 0 when no answer was sent.

    Of a query, `looked_at` documents were read in collections and their indexes, and `written` documents changed, also
    when its answer was lost."""

    number: int
    method: str
    path: str
    database: str
    query: str
    bind_names: tuple[str, ...]
    fault: str
    status: int
    looked_at: int = 0
    written: int = 0
