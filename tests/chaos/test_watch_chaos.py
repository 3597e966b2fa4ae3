"""Many programs change a watched library at once while everything that can break does; then it is quiet, and true.

`NOMARR_CHAOS_SEED` repeats the operations and faults of a run (their moments differ a little);
`NOMARR_CHAOS_MINUTES` says how long `make chaos` goes on.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from process_kit import integrity, rows, wait_until
from support.disk import disk_files
from support.music import tone

SEED = int(os.environ.get("NOMARR_CHAOS_SEED", "20261121"))
MINUTES = float(os.environ.get("NOMARR_CHAOS_MINUTES", "30"))
PROGRAM = Path(__file__).with_name("watch_once.py")
SYSCTL = Path("/proc/sys/fs/inotify")

KEPT = 60
"""Files that are moved and renamed, and never lost: `keep-NUMBER-....wav`, wherever they are."""

OTHERS = 40
"""Names of files that come and go. So few that their loss at once is never held back."""

PATIENCE = 90.0
MAX_RSS = 220e6


@dataclass
class Place:
    """Where everything is."""

    top: Path
    root: Path = field(init=False)
    outside: Path = field(init=False)
    away: Path = field(init=False)

    def __post_init__(self) -> None:
        self.root, self.outside, self.away = self.top / "music", self.top / "outside", self.top / "away"
        self.outside.mkdir()
        for number in range(KEPT):
            folder = self.root / "abc"[number % 3] / "xyz"[number % 5 % 3]
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"keep-{number}-0.wav").write_bytes(tone(100 + number))


class Operations:
    """What one program does to the library, again and again."""

    def __init__(self, place: Place, seed: int) -> None:
        self.place = place
        self.chance = random.Random(seed)
        self.count = 0

    def run(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            operation = self.chance.choice(
                (
                    *(self.write, self.write, self.append, self.truncate, self.save, self.remove, self.rename),
                    *(self.keep_rename, self.keep_rename, self.keep_out_and_in, self.link, self.attributes),
                    *(self.make_folder, self.rename_folder, self.swap_folders, self.tree_out_and_in, self.burst),
                    *(self.clean_folder, self.touch),
                )
            )
            # Others change the same things at the same time.
            with contextlib.suppress(OSError):
                operation()
            if self.chance.random() < 0.3:
                time.sleep(self.chance.random() * 0.05)

    def folder(self) -> Path:
        parts = [self.chance.choice(names) for names in ("abcdef", "uvwxyz", "123")]
        return self.place.root.joinpath(*parts[: self.chance.choice((1, 2, 2, 3))])

    def other(self) -> Path:
        return self.folder() / f"other-{self.chance.randrange(OTHERS)}.wav"

    def kept(self) -> Path:
        found = [Path(folder) / name for folder, _, names in os.walk(self.place.root) for name in names if _kept(name)]
        if not found:
            raise FileNotFoundError(self.place.root)
        return self.chance.choice(found)

    def new_name(self, path: Path) -> str:
        self.count += 1
        number = path.name.split("-")[1]
        return f"keep-{number}-{os.getpid()}.{self.count}.wav"

    def write(self) -> None:
        path = self.other()
        path.parent.mkdir(parents=True, exist_ok=True)
        # Each name is in one place only, so that there are never more than so many files.
        for folder, _, names in os.walk(self.place.root):
            if path.name in names and Path(folder) != path.parent:
                (Path(folder) / path.name).unlink()
        path.write_bytes(tone(self.chance.randrange(300, 400)))

    def append(self) -> None:
        with self.other().open("r+b") as file:
            file.seek(0, 2)
            file.write(bytes(100))

    def truncate(self) -> None:
        os.truncate(self.other(), self.chance.randrange(100))

    def save(self) -> None:
        path = self.other()
        new = path.with_name(f".tmp-{os.getpid()}")
        new.write_bytes(tone(self.chance.randrange(300, 400)))
        new.rename(path)

    def remove(self) -> None:
        self.other().unlink()

    def rename(self) -> None:
        path = self.other()
        path.rename(self.folder() / path.name)

    def touch(self) -> None:
        self.other().touch()

    def keep_rename(self) -> None:
        path = self.kept()
        path.rename(self.folder() / self.new_name(path))

    def keep_out_and_in(self) -> None:
        path = self.kept()
        outside = self.place.outside / self.new_name(path)
        path.rename(outside)
        time.sleep(self.chance.random() * 0.6)
        self.put_back(outside)

    def put_back(self, path: Path) -> None:
        while path.exists():
            with contextlib.suppress(OSError):
                path.rename(self.folder() / path.name)
                return
            with contextlib.suppress(OSError):
                self.folder().mkdir(parents=True, exist_ok=True)
            time.sleep(0.01)

    def link(self) -> None:
        path = self.other()
        linked = path.with_name(f"other-{self.chance.randrange(OTHERS)}.wav")
        os.link(path, linked)

    def attributes(self) -> None:
        self.kept().chmod(self.chance.choice((0o600, 0o644, 0o755)))

    def make_folder(self) -> None:
        self.folder().mkdir(parents=True)

    def rename_folder(self) -> None:
        self.folder().rename(self.folder())

    def swap_folders(self) -> None:
        one, two = self.folder(), self.folder()
        between = one.with_name(f"swap-{os.getpid()}")
        one.rename(between)
        try:
            two.rename(one)
        finally:
            while between.exists():
                with contextlib.suppress(OSError):
                    between.rename(two if not two.exists() else one)
                    break
                with contextlib.suppress(OSError):
                    between.rename(between.with_name(f"{between.name}-{self.chance.random()}"))
                    break
                time.sleep(0.01)

    def tree_out_and_in(self) -> None:
        self.count += 1
        outside = self.place.outside / f"tree-{os.getpid()}-{self.count}"
        self.folder().rename(outside)
        (outside / "made outside").mkdir(exist_ok=True)
        time.sleep(self.chance.random() * 0.6)
        self.put_back(outside)

    def burst(self) -> None:
        folder = self.folder()
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(200):
            (folder / f"{number}.part").touch()
        for number in range(200):
            (folder / f"{number}.part").unlink()

    def clean_folder(self) -> None:
        folder = self.folder()
        for path in folder.rglob("other-*"):
            path.unlink()
        for path in sorted(folder.rglob("*"), reverse=True):
            if path.is_dir():
                path.rmdir()


def operate(place: Place, seed: int, seconds: float) -> None:
    Operations(place, seed).run(seconds)


class Watcher:
    """The program that watches, in a process of its own."""

    def __init__(self, place: Place, database: Path) -> None:
        self._arguments = [sys.executable, str(PROGRAM), str(database), str(place.root)]
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self._arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, line: str = "status") -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, f"the watcher has ended with {self.process.wait()}"
        found: dict[str, Any] = json.loads(answer)
        return found

    def kill(self) -> None:
        self.process.kill()
        self.end()

    def end(self) -> None:
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
        self.process.wait(30)


@contextlib.contextmanager
def limits_restored() -> Iterator[bool]:
    """True inside if this process may change the kernel's limits."""
    before = {name: (SYSCTL / name).read_text() for name in ("max_queued_events", "max_user_watches")}
    may_change = os.access(SYSCTL / "max_queued_events", os.W_OK) and os.geteuid() == 0
    try:
        yield may_change
    finally:
        if may_change:
            for name, value in before.items():
                (SYSCTL / name).write_text(value)


