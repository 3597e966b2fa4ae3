"""Libraries over HTTP."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from api_kit import Api, running_api, until
from support.music import build, tone, tones
from support.system import Disk, Gate

from nomarr import Library, Nomarr, ScanTarget
from nomarr.interfaces.api import browse_if
from nomarr.interfaces.api.options_if import ServiceOptions
from nomarr.interfaces.contract import library_object

LIBRARIES = "/api/v1/libraries"


async def test_a_folder_becomes_a_library(api: Api, tmp_path: Path, music_tree: Callable[..., Path]) -> None:
    root = music_tree({})
    new = {"name": "Music", "path": str(root), "watch_mode": "poll", "ignore_patterns": ["*.tmp"]}
    answer = await api.client.post(LIBRARIES, json=new)
    assert answer.status_code == 201
    library = answer.json()
    assert (library["root_path"], library["watch_mode"], library["ignore_patterns"]) == (str(root), "poll", ["*.tmp"])
    assert await api.get(answer.headers["location"]) == library
    assert await api.get(LIBRARIES) == [library]


async def test_a_library_has_the_same_keys_as_on_the_command_line(api: Api, nomarr: Nomarr, library: Library) -> None:
    expected = library_object(await nomarr.libraries.get_library(library.library_id))
    assert await api.get(f"{LIBRARIES}/{library.library_id}") == expected | {"ignore_patterns": []}


async def test_only_what_is_given_is_changed(api: Api, library: Library) -> None:
    url = f"{LIBRARIES}/{library.library_id}"
    changed = await api.ask("PATCH", url, {"name": "Other", "enabled": False})
    assert (changed["name"], changed["enabled"], changed["watch_mode"]) == ("Other", False, "auto")


async def test_the_watch_mode_is_switched(api: Api, library: Library) -> None:
    url = f"{LIBRARIES}/{library.library_id}"
    assert (await api.ask("PUT", f"{url}/watch-mode", {"watch_mode": "off"}))["watch_mode"] == "off"
    assert (await api.problem("PUT", f"{url}/watch-mode", {"watch_mode": "always"}))["status"] == 422


async def test_a_pattern_that_cannot_be_understood_is_refused(
    api: Api, library: Library, music_tree: Callable[..., Path]
) -> None:
    url = f"{LIBRARIES}/{library.library_id}"
    problem = await api.problem("PATCH", url, {"name": "Other", "ignore_patterns": ["*.tmp", "[z-a]"]})
    assert (problem["status"], problem["error"]) == (422, "ConfigurationError")
    assert problem["detail"].startswith("ignore patterns: '[z-a]' can't be understood: the range 'z-a'")
    assert (await api.get(url))["name"] == library.name
    new = {"name": "New", "path": str(music_tree({}, "new")), "ignore_patterns": ["[broken"]}
    assert (await api.problem("POST", LIBRARIES, new))["status"] == 422


async def test_a_bad_pattern_that_is_there_already_may_stay(api: Api, nomarr: Nomarr, library: Library) -> None:
    url = f"{LIBRARIES}/{library.library_id}"
    assert await api.get(f"{url}/pattern-problems") == []
    keep_patterns(nomarr, ["*.tmp", "[z-a]"])
    (bad,) = await api.get(f"{url}/pattern-problems")
    assert (bad["pattern"], bad["problem"][:15]) == ("[z-a]", "the range 'z-a'")
    kept = await api.ask("PATCH", url, {"name": "Other", "ignore_patterns": ["[z-a]", "*.bak"]})
    assert (kept["name"], kept["ignore_patterns"]) == ("Other", ["[z-a]", "*.bak"])
    problem = await api.problem("PATCH", url, {"ignore_patterns": ["[z-a]", "[y-a]"]})
    assert (problem["status"], "'[y-a]'" in problem["detail"]) == (422, True)
    assert (await api.ask("PATCH", url, {"ignore_patterns": []}))["ignore_patterns"] == []
    assert (await api.problem("PATCH", url, {"ignore_patterns": ["[z-a]"]}))["status"] == 422
    assert (await api.problem("GET", f"{LIBRARIES}/x/pattern-problems"))["error"] == "LibraryNotFound"


def keep_patterns(nomarr: Nomarr, patterns: list[str]) -> None:
    """As a version did that took any."""
    database = nomarr.config.database_url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE libraries SET ignore_patterns = ?", (json.dumps(patterns),))


async def test_a_library_is_relocated(api: Api, library: Library, tmp_path: Path) -> None:
    place = tmp_path / "elsewhere"
    os.rename(library.root_path, place)
    changed = await api.ask("POST", f"{LIBRARIES}/{library.library_id}/relocate", {"path": str(place)})
    assert changed["root_path"] == str(place)


async def test_a_library_is_forgotten(api: Api, library: Library) -> None:
    url = f"{LIBRARIES}/{library.library_id}"
    await api.ask("DELETE", url)
    assert (await api.problem("GET", url))["error"] == "LibraryNotFound"
    assert (await api.problem("DELETE", url))["status"] == 404
    assert os.listdir(library.root_path)


async def test_a_watched_library_is_forgotten_while_its_watcher_scans(
    nomarr: Nomarr, options: ServiceOptions, tmp_path: Path
) -> None:
    build(tmp_path, {f"{number:03}": tones(20) for number in range(50)})
    async with running_api(nomarr, replace(options, watch=True)) as api:
        library = await api.ask("POST", LIBRARIES, {"name": "Music", "path": str(tmp_path)})
        url = f"{LIBRARIES}/{library['library_id']}"

        async def is_scanned() -> bool:
            return bool((await api.get(f"{url}/scan"))["running"])

        await until(is_scanned)
        await api.ask("DELETE", url)
        assert await api.get(LIBRARIES) == []


@pytest.mark.parametrize("mode", ["auto", "off"])
async def test_a_library_that_could_not_be_forgotten_is_watched_as_before(
    nomarr: Nomarr, options: ServiceOptions, library: Library, mode: str
) -> None:
    database = nomarr.config.database_url.removeprefix("sqlite:///")
    await nomarr.libraries.update_library(library.library_id, watch_mode=mode)
    async with running_api(nomarr, replace(options, watch=True)) as api:
        with closing(sqlite3.connect(database)) as connection, connection:
            connection.execute("CREATE TRIGGER t BEFORE DELETE ON libraries BEGIN SELECT RAISE(ABORT, 'no'); END")
        url = f"{LIBRARIES}/{library.library_id}"
        assert (await api.problem("DELETE", url))["status"] >= 500
        await api.ask("PATCH", url, {"watch_mode": "auto"})

        async def is_watched() -> bool:
            return [status["state"] for status in await api.get("/api/v1/watcher")] == ["watching"]

        await until(is_watched)


async def test_a_taken_name_is_a_conflict(api: Api, library: Library, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    problem = await api.problem("POST", LIBRARIES, {"name": "Music", "path": str(tmp_path / "other")})
    assert (problem["status"], problem["error"]) == (409, "LibraryAlreadyExists")


@pytest.mark.parametrize("path", ["/", "/etc", "relative", "", "{tmp}/../..", "{tmp}/link", "{tmp}x"])
async def test_no_folder_outside_the_allowed_roots_is_used(api: Api, tmp_path: Path, path: str) -> None:
    (tmp_path / "link").symlink_to("/etc")
    path = path.replace("{tmp}", str(tmp_path))
    for method, url, body in (
        ("POST", LIBRARIES, {"name": "x", "path": path}),
        ("POST", f"{LIBRARIES}/x/relocate", {"path": path}),
    ):
        assert (await api.problem(method, url, body))["error"] == "PathNotAllowed"
    if path:
        assert (await api.problem("GET", "/api/v1/folders", params={"path": path}))["error"] == "PathNotAllowed"


async def test_folders_are_browsed_from_the_roots_down(api: Api, tmp_path: Path) -> None:
    (tmp_path / "b" / "deep").mkdir(parents=True)
    (tmp_path / "A").mkdir()
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "link").symlink_to("/etc")
    (tmp_path / "file").touch()
    roots = await api.get("/api/v1/folders")
    assert [folder["path"] for folder in roots["folders"]] == [str(tmp_path)]
    inside = await api.get("/api/v1/folders", params={"path": str(tmp_path)})
    assert [folder["name"] for folder in inside["folders"] if folder["name"] != "database"] == ["A", "b"]
    assert inside["parent"] == ""
    deeper = await api.get("/api/v1/folders", params={"path": str(tmp_path / "b")})
    assert deeper == {
        "path": str(tmp_path / "b"),
        "parent": str(tmp_path),
        "folders": [{"name": "deep", "path": str(tmp_path / "b" / "deep")}],
    }


async def test_a_disk_that_does_not_answer_holds_nothing_up(
    api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = threading.Event()
    looking: list[str] = []
    usual = os.scandir

    def hang(path: str) -> AbstractContextManager[Iterator[os.DirEntry[str]]]:
        looking.append(path)
        answers.wait(30)
        return usual(path)

    monkeypatch.setattr(os, "scandir", hang)
    monkeypatch.setattr(browse_if, "_PATIENCE_SECONDS", 0.2)
    refused: list[str] = []

    async def ask() -> None:
        refused.append((await api.problem("GET", "/api/v1/folders", params={"path": str(tmp_path)}))["detail"])

    try:
        with anyio.fail_after(10):
            for _ in range(3):
                async with anyio.create_task_group() as tasks:
                    for _ in range(20):
                        tasks.start_soon(ask)
                    assert await api.get(LIBRARIES) == []
        assert refused == ["this disk does not answer; check that it is mounted and reachable, then try again"] * 60
        # Threads that were given up are still there, and no others come.
        assert len(looking) <= 4
    finally:
        answers.set()

    async def is_answered() -> bool:
        return (await api.client.get("/api/v1/folders", params={"path": str(tmp_path)})).is_success

    await until(is_answered)


async def test_a_disk_that_does_not_answer_is_told_from_others(
    nomarr: Nomarr, options: ServiceOptions, tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browse_if, "_PATIENCE_SECONDS", 0.3)
    dead, alive = tmp_path / "dead", tmp_path / "alive"
    for folder in (*(dead / name for name in "abcd"), alive):
        folder.mkdir(parents=True)
    gate = Gate()
    for folder in (dead, *dead.iterdir()):
        disk.before_listing(folder, gate.pass_through)
    refused: list[str] = []

    async def ask(folder: Path) -> None:
        refused.append((await api.problem("GET", "/api/v1/folders", params={"path": str(folder)}))["error"])

    try:
        # As the root of another disk, and as a folder of a root.
        for roots in ((str(dead), str(alive)), (str(tmp_path),)):
            refused.clear()
            async with running_api(nomarr, replace(options, browse_roots=roots)) as api:
                async with anyio.create_task_group() as tasks:
                    for folder in (dead, *dead.iterdir()):
                        tasks.start_soon(ask, folder)
                assert "DiskDoesNotAnswer" in refused
                assert [each["path"] for each in (await api.get("/api/v1/folders"))["folders"]] == list(roots)
                assert (await api.get("/api/v1/folders", params={"path": str(alive)}))["folders"] == []
    finally:
        gate.open()


async def test_a_folder_that_another_disk_holds_up_is_not_blamed(
    api: Api, tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browse_if, "_PATIENCE_SECONDS", 0.3)
    mount, beside = tmp_path / "music" / "nas", tmp_path / "music" / "beside"
    mount.mkdir(parents=True)
    beside.mkdir()
    gate = Gate()
    disk.before_listing(mount, gate.pass_through)

    async def ask(folder: Path) -> str:
        return str((await api.problem("GET", "/api/v1/folders", params={"path": str(folder)}))["error"])

    try:
        for _ in range(3):
            assert await ask(mount) == "DiskDoesNotAnswer"
        assert await ask(beside) == "OtherDiskDoesNotAnswer"
    finally:
        gate.open()


async def test_disks_that_do_not_answer_are_given_few_threads(
    api: Api, tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browse_if, "_PATIENCE_SECONDS", 0.3)
    gate = Gate()
    folders = [tmp_path / f"{number}" for number in range(30)]
    for folder in folders:
        folder.mkdir()
        disk.before_listing(folder, gate.pass_through)

    async def ask(folder: Path) -> None:
        await api.problem("GET", "/api/v1/folders", params={"path": str(folder)})

    try:
        async with anyio.create_task_group() as tasks:
            for folder in folders * 3:
                tasks.start_soon(ask, folder)
        assert gate.arrived <= browse_if._LOOKS * (browse_if._PLACES + 1)
        assert [each["path"] for each in (await api.get("/api/v1/folders"))["folders"]] == [str(tmp_path)]
    finally:
        gate.open()


async def test_names_that_are_no_utf8_go_there_and_back(api: Api, nomarr: Nomarr, tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9")
    (tmp_path / name / "in").mkdir(parents=True)
    (tmp_path / name / "in" / "a.wav").write_bytes(tone(200))
    listed = await api.client.get("/api/v1/folders?path=" + str(tmp_path) + "/caf%e9")
    assert listed.json()["folders"][0]["path"] == str(tmp_path / name / "in")
    body = b'{"name": "Music", "path": "' + str(tmp_path).encode() + b'/caf\\udce9"}'
    added = await api.client.post(LIBRARIES, content=body, headers={"content-type": "application/json"})
    assert added.json()["root_path"] == str(tmp_path / name)
    await nomarr.libraries.scan_targets([ScanTarget(added.json()["library_id"])])
    files = await api.client.get("/api/v1/files?folder=in")
    assert [file["path"] for file in files.json()["items"]] == ["in/a.wav"]
