"""One ArangoDB server: queries with our own patience, errors in Nomarr's words, the server's clock."""

from __future__ import annotations

import http.client
import logging
import random
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, NoReturn, TypeVar

import requests
from arango.client import ArangoClient
from arango.database import StandardDatabase
from arango.exceptions import ArangoClientError, ArangoServerError

from nomarr.helpers.exceptions import DatabaseError, DatabaseNotReachable, StorageFull
from nomarr.helpers.time_helper import Clock
from nomarr.persistence.database.http_client import CertificateRefused, QuietHttpClient
from nomarr.persistence.database.queries import SERVER_TIME
from nomarr.persistence.database.retries import DISK_FULL, DUPLICATE, explained, is_passing, pauses
from nomarr.persistence.database.server_url import parsed, require_certificates

__all__ = ["ArangoConnection", "ServerRefused"]

logger = logging.getLogger(__name__)

Answer = TypeVar("Answer")

_CONNECT_SECONDS: Final = 5.0
_CONNECTIONS: Final = 64
_ROWS_AN_ANSWER: Final = 2000
_RACES: Final = 2
"""An UPSERT that another one outran finds the document when it is sent again; what is taken then is taken."""
_MEANINGFUL_SKEW_SECONDS: Final = 1.0
"""Two clocks that differ by less are the same to a lease; then what is stored is exactly what the caller said."""
_QUICK_SECONDS: Final = 1.0
"""A clock that was read for longer is read again: by up to half of that its time is wrong."""
_READINGS: Final = 3
# The driver raises the last two kinds for answers that are no JSON or not whole.
_LOST: Final = (
    requests.RequestException,
    http.client.HTTPException,
    OSError,
    TypeError,
    KeyError,
)


class _Reading(NamedTuple):
    """What the server's clock said; the quicker, the better."""

    round_trip_seconds: float
    skew_seconds: float