def make_fault(fault: str, watcher: Watcher, place: Place, chance: random.Random) -> None:
    match fault:
        case "reader raises" | "reader ends" | "handler raises":
            watcher.ask(fault)
        case "kill":
            watcher.kill()
            time.sleep(chance.random())
            watcher.start()
        case "little queue":
            (SYSCTL / "max_queued_events").write_text(str(chance.choice((16, 256, 16384))))
        case "few watches":
            before = (SYSCTL / "max_user_watches").read_text()
            (SYSCTL / "max_user_watches").write_text("5")
            time.sleep(1.5)
            (SYSCTL / "max_user_watches").write_text(before)
        case "root away":
            place.root.rename(place.away)
            time.sleep(chance.random() * 3)
            bring_back(place)


def tidy(place: Place) -> None:
    """Remove folders without files: operations make more of them than they remove."""
    for folder, _, _ in os.walk(place.root, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(folder)


def bring_back(place: Place) -> None:
    """Put the root where it was, and what operations made or moved into its place meanwhile where that was in it.

    Whole trees may be there, and a scan may have believed by them that this is the library now: they must not get lost.
    """
    pretended: list[Path] = []
    while place.away.exists():
        with contextlib.suppress(OSError):
            place.away.rename(place.root)
            break
        pretended.append(place.top / f"pretended-{len(pretended)}")
        with contextlib.suppress(OSError):
            place.root.rename(pretended[-1])
    for folder in pretended:
        while files := [path for path in folder.rglob("*.wav") if not path.is_dir()]:
            for path in files:
                put_back(path, place.root / path.relative_to(folder), place.root)
        shutil.rmtree(folder, ignore_errors=True)


def put_back(path: Path, target: Path, root: Path) -> None:
    """Move a file, unless an operation was faster; of a name that is kept once only, unless it is there already."""
    with contextlib.suppress(OSError):
        if not path.name.startswith("keep-") and any(root.rglob(path.name)):
            path.unlink()
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)


