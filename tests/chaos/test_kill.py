"""Scans are killed at random moments; the next start goes on and nothing is lost.

`NOMARR_CHAOS_SEED` repeats the changes and the kill points of a run (the moments of kills by time differ a little).
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest
from disk_model import Disk, Identity, Seen, files_on, playlists_on, unambiguous
from process_kit import Counters, Scanner, integrity, opened, rows
from scan_once import Job

from nomarr import Config, LibraryState, Nomarr
from nomarr.persistence.db import Database

pytestmark = pytest.mark.usefixtures("scanners")

SEED = int(os.environ.get("NOMARR_CHAOS_SEED", "20240607"))
CI_KILLS = 15
CHAOS_KILLS = int(os.environ.get("NOMARR_CHAOS_KILLS", "220"))


@dataclass(frozen=True)
class Stored:
    """What the database holds at one moment."""

    libraries: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By root."""
    files: list[dict[str, Any]] = field(default_factory=list)
    folders: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def of(cls, database: Path) -> Stored:
        if not database.exists():
            return cls()
        with opened(database) as db:
            db.execute("BEGIN")  # one moment for all of it
            if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'libraries'").fetchall():
                return cls()  # killed before the schema was there
            libraries = {row["root_path"]: dict(row) for row in db.execute("SELECT * FROM libraries")}
            files = [dict(row) for row in db.execute("SELECT * FROM library_files")]
            folders = [dict(row) for row in db.execute("SELECT * FROM library_folders")]
            events = [dict(row) for row in db.execute("SELECT * FROM events ORDER BY seq")]
        return cls(libraries, files, {(row["library_id"], row["path"]): row for row in folders}, events)

    def present(self, library_id: str) -> dict[str, dict[str, Any]]:
        """The library's files that are there, by path."""
        here = [row for row in self.files if row["library_id"] == library_id and _is_present(row)]
        found = {row["path"]: row for row in here}
        assert len(found) == len(here), "two files at one path"
        return found

    def id_of(self) -> dict[Identity, str]:
        return {_identity(row): row["file_id"] for row in self.files}

    def identities(self) -> list[Identity]:
        return [_identity(row) for row in self.files]


def _is_present(row: dict[str, Any]) -> bool:
    return row["missing_since"] is None and row["ignored_by"] is None


def _identity(row: dict[str, Any]) -> Identity:
    return Identity(row["device"], row["inode"], row["size"], row["mtime_ns"])


def _is_row_of(row: dict[str, Any] | None, seen: Seen) -> bool:
    return row is not None and _identity(row) == seen.identity and row["ctime_ns"] == seen.ctime_ns


def assert_events_tell_the_rows(stored: Stored) -> None:
    """Whoever follows the change feed knows what the rows say, at every moment: they are written together."""
    told: dict[str, tuple[str, str]] = {}
    for event in stored.events:
        file_id, place = event["file_id"], (event["library_id"], event["path"])
        match event["type"]:
            case "created":
                assert file_id not in told, event
                told[file_id] = place
            case "moved" | "renamed" | "restored":
                told[file_id] = place
            case "modified":
                assert told[file_id] == place, event
            case "missing" | "removed":
                assert told.pop(file_id)[1] == event["path"], event
            case other:
                raise AssertionError(other)
    assert told == {row["file_id"]: (row["library_id"], row["path"]) for row in stored.files if _is_present(row)}


@dataclass
class Tally:
    """What a run of kills met."""

    seen: Counter[str] = field(default_factory=Counter)
    began: float = field(default_factory=time.monotonic)

    def __str__(self) -> str:
        names = ("kills", "interrupted", "mid-write", "with workers", "resumed", "scans completed", "not read again")
        figures = ", ".join(f"{name} {self.seen[name]}" for name in names)
        return f"{figures}, {time.monotonic() - self.began:.1f} s, seed {SEED}"


