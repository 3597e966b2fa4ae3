"""One library that is watched: its tree of watches, its plan, and the loop that acts on both."""

from __future__ import annotations

import asyncio
import errno
import logging
import math
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Protocol, TypeVar

import anyio
import anyio.to_thread

from nomarr.components.library.inotify_limits_comp import InotifyLimit, allowed, how_to_raise
from nomarr.components.library.mount_watch_comp import MountWatch, polled_file_system
from nomarr.components.watch.library_event_handler_comp import LibraryEventHandler
from nomarr.components.watch.pending_changes_comp import ChangesToScan, PendingChanges
from nomarr.components.watch.watch_plan_comp import WatchPlan
from nomarr.helpers.disk_looks_helper import DiskLooks
from nomarr.helpers.dto.library import Library, ScanTarget, WatchMode
from nomarr.helpers.dto.scan import ScanProgress, ScanReport
from nomarr.helpers.dto.watching import (
    DiskEvent,
    FaultKind,
    WatcherState,
    WatchFault,
    WatchMessage,
    WatchMessageType,
    WatchSettings,
    WatchStatus,
)
from nomarr.helpers.exceptions import LibraryOffline, NomarrError
from nomarr.helpers.paths_helper import readable
from nomarr.helpers.protocols import WatchedLibraries
from nomarr.helpers.time_helper import Clock, SteadyClock

__all__ = ["LibraryWatch", "MakeTree", "Tree", "make_tree"]

logger = logging.getLogger(__name__)

Answer = TypeVar("Answer")

_HEALTH_SECONDS: Final = 1.0
_ROOT_SECONDS: Final = 5.0
"""A root that moves, goes or is unmounted makes an event; this is for one that is emptied or covered."""
_PROBE_SECONDS: Final = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
_REFUSED_ROOT_SECONDS: Final = 600.0
_ANSWER_SECONDS: Final = 10.0
"""So long a root may take to answer before its library is told to be offline."""
_RETRY_TREE_SECONDS: Final = 600.0
"""Without a change of the kernel's limits, which is noticed at once."""
_AFTER_FAULT_SECONDS: Final = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
_STRAYS_SECONDS: Final = 30.0
_SUSPENDED_SECONDS: Final = 5.0
_WATCHES_STEP: Final = 65_536
_NEARLY_ALL: Final = 0.8
_looks: Final = DiskLooks()
"""Of all watches in this process: one that is ended leaves the thread that its root does not answer to the next one."""


class Tree(Protocol):
    """Something that tells of every event below a root; see `InotifyTree`."""

    @property
    def watched_folders(self) -> int: ...
    @property
    def blind_folders(self) -> int: ...
    @property
    def is_limited(self) -> bool: ...
    def watch(self) -> None: ...
    def end(self) -> None: ...
    def is_alive(self) -> bool: ...
    def blind_example(self) -> str | None: ...
    def has_strays(self, now: float) -> bool: ...
    def wait_until_read(self, timeout: float) -> bool: ...
    def unwatched(self) -> list[str]: ...


MakeTree = Callable[[str, Callable[[DiskEvent], None], Callable[[WatchFault], None]], Tree]


def make_tree(root: str, on_event: Callable[[DiskEvent], None], on_fault: Callable[[WatchFault], None]) -> Tree:
    """What this platform has for watching. Raises OSError if it has none left."""
    if sys.platform == "linux":
        from nomarr.components.watch.inotify_tree_comp import InotifyTree

        return InotifyTree(root, on_event, on_fault)
    from nomarr.components.watch.portable_tree_comp import PortableTree

    return PortableTree(root, on_event, on_fault)


@dataclass(frozen=True, slots=True)
class _Root:
    """What a library's root looks like from outside."""

    device: int
    inode: int
    is_empty: bool


@dataclass(slots=True)
class _Offline:
    """A library whose root is away, or was refused."""

    reason: str
    root: _Root | None
    """What was refused: it is not tried again and again."""
    since: float
    probes: int = 0


