"""Looks at disks, which may never answer, in threads of their own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import Future, wait
from typing import Any, TypeVar

__all__ = ["DiskLooks"]

T = TypeVar("T")


class DiskLooks:
    """One look at a time at each place: whoever asks for it again before it has come back gets the same answer.

    Nothing can end a thread that waits for a disk. It stays alone, however often somebody asks, and it does not keep
    the process from ending.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[Hashable, Future[Any]] = {}

    def begin(self, place: Hashable, look: Callable[[], T]) -> Future[T]:
        """What `look` finds, some time or never. For one place it has to be the same look each time."""
        with self._lock:
            if place in self._running:
                return self._running[place]
            answer: Future[T] = Future()
            # Whoever does not want to wait any more cancels nothing for the others.
            answer.set_running_or_notify_cancel()
            threading.Thread(target=self._look, args=(place, look, answer), name="look at a disk", daemon=True).start()
            self._running[place] = answer
            return answer

    def in_time(self, looks: Mapping[str, Callable[[], T]], seconds: float) -> dict[str, T]:
        """What is found at each place, without those that do not answer within so many seconds."""
        answers = {place: self.begin(place, look) for place, look in looks.items()}
        wait(answers.values(), seconds)
        return {place: answer.result() for place, answer in answers.items() if answer.done()}

    def _look(self, place: Hashable, look: Callable[[], T], answer: Future[T]) -> None:
        try:
            found = look()
        except BaseException as error:
            self._forget(place)
            answer.set_exception(error)
        else:
            self._forget(place)
            answer.set_result(found)

    def _forget(self, place: Hashable) -> None:
        with self._lock:
            del self._running[place]
