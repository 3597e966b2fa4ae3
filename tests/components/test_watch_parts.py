"""What an event means, when to act on it, and which folders that are: everything that is decided without a disk."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nomarr.components.watch.debounce_comp import Debouncer
from nomarr.components.watch.event_filter_comp import path_change_of, targets_of
from nomarr.components.watch.library_event_handler_comp import LibraryEventHandler
from nomarr.components.watch.pending_changes_comp import ChangesToScan, PendingChanges
from nomarr.components.watch.scan_targets_comp import MAX_TARGETS, TargetSet
from nomarr.helpers.dto.library import ScanTarget
from nomarr.helpers.dto.watching import DiskChange, DiskEvent, FaultKind, PathChange, WatchFault

NOON = 1_000_000.0


def shallow(folder: str) -> ScanTarget:
    return ScanTarget("music", folder, recursive=False)


def deep(folder: str) -> ScanTarget:
    return ScanTarget("music", folder)


def written(path: str) -> DiskEvent:
    return DiskEvent(DiskChange.WRITTEN, path, is_folder=False)


def moved(old: str, new: str | None, *, is_folder: bool = False) -> DiskEvent:
    return DiskEvent(DiskChange.MOVED, old, is_folder, new)


class TestTargetsOfAnEvent:
    @pytest.mark.parametrize(
        "name",
        ["a.mp3", "A.FLAC", "list.m3u8", "cover.jpg", "b\udcff.opus"],
    )
    @pytest.mark.parametrize("change", [DiskChange.CREATED, DiskChange.WRITTEN, DiskChange.DELETED])
    def test_a_file_that_matters_has_its_folder_looked_at(self, name: str, change: DiskChange) -> None:
        assert targets_of(DiskEvent(change, f"Rock/{name}", is_folder=False), "music") == [shallow("Rock")]
        assert targets_of(DiskEvent(change, name, is_folder=False), "music") == [shallow("")]

    @pytest.mark.parametrize("name", [".nomedia", ".ndignore", ".nomarrignore"])
    def test_a_rule_holds_for_everything_below_its_folder(self, name: str) -> None:
        assert targets_of(written(f"Rock/{name}"), "music") == [deep("Rock")]

    @pytest.mark.parametrize("name", ["a.txt", "a.mp3.part", "mp3", ".DS_Store", "a.nfo"])
    def test_other_files_mean_nothing(self, name: str) -> None:
        assert targets_of(written(f"Rock/{name}"), "music") == []

    @pytest.mark.parametrize(("old", "new"), [("x.part", "x.mp3"), ("x.mp3", "x.bak"), ("x.mp3", "y.mp3")])
    def test_a_file_matters_under_either_of_its_names(self, old: str, new: str) -> None:
        assert targets_of(moved(f"A/{old}", f"B/{new}"), "music") == [shallow("A"), shallow("B")]

    @pytest.mark.parametrize("change", [DiskChange.CREATED, DiskChange.DELETED, DiskChange.ATTRIBUTES])
    def test_a_folder_is_looked_at_with_all_of_it_and_its_parent(self, change: DiskChange) -> None:
        assert targets_of(DiskEvent(change, "A/B.mp3", is_folder=True), "music") == [shallow("A"), deep("A/B.mp3")]

    def test_of_a_moved_folder_both_places_are_looked_at(self) -> None:
        found = targets_of(moved("A/X", "B/Y", is_folder=True), "music")
        assert found == [shallow("A"), shallow("B"), deep("A/X"), deep("B/Y")]

    def test_the_root_has_no_parent(self) -> None:
        assert targets_of(DiskEvent(DiskChange.ATTRIBUTES, "", is_folder=True), "music") == [deep("")]

    def test_renames_and_deletions_say_where_a_file_is(self) -> None:
        assert path_change_of(moved("a", "b")) == PathChange("a", "b", is_folder=False)
        assert path_change_of(moved("a", None)) is None
        assert path_change_of(DiskEvent(DiskChange.DELETED, "a", is_folder=True)) == PathChange("a", None, True)
        assert path_change_of(written("a")) is None


class TestDebouncer:
    def test_nothing_is_due_without_events(self) -> None:
        assert Debouncer(2, 15).due_at is None

    def test_it_is_due_after_a_pause(self) -> None:
        debouncer = Debouncer(2, 15)
        debouncer.note(NOON)
        debouncer.note(NOON + 1)
        assert debouncer.due_at == NOON + 3

    def test_endless_changes_are_released_after_max_wait(self) -> None:
        debouncer = Debouncer(2, 15)
        for second in range(60):
            debouncer.note(NOON + second)
        assert debouncer.due_at == NOON + 15

    def test_the_longest_wait_is_never_shorter_than_the_pause(self) -> None:
        debouncer = Debouncer(5, 1)
        debouncer.note(NOON)
        assert debouncer.due_at == NOON + 5

    def test_after_a_reset_it_begins_anew(self) -> None:
        debouncer = Debouncer(2, 15)
        debouncer.note(NOON)
        debouncer.reset()
        assert debouncer.due_at is None


names = st.sampled_from("abcdefgh")
folders = st.lists(names, max_size=6).map("/".join)
targets = st.builds(ScanTarget, st.just("music"), folders, st.booleans())


class TestTargetSet:
    @given(st.lists(targets, max_size=60), st.integers(1, 12))
    def test_everything_that_was_added_is_covered_by_a_few_targets(self, added: list[ScanTarget], limit: int) -> None:
        found = TargetSet("music", limit)
        found.add(added)
        assert len(found) <= max(1, limit)
        kept = found.take()
        assert all(any(one.covers(target) for one in kept) for target in added)
        assert not any(one.covers(other) for one in kept for other in kept if one != other)
        assert found.take() == []

    def test_a_few_targets_stay_as_they_are(self) -> None:
        found = TargetSet("music")
        found.add([shallow("A"), deep("B/C"), shallow("B/C/D"), shallow("A")])
        assert (found.take(), found.folds) == ([shallow("A"), deep("B/C")], 0)

    def test_the_deepest_become_their_parents(self) -> None:
        found = TargetSet("music", limit=4)
        found.add([shallow("X"), *(shallow(f"A/B/{number}") for number in range(4))])
        assert (found.take(), found.folds) == ([deep("A/B"), shallow("X")], 1)

    def test_a_flood_becomes_the_whole_library(self) -> None:
        found = TargetSet("music")
        found.add(shallow(f"Album {number}") for number in range(MAX_TARGETS + 1))
        assert found.take() == [deep("")]


class TestPendingChanges:
    @pytest.fixture
    def pending(self) -> PendingChanges:
        return PendingChanges("music", 2, 15)

    def test_only_the_first_event_is_news(self, pending: PendingChanges) -> None:
        assert pending.add(written("A/a.mp3"), NOON)
        assert not pending.add(written("A/b.mp3"), NOON)
        assert not pending.add(written("A/b.txt"), NOON)
        assert (pending.events, pending.due_at) == (2, NOON + 2)
        assert pending.take() == ChangesToScan((shallow("A"),))
        assert pending.due_at is None
        assert pending.add(written("A/a.mp3"), NOON + 9)

    def test_renames_are_kept_in_their_order(self, pending: PendingChanges) -> None:
        pending.add(DiskEvent(DiskChange.DELETED, "x.mp3", is_folder=False), NOON)
        pending.add(moved("a.mp3", "b.mp3"), NOON)
        pending.add(DiskEvent(DiskChange.DELETED, "b.mp3", is_folder=False), NOON)
        changes = pending.take().path_changes
        assert changes == (PathChange("a.mp3", "b.mp3", False), PathChange("b.mp3", None, False))
        assert pending.take().path_changes == ()

    def test_what_could_not_be_scanned_comes_back_without_its_renames(self, pending: PendingChanges) -> None:
        """What was deleted since then is not in the log: `a` may have become a `b` that is another file by now."""
        pending.add(moved("A/a.mp3", "A/b.mp3"), NOON)
        changes = pending.take()
        pending.add(DiskEvent(DiskChange.DELETED, "A/b.mp3", is_folder=False), NOON)
        pending.put_back(changes, NOON)
        assert pending.take() == ChangesToScan((shallow("A"),))

    def test_a_log_with_a_hole_is_no_evidence(self, pending: PendingChanges) -> None:
        pending.add(moved("a.mp3", "b.mp3"), NOON)
        pending.distrust_path_changes()
        pending.add(moved("c.mp3", "d.mp3"), NOON)
        assert pending.take().path_changes == ()
        pending.add(moved("c.mp3", "d.mp3"), NOON)
        assert len(pending.take().path_changes) == 1

    def test_too_many_renames_are_no_evidence_at_all(self, pending: PendingChanges) -> None:
        for number in range(10_001):
            pending.add(moved(f"{number}.mp3", f"new {number}.mp3"), NOON)
        pending.add(moved("x.mp3", "y.mp3"), NOON)
        assert pending.take() == ChangesToScan((shallow(""),))
        pending.add(moved("x.mp3", "y.mp3"), NOON)
        assert len(pending.take().path_changes) == 1

    def test_what_waits_already_is_told_apart(self, pending: PendingChanges) -> None:
        for path in ("A/a.mp3", "A/b.mp3", "B/c.mp3"):
            pending.add(written(path), NOON)
        pending.add(DiskEvent(DiskChange.CREATED, "A", is_folder=True), NOON)
        pending.add(written("A/d.mp3"), NOON)
        assert (pending.events, pending.suppressed) == (5, 2)
        assert pending.events_by_change == {DiskChange.WRITTEN: 4, DiskChange.CREATED: 1}


class TestHandler:
    def handler(self, wakes: list[str]) -> tuple[LibraryEventHandler, PendingChanges]:
        pending = PendingChanges("music", 2, 15)
        return LibraryEventHandler(pending, lambda: NOON, lambda: wakes.append("wake")), pending

    def test_a_million_events_wake_once_and_fill_no_memory(self) -> None:
        wakes: list[str] = []
        handler, pending = self.handler(wakes)
        events = [written(f"{number % 100}/{number % 997}/{number}/a.mp3") for number in range(20_000)]
        for _ in range(50):
            for event in events:
                handler.on_event(event)
        assert wakes == ["wake"]
        assert pending.events == 1_000_000
        assert len(pending) <= MAX_TARGETS

    def test_each_kind_of_fault_is_told_once(self) -> None:
        wakes: list[str] = []
        handler, pending = self.handler(wakes)
        handler.on_event(moved("a.mp3", "b.mp3"))
        wakes.clear()
        for kind in (FaultKind.OVERFLOW, FaultKind.OVERFLOW, FaultKind.ROOT):
            handler.on_fault(WatchFault(kind, "it happened"))
        assert pending.take().path_changes == ()
        assert [fault.kind for fault in handler.take_faults()] == [FaultKind.OVERFLOW, FaultKind.ROOT]
        assert handler.take_faults() == []
        assert len(wakes) == 2

    def test_once_retired_it_is_deaf(self) -> None:
        wakes: list[str] = []
        handler, pending = self.handler(wakes)
        handler.retire()
        handler.on_event(written("a.mp3"))
        handler.on_fault(WatchFault(FaultKind.ROOT, "it happened"))
        assert (wakes, pending.events, handler.take_faults()) == ([], 0, [])

    def test_whatever_goes_wrong_becomes_a_fault(self) -> None:
        wakes: list[str] = []
        handler, _ = self.handler(wakes)
        handler.on_event(written("a//b/c.mp3"))
        assert [fault.kind for fault in handler.take_faults()] == [FaultKind.BROKEN]
        assert wakes == ["wake"]