@dataclass(slots=True)
class _Watching:
    """What watches the library now: nothing at first, and where there is nothing to watch with."""

    tree: Tree | None = None
    handler: LibraryEventHandler | None = None
    is_given_up: bool = False
    """True once there was a fault for which new watches are made: a reader that is dead then is no news."""
    problem: str | None = None
    """Why events don't tell everything that they should, and what to do."""
    retry_at: float = 0.0
    limits: tuple[int, int] = (0, 0)
    """The kernel's limits when there were too few watches."""


@dataclass(slots=True)
class _Counters:
    rebuilds: int = -1
    """The first time is none."""
    scans: int = 0
    targets: int = 0
    faults: Counter[FaultKind] = field(default_factory=Counter)
    last_scan_at: float | None = None


class LibraryWatch:
    """Watches one library until `run` is cancelled.

    A folder is scanned only after there are good watches for it. A fault is never repaired in place: new watches are
    made, then the old ones go, then the library is scanned.
    """

    def __init__(
        self,
        library: Library,
        libraries: WatchedLibraries,
        settings: WatchSettings,
        clock: Clock,
        steady: SteadyClock,
        make_tree: MakeTree,
        tell: Callable[[WatchMessage], None],
    ) -> None:
        """
        Args:
            clock: for the moments that are told.
            steady: for all that is waited for; whoever sets the clock must not stop the watching.
        """
        self._library = library
        self._libraries = libraries
        self._clock = clock
        self._steady = steady
        self._make_tree = make_tree
        self._tell = tell
        self._pending = PendingChanges(library.library_id, settings.debounce_seconds, settings.longest_wait)
        self._plan = WatchPlan(library.library_id, self._pending, settings, random.random)
        self._watching = _Watching()
        self._polled_because: str | None = None
        self._rebuild_at: float | None = None
        self._last_fault_at = -math.inf
        self._faults_in_a_row = 0
        self._offline: _Offline | None = None
        self._root: _Root | None = None
        self._root_is_known = False
        self._root_is_asked = False
        self._ask_root_at = 0.0
        self._mounts: MountWatch | None = None
        self._is_scanning = False
        self._held_back_files = 0
        self._ask_losses_at = 0.0
        self._is_ready = False
        self._last_failure: str | None = None
        self._has_ended = False
        self._was_audited = False
        self._counters = _Counters()
        self._told: tuple[WatcherState, str | None] | None = None
        self._asleep_seconds = _asleep_seconds()
        self._wake = anyio.Event()
        self._loop = asyncio.get_running_loop()

    # -- for the service --------------------------------------------------------------------------------------

    def change(self, library: Library) -> None:
        """Take over what others changed about the library."""
        before, self._library = self._library, library
        if (before.watch_mode, before.root_path) != (library.watch_mode, library.root_path):
            self._offline = None
            self._root_is_known = False
            self._close_mounts()
            self._start_anew(self._steady())
        elif before.ignore_patterns != library.ignore_patterns:
            self.scan_everything()

    def scan_everything(self) -> None:
        """Look at all of the library soon: what belongs to it is judged by other rules."""
        self._plan.scan_everything(self._steady())
        self._wake.set()

    def use(self, settings: WatchSettings) -> None:
        """Watch with other times from now on."""
        self._plan.use(settings, self._steady())
        self._wake.set()

    async def wait_until_read(self, seconds: float) -> bool:
        """Wait until every event that has happened is noted; False if that can't be told."""
        tree = self._watching.tree
        return tree is not None and await anyio.to_thread.run_sync(tree.wait_until_read, seconds)

    def say_goodbye(self) -> None:
        """Tell that nobody watches any more; once `run` has ended."""
        self._has_ended = True
        self._tell_state()

    def status(self) -> WatchStatus:
        """The library as it is seen now."""
        tree, counters = self._watching.tree, self._counters
        state, reason = self._state()
        return WatchStatus(
            library_id=self._library.library_id,
            name=self._library.name,
            root_path=self._library.root_path,
            mode=self._library.watch_mode,
            state=state,
            reason=reason,
            watched_folders=0 if tree is None else tree.watched_folders,
            blind_folders=0 if tree is None else tree.blind_folders,
            events=self._pending.events,
            events_by_change=tuple(sorted(self._pending.events_by_change.items())),
            suppressed=self._pending.suppressed,
            targets=counters.targets,
            folds=self._pending.folds,
            overflows=counters.faults[FaultKind.OVERFLOW],
            rebuilds=max(0, counters.rebuilds),
            faults=tuple(sorted(counters.faults.items())),
            scans=counters.scans,
            pending_targets=len(self._pending),
            last_event_at=self._told_at(self._pending.last_event_at),
            last_scan_at=counters.last_scan_at,
            next_whole_scan_at=self._told_at(self._plan.next_whole_at),
        )

    def _told_at(self, steady_at: float | None) -> float | None:
        """A moment of the steady clock as people know it, by the clock as it is now."""
        return None if steady_at is None else self._clock() + (steady_at - self._steady())

    def _state(self) -> tuple[WatcherState, str | None]:
        if self._has_ended:
            return WatcherState.OFF, None
        if self._offline is not None:
            return WatcherState.OFFLINE, self._offline.reason
        if not self._is_ready:
            return WatcherState.STARTING, self._last_failure
        if self._watching.problem is not None:
            has_tree = self._watching.tree is not None
            return WatcherState.DEGRADED if has_tree else WatcherState.POLLING, self._watching.problem
        if self._polled_because is not None:
            return WatcherState.POLLING, self._polled_because
        if self._held_back_files:
            return WatcherState.WATCHING, (
                f"{self._held_back_files:,} files are gone at once and held back until somebody says whether they were "
                "really removed"
            )
        if self._last_failure is not None:
            return WatcherState.WATCHING, self._last_failure
        held = self._plan.held_target
        if held is not None:
            return WatcherState.WATCHING, (
                f"something keeps touching {readable(held.folder_path)} without changing any music; "
                "it is looked at less often"
            )
        return WatcherState.WATCHING, self._unreadable()

    def _unreadable(self) -> str | None:
        tree = self._watching.tree
        example = None if tree is None else tree.blind_example()
        if tree is None or example is None:
            return None
        return f"{tree.blind_folders} folders can't be read, such as {readable(example)}; what is in them is not seen"

    # -- the loop ---------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Watch until cancelled."""
        self._start_anew(self._steady())
        try:
            async with anyio.create_task_group() as tasks:
                while True:
                    try:
                        await self._step(tasks.start_soon)
                    except Exception:
                        # Watching has to survive whatever it is; it is tried again.
                        logger.exception("watching %s met an error", self._library.name)
                        await anyio.sleep(_HEALTH_SECONDS)
                    self._tell_state()
                    await self._sleep()
        finally:
            self._close_mounts()
            with anyio.CancelScope(shield=True):
                await self._end_tree(self._watching)

    async def _sleep(self) -> None:
        """Until something is to be done, at the longest until the next look at the watches' health."""
        due_at = None if self._is_scanning or self._offline is not None else self._due_at()
        wait = _HEALTH_SECONDS if due_at is None else min(_HEALTH_SECONDS, max(0.0, due_at - self._steady()))
        with anyio.move_on_after(wait):
            await self._wake.wait()
        self._wake = anyio.Event()

    def _due_at(self) -> float | None:
        times = [time for time in (self._plan.due_at(), self._rebuild_at) if time is not None]
        return min(times, default=None)

    async def _step(self, start: Callable[..., object]) -> None:
        now = self._steady()
        self._take_faults(now)
        self._look_after_tree(now)
        self._look_after_machine(now)
        if not self._root_is_asked and now >= self._ask_root_at:
            # A root that does not answer, on a dead share, is asked by one thread only.
            self._root_is_asked = True
            start(self._look_after_root)
        if self._is_scanning or self._offline is not None:
            return
        if self._held_back_files and now >= self._ask_losses_at:
            await self._look_after_losses(now)
        if self._rebuild_at is not None and self._rebuild_at <= now:
            self._rebuild_at = None
            try:
                await self._rebuild()
            except Exception:
                self._start_anew(self._not_again_and_again(now))
                raise
        changes = self._plan.take(self._steady())
        if changes is not None:
            # Told before anything else runs: who asks sees the changes pending or the scan started, never neither.
            self._is_scanning = True
            self._counters.scans += 1
            self._counters.targets += len(changes.targets)
            self._say(WatchMessageType.SCAN_STARTED, targets=changes.targets)
            start(self._scan, changes)

    def _start_anew(self, at: float) -> None:
        """New watches, then a scan of everything."""
        self._rebuild_at = at if self._rebuild_at is None else min(self._rebuild_at, at)
        self._pending.distrust_path_changes()
        self._wake.set()

    def _wake_from_thread(self) -> None:
        # Closed: everything is ending, and nobody needs to be woken.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._wake_up)

    def _wake_up(self) -> None:
        self._wake.set()

    # -- health -----------------------------------------------------------------------------------------------

    def _take_faults(self, now: float) -> None:
        handler = self._watching.handler
        for fault in () if handler is None else handler.take_faults():
            self._counters.faults[fault.kind] += 1
            logger.warning("watching %s: %s", self._library.name, fault.detail)
            if fault.kind is FaultKind.OVERFLOW:
                self._plan.scan_everything_after_loss(now)
                # With the scan: as long as events keep being lost, new watches would be no better.
                self._start_anew(self._plan.next_whole_at or now)
            elif fault.kind is FaultKind.LIMIT:
                self._note_limit(fault)
            else:
                self._watching.is_given_up = True
                self._start_anew(self._not_again_and_again(now))

    def _not_again_and_again(self, now: float) -> float:
        """When to make new watches after a fault: at once, and later each time if it keeps coming back."""
        if now - self._last_fault_at > 2 * _AFTER_FAULT_SECONDS[-1]:
            self._faults_in_a_row = 0
        wait = _AFTER_FAULT_SECONDS[min(self._faults_in_a_row, len(_AFTER_FAULT_SECONDS) - 1)]
        self._faults_in_a_row += 1
        self._last_fault_at = now
        return now + wait

    def _look_after_tree(self, now: float) -> None:
        """What no event tells: a dead reader, folders that left with their watches, a limit that was raised."""
        watching = self._watching
        tree = watching.tree
        if watching.problem is not None and (now >= watching.retry_at or _limits() != watching.limits):
            self._start_anew(now)
        elif tree is not None and not tree.is_alive() and not watching.is_given_up:
            watching.is_given_up = True
            self._counters.faults[FaultKind.STOPPED] += 1
            self._start_anew(self._not_again_and_again(now))
        elif tree is not None and self._rebuild_at is None and tree.has_strays(time.monotonic()):
            self._start_anew(now + _STRAYS_SECONDS)

    def _look_after_machine(self, now: float) -> None:
        """Disks that were mounted or unmounted, and a machine that slept."""
        if self._mounts is not None and self._mounts.has_changed():
            logger.info("the disks at %s are other ones now", self._library.root_path)
            self._start_anew(now)
        asleep = _asleep_seconds()
        if asleep - self._asleep_seconds > _SUSPENDED_SECONDS:
            self._plan.scan_everything(now)
        self._asleep_seconds = asleep

    async def _look_after_root(self) -> None:
        """Ask whether the root is another one, or back."""
        try:
            root = await _look_at(self._library.root_path)
        finally:
            self._root_is_asked = False
        now, away = self._steady(), self._offline
        if away is not None:
            self._ask_root_at = now + _PROBE_SECONDS[min(away.probes, len(_PROBE_SECONDS) - 1)]
            away.probes += 1
            if root is not None and (root != away.root or now - away.since > _REFUSED_ROOT_SECONDS):
                self._offline = None
                self._start_anew(now)
        else:
            self._ask_root_at = now + (_ROOT_SECONDS if self._watching.tree is not None else _HEALTH_SECONDS)
            if self._root_is_known and root != self._root:
                self._start_anew(now)
        self._root, self._root_is_known = root, True

    async def _look_after_losses(self, now: float) -> None:
        """Ask whether somebody else has accepted or discarded what is held back."""
        self._ask_losses_at = now + _HEALTH_SECONDS
        try:
            losses = await self._libraries.held_back_losses(self._library.library_id)
        except NomarrError as error:
            # Scans meet it as well, and tell it.
            logger.debug("could not look what is held back in %s: %s", self._library.name, error)
        else:
            self._held_back_files = 0 if losses is None else losses.files

    # -- watches ----------------------------------------------------------------------------------------------

    async def _rebuild(self) -> None:
        """Make new watches, then end the old ones: in between, both are heard. Then everything is to be scanned.

        Whatever was scanned before this may have changed while nobody was there to hear it.
        """
        if not await _answers(self._library.root_path):
            # Whoever looks after the root waits for it, and starts anew when it is back.
            self._offline = _Offline("its disk does not answer", None, since=self._steady())
            return
        self._counters.rebuilds += 1
        if self._mounts is None:
            # Made here: what a thread makes for somebody who is cancelled meanwhile is never closed.
            self._mounts = MountWatch(await _in_thread(partial(os.path.realpath, self._library.root_path)))
        self._polled_because = await self._why_polled()
        watching = _Watching()
        if self._library.watch_mode is not WatchMode.POLL:
            watching = await self._new_tree()
            if watching.problem is not None and self._watching.tree is not None:
                # Perhaps there are too few watches only as long as the old ones are there, too.
                await self._end_tree(watching)
                await self._end_tree(self._watching)
                watching = await self._new_tree()
        before, self._watching = self._watching, watching
        await self._end_tree(before)
        # As long as both were heard, every rename was told twice.
        self._pending.distrust_path_changes()
        self._plan.is_polled = self._polled_because is not None or watching.problem is not None
        self._plan.scan_everything(self._steady())
        self._warn_before_limit()

    async def _why_polled(self) -> str | None:
        if self._library.watch_mode is WatchMode.POLL:
            return "its watch mode is poll"
        if self._library.watch_mode is WatchMode.AUTO:
            kind = await _in_thread(partial(polled_file_system, self._library.root_path))
            if kind is not None:
                return f"the kernel does not tell of all changes on {kind}"
        return None

    async def _new_tree(self) -> _Watching:
        handler = LibraryEventHandler(self._pending, self._steady, self._wake_from_thread)
        watching = _Watching(handler=handler, retry_at=self._steady() + _RETRY_TREE_SECONDS, limits=_limits())
        try:
            tree = self._make_tree(self._library.root_path, handler.on_event, handler.on_fault)
            await _start(tree)
        except (FileNotFoundError, NotADirectoryError):
            # The scan that follows says that the root is away.
            return watching
        except OSError as error:
            watching.problem = _why_not(error)
            return watching
        watching.tree = tree
        if tree.is_limited:
            watching.problem = _too_few_watches(tree)
        return watching

    def _note_limit(self, fault: WatchFault) -> None:
        watching = self._watching
        watching.problem = _too_few_watches(watching.tree)
        watching.limits, watching.retry_at = _limits(), self._steady() + _RETRY_TREE_SECONDS
        self._plan.is_polled = True
        logger.warning("watching %s: %s; %s", self._library.name, fault.detail, watching.problem)

    async def _end_tree(self, watching: _Watching) -> None:
        if watching.handler is not None:
            watching.handler.retire()
        if watching.tree is not None:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(watching.tree.end)
            watching.tree = None

    async def _audit(self, changes: ChangesToScan) -> None:
        """Ask the kernel, after a whole scan, whether every folder has its watch; once new ones are tried."""
        tree = self._watching.tree
        is_whole = ScanTarget(self._library.library_id) in changes.targets
        if tree is None or not is_whole or self._watching.problem is not None:
            return
        try:
            unwatched = await _in_thread(tree.unwatched)
        except Exception:
            # It only confirms what should be so; the scan is done, and watching goes on.
            logger.exception("the watches of %s can't be checked", self._library.name)
            return
        if not unwatched:
            self._was_audited = False
        elif not self._was_audited:
            self._start_anew(self._steady())
            self._was_audited = True
        else:
            self._watching.problem = (
                f"{len(unwatched)} folders have no watch, such as {readable(unwatched[0])}; "
                "the library is scanned from time to time instead"
            )
            self._watching.retry_at = self._steady() + _REFUSED_ROOT_SECONDS
            self._plan.is_polled = True

    def _warn_before_limit(self) -> None:
        tree, limit = self._watching.tree, _limit(InotifyLimit.WATCHES)
        if tree is not None and limit and tree.watched_folders > _NEARLY_ALL * limit:
            logger.warning(
                "watching %s takes %d of the %d watches that the kernel allows; before there are too few: %s",
                self._library.name,
                tree.watched_folders,
                limit,
                _raise_watches(tree.watched_folders),
            )

    def _close_mounts(self) -> None:
        if self._mounts is not None:
            self._mounts.close()
            self._mounts = None

    # -- scans ------------------------------------------------------------------------------------------------

    async def _scan(self, changes: ChangesToScan) -> None:
        """Have the changes scanned; whatever comes of it is noted, and nothing is dropped."""
        root = await _look_at(self._library.root_path)
        try:
            report = await self._libraries.scan_targets(
                changes.targets,
                # Others may change meanwhile; waiting here would make them wait, too.
                look_again=False,
                path_changes=changes.path_changes,
                on_progress=lambda progress: self._say(WatchMessageType.SCAN_PROGRESS, progress=progress),
            )
        except LibraryOffline as error:
            self._plan.failed(changes, self._steady())
            # One that was exchanged meanwhile may be the right one.
            refused = root if root == await _look_at(self._library.root_path) else None
            self._offline = _Offline(error.reason, refused, since=self._steady())
            self._ask_root_at = self._steady() + _PROBE_SECONDS[0]
            self._say(WatchMessageType.SCAN_FAILED, error=str(error))
        except Exception as error:
            self._plan.failed(changes, self._steady())
            # Errors of ours are sentences; the others are mistakes, and need to be found.
            logger.warning(
                "scanning %s failed, it is tried again: %s",
                self._library.name,
                error,
                exc_info=not isinstance(error, NomarrError),
            )
            self._last_failure = f"the last scan failed, it is tried again: {error}"
            self._say(WatchMessageType.SCAN_FAILED, error=str(error))
        else:
            self._scanned(changes, report)
            await self._audit(changes)
        finally:
            self._is_scanning = False
            self._wake.set()

    def _scanned(self, changes: ChangesToScan, report: ScanReport) -> None:
        now = self._steady()
        self._last_failure = None
        self._counters.last_scan_at = self._clock()
        self._plan.completed(changes, changed=report.changes_detected, now=now, held_back=report.files_held_back > 0)
        self._say(WatchMessageType.SCAN_COMPLETED, report=report)
        is_whole = ScanTarget(self._library.library_id) in changes.targets
        if is_whole or report.files_held_back:
            self._held_back_files = report.files_held_back
        if not is_whole:
            return
        if not self._is_ready:
            self._is_ready = True
            self._say(WatchMessageType.WATCHING)

    def _tell_state(self) -> None:
        state = self._state()
        if state != self._told:
            self._told = state
            self._say(WatchMessageType.STATE)

    def _say(
        self,
        kind: WatchMessageType,
        *,
        targets: tuple[ScanTarget, ...] = (),
        progress: ScanProgress | None = None,
        report: ScanReport | None = None,
        error: str | None = None,
    ) -> None:
        self._tell(
            WatchMessage(kind, self._library.library_id, self._clock(), self.status(), targets, progress, report, error)
        )


