"""The observer of platforms without inotify, here on top of whatever watchdog has for this one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nomarr.components.watch.portable_tree_comp import PortableTree
from nomarr.helpers.dto.watching import DiskChange, DiskEvent, FaultKind, WatchFault

PATIENCE = 10.0


class Seen:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.events: list[DiskEvent] = []
        self.faults: list[WatchFault] = []
        self.tree = PortableTree(str(root), self.events.append, self.faults.append)

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, (self.events, self.faults)
            time.sleep(0.005)


@pytest.fixture
def seen(tmp_path: Path) -> Iterator[Seen]:
    root = tmp_path / "root"
    (root / "A").mkdir(parents=True)
    seen = Seen(root)
    seen.tree.watch()
    yield seen
    seen.tree.end()
    assert not seen.tree.is_alive()


def test_what_happens_is_told_relative_to_the_root(seen: Seen) -> None:
    (seen.root / "A" / "a.mp3").write_bytes(b"1")
    seen.until(lambda: DiskEvent(DiskChange.WRITTEN, "A/a.mp3", is_folder=False) in seen.events)
    (seen.root / "A" / "a.mp3").rename(seen.root / "b.mp3")
    seen.until(lambda: DiskEvent(DiskChange.MOVED, "A/a.mp3", False, "b.mp3") in seen.events)
    (seen.root / "b.mp3").unlink()
    seen.until(lambda: DiskEvent(DiskChange.DELETED, "b.mp3", is_folder=False) in seen.events)
    (seen.root / "B").mkdir()
    seen.until(lambda: DiskEvent(DiskChange.CREATED, "B", is_folder=True) in seen.events)
    assert seen.faults == []


def test_a_root_that_goes_is_a_fault(seen: Seen) -> None:
    (seen.root / "A").rmdir()
    seen.root.rmdir()
    seen.until(lambda: [fault.kind for fault in seen.faults] == [FaultKind.ROOT])


def test_a_handler_that_raises_is_a_fault(seen: Seen) -> None:
    def raising(event: DiskEvent) -> None:
        raise RuntimeError(event.path)

    seen.tree._on_event = raising
    (seen.root / "a.mp3").touch()
    seen.until(lambda: {fault.kind for fault in seen.faults} == {FaultKind.BROKEN})
    assert seen.tree.is_alive()


def test_what_it_can_not_know_it_does_not_claim(seen: Seen) -> None:
    assert not seen.tree.wait_until_read(0.0)
    assert seen.tree.unwatched() == []
    assert seen.tree.blind_example() is None
    assert not seen.tree.has_strays(time.monotonic())
