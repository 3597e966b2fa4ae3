"""One inotify instance that watches every folder of one library, and says when it can't be relied on.

Only the lowest part of watchdog is used, its reader of inotify events: what watchdog builds on top of it loses events
when the kernel's queue overflows, mislabels folders that were renamed while it was late, and dies of moves out of the
tree (ADR 12).
"""

from __future__ import annotations

import ctypes
import errno
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final

from watchdog.observers.inotify_c import InotifyConstants as In
from watchdog.observers.inotify_c import (
    InotifyEvent,
    InotifyFD,
    WatchDescriptor,
    inotify_add_watch,
    inotify_rm_watch,
)

from nomarr.helpers.dto.watching import DiskChange, DiskEvent, FaultKind, WatchFault

__all__ = ["InotifyTree"]

_MASK: Final = (
    In.IN_CREATE
    | In.IN_DELETE
    | In.IN_MOVE
    | In.IN_CLOSE_WRITE
    | In.IN_ATTRIB
    | In.IN_DELETE_SELF
    | In.IN_MOVE_SELF
    | In.IN_EXCL_UNLINK
    | In.IN_ONLYDIR
    | In.IN_DONT_FOLLOW
)
"""No opens, reads and single writes: a scan's own reading must not be an event."""

_LIMIT_ERRORS: Final = frozenset((errno.ENOSPC, errno.EMFILE, errno.ENFILE, errno.ENOMEM))
_MAX_MOVING: Final = 1024
_STRAY_SECONDS: Final = 1.0
_CHANGES: Final = (
    (In.IN_CREATE, DiskChange.CREATED),
    (In.IN_DELETE, DiskChange.DELETED),
    (In.IN_CLOSE_WRITE, DiskChange.WRITTEN),
    (In.IN_ATTRIB, DiskChange.ATTRIBUTES),
)


