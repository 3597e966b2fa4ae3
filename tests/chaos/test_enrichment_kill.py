"""Enrichment is killed at random moments; the next start goes on, does little twice and leaves nothing behind.

`NOMARR_CHAOS_SEED` repeats the changes and the moments of a run, as far as the machine is as fast as it was.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from enrichment_kit import FPCALC, Tools, embed, is_whole, picture
from process_kit import integrity, rows
from support.music import wait_for_another_timestamp
from support.songs import song

from nomarr.components.media.cover_store_comp import THUMBNAIL_SIZES, CoverStore

PROGRAM = Path(__file__).with_name("enrich_once.py")
SEED = int(os.environ.get("NOMARR_CHAOS_SEED", "20240607"))
CI_KILLS = 6
CHAOS_KILLS = int(os.environ.get("NOMARR_CHAOS_KILLS", "100"))
FILES, COVERS = 60, 20
SECONDS = 4.0
"""Long enough for a fingerprint."""
WORKERS = 2
IN_WORK = 2
"""Files that each worker may have to hear again: one was heard and not stored yet, the next one was being heard."""
SAID = "enriching\n"


class Shelf:
    """A music folder with a database, whose files get other sounds and covers."""

    def __init__(self, folder: Path, rng: random.Random, tools: Tools) -> None:
        self._rng = rng
        self._tools = tools
        self.root = folder / "Music"
        self.database = folder / "nomarr.db"
        self._sounds = self._pictures = 0
        for number in range(FILES):
            (self.root / str(number % 5)).mkdir(parents=True, exist_ok=True)
            self._change(number)

    def change(self) -> int:
        """Give some files another sound; how many."""
        changed = self._rng.sample(range(FILES), self._rng.randint(FILES // 2, FILES))
        for number in changed:
            self._change(number)
        return len(changed)

    def _change(self, number: int) -> None:
        self._sounds += 1
        if self._sounds % (FILES // COVERS) == 1:
            self._pictures += 1
        path = self.root / str(number % 5) / f"{number}.wav"
        path.write_bytes(song(self._sounds, SECONDS))
        embed(path, picture(self._pictures, 250))

    @property
    def covers(self) -> CoverStore:
        return CoverStore(self.database.with_name(f"{self.database.name}-data") / "covers")

    @contextmanager
    def enriching(self) -> Iterator[subprocess.Popen[str]]:
        """A program that scans and enriches; killed at the end of the block."""
        command = [sys.executable, str(PROGRAM), str(self.database), str(self.root)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
            try:
                yield program
            finally:
                program.kill()
                program.wait()
        # Its workers end by themselves, and fpcalc is done soon.
        self._tools.wait_until_gone()


class Run:
    """Kills until there have been enough, and what has to be true after each time that all was done."""

    def __init__(self, folder: Path, tools: Tools, rng: random.Random) -> None:
        self.shelf = Shelf(folder, rng, tools)
        self.tally: Counter[str] = Counter()
        self._tools = tools
        self._rng = rng
        self._seconds = 1.0
        """How long a whole enrichment takes, as far as we know."""

    def until(self, kills: int) -> None:
        changed = FILES
        while self.tally["kills"] < kills:
            self._work_off(changed, self._rng.randint(2, 7))
            wait_for_another_timestamp(self.shelf.root)
            changed = self.shelf.change()

    def _work_off(self, changed: int, kills: int) -> None:
        """Enrich what changed in spite of so many kills."""
        self._tools.forget_calls()
        killed = sum(self._kill_one() for _ in range(kills))
        self._complete()
        assert len(set(self._tools.calls(FPCALC))) == changed, "each file that changed was heard"
        heard = self._tools.answers()
        assert heard <= changed + killed * WORKERS * IN_WORK, f"{heard} for {changed} files and {killed} kills"
        self.tally["heard again"] += heard - changed
        self.tally["heard"] += changed
        self._check()

    def _kill_one(self) -> bool:
        """False if it was done before that."""
        with self.shelf.enriching() as program:
            assert program.stdout is not None
            if self._rng.random() < 0.85:
                assert program.stdout.readline() == SAID
                # The first part of it is the quick step, in which covers are written.
                time.sleep(self._rng.random() ** 2 * self._seconds)
            else:
                time.sleep(self._rng.random())
            program.kill()
            was_done = "done" in program.stdout.read()
        assert integrity(self.shelf.database) == [] if self.shelf.database.exists() else True
        self.tally["kills"] += not was_done
        self.tally["orphans"] += len(set(self.shelf.covers.ids()) - self._used())
        return not was_done

    def _complete(self) -> None:
        with self.shelf.enriching() as program:
            assert program.stdout is not None
            assert program.stdout.readline() == SAID
            began = time.monotonic()
            assert program.stdout.read() == "done\n"
            assert program.wait() == 0
            self._seconds = max(0.5, 0.7 * self._seconds + 0.3 * (time.monotonic() - began))

    def _check(self) -> None:
        found = rows(self.shelf.database, "SELECT processing_status, last_error, due_at FROM library_files")
        assert len(found) == FILES
        assert {tuple(row.values()) for row in found} == {("complete", None, None)}
        heard = rows(self.shelf.database, "SELECT 1 FROM enrichment WHERE fingerprint_seconds IS NOT NULL")
        assert len(heard) == FILES
        assert rows(self.shelf.database, "SELECT * FROM enrichment_lease") == []
        assert rows(self.shelf.database, "SELECT * FROM loose_covers") == []
        covers, used = self.shelf.covers, self._used()
        assert set(covers.ids()) == used, "no cover is without a file, and none is missing"
        assert all(is_whole(covers, cover_id) for cover_id in used)
        kept = [path for path in (self.shelf.database.parent / "nomarr.db-data").rglob("*") if path.is_file()]
        assert len(kept) == len(used) * (1 + len(THUMBNAIL_SIZES))
        assert integrity(self.shelf.database) == []

    def _used(self) -> set[str]:
        if not self.shelf.database.exists():
            return set()
        tables = rows(self.shelf.database, "SELECT 1 FROM sqlite_master WHERE name = 'loose_covers'")
        query = "SELECT DISTINCT cover_id FROM enrichment WHERE cover_id IS NOT NULL"
        return {row["cover_id"] for row in rows(self.shelf.database, query)} if tables else set()


@pytest.fixture
def killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    if shutil.which(FPCALC) is None:
        pytest.skip("fpcalc is missing")
    tools = Tools(tmp_path / "tools", monkeypatch)
    tools.wrap_and_note_answers()
    return Run(tmp_path, tools, random.Random(SEED))


def report(run: Run) -> None:
    figures = ", ".join(f"{name} {run.tally[name]}" for name in ("kills", "orphans", "heard", "heard again"))
    print(f"\n{figures}, seed {SEED}")


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_killed_enrichment_goes_on(killed: Run) -> None:
    killed.until(CI_KILLS)
    report(killed)


@pytest.mark.chaos
@pytest.mark.timeout(1800)
def test_enrichment_killed_many_times_goes_on(killed: Run) -> None:
    killed.until(CHAOS_KILLS)
    report(killed)
    assert killed.tally["orphans"] > 0, "no kill ever left a cover behind: these tests test nothing"