class Episode:
    """Two libraries in one database, changed and scanned and killed in turn."""

    def __init__(self, folder: Path, rng: random.Random, tally: Tally, *, files: int) -> None:
        folder.mkdir()
        self._folder = folder
        self._rng = rng
        self._tally = tally
        self._database = folder / "nomarr.db"
        self._roots = [folder / "Music", folder / "Other"]
        self.disk = Disk(self._roots, rng)
        share = rng.choice([0.1, 0.3, 0.5])
        self.disk.fill(self._roots[0], int(files * (1 - share)))
        self.disk.fill(self._roots[1], int(files * share))
        self._seconds = 0.6
        self._expected: dict[Identity, str] = {}
        self._ambiguous: set[Identity] = set()
        self._full = False
        self._full_since = 0.0

    def cycle(self, kills: int, *, full: bool, steps: int) -> None:
        """Change the disk, scan until killed, again, and at last let a scan complete."""
        self._expected, self._ambiguous = {}, set()
        self._full, self._full_since = full, time.time()
        self._expect(Stored.of(self._database))
        self.disk.change(steps)
        before = Stored.of(self._database)
        for number in range(kills):
            if number and self._rng.random() < 0.3:
                self.disk.change(2)
            self._note_ambiguous_places()
            before = self._kill_one(before)
            self._expect(before)
        self._note_ambiguous_places()
        self._complete(before)

    # -- expectations -----------------------------------------------------------------------------------------

    def _expect(self, stored: Stored) -> None:
        """Every file that is known now keeps its id, unless something made it ambiguous."""
        single = unambiguous(stored.identities())
        self._ambiguous |= set(stored.identities()) - single
        for identity, file_id in stored.id_of().items():
            self._expected.setdefault(identity, file_id)

    def _note_ambiguous_places(self) -> None:
        on_disk = [seen.identity for root in self._roots for seen in files_on(root).values()]
        self._ambiguous |= set(on_disk) - unambiguous(on_disk)

    # -- scanning ---------------------------------------------------------------------------------------------

    def _job(self, **more: Any) -> Job:
        settings = {"settle_seconds": self._rng.choice([0, 0, 0, 0.3]), "tag_workers": 2}
        return Job(str(self._database), [str(root) for root in self._roots], settings=settings, **more)

    def _kill_one(self, before: Stored) -> Stored:
        """Start a scan and kill it; what was stored by then."""
        counters = Counters(self._folder)
        how = self._rng.choice(["statement", "statement", "time", "time", "start"])
        statement = self._rng.randint(1, self._statements_to_expect(before)) if how == "statement" else None
        delay = self._rng.random()
        job = self._job(full=self._full, counters=counters.path, kill_at_statement=statement)
        with Scanner(job) as scanner:
            if how == "start":
                time.sleep(delay * 0.7)
            elif how == "time":
                scanner.stage("start")
                time.sleep(delay * 1.2 * self._seconds)
            workers = bool(scanner.workers()) if how != "statement" else False
            if how != "statement":
                scanner.process.send_signal(signal.SIGKILL)
            scanner.results()
            killed = scanner.process.returncode == -signal.SIGKILL
            assert killed or scanner.process.returncode == 0, scanner.errors
            scanner.assert_nothing_left()
        if killed:
            self._tally.seen["kills"] += 1
            self._tally.seen["mid-write"] += counters.read()[2]
            self._tally.seen["with workers"] += workers
        return self._check_after_kill(before)

    def _statements_to_expect(self, before: Stored) -> int:
        every = sum(len(files_on(root)) for root in self._roots)
        return 60 + 2 * (every if self._full else self._different(before))

    def _different(self, stored: Stored) -> int:
        return sum(len(self._to_read(stored, root)) for root in self._roots)

    def _to_read(self, stored: Stored, root: Path) -> set[str]:
        """Files on the disk whose rows don't show them as they are."""
        disk = files_on(root)
        library = stored.libraries.get(str(root))
        known = stored.present(library["library_id"]) if library else {}
        return {path for path, seen in disk.items() if not _is_row_of(known.get(path), seen)}

    def _complete(self, before: Stored) -> None:
        """The scan after the kills: it goes on where they stopped and ends equal to the disk."""
        interrupted = [library for library in before.libraries.values() if library["scan_state"] == "running"]
        full = self._full and not self._every_full_scan_began(before)
        with Scanner(self._job(full=full)) as scanner:
            reports = {report["library_id"]: report for report in scanner.reports()}
            scanner.assert_nothing_left()
        started = scanner.stage("start")["time"]
        self._seconds = max(0.05, max(fact["time"] for fact in scanner.facts if "result" in fact) - started)
        self._tally.seen["scans completed"] += 1
        if any(report["files_held_back"] for report in reports.values()):
            with Scanner(self._job(accept_losses=True)) as scanner:
                scanner.reports()
        after = Stored.of(self._database)
        self._check_resumed(interrupted, after)
        self._check_not_read_again(before, after, fresh_full=full)
        for root in self._roots:
            self._check_report(before, root, reports[after.libraries[str(root)]["library_id"]], fresh_full=full)
        self._check_equal_to_disk(after)
        self._check_ids(after)
        assert_events_tell_the_rows(after)
        assert integrity(self._database) == []

    def _every_full_scan_began(self, stored: Stored) -> bool:
        """True if the stored state alone makes the next scan full, or it was full and is done."""
        states = [stored.libraries.get(str(root)) for root in self._roots]
        return all(
            state is not None
            and (
                (state["scan_state"] == "running" and state["full_scan_in_progress"])
                or (state["scan_state"] == "completed" and state["last_scan_started_at"] > self._full_since)
            )
            for state in states
        )

    # -- checks -----------------------------------------------------------------------------------------------

    def _check_after_kill(self, before: Stored) -> Stored:
        if not self._database.exists():
            return Stored()
        assert integrity(self._database) == []
        stored = Stored.of(self._database)
        if not stored.libraries:
            return stored
        assert_events_tell_the_rows(stored)
        gone = {row["file_id"] for row in before.files} - {row["file_id"] for row in stored.files}
        assert not gone, f"rows are gone: {gone}"
        running = [library for library in stored.libraries.values() if library["scan_state"] == "running"]
        self._tally.seen["interrupted"] += len(running)
        anyio.run(self._check_says_interrupted, running)
        self._check_not_read_again(before, stored, fresh_full=self._full)
        return stored

    async def _check_says_interrupted(self, running: list[dict[str, Any]]) -> None:
        url = f"sqlite:///{self._database}"
        async with Nomarr.open(Config(database_url=url)) as nomarr:
            for library in await nomarr.libraries.list_libraries():
                was_killed = library.library_id in {row["library_id"] for row in running}
                assert (library.state is LibraryState.INTERRUPTED) == was_killed, library
        with Database.open(url) as db:
            for row in running:
                # Long before the lease runs out: its owner is known to be dead.
                found = db.library.check_interrupted_scan(
                    row["library_id"], now=time.time(), dead_owner=row["scan_owner"]
                )
                assert row["scan_expires_at"] > time.time()
                assert found is not None
                assert [target.folder_path for target in found.targets] == [""]
                assert (found.full_since is not None) == bool(row["full_scan_in_progress"])

    def _check_resumed(self, interrupted: Iterable[dict[str, Any]], after: Stored) -> None:
        runs = {row["scan_id"]: row["state"] for row in rows(self._database, "SELECT scan_id, state FROM scan_runs")}
        for library in interrupted:
            assert runs[library["scan_id"]] == "interrupted"
            self._tally.seen["resumed"] += 1
        for library in after.libraries.values():
            assert library["scan_state"] == "completed"
            assert library["scan_owner"] is None
            assert library["last_scan_at"] >= library["last_scan_started_at"]
            assert not library["full_scan_in_progress"]

    def _check_not_read_again(self, before: Stored, after: Stored, *, fresh_full: bool) -> None:
        """What was committed before the kill has the same read_at now."""
        read_at = {row["file_id"]: row["read_at"] for row in after.files}
        for root in self._roots:
            library = before.libraries.get(str(root))
            if library is None or (fresh_full and library["scan_state"] != "running"):
                continue
            for row in self._committed(before, library, files_on(root)):
                assert read_at[row["file_id"]] == row["read_at"], f"{row['path']} was read again"
                self._tally.seen["not read again"] += 1

    def _committed(self, stored: Stored, library: dict[str, Any], disk: dict[str, Seen]) -> list[dict[str, Any]]:
        known = stored.present(library["library_id"])
        fitting = [known[path] for path, seen in disk.items() if _is_row_of(known.get(path), seen)]
        if not library["full_scan_in_progress"]:
            return fitting
        since = library["full_scan_since"]
        whole = {
            path
            for (library_id, path), row in stored.folders.items()
            if library_id == library["library_id"] and row["digest"] and row["scanned_at"] >= since
        }
        files_of = Counter(os.path.dirname(path) for path in disk)
        fits_in = Counter(row["folder"] for row in fitting)
        # A folder that changed after it was committed is read as a whole again.
        whole = {folder for folder in whole if files_of[folder] == fits_in[folder]}
        touched = {row["folder"] for row in stored.files if _is_present(row) and row["path"] not in disk}
        return [row for row in fitting if row["folder"] in whole - touched and row["read_at"] >= since]

    def _check_report(self, before: Stored, root: Path, report: dict[str, Any], *, fresh_full: bool) -> None:
        assert report["state"] == "completed"
        library = before.libraries.get(str(root))
        disk = files_on(root)
        if library is None:
            assert report["files_processed"] <= len(disk)
        elif not fresh_full and not library["full_scan_in_progress"]:
            assert report["files_processed"] <= len(self._to_read(before, root))
        elif library["full_scan_in_progress"]:
            assert report["files_processed"] <= len(disk) - len(self._committed(before, library, disk))

    def _check_equal_to_disk(self, after: Stored) -> None:
        for root in self._roots:
            library_id = after.libraries[str(root)]["library_id"]
            known = after.present(library_id)
            disk = files_on(root)
            assert set(known) == set(disk)
            for path, seen in disk.items():
                row = known[path]
                assert _is_row_of(row, seen), (path, row, seen)
                assert not row["path_key"].startswith("displaced"), path
                is_wave = (root / path).read_bytes()[:4] == b"RIFF"
                assert (row["last_error"] is None) == is_wave, (path, row["last_error"])
                if self._full:
                    assert row["read_at"] >= self._full_since, f"{path} was not read by the full scan"
            self._check_playlists(root, library_id, {path: row["file_id"] for path, row in known.items()})

    def _check_playlists(self, root: Path, library_id: str, file_ids: dict[str, str]) -> None:
        on_disk = playlists_on(root)
        stored: dict[str, list[str | None]] = {path: [] for path in on_disk}
        found = rows(
            self._database,
            "SELECT s.path, e.position, e.text, e.file_id FROM library_sidecars s"
            " LEFT JOIN playlist_entries e ON e.library_id = s.library_id AND e.playlist_path = s.path"
            " WHERE s.library_id = ? AND s.kind = 'playlist' ORDER BY s.path, e.position",
            library_id,
        )
        assert {row["path"] for row in found} == set(on_disk)
        for row in found:
            if row["position"] is not None:
                stored[row["path"]].append(row["file_id"])
        for path, entries in on_disk.items():
            assert len(stored[path]) == len(entries), path
            for entry, file_id in zip(entries, stored[path], strict=True):
                # An entry goes on meaning its file after that file was moved away.
                assert file_id is not None or entry not in file_ids, f"{path}: {entry} is known but not resolved"

    def _check_ids(self, after: Stored) -> None:
        known = {row["file_id"]: row for row in after.files}
        for root in self._roots:
            present = after.present(after.libraries[str(root)]["library_id"])
            for path, seen in files_on(root).items():
                identity = seen.identity
                if identity in self._ambiguous or identity not in self._expected:
                    continue
                file_id = self._expected[identity]
                assert present[path]["file_id"] == file_id, f"{path} lost its id; that is at {known.get(file_id)}"


