"""Libraries, who may scan them, and what is remembered of a scan however it ends."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from storage_kit import (
    LEASE_SECONDS,
    ODD_NAMES,
    START,
    Scan,
    folder,
    gone,
    hidden,
    image,
    lose_lease,
    moved,
    owner,
    playlist,
    start_scan,
    take_lease,
    upsert,
)

from nomarr.helpers.dto.batches import ScanBatch
from nomarr.helpers.dto.library import Library, LibraryState, RootIdentity, ScanTarget, TranscodePolicy, WatchMode
from nomarr.helpers.dto.scan import HeldBackLosses, InterruptedScan, Lease, ScanReport, ScanRun, ScanRunState, ScanState
from nomarr.helpers.exceptions import LeaseLost, LibraryAlreadyExists
from nomarr.helpers.time_helper import Clock
from nomarr.persistence.db import Database

TARGETS = (ScanTarget("music", "A"), ScanTarget("music", "B\udcff/\\x41", recursive=False))
SLACK = 5.0
"""A lease is judged by the moment of its transaction, so its end is known only as well as a call is quick."""
RAN_OUT = START + LEASE_SECONDS + SLACK
ENDS = [ScanRunState.COMPLETED, ScanRunState.FAILED, ScanRunState.CANCELLED, ScanRunState.OFFLINE]


@pytest.fixture
def music(db: Database) -> Library:
    library = Library("music", "Music", "/music")
    db.library.add_library(library)
    return library


def get(db: Database, library_id: str = "music", now: float = START) -> Library:
    library = db.library.get_library(library_id, now)
    assert library is not None
    return library


def state_of(db: Database, library_id: str = "music") -> ScanState:
    state = db.library.get_scan_state(library_id)
    assert state is not None
    return state


def small_writes(db: Database, lease: Lease) -> list[Callable[[float | Clock], object]]:
    """Everything besides batches that is written under a lease."""
    return [
        lambda now: db.library.set_root_identity(lease, RootIdentity(1, 2), now=now),
        lambda now: db.library.set_held_back(lease, HeldBackLosses(1, START, 1), now=now),
        lambda now: db.library.set_offline(lease, "away", now=now),
    ]


def taken(lease: Lease | None) -> Lease:
    assert lease is not None
    return lease


class TestLibraries:
    def test_a_library_comes_back_as_it_was_added(self, db: Database) -> None:
        patterns = ("*.tmp", "!keep\udcff", "é\\#")
        library = Library("id", "Náme", "/root", WatchMode.POLL, False, patterns, TranscodePolicy.NEW_ID)
        db.library.add_library(library)
        assert get(db, "id") == library
        assert db.library.list_libraries(START) == [library]

    @pytest.mark.parametrize("odd", ODD_NAMES)
    def test_names_and_roots_may_be_odd(self, db: Database, odd: str) -> None:
        library = Library("id", odd, f"/{odd}")
        db.library.add_library(library)
        assert get(db, "id") == library
        lease = taken(take_lease(db, "id"))
        db.library.set_offline(lease, odd, now=START)
        assert get(db, "id").offline_reason == odd

    def test_odd_names_and_roots_do_not_collide(self, db: Database) -> None:
        for number, odd in enumerate(ODD_NAMES):
            db.library.add_library(Library(str(number), odd, f"/{odd}"))
        assert [library.name for library in db.library.list_libraries(START)] == sorted(ODD_NAMES)

    @pytest.mark.parametrize(
        "again",
        [Library("music", "New", "/new"), Library("new", "Music", "/new"), Library("new", "New", "/music")],
        ids=["id", "name", "root"],
    )
    def test_id_name_and_root_are_taken_once(self, db: Database, music: Library, again: Library) -> None:
        with pytest.raises(LibraryAlreadyExists):
            db.library.add_library(again)
        assert db.library.list_libraries(START) == [music]

    @pytest.mark.usefixtures("music")
    def test_a_change_may_not_take_what_is_taken(self, db: Database) -> None:
        other = Library("other", "Other", "/other")
        db.library.add_library(other)
        for change in ({"name": "Music"}, {"root_path": "/music"}):
            with pytest.raises(LibraryAlreadyExists):
                db.library.update_library("other", **change)
        assert get(db, "other") == other

    def test_only_what_is_told_changes(self, db: Database, music: Library) -> None:
        db.library.update_library("music")
        assert get(db) == music
        db.library.update_library("music", name="New", watch_mode=WatchMode.OFF)
        db.library.update_library("music", enabled=False, ignore_patterns=["a", "b"])
        assert get(db) == Library("music", "New", "/music", WatchMode.OFF, False, ("a", "b"))
        db.library.update_library("music", enabled=True, ignore_patterns=[])
        assert get(db) == Library("music", "New", "/music", WatchMode.OFF)

    @pytest.mark.usefixtures("music")
    def test_the_policy_for_transcodes_changes_alone(self, db: Database) -> None:
        assert get(db).transcode_policy is TranscodePolicy.KEEP_ID
        for policy in (TranscodePolicy.NEW_ID, TranscodePolicy.KEEP_ID):
            db.library.update_library("music", transcode_policy=policy)
            assert get(db) == Library("music", "Music", "/music", transcode_policy=policy)

    def test_a_new_root_forgets_which_folder_the_old_one_was(self, scan: Scan) -> None:
        file = scan.add("a")["a"]
        scan.db.library.set_root_identity(scan.lease, RootIdentity(2**63 - 1, 2**62), now=START)
        scan.db.library.set_offline(scan.lease, "no disk", now=START)
        assert get(scan.db).root_identity == RootIdentity(2**63 - 1, 2**62)
        scan.db.library.update_library("music", name="New")
        assert get(scan.db).root_identity is not None
        scan.db.library.update_library("music", root_path="/moved")
        library = get(scan.db)
        assert (library.root_path, library.root_identity, library.offline_reason) == ("/moved", None, None)
        assert scan.files() == {"a": file}

    def test_libraries_are_sorted_by_name(self, db: Database) -> None:
        for name in ("b", "a", "é", "B"):
            db.library.add_library(Library(f"id {name}", name, f"/{name}"))
        assert [library.name for library in db.library.list_libraries(START)] == ["B", "a", "b", "é"]

    def test_files_are_counted_where_they_are_told(self, scan: Scan, other: Scan) -> None:
        other.add("x")
        files = scan.add("a", "b", "c", "d", "e")
        scan.write(gone=[gone(files["a"])], hidden=[hidden(files["b"])])
        scan.write(moves=[moved(files["c"], "d")])
        library = get(scan.db)
        assert library.files == scan.db.library_files.count_present("music") == 2
        assert library.missing == len(list(scan.db.library_files.records("music", missing=True))) == 2
        uncounted = scan.db.library.get_library("music", START, counted=False)
        assert uncounted is not None
        assert (uncounted.files, uncounted.missing) == (0, 0)
        assert scan.db.library.list_libraries(START, counted=False)[0] == uncounted

    def test_a_missing_file_that_is_hidden_too_is_not_counted(self, scan: Scan) -> None:
        file = scan.add("a")["a"]
        scan.write(gone=[gone(file)])
        scan.write(hidden=[hidden(file)])
        assert get(scan.db).missing == 0
        assert list(scan.db.library_files.records("music", missing=True)) == []

    def test_what_is_not_there_is_none(self, db: Database) -> None:
        assert db.library.get_library("nowhere", START) is None
        assert db.library.get_scan_state("nowhere") is None
        assert db.library.check_interrupted_scan("nowhere", now=START) is None
        assert take_lease(db, "nowhere") is None
        assert db.library.list_libraries(START) == []

    def test_removing_a_library_forgets_everything_of_it(self, scan: Scan, other: Scan) -> None:
        for library in (scan, other):
            name = library.library_id
            library.write(
                upserts=[upsert("a")],
                folders=[folder(""), folder("A")],
                images=[image("c.jpg")],
                playlists=[playlist("p.m3u", "a", library_id=name)],
            )
            library.db.library_sidecars.resolve_entries(library.lease, now=START)
        kept = other.known()
        last = scan.db.events.last_seq()
        scan.db.library.remove_library("music")
        assert scan.db.library.get_library("music", START) is None
        assert scan.known() == []
        assert scan.folders() == set()
        assert scan.db.library_sidecars.below("music", "") == []
        assert list(scan.db.library_sidecars.playlists("music")) == []
        assert scan.db.scan_runs.list_runs("music") == []
        assert scan.db.events.last_seq() >= last
        assert other.known() == kept
        assert len(scan.db.scan_runs.list_runs()) == 1
        [stored] = scan.db.library_sidecars.playlists("other")
        assert stored.entries[0].file_id == kept[0].file_id
        assert scan.db.check_integrity() == []

    def test_a_removed_library_can_be_added_again_and_begins_empty(self, scan: Scan) -> None:
        scan.add("a")
        scan.db.library.remove_library("music")
        with pytest.raises(LeaseLost):
            scan.write(upserts=[upsert("b")])
        again = start_scan(scan.db)
        assert again.known() == []
        assert again.db.library_folders.within(ScanTarget("music")) == {}

    def test_removing_nothing_is_allowed(self, db: Database, music: Library) -> None:
        db.library.remove_library("nowhere")
        assert db.library.list_libraries(START) == [music]


@pytest.mark.usefixtures("music")
class TestLease:
    def test_a_lease_says_whose_it_is_and_is_stored(self, db: Database) -> None:
        lease = taken(take_lease(db, scan_id="s1", targets=TARGETS))
        assert (lease.library_id, lease.owner, lease.started_at) == ("music", str(owner()), START)
        state = state_of(db)
        assert (state.state, state.owner, state.fence) == (ScanRunState.RUNNING, lease.owner, lease.fence)
        assert (state.scan_id, state.last_scan_started_at) == ("s1", START)
        assert state.expires_at == pytest.approx(START + LEASE_SECONDS, abs=SLACK)
        assert state.targets == TARGETS
        assert (state.full_scan_in_progress, state.full_scan_since, state.last_scan_at) == (False, None, None)

    def test_a_library_that_was_never_scanned_has_an_empty_state(self, db: Database) -> None:
        assert state_of(db) == ScanState("music", None, None, None, 0, None, None, None, False, None)
        assert get(db).state is LibraryState.NEW

    @pytest.mark.parametrize("later", [0.0, 1.0, LEASE_SECONDS - SLACK])
    def test_nobody_else_gets_a_lease_that_runs(self, db: Database, later: float) -> None:
        first = taken(take_lease(db))
        before = state_of(db)
        assert take_lease(db, token="two", now=START + later) is None
        assert state_of(db) == before
        assert len(db.scan_runs.list_runs()) == 1
        db.library.renew_lease(first, now=START + later, lease_seconds=1)

    @pytest.mark.parametrize("later", [LEASE_SECONDS + SLACK, 1e9])
    def test_a_lease_that_ran_out_is_anybodys(self, db: Database, later: float) -> None:
        first = taken(take_lease(db))
        second = taken(take_lease(db, token="two", now=START + later))
        assert second.fence > first.fence
        assert state_of(db).owner == second.owner

    def test_a_dead_owner_is_not_waited_for(self, db: Database) -> None:
        taken(take_lease(db))
        assert take_lease(db, token="two", dead_owner=str(owner("another"))) is None
        second = taken(take_lease(db, token="two", dead_owner=str(owner())))
        assert state_of(db).owner == second.owner

    def test_a_lease_that_was_given_back_is_anybodys(self, db: Database) -> None:
        first = taken(take_lease(db))
        db.library.mark_scan_completed(first, ScanRunState.COMPLETED, now=START + 1, report=None)
        second = taken(take_lease(db, token="two", now=START + 1))
        assert second.fence > first.fence

    def test_a_lease_can_be_renewed_until_it_runs_out(self, db: Database) -> None:
        lease = taken(take_lease(db))
        db.library.renew_lease(lease, now=START + 50, lease_seconds=60)
        renewed = state_of(db).expires_at
        assert renewed == pytest.approx(START + 110, abs=SLACK)
        assert take_lease(db, token="two", now=START + 110 - SLACK) is None
        with pytest.raises(LeaseLost):
            db.library.renew_lease(lease, now=START + 110 + SLACK, lease_seconds=60)
        assert state_of(db).expires_at == renewed

    def test_libraries_have_leases_of_their_own(self, db: Database) -> None:
        db.library.add_library(Library("other", "Other", "/other"))
        taken(take_lease(db))
        taken(take_lease(db, "other", token="two"))

    @pytest.mark.parametrize("given_back", [True, False])
    def test_whoever_lost_the_lease_writes_nothing(self, db: Database, given_back: bool) -> None:
        lost = taken(take_lease(db))
        if given_back:
            db.library.mark_scan_completed(lost, ScanRunState.CANCELLED, now=START, report=None)
        else:
            taken(take_lease(db, token="two", now=RAN_OUT))
        before = state_of(db), db.scan_runs.list_runs(), get(db)
        batch = ScanBatch(upserts=[upsert("a")], folders=[folder("")])
        with pytest.raises(LeaseLost):
            db.library_files.upsert_batch(lost, batch, now=START)
        with pytest.raises(LeaseLost):
            db.library.renew_lease(lost, now=START, lease_seconds=60)
        for write in small_writes(db, lost):
            with pytest.raises(LeaseLost):
                write(START)
        db.library.mark_scan_completed(lost, ScanRunState.COMPLETED, now=START, report=None)
        assert (state_of(db), db.scan_runs.list_runs(), get(db)) == before
        assert not db.library_files.any_files()
        assert db.library_folders.within(ScanTarget("music")) == {}

    def test_a_lease_that_ran_out_writes_nothing_even_if_nobody_took_over(self, db: Database) -> None:
        lease = taken(take_lease(db))
        before = state_of(db), get(db)
        for write in small_writes(db, lease):
            with pytest.raises(LeaseLost):
                write(RAN_OUT)
            with pytest.raises(LeaseLost):
                write(lambda: RAN_OUT)
        assert (state_of(db), get(db)) == before

    def test_the_same_owner_with_an_older_fence_writes_nothing(self, db: Database) -> None:
        lost = taken(take_lease(db))
        current = taken(take_lease(db, now=RAN_OUT))
        assert lost.owner == current.owner
        with pytest.raises(LeaseLost):
            db.library_files.upsert_batch(lost, ScanBatch(upserts=[upsert("a")]), now=RAN_OUT)
        db.library_files.upsert_batch(current, ScanBatch(upserts=[upsert("a")]), now=RAN_OUT)

    def test_held_back_losses_are_kept_until_they_are_settled(self, db: Database) -> None:
        lease = taken(take_lease(db))
        losses = HeldBackLosses(600, START, 2)
        db.library.set_held_back(lease, losses, now=START)
        db.library.mark_scan_completed(lease, ScanRunState.COMPLETED, now=START, report=None)
        assert state_of(db).held_back == losses
        again = taken(take_lease(db))
        assert state_of(db).held_back == losses
        db.library.set_held_back(again, None, now=START)
        assert state_of(db).held_back is None


@pytest.mark.usefixtures("music")
class TestEnds:
    @pytest.mark.parametrize("end", ENDS)
    def test_every_end_is_remembered(self, db: Database, end: ScanRunState) -> None:
        report = ScanReport("s1", "music", end, files_added=3, duration_seconds=1.5, warnings=("b\udcff", "é"))
        lease = taken(take_lease(db, scan_id="s1", targets=TARGETS, full_since=START - 5))
        db.library.mark_scan_completed(lease, end, now=START + 9, report=report, error="b\udcff went \\wrong")
        [run] = db.scan_runs.list_runs()
        assert (run.scan_id, run.library_id, run.state, run.targets, run.full) == ("s1", "music", end, TARGETS, True)
        assert (run.started_at, run.ended_at, run.error) == (START, START + 9, "b\udcff went \\wrong")
        assert run.report == report
        state = state_of(db)
        assert (state.state, state.owner, state.expires_at) == (end, None, None)
        assert db.library.check_interrupted_scan("music", now=START + 1e6) is None

    def test_completion_forgets_the_targets_and_tells_when(self, db: Database) -> None:
        lease = taken(take_lease(db, targets=TARGETS, full_since=START))
        db.library.mark_scan_completed(lease, ScanRunState.COMPLETED, now=START + 9, report=None)
        state = state_of(db)
        assert (state.last_scan_at, state.targets) == (START + 9, ())
        assert (state.full_scan_in_progress, state.full_scan_since) == (False, None)
        assert db.scan_runs.list_runs()[0].report is None

    @pytest.mark.parametrize("end", ENDS[1:])
    def test_any_other_end_keeps_targets_and_the_full_scan(self, db: Database, end: ScanRunState) -> None:
        first = taken(take_lease(db))
        db.library.mark_scan_completed(first, ScanRunState.COMPLETED, now=START + 1, report=None)
        lease = taken(take_lease(db, targets=TARGETS, full_since=START, now=START + 2))
        db.library.mark_scan_completed(lease, end, now=START + 9, report=None)
        state = state_of(db)
        assert (state.last_scan_at, state.targets) == (START + 1, TARGETS)
        assert (state.full_scan_in_progress, state.full_scan_since) == (True, START)

    def test_a_scan_that_just_stops_is_interrupted(self, db: Database) -> None:
        taken(take_lease(db, scan_id="s1", targets=TARGETS, full_since=START - 5))
        interrupted = InterruptedScan("s1", START, TARGETS, START - 5)
        check = db.library.check_interrupted_scan
        assert check("music", now=START + LEASE_SECONDS - SLACK) is None
        assert check("music", now=RAN_OUT) == interrupted
        assert check("music", now=START, dead_owner=str(owner())) == interrupted
        assert check("music", now=START, dead_owner=str(owner("another"))) is None

    def test_whoever_takes_over_writes_the_interruption_into_the_history(self, db: Database) -> None:
        taken(take_lease(db, scan_id="s1", full_since=START - 5))
        later = RAN_OUT
        interrupted = db.library.check_interrupted_scan("music", now=later)
        assert interrupted is not None
        taken(take_lease(db, scan_id="s2", token="two", now=later, full_since=interrupted.full_since))
        assert [(run.scan_id, run.state, run.ended_at) for run in db.scan_runs.list_runs()] == [
            ("s2", ScanRunState.RUNNING, None),
            ("s1", ScanRunState.INTERRUPTED, later),
        ]
        assert (state_of(db).full_scan_in_progress, state_of(db).full_scan_since) == (True, START - 5)
        # Interrupted a second time, the full scan is still the one that began first.
        again = db.library.check_interrupted_scan("music", now=later + LEASE_SECONDS + SLACK)
        assert again is not None
        assert (again.scan_id, again.full_since) == ("s2", START - 5)

    def test_queued_targets_outlive_a_crash_and_end_with_the_next_scan(self, db: Database) -> None:
        lease = taken(take_lease(db))
        db.library.set_queued_targets("music", TARGETS)
        assert state_of(db).queued_targets == TARGETS
        db.library.mark_scan_completed(lease, ScanRunState.FAILED, now=START, report=None)
        assert state_of(db).queued_targets == TARGETS
        taken(take_lease(db))
        assert state_of(db).queued_targets == ()

    def test_a_busy_library_keeps_its_queue(self, db: Database) -> None:
        taken(take_lease(db))
        db.library.set_queued_targets("music", TARGETS)
        assert take_lease(db, token="two") is None
        assert state_of(db).queued_targets == TARGETS

    @pytest.mark.parametrize(
        ("end", "state"),
        [
            (ScanRunState.COMPLETED, LibraryState.READY),
            (ScanRunState.FAILED, LibraryState.FAILED),
            (ScanRunState.CANCELLED, LibraryState.CANCELLED),
            (ScanRunState.OFFLINE, LibraryState.OFFLINE),
        ],
    )
    def test_a_library_says_how_it_stands(self, db: Database, end: ScanRunState, state: LibraryState) -> None:
        lease = taken(take_lease(db))
        assert get(db).state is LibraryState.SCANNING
        assert get(db, now=RAN_OUT).state is LibraryState.INTERRUPTED
        db.library.mark_scan_completed(lease, end, now=START + 1, report=None)
        library = get(db)
        assert library.state is state
        assert (library.last_scan_started_at, library.last_scan_at) == (
            START,
            START + 1 if end is ScanRunState.COMPLETED else None,
        )

    @pytest.mark.parametrize("scanned", [True, False])
    def test_offline_comes_and_goes(self, db: Database, scanned: bool) -> None:
        if scanned:
            lease = taken(take_lease(db))
            db.library.mark_scan_completed(lease, ScanRunState.COMPLETED, now=START, report=None)
        lease = taken(take_lease(db))
        before = get(db)
        db.library.set_offline(lease, "the disk is away", now=START)
        db.library.mark_scan_completed(lease, ScanRunState.OFFLINE, now=START, report=None)
        assert (get(db).state, get(db).offline_reason) == (LibraryState.OFFLINE, "the disk is away")
        lease = taken(take_lease(db))
        db.library.set_offline(lease, None, now=START)
        assert get(db) == before


class TestRuns:
    @pytest.fixture
    def runs(self, db: Database, scan: Scan, other: Scan) -> Database:
        lose_lease(other)
        for number in range(6):
            now = scan.now + 2e6 * (number + 1)
            taken(take_lease(db, scan_id=f"run {number}", now=now))
        return db

    def test_newest_first_and_only_as_many_as_asked(self, runs: Database) -> None:
        listed = runs.scan_runs.list_runs("music", limit=3)
        assert [run.scan_id for run in listed] == ["run 5", "run 4", "run 3"]
        assert len(runs.scan_runs.list_runs()) == 9
        assert runs.scan_runs.list_runs("nowhere") == []
        started = [run.started_at for run in runs.scan_runs.list_runs()]
        assert started == sorted(started, reverse=True)

    @pytest.mark.parametrize("library_id", [None, "music"])
    def test_pages_hold_every_run_once_also_of_those_at_one_moment(
        self, runs: Database, library_id: str | None
    ) -> None:
        later = START + 1e9
        for number in range(3):
            lease = taken(take_lease(runs, scan_id=f"tied {number}", now=later))
            runs.library.mark_scan_completed(lease, ScanRunState.COMPLETED, now=later, report=None)
        every = runs.scan_runs.list_runs(library_id)
        paged: list[ScanRun] = []
        while page := runs.scan_runs.list_runs(library_id, limit=2, before=paged[-1].place if paged else None):
            paged += page
        assert paged == every

    def test_pruning_keeps_the_newest_of_each_library(self, runs: Database) -> None:
        runs.scan_runs.prune(keep_per_library=2)
        assert [run.scan_id for run in runs.scan_runs.list_runs("music")] == ["run 5", "run 4"]
        assert len(runs.scan_runs.list_runs("other")) == 2
        runs.scan_runs.prune(keep_per_library=5)
        assert len(runs.scan_runs.list_runs()) == 4

    @pytest.mark.usefixtures("music")
    def test_of_runs_at_one_moment_the_last_one_is_kept(self, db: Database) -> None:
        for number in range(4):
            lease = taken(take_lease(db, scan_id=f"run {number}"))
            db.library.mark_scan_completed(lease, ScanRunState.COMPLETED, now=START, report=None)
        db.scan_runs.prune(keep_per_library=1)
        assert [run.scan_id for run in db.scan_runs.list_runs()] == ["run 3"]


def test_everything_is_there_after_the_database_was_closed(database_url: str) -> None:
    with Database.open(database_url) as first:
        scan = start_scan(first)
        scan.add("a")
        scan.write(folders=[folder("")])
        known, folders = scan.known(), scan.folders()
        version = first.schema_version()
    with Database.open(database_url) as second:
        scan.db = second
        assert (scan.known(), scan.folders()) == (known, folders)
        assert second.schema_version() == version
        assert second.check_integrity() == []
        assert scan.add("b").keys() == {"a", "b"}