async def _start(tree: Tree) -> None:
    """Start to watch; a cancelled start does not wait for a disk that hangs."""
    try:
        await anyio.to_thread.run_sync(tree.watch, abandon_on_cancel=True)
    except anyio.get_cancelled_exc_class():
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(tree.end)
        raise


async def _answers(path: str) -> bool:
    """False if the disk of `path` does not answer in time; that it answers with an error is an answer, too."""
    with anyio.move_on_after(_ANSWER_SECONDS) as patience:
        await _look_at(path)
    return not patience.cancelled_caught


async def _look_at(path: str) -> _Root | None:
    """Whoever is cancelled does not wait; one thread waits for a disk that hangs, whoever asks."""
    return await asyncio.wrap_future(_looks.begin(path, partial(_root_at, path)))


def _root_at(path: str) -> _Root | None:
    try:
        status = os.stat(path)
        with os.scandir(path) as entries:
            return _Root(status.st_dev, status.st_ino, next(entries, None) is None)
    except OSError:
        return None


async def _in_thread(work: Callable[[], Answer]) -> Answer:
    """Ask a disk that may hang: whoever is cancelled does not wait for it."""
    return await anyio.to_thread.run_sync(work, abandon_on_cancel=True)


def _asleep_seconds() -> float:
    """How long the machine has slept since it was started; 0 where that can't be told."""
    if sys.platform != "linux":
        return 0.0
    return time.clock_gettime(time.CLOCK_BOOTTIME) - time.clock_gettime(time.CLOCK_MONOTONIC)


