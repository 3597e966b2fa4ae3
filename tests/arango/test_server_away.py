"""The server goes away, and comes back: Nomarr says so, does not hammer at its door, and goes on by itself."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from support.arango import ArangoDouble
from support.arango.faults import LOGIN_REFUSED, UNAVAILABLE, Away, Fault, LostAnswer, no_faults
from support.arango.requests import Request
from support.disk import assert_equal
from support.music import tone, tones
from support.patience import promised
from support.scans import happened, present, scan

from nomarr import DatabaseError, DatabaseNotReachable, Library, LibraryState, Nomarr, ScanProgress, WatcherState
from nomarr.helpers.dto.scan import ScanPhase
from nomarr.persistence.database.queries import SCAN_COMPLETED, SCAN_STARTED
from nomarr.persistence.db import Database
from nomarr.services.domain import library_svc

IMPATIENT = "?read_seconds=5&patience_seconds=0.3&opening_seconds=0.3"
PATIENT = "?read_seconds=5&patience_seconds=20&opening_seconds=0.3"
SOON = 15.0


@asynccontextmanager
async def opened(server: ArangoDouble, folder: Path, options: str, **more: bool) -> AsyncIterator[Nomarr]:
    url = server.database_url() + options
    settings = {"settle_seconds": 0, "tag_workers": 1, "watcher_debounce_seconds": 0.1}
    async with Nomarr.open(url, **more, **settings, data_folder=str(folder / "data")) as nomarr:
        yield nomarr


async def until(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(SOON):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event of its own
            await anyio.sleep(0.01)


# -- at the start -------------------------------------------------------------------------------------------------


def test_a_server_that_is_away_is_told_of_soon(server: ArangoDouble) -> None:
    server.stop()
    began = time.monotonic()
    with pytest.raises(DatabaseNotReachable, match=r"127\.0\.0\.1.* does not answer .*check that the server runs"):
        Database.open(server.database_url() + IMPATIENT)
    assert time.monotonic() - began < 3


def test_a_wrong_password_is_told_at_once_and_not_shown(server: ArangoDouble) -> None:
    url = server.database_url().replace(":secret@", ":hidden-word@")
    with pytest.raises(DatabaseError, match="refused the user or the password") as caught:
        Database.open(url)
    assert "hidden-word" not in f"{caught.value!r} {caught.value}"
    assert len(server.log) == 1


async def test_whoever_may_wait_opens_when_the_server_comes(
    server: ArangoDouble, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server.stop()
    return_of_the_server = threading.Timer(0.8, server.start)
    return_of_the_server.start()
    with anyio.fail_after(SOON):
        async with opened(server, tmp_path, IMPATIENT, wait_for_server=True) as nomarr:
            assert await nomarr.libraries.list_libraries() == []
    return_of_the_server.join()
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert told
    assert all("waiting for the database" in line and "secret" not in line for line in told)


async def test_a_file_that_is_no_database_is_not_waited_for(tmp_path: Path) -> None:
    with pytest.raises(DatabaseNotReachable):
        async with Nomarr.open(f"sqlite:///{tmp_path}", wait_for_server=True):
            pass


# -- during a scan ------------------------------------------------------------------------------------------------


def away_at(number: int, seconds: float) -> Callable[[Request], Fault | None]:
    """The server goes away when it is asked for the `number`th time from now."""
    asked = iter(range(1, number + 1))
    return lambda request: Away(seconds) if next(asked, None) == number else None


async def test_a_scan_outlasts_a_restart_of_the_server(
    server: ArangoDouble, tmp_path: Path, music_tree: Callable[..., Path]
) -> None:
    root = music_tree({"A": tones(30), "B": tones(30)})
    async with opened(server, tmp_path, PATIENT) as nomarr:
        library = await nomarr.libraries.add_library("music", root)
        server.faults = away_at(6, 0.5)
        report = await scan(nomarr, library)
        server.wait_until_back()
        assert report.files_added == 60
        await assert_equal(nomarr, library)


async def test_a_scan_that_can_not_outlast_it_stops_and_the_next_one_goes_on(
    server: ArangoDouble, tmp_path: Path, music_tree: Callable[..., Path]
) -> None:
    root = music_tree({"A": tones(30), "B": tones(30)})
    async with opened(server, tmp_path, IMPATIENT) as nomarr:
        library = await nomarr.libraries.add_library("music", root)
        server.faults = away_at(6, 2.0)
        with pytest.raises(DatabaseNotReachable):
            await scan(nomarr, library)
        server.wait_until_back()
        report = await scan(nomarr, library)
        await assert_equal(nomarr, library)
    assert report.files_scanned == 60


@pytest.mark.parametrize(("query", "fault"), [(SCAN_COMPLETED, LOGIN_REFUSED), (SCAN_STARTED, LostAnswer())])
async def test_a_lease_that_could_not_be_given_back_holds_up_nobody_here(
    server: ArangoDouble, tmp_path: Path, music_tree: Callable[..., Path], query: str, fault: Fault
) -> None:
    root = music_tree({"A": tones(3)})
    async with opened(server, tmp_path, IMPATIENT) as nomarr:
        library = await nomarr.libraries.add_library("music", root)
        server.faults = lambda request: fault if request.query == query else None
        with pytest.raises(DatabaseError):
            await scan(nomarr, library)
        server.faults = no_faults
        assert (await nomarr.libraries.get_library(library.library_id)).state is LibraryState.INTERRUPTED
        (root / "A" / "new.wav").write_bytes(tone(300))
        await scan(nomarr, library)
        assert "A/new.wav" in await present(nomarr, library)


async def test_a_cancelled_scan_does_not_wait_for_the_server(
    server: ArangoDouble, tmp_path: Path, music_tree: Callable[..., Path]
) -> None:
    root = music_tree({"A": tones(30)})
    refused: list[Request] = []

    def refuse(request: Request) -> Fault:
        refused.append(request)
        return UNAVAILABLE

    async def scan_in_vain(nomarr: Nomarr, library: Library) -> None:
        with pytest.raises(DatabaseNotReachable):
            await scan(nomarr, library)

    with anyio.CancelScope() as scope:
        async with opened(server, tmp_path, "?patience_seconds=60") as nomarr, anyio.create_task_group() as tasks:
            library = await nomarr.libraries.add_library("music", root)
            server.faults = refuse
            tasks.start_soon(scan_in_vain, nomarr, library)
            await until(lambda: len(refused) > 2)
            began = time.monotonic()
            scope.cancel()
    assert scope.cancel_called
    assert time.monotonic() - began < promised(5)


# -- during watching ----------------------------------------------------------------------------------------------


async def test_a_file_that_was_still_written_is_looked_at_again_when_the_server_is_back(
    server: ArangoDouble,
    tmp_path: Path,
    music_tree: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(library_svc, "_FOLLOW_UP_SECONDS", (0.3,))
    root = music_tree({"a.wav": tone(440)})

    def go_on(progress: ScanProgress) -> None:
        if progress.phase is ScanPhase.SETTLING:
            (root / "a.wav").write_bytes(tone(441))

    settings = {"settle_seconds": 0.5, "tag_workers": 1, "data_folder": str(tmp_path / "data")}
    async with Nomarr.open(server.database_url() + IMPATIENT, **settings) as nomarr:
        library = await nomarr.libraries.add_library("music", root)
        await scan(nomarr, library, on_progress=go_on)
        (root / "a.wav").write_bytes(tone(442))
        server.faults = lambda request: UNAVAILABLE
        await until(lambda: "looking later at folders" in caplog.text)
        server.faults = no_faults
        with anyio.fail_after(SOON):
            while (await present(nomarr, library))["a.wav"].size != len(tone(442)):  # noqa: ASYNC110 - has no event
                await anyio.sleep(0.01)


async def test_watching_goes_on_by_itself_and_does_not_hammer(
    server: ArangoDouble, tmp_path: Path, music_tree: Callable[..., Path]
) -> None:
    root = music_tree({"A": tones(3)})
    async with opened(server, tmp_path, IMPATIENT) as nomarr:
        library = await nomarr.libraries.add_library("music", root)
        await nomarr.watch_all()
        seen: list[str] = []

        async def follow() -> None:
            async with nomarr.events() as feed:
                async for event in feed:
                    seen.append(event.path)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(follow)
            await until(lambda: nomarr.watcher.status()[0].state is WatcherState.WATCHING and len(seen) == 3)
            server.faults = lambda request: UNAVAILABLE
            server.forget_requests()
            began = time.monotonic()
            (root / "A" / "new.wav").write_bytes(tone(300))
            await until(lambda: "it is tried again" in (nomarr.watcher.status()[0].reason or ""))
            # A rate needs some time to show.
            await anyio.sleep(3.0)
            asked, seconds = len(server.log), time.monotonic() - began
            assert asked < 25 * seconds, f"{asked} requests in {seconds:.1f} s"
            server.faults = no_faults
            await until(lambda: "A/new.wav" in seen)
            await until(lambda: nomarr.watcher.status()[0].reason is None)
            tasks.cancel_scope.cancel()
        assert "A/new.wav" in await present(nomarr, library)
        assert [path for _, path in await happened(nomarr)].count("A/new.wav") == 1


async def test_a_password_that_was_changed_is_told_and_watching_survives_it(
    server: ArangoDouble, tmp_path: Path, music_tree: Callable[..., Path]
) -> None:
    root = music_tree({"A": tones(3)})
    async with opened(server, tmp_path, IMPATIENT) as nomarr:
        await nomarr.libraries.add_library("music", root)
        await nomarr.watch_all()
        await until(lambda: nomarr.watcher.status()[0].state is WatcherState.WATCHING)
        server.faults = lambda request: LOGIN_REFUSED
        (root / "A" / "new.wav").write_bytes(tone(300))
        await until(lambda: "refused the user or the password" in (nomarr.watcher.status()[0].reason or ""))
        server.faults = no_faults
        await until(lambda: nomarr.watcher.status()[0].reason is None)


async def test_the_feed_outlasts_a_refusal_and_loses_nothing(
    server: ArangoDouble, tmp_path: Path, music_tree: Callable[..., Path]
) -> None:
    root = music_tree({"A": tones(3)})
    async with opened(server, tmp_path, IMPATIENT) as nomarr:
        library = await nomarr.libraries.add_library("music", root)
        seen: list[str] = []
        refused: list[Request] = []

        async def follow() -> None:
            async with nomarr.events() as feed:
                async for event in feed:
                    seen.append(event.path)

        def refuse(request: Request) -> Fault:
            refused.append(request)
            return LOGIN_REFUSED

        async with anyio.create_task_group() as tasks:
            server.faults = refuse
            tasks.start_soon(follow)
            await until(lambda: bool(refused))
            server.faults = no_faults
            await scan(nomarr, library)
            await until(lambda: len(seen) == 3)
            tasks.cancel_scope.cancel()
    assert len(refused) == 1
