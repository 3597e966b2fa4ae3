"""Scans over HTTP."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest
from api_kit import Api, all_of, running_api, until
from support.music import tone, tones
from support.system import Disk, Gate

from nomarr import Library, Nomarr, ScanTarget
from nomarr.interfaces.api import scan_requests_if
from nomarr.interfaces.api.cursors_if import cursor_of, cursor_of_path
from nomarr.interfaces.api.options_if import ServiceOptions

LIBRARIES = "/api/v1/libraries"
REQUESTS = "/api/v1/scan-requests"
SCANS = "/api/v1/scans"


async def test_an_unknown_library_has_no_scans(api: Api, library: Library) -> None:
    await api.scan(library.library_id)
    for path in (SCANS, REQUESTS):
        problem = await api.problem("GET", path, params={"library_id": "other"})
        assert (problem["status"], problem["error"]) == (404, "LibraryNotFound")


async def test_a_scan_request_outlives_its_library(api: Api, library: Library) -> None:
    request = await api.scan(library.library_id)
    of_it = {"library_id": library.library_id}
    await api.ask("DELETE", f"{LIBRARIES}/{library.library_id}")
    assert (await api.get(REQUESTS, params=of_it))["items"] == [request]
    assert (await api.problem("GET", SCANS, params=of_it))["status"] == 404


async def test_a_scan_is_asked_for_followed_and_remembered(api: Api, library: Library) -> None:
    answer = await api.client.post(f"{LIBRARIES}/{library.library_id}/scans", json={})
    assert answer.status_code == 202
    assert await api.get(answer.headers["location"])
    request = await api.ended(answer.json())
    assert (request["state"], request["error"]) == ("completed", None)
    assert request["report"]["files_added"] == 3
    (run,) = (await api.get(SCANS, params={"library_id": library.library_id}))["items"]
    assert run["report"] == request["report"]
    known = await api.get(REQUESTS)
    assert [one["request_id"] for one in known["items"]] == [request["request_id"]]


async def test_scans_that_ended_leave_no_task(api: Api, nomarr: Nomarr, library: Library) -> None:
    await api.scan(library.library_id)
    await api.scan(library.library_id)
    assert [task.name for task in nomarr.tasks.list() if task.name.startswith("scan request")] == []


async def test_folders_are_scanned_alone(api: Api, library: Library) -> None:
    request = await api.scan(library.library_id, folders=[{"folder_path": "Jazz"}])
    assert request["report"]["files_added"] == 1
    assert request["targets"] == [{"folder_path": "Jazz", "recursive": True}]


async def test_a_dry_run_writes_nothing(api: Api, library: Library) -> None:
    request = await api.scan(library.library_id, dry_run=True)
    assert (request["report"]["files_added"], request["report"]["dry_run"]) == (3, True)
    assert (await api.get(f"{LIBRARIES}/{library.library_id}"))["files"] == 0


async def test_a_full_scan_reads_everything_again(api: Api, library: Library) -> None:
    await api.scan(library.library_id)
    assert (await api.scan(library.library_id))["report"]["files_processed"] == 0
    assert (await api.scan(library.library_id, full=True))["report"]["files_processed"] == 3


@pytest.mark.parametrize("folder", ["..", "/etc", "a//b", "Rock/../.."])
async def test_a_folder_outside_of_the_library_is_refused(api: Api, library: Library, folder: str) -> None:
    wish = {"folders": [{"folder_path": folder}]}
    problem = await api.problem("POST", f"{LIBRARIES}/{library.library_id}/scans", wish)
    assert (problem["status"], problem["error"]) == (422, "InvalidPath")


async def test_a_library_that_is_away_is_told(api: Api, library: Library) -> None:
    await api.scan(library.library_id)
    shutil.rmtree(library.root_path)
    request = await api.scan(library.library_id)
    assert request["state"] == "offline"
    assert "offline" in request["error"]
    assert (await api.get(f"{LIBRARIES}/{library.library_id}"))["state"] == "offline"


async def test_nothing_is_known_of_other_scans(api: Api, library: Library) -> None:
    for method, path in (
        ("GET", "/api/v1/scan-requests/x"),
        ("POST", "/api/v1/scan-requests/x/cancel"),
        ("POST", f"{LIBRARIES}/x/scans"),
        ("GET", f"{LIBRARIES}/x/scan"),
        ("POST", f"{LIBRARIES}/x/scan/cancel"),
        ("GET", f"{LIBRARIES}/x/held-back-losses"),
        ("POST", f"{LIBRARIES}/x/held-back-losses/accept"),
        ("POST", f"{LIBRARIES}/x/held-back-losses/discard"),
    ):
        assert (await api.problem(method, path, {} if path.endswith("scans") else None))["status"] == 404
    idle = await api.get(f"{LIBRARIES}/{library.library_id}/scan")
    assert (idle["running"], idle["progress"]) == (False, None)


@pytest.fixture
async def endless(database: Path, options: ServiceOptions) -> AsyncIterator[tuple[Api, Nomarr]]:
    """A service that waits a minute for new files to settle."""
    async with Nomarr.open(f"sqlite:///{database}", settle_seconds=60) as nomarr, running_api(nomarr, options) as api:
        yield api, nomarr


@pytest.mark.parametrize("by_request", [True, False])
async def test_a_scan_is_cancelled(
    endless: tuple[Api, Nomarr], music_tree: Callable[..., Path], by_request: bool
) -> None:
    api, nomarr = endless
    library = await nomarr.libraries.add_library("Music", music_tree({"a.wav": tone(200)}))
    url = f"{LIBRARIES}/{library.library_id}"
    request = await api.ask("POST", f"{url}/scans", {"full": True})

    async def is_in_the_history() -> bool:
        return bool((await api.get(SCANS))["items"])

    # One that is cancelled before it has its lease is no run.
    await until(is_in_the_history)
    running = await api.get(f"{url}/scan")
    assert (running["running"], running["full"], running["targets"]) == (
        True,
        True,
        [{"folder_path": "", "recursive": True}],
    )
    assert running["progress"]["phase"]
    await api.ask(
        "POST", f"/api/v1/scan-requests/{request['request_id']}/cancel" if by_request else f"{url}/scan/cancel"
    )
    assert (await api.ended(request))["state"] == "cancelled"
    assert (await api.get(SCANS))["items"][0]["state"] == "cancelled"


@dataclass
class Held:
    """A library with a scan that does not get on until the gate is open."""

    api: Api
    library: Library
    gate: Gate

    async def asked(self, *folders: str, **wish: Any) -> dict[str, Any]:
        """A scan request; the whole library without folders."""
        wish |= {"folders": [{"folder_path": folder} for folder in folders]}
        request: dict[str, Any] = await self.api.ask("POST", f"{LIBRARIES}/{self.library.library_id}/scans", wish)
        return request

    async def cancel(self, request: dict[str, Any]) -> None:
        await self.api.ask("POST", f"/api/v1/scan-requests/{request['request_id']}/cancel")

    async def state(self, request: dict[str, Any]) -> str:
        state: str = (await self.api.get(f"/api/v1/scan-requests/{request['request_id']}"))["state"]
        return state

    async def files(self) -> int:
        files: int = (await self.api.get(f"{LIBRARIES}/{self.library.library_id}"))["files"]
        return files


@pytest.fixture
async def held(api: Api, nomarr: Nomarr, disk: Disk, music_tree: Callable[..., Path]) -> AsyncIterator[Held]:
    """The scan that runs is of the folder `Slow`, and nobody asked for it over HTTP."""
    root = music_tree({"Slow": {"a.wav": tone(200)}, "X": {"b.wav": tone(210)}, "Y": {"c.wav": tone(220)}})
    library = await nomarr.libraries.add_library("Music", root)
    gate = Gate()
    disk.before_listing(root / "Slow", gate.pass_through)
    await nomarr.libraries.start_scan_for_library(library.library_id, [ScanTarget(library.library_id, "Slow")])
    await gate.wait_for(1)
    try:
        yield Held(api, library, gate)
    finally:
        gate.open()


async def test_who_cancels_a_scan_that_waits_takes_it_from_nobody_else(held: Held) -> None:
    cancelled, other = await held.asked("X"), await held.asked("Y")
    await held.cancel(cancelled)
    assert [await held.state(cancelled), await held.state(other)] == ["cancelled", "waiting"]
    await held.cancel(cancelled)
    held.gate.open()
    ended = await held.api.ended(other)
    assert (ended["state"], ended["report"]["files_added"]) == ("completed", 1)
    request = await held.api.get(f"/api/v1/scan-requests/{cancelled['request_id']}")
    assert (request["state"], request["report"], request["error"]) == ("cancelled", None, None)


async def test_what_nobody_wants_any_more_is_left_out(held: Held, nomarr: Nomarr) -> None:
    everything, twice = await held.asked(), [await held.asked("X"), await held.asked("X")]
    other = await held.asked("Y")
    await held.cancel(everything)
    await held.cancel(twice[0])
    held.gate.open()
    assert (await held.api.ended(other))["report"]["files_added"] == 2
    newest = (await nomarr.libraries.list_scans(held.library.library_id))[0]
    assert [target.folder_path for target in newest.targets] == ["X", "Y"]


async def test_a_scan_that_waits_is_not_begun_once_nobody_wants_it(held: Held, nomarr: Nomarr) -> None:
    requests = [await held.asked("X"), await held.asked("Y"), await held.asked("X", full=True)]
    for request in requests:
        await held.cancel(request)
    assert [await held.state(request) for request in requests] == ["cancelled"] * 3
    assert nomarr.libraries.queue_lengths() == (1, 0)
    later = await held.asked("X")
    held.gate.open()
    assert (await held.api.ended(later))["report"]["files_added"] == 1
    runs = [run.targets for run in await nomarr.libraries.list_scans(held.library.library_id)]
    assert [[target.folder_path for target in targets] for targets in runs] == [["X"], ["Slow"]]


async def test_who_cancels_a_scan_that_runs_takes_it_from_nobody_else(held: Held, disk: Disk, nomarr: Nomarr) -> None:
    gate = Gate()
    disk.before_listing(Path(held.library.root_path) / "X", gate.pass_through)
    cancelled, other = await held.asked("X"), await held.asked("X")
    held.gate.open()
    await gate.wait_for(1)
    assert [await held.state(cancelled), await held.state(other)] == ["running", "running"]
    await held.cancel(cancelled)
    assert [await held.state(cancelled), await held.state(other)] == ["cancelled", "running"]
    gate.open()
    assert (await held.api.ended(other))["report"]["files_added"] == 1
    assert await held.state(cancelled) == "cancelled"
    assert [task.name for task in nomarr.tasks.list() if task.name.startswith("scan request")] == []


async def test_a_scan_that_runs_is_cancelled_once_nobody_wants_it(held: Held, disk: Disk) -> None:
    gate = Gate()
    disk.before_listing(Path(held.library.root_path) / "X", gate.pass_through)
    requests = [await held.asked("X"), await held.asked("X")]
    held.gate.open()
    await gate.wait_for(1)
    for request in (*requests, *requests):
        await held.cancel(request)
    with anyio.fail_after(5):
        assert [(await held.api.ended(request))["state"] for request in requests] == ["cancelled"] * 2
    gate.open()
    assert (await held.api.get(SCANS))["items"][0]["state"] == "cancelled"
    assert await held.files() == 1


async def test_the_progress_of_a_cancelled_request_stays_where_it_was(held: Held) -> None:
    cancelled, other = await held.asked("X"), await held.asked("X")
    await held.cancel(cancelled)
    held.gate.open()
    assert (await held.api.ended(other))["progress"]["files_done"] == 1
    request = await held.api.get(f"/api/v1/scan-requests/{cancelled['request_id']}")
    assert request["progress"] == cancelled["progress"]


@pytest.mark.parametrize("limit", [1, 2, 5, 100])
async def test_pages_hold_every_request_once_and_the_newest_first(held: Held, limit: int) -> None:
    asked = [(await held.asked("X"))["request_id"] for _ in range(5)]
    of_it = {"library_id": held.library.library_id, "limit": limit}
    assert [item["request_id"] async for item in all_of(held.api, REQUESTS, **of_it)] == asked[::-1]


@pytest.mark.parametrize("limit", [1, 2, 5, 100])
async def test_pages_hold_every_scan_once_and_the_newest_first(api: Api, library: Library, limit: int) -> None:
    ended = [(await api.scan(library.library_id))["report"]["scan_id"] for _ in range(5)]
    pages = all_of(api, SCANS, library_id=library.library_id, limit=limit)
    assert [run["scan_id"] async for run in pages] == ended[::-1]


async def test_a_cursor_of_another_list_is_refused(api: Api, library: Library) -> None:
    for _ in range(2):
        await api.scan(library.library_id)
    of_requests = (await api.get(REQUESTS, params={"limit": 1}))["next_cursor"]
    problem = await api.problem("GET", SCANS, params={"cursor": of_requests})
    assert (problem["status"], problem["error"]) == (422, "CursorNotValid")


async def test_a_request_that_comes_meanwhile_moves_no_page(held: Held) -> None:
    asked = [(await held.asked("X"))["request_id"] for _ in range(3)]
    first = await held.api.get(REQUESTS, params={"limit": 2})
    await held.asked("Y")
    rest = await held.api.get(REQUESTS, params={"limit": 2, "cursor": first["next_cursor"]})
    assert ([item["request_id"] for item in rest["items"]], rest["next_cursor"]) == (asked[:1], None)


@pytest.mark.parametrize("cursor", ["x", "é", cursor_of_path("1", "playlists"), cursor_of((1, "id"), "files by size")])
async def test_a_list_of_requests_takes_its_own_cursors_only(api: Api, cursor: str) -> None:
    assert (await api.problem("GET", REQUESTS, params={"cursor": cursor}))["error"] == "CursorNotValid"


async def test_a_list_tells_the_first_targets_of_a_request_and_how_many_there_are(held: Held) -> None:
    request = await held.asked(*(f"{number:04}" for number in range(1000)))
    assert (len(request["targets"]), request["target_count"]) == (1000, 1000)
    assert await held.api.get(f"{REQUESTS}/{request['request_id']}") == request
    (listed,) = (await held.api.get(REQUESTS))["items"]
    assert listed == request | {"targets": request["targets"][:10]}


async def test_requests_that_wait_are_limited(held: Held) -> None:
    requests = [await held.asked("X") for _ in range(200)]
    url = f"{LIBRARIES}/{held.library.library_id}/scans"
    problem = await held.api.problem("POST", url, {})
    assert (problem["status"], problem["error"]) == (429, "TooManyScanRequests")
    await held.cancel(requests[7])
    assert (await held.asked("Y"))["state"] == "waiting"
    assert (await held.api.problem("POST", url, {}))["status"] == 429


async def test_requests_that_come_at_the_same_time_are_limited_too(held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan_requests_if, "_KEPT", 3)
    url = f"{LIBRARIES}/{held.library.library_id}/scans"
    codes: list[int] = []

    async def ask(folder: str) -> None:
        codes.append((await held.api.client.post(url, json={"folders": [{"folder_path": folder}]})).status_code)

    async with anyio.create_task_group() as tasks:
        for number in range(8):
            tasks.start_soon(ask, str(number))
    assert sorted(codes) == [202] * 3 + [429] * 5


@pytest.fixture
async def losses(api: Api, nomarr: Nomarr, music_tree: Callable[..., Path]) -> str:
    """The URL of a library whose last scan has held back 60 losses."""
    root = music_tree({"gone": tones(60), "here": tones(60, first=300)})
    library = await nomarr.libraries.add_library("Music", root)
    await api.scan(library.library_id)
    shutil.rmtree(root / "gone")
    assert (await api.scan(library.library_id))["report"]["files_held_back"] == 60
    return f"{LIBRARIES}/{library.library_id}"


async def test_losses_that_are_held_back_are_accepted(api: Api, losses: str) -> None:
    held = await api.get(f"{losses}/held-back-losses")
    assert (held["files"], held["sightings"]) == (60, 1)
    request = await api.ended(await api.ask("POST", f"{losses}/held-back-losses/accept"))
    assert request["report"]["files_missing"] == 60
    assert (await api.get(f"{losses}/held-back-losses"))["files"] == 0
    assert (await api.get(losses))["missing"] == 60


async def test_losses_that_are_held_back_are_discarded(api: Api, losses: str) -> None:
    await api.ask("POST", f"{losses}/held-back-losses/discard")
    assert (await api.get(f"{losses}/held-back-losses"))["files"] == 0
    library = await api.get(losses)
    assert (library["files"], library["missing"]) == (120, 0)
