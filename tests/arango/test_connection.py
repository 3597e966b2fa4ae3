"""How the adapter talks to a server: what it reads out of a URL, what it asks again, whose clock it believes."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from support.arango import ArangoDouble, Problem
from support.arango.faults import (
    CONFLICT,
    UNIQUE,
    Fault,
    InTurn,
    LostAnswer,
    Refusal,
    ResetBefore,
    Stall,
    TruncatedJson,
    no_faults,
)
from support.arango.requests import Request

from nomarr.helpers.dto.batches import ScanBatch
from nomarr.helpers.dto.files import FolderRecord
from nomarr.helpers.dto.library import Library, ScanTarget
from nomarr.helpers.dto.scan import LeaseOwner
from nomarr.helpers.exceptions import (
    ConfigurationError,
    DatabaseError,
    DatabaseNotReachable,
    DatabaseSchemaTooNew,
    LibraryAlreadyExists,
    LibraryAlreadyScanning,
    StorageFull,
)
from nomarr.persistence.database.connection import ArangoConnection, ServerRefused
from nomarr.persistence.database.enrichment_operations import ArangoEnrichment
from nomarr.persistence.database.library_operations import ArangoLibraries
from nomarr.persistence.database.queries import COMMIT, SERVER_TIME
from nomarr.persistence.database.retries import explained, is_passing, pauses
from nomarr.persistence.database.schema import INDEXES, MIGRATIONS, prepare
from nomarr.persistence.database.server_url import parsed
from nomarr.persistence.db import Database

QUICK = "?patience_seconds=0.2&opening_seconds=5&read_seconds=5"
HOUR = 3600.0


@contextmanager
def connected(server: ArangoDouble, options: str = "") -> Iterator[ArangoConnection]:
    with closing(ArangoConnection(server.database_url() + options)) as connection:
        prepare(connection)
        connection.be_patient()
        yield connection


# -- the URL ------------------------------------------------------------------------------------------------------


def test_a_url_names_server_database_and_who_asks() -> None:
    url = parsed("arangodb+https://me%40home:p%3Aw%2F@Music.local/my%20db?read_seconds=7.5&ca_file=/etc/ca.pem")
    assert (url.host, url.name, url.user, url.password) == ("https://music.local:8529", "my db", "me@home", "p:w/")
    assert (url.read_seconds, url.patience_seconds, url.ca_file) == (7.5, 60.0, "/etc/ca.pem")
    assert url.location == "arangodb+https://music.local:8529/my db"
    assert "p:w/" not in repr(url)


def test_what_a_url_leaves_out_is_usual() -> None:
    url = parsed("arangodb://[::1]:99/nomarr")
    assert (url.host, url.user, url.password, url.ca_file) == ("http://[::1]:99", "root", "", None)


@pytest.mark.parametrize(
    "url",
    [
        "arangodb://root:secret@host",
        "arangodb://root:secret@host/",
        "arangodb://root:secret@host/a/b",
        "arangodb://root:12/secret@host",
        "arangodb://root:a secret@host/nomarr",
        "arangodb://root:secret@/nomarr",
        "arangodb://root:sec[secret@host/nomarr",
        "arangodb://root:secret@host:port/nomarr",
        "arangodb://root:secret@host:99999/nomarr",
        "arangodb://root:secret@host/nomarr#secret",
        "arangodb://root:secret@host/nomarr?secret=1",
        "arangodb://root:secret@host/nomarr?read_seconds=secret",
        "arangodb://root:secret@host/nomarr?read_seconds=0",
        "arangodb://root:secret@host/nomarr?patience_seconds=nan",
        "arangodb://root:secret@host/nomarr?opening_seconds=inf",
    ],
)
def test_a_wrong_url_is_refused_and_no_password_told(url: str) -> None:
    with pytest.raises(ConfigurationError, match="use arangodb://user:password@host:8529/nomarr") as caught:
        Database.open(url)
    assert "secret" not in f"{caught.value!r} {caught.value} {caught.value.__cause__}"


# -- what is asked again ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [18, 28, 1200, 1429, 1495, 1496, 1600, 21003])
def test_what_passes_is_asked_again(code: int) -> None:
    assert is_passing(code, 500)


@pytest.mark.parametrize(
    ("code", "status", "passes"),
    [(None, 503, True), (None, 502, True), (None, 409, True), (None, 401, False), (None, 404, False)]
    + [(code, 400, False) for code in (11, 32, 1004, 1104, 1203, 1210, 1228, 1501, 1579)],
)
def test_what_does_not_pass_is_not(code: int | None, status: int, passes: bool) -> None:
    assert is_passing(code, status) == passes


def test_pauses_grow_are_never_regular_and_end() -> None:
    waits = list(pauses(10.0, random.Random(1)))
    assert 10.0 <= sum(waits) < 11.0
    assert waits[0] <= 0.02
    assert max(waits) <= 1.0
    assert len(set(waits)) == len(waits)
    assert waits != list(pauses(10.0, random.Random(2)))


@pytest.mark.parametrize("code", [11, 32, 1004, 1203, 1228])
def test_what_helps_is_said(code: int) -> None:
    assert "HTTP" not in explained(code, 400, "message")
    assert "password" in explained(11, 401, "message")
    assert "right to read and write" in explained(11, 403, "message")
    assert "message (error 9, HTTP 500)" in explained(9, 500, "message")


@pytest.mark.parametrize("fault", [CONFLICT, ResetBefore(), LostAnswer(), TruncatedJson(), UNIQUE])
def test_a_write_is_done_once_whatever_happens_to_its_answer(server: ArangoDouble, fault: Fault) -> None:
    with Database.open(server.database_url()) as db:
        server.faults = InTurn([fault, fault])
        db.library.add_library(Library("music", "Music", "/music"))
        assert [library.name for library in db.library.list_libraries(0.0)] == ["Music"]
        server.faults = InTurn([fault])
        with pytest.raises(LibraryAlreadyExists):
            db.library.add_library(Library("other", "Music", "/other"))


def test_an_answer_that_does_not_come_is_not_waited_for_for_ever(server: ArangoDouble) -> None:
    with Database.open(f"{server.database_url()}?read_seconds=0.2&opening_seconds=5") as db:
        server.faults = InTurn([Stall(5)])
        began = time.monotonic()
        assert db.events.last_seq() == 0
        assert time.monotonic() - began < 3


def test_patience_ends_with_a_typed_error(server: ArangoDouble) -> None:
    with connected(server, QUICK) as connection:
        server.forget_requests()
        server.faults = lambda request: CONFLICT
        with pytest.raises(DatabaseNotReachable, match="write-write conflict"):
            connection.query("RETURN 1")
        assert 2 < len(server.log) < 15


def test_a_server_that_hangs_up_every_time_is_not_reachable(server: ArangoDouble) -> None:
    with connected(server, QUICK) as connection:
        server.faults = lambda request: ResetBefore()
        with pytest.raises(DatabaseNotReachable, match="does not answer"):
            connection.query("RETURN 1")


def test_what_never_passes_is_asked_once(server: ArangoDouble) -> None:
    with connected(server, QUICK) as connection:
        server.forget_requests()
        with pytest.raises(ServerRefused) as caught:
            connection.query("RETURN nothing")
        assert (caught.value.error_code, len(server.log)) == (1203, 1)


def test_a_full_disk_says_so(server: ArangoDouble) -> None:
    with connected(server, QUICK) as connection:
        server.faults = lambda request: Refusal(Problem.DISK_FULL)
        with pytest.raises(StorageFull):
            connection.query("RETURN 1")


@pytest.mark.parametrize(
    ("end", "words"), [(ArangoConnection.close, "was closed"), (ArangoConnection.give_up, "does not answer")]
)
def test_whoever_waits_for_another_attempt_gives_up_when_told_so(
    server: ArangoDouble, end: Callable[[ArangoConnection], None], words: str
) -> None:
    with connected(server, "?patience_seconds=60") as connection:
        is_asked = threading.Event()

        def reset(_: object) -> Fault:
            is_asked.set()
            return ResetBefore()

        server.faults = reset
        failed: list[Exception] = []
        waiting = threading.Thread(target=lambda: failed.append(_error_of(lambda: connection.query("RETURN 1"))))
        waiting.start()
        assert is_asked.wait(10)
        end(connection)
        waiting.join(10)
        assert not waiting.is_alive()
        assert isinstance(failed[0], DatabaseError)
        assert words in str(failed[0])


def test_whoever_gave_up_still_asks_a_server_that_is_there(server: ArangoDouble) -> None:
    with connected(server, "?patience_seconds=60") as connection:
        connection.give_up()
        server.faults = InTurn([CONFLICT])
        assert connection.query("RETURN 1") == [1]


def _error_of(call: Callable[[], object]) -> Exception:
    try:
        call()
    except Exception as error:
        return error
    raise AssertionError("it did not fail")


# -- the schema ---------------------------------------------------------------------------------------------------


def test_a_newer_schema_is_refused(server: ArangoDouble) -> None:
    with connected(server) as connection:
        connection.query('UPDATE "schema" WITH { version: 99 } IN meta')
    with pytest.raises(DatabaseSchemaTooNew):
        Database.open(server.database_url())


def test_a_migration_that_was_interrupted_is_done_again(server: ArangoDouble) -> None:
    done: list[str] = []

    def broken(connection: ArangoConnection) -> None:
        done.append("begun")
        if len(done) == 1:
            raise RuntimeError("the process is killed")

    with closing(ArangoConnection(server.database_url())) as connection:
        migrations = {**MIGRATIONS, 2: broken}
        with pytest.raises(RuntimeError):
            prepare(connection, migrations)
        prepare(connection, migrations)
        prepare(connection, migrations)
    assert done == ["begun", "begun"]


def test_opening_again_creates_nothing(server: ArangoDouble) -> None:
    with connected(server) as connection:
        names = {
            index["name"] for name in ("library_files",) for index in connection.database.collection(name).indexes()
        }
        assert names == {"primary"} | {index.name for index in INDEXES if index.collection == "library_files"}
    server.forget_requests()
    with Database.open(server.database_url()) as db:
        assert db.schema_version() == max(MIGRATIONS)
    # The version, the clock, whether it is an unfinished copy, and the question above.
    assert len(server.log) == 4


# -- the clock ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ahead", [-HOUR, HOUR, 0.3, -0.3])
def test_the_server_s_clock_alone_decides_whether_a_lease_holds(ahead: float) -> None:
    passed = [0.0]
    with (
        ArangoDouble(clock=lambda: time.time() + ahead + passed[0]) as server,
        Database.open(server.database_url()) as mine,
        Database.open(server.database_url()) as theirs,
    ):
        mine.library.add_library(Library("music", "Music", "/music"))
        lease = taken(mine, "one")
        assert lease is not None
        state = mine.library.get_scan_state("music")
        assert state is not None
        assert state.expires_at == pytest.approx(time.time() + 60, abs=2)
        assert state.last_scan_started_at == pytest.approx(time.time(), abs=2)
        passed[0] = 55.0
        assert taken(theirs, "two") is None
        mine.library.renew_lease(lease, now=time.time, lease_seconds=60)
        passed[0] = 110.0
        assert taken(theirs, "two") is None
        passed[0] = 130.0
        assert taken(theirs, "two") is not None


def test_whoever_never_took_a_lease_judges_those_of_others_by_the_server_s_clock() -> None:
    with (
        ArangoDouble(clock=lambda: time.time() - HOUR) as server,
        Database.open(server.database_url()) as mine,
        Database.open(server.database_url()) as theirs,
    ):
        mine.library.add_library(Library("music", "Music", "/music"))
        assert taken(mine, "one") is not None
        with pytest.raises(LibraryAlreadyScanning):
            theirs.library.forget_held_back("music", now=time.time)


@pytest.mark.parametrize(
    ("fault", "options"), [(Stall(2.5), "?read_seconds=10"), (Stall(4.0), "?read_seconds=2.5")], ids=["late", "lost"]
)
def test_a_slow_answer_is_no_difference_of_clocks(fault: Fault, options: str) -> None:
    with ArangoDouble() as server, connected(server, options + "&patience_seconds=30") as connection:
        server.faults = InTurn([fault])
        server.forget_requests()
        connection.measure_clock()
        assert connection.skew_seconds == 0.0
        assert server.requests()


def slow_clock(request: Request) -> Fault | None:
    """Whoever asks for the time waits for it."""
    return Stall(1.2) if request.query == SERVER_TIME else None


def test_a_server_that_is_always_slow_can_be_used() -> None:
    with ArangoDouble(clock=lambda: time.time() + HOUR) as server:
        Database.open(server.database_url()).close()
        server.faults = slow_clock
        # By so much the clock is not known better.
        with Database.open(server.database_url()) as mine, Database.open(server.database_url()) as theirs:
            mine.library.add_library(Library("music", "Music", "/music"))
            lease = taken(mine, "one")
            assert lease is not None
            assert taken(theirs, "two") is None
            state = theirs.library.get_scan_state("music")
            assert state is not None
            assert state.expires_at is not None
            # Whoever looks takes it for held as long as it may be.
            assert time.time() + 50 < state.expires_at < time.time() + 63
            mine.library.renew_lease(lease, now=time.time, lease_seconds=60)


def test_a_slow_reading_of_the_clock_is_only_as_good_as_it_is_slow() -> None:
    with ArangoDouble() as server, connected(server) as connection:
        connection.measure_clock()
        assert (connection.skew_seconds, connection.uncertainty_seconds) == (0.0, 0.0)
        server.faults = slow_clock
        server.forget_requests()
        connection.measure_clock()
        assert connection.skew_seconds == 0.0
        assert 0.6 < connection.uncertainty_seconds < 3.0
        assert len(server.log) == 3
        server.faults = InTurn([Stall(1.2)])
        connection.measure_clock()
        assert connection.uncertainty_seconds == 0.0


@pytest.mark.parametrize("wrong", [-30.0, 30.0])
def test_a_lease_is_right_even_if_the_clock_was_read_wrongly(wrong: float) -> None:
    with ArangoDouble() as exact, connected(exact) as connection:
        libraries, enrichment = ArangoLibraries(connection), ArangoEnrichment(connection)
        libraries.add_library(Library("music", "Music", "/music"))
        lease = libraries.mark_scan_started(
            "music", "scan", LeaseOwner("host", 1, 1, "one"), [], now=time.time, lease_seconds=60
        )
        assert lease is not None
        connection.skew_seconds = wrong
        libraries.renew_lease(lease, now=time.time, lease_seconds=60)
        [row] = connection.query("FOR l IN libraries RETURN l.scan_expires_at")
        assert row == pytest.approx(time.time() + 60, abs=3)
        assert enrichment.is_any_scan_running(time.time() + 28)
        assert not enrichment.is_any_scan_running(time.time() + 65)


def taken(db: Database, token: str) -> Any:
    return db.library.mark_scan_started(
        "music",
        f"scan of {token}",
        LeaseOwner("host", 1, 1, token),
        [ScanTarget("music")],
        now=time.time,
        lease_seconds=60,
    )


# -- what it refuses ----------------------------------------------------------------------------------------------


def test_an_older_schema_gets_the_indexes_that_it_lacks(server: ArangoDouble) -> None:
    with connected(server) as connection:
        files = server.api.store.database("nomarr").collection("library_files")
        files.indexes = [index for index in files.indexes if index.name not in ("unheard_1", "unhashed_1")]
        connection.query('UPDATE "schema" WITH { version: 1 } IN meta')
    with Database.open(server.database_url()) as db:
        assert db.schema_version() == max(MIGRATIONS)
    assert {index.name for index in files.indexes} >= {"unheard_1", "unhashed_1"}


@pytest.mark.parametrize("value", [None, 5, {"a": 1}])
def test_a_setting_that_is_no_text_is_not_taken_for_none(server: ArangoDouble, value: object) -> None:
    with Database.open(server.database_url()) as db:
        db.settings.set("key", "text")
        settings = server.api.store.database("nomarr").collection("settings")
        (document,) = settings.documents.values()
        # Somebody else has written into the database.
        settings.replace(document, {**document, "value": value})
        assert db.settings.get("key") == json.dumps(value)
        assert db.settings.update("key", lambda text: f"{text}, new") == f"{json.dumps(value)}, new"


def test_a_server_without_tls_is_not_reachable_with_it(server: ArangoDouble) -> None:
    url = server.database_url().replace("arangodb://", "arangodb+https://")
    with pytest.raises(DatabaseNotReachable, match="does not answer"):
        Database.open(f"{url}?opening_seconds=0.2")


def test_a_refusal_to_create_something_is_told_as_it_is(server: ArangoDouble) -> None:
    for path in ("/_api/collection", "/_api/cursor"):
        server.faults = lambda request, path=path: (  # type: ignore[misc] # its default binds the loop's value
            Refusal(Problem.BAD_PARAMETER) if request.path == path else None
        )
        with pytest.raises(ServerRefused, match="bad parameter"):
            Database.open(server.database_url(), create=path != "/_api/cursor")


def test_a_library_that_is_refused_is_not_said_to_exist(server: ArangoDouble) -> None:
    with Database.open(server.database_url()) as db:
        server.faults = lambda request: Refusal(Problem.BAD_PARAMETER)
        with pytest.raises(ServerRefused, match="bad parameter"):
            db.library.add_library(Library("music", "Music", "/music"))


def test_rows_that_others_write_all_the_time_are_an_error_that_passes() -> None:
    with ArangoDouble() as server, Database.open(server.database_url()) as db:
        db.library.add_library(Library("music", "Music", "/music"))
        lease = taken(db, "one")
        server.faults = lambda request: UNIQUE if request.query == COMMIT else None
        batch = ScanBatch(folders=[FolderRecord("", "digest", False)])
        with pytest.raises(DatabaseNotReachable, match="try again later"):
            db.library_files.upsert_batch(lease, batch, now=time.time)
        server.faults = no_faults
        assert not db.library_folders.within(ScanTarget("music"))
