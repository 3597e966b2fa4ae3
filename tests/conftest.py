"""Fixtures for every test: an open Nomarr on a fresh database, and music folders out of literals."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from pathlib import Path
from typing import IO

import pytest
from hypothesis import settings
from media.audio_factory import AudioFactory, tool_is_there
from support.backends import Server, prepared_server, sqlite_url
from support.fork_server import ForkServer, fork_server
from support.music import Tree, build
from support.songs import KEPT_IN
from support.system import Disk

from nomarr import Nomarr
from nomarr.persistence.db import Database

settings.register_profile("default", deadline=None, print_blob=True)
settings.load_profile("default")

_LOCKS = Path(tempfile.gettempdir())
_MACHINE = _LOCKS / f"nomarr-tests-{os.getuid()}.lock"
_TURNSTILE = _LOCKS / f"nomarr-tests-{os.getuid()}.turnstile"


def pytest_configure(config: pytest.Config) -> None:
    """Before anything is started, as processes that are started later inherit it."""
    # A shell lets what it runs in the background ignore Ctrl-C; programs under test have to hear it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # All processes of this run share what one of them has encoded.
    if KEPT_IN not in os.environ:
        folder = tempfile.TemporaryDirectory(prefix="nomarr-songs-")
        os.environ[KEPT_IN] = folder.name
        config.add_cleanup(folder.cleanup)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """For each processor one, and two more: a third of the tests' time is waiting for what happens a little later."""
    return min(4, (os.cpu_count() or 1) + 2)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first, so that none of them is begun when all others are done.

    Where several processes run tests, each takes whole files, since files share what takes long to make. In each of
    them the tests that are alone are neighbours, so that the other processes wait for them only once.
    """
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    order = {path: number for number, path in enumerate(dict.fromkeys(item.path for item in items))}
    items.sort(key=lambda item: (item.path not in slow, order[item.path], not _is_alone(item)))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, object, object]:
    """Let tests that change limits of the whole machine run alone."""
    if not _turn.is_mine:
        _turn.take(alone=_is_alone(item))
    try:
        return (yield)
    finally:
        if not (_is_alone(item) and nextitem is not None and _is_alone(nextitem)):
            _turn.end()


def _is_alone(item: pytest.Item) -> bool:
    return item.get_closest_marker("alone") is not None


class _Turn:
    """When this process may run tests, among all that run tests of this user."""

    def __init__(self) -> None:
        self._machine: IO[str] | None = None

    @property
    def is_mine(self) -> bool:
        return self._machine is not None

    def take(self, *, alone: bool) -> None:
        self._machine = _MACHINE.open("w")
        with _TURNSTILE.open("w") as turnstile:
            # Nobody passes while somebody in it waits to be alone, who would wait for ever otherwise.
            fcntl.flock(turnstile, fcntl.LOCK_EX)
            fcntl.flock(self._machine, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)

    def end(self) -> None:
        if self._machine is not None:
            self._machine.close()
            self._machine = None


_turn = _Turn()


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def _no_settings_of_this_user(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    for name in [name for name in os.environ if name.startswith("NOMARR_")]:
        monkeypatch.delenv(name)
    empty = tmp_path_factory.getbasetemp() / "no-settings"
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(empty))


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Where the `nomarr` fixture keeps its database."""
    return tmp_path / "database" / "nomarr.db"


@pytest.fixture
def database_url(database: Path) -> str:
    """The URL of that database."""
    return sqlite_url(database)


@pytest.fixture(scope="session")
def arango_server() -> Iterator[Server]:
    """One server for all tests; each has a database of its own."""
    with prepared_server() as server:
        yield server


@pytest.fixture(scope="session")
def forks() -> Iterator[ForkServer]:
    """Starts programs for all tests."""
    with fork_server() as server:
        yield server


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database as its first opening leaves it; making one waits for the disk longer than many a test takes."""
    path = tmp_path_factory.mktemp("empty") / "nomarr.db"
    with Database.open(sqlite_url(path)):
        return path


@pytest.fixture
async def nomarr(database_url: str, database: Path, empty_database: Path) -> AsyncIterator[Nomarr]:
    """An open Nomarr that takes every file as settled; tests about settling open their own."""
    if database_url == sqlite_url(database):
        database.parent.mkdir(exist_ok=True)
        shutil.copyfile(empty_database, database)
    async with Nomarr.open(database_url, settle_seconds=0, tag_workers=1) as opened:
        yield opened


@pytest.fixture
def music_tree(tmp_path: Path) -> Callable[..., Path]:
    """`music_tree({"Rock": {"a.wav": tone(440)}})` makes a music folder and says where it is."""

    def make(tree: Tree, folder: str = "music") -> Path:
        return build(tmp_path / folder, tree)

    return make


@pytest.fixture(scope="session")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> AudioFactory:
    """Real audio of every format."""
    if not tool_is_there():
        pytest.skip("ffmpeg is missing: it makes the audio files of these tests")
    return AudioFactory(tmp_path_factory.mktemp("encoded"))


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    """The system calls that look at the disk, for tests that let them fail."""
    return Disk(monkeypatch)
