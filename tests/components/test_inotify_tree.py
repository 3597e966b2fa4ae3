"""The tree of watches, on real folders: what it tells, in which order, and what it says when it can't be relied on."""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

if sys.platform != "linux":
    pytest.skip("inotify is Linux's", allow_module_level=True)

from support.system import give_away, open_to_everybody, without_privileges
from watchdog.events import FileSystemEventHandler
from watchdog.observers import inotify_c
from watchdog.observers.inotify import InotifyObserver
from watchdog.observers.inotify_c import InotifyConstants, InotifyEvent, InotifyFD, Mask, WatchDescriptor

from nomarr.components.watch.inotify_tree_comp import InotifyTree
from nomarr.helpers.dto.watching import DiskChange, DiskEvent, FaultKind, WatchFault

PATIENCE = 10.0
RENAME_EXCHANGE = 2


class Seen:
    """A tree over a folder, and what it told."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.events: list[DiskEvent] = []
        self.faults: list[WatchFault] = []
        self.tree = InotifyTree(str(root), self.events.append, self.faults.append)

    def start(self) -> Seen:
        self.tree.watch()
        return self

    def told(self) -> list[DiskEvent]:
        """The events since the last call, once everything that has happened is told."""
        assert self.tree.wait_until_read(PATIENCE)
        events = self.events.copy()
        self.events.clear()
        return events

    def kinds_of_faults(self) -> set[FaultKind]:
        self.told()
        return {fault.kind for fault in self.faults}

    def hears_everything(self) -> None:
        """Every folder that is there has its watch, under its right path."""
        self.told()
        assert self.tree.unwatched() == []
        folders = [Path(folder) for folder, _, _ in os.walk(self.root)]
        for folder in folders:
            (folder / "probe.mp3").touch()
        expected = {os.path.relpath(folder / "probe.mp3", self.root) for folder in folders}
        assert {event.path for event in self.told() if event.change is DiskChange.CREATED} == expected
        for folder in folders:
            (folder / "probe.mp3").unlink()
        self.told()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "A" / "B").mkdir(parents=True)
    return root


@pytest.fixture
def seen(root: Path) -> Iterator[Seen]:
    seen = Seen(root).start()
    yield seen
    seen.tree.end()


def folder(change: DiskChange, path: str, new_path: str | None = None) -> DiskEvent:
    return DiskEvent(change, path, True, new_path)


def file(change: DiskChange, path: str, new_path: str | None = None) -> DiskEvent:
    return DiskEvent(change, path, False, new_path)


class TestEvents:
    def test_a_new_file_is_created_and_written(self, seen: Seen) -> None:
        (seen.root / "A" / "a.mp3").write_bytes(b"1")
        assert seen.told() == [file(DiskChange.CREATED, "A/a.mp3"), file(DiskChange.WRITTEN, "A/a.mp3")]

    def test_reading_is_no_event(self, seen: Seen) -> None:
        (seen.root / "a.mp3").write_bytes(b"1")
        seen.told()
        (seen.root / "a.mp3").read_bytes()
        os.listdir(seen.root / "A")
        assert seen.told() == []

    def test_attributes_and_deletion(self, seen: Seen) -> None:
        path = seen.root / "a.mp3"
        path.touch()
        seen.told()
        path.chmod(0o600)
        path.unlink()
        changes = [event.change for event in seen.told()]
        assert changes == [DiskChange.ATTRIBUTES, DiskChange.DELETED]

    def test_a_rename_is_told_with_both_paths(self, seen: Seen) -> None:
        (seen.root / "a.mp3").touch()
        seen.told()
        (seen.root / "a.mp3").rename(seen.root / "A" / "b.mp3")
        assert file(DiskChange.MOVED, "a.mp3", "A/b.mp3") in seen.told()

    def test_moved_out_and_in(self, seen: Seen, tmp_path: Path) -> None:
        (seen.root / "a.mp3").touch()
        seen.told()
        (seen.root / "a.mp3").rename(tmp_path / "a.mp3")
        assert seen.told() == [file(DiskChange.MOVED, "a.mp3")]
        (tmp_path / "a.mp3").rename(seen.root / "a.mp3")
        assert seen.told() == [file(DiskChange.CREATED, "a.mp3")]

    def test_names_of_any_bytes(self, seen: Seen) -> None:
        names = [b"caf\xe9.mp3", b"new\nline.mp3", b"x" * 251 + b".mp3", "n\u0303.mp3".encode(), "\u00f1.mp3".encode()]
        for name in names:
            Path(os.fsdecode(os.path.join(os.fsencode(seen.root), name))).touch()
        paths = {os.fsencode(event.path) for event in seen.told() if event.change is DiskChange.CREATED}
        assert paths == set(names)

    def test_a_root_that_is_a_symbolic_link_is_watched_where_it_leads(self, root: Path, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to(root)
        seen = Seen(tmp_path / "link").start()
        try:
            (root / "A" / "a.mp3").touch()
            assert file(DiskChange.CREATED, "A/a.mp3") in seen.told()
        finally:
            seen.tree.end()

    def test_links_inside_are_not_followed(self, root: Path) -> None:
        (root / "A" / "loop").symlink_to(root)
        (root / "loop").symlink_to(root / "loop")
        seen = Seen(root).start()
        try:
            assert seen.tree.watched_folders == 3
            (root / "A" / "a.mp3").touch()
            assert {event.path for event in seen.told()} == {"A/a.mp3"}
        finally:
            seen.tree.end()


class TestFolders:
    def test_new_trees_are_heard_at_once(self, seen: Seen) -> None:
        for number in range(50):
            path = seen.root / str(number) / "x" / "y"
            path.mkdir(parents=True)
            (path / "a.mp3").touch()
        told = {event.path for event in seen.told() if event.is_folder}
        assert {str(number) for number in range(50)} <= told
        seen.hears_everything()

    def test_a_renamed_tree(self, seen: Seen) -> None:
        (seen.root / "A").rename(seen.root / "C")
        assert folder(DiskChange.MOVED, "A", "C") in seen.told()
        seen.hears_everything()

    def test_two_folders_swapped_through_a_third_name(self, seen: Seen) -> None:
        (seen.root / "Z" / "Y").mkdir(parents=True)
        for old, new in (("A", "T"), ("Z", "A"), ("T", "Z")):
            (seen.root / old).rename(seen.root / new)
        seen.hears_everything()

    def test_two_folders_exchanged_at_once(self, seen: Seen) -> None:
        (seen.root / "Z" / "Y").mkdir(parents=True)
        libc = ctypes.CDLL(None, use_errno=True)
        paths = [os.fsencode(seen.root / name) for name in ("A", "Z")]
        if libc.renameat2(-100, paths[0], -100, paths[1], RENAME_EXCHANGE) != 0:
            pytest.skip("this file system can't exchange two names")
        seen.hears_everything()

    def test_a_folder_over_an_empty_one(self, seen: Seen) -> None:
        (seen.root / "empty").mkdir()
        seen.told()
        (seen.root / "A").rename(seen.root / "empty")
        seen.hears_everything()

    def test_a_name_that_is_used_again_while_the_reader_is_late(self, seen: Seen) -> None:
        with stalled(seen):
            (seen.root / "X").mkdir()
            (seen.root / "X").rename(seen.root / "Y")
            (seen.root / "X").mkdir()
        seen.hears_everything()

    def test_a_chain_of_renames_while_the_reader_is_late(self, seen: Seen) -> None:
        with stalled(seen):
            (seen.root / "A" / "B").rename(seen.root / "B")
            (seen.root / "A").rename(seen.root / "B" / "A")
            (seen.root / "B").rename(seen.root / "C")
            (seen.root / "C" / "new").mkdir()
        seen.hears_everything()

    def test_out_changed_outside_back_under_another_name_recreated_and_deleted(
        self, seen: Seen, tmp_path: Path
    ) -> None:
        """The sequence that ends the reader of watchdog's own observer."""
        for _ in range(5):
            (seen.root / "A").rename(tmp_path / "trash")
            (tmp_path / "trash" / "more").mkdir()
            (seen.root / "A").mkdir()
            (tmp_path / "trash").rename(seen.root / "back")
            shutil.rmtree(seen.root / "A")
            shutil.rmtree(seen.root / "back")
            (seen.root / "A" / "B").mkdir(parents=True)
        assert seen.tree.is_alive()
        assert seen.faults == []
        seen.hears_everything()

    def test_a_folder_that_left_is_noticed(self, seen: Seen, tmp_path: Path) -> None:
        (seen.root / "A").rename(tmp_path / "away")
        seen.told()
        assert not seen.tree.has_strays(time.monotonic())
        assert seen.tree.has_strays(time.monotonic() + 5)

    def test_a_rename_leaves_no_stray(self, seen: Seen) -> None:
        (seen.root / "A").rename(seen.root / "C")
        seen.told()
        assert not seen.tree.has_strays(time.monotonic() + 5)

    def test_deleted_trees_leave_nothing(self, seen: Seen) -> None:
        for _ in range(20):
            (seen.root / "X" / "Y").mkdir(parents=True)
            shutil.rmtree(seen.root / "X")
        seen.told()
        assert (seen.tree.watched_folders, seen.tree.blind_folders) == (3, 0)


