"""Files that change under the work, scans that come first, other processes, and the end in the middle."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import enrich_once
import pytest
from enrichment_kit import (
    HANGS,
    Tools,
    add,
    assert_covers_are_those_of,
    children,
    cover_files,
    embed,
    picture,
    rows,
    scan_and_enrich,
    sound,
    statuses,
)
from support.music import tone
from support.owners import owner_elsewhere
from support.patience import promised
from support.scans import missing, scan
from support.system import until

from nomarr import Config, Library, Nomarr, ScanTarget
from nomarr.helpers.dto.enrichment import DueWork, EnrichmentOptions, EnrichmentProgress, EnrichmentState
from nomarr.helpers.dto.scan import Lease, ScanRunState
from nomarr.helpers.exceptions import EnrichmentBusy
from nomarr.services.infrastructure.enrichment_svc import EnrichmentService

ENRICH_ONCE = str(Path(enrich_once.__file__))
SOON_SECONDS = promised(1)


class Gate:
    """Holds fpcalc back, for as long as it is closed."""

    def __init__(self, tools: Tools, folder: Path) -> None:
        self._open = folder / "open"
        tools.wrap(do=f"while [ ! -e '{self._open}' ]; do sleep 0.02; done")

    def open(self) -> None:
        self._open.touch()


@pytest.fixture
def gate(tools: Tools, tmp_path: Path) -> Gate:
    return Gate(tools, tmp_path)


# -- files ----------------------------------------------------------------------------------------------------


async def test_a_run_ends_although_what_it_can_not_do_becomes_due_again(nomarr: Nomarr, root: Path) -> None:
    """Very many files that were deleted without a scan take longer than they have to wait."""
    paths = [root / f"{number}.wav" for number in range(20)]
    for number, path in enumerate(paths):
        path.write_bytes(tone(100 + number))
    await add(nomarr, root)
    for path in paths:
        path.unlink()
    times = itertools.count(time.time(), 10.0)
    options = EnrichmentOptions(str(root.parent / "covers"))
    service = EnrichmentService(nomarr.database, nomarr.tasks, options, times.__next__)
    with anyio.fail_after(20):
        report = await service.run()
    assert (report.files_completed, report.files_failed, report.steps_done) == (0, 0, 20)


async def test_a_file_that_is_gone_while_it_is_heard_has_not_failed(nomarr: Nomarr, root: Path, tools: Tools) -> None:
    tools.wrap(only="*/a.wav", do="""mv "$file" "$file.away"; exit 2""")
    path = sound(root / "a.wav")
    library = await add(nomarr, root)
    assert (await nomarr.enrichment.run()).files_failed == 0
    assert await statuses(nomarr, library) == {"a.wav": "art_done"}
    assert (await nomarr.enrichment.due_work()).later == 1
    path.with_name("a.wav.away").rename(path)


async def test_a_file_that_changes_while_it_is_heard_is_done_again(nomarr: Nomarr, root: Path, tools: Tools) -> None:
    once = root.parent / "once"
    tools.wrap(only="*/a.wav", do=f"""if [ ! -e '{once}' ]; then touch '{once}'; printf more >> "$file"; fi""")
    for number, name in enumerate(("a", "b")):
        sound(root / f"{name}.wav", number)
    library = await add(nomarr, root)
    report = await nomarr.enrichment.run()
    assert (report.files_completed, report.files_failed) == (1, 0)
    before = await rows(nomarr, library)
    assert (before["a.wav"].processing_status, before["a.wav"].fingerprint) == ("art_done", None)
    # It is another file than the one that was scanned: that comes first.
    assert (await nomarr.enrichment.run()).steps_done == 0
    await scan_and_enrich(nomarr, library)
    assert await statuses(nomarr, library) == {"a.wav": "complete", "b.wav": "complete"}
    assert (await rows(nomarr, library))["a.wav"].fingerprint is not None
    assert sorted(tools.calls()) == ["a.wav", "a.wav", "b.wav"]


@pytest.mark.usefixtures("tools")
async def test_a_file_that_changed_since_its_scan_waits_for_the_next(nomarr: Nomarr, root: Path) -> None:
    path = sound(root / "a.flac", 1, picture(1))
    library = await add(nomarr, root)
    embed(path, picture(2))
    await nomarr.enrichment.run()
    assert await statuses(nomarr, library) == {"a.flac": "metadata_done"}
    assert cover_files(nomarr) == []
    due = await nomarr.enrichment.due_work()
    assert due.files == 0
    assert due.next_due_at == pytest.approx(time.time() + 60, abs=10)
    await scan_and_enrich(nomarr, library)
    assert await statuses(nomarr, library) == {"a.flac": "complete"}


async def test_a_file_that_is_deleted_while_it_is_heard(nomarr: Nomarr, root: Path, tools: Tools) -> None:
    tools.wrap(only="*/a.flac", do="""rm "$file" """)
    for number, name in enumerate(("a", "b")):
        sound(root / f"{name}.flac", number, picture(number))
    library = await add(nomarr, root)
    report = await nomarr.enrichment.run()
    assert (report.files_completed, report.files_failed) == (1, 0)
    await scan_and_enrich(nomarr, library)
    assert await nomarr.enrichment.due_work() == DueWork()
    assert await statuses(nomarr, library) == {"b.flac": "complete"}
    [gone] = (await missing(nomarr, library)).values()
    assert gone.cover_id is not None
    # It may come back, and with it what was found.
    sound(root / "a.flac", 0, picture(0))
    tools.wrap()
    await scan_and_enrich(nomarr, library)
    assert await statuses(nomarr, library) == {"a.flac": "complete", "b.flac": "complete"}
    await assert_covers_are_those_of(nomarr, library)


async def test_a_library_that_is_removed_meanwhile_leaves_no_cover(nomarr: Nomarr, root: Path, tools: Tools) -> None:
    tools.hide_all()
    for number in range(80):
        path = root / f"{number}.wav"
        path.write_bytes(tone(100 + number))
        embed(path, picture(number, 300))
    library = await add(nomarr, root)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(nomarr.enrichment.run)
        await until(lambda: bool(cover_files(nomarr)))
        await nomarr.libraries.remove_library(library.library_id)
    assert nomarr.enrichment.progress.state is EnrichmentState.IDLE
    assert cover_files(nomarr) == []


# -- scans ----------------------------------------------------------------------------------------------------


async def scan_lease(nomarr: Nomarr, library: Library) -> Lease:
    """As if another process scanned."""
    lease = await anyio.to_thread.run_sync(
        lambda: nomarr.database.library.mark_scan_started(
            library.library_id,
            "a scan",
            owner_elsewhere(),
            [ScanTarget(library.library_id)],
            now=time.time(),
            lease_seconds=60,
        )
    )
    assert lease is not None
    return lease


async def end_scan(nomarr: Nomarr, lease: Lease) -> None:
    await anyio.to_thread.run_sync(
        lambda: nomarr.database.library.mark_scan_completed(lease, ScanRunState.COMPLETED, now=time.time(), report=None)
    )


def states(nomarr: Nomarr) -> list[EnrichmentState]:
    """What it does, as it goes on."""
    found: list[EnrichmentState] = []

    def note(progress: EnrichmentProgress) -> None:
        if found[-1:] != [progress.state]:
            found.append(progress.state)

    nomarr.enrichment.subscribe(note)
    return found


async def test_nothing_begins_while_a_scan_runs(nomarr: Nomarr, root: Path, tools: Tools) -> None:
    sound(root / "a.flac", 1, picture(1))
    library = await add(nomarr, root)
    lease = await scan_lease(nomarr, library)
    seen = states(nomarr)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(nomarr.enrichment.run)
        await until(lambda: EnrichmentState.PAUSED in seen)
        assert tools.calls() == []
        assert cover_files(nomarr) == []
        await end_scan(nomarr, lease)
    assert await statuses(nomarr, library) == {"a.flac": "complete"}
    running, paused, idle = EnrichmentState.RUNNING, EnrichmentState.PAUSED, EnrichmentState.IDLE
    assert seen == [running, paused, running, idle]


async def test_a_scan_that_starts_meanwhile_comes_first(nomarr: Nomarr, root: Path, tools: Tools, gate: Gate) -> None:
    workers = os.cpu_count() or 1
    names = [f"{number}.flac" for number in range(6 * workers)]
    for number, name in enumerate(names):
        sound(root / name, number)
    library = await add(nomarr, root)
    seen = states(nomarr)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(nomarr.enrichment.run)
        await until(lambda: len(tools.calls()) == workers)
        lease = await scan_lease(nomarr, library)
        gate.open()
        await until(lambda: EnrichmentState.PAUSED in seen)
        # What was begun is finished, and nothing else.
        done = {path for path, status in (await statuses(nomarr, library)).items() if status == "complete"}
        assert done == set(tools.calls())
        assert len(done) < len(names)
        await end_scan(nomarr, lease)
    assert set((await statuses(nomarr, library)).values()) == {"complete"}
    assert sorted(tools.calls()) == sorted(names)


@pytest.mark.usefixtures("tools")
async def test_in_the_background_it_works_off_what_scans_leave(nomarr: Nomarr, root: Path) -> None:
    nomarr.enrichment.start()
    sound(root / "a.flac", 1)
    library = await add(nomarr, root)
    seen = states(nomarr)
    await until(lambda: EnrichmentState.IDLE in seen)
    assert await statuses(nomarr, library) == {"a.flac": "complete"}
    seen.clear()
    sound(root / "b.flac", 2)
    await scan(nomarr, library)
    await until(lambda: EnrichmentState.IDLE in seen)
    assert await statuses(nomarr, library) == {"a.flac": "complete", "b.flac": "complete"}
    await nomarr.enrichment.stop()
    assert children() == []


# -- the end in the middle ------------------------------------------------------------------------------------


async def by_scope(nomarr: Nomarr, is_time: Callable[[], bool]) -> float:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(nomarr.enrichment.run)
        await until(is_time)
        since = time.monotonic()
        tasks.cancel_scope.cancel()
    return time.monotonic() - since


async def by_task(nomarr: Nomarr, is_time: Callable[[], bool]) -> float:
    task = asyncio.create_task(nomarr.enrichment.run())
    await until(is_time)
    since = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    return time.monotonic() - since


async def by_stop(nomarr: Nomarr, is_time: Callable[[], bool]) -> float:
    nomarr.enrichment.start()
    await until(is_time)
    since = time.monotonic()
    await nomarr.enrichment.stop()
    return time.monotonic() - since


HOW = {"scope": by_scope, "task": by_task, "stop": by_stop}
Cancel = Callable[[Nomarr, Callable[[], bool]], Awaitable[float]]


@pytest.fixture(params=HOW)
def cancel(request: pytest.FixtureRequest) -> Cancel:
    return HOW[request.param]


async def assert_lease_is_free(nomarr: Nomarr) -> None:
    """Afterwards everything is as it was: a name on an expired lease tells of an interruption."""
    store, owner = nomarr.database.enrichment, owner_elsewhere()

    def look() -> bool:
        was_interrupted = store.holder() is not None
        taken = store.take_lease(owner, now=time.time(), lease_seconds=60)
        if was_interrupted:
            store.take_lease(owner, now=0.0, lease_seconds=0.0)
        else:
            store.give_lease_back(owner)
        return taken

    assert await anyio.to_thread.run_sync(look)


async def test_cancelled_while_it_listens(nomarr: Nomarr, root: Path, tools: Tools, cancel: Cancel) -> None:
    tools.wrap(do=HANGS)
    for number in range(4):
        sound(root / f"{number}.flac", number, picture(number))
    library = await add(nomarr, root)
    assert await cancel(nomarr, lambda: len(tools.calls()) >= 2) < SOON_SECONDS
    tools.wait_until_gone(SOON_SECONDS / 2)
    assert nomarr.enrichment.progress.state is EnrichmentState.IDLE
    await assert_lease_is_free(nomarr)
    assert set((await statuses(nomarr, library)).values()) == {"art_done"}
    tools.wrap()
    await nomarr.enrichment.run()
    assert set((await statuses(nomarr, library)).values()) == {"complete"}
    await assert_covers_are_those_of(nomarr, library)


async def test_cancelled_while_it_stores_covers(nomarr: Nomarr, root: Path, tools: Tools, cancel: Cancel) -> None:
    for number in range(40):
        path = root / f"{number}.wav"
        path.write_bytes(tone(100 + number))
        embed(path, picture(number, 800))
    library = await add(nomarr, root)
    assert await cancel(nomarr, lambda: bool(cover_files(nomarr))) < SOON_SECONDS
    tools.wait_until_gone(SOON_SECONDS / 2)
    await assert_lease_is_free(nomarr)
    # The covers that were stored for nobody yet are not wanted any more.
    for path in list(await rows(nomarr, library)):
        embed(root / path, None)
    tools.hide_all()
    await scan_and_enrich(nomarr, library)
    assert cover_files(nomarr) == []


async def test_the_end_of_the_program_ends_it(database: Path, root: Path, tools: Tools) -> None:
    tools.wrap(do=HANGS)
    sound(root / "a.flac")
    config = Config(database_url=f"sqlite:///{database}", settle_seconds=0)
    async with Nomarr.open(config) as nomarr:
        await add(nomarr, root)
        nomarr.enrichment.start()
        await until(lambda: bool(tools.calls()))
        since = time.monotonic()
    assert time.monotonic() - since < SOON_SECONDS
    tools.wait_until_gone(SOON_SECONDS / 2)


# -- other processes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("of_file", ["art", "sound"])
async def test_who_lost_the_lease_while_it_worked_stores_nothing_more(
    nomarr: Nomarr, root: Path, tools: Tools, of_file: str
) -> None:
    sound(root / "a.flac", 1, picture(1))
    library = await add(nomarr, root)
    store, other = nomarr.database.enrichment, owner_elsewhere()

    def take_over(progress: EnrichmentProgress) -> None:
        """As if this process had been stopped for longer than its lease."""
        if progress.state is EnrichmentState.RUNNING and progress.step == of_file and store.holder() != str(other):
            assert store.take_lease(other, now=time.time(), lease_seconds=60, dead_owner=store.holder())

    nomarr.enrichment.subscribe(take_over)
    with pytest.raises(EnrichmentBusy) as raised:
        await nomarr.enrichment.run()
    assert raised.value.owner == str(other)
    before = {"art": "metadata_done", "sound": "art_done"}[of_file]
    assert await statuses(nomarr, library) == {"a.flac": before}
    assert store.holder() == str(other)


@pytest.mark.usefixtures("tools")
async def test_one_process_at_a_time(nomarr: Nomarr, root: Path) -> None:
    sound(root / "a.flac", 1, picture(1))
    library = await add(nomarr, root)
    other = owner_elsewhere()
    store = nomarr.database.enrichment
    take = lambda: store.take_lease(other, now=time.time(), lease_seconds=60)  # noqa: E731
    assert await anyio.to_thread.run_sync(take)
    with pytest.raises(EnrichmentBusy) as raised:
        await nomarr.enrichment.run()
    assert raised.value.owner == str(other)
    assert await nomarr.enrichment.remove_unused_covers() == 0
    assert await statuses(nomarr, library) == {"a.flac": "metadata_done"}
    nomarr.enrichment.start()
    await until(lambda: nomarr.enrichment.progress.state is EnrichmentState.BUSY)
    assert nomarr.enrichment.progress.problem == str(raised.value)
    await anyio.to_thread.run_sync(store.give_lease_back, other)
    nomarr.enrichment.wake()
    await until(lambda: nomarr.enrichment.progress.state is EnrichmentState.IDLE)
    assert await statuses(nomarr, library) == {"a.flac": "complete"}


async def test_what_a_dead_process_left_is_taken_over_at_once(
    nomarr: Nomarr, database: Path, root: Path, tools: Tools
) -> None:
    tools.wrap(do=HANGS)
    for number in range(3):
        sound(root / f"{number}.flac", number, picture(number))
    library = await add(nomarr, root)
    with subprocess.Popen(  # noqa: ASYNC220 (its end is not waited for)
        [sys.executable, ENRICH_ONCE, str(database), str(root)], stdout=subprocess.DEVNULL
    ) as other:
        await until(lambda: bool(tools.calls()))
        with pytest.raises(EnrichmentBusy):
            await nomarr.enrichment.run()
        other.send_signal(signal.SIGKILL)
    # It died between storing a cover and saying whose it is.
    orphan = await anyio.to_thread.run_sync(nomarr.enrichment.covers.put, picture(99))
    for process in tools.processes():
        process.kill()
    tools.wait_until_gone()
    tools.wrap()
    since = time.monotonic()
    await nomarr.enrichment.run()
    assert time.monotonic() - since < 10
    assert set((await statuses(nomarr, library)).values()) == {"complete"}
    assert nomarr.enrichment.covers.original(orphan.cover_id) is None
    await assert_covers_are_those_of(nomarr, library)
