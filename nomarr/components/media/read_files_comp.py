"""Read the tags of many files in this process, and the program of the processes that do nothing else."""

from __future__ import annotations

import gc
import os
import pickle
import struct
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO, Final

from nomarr.components.media.read_tags_comp import read_tags
from nomarr.helpers.dto.files import FileStat, int64
from nomarr.helpers.dto.quick_pickle import QuickPickle
from nomarr.helpers.dto.tags import TagReadResult
from nomarr.helpers.time_helper import system_clock

__all__ = ["ANSWER_HEADER", "ReadFile", "answer_requests", "read_files", "stat_of"]

ANSWER_HEADER: Final = struct.Struct("<I")
"""Before each answer of a worker process: how many bytes of pickle follow."""

_COLLECT_AFTER: Final = 50_000
"""New objects until Python looks for cycles among them, instead of 700: a twentieth of the time."""

_ANSWER_SECONDS: Final = 0.25
"""A worker says at least this often what it has read, so that a file that stops it is noticed by the silence."""


@dataclass(frozen=True, slots=True)
class ReadFile(QuickPickle):
    """Tags, and the file's numbers just after they were read (None if it was gone by then)."""

    tags: TagReadResult
    stat: FileStat | None
    read_at: float
    """Just before it was opened: what was written later than this may not have been seen."""


def read_files(paths: Sequence[str]) -> list[ReadFile]:
    """Read absolute paths in their order. A file that changed meanwhile shows by its numbers afterwards."""
    return [_read_file(path) for path in paths]


def stat_of(path: str) -> FileStat | None:
    """The numbers of a file; None if it can't be asked for them."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return FileStat(*map(int64, (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)))


def answer_requests() -> None:
    """The program of a worker process, until its standard input ends, which it also does when the parent dies.

    In: pickled lists of paths. Out: one empty list as a greeting, then for each request one or several lists of
    `ReadFile`, each with an `ANSWER_HEADER`, that together answer its paths in their order.
    """
    # What was imported lives as long as the process; the readers leave little that needs collecting.
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER)
    source = sys.stdin.buffer
    # Whatever prints must not end up between two answers.
    with os.fdopen(os.dup(1), "wb") as sink:
        os.dup2(2, 1)
        try:
            _send([], sink)
            while True:
                _answer(pickle.load(source), sink)  # noqa: S301 - from the process that started this one
        except (EOFError, BrokenPipeError):
            # Nobody is there any more. Leaving now spares the attempt to write what nobody reads.
            os._exit(0)


def _answer(paths: list[str], sink: BinaryIO) -> None:
    files: list[ReadFile] = []
    since = time.monotonic()
    for path in paths:
        files.append(_read_file(path))
        if time.monotonic() - since > _ANSWER_SECONDS:
            _send(files, sink)
            files, since = [], time.monotonic()
    if files:
        _send(files, sink)


def _send(files: list[ReadFile], sink: BinaryIO) -> None:
    answer = pickle.dumps(files, pickle.HIGHEST_PROTOCOL)
    sink.write(ANSWER_HEADER.pack(len(answer)) + answer)
    sink.flush()


def _read_file(path: str) -> ReadFile:
    read_at = system_clock()
    tags = read_tags(path)
    return ReadFile(tags, stat_of(path), read_at)
