"""Every storage test runs on each backend of `BACKENDS`; another backend is one more entry."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from storage_kit import Scan, start_scan

from nomarr.persistence.db import Database


@dataclass(frozen=True)
class StorageBackend:
    """A backend, and how to name a database of it that does not exist yet."""

    name: str
    fresh_url: Callable[[Path], str]


BACKENDS = [StorageBackend("sqlite", lambda folder: f"sqlite:///{folder / 'nomarr.db'}")]


@pytest.fixture(params=BACKENDS, ids=lambda backend: backend.name)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    backend: StorageBackend = request.param
    return backend.fresh_url(tmp_path)


@pytest.fixture
def db(database_url: str) -> Iterator[Database]:
    with Database.open(database_url) as opened:
        yield opened


@pytest.fixture
def scan(db: Database) -> Scan:
    """The library "music", being scanned."""
    return start_scan(db)


@pytest.fixture
def other(db: Database) -> Scan:
    """The library "other", being scanned."""
    return start_scan(db, "other", token="two")


@pytest.fixture(scope="module", params=BACKENDS, ids=lambda backend: backend.name)
def any_database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """One database for all examples of a property; each example adds a library of its own."""
    backend: StorageBackend = request.param
    with Database.open(backend.fresh_url(tmp_path_factory.mktemp("database"))) as opened:
        yield opened
