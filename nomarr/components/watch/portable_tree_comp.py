"""Watching where there is no inotify: watchdog's own observer of the platform, without a guard."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final

from watchdog.events import (
    FileSystemEvent,
    FileSystemEventHandler,
    FileSystemMovedEvent,
)
from watchdog.observers import Observer

from nomarr.helpers.dto.watching import DiskChange, DiskEvent, FaultKind, WatchFault

__all__ = ["PortableTree"]

_CHANGES: Final = {
    "created": DiskChange.CREATED,
    "modified": DiskChange.WRITTEN,
    "closed": DiskChange.WRITTEN,
    "moved": DiskChange.MOVED,
    "deleted": DiskChange.DELETED,
}


class PortableTree(FileSystemEventHandler):
    """As `InotifyTree`, with what the platform offers: it can't tell which folders it does not see."""

    watched_folders = 0
    blind_folders = 0
    is_limited = False

    def __init__(
        self, root: str, on_event: Callable[[DiskEvent], None], on_fault: Callable[[WatchFault], None]
    ) -> None:
        self._root = os.path.realpath(root)
        self._on_event = on_event
        self._on_fault = on_fault
        self._observer = Observer()

    def watch(self) -> None:
        """Start. Raises OSError if the root can't be watched."""
        self._observer.schedule(self, self._root, recursive=True)
        self._observer.start()

    def end(self) -> None:
        """Stop; no call comes after this."""
        self._observer.stop()
        self._observer.join()

    def is_alive(self) -> bool:
        """False once the observer has ended."""
        return self._observer.is_alive()

    def blind_example(self) -> str | None:
        """Unknown here."""
        return None

    def has_strays(self, now: float) -> bool:
        """Unknown here."""
        return False

    def wait_until_read(self, timeout: float) -> bool:
        """Unknown here: the events come when they come."""
        return False

    def unwatched(self) -> list[str]:
        """Unknown here."""
        return []

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Called by watchdog in its thread."""
        change = _CHANGES.get(event.event_type)
        # A folder is modified whenever something in it is, which has an event of its own.
        if change is None or event.is_synthetic or (event.is_directory and change is DiskChange.WRITTEN):
            return
        try:
            path = self._relative(event.src_path)
            if path == "" and change in (DiskChange.DELETED, DiskChange.MOVED):
                self._on_fault(WatchFault(FaultKind.ROOT, "the root was moved or deleted"))
                return
            new_path = self._relative(event.dest_path) if isinstance(event, FileSystemMovedEvent) else None
            self._on_event(DiskEvent(change, path, event.is_directory, new_path))
        except Exception as error:
            # An exception would end the observer's thread without a word.
            self._on_fault(WatchFault(FaultKind.BROKEN, f"an event could not be handled: {error!r}"))

    def _relative(self, path: bytes | str) -> str:
        relative = os.path.relpath(os.fsdecode(path), self._root)
        return "" if relative == "." else relative.replace(os.sep, "/")