class TestFaults:
    def test_a_queue_that_overflows(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The kernel's own words for it, as it says them: a watch of -1."""
        seen = Seen(root).start()
        try:
            seen.tree.handle_event(InotifyEvent(WatchDescriptor(-1), InotifyConstants.IN_Q_OVERFLOW, 0, b""))
            assert seen.kinds_of_faults() == {FaultKind.OVERFLOW}
            seen.hears_everything()
        finally:
            seen.tree.end()

    @pytest.mark.parametrize("how", ["deleted", "renamed"])
    def test_a_root_that_goes(self, root: Path, tmp_path: Path, how: str) -> None:
        seen = Seen(root).start()
        try:
            if how == "deleted":
                shutil.rmtree(root)
            else:
                root.rename(tmp_path / "elsewhere")
            assert seen.kinds_of_faults() == {FaultKind.ROOT}
        finally:
            seen.tree.end()

    def test_a_root_that_is_not_there(self, tmp_path: Path) -> None:
        before = open_files()
        with pytest.raises(FileNotFoundError):
            Seen(tmp_path / "nowhere").start()
        assert open_files() == before

    def test_a_handler_that_raises(self, root: Path) -> None:
        faults: list[WatchFault] = []

        def raises(event: DiskEvent) -> None:
            raise RuntimeError(event.path)

        tree = InotifyTree(str(root), raises, faults.append)
        tree.watch()
        (root / "a.mp3").touch()
        tree.join(PATIENCE)
        assert [fault.kind for fault in faults] == [FaultKind.BROKEN]
        assert not tree.is_alive()
        before = open_files()
        tree.end()
        assert open_files() == before - 3

    def test_too_few_watches(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        add_watch = inotify_c.inotify_add_watch
        allowed = iter(("root", "A"))

        def add_few(fd: int, path: bytes, mask: int) -> WatchDescriptor:
            if next(allowed, None) is None:
                ctypes.set_errno(28)
                return WatchDescriptor(-1)
            return add_watch(fd, path, mask)

        monkeypatch.setattr("nomarr.components.watch.inotify_tree_comp.inotify_add_watch", add_few)
        seen = Seen(root).start()
        try:
            assert [fault.kind for fault in seen.faults] == [FaultKind.LIMIT]
            assert seen.tree.is_limited
            assert (seen.tree.watched_folders, seen.tree.blind_folders, seen.tree.blind_example()) == (2, 1, "A/B")
            assert seen.tree.unwatched() == ["A/B"]
        finally:
            seen.tree.end()

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
    def test_a_folder_that_becomes_readable(self, root: Path) -> None:
        (root / "A").chmod(0)
        seen = Seen(root).start()
        try:
            assert (seen.tree.blind_folders, seen.faults) == (1, [])
            (root / "A").chmod(0o755)
            seen.told()
            seen.hears_everything()
        finally:
            seen.tree.end()

    def test_a_folder_that_may_be_looked_into_again(self, tmp_path: Path) -> None:
        """Its own watch was there all the time; those inside were not."""
        with open_to_everybody() as place:
            root = place / "root"
            (root / "A" / "B").mkdir(parents=True)
            give_away(root)
            with without_privileges():
                (root / "A").chmod(0o444)
                seen = Seen(root)
                seen.tree.watch()
                try:
                    assert seen.tree.blind_folders == 1
                    (root / "A").chmod(0o755)
                    wait_until(lambda: bool(seen.events))
                    wait_until(lambda: seen.tree.blind_folders == 0)
                    (root / "A" / "B" / "b.mp3").touch()
                    wait_until(lambda: file(DiskChange.CREATED, "A/B/b.mp3") in seen.events)
                    (root / "A").chmod(0)
                    shutil.rmtree(root / "A", ignore_errors=True)
                    (root / "A").chmod(0o755)
                finally:
                    seen.tree.end()

    def test_an_unreadable_folder_that_went_is_forgotten(self, seen: Seen) -> None:
        (seen.root / "X").mkdir()
        seen.told()
        seen.tree._note_blind(os.fsencode(seen.root / "X"))
        (seen.root / "X").rmdir()
        seen.told()
        assert seen.tree.blind_folders == 0

    def test_a_hundred_trees_leave_nothing_behind(self, root: Path) -> None:
        before = open_files(), threading.active_count()
        for number in range(100):
            seen = Seen(root).start()
            if number % 2:
                (root / "a.mp3").touch()
            seen.tree.end()
        assert (open_files(), threading.active_count()) == before


class TestWatchdog:
    """What Nomarr relies on in watchdog, and why it does not use more of it."""

    def test_the_names_that_are_used_are_there(self) -> None:
        reader = InotifyFD()
        assert {"_inotify_fd", "_is_reading", "_kill_w"} <= set(vars(reader))
        assert callable(reader.handle_event)
        assert callable(reader.run)
        assert callable(reader.should_keep_running)
        assert not reader.stopped_event.is_set()
        reader._is_reading = False
        reader.close()

    def test_its_observer_still_does_not_tell_of_an_overflow(self, root: Path) -> None:
        """Handlers are not told that events were lost. If this fails, its observer may have become good enough."""
        told: list[object] = []

        class Handler(FileSystemEventHandler):
            def on_any_event(self, event: object) -> None:
                told.append(event)

        observer = InotifyObserver()
        observer.schedule(Handler(), str(root), recursive=True)
        observer.start()
        try:
            reader = observer._inotify_fd
            reader.handle_event(InotifyEvent(WatchDescriptor(-1), Mask(InotifyConstants.IN_Q_OVERFLOW), 0, b""))
            (root / "end.mp3").touch()
            wait_until(lambda: any("end.mp3" in repr(event) for event in told))
            assert not any("overflow" in repr(event).lower() for event in told)
        finally:
            observer.stop()
            observer.join()

    def test_its_reader_still_dies_of_a_failing_callback_in_silence(self, root: Path) -> None:
        """An exception ends the thread that reads, and the observer says that it is alive."""
        observer = InotifyObserver()
        observer.schedule(FileSystemEventHandler(), str(root), recursive=True)
        observer.start()
        hook, threading.excepthook = threading.excepthook, lambda _: None
        try:
            reader = observer._inotify_fd
            reader.handle_event = raising  # type: ignore[method-assign] # as any of its callbacks may
            (root / "a.mp3").touch()
            reader.join(PATIENCE)
            assert not reader.is_alive()
            assert observer.is_alive()
        finally:
            threading.excepthook = hook
            reader._is_reading = False
            observer.stop()
            observer.join()


def raising(event: InotifyEvent) -> None:
    raise KeyError(event.wd)


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


class stalled:
    """Keeps the reader from handling events meanwhile."""

    def __init__(self, seen: Seen) -> None:
        self._lock = seen.tree._lock_of_tree

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()
