"""What services need of each other, without knowing each other. `app.py` joins them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

__all__ = ["TaskRunner"]


class TaskRunner(Protocol):
    """Runs named background tasks."""

    def start(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Start `work` as the task `name`; raises `TaskAlreadyRunning` if one of that name still runs."""