def _limit(limit: InotifyLimit) -> int:
    """What the kernel allows; 0 where it does not say."""
    try:
        return allowed(limit)
    except (OSError, ValueError):
        return 0


def _limits() -> tuple[int, int]:
    return _limit(InotifyLimit.WATCHES), _limit(InotifyLimit.INSTANCES)


def _too_few_watches(tree: Tree | None) -> str:
    watched, blind = (0, 0) if tree is None else (tree.watched_folders, tree.blind_folders)
    missing = f"{blind} of {watched + blind} folders" if tree is not None else "the library's folders"
    return (
        f"{missing} can't be watched because the kernel's limit is reached; until it is "
        f"raised, the library is scanned from time to time instead: {_raise_watches(watched + blind)}"
    )


def _raise_watches(folders: int) -> str:
    """The command for so many folders, with as many again for what else runs on the machine."""
    wanted = max(2 * folders, _limit(InotifyLimit.WATCHES) + 1)
    return how_to_raise(InotifyLimit.WATCHES, -(-wanted // _WATCHES_STEP) * _WATCHES_STEP)


def _why_not(error: OSError) -> str:
    if error.errno in (errno.EMFILE, errno.ENFILE):
        raise_it = how_to_raise(InotifyLimit.INSTANCES, 2 * max(64, _limit(InotifyLimit.INSTANCES)))
        return (
            "the kernel allows no more watchers; until it does, the library is scanned from time to time instead: "
            f"{raise_it}"
        )
    if error.errno == errno.ENOSPC:
        return _too_few_watches(None)
    return f"the library can't be watched ({error.strerror}); it is scanned from time to time instead"
