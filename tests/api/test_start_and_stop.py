"""A service with many libraries, some of them in trouble; and how it ends."""

from __future__ import annotations

import logging
import shutil
import socket
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import pytest
from api_kit import Api, running_api, running_server, until
from support.music import tone
from support.system import Disk, Gate

from nomarr import Library, Nomarr
from nomarr.interfaces.api.options_if import ServiceOptions
from nomarr.interfaces.api.server_if import serve

LIBRARIES = "/api/v1/libraries"
HEALTHY = 18


@pytest.fixture
async def twenty(nomarr: Nomarr, music_tree: Callable[..., Path]) -> list[Library]:
    """Twenty libraries with a file each."""
    root = music_tree({f"{number:02}": {"a.wav": tone(200 + number)} for number in range(HEALTHY + 2)})
    return [await nomarr.libraries.add_library(folder.name, folder) for folder in sorted(root.iterdir())]


def take_away(library: Library) -> None:
    """As if its disk were not mounted."""
    shutil.rmtree(library.root_path)


def damage(database: Path, library: Library, **settings: str) -> None:
    """Store what no version of Nomarr understands."""
    with closing(sqlite3.connect(database)) as connection, connection:
        for name, value in settings.items():
            connection.execute(f"UPDATE libraries SET {name} = ? WHERE library_id = ?", (value, library.library_id))


async def by_name(api: Api) -> dict[str, dict[str, Any]]:
    return {library["name"]: library for library in await api.get(LIBRARIES)}


@pytest.mark.parametrize(
    "settings",
    [{"watch_mode": "sometimes"}, {"ignore_patterns": "{"}, {"ignore_patterns": "7"}, {"transcode_policy": ""}],
)
async def test_libraries_in_trouble_do_not_trouble_the_others(
    nomarr: Nomarr, options: ServiceOptions, twenty: list[Library], settings: dict[str, str]
) -> None:
    *_, away, broken = twenty
    take_away(away)
    damage(Path(nomarr.config.database_url.removeprefix("sqlite:///")), broken, **settings)
    async with running_api(nomarr, replace(options, watch=True)) as api:

        async def others_are_watched() -> bool:
            states = [status["state"] for status in await api.get("/api/v1/watcher")]
            return states.count("watching") == HEALTHY and states.count("offline") == 1

        await until(others_are_watched)
        libraries = await by_name(api)
        healthy = [library for library in twenty if library not in (away, broken)]
        assert {libraries[library.name]["state"] for library in healthy} == {"ready"}
        assert {libraries[library.name]["files"] for library in healthy} == {1}
        assert libraries[away.name]["state"] == "offline"
        assert libraries[away.name]["offline_reason"]
        assert libraries[broken.name]["state"] == "failed"
        assert "settings can't be read" in libraries[broken.name]["offline_reason"]
        assert (await api.get("/readyz")) == {"ready": True}
        checks = {check["name"]: check for check in await api.get("/api/v1/watcher/health")}
        wrong = {name for name, check in checks.items() if name.startswith("library ") and check["status"] != "ok"}
        assert wrong == {f"library {away.name}", f"library {broken.name}"}
        assert checks[f"library {broken.name}"]["remedy"].startswith("set them anew: nomarr library edit ")

        mended = {"watch_mode": "auto", "ignore_patterns": [], "transcode_policy": "keep_id"}
        await api.ask("PATCH", f"{LIBRARIES}/{broken.library_id}", mended)

        async def is_mended() -> bool:
            library = await api.get(f"{LIBRARIES}/{broken.library_id}")
            return (library["state"], library["files"], library["offline_reason"]) == ("ready", 1, None)

        await until(is_mended)


async def test_an_answer_that_takes_too_long_is_given_up_when_the_service_ends(
    nomarr: Nomarr, options: ServiceOptions, library: Library, disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    gate = Gate()
    song = Path(library.root_path) / "Rock" / "a.wav"
    disk.before_stat(song, gate.pass_through)
    answers: list[httpx.Response] = []

    async def ask(address: str) -> None:
        async with httpx.AsyncClient(base_url=address, timeout=30) as client:
            answers.append(await client.get("/api/v1/explain", params={"path": str(song)}))

    async with anyio.create_task_group() as tasks:
        async with running_server(nomarr, options) as address:
            tasks.start_soon(ask, address)
            await gate.wait_for(1)
        gate.open()
    (answer,) = answers
    assert (answer.status_code, answer.json()["error"]) == (503, "ServiceEnds")
    assert len([line for line in caplog.records if line.levelno >= logging.WARNING]) == 1


async def test_a_service_ends_soon_although_clients_listen(nomarr: Nomarr, options: ServiceOptions) -> None:
    ended: list[int] = []

    async def listen(address: str, path: str, began: anyio.Event) -> None:
        async with (
            httpx.AsyncClient(base_url=address, timeout=30) as client,
            client.stream("GET", f"/api/v1/{path}/stream") as answer,
        ):
            began.set()
            async for _ in answer.aiter_bytes():
                pass
            ended.append(answer.status_code)

    async with anyio.create_task_group() as tasks:
        async with running_server(nomarr, replace(options, watch=True)) as address:
            begun = [anyio.Event() for _ in range(20)]
            for number, began in enumerate(begun):
                tasks.start_soon(listen, address, ("events", "logs")[number % 2], began)
            with anyio.fail_after(20):
                for began in begun:
                    await began.wait()
            started = time.monotonic()
        assert time.monotonic() - started < 10
    assert ended == [200] * 20


async def test_nobody_else_gets_the_port_of_a_service_that_is_starting(nomarr: Nomarr, options: ServiceOptions) -> None:
    with socket.socket() as other, socket.socket() as free:
        for rival in (other, free):
            rival.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        free.bind(("127.0.0.1", 0))
        address = free.getsockname()
        free.close()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(serve, nomarr, *address, options, lambda _: None)
            await anyio.lowlevel.checkpoint()
            with pytest.raises(OSError, match="in use"):
                other.bind(address)
            tasks.cancel_scope.cancel()
