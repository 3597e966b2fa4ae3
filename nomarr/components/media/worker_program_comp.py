"""The program of the processes that look into files for their parent."""

from __future__ import annotations

import gc
import os
import pickle
import struct
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO, Final

__all__ = ["ANSWER_HEADER", "answer_requests"]

ANSWER_HEADER: Final = struct.Struct("<I")
"""Before each answer of a worker process: how many bytes of pickle follow."""

_COLLECT_AFTER: Final = 50_000
"""New objects until Python looks for cycles among them, instead of 700: a twentieth of the time."""

_NICENESS: Final = 5
"""Whoever waits for the parent, or for music, comes first (nice(2)); alone on the machine it costs nothing."""

_ANSWER_SECONDS: Final = 0.25
"""A worker says at least this often what it has done, so that a file that stops it is noticed by the silence."""


def answer_requests() -> None:
    """The program of a worker process, until its standard input ends, which it also does when the parent dies.

    In: pickled pairs of a function and a list of items. Out: one empty list as a greeting, then for each request one or
    several lists, each with an `ANSWER_HEADER`, that together hold what the function answers for the items, in order.
    """
    os.nice(_NICENESS)
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
                work, items = pickle.load(source)  # noqa: S301 - from the process that started this one
                _answer(work, items, sink)
        except (EOFError, BrokenPipeError):
            # Nobody is there any more. Leaving now spares the attempt to write what nobody reads.
            os._exit(0)


def _answer(work: Callable[[Any], Any], items: Sequence[Any], sink: BinaryIO) -> None:
    answers: list[Any] = []
    since = time.monotonic()
    for item in items:
        answers.append(work(item))
        if time.monotonic() - since > _ANSWER_SECONDS:
            _send(answers, sink)
            answers, since = [], time.monotonic()
    if answers:
        _send(answers, sink)


def _send(answers: list[Any], sink: BinaryIO) -> None:
    pickled = pickle.dumps(answers, pickle.HIGHEST_PROTOCOL)
    sink.write(ANSWER_HEADER.pack(len(pickled)) + pickled)
    sink.flush()
