"""Numbers for Prometheus, and whether the service is ready."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from api_kit import Api, running_api, until
from prometheus_client.parser import text_string_to_metric_families
from support.music import tone

from nomarr import Library, Nomarr
from nomarr.interfaces.api.options_if import ServiceOptions

Sample = tuple[str, frozenset[tuple[str, str]]]


async def samples(api: Api) -> dict[Sample, float]:
    answer = await api.client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def named(name: str, **labels: str) -> Sample:
    return name, frozenset(labels.items())


async def test_scans_and_changes_are_counted(api: Api, library: Library) -> None:
    (Path(library.root_path) / "broken.mp3").write_text("this is no sound")
    await api.scan(library.library_id)
    music = library.library_id
    created = named("nomarr_events_total", library=music, type="created")

    async def changes_are_counted() -> bool:
        return (await samples(api)).get(created) == 4

    await until(changes_are_counted)
    told = await samples(api)
    assert told[named("nomarr_scanned_files_total", library=music, result="added")] == 4
    assert told[named("nomarr_scan_duration_seconds_count", library=music)] == 1
    assert told[named("nomarr_errors_total", library=music, stage="read")] == 1
    assert told[named("nomarr_library_files", library=music)] == 4
    assert told[named("nomarr_enrichment_backlog", step="art")] == 3
    assert told[named("nomarr_last_scan_timestamp_seconds", library=music)] > 1e9
    assert (told[named("nomarr_scans_running")], told[named("nomarr_scans_waiting")]) == (0, 0)


async def test_what_never_happened_has_no_time(api: Api, library: Library) -> None:
    assert named("nomarr_last_scan_timestamp_seconds", library=library.library_id) not in await samples(api)


async def test_a_library_that_is_away_is_an_error(api: Api, library: Library) -> None:
    shutil.rmtree(library.root_path)
    assert (await api.scan(library.library_id))["state"] == "offline"
    assert (await samples(api))[named("nomarr_errors_total", library=library.library_id, stage="root")] == 1


async def test_files_that_enrichment_failed_with_are_counted(api: Api, nomarr: Nomarr, library: Library) -> None:
    await api.scan(library.library_id)
    (Path(library.root_path) / "Jazz" / "c.wav").unlink()
    report = await nomarr.enrichment.run()
    told = await samples(api)
    failed = sum(told.get(named("nomarr_errors_total", library="", stage=stage), 0) for stage in ("art", "sound"))
    assert failed == report.files_failed


async def test_watching_is_counted(nomarr: Nomarr, options: ServiceOptions, music_tree: Callable[..., Path]) -> None:
    root = music_tree({"Rock": {"a.wav": tone(200)}})
    library = await nomarr.libraries.add_library("Music", root)
    nomarr.change_settings({"watcher_debounce_seconds": 0.2})
    async with running_api(nomarr, replace(options, watch=True)) as api:
        music = library.library_id

        async def is_watching() -> bool:
            return named("nomarr_watch_state", library=music, state="watching") in await samples(api)

        async def is_scanned() -> bool:
            return (await samples(api))[named("nomarr_watch_scans_total", library=music)] == 2

        await until(is_watching)
        before = await samples(api)
        assert before[named("nomarr_watched_folders", library=music)] == 2
        assert before[named("nomarr_watches_used")] == 2
        assert before[named("nomarr_watch_limit", limit="max_user_watches")] > 2
        (root / "Rock" / "b.wav").write_bytes(tone(300))
        (root / "Rock" / "c.wav").write_bytes(tone(310))
        assert await nomarr.watcher.wait_until_read(music)
        await until(is_scanned)
        told = await samples(api)
        written = told[named("nomarr_watch_events_total", library=music, type="written")]
        events = sum(value for (name, _), value in told.items() if name == "nomarr_watch_events_total")
        assert written == 2
        # All of them mean the same folder.
        assert told[named("nomarr_watch_suppressed_total", library=music)] == events - 1
        assert told[named("nomarr_last_event_timestamp_seconds", library=music)] > 1e9
        assert told[named("nomarr_watch_overflows_total", library=music)] == 0


@pytest.mark.parametrize(("path", "said"), [("/healthz", {"status": "ok"}), ("/readyz", {"ready": True})])
async def test_a_service_is_alive_and_ready(api: Api, path: str, said: object) -> None:
    assert await api.get(path) == said


async def test_a_service_whose_database_is_gone_is_alive_but_not_ready(api: Api, nomarr: Nomarr) -> None:
    nomarr.database.close()
    assert await api.get("/healthz") == {"status": "ok"}
    assert (await api.problem("GET", "/readyz"))["status"] == 503
