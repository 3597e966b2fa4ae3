"""One SQLite file: one writer connection behind a lock, readers beside it, errors in Nomarr's words."""

from __future__ import annotations

import contextlib
import errno
import logging
import math
import os
import re
import shutil
import sqlite3
import threading
import time
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import TypeVar

import stamina

from nomarr.helpers.exceptions import DatabaseError, DatabaseNotReachable, DatabaseSchemaTooNew, StorageFull
from nomarr.helpers.time_helper import Clock, steady_clock

__all__ = ["LOCKED_PATIENCE_SECONDS", "SqliteConnections", "in_turns"]

logger = logging.getLogger(__name__)

Answer = TypeVar("Answer")
Piece = TypeVar("Piece")

_BUSY_TIMEOUT_SECONDS = 2.0
LOCKED_PATIENCE_SECONDS = 60.0
_LAST_PATIENCE_SECONDS = 3.0
"""Of whoever is about to close: other programs let go of the file sooner, unless they are stopped."""
_TOLD_ATTEMPT = 2
_LONG_WAIT_SECONDS = 0.1
_LONGEST_TURN_SECONDS = 0.25
_GIVE_WAY_SECONDS = 0.12
"""Whoever waits for a locked file looks at it every 0.1 s (`sqliteDefaultBusyCallback` in SQLite's main.c)."""
_CACHE_KIB = 16 * 1024
_CHECKPOINT_PAGES = 8000
"""32 MB of log before it is worked into the file, which waits for the disk; with 1000 a first scan waits often."""
_ROOM_BYTES = 128 * 1024
"""With less free an error of the disk means that it is full: SQLite's file of locks alone needs 32 KiB."""
_MIGRATION_NAME = re.compile(r"(\d{3})_\w+\.sql")


