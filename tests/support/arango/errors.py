"""The errors of an ArangoDB server: number, HTTP status and message of each that the double can answer.

Numbers and statuses are those of the manual's "Error codes" and of its HTTP API pages (3.12)."""

from __future__ import annotations

from enum import Enum


class Problem(Enum):
    """`(errorNum, HTTP status, message)`."""

    INTERNAL = (4, 500, "internal error")
    FORBIDDEN = (11, 401, "not authorized to execute this request")
    BAD_PARAMETER = (10, 400, "bad parameter")
    NOT_FOUND = (404, 404, "unknown path")
    CORRUPTED_JSON = (600, 400, "invalid JSON object")
    CONFLICT = (1200, 409, "write-write conflict")
    STALE_REVISION = (1200, 412, "conflict, _rev values do not match")
    DOCUMENT_NOT_FOUND = (1202, 404, "document not found")
    COLLECTION_NOT_FOUND = (1203, 404, "collection or view not found")
    DUPLICATE_NAME = (1207, 409, "duplicate name")
    ILLEGAL_NAME = (1208, 400, "illegal name")
    UNIQUE = (1210, 409, "unique constraint violated")
    INDEX_NOT_FOUND = (1212, 404, "index not found")
    BAD_KEY = (1221, 400, "illegal document key")
    KEY_MISSING = (1226, 400, "missing document key")
    DOCUMENT_TYPE_INVALID = (1227, 400, "invalid document type")
    DATABASE_NOT_FOUND = (1228, 404, "database not found")
    ONLY_IN_SYSTEM = (1230, 403, "operation only allowed in system database")
    DISK_FULL = (1104, 500, "no space left on device")
    STARTING = (503, 503, "service unavailable")
    LEADERSHIP_CHANGE = (1495, 503, "a leadership challenge is ongoing")
    QUEUE_TIME = (21003, 503, "the server is too busy: the required queue time cannot be kept")
    PARSE = (1501, 400, "syntax error")
    EMPTY_QUERY = (1502, 400, "query is empty")
    REDECLARED = (1511, 400, "variable is assigned multiple times")
    UNKNOWN_VARIABLE = (1512, 400, "unknown variable")
    UNKNOWN_FUNCTION = (1540, 400, "usage of unknown function")
    ARGUMENT_COUNT = (1541, 400, "invalid number of arguments for function")
    BIND_INVALID = (1550, 400, "invalid structure of bind parameters")
    BIND_MISSING = (1551, 400, "no value specified for declared bind parameter")
    BIND_UNDECLARED = (1552, 400, "bind parameter was not declared in the query")
    BIND_TYPE = (1553, 400, "bind parameter has an invalid value or type")
    DIVISION_BY_ZERO = (1562, 400, "division by zero")
    ARRAY_EXPECTED = (1563, 400, "array expected")
    COMPILE_TIME_OPTIONS = (1575, 400, "query options must be readable at query compile time")
    ACCESS_AFTER_MODIFICATION = (1579, 400, "access after data-modification by")
    CURSOR_NOT_FOUND = (1600, 404, "cursor not found")

    @property
    def number(self) -> int:
        return self.value[0]

    @property
    def status(self) -> int:
        return self.value[1]

    @property
    def text(self) -> str:
        return self.value[2]


class ServerError(Exception):
    """What the server answers instead of a result; `detail` follows the message."""

    def __init__(self, problem: Problem, detail: str = "") -> None:
        super().__init__(f"{problem.text}: {detail}" if detail else problem.text)
        self.problem = problem
