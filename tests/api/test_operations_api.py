"""Health, metrics, logs, watchers and settings over HTTP."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from api_kit import Api, running_api, until
from support.music import tone
from support.system import Disk, Gate

from nomarr import Library, Nomarr
from nomarr.helpers.dto.events import ChangeEvent
from nomarr.interfaces.api.event_hub_if import EventHub
from nomarr.interfaces.api.options_if import ServiceOptions
from nomarr.workflows.library import doctor_wf

SETTINGS = "/api/v1/settings"


async def test_a_library_is_watched_as_soon_as_it_is_added(
    nomarr: Nomarr, options: ServiceOptions, tmp_path: Path
) -> None:
    (tmp_path / "music").mkdir()
    (tmp_path / "music" / "a.wav").write_bytes(tone(200))
    async with running_api(nomarr, replace(options, watch=True)) as api:
        library = await api.ask("POST", "/api/v1/libraries", {"name": "Music", "path": str(tmp_path / "music")})

        async def is_watched() -> bool:
            (status,) = await api.get("/api/v1/watcher")
            return status["state"] == "watching" and status["counters"]["scans"] == 1

        await until(is_watched)
        url = f"/api/v1/libraries/{library['library_id']}"
        assert (await api.get(url))["files"] == 1
        assert "nomarr_watched_folders{" in (await api.client.get("/metrics")).text
        await api.ask("PUT", f"{url}/watch-mode", {"watch_mode": "off"})
        assert await api.get("/api/v1/watcher") == []
        await api.ask("PUT", f"{url}/watch-mode", {"watch_mode": "auto"})
        await until(is_watched)
        await api.ask("DELETE", url)
        assert await api.get("/api/v1/watcher") == []


async def test_a_library_that_is_switched_off_and_on_at_once_is_watched(
    nomarr: Nomarr, options: ServiceOptions, library: Library
) -> None:
    async with running_api(nomarr, replace(options, watch=True)) as api:

        async def is_watched() -> bool:
            return [status["state"] for status in await api.get("/api/v1/watcher")] == ["watching"]

        await until(is_watched)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(nomarr.watcher.stop_watching_library, library.library_id)
            while nomarr.watcher.status():
                await anyio.lowlevel.checkpoint()
            await nomarr.watcher.start_watching_library(library.library_id)
        await until(is_watched)


async def test_health_names_what_was_looked_at(api: Api) -> None:
    checks = {check["name"]: check["status"] for check in await api.get("/api/v1/watcher/health")}
    assert checks["database"] == "ok"


async def test_a_disk_that_does_not_answer_is_told_beside_all_else(
    api: Api, library: Library, music_tree: Callable[..., Path], disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor_wf, "LOOK_SECONDS", 0.3)
    other = await api.ask("POST", "/api/v1/libraries", {"name": "Other", "path": str(music_tree({}, "other"))})
    gate = Gate()
    disk.before_listing(Path(library.root_path), gate.pass_through)
    found: list[dict[str, Any]] = []

    async def check() -> None:
        found.append({check["name"]: check for check in await api.get("/api/v1/watcher/health")})

    try:
        with anyio.fail_after(15):
            for _ in range(2):
                async with anyio.create_task_group() as tasks:
                    for _ in range(50):
                        tasks.start_soon(check)
        assert gate.arrived == 1, "threads hang one beside the other"
    finally:
        gate.open()
    assert len(found) == 100
    for checks in found:
        assert checks["library Music"]["status"] == "error"
        assert checks["library Music"]["detail"] == f"this disk does not answer: {library.root_path}"
        assert checks["library Music"]["remedy"] == "check that it is mounted and reachable, then look again"
        assert checks["library Other"]["detail"].startswith(other["root_path"])
        assert checks["covers"]["status"] == "ok"

    async def is_well() -> bool:
        await check()
        return bool(found[-1]["library Music"]["status"] == "ok")

    await until(is_well)


async def test_whoever_leaves_a_health_check_ends_it_for_nobody_else(
    api: Api, nomarr: Nomarr, library: Library, disk: Disk
) -> None:
    gate = Gate()
    disk.before_listing(Path(library.root_path), gate.pass_through)
    found: list[str] = []

    async def check() -> None:
        found.extend(check.name for check in await nomarr.doctor.check_database())

    async with anyio.create_task_group() as tasks:
        async with anyio.create_task_group() as leaving:
            leaving.start_soon(check)
            await gate.wait_for(1)
            tasks.start_soon(check)
            await anyio.lowlevel.checkpoint()
            leaving.cancel_scope.cancel()
        gate.open()
    assert found.count("library Music") == 1


async def test_a_subscriber_that_fails_does_not_end_the_news(api: Api, library: Library) -> None:
    hub: EventHub = api.app.state.service.hub
    heard: list[int] = []

    def fail(_: ChangeEvent) -> None:
        raise ValueError("of the subscriber itself")

    hub.subscribe(fail)
    hub.subscribe(lambda event: heard.append(event.seq))
    await api.scan(library.library_id)

    async def all_are_heard() -> bool:
        return len(heard) == 3

    await until(all_are_heard)
    assert await api.get("/readyz") == {"ready": True}


async def test_a_service_that_passes_no_changes_on_is_not_ready(api: Api, nomarr: Nomarr) -> None:
    assert await api.get("/readyz") == {"ready": True}
    nomarr.tasks.cancel("pass events on")
    await nomarr.tasks.wait("pass events on")
    problem = await api.problem("GET", "/readyz")
    assert (problem["status"], problem["error"]) == (503, "EventsStopped")
    assert await api.get("/healthz") == {"status": "ok"}


async def test_settings_are_changed_at_once_and_kept(nomarr: Nomarr, options: ServiceOptions, library: Library) -> None:
    async with running_api(nomarr, options) as api:
        changed = await api.ask("PATCH", SETTINGS, {"watcher_debounce_seconds": 7.5, "scan_batch_size": 55})
        assert changed["settings"]["watcher_debounce_seconds"] == 7.5
        await api.ask("PATCH", SETTINGS, {"scan_batch_size": 60})
    nomarr.change_settings({"watcher_debounce_seconds": 1, "scan_batch_size": 100})
    async with running_api(nomarr, options) as api:
        kept = (await api.get(SETTINGS))["settings"]
        assert (kept["watcher_debounce_seconds"], kept["scan_batch_size"]) == (7.5, 60)
        await api.scan(library.library_id)
    assert nomarr.config.scan_batch_size == 60


async def test_settings_that_are_changed_at_the_same_time_are_all_kept(nomarr: Nomarr, options: ServiceOptions) -> None:
    changes = {"scan_batch_size": 60, "tag_workers": 5, "settle_seconds": 7, "lease_seconds": 8, "content_hashes": True}
    before = nomarr.config.model_dump(include=set(changes))
    async with running_api(nomarr, options) as api, anyio.create_task_group() as tasks:
        for name, value in changes.items():
            tasks.start_soon(api.ask, "PATCH", SETTINGS, {name: value})
    nomarr.change_settings(before)
    async with running_api(nomarr, options):
        assert nomarr.config.model_dump(include=set(changes)) == changes


async def test_two_services_of_one_database_keep_what_either_of_them_is_told(
    nomarr: Nomarr, options: ServiceOptions
) -> None:
    ones = {"scan_batch_size": 60, "tag_workers": 5, "settle_seconds": 7, "lease_seconds": 8, "content_hashes": True}
    others = {"watcher_poll_seconds": 9, "parallel_libraries": 3, "resume_policy": "never", "enrichment_workers": 2}
    async with (
        Nomarr.open(nomarr.config.database_url) as other,
        running_api(nomarr, options) as api,
        running_api(other, options) as beside,
    ):
        async with anyio.create_task_group() as tasks:
            for told, changes in ((api, ones), (beside, others)):
                for name, value in changes.items():
                    tasks.start_soon(told.ask, "PATCH", SETTINGS, {name: value})
        assert (await api.get(SETTINGS))["overridden"] == sorted(ones | others)
        async with anyio.create_task_group() as tasks:
            for told, changes in ((api, others), (beside, ones)):
                for name in changes:
                    tasks.start_soon(told.ask, "DELETE", f"{SETTINGS}/{name}")
        assert (await api.get(SETTINGS))["overridden"] == []


async def test_settings_that_cannot_be_kept_are_not_changed(api: Api, nomarr: Nomarr) -> None:
    database = nomarr.config.database_url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("CREATE TRIGGER t BEFORE INSERT ON settings BEGIN SELECT RAISE(ABORT, 'no'); END")
    assert (await api.problem("PATCH", SETTINGS, {"scan_batch_size": 60}))["status"] >= 500
    assert nomarr.config.scan_batch_size == 200


async def test_one_setting_that_is_refused_at_the_start_does_not_take_the_others_with_it(
    nomarr: Nomarr, options: ServiceOptions, caplog: pytest.LogCaptureFixture
) -> None:
    nomarr.database.settings.set("service_settings", '{"scan_batch_size": 60, "of_old": 1, "tag_workers": 99}')
    async with running_api(nomarr, options):
        assert nomarr.config.scan_batch_size == 60
    assert nomarr.database.settings.get("service_settings") == '{"scan_batch_size": 60}'
    assert "of_old" in caplog.text
    assert "tag_workers" in caplog.text


UNREADABLE = ["{bad", "[]", "null", "", "[" * 100_000, "9" * 5000]


@pytest.mark.parametrize("text", [*UNREADABLE, '{"purge_missing_after_days": "sometimes", "scan_batch_size": 60}'])
async def test_a_retention_that_can_not_be_read_is_told_until_it_is_chosen_again(
    nomarr: Nomarr, options: ServiceOptions, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    nomarr.database.settings.set("service_settings", text)
    async with running_api(nomarr, options) as api:
        for _ in range(3):
            answer = await api.get(SETTINGS)
            assert "purge_missing_after_days" in answer["unreadable"]
            assert answer["settings"]["purge_missing_after_days"] == "never"
        told = [record.getMessage() for record in caplog.records if "can't be read" in record.getMessage()]
        assert len([line for line in told if "purge_missing_after_days" in line]) == 1
        assert nomarr.database.settings.get("service_settings") == text, "another version may read it"
        (check,) = [one for one in await api.get("/api/v1/watcher/health") if one["name"] == "settings"]
        assert (check["status"], "no missing file is forgotten" in check["detail"]) == ("error", True)
        await api.ask("PATCH", SETTINGS, {"scan_batch_size": 70})
        assert (await api.get(SETTINGS))["settings"]["purge_missing_after_days"] == "never"
    async with running_api(nomarr, options) as api:
        answer = await api.ask("PATCH", SETTINGS, {"purge_missing_after_days": 7})
        assert answer["settings"]["purge_missing_after_days"] == 7
        assert "purge_missing_after_days" not in answer["unreadable"]


@pytest.mark.parametrize("text", UNREADABLE)
async def test_what_can_not_be_read_can_be_given_back(nomarr: Nomarr, options: ServiceOptions, text: str) -> None:
    nomarr.database.settings.set("service_settings", text)
    async with running_api(nomarr, options) as api:
        while unreadable := (await api.get(SETTINGS))["unreadable"]:
            answer = await api.ask("DELETE", f"{SETTINGS}/{unreadable[0]}")
            assert unreadable[0] not in answer["unreadable"]
        assert answer["settings"]["purge_missing_after_days"] == 30
        (check,) = [one for one in await api.get("/api/v1/watcher/health") if one["name"] == "settings"]
        assert check["status"] == "ok"


async def test_what_another_service_gives_back_is_in_force_no_longer(nomarr: Nomarr, options: ServiceOptions) -> None:
    async with (
        Nomarr.open(nomarr.config.database_url) as other,
        running_api(nomarr, options) as api,
        running_api(other, options) as beside,
    ):
        await api.ask("PATCH", SETTINGS, {"purge_missing_after_days": 7})
        await beside.ask("DELETE", f"{SETTINGS}/purge_missing_after_days")
        assert (await api.get(SETTINGS))["settings"]["purge_missing_after_days"] == 30


async def test_the_service_says_which_settings_win_over_the_configuration(
    nomarr: Nomarr, options: ServiceOptions, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="nomarr")
    async with running_api(nomarr, options) as api:
        assert (await api.get(SETTINGS))["overridden"] == []
        assert "win over" not in caplog.text
        changed = await api.ask("PATCH", SETTINGS, {"tag_workers": 5, "scan_batch_size": 60})
        assert changed["overridden"] == ["scan_batch_size", "tag_workers"]
    async with running_api(nomarr, options) as api:
        assert (await api.get(SETTINGS))["overridden"] == ["scan_batch_size", "tag_workers"]
    (line,) = [record.getMessage() for record in caplog.records if "win over" in record.getMessage()]
    assert line.endswith("scan_batch_size=60, tag_workers=5")


async def test_a_setting_is_given_back_to_the_configuration(nomarr: Nomarr, options: ServiceOptions) -> None:
    changes = {"watcher_max_wait_seconds": 50, "scan_batch_size": 60, "purge_missing_after_days": "never"}
    before = nomarr.config
    async with running_api(nomarr, options) as api:
        await api.ask("PATCH", SETTINGS, changes)
    nomarr.change_settings({"tag_workers": 7})
    async with running_api(nomarr, options) as api:
        for name in changes:
            answer = await api.ask("DELETE", f"{SETTINGS}/{name}")
            assert name not in answer["overridden"]
            assert answer["settings"][name] == getattr(before, name) == getattr(nomarr.config, name)
            assert await api.ask("DELETE", f"{SETTINGS}/{name}") == answer
    assert nomarr.config.tag_workers == 7
    assert nomarr.database.settings.get("service_settings") == "{}"


@pytest.mark.parametrize("name", ["database_url", "of_old", "schema"])
async def test_what_can_not_be_changed_can_not_be_given_back(api: Api, name: str) -> None:
    problem = await api.problem("DELETE", f"{SETTINGS}/{name}")
    assert (problem["status"], problem["error"]) == (404, "SettingNotFound")


async def test_a_retention_that_another_service_has_chosen_is_told(api: Api, nomarr: Nomarr) -> None:
    nomarr.database.settings.set("service_settings", '{"purge_missing_after_days": 7}')
    answer = await api.get(SETTINGS)
    assert (answer["settings"]["purge_missing_after_days"], answer["overridden"]) == (7, ["purge_missing_after_days"])


@pytest.mark.parametrize(
    "changes",
    [
        {"scan_batch_size": 1},
        {"scan_batch_size": "x"},
        {"database_url": "sqlite:///other.db"},
        {"x": 1},
        {"browse_roots": ["/"]},
    ],
)
async def test_wrong_settings_change_nothing(api: Api, changes: dict[str, object]) -> None:
    before = await api.get(SETTINGS)
    problem = await api.problem("PATCH", SETTINGS, {"tag_workers": 3} | changes)
    assert (problem["status"], problem["error"]) == (422, "ConfigurationError")
    assert await api.get(SETTINGS) == before


@pytest.mark.parametrize(
    ("changes", "pattern"),
    [
        ({"ignore_patterns": ["*.tmp", "[z-a]"]}, "'[z-a]'"),
        ({"audio_patterns": ["*.flac", "!a.flac"]}, "'!a.flac'"),
        ({"audio_patterns": ["Rock/"]}, "'Rock/'"),
        ({"ignore_patterns": "*.tmp\n[z-a]"}, "'[z-a]'"),
    ],
)
async def test_a_pattern_that_is_none_is_refused_by_its_name(
    api: Api, changes: dict[str, list[str]], pattern: str
) -> None:
    problem = await api.problem("PATCH", SETTINGS, changes)
    assert (problem["status"], problem["error"]) == (422, "ConfigurationError")
    assert f"{pattern} can't be understood: " in problem["detail"]
    assert (await api.get(SETTINGS))["overridden"] == []


@pytest.mark.parametrize("patterns", [["caf\u00e9 \udce9*"], ["\ud800"], "*.tmp\nb.*", [], [""]])
async def test_whatever_can_be_a_pattern_is_told_as_it_was_written(api: Api, patterns: str | list[str]) -> None:
    body = json.dumps({"ignore_patterns": patterns})
    answer = await api.ask("PATCH", SETTINGS, content=body, headers={"Content-Type": "application/json"})
    wanted = patterns.splitlines() if isinstance(patterns, str) else patterns
    assert answer["settings"]["ignore_patterns"] == wanted
    assert await api.get(SETTINGS) == answer


async def test_a_list_that_is_too_deep_is_refused(api: Api) -> None:
    problem = await api.problem("PATCH", SETTINGS, {"ignore_patterns": '["a",' + "[" * 100_000})
    assert (problem["status"], problem["error"]) == (422, "ConfigurationError")


@pytest.mark.parametrize("changes", [{"ignore_patterns": ["b.*"]}, {"audio_patterns": ["a.*", "c.*"]}])
async def test_watched_libraries_are_scanned_as_soon_as_other_files_belong_to_them(
    nomarr: Nomarr, options: ServiceOptions, library: Library, changes: dict[str, list[str]]
) -> None:
    url = f"/api/v1/libraries/{library.library_id}"
    async with running_api(nomarr, replace(options, watch=True)) as api:

        async def has_files(number: int) -> bool:
            return bool((await api.get(url))["files"] == number)

        await until(lambda: has_files(3))
        with anyio.fail_after(8):
            await api.ask("PATCH", SETTINGS, changes)
            await until(lambda: has_files(2))
            await api.ask("DELETE", f"{SETTINGS}/{next(iter(changes))}")
            await until(lambda: has_files(3))


async def test_watched_libraries_are_scanned_when_another_service_leaves_other_files_out(
    nomarr: Nomarr, options: ServiceOptions, library: Library
) -> None:
    async with (
        Nomarr.open(nomarr.config.database_url) as other,
        running_api(nomarr, replace(options, watch=True)) as api,
        running_api(other, options) as beside,
    ):

        async def has_files(number: int) -> bool:
            return bool((await api.get(f"/api/v1/libraries/{library.library_id}"))["files"] == number)

        await until(lambda: has_files(3))
        await beside.ask("PATCH", SETTINGS, {"ignore_patterns": ["b.*"]})
        # As it does by itself every few seconds.
        await nomarr.watcher.follow_libraries()
        await until(lambda: has_files(2))


async def test_the_schema_tells_limits(api: Api) -> None:
    schema = await api.get(f"{SETTINGS}/schema")
    assert schema["properties"]["scan_batch_size"]["minimum"] == 50


async def test_the_openapi_document_describes_every_endpoint(api: Api) -> None:
    document = await api.get("/openapi.json")
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation.get("description"), f"{method} {path}"
            assert {"401", "422", "503"} <= operation["responses"].keys(), f"{method} {path}"
    page = (await api.client.get("/docs")).text
    assert "/api/v1/libraries" in page
    assert "<script" not in page
