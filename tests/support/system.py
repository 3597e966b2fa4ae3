"""What tests do to the system below Nomarr: mounts, missing rights, disks that fail or stop in the middle."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

NOBODY = 65534


@contextmanager
def mounted(folder: Path, *, of: Path | None = None) -> Iterator[Path]:
    """Another disk at `folder` (an empty one, or the one at `of`); skips the test where nothing can be mounted."""
    options = ["-t", "tmpfs", "tmpfs"] if of is None else ["--bind", str(of)]
    try:
        done = subprocess.run(["mount", *options, str(folder)], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no `mount` command")
    if done.returncode:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def without_privileges() -> Iterator[None]:
    """Inside, this process may no more than an ordinary user."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@contextmanager
def open_to_everybody() -> Iterator[Path]:
    """A temporary folder that an ordinary user may reach and own."""
    folder = Path(tempfile.mkdtemp(prefix="nomarr-"))
    folder.chmod(0o777)
    try:
        yield folder
    finally:
        for path in folder.rglob("*"):
            if path.is_dir() and not path.is_symlink():
                path.chmod(0o700)
        shutil.rmtree(folder, ignore_errors=True)


def give_away(folder: Path) -> None:
    """Everything below belongs to an ordinary user from now on."""
    if os.geteuid() == 0:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, NOBODY, NOBODY)


class Disk:
    """Stands between a program and `os.scandir`, `os.stat`: calls back, or fails as a broken disk does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._scandir, self._stat = os.scandir, os.stat
        self._before_listing: dict[str, Callable[[], None]] = {}
        self._before_stat: dict[str, Callable[[], None]] = {}
        monkeypatch.setattr(os, "scandir", self._list)
        monkeypatch.setattr(os, "stat", self._look)

    def before_listing(self, folder: Path, action: Callable[[], None]) -> None:
        """Do this each time just before the folder is listed."""
        self._before_listing[os.fspath(folder)] = action

    def once_before_listing(self, folder: Path, action: Callable[[], None]) -> None:
        """Do this just before the folder is listed for the next time."""

        def once() -> None:
            del self._before_listing[os.fspath(folder)]
            action()

        self.before_listing(folder, once)

    def before_stat(self, path: Path, action: Callable[[], None]) -> None:
        """Do this each time just before the file is stat-ed, inside a listing too."""
        self._before_stat[os.fspath(path)] = action

    def recover(self) -> None:
        """From now on everything works."""
        self._before_listing.clear()
        self._before_stat.clear()

    def _list(self, path: Any = ".") -> Any:
        self._before_listing.get(os.fspath(path) if not isinstance(path, int) else "", _nothing)()
        if any(os.path.dirname(file) == path for file in self._before_stat):
            return _Entries(self._scandir(path), self._before_stat)
        return self._scandir(path)

    def _look(self, path: Any, *args: Any, **options: Any) -> os.stat_result:
        if isinstance(path, (str, os.PathLike)):
            self._before_stat.get(os.fspath(path), _nothing)()
        return self._stat(path, *args, **options)


class _Entries:
    """As `os.scandir` gives them, with entries that may fail."""

    def __init__(self, entries: Any, before_stat: dict[str, Callable[[], None]]) -> None:
        self._entries, self._before_stat = entries, before_stat

    def __enter__(self) -> _Entries:
        return self

    def __exit__(self, *_: object) -> None:
        self._entries.close()

    def __iter__(self) -> Iterator[Any]:
        return (_Entry(entry, self._before_stat.get(entry.path, _nothing)) for entry in self._entries)


class _Entry:
    def __init__(self, entry: os.DirEntry[str], before_stat: Callable[[], None]) -> None:
        self._entry, self._before_stat = entry, before_stat

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        self._before_stat()
        return self._entry.stat(follow_symlinks=follow_symlinks)

    def __lt__(self, other: _Entry) -> bool:
        return self._entry.name < other._entry.name

    def __getattr__(self, name: str) -> Any:
        return getattr(self._entry, name)


def _nothing() -> None:
    """Nothing happens."""


def input_output_error() -> None:
    """What a dying disk says."""
    raise OSError(errno.EIO, os.strerror(errno.EIO))


class Gate:
    """Holds threads back until it is opened, and tells how many wait."""

    def __init__(self) -> None:
        self._open = threading.Event()
        self._lock = threading.Lock()
        self.arrived = 0

    def pass_through(self) -> None:
        """Wait until the gate is open."""
        with self._lock:
            self.arrived += 1
        assert self._open.wait(30), "nobody opened the gate"

    def open(self) -> None:
        """Let everybody pass, now and later."""
        self._open.set()

    async def wait_for(self, threads: int) -> None:
        """Until so many threads have come to the gate."""
        await until(lambda: self.arrived >= threads)


async def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    """Wait until this is so."""
    with anyio.fail_after(seconds):
        while not condition():  # noqa: ASYNC110 (other threads and processes make it true)
            await anyio.sleep(0.01)