def differences(place: Place, database: Path) -> list[str]:
    """Paths where rows and disk differ."""
    known = {
        row["path"]: (row["inode"], row["size"], row["mtime_ns"])
        for row in rows(
            database,
            "SELECT path, inode, size, mtime_ns FROM library_files WHERE missing_since IS NULL AND ignored_by IS NULL",
        )
    }
    disk = {path: (found.inode, found.size, found.mtime_ns) for path, found in disk_files(place.root).items()}
    return sorted(path for path in known.keys() | disk.keys() if known.get(path) != disk.get(path))


def kept_ids(database: Path) -> dict[str, str]:
    """Number of the kept file to its id."""
    found = rows(
        database, "SELECT path, file_id FROM library_files WHERE missing_since IS NULL AND path LIKE '%keep-%'"
    )
    return {row["path"].rpartition("/")[2].split("-")[1]: row["file_id"] for row in found}


def play_round(place: Place, watcher: Watcher, chance: random.Random, seconds: float, may_change: bool) -> Counter[str]:
    """Operations by several processes, with a fault now and then."""
    faults = ["reader raises", "reader ends", "handler raises", "kill", "root away"]
    faults += ["little queue", "few watches"] if may_change else []
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=operate, args=(place, chance.randrange(1 << 30), seconds)) for _ in range(3)]
    for worker in workers:
        worker.start()
    done: Counter[str] = Counter()
    while any(worker.is_alive() for worker in workers):
        time.sleep(chance.random() * seconds / 2)
        fault = chance.choice(faults)
        make_fault(fault, watcher, place, chance)
        done[fault] += 1
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    return done


def wait_until_equal(place: Place, database: Path, watcher: Watcher) -> float:
    since = time.monotonic()
    while found := differences(place, database):
        waited = time.monotonic() - since
        assert waited < PATIENCE, f"{len(found)} differences after {waited:.0f} s, such as {found[:5]}: {watcher.ask()}"
        time.sleep(0.1)
    return time.monotonic() - since


def _kept(name: str) -> bool:
    return name.startswith("keep-")


@pytest.mark.alone
@pytest.mark.parametrize(
    "seconds",
    [
        pytest.param(12.0, id="short", marks=[pytest.mark.slow, pytest.mark.timeout(200)]),
        pytest.param(60 * MINUTES, id="long", marks=[pytest.mark.chaos, pytest.mark.timeout(60 * MINUTES + 600)]),
    ],
)
def test_whatever_happens_it_ends_equal_and_every_id_is_where_its_file_is(tmp_path: Path, seconds: float) -> None:
    chance = random.Random(SEED)
    place, database = Place(tmp_path), tmp_path / "nomarr.db"
    watcher = Watcher(place, database)
    faults: Counter[str] = Counter()
    waits, peak, rounds = [], 0, 0
    end = time.monotonic() + seconds
    with limits_restored() as may_change:
        try:
            watcher.ask()
            wait_until_equal(place, database, watcher)
            ids = kept_ids(database)
            assert len(ids) == KEPT
            while time.monotonic() < end:
                faults += play_round(place, watcher, chance, min(8.0, seconds / 3), may_change)
                rounds += 1
                waits.append(wait_until_equal(place, database, watcher))
                astray = ids.items() ^ kept_ids(database).items()
                assert not astray, f"ids went astray: {sorted(astray)}; seed {SEED}, round {rounds}"
                tidy(place)
                status = watcher.ask()
                peak = max(peak, status["rss"])
                assert peak < MAX_RSS
                assert status["threads"] < 30
                assert status["files"] < 60
            # The last fault may have ended it a moment ago, when everything was equal already.
            wait_until(lambda: watcher.ask()["reader"], "a reader that lives", 15)
        finally:
            watcher.kill()
    assert integrity(database) == []
    print(
        f"\n{rounds} rounds, faults {dict(faults)}, equal after {sum(waits) / len(waits):.1f} s on average and "
        f"{max(waits):.1f} s at most, peak RSS {peak / 1e6:.0f} MB"
    )
