"""When what is scanned: hours and days in no time, since the plan is told what time it is."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from nomarr.components.watch.pending_changes_comp import ChangesToScan, PendingChanges
from nomarr.components.watch.watch_plan_comp import WatchPlan
from nomarr.helpers.dto.library import ScanTarget
from nomarr.helpers.dto.watching import DiskChange, DiskEvent, WatchSettings

NOON = 1_000_000.0
HOUR = 3600.0
DAY = 24 * HOUR
EVERYTHING = (ScanTarget("music"),)


class Watched:
    """A plan with its clock; scans take no time."""

    def __init__(self, *, settings: WatchSettings | None = None, polled: bool = False) -> None:
        settings = settings or WatchSettings()
        self.pending = PendingChanges("music", settings.debounce_seconds, settings.longest_wait)
        self.plan = WatchPlan("music", self.pending, settings, random.Random(7).random)
        self.plan.is_polled = polled
        self.now = NOON
        self.scans: list[tuple[float, tuple[ScanTarget, ...]]] = []

    def write(self, path: str) -> None:
        self.pending.add(DiskEvent(DiskChange.WRITTEN, path, is_folder=False), self.now)

    def scan_first(self) -> Watched:
        self.plan.scan_everything(self.now)
        self.run_until(self.now)
        self.scans.clear()
        return self

    def run_until(self, end: float, *, changed: bool = True, fails: bool = False, held_back: bool = False) -> None:
        """Do everything that is due until `end`."""
        while (due_at := self.plan.due_at()) is not None and due_at <= end:
            self.now = max(self.now, due_at)
            changes = self.plan.take(self.now)
            if changes is None:
                continue
            self.scans.append((self.now - NOON, changes.targets))
            if fails:
                self.plan.failed(changes, self.now)
            else:
                self.plan.completed(changes, changed=changed, now=self.now, held_back=held_back)
        self.now = max(self.now, end)

    def times(self) -> list[float]:
        return [time for time, _ in self.scans]


def test_nothing_is_due_before_something_is_asked_for() -> None:
    assert Watched().plan.due_at() is None


def test_a_burst_is_one_scan() -> None:
    watched = Watched().scan_first()
    for number in range(10):
        watched.write(f"A/{number}.mp3")
        watched.run_until(watched.now + 0.1)
    watched.run_until(NOON + 60)
    assert watched.scans == [(pytest.approx(2.9), (ScanTarget("music", "A", recursive=False),))]


def test_endless_writing_is_scanned_every_few_seconds() -> None:
    watched = Watched().scan_first()
    while watched.now < NOON + 60:
        watched.write("A/a.mp3")
        watched.run_until(watched.now + 0.5)
    assert len(watched.scans) >= 8
    assert max(later - before for before, later in pairwise([0.0, *watched.times()])) <= 7


def test_a_failed_scan_is_tried_again_later_each_time_and_keeps_everything() -> None:
    watched = Watched().scan_first()
    watched.write("A/a.mp3")
    watched.pending.add(DiskEvent(DiskChange.MOVED, "A/x.mp3", False, "B/x.mp3"), watched.now)
    watched.run_until(NOON + 200, fails=True)
    gaps = [later - before for before, later in pairwise(watched.times())]
    assert gaps[:6] == [pytest.approx(gap) for gap in (2, 2, 4, 8, 16, 32)]
    assert max(gaps) == pytest.approx(60)
    watched.write("C/c.mp3")
    watched.now += 60
    changes = watched.plan.take(watched.now)
    assert changes is not None
    assert {target.folder_path for target in changes.targets} == {"A", "B", "C"}
    # Too much may have happened since they were noted.
    assert changes.path_changes == ()


def test_everything_is_scanned_from_time_to_time() -> None:
    watched = Watched().scan_first()
    watched.run_until(NOON + DAY)
    gaps = [later - before for before, later in pairwise([0.0, *watched.times()])]
    assert all(targets == EVERYTHING for _, targets in watched.scans)
    assert all(0.75 * HOUR <= gap <= 1.25 * HOUR for gap in gaps)
    assert len(set(gaps)) > 10


def test_a_polled_library_is_scanned_every_five_minutes() -> None:
    watched = Watched(polled=True).scan_first()
    watched.run_until(NOON + HOUR)
    assert watched.times() == [pytest.approx(300.0 * number) for number in range(1, 13)]


def test_a_whole_scan_takes_along_what_is_pending() -> None:
    watched = Watched().scan_first()
    watched.write("A/a.mp3")
    watched.plan.scan_everything(watched.now)
    watched.run_until(NOON + 60)
    assert watched.scans == [(0.0, EVERYTHING)]


def test_lost_events_lead_to_whole_scans_ever_less_often() -> None:
    watched = Watched().scan_first()
    while watched.now < NOON + 2 * HOUR:
        watched.plan.scan_everything_after_loss(watched.now)
        watched.run_until(watched.now + 1)
    gaps = [round(later - before) for before, later in pairwise(watched.times())]
    assert watched.times()[0] == 0
    assert gaps[:5] == [30, 60, 120, 240, 480]
    assert set(gaps[5:]) == {600}


def test_after_a_storm_the_next_loss_is_scanned_at_once() -> None:
    watched = Watched().scan_first()
    for _ in range(100):
        watched.plan.scan_everything_after_loss(watched.now)
        watched.run_until(watched.now + 1)
    watched.run_until(NOON + HOUR / 2)
    watched.scans.clear()
    watched.plan.scan_everything_after_loss(watched.now)
    watched.run_until(watched.now)
    assert watched.scans == [(HOUR / 2, EVERYTHING)]


def test_what_is_touched_again_and_again_for_nothing_has_to_wait() -> None:
    watched = Watched().scan_first()
    while watched.now < NOON + HOUR / 2:
        watched.write("A/a.mp3")
        watched.run_until(watched.now + 3, changed=False)
    fruitless = [time for time, targets in watched.scans if targets != EVERYTHING]
    assert len(fruitless) < 15
    assert watched.plan.held_target == ScanTarget("music", "A", recursive=False)
    # It is only late, never forgotten.
    watched.run_until(NOON + HOUR, changed=False)
    assert watched.plan.held_target is None
    assert len(watched.pending) == 0


def test_what_waits_does_not_hold_up_the_rest() -> None:
    watched = Watched().scan_first()
    while watched.plan.held_target is None:
        watched.write("A/a.mp3")
        watched.run_until(watched.now + 3, changed=False)
    watched.scans.clear()
    asked_at = watched.now - NOON
    watched.write("A/a.mp3")
    watched.write("B/b.mp3")
    watched.run_until(watched.now + 2)
    assert watched.scans == [(pytest.approx(asked_at + 2), (ScanTarget("music", "B", recursive=False),))]


def test_a_rename_does_not_wait() -> None:
    watched = Watched().scan_first()
    while watched.plan.held_target is None:
        watched.write("A/a.mp3")
        watched.run_until(watched.now + 3, changed=False)
    watched.scans.clear()
    watched.pending.add(DiskEvent(DiskChange.MOVED, "A/a.mp3", False, "A/b.mp3"), watched.now)
    watched.run_until(watched.now + 2)
    assert [targets for _, targets in watched.scans] == [(ScanTarget("music", "A", recursive=False),)]


def test_scans_that_change_something_are_never_held_up() -> None:
    watched = Watched().scan_first()
    for _ in range(100):
        watched.write("A/a.mp3")
        watched.run_until(watched.now + 3)
    assert len(watched.scans) == 100


def test_seven_days_of_everything() -> None:
    """Nothing grows, everything that was asked for is done, and no hour is without a whole scan."""
    chance = random.Random(3)
    watched = Watched().scan_first()
    whole = [0.0]
    while watched.now < NOON + 7 * DAY:
        for _ in range(chance.choice((0, 0, 0, 1, 5))):
            watched.write(f"{chance.randrange(2000)}/{chance.randrange(3)}.mp3")
        if chance.random() < 0.01:
            watched.plan.scan_everything_after_loss(watched.now)
        fails = chance.random() < 0.02
        watched.run_until(watched.now + chance.choice((1, 30, 300)), changed=chance.random() < 0.5, fails=fails)
        whole += [time for time, targets in watched.scans if targets == EVERYTHING]
        watched.scans.clear()
    assert max(later - before for before, later in pairwise(whole)) <= 1.25 * HOUR + 400
    watched.run_until(watched.now + 2 * HOUR)
    assert len(watched.pending) == 0
    assert watched.plan.held_target is None
    assert len(watched.plan._fruitless) <= 4097


def test_a_change_that_cannot_be_taken_is_not_lost() -> None:
    watched = Watched()
    watched.write("A/a.mp3")
    assert watched.plan.take(watched.now) is None
    assert watched.plan.take(watched.now + 2) == ChangesToScan((ScanTarget("music", "A", recursive=False),))


def test_losses_that_are_held_back_are_judged_again_soon_and_then_ever_less_often() -> None:
    watched = Watched().scan_first()
    watched.write("a.flac")
    watched.run_until(NOON + 2 * HOUR, held_back=True)
    whole = [time for time, targets in watched.scans if targets == EVERYTHING]
    waits = [later - earlier for earlier, later in pairwise([watched.scans[0][0], *whole])]
    assert waits[:6] == [15, 15, 60, 300, 1800, 1800]
    watched.scans.clear()
    watched.run_until(watched.now + 1800)
    assert len(watched.scans) == 1
    watched.run_until(watched.now + 600)
    assert len(watched.scans) == 1