class InotifyTree(InotifyFD):
    """Watches a folder with everything below it; a thread of its own calls `on_event` and `on_fault`.

    A folder has its watch before the event that tells of it is handed on: whoever then scans it misses nothing. After
    a fault nothing is repaired in place; the owner starts a new tree and stops this one. Symbolic links are not
    followed.

    Args:
        on_event: called in the reader's thread, in the order of the kernel; must be quick.
        on_fault: called in any thread.
    """

    def __init__(
        self, root: str, on_event: Callable[[DiskEvent], None], on_fault: Callable[[WatchFault], None]
    ) -> None:
        """Raises OSError if there is no inotify instance left."""
        try:
            super().__init__()
        except BaseException:
            # It may have the instance, and no pipe beside it.
            if hasattr(self, "_inotify_fd"):
                os.close(self._inotify_fd)
            raise
        self._root = os.fsencode(root)
        self._on_event = on_event
        self._on_fault = on_fault
        self._lock_of_tree = threading.RLock()
        self._folders: dict[int, bytes] = {}
        self._blind: set[bytes] = set()
        self.is_limited = False
        """True once the kernel refused a watch because there are too many."""
        self._moving: dict[int, tuple[bytes, bool, float]] = {}
        self._cookies: dict[int, threading.Event] = {}

    # -- for the owner ----------------------------------------------------------------------------------------

    def watch(self) -> None:
        """Start, and come back when every folder has its watch. Raises OSError if the root can't be watched."""
        # Here and not in the constructor: on a dead share this hangs.
        self._root = os.path.realpath(self._root)
        self.start()
        try:
            self._add_tree(self._root)
        except BaseException:
            self.end()
            raise

    def end(self) -> None:
        """Stop; no call comes after this."""
        self.stopped_event.set()
        if self.is_alive():
            # Closing is left until the reader is done: it may be adding watches.
            os.write(self._kill_w, b"!")
            self.join()
        # A reader that died while it was reading has left this behind, and closing would wait for it.
        self._is_reading = False
        self.close()

    @property
    def watched_folders(self) -> int:
        """Folders with a watch."""
        return len(self._folders)

    @property
    def blind_folders(self) -> int:
        """Folders that could not be watched."""
        return len(self._blind)

    def blind_example(self) -> str | None:
        """One of them, relative to the root."""
        with self._lock_of_tree:
            return next((self._relative(path) for path in self._blind), None)

    def has_strays(self, now: float) -> bool:
        """True if a folder was moved out of the tree: its watches still tell of it, under its old path.

        `now` is `time.monotonic()`.
        """
        with self._lock_of_tree:
            return any(is_folder and now - since > _STRAY_SECONDS for _, is_folder, since in self._moving.values())

    def wait_until_read(self, timeout: float) -> bool:
        """Wait until every event that has happened is handed on: a cookie goes through the same queue behind them.

        False if that did not happen in time. Raises OSError if there is no place for a temporary folder.
        """
        seen = threading.Event()
        with tempfile.TemporaryDirectory(prefix="nomarr-watch-") as folder:
            with self._lock_of_tree:
                watch = self._add_watch(os.fsencode(folder))
                self._cookies[watch] = seen
            try:
                with open(os.path.join(folder, "cookie"), "wb"):
                    pass
                return seen.wait(timeout)
            finally:
                with self._lock_of_tree:
                    del self._cookies[watch]
                    inotify_rm_watch(self._inotify_fd, WatchDescriptor(watch))

    def unwatched(self) -> list[str]:
        """Ask the kernel: the folders that are there, and of which it has no watch."""
        folders = list(self._folders_on_disk(self._root))
        # What was just made has its watch once its event is read.
        with suppress(OSError):
            self.wait_until_read(_STRAY_SECONDS)
        watched = self._inodes_in_kernel()
        if os.stat(self._root).st_ino not in watched:
            # This file system shows other numbers than the kernel uses inside; nothing can be compared.
            return []
        return [self._relative(path) for path, inode in folders if inode not in watched]

    # -- the reader's thread ----------------------------------------------------------------------------------

    def run(self) -> None:
        """Read until stopped; the end of the reader, whatever its reason, is never silent."""
        try:
            super().run()
        except Exception as error:
            self._on_fault(WatchFault(FaultKind.BROKEN, f"the reader of events failed: {error!r}"))
        else:
            if self.should_keep_running():
                self._on_fault(WatchFault(FaultKind.STOPPED, "the reader of events has ended"))

    def handle_event(self, event: InotifyEvent) -> None:
        """Keep the tree of watches in step and hand on what happened."""
        if event.is_queue_overflow:
            self._on_fault(WatchFault(FaultKind.OVERFLOW, "the kernel's queue of events was full"))
            return
        with self._lock_of_tree:
            folder = self._folders.get(event.wd)
            cookie = self._cookies.get(event.wd)
        if cookie is not None:
            cookie.set()
        elif folder is None:
            # A folder whose watch is gone.
            return
        elif event.name:
            self._take_entry(event, os.path.join(folder, event.name))
        else:
            self._take_self(event, folder)

    def _take_self(self, event: InotifyEvent, folder: bytes) -> None:
        """An event of a watched folder itself; what its parent tells too is left to that."""
        is_root = folder == self._root
        if event.mask & In.IN_UNMOUNT and not is_root:
            self._on_fault(WatchFault(FaultKind.MOUNT, f"a disk was unmounted at {os.fsdecode(folder)!r}"))
        elif is_root and (event.is_ignored or event.is_delete_self or event.is_move_self or event.mask & In.IN_UNMOUNT):
            self._on_fault(WatchFault(FaultKind.ROOT, "the root was moved, deleted or unmounted"))
        elif is_root and event.is_attrib:
            self._on_event(DiskEvent(DiskChange.ATTRIBUTES, "", is_folder=True))
        if event.is_ignored:
            with self._lock_of_tree:
                self._folders.pop(event.wd, None)

    def _take_entry(self, event: InotifyEvent, path: bytes) -> None:
        is_folder = bool(event.mask & In.IN_ISDIR)
        if is_folder and (event.is_create or event.is_moved_to or (event.is_attrib and self._is_blind_below(path))):
            self._add_tree(path)
        elif is_folder and (event.mask & In.IN_DELETE or event.is_moved_from):
            self._forget_blind_below(path)
        if event.is_moved_from:
            self._note_departure(event.cookie, path, is_folder)
            self._tell(DiskChange.MOVED, path, is_folder)
        elif event.is_moved_to:
            with self._lock_of_tree:
                departure = self._moving.pop(event.cookie, None)
            if departure is None:
                self._tell(DiskChange.CREATED, path, is_folder)
            else:
                self._tell(DiskChange.MOVED, departure[0], is_folder, path)
        else:
            for mask, change in _CHANGES:
                if event.mask & mask:
                    self._tell(change, path, is_folder)

    def _note_departure(self, cookie: int, path: bytes, is_folder: bool) -> None:
        with self._lock_of_tree:
            if len(self._moving) >= _MAX_MOVING:
                # Files that left for good; the other half of a rename comes at once.
                files = [known for known, (_, was_folder, _) in self._moving.items() if not was_folder]
                for known in files or list(self._moving):
                    del self._moving[known]
            self._moving[cookie] = (path, is_folder, time.monotonic())

    def _tell(self, change: DiskChange, path: bytes, is_folder: bool, new_path: bytes | None = None) -> None:
        new = None if new_path is None else self._relative(new_path)
        self._on_event(DiskEvent(change, self._relative(path), is_folder, new))

    # -- watches ----------------------------------------------------------------------------------------------

    def _add_tree(self, top: bytes) -> None:
        """Watch a folder and everything below it, under the paths that they have now.

        Each folder gets its watch before it is listed: what appears in it later makes an event. A folder that has a
        watch keeps it and is known by its new path.
        """
        for _ in self._folders_on_disk(top, self._watch_folder):
            if not self.should_keep_running():
                return

    def _folders_on_disk(
        self, top: bytes, before_listing: Callable[[bytes], bool] = lambda _: True
    ) -> Iterator[tuple[bytes, int]]:
        """Every folder below and including `top` that can be listed, with its inode."""
        waiting = [top]
        while waiting:
            folder = waiting.pop()
            if not before_listing(folder):
                continue
            try:
                with os.scandir(folder) as entries:
                    waiting += [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
                inode = os.stat(folder).st_ino
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError:
                self._note_blind(folder)
                continue
            yield folder, inode

    def _watch_folder(self, folder: bytes) -> bool:
        """Give the folder its watch; False if there is no use in looking into it."""
        if not self.should_keep_running():
            return False
        try:
            # With its path at once: a rename that is read meanwhile must not get an older path over its newer one.
            with self._lock_of_tree:
                self._folders[self._add_watch(folder)] = folder
                self._blind.discard(folder)
        except OSError as error:
            if folder == self._root:
                raise
            if isinstance(error, FileNotFoundError | NotADirectoryError):
                return False
            self._note_blind(folder)
            if error.errno in _LIMIT_ERRORS:
                self._tell_limit(error)
                # Below, there may be music all the same: how many watches are missing is worth knowing.
                return True
            return False
        return True

    def _add_watch(self, folder: bytes) -> int:
        watch = int(inotify_add_watch(self._inotify_fd, folder, _MASK))
        if watch < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), os.fsdecode(folder))
        return watch

    def _is_blind_below(self, folder: bytes) -> bool:
        with self._lock_of_tree:
            return any(_is_within(path, folder) for path in self._blind)

    def _forget_blind_below(self, folder: bytes) -> None:
        with self._lock_of_tree:
            self._blind = {path for path in self._blind if not _is_within(path, folder)}

    def _note_blind(self, folder: bytes) -> None:
        with self._lock_of_tree:
            self._blind.add(folder)

    def _tell_limit(self, error: OSError) -> None:
        if not self.is_limited:
            self.is_limited = True
            self._on_fault(WatchFault(FaultKind.LIMIT, f"no more folders can be watched: {error.strerror}"))

    def _inodes_in_kernel(self) -> set[int]:
        """proc_pid_fdinfo(5): a line for each watch, with the inode in hexadecimal."""
        with open(f"/proc/self/fdinfo/{self._inotify_fd}", encoding="ascii") as file:
            return {
                int(field[4:], 16)
                for line in file
                if line.startswith("inotify ")
                for field in line.split()
                if field.startswith("ino:")
            }

    def _relative(self, path: bytes) -> str:
        return os.fsdecode(path[len(self._root) :].lstrip(b"/"))


def _is_within(path: bytes, folder: bytes) -> bool:
    return path == folder or path.startswith(folder + b"/")
