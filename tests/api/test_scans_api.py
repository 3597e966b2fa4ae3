"""Scans over HTTP."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from api_kit import Api, running_api, until
from support.music import tone, tones

from nomarr import Library, Nomarr
from nomarr.interfaces.api.options_if import ServiceOptions

LIBRARIES = "/api/v1/libraries"


async def test_a_scan_is_asked_for_followed_and_remembered(api: Api, library: Library) -> None:
    answer = await api.client.post(f"{LIBRARIES}/{library.library_id}/scans", json={})
    assert answer.status_code == 202
    assert await api.get(answer.headers["location"])
    request = await api.ended(answer.json())
    assert (request["state"], request["error"]) == ("completed", None)
    assert request["report"]["files_added"] == 3
    (run,) = await api.get("/api/v1/scans", params={"library_id": library.library_id})
    assert run["report"] == request["report"]
    assert [known["request_id"] for known in await api.get("/api/v1/scan-requests")] == [request["request_id"]]


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

    async def is_running() -> bool:
        return bool((await api.get(f"{url}/scan"))["running"])

    await until(is_running)
    running = await api.get(f"{url}/scan")
    assert (running["full"], running["targets"]) == (True, [{"folder_path": "", "recursive": True}])
    assert running["progress"]["phase"]
    await api.ask(
        "POST", f"/api/v1/scan-requests/{request['request_id']}/cancel" if by_request else f"{url}/scan/cancel"
    )
    assert (await api.ended(request))["state"] == "cancelled"
    assert (await api.get("/api/v1/scans"))[0]["state"] == "cancelled"


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
