"""What is really on the disk, found out without any of Nomarr's code, and the comparison with its database."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from nomarr import FileRecord, Library, Nomarr

_AUDIO = (  # as the documentation lists them
    *("mp3", "flac", "wav", "aiff", "aif", "ogg", "oga", "opus", "m4a", "m4b", "m4p", "m4r", "mp4", "aac"),
    *("wma", "ape", "wv", "mpc", "dsf", "tta", "mka"),
)


class OnDisk(NamedTuple):
    """What tells one file from another."""

    device: int
    inode: int
    size: int
    mtime_ns: int


def is_audio(name: str) -> bool:
    """Judged by the name alone."""
    return "." in name and name.rpartition(".")[2].lower() in _AUDIO


def disk_files(root: str | Path) -> dict[str, OnDisk]:
    """Every audio file below `root`, by its path relative to it."""
    found = {}
    for folder, _, names in os.walk(os.fspath(root)):
        for name in filter(is_audio, names):
            path = os.path.join(folder, name)
            status = os.stat(path)
            identity = OnDisk(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
            found[os.path.relpath(path, root)] = identity
    return found


def as_known(record: FileRecord) -> OnDisk:
    """What a row says of the file's identity."""
    return OnDisk(record.device, record.inode, record.size, record.mtime_ns)


def _everything(_: str) -> bool:
    return True


async def assert_equal(nomarr: Nomarr, library: Library, scope: Callable[[str], bool] = _everything) -> None:
    """The rows are the files: same paths, same numbers, no path and no id twice. `scope` picks the paths that count."""
    records = await nomarr.libraries.list_files(library.library_id)
    paths = [record.path for record in records]
    assert len(set(paths)) == len(paths), "two rows are at one path"
    assert len({record.file_id for record in records}) == len(records), "one id is at two paths"
    rows = {record.path: as_known(record) for record in records if scope(record.path)}
    disk = {path: numbers for path, numbers in disk_files(library.root_path).items() if scope(path)}
    assert rows == disk
