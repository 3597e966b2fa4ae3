"""What services need of each other, without knowing each other. `app.py` joins them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from nomarr.helpers.dto.library import FileRules, Library, ScanTarget, WatchMode
from nomarr.helpers.dto.scan import HeldBackLosses, ScanProgress, ScanReport
from nomarr.helpers.dto.watching import PathChange

__all__ = ["FileRulesInForce", "Retention", "TaskRunner", "WatchedLibraries"]

Retention = Callable[[], Awaitable[float | None]]
"""Tells for how many days missing files are kept now; None: for good."""

FileRulesInForce = Callable[[], Awaitable[FileRules]]
"""Tells which files every library leaves out now."""


class TaskRunner(Protocol):
    """Runs named background tasks."""

    def start(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Start `work` as the task `name`; raises `TaskAlreadyRunning` if one of that name still runs."""

    def cancel(self, name: str) -> bool:
        """Ask a running task to end; False if there is none."""

    async def wait(self, name: str) -> object:
        """Wait until the task has ended."""


class WatchedLibraries(Protocol):
    """What a watcher needs of libraries: which there are, and somebody who scans them."""

    async def list_libraries(self, *, counted: bool = True) -> list[Library]:
        """Every library, by name; `counted=False` leaves the numbers of files at 0, as counting looks at every file."""

    async def get_library(self, library_id: str, *, counted: bool = True) -> Library:
        """One library, `counted` as with `list_libraries`. Raises `LibraryNotFound`."""

    async def file_rules(self) -> FileRules:
        """Which files every library leaves out now."""

    async def update_library(self, library_id: str, *, watch_mode: WatchMode | None = None) -> Library:
        """Store another watch mode; raises `LibraryNotFound`."""

    async def scan_targets(
        self,
        targets: Sequence[ScanTarget],
        *,
        look_again: bool = True,
        path_changes: Sequence[PathChange] = (),
        on_progress: Callable[[ScanProgress], None] | None = None,
    ) -> ScanReport:
        """Scan folders of one library, after whatever else scans it."""

    async def held_back_losses(self, library_id: str) -> HeldBackLosses | None:
        """Files that can't be found, of which nobody has said yet that they are gone; raises `LibraryNotFound`."""