def kill_many(folder: Path, kills: int, *, files: tuple[int, int]) -> Tally:
    """Episodes until so many scans were killed."""
    rng = random.Random(SEED)
    tally = Tally()
    number = 0
    while tally.seen["kills"] < kills:
        number += 1
        episode_seed = rng.randrange(2**32)
        place = folder / f"episode {number}"
        try:
            run_episode(place, random.Random(episode_seed), tally, files, kills)
        except AssertionError as error:
            error.add_note(f"seed {SEED}, episode {number} ({episode_seed}), kept in {place}; {tally}")
            raise
        shutil.rmtree(place)
    return tally


def run_episode(place: Path, rng: random.Random, tally: Tally, files: tuple[int, int], kills: int) -> None:
    """A first scan and five rescans, each killed a few times; less if that are enough kills."""
    episode = Episode(place, rng, tally, files=rng.randint(*files))
    episode.cycle(rng.randint(1, 4), full=rng.random() < 0.2, steps=0)
    for _ in range(5):
        if tally.seen["kills"] < kills:
            episode.cycle(rng.randint(1, 3), full=rng.random() < 0.25, steps=rng.randint(1, 8))


def check_tally(tally: Tally, kills: int) -> None:
    assert tally.seen["kills"] >= kills
    assert tally.seen["interrupted"] >= kills // 3
    assert tally.seen["mid-write"] >= kills // 8
    assert tally.seen["resumed"] > 0
    assert tally.seen["not read again"] > 0


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_killed_scan_goes_on_and_loses_nothing(tmp_path: Path) -> None:
    tally = kill_many(tmp_path, CI_KILLS, files=(250, 400))
    print(f"\n{tally}")
    check_tally(tally, CI_KILLS)


