"""A look at the server: what it is, what it still allows, and whether it runs our queries as they are meant."""

from __future__ import annotations

import statistics
import time
import uuid
from collections.abc import Callable
from typing import Any, Final

from arango.request import Request
from arango.response import Response

from nomarr.helpers.dto.server import LicenseUsage, QueryPlan, ServerExamination
from nomarr.helpers.exceptions import DatabaseError
from nomarr.persistence.database.connection import ArangoConnection
from nomarr.persistence.database.queries import (
    GET_SETTING,
    REMOVE_SETTINGS,
    SERVER_TIME,
    SET_SETTING,
)
from nomarr.persistence.database.query_examples import example_binds, named_queries, reads_all_of
from nomarr.persistence.database.rows_operations import key_of
from nomarr.persistence.database.schema import INDEXES

__all__ = ["examine"]

_SINGLE: Final = "SINGLE"
_FULL_SCAN: Final = "EnumerateCollectionNode"
_PERSISTENT: Final = "persistent"
_PINGS: Final = 5
_FOR_EVER: Final = 3.2e8
"""Ten years; what the server tells while the limit is not reached."""


def examine(connection: ArangoConnection) -> ServerExamination:
    """Look at everything; writes one small value and deletes it.

    Raises:
        DatabaseError: if the server can't be asked at all.
    """
    version: dict[str, Any] = _answer(connection, "/_api/version")
    role = str(_answer(connection, "/_admin/server/role").get("role", _SINGLE))
    skew, latency = _clock(connection)
    return ServerExamination(
        version=str(version.get("version", "")),
        edition=str(version.get("license", "")),
        role=role,
        is_one_shard=role == _SINGLE or _sharding(connection) == "single",
        is_read_only=_answer(connection, "/_admin/server/mode").get("mode") == "readonly",
        license=_license(_answer(connection, "/_admin/license")),
        missing_indexes=_missing_indexes(connection),
        plans=tuple(_plan(connection, name, text) for name, text in named_queries()),
        probe_problem=_problem_of(lambda: _probe(connection)),
        skew_seconds=skew,
        latency_seconds=latency,
    )


def _ask(connection: ArangoConnection, request: Request) -> Response:
    # Not the driver's methods: they leave out what an answer says besides, such as the warnings of a plan.
    return connection.attempt(lambda: connection.database.request(request))  # type: ignore[return-value] # not asynchronous


def _answer(connection: ArangoConnection, endpoint: str) -> dict[str, Any]:
    """The answer's content; empty where this user, or a server of this kind, may not be asked that."""
    response = _ask(connection, Request(method="get", endpoint=endpoint))
    return response.body if response.is_success and isinstance(response.body, dict) else {}


def _sharding(connection: ArangoConnection) -> str:
    found = _answer(connection, "/_api/database/current").get("result", {})
    return str(found.get("sharding", ""))


def _license(answer: dict[str, Any]) -> LicenseUsage | None:
    usage = answer.get("diskUsage")
    if not isinstance(usage, dict) or "bytesLimit" not in usage:
        return None
    return LicenseUsage(
        bytes_used=int(usage.get("bytesUsed", 0)),
        bytes_limit=int(usage["bytesLimit"]),
        status=str(usage.get("status", "good")),
        seconds_until_read_only=float(usage.get("secondsUntilReadOnly", _FOR_EVER)),
        seconds_until_shut_down=float(usage.get("secondsUntilShutDown", _FOR_EVER)),
    )


def _clock(connection: ArangoConnection) -> tuple[float, float]:
    """How far the server's clock is ahead of ours, and how long a request takes, in seconds."""
    skews, delays = [], []
    for _ in range(_PINGS):
        asked_at, begun = time.time(), time.monotonic()
        [server_time] = connection.query(SERVER_TIME)
        delay = time.monotonic() - begun
        delays.append(delay)
        skews.append(server_time / 1000.0 - (asked_at + delay / 2))
    return statistics.median(skews), statistics.median(delays)


def _missing_indexes(connection: ArangoConnection) -> tuple[str, ...]:
    missing = []
    for collection in dict.fromkeys(index.collection for index in INDEXES):
        request = Request(method="get", endpoint="/_api/index", params={"collection": collection})
        response = _ask(connection, request)
        found = response.body.get("indexes", ()) if response.is_success else ()
        # Fields of other kinds of indexes may be objects.
        there = {(index["name"], tuple(index["fields"])) for index in found if index["type"] == _PERSISTENT}
        wanted = [index for index in INDEXES if index.collection == collection]
        missing += [f"{collection}.{index.name}" for index in wanted if (index.name, index.fields) not in there]
    return tuple(missing)


def _plan(connection: ArangoConnection, name: str, text: str) -> QueryPlan:
    question = {"query": text, "bindVars": example_binds(name, text)}
    response = _ask(connection, Request(method="post", endpoint="/_api/explain", data=question))
    if not response.is_success:
        return QueryPlan(name, problem=f"{response.error_message} (error {response.error_code})")
    nodes = response.body["plan"]["nodes"]
    scanned = {str(node["collection"]) for node in nodes if node["type"] == _FULL_SCAN}
    return QueryPlan(
        name,
        scanned=tuple(sorted(one for one in scanned if not reads_all_of(name, one))),
        warnings=tuple(str(warning.get("message", warning)) for warning in response.body.get("warnings", ())),
    )


def _probe(connection: ArangoConnection) -> None:
    """Write, read and delete a value that nobody else has."""
    name = f"probe {uuid.uuid4().hex}"
    key = key_of(name)
    connection.query(SET_SETTING, {"key": key, "name": name, "value": "here"})
    read = connection.query(GET_SETTING, {"key": key})
    connection.query(REMOVE_SETTINGS, {"keys": [key]})
    if [document["value"] for document in read] != ["here"] or connection.query(GET_SETTING, {"key": key}):
        raise DatabaseError("what was written, read and deleted is not what came back")


def _problem_of(work: Callable[[], None]) -> str | None:
    try:
        work()
    except DatabaseError as error:
        return str(error)
    return None
