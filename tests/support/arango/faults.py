"""Everything that can go wrong between a program and its database, to be injected request by request."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from support.arango.errors import Problem
from support.arango.requests import Request


@dataclass(frozen=True, slots=True)
class Refusal:
    """The server answers this problem and does nothing."""

    problem: Problem


@dataclass(frozen=True, slots=True)
class Away:
    """The server stops, all connections are reset, new ones are refused; so many seconds later it is back."""

    seconds: float = 0.05


@dataclass(frozen=True, slots=True)
class ResetBefore:
    """The connection is reset; nothing was done."""


@dataclass(frozen=True, slots=True)
class LostAnswer:
    """All is done, then the connection is reset instead of an answer."""


@dataclass(frozen=True, slots=True)
class Stall:
    """The answer comes so many seconds late."""

    seconds: float


@dataclass(frozen=True, slots=True)
class TruncatedJson:
    """All is done, but the answer breaks off in its middle, with a length that fits."""


Fault = Refusal | Away | ResetBefore | LostAnswer | Stall | TruncatedJson
Plan = Callable[[Request], Fault | None]

CONFLICT = Refusal(Problem.CONFLICT)
UNIQUE = Refusal(Problem.UNIQUE)
STALE_REVISION = Refusal(Problem.STALE_REVISION)
LEADERSHIP_CHANGE = Refusal(Problem.LEADERSHIP_CHANGE)
QUEUE_TIME = Refusal(Problem.QUEUE_TIME)
LOGIN_REFUSED = Refusal(Problem.FORBIDDEN)
UNAVAILABLE = Refusal(Problem.STARTING)


def no_faults(request: Request) -> None:
    """The plan of a healthy server."""


class InTurn:
    """Gives these faults to the requests that match, one each, then no more; None lets one pass."""

    def __init__(self, faults: Iterable[Fault | None], when: Callable[[Request], bool] = lambda request: True) -> None:
        self._faults = iter(list(faults))
        self._when = when
        self._lock = threading.Lock()

    def __call__(self, request: Request) -> Fault | None:
        if not self._when(request):
            return None
        with self._lock:
            return next(self._faults, None)


class AtRandom:
    """Gives a random fault to a share of the requests, at most `limit` of them; the same ones for the same seed.

    Among threads the order of requests is not repeatable, so neither is who gets which fault."""

    def __init__(
        self,
        seed: int,
        faults: Sequence[Fault],
        *,
        share: float,
        limit: int | None = None,
        when: Callable[[Request], bool] = lambda request: True,
    ) -> None:
        self.given = 0
        self._random = random.Random(seed)
        self._faults, self._share, self._limit, self._when = faults, share, limit, when
        self._lock = threading.Lock()

    def __call__(self, request: Request) -> Fault | None:
        if not self._when(request):
            return None
        with self._lock:
            if self.given == self._limit or self._random.random() >= self._share:
                return None
            self.given += 1
            return self._random.choice(self._faults)