@pytest.mark.chaos
@pytest.mark.timeout(3600)
def test_scans_killed_hundreds_of_times_go_on_and_lose_nothing(tmp_path: Path) -> None:
    tally = kill_many(tmp_path, CHAOS_KILLS, files=(300, 1500))
    print(f"\n{tally}")
    check_tally(tally, CHAOS_KILLS)


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_scan_killed_in_its_last_steps_leaves_nothing_undone(tmp_path: Path) -> None:
    """Everything is written but the end: what follows the last batch has to be done by the next scan."""
    root = tmp_path / "Music"
    disk = Disk([root], random.Random(SEED))
    disk.fill(root, 60)
    # Named before the folders that it points into, so that its entries are resolved at the end.
    (root / "all.m3u").write_text("\n".join(sorted(files_on(root))) + "\n")
    counters = Counters(tmp_path)
    settings = {"settle_seconds": 0}
    with Scanner(Job(str(tmp_path / "0.db"), [str(root)], settings=settings, counters=counters.path)) as scanner:
        scanner.reports()
    statements = counters.read()[1]
    for last in range(12):
        database = tmp_path / f"{last + 1}.db"
        job = Job(str(database), [str(root)], settings=settings, kill_at_statement=statements - last)
        with Scanner(job) as scanner:
            scanner.results()
            assert scanner.process.returncode == -signal.SIGKILL
        with Scanner(Job(str(database), [str(root)], settings=settings)) as scanner:
            scanner.reports()
        unresolved = rows(
            database, "SELECT text FROM playlist_entries WHERE playlist_path = 'all.m3u' AND file_id IS NULL"
        )
        assert not unresolved, f"killed {last} statements before the end"
        assert_events_tell_the_rows(Stored.of(database))
