"""The real driver talks to the double: codes, bodies, pages, login."""

from __future__ import annotations

from typing import Any

import pytest
from arango.client import ArangoClient
from arango.exceptions import (
    AQLQueryExecuteError,
    CollectionCreateError,
    DatabaseCreateError,
    DocumentInsertError,
    DocumentRevisionError,
    ServerVersionError,
)
from support.arango import ArangoDouble

Driver = Any  # a StandardDatabase; python-arango types every result as one of four kinds


def test_what_exists_already_is_a_duplicate_name(server: ArangoDouble, driver: Driver) -> None:
    with pytest.raises(CollectionCreateError) as collection:
        driver.create_collection("files")
    assert (collection.value.http_code, collection.value.error_code) == (409, 1207)
    client = ArangoClient(hosts=server.url)
    with pytest.raises(DatabaseCreateError) as database:
        client.db("_system", username="root", password="secret").create_database("nomarr")
    assert (database.value.http_code, database.value.error_code) == (409, 1207)
    client.close()


@pytest.mark.parametrize(
    ("database", "password", "status", "number"), [("nomarr", "wrong", 401, 11), ("nowhere", "secret", 404, 1228)]
)
def test_a_wrong_login_and_a_missing_database_are_told_apart(
    server: ArangoDouble, driver: Driver, database: str, password: str, status: int, number: int
) -> None:
    client = ArangoClient(hosts=server.url)
    with pytest.raises(ServerVersionError) as caught:
        client.db(database, username="root", password=password).version()
    assert (caught.value.http_code, caught.value.error_code) == (status, number)
    client.close()


def test_documents_are_read_and_written_one_by_one(driver: Driver) -> None:
    files = driver.collection("files")
    made = files.insert({"_key": "a", "mtime_ns": 2**62 + 1})
    assert made["_id"] == "files/a"
    assert files.get("a")["mtime_ns"] == 2**62 + 1
    assert files.get("b") is None
    assert files.update({"_key": "a", "n": 1})["_old_rev"] == made["_rev"]
    with pytest.raises(DocumentRevisionError) as stale:
        files.update({"_key": "a", "_rev": made["_rev"], "n": 2})
    assert (stale.value.http_code, stale.value.error_code) == (412, 1200)
    with pytest.raises(DocumentInsertError) as taken:
        files.insert({"_key": "a"})
    assert (taken.value.http_code, taken.value.error_code) == (409, 1210)
    assert files.count() == 1
    assert files.delete("a")
    assert files.count() == 0


def test_an_index_is_made_once(driver: Driver) -> None:
    definition = {"type": "persistent", "fields": ["a"], "unique": False, "sparse": False, "name": "by_a"}
    files = driver.collection("files")
    assert files.add_index(definition)["isNewlyCreated"]
    assert not files.add_index(definition)["isNewlyCreated"]
    assert [index["name"] for index in files.indexes()] == ["primary", "by_a"]


def test_a_cursor_gives_its_pages_and_is_gone(server: ArangoDouble, driver: Driver) -> None:
    cursor = driver.aql.execute("FOR i IN 1..@last RETURN i", bind_vars={"last": 25}, batch_size=10, count=True)
    assert cursor.count() == 25
    assert list(cursor) == list(range(1, 26))
    assert len(server.api.cursors) == 0
    assert [seen.status for seen in server.requests("/_api/cursor")] == [201, 200, 200]


def test_a_cursor_that_is_closed_early_frees_its_pages(server: ArangoDouble, driver: Driver) -> None:
    cursor = driver.aql.execute("FOR i IN 1..25 RETURN i", batch_size=10)
    assert len(server.api.cursors) == 1
    cursor.close()
    assert len(server.api.cursors) == 0


def test_the_log_tells_queries_and_the_names_of_their_parameters(server: ArangoDouble, driver: Driver) -> None:
    server.forget_requests()
    driver.aql.execute("RETURN [@b, @a]", bind_vars={"a": "hidden", "b": 2})
    [seen] = server.requests()
    assert (seen.method, seen.path, seen.database) == ("POST", "/_api/cursor", "nomarr")
    assert (seen.query, seen.bind_names) == ("RETURN [@b, @a]", ("a", "b"))
    assert "hidden" not in repr(seen)


def test_an_error_of_a_query_has_its_number_and_status(driver: Driver) -> None:
    with pytest.raises(AQLQueryExecuteError) as caught:
        driver.aql.execute("FOR f IN nowhere RETURN f")
    assert (caught.value.http_code, caught.value.error_code) == (404, 1203)


def test_the_plan_is_served(driver: Driver) -> None:
    plan = driver.aql.explain("FOR f IN files FILTER f._key == @key RETURN f", bind_vars={"key": "a"})
    assert [node["type"] for node in plan["nodes"]] == ["SingletonNode", "IndexNode", "FilterNode", "ReturnNode"]


def test_a_name_that_is_not_utf_8_is_refused_as_it_is(driver: Driver) -> None:
    """So since 3.11 (arangodb#18782); a whole pair of surrogates is a letter as any other."""
    with pytest.raises(AQLQueryExecuteError) as caught:
        driver.aql.execute("RETURN @name", bind_vars={"name": b"caf\xe9".decode(errors="surrogateescape")})
    assert (caught.value.http_code, caught.value.error_code) == (400, 600)
    assert list(driver.aql.execute("RETURN @name", bind_vars={"name": "\U0001f3b5"})) == ["\U0001f3b5"]
