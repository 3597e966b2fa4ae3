"""Each fault looks to the driver as the trouble does that it stands for, and does to the data what it says."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from arango.client import ArangoClient
from arango.exceptions import AQLQueryExecuteError
from arango.http import DefaultHTTPClient
from support.arango import ArangoDouble
from support.arango.faults import (
    CONFLICT,
    LEADERSHIP_CHANGE,
    LOGIN_REFUSED,
    QUEUE_TIME,
    STALE_REVISION,
    UNIQUE,
    AtRandom,
    Away,
    Fault,
    InTurn,
    LostAnswer,
    ResetBefore,
    Stall,
    TruncatedJson,
)

Driver = Any  # a StandardDatabase; python-arango types every result as one of four kinds

INSERT = "INSERT {_key: 'a'} INTO files"
COUNT = "RETURN LENGTH(files)"


class OneTry(DefaultHTTPClient):
    """The driver's own client, but a failed request stays failed."""

    REQUEST_TIMEOUT = 10
    RETRY_ATTEMPTS = 0


@pytest.fixture
def database(server: ArangoDouble, driver: Driver) -> Iterator[Driver]:
    client = ArangoClient(hosts=server.url, resolver_max_tries=1, http_client=OneTry(retry_attempts=0))
    yield client.db("nomarr", username="root", password="secret")
    client.close()


def count(database: Driver) -> int:
    return int(next(database.aql.execute(COUNT)))


@pytest.mark.parametrize(
    ("fault", "status", "number"),
    [
        (CONFLICT, 409, 1200),
        (UNIQUE, 409, 1210),
        (STALE_REVISION, 412, 1200),
        (LEADERSHIP_CHANGE, 503, 1495),
        (QUEUE_TIME, 503, 21003),
        (LOGIN_REFUSED, 401, 11),
    ],
)
def test_a_refusal_is_answered_and_nothing_is_done(
    server: ArangoDouble, database: Driver, fault: Fault, status: int, number: int
) -> None:
    server.faults = InTurn([fault])
    with pytest.raises(AQLQueryExecuteError) as caught:
        database.aql.execute(INSERT)
    assert (caught.value.http_code, caught.value.error_code) == (status, number)
    assert count(database) == 0
    assert server.log[-2].fault == "Refusal"


@pytest.mark.parametrize(("fault", "rows"), [(ResetBefore(), 0), (LostAnswer(), 1)])
def test_a_reset_leaves_open_whether_it_was_done(
    server: ArangoDouble, database: Driver, fault: Fault, rows: int
) -> None:
    server.faults = InTurn([fault])
    with pytest.raises(ConnectionAbortedError):
        database.aql.execute(INSERT)
    assert server.log[-1].status == 0
    assert count(database) == rows


def test_truncated_json_is_no_answer_the_driver_understands(server: ArangoDouble, database: Driver) -> None:
    server.faults = InTurn([TruncatedJson()])
    with pytest.raises(TypeError):
        database.aql.execute(INSERT)
    assert count(database) == 1


def test_a_server_that_is_away_refuses_and_comes_back_with_its_data(server: ArangoDouble, database: Driver) -> None:
    database.aql.execute(INSERT)
    server.stop()
    with pytest.raises(ConnectionAbortedError):
        database.aql.execute(COUNT)
    server.start()
    assert count(database) == 1


def test_a_server_goes_away_in_the_middle_and_returns_by_itself(server: ArangoDouble, database: Driver) -> None:
    server.faults = InTurn([Away(seconds=0.01)])
    with pytest.raises(ConnectionAbortedError):
        database.aql.execute(INSERT)
    server.wait_until_back()
    assert count(database) == 0


def test_a_stall_ends_with_the_server(server: ArangoDouble, database: Driver) -> None:
    entered = threading.Event()

    def stall(request: object) -> Fault:
        entered.set()
        return Stall(60)

    server.faults = stall

    def stop_then() -> None:
        entered.wait(10)
        server.stop()

    stopper = threading.Thread(target=stop_then)
    stopper.start()
    with pytest.raises((ConnectionAbortedError, requests.RequestException)):
        database.aql.execute(INSERT)
    stopper.join()


def test_a_client_that_waits_too_short_gets_a_timeout(server: ArangoDouble, driver: Driver) -> None:
    client = ArangoClient(
        hosts=server.url, resolver_max_tries=1, http_client=OneTry(request_timeout=0.05, retry_attempts=0)
    )
    server.faults = InTurn([Stall(0.5)])
    with pytest.raises((ConnectionAbortedError, requests.Timeout)):
        client.db("nomarr", username="root", password="secret").aql.execute(INSERT)
    client.close()


def test_the_same_seed_gives_the_same_faults_to_the_same_requests(server: ArangoDouble, database: Driver) -> None:
    def outcomes() -> list[str]:
        server.faults = AtRandom(5, [CONFLICT, UNIQUE], share=0.5, limit=6)
        found = []
        for _ in range(20):
            try:
                database.aql.execute("RETURN 1")
                found.append("fine")
            except AQLQueryExecuteError as error:
                found.append(str(error.error_code))
        return found

    first = outcomes()
    assert first == outcomes()
    assert len([outcome for outcome in first if outcome != "fine"]) == 6


def test_many_clients_at_once_are_served_one_after_the_other(server: ArangoDouble, driver: Driver) -> None:
    driver.aql.execute("INSERT {_key: 'n', n: 0} INTO files")

    def add() -> None:
        for _ in range(20):
            driver.aql.execute("FOR f IN files UPDATE f WITH {n: f.n + 1} IN files")

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert driver.collection("files").get("n")["n"] == 80
