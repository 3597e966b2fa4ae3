"""The processes that read tags: they start anywhere, work for one scan, and leave nothing behind."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import anyio
import psutil
import pytest
from support.music import tones
from support.scans import present, scan

from nomarr import Nomarr, ScanReport

pytestmark = pytest.mark.slow

ENOUGH = 520
"""So many files are worth starting processes for."""

SCRIPT = """
    # As people write it the first time: nothing keeps a second process from running all of it again.
    import asyncio, sys
    from nomarr import Nomarr, ScanTarget

    async def main():
        async with Nomarr.open("sqlite:///" + sys.argv[1], settle_seconds=0, tag_workers=2) as nomarr:
            library = await nomarr.libraries.add_library("Music", sys.argv[2])
            report = await nomarr.libraries.scan_targets([ScanTarget(library.library_id)])
            print("added", report.files_added)

    print("begin")
    asyncio.run(main())
"""


@pytest.fixture
def music(music_tree: Callable[..., Path]) -> Path:
    return music_tree(tones(ENOUGH))


def test_a_script_without_a_main_guard_runs_once(music: Path, database: Path, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT))
    database.parent.mkdir()
    answer = subprocess.run(
        [sys.executable, str(script), str(database), str(music)], capture_output=True, text=True, timeout=60
    )
    assert (answer.stdout.split("\n"), answer.stderr) == (["begin", f"added {ENOUGH}", ""], "")


async def test_nothing_of_the_current_folder_is_imported(
    music: Path, nomarr: Nomarr, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("pickle.py", "mutagen.py", "sitecustomize.py"):
        (music / name).write_text("raise SystemExit('imported from a folder with music')")
    monkeypatch.chdir(music)
    library = await nomarr.libraries.add_library("Music", music)
    assert (await scan(nomarr, library)).files_failed == 0
    assert len(await present(nomarr, library)) == ENOUGH


async def test_no_process_is_left_when_the_scan_has_ended(music: Path, nomarr: Nomarr) -> None:
    seen: set[int] = set()
    report = await scan_beside(nomarr, music, lambda child: seen.add(child.pid))
    assert report.files_added == ENOUGH
    assert seen, "no process was started"
    assert not seen & set(psutil.pids())


@pytest.mark.parametrize("executable", ["/nowhere/python", "/bin/false"])
async def test_without_processes_the_files_are_read_all_the_same(
    music: Path, nomarr: Nomarr, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, executable: str
) -> None:
    monkeypatch.setattr(sys, "executable", executable)
    library = await nomarr.libraries.add_library("Music", music)
    report = await scan(nomarr, library)
    assert (report.files_added, report.files_failed) == (ENOUGH, 0)
    assert [record.getMessage() for record in caplog.records if "no process" in record.getMessage()]


async def test_a_worker_that_is_killed_costs_no_file(music: Path, nomarr: Nomarr) -> None:
    killed: set[int] = set()

    def kill_one(child: psutil.Process) -> None:
        if not killed:
            killed.add(child.pid)
            child.kill()

    report = await scan_beside(nomarr, music, kill_one)
    assert killed, "no process was started"
    assert (report.files_added, report.files_failed) == (ENOUGH, 0)


def workers() -> list[psutil.Process]:
    """The processes of this one that read tags; others belong to other tests."""
    found = []
    for child in psutil.Process().children():
        with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            if any("answer_requests" in argument for argument in child.cmdline()):
                found.append(child)
    return found


async def scan_beside(nomarr: Nomarr, music: Path, on_worker: Callable[[psutil.Process], object]) -> ScanReport:
    """Scan, and show every worker process that is seen meanwhile."""

    async def look() -> None:
        while True:
            for child in workers():
                on_worker(child)
            await anyio.sleep(0.005)

    library = await nomarr.libraries.add_library("Music", music)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(look)
        report = await scan(nomarr, library)
        tasks.cancel_scope.cancel()
    return report