class SqliteConnections:
    """Opens the file, brings its schema up to date, and lends connections.

    Args:
        migrations: schema version to the SQL that leads to it; the ones of this version unless told.
        patience_seconds: how long a write waits for another process that holds the file.

    Raises:
        DatabaseNotReachable: if the file can't be opened or created, is locked for good, or is no SQLite database.
        DatabaseSchemaTooNew: if a newer Nomarr wrote it.
    """

    def __init__(
        self,
        path: Path,
        *,
        migrations: Mapping[int, str] | None = None,
        patience_seconds: float = LOCKED_PATIENCE_SECONDS,
    ) -> None:
        self.path = path
        self._patience_seconds = patience_seconds
        self._patience_ends_at = math.inf
        """By the steady clock."""
        self._write_lock = threading.Lock()
        self._idle_readers: list[sqlite3.Connection] = []
        self._readers_lock = threading.Lock()
        self._closed = False
        with self._errors_in_our_words():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = self._connect()
            try:
                # SQLite does not wait by itself when two processes open a new file at once.
                for attempt in self._while_locked(steady_clock() + patience_seconds):
                    with attempt:
                        self._writer.execute("PRAGMA journal_mode=WAL")
                        self._migrate(_migrations() if migrations is None else migrations)
            except BaseException:
                self._writer.close()
                raise

    def write(self, work: Callable[[sqlite3.Connection], Answer]) -> Answer:
        """Run `work` in one transaction, again from the start if another process holds the file."""
        with self._errors_in_our_words(), self._turn() as until:
            return self._write(work, until)

    def _write(self, work: Callable[[sqlite3.Connection], Answer], until: float) -> Answer:
        for attempt in self._while_locked(until):
            if attempt.num == _TOLD_ATTEMPT:
                patience = min(until, self._patience_ends_at) - steady_clock()
                logger.warning("%s is locked by another program; waiting for it, %.0f s at most", self.path, patience)
            with attempt, self._transaction():
                answer = work(self._writer)
        return answer

    def write_unlinked(self, work: Callable[[sqlite3.Connection], Answer]) -> Answer:
        """As `write`, but what refers to a removed row stays; the caller removes it in pieces."""
        with self._errors_in_our_words(), self._turn() as until:
            # Inside of a transaction it would change nothing.
            self._writer.execute("PRAGMA foreign_keys=OFF")
            try:
                return self._write(work, until)
            finally:
                self._writer.execute("PRAGMA foreign_keys=ON")

    def write_by(self, now: float | Clock, work: Callable[[sqlite3.Connection, float], Answer]) -> Answer:
        """As `write`, for work that needs to know how late it is once the transaction has begun.

        Between the caller's `now` and then this process may have waited for the file or been stopped, for longer than a
        lease lasts.
        """
        called_at = steady_clock()

        def timed(db: sqlite3.Connection) -> Answer:
            if callable(now):
                return work(db, now())
            waited = steady_clock() - called_at
            # What is nothing beside a lease is left out: then what is stored is exactly what the caller said.
            return work(db, now + waited if waited > _LONG_WAIT_SECONDS else now)

        return self.write(timed)

    def read(self, query: str, parameters: tuple[object, ...] = ()) -> list[sqlite3.Row]:
        """Every row of one query."""
        with self._errors_in_our_words(), self._reader() as connection:
            return connection.execute(query, parameters).fetchall()

    def read_numbers(self, query: str, parameters: tuple[object, ...] = ()) -> array[int]:
        """The single column of one query: eight bytes a row."""
        with self._errors_in_our_words(), self._reader() as connection:
            return array("q", (number for (number,) in connection.execute(query, parameters)))

    def schema_version(self) -> int:
        """The number of the newest migration that was applied."""
        return int(self.read("PRAGMA user_version")[0][0])

    def give_up(self) -> None:
        """From now on wait no more than a moment for another program that holds the file."""
        self._patience_ends_at = min(self._patience_ends_at, steady_clock() + _LAST_PATIENCE_SECONDS)

    def close(self) -> None:
        """Close every connection; what is written is on the disk."""
        with self._readers_lock:
            self._closed = True
            for reader in self._idle_readers:
                reader.close()
            self._idle_readers.clear()
        with self._write_lock:
            self._writer.close()

    @contextlib.contextmanager
    def _turn(self) -> Iterator[float]:
        """The turn of one writer; until when, by the steady clock, it may go on trying.

        The patience begins with the waiting for the turn: as long as the file is locked, all others would wait in vain
        for the first one, and each for as long again.
        """
        until = steady_clock() + self._patience_seconds
        if not self._write_lock.acquire(timeout=self._patience_seconds):
            raise sqlite3.OperationalError("the database is locked")
        try:
            yield until
        finally:
            self._write_lock.release()

    def _while_locked(self, until: float) -> Iterable[stamina.Attempt]:
        return stamina.retry_context(
            on=self._is_to_be_tried_again,
            attempts=None,
            timeout=max(0.0, until - steady_clock()),
            wait_initial=0.02,
            wait_max=1.0,
            wait_jitter=0.2,
        )

    def _is_to_be_tried_again(self, error: Exception) -> bool:
        return _is_locked(error) and steady_clock() < self._patience_ends_at

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            os.fspath(self.path),
            timeout=min(_BUSY_TIMEOUT_SECONDS, self._patience_seconds),
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.execute("PRAGMA foreign_keys=ON")
            connection.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
            connection.execute(f"PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES}")
        except BaseException:
            connection.close()
            raise
        return connection

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        left = self._patience_ends_at - steady_clock()
        if left < _BUSY_TIMEOUT_SECONDS:
            self._writer.execute(f"PRAGMA busy_timeout={max(0, int(left * 1000))}")
        self._writer.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._writer.execute("COMMIT")
        except BaseException:
            # SQLite has already rolled back after some errors, a full disk for one.
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            raise

    @contextlib.contextmanager
    def _reader(self) -> Iterator[sqlite3.Connection]:
        with self._readers_lock:
            if self._closed:
                raise DatabaseError(f"{self.path} was closed")
            connection = self._idle_readers.pop() if self._idle_readers else None
        connection = connection or self._connect()
        try:
            yield connection
        finally:
            with self._readers_lock:
                if self._closed:
                    connection.close()
                else:
                    self._idle_readers.append(connection)

    def _migrate(self, migrations: Mapping[int, str]) -> None:
        newest = max(migrations)
        found = int(self._writer.execute("PRAGMA user_version").fetchone()[0])
        if found > newest:
            raise DatabaseSchemaTooNew(str(self.path), found, newest)
        if 0 < found < newest:
            self._back_up(found)
        for version in range(found + 1, newest + 1):
            with self._transaction():
                # A second process may have been faster between the look above and the lock.
                if int(self._writer.execute("PRAGMA user_version").fetchone()[0]) >= version:
                    continue
                for statement in _statements(migrations[version]):
                    self._writer.execute(statement)
                self._writer.execute(f"PRAGMA user_version={version}")
            logger.debug("schema of %s is at version %d", self.path, version)

    def _back_up(self, version: int) -> None:
        copy = self.path.with_name(f"{self.path.name}.schema-{version}.backup")
        with contextlib.closing(sqlite3.connect(os.fspath(copy))) as target:
            self._writer.backup(target)
        logger.info("kept a copy of the database as %s before updating its schema", copy)

    @contextlib.contextmanager
    def _errors_in_our_words(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise self._translated(error) from error

    def _is_for_lack_of_room(self, error: sqlite3.Error | OSError) -> bool:
        if isinstance(error, OSError):
            return error.errno in (errno.ENOSPC, errno.EDQUOT)
        if "disk is full" in str(error):
            return True
        # At opening SQLite says of a full disk only that something went wrong there (SQLITE_IOERR_SHMSIZE).
        code = getattr(error, "sqlite_errorcode", 0)
        return code & 0xFF == sqlite3.SQLITE_IOERR and self._free_bytes() < _ROOM_BYTES

    def _free_bytes(self) -> float:
        try:
            return shutil.disk_usage(self.path.parent).free
        except OSError:
            return math.inf

    def _translated(self, error: sqlite3.Error | OSError) -> DatabaseError:
        text = str(error)
        if self._is_for_lack_of_room(error):
            return StorageFull(str(self.path))
        if _is_locked(error):
            return DatabaseNotReachable(
                f"{self.path} is locked by another program for too long; close that program and try again"
            )
        if isinstance(error, OSError) or "unable to open" in text or "readonly" in text:
            return DatabaseNotReachable(
                f"the database {self.path} can't be opened or written ({text}); "
                "check the folder's rights, or choose another place with --db"
            )
        if "not a database" in text or "malformed" in text:
            return DatabaseNotReachable(
                f"{self.path} is not a usable SQLite database ({text}); restore a backup, or choose another with --db"
            )
        return DatabaseError(f"the database {self.path} failed: {text}")


def in_turns(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """The pieces, with pauses between their transactions in which others who wait for the file get their turn."""
    begun = time.monotonic()
    for piece in pieces:
        if time.monotonic() - begun > _LONGEST_TURN_SECONDS:
            time.sleep(_GIVE_WAY_SECONDS)
            begun = time.monotonic()
        yield piece


def _is_locked(error: Exception) -> bool:
    if not isinstance(error, sqlite3.OperationalError):
        return False
    return "locked" in str(error) or "busy" in str(error)


def _migrations() -> dict[int, str]:
    """Schema version to the SQL that leads to it from the version before."""
    folder = resources.files("nomarr.persistence.embedded") / "schema"
    found = {}
    for entry in folder.iterdir():
        if match := _MIGRATION_NAME.fullmatch(entry.name):
            found[int(match.group(1))] = entry.read_text(encoding="utf-8")
    return found


def _statements(script: str) -> Iterator[str]:
    """The single statements of a script: `executescript` would commit in between."""
    statement = ""
    for line in script.splitlines():
        statement += line + "\n"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    if statement.strip():
        yield statement