class ArangoConnection:
    """Sends queries to one database of one server. Safe to call from several threads.

    Every query has to be one that may be sent again, because an answer may be lost after the server has done its work.

    Raises:
        ConfigurationError: if the URL is none, whose text is never told, as it may hold a password, or if it names a
            file with certificates that has none.
    """

    def __init__(self, url: str) -> None:
        server = parsed(url)
        require_certificates(server)
        self.location = server.location
        self.name = server.name
        self._patience_seconds = server.opening_seconds
        self._patience_when_open = server.patience_seconds
        self._randomness = random.Random()
        self._client = ArangoClient(
            hosts=server.host,
            resolver_max_tries=1,
            http_client=QuietHttpClient(
                connect_seconds=min(_CONNECT_SECONDS, server.read_seconds),
                read_seconds=server.read_seconds,
                connections=_CONNECTIONS,
                ca_file=server.ca_file,
            ),
        )
        self._database = self._client.db(server.name, username=server.user, password=server.password)
        self._system = self._client.db("_system", username=server.user, password=server.password)
        self._closed = threading.Event()
        self._given_up = threading.Event()
        self.skew_seconds = 0.0
        """By how much the server's clock is ahead of ours."""
        self.uncertainty_seconds = 0.0
        """By how much that may be wrong, if it matters to a lease."""

    def query(
        self, text: str, binds: Mapping[str, Any] | None = None, *, now: float | Clock | None = None
    ) -> list[Any]:
        """Every row of one query, sent again while the failure is one that passes.

        Args:
            now: for queries that judge leases, whose `@now` and `@called_at` it becomes. A number is the time of this
                call; a clock is asked again for each attempt.
        """
        called_at = time.time()

        def ask() -> list[Any]:
            told: dict[str, Any] = dict(binds or {})
            if callable(now):
                told |= self._times(now(), time.time())
            elif now is not None:
                told |= self._times(now, called_at)
            return self._rows(text, told)

        return self.attempt(ask)

    def _rows(self, text: str, binds: Mapping[str, Any]) -> list[Any]:
        with self._database.aql.execute(  # type: ignore[union-attr] # not asynchronous: there is a cursor
            text, bind_vars=dict(binds), batch_size=_ROWS_AN_ANSWER
        ) as cursor:
            return list(cursor)

    def row(
        self, text: str, binds: Mapping[str, Any] | None = None, *, now: float | Clock | None = None
    ) -> dict[str, Any]:
        """The only row of a query that always has one."""
        [row] = self.query(text, binds, now=now)
        return row  # type: ignore[no-any-return] # what is in an answer is not typed

    def be_patient(self) -> None:
        """From now on the server is known to be there: wait for it longer than while the database is opened."""
        self._patience_seconds = self._patience_when_open

    def attempt(self, ask: Callable[[], Answer]) -> Answer:
        """Run `ask` until it succeeds, fails for good, or the patience is used up.

        Raises:
            DatabaseError: if the server's certificate is not trusted.
            ServerRefused: if the server said no, with its error code.
        """
        patience = self._patience_seconds
        races = _RACES
        until = time.monotonic() + patience
        for pause in pauses(patience, self._randomness):
            try:
                return self._ask(ask)
            except ArangoServerError as error:
                is_race = error.error_code == DUPLICATE and races > 0
                races -= is_race
                if not is_race and not is_passing(error.error_code, error.http_code):
                    self._raise_in_our_words(error)
                logger.debug("%s: error %s, trying again", self.location, error.error_code)
            except _LOST as error:
                logger.debug("%s: %s, trying again", self.location, type(error).__name__)
            if time.monotonic() + pause > until or self._given_up.wait(pause):
                break
        return self._last_attempt(ask)

    def _ask(self, ask: Callable[[], Answer]) -> Answer:
        """One attempt; what no further one mends is raised in our words."""
        if self._closed.is_set():
            raise DatabaseError(f"{self.location} was closed")
        try:
            return ask()
        except CertificateRefused as error:
            raise DatabaseError(f"{self.location}: {error}") from error
        except ArangoClientError as error:
            raise DatabaseError(f"{self.location} answered what its driver does not understand") from error

    def _last_attempt(self, ask: Callable[[], Answer]) -> Answer:
        try:
            return self._ask(ask)
        except ArangoServerError as error:
            self._raise_in_our_words(error)
        except _LOST as error:
            raise DatabaseNotReachable(
                f"{self.location} does not answer ({type(error).__name__}); "
                "check that the server runs and can be reached, and try again"
            ) from error

    def _raise_in_our_words(self, error: ArangoServerError) -> NoReturn:
        if error.error_code == DISK_FULL:
            raise StorageFull(self.location) from error
        text = f"{self.location}: {explained(error.error_code, error.http_code, error.error_message or '')}"
        if is_passing(error.error_code, error.http_code):
            raise DatabaseNotReachable(text) from error
        raise ServerRefused(text, error.error_code, error.error_message or "") from error

    @property
    def database(self) -> StandardDatabase:
        """The driver's database, for `attempt`."""
        return self._database

    @property
    def system(self) -> StandardDatabase:
        """The database that knows of all others."""
        return self._system

    def measure_clock(self) -> None:
        """Find out by how much the server's clock is ahead of ours, as well as a slow server lets us.

        What a query with `now` judges is right however wrong this is: the server tells it by its own clock.
        """
        reading = self.attempt(self._read_clock)
        for _ in range(_READINGS - 1):
            if reading.round_trip_seconds <= _QUICK_SECONDS:
                break
            reading = min(reading, self.attempt(self._read_clock))
        uncertainty = reading.round_trip_seconds / 2
        # Clocks of machines agree, unless it is certain that they do not.
        is_certain = abs(reading.skew_seconds) > max(uncertainty, _MEANINGFUL_SKEW_SECONDS)
        self.skew_seconds = reading.skew_seconds if is_certain else 0.0
        wrong_by = uncertainty if is_certain else uncertainty + abs(reading.skew_seconds)
        self.uncertainty_seconds = wrong_by if reading.round_trip_seconds > _QUICK_SECONDS else 0.0

    def _read_clock(self) -> _Reading:
        """By one attempt alone: what came before it, such as pauses, says nothing of a clock."""
        asked_at, begun = time.time(), time.monotonic()
        [server_time] = self._rows(SERVER_TIME, {})
        took = time.monotonic() - begun
        return _Reading(took, float(server_time) / 1000.0 - (asked_at + took / 2))

    def server_time(self, our_time: float) -> float:
        """A time of our clock by the server's."""
        return our_time + self.skew_seconds

    def latest_time(self, server_time: float) -> float:
        """A time of the server's clock by ours, at the latest: a lease is taken for held as long as it may be."""
        return server_time - self.skew_seconds + self.uncertainty_seconds

    def _times(self, now: float, called_at: float) -> dict[str, float]:
        return {"now": self.server_time(now), "called_at": self.server_time(called_at)}

    def give_up(self) -> None:
        """From now on nobody waits for another attempt; what a server that is there answers is still taken."""
        self._given_up.set()

    def close(self) -> None:
        """Close every connection; whoever waits for another attempt gives up."""
        self._closed.set()
        self._given_up.set()
        self._client.close()


class ServerRefused(DatabaseError):
    """The server said no for a reason that does not pass."""

    def __init__(self, text: str, error_code: int | None, message: str) -> None:
        super().__init__(text)
        self.error_code = error_code
        self.message = message
