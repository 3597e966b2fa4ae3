"""The change feed over HTTP: pages, and streams of a real server."""

from __future__ import annotations

import re
import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import httpx
import pytest
from api_kit import Api, running_server, sent_events, until
from support.music import build, tone, tones
from support.scans import scan

from nomarr import Library, Nomarr
from nomarr.interfaces.api.event_hub_if import EventHub
from nomarr.interfaces.api.options_if import ServiceOptions
from nomarr.interfaces.api.problems_if import Refused
from nomarr.interfaces.api.streams_if import Streams

EVENTS = "/api/v1/events"


@pytest.fixture
async def server(nomarr: Nomarr, options: ServiceOptions) -> AsyncIterator[httpx.AsyncClient]:
    async with running_server(nomarr, options) as address, httpx.AsyncClient(base_url=address, timeout=20) as client:
        yield client


async def changes(client: httpx.AsyncClient, count: int, **options: object) -> list[int]:
    """The numbers of the first changes that a stream sends."""
    numbers: list[int] = []
    with anyio.fail_after(20):
        async with client.stream("GET", f"{EVENTS}/stream", **options) as answer:  # type: ignore[arg-type] # of a test
            assert answer.headers["content-type"].startswith("text/event-stream")
            async for kind, number, said in sent_events(answer):
                if kind == "change":
                    assert number == said["seq"]
                    numbers.append(number)
                if len(numbers) == count:
                    break
    return numbers


async def test_pages_go_on_where_the_last_one_ended(api: Api, library: Library) -> None:
    await api.scan(library.library_id)
    page = await api.get(EVENTS, params={"limit": 2})
    assert [event["seq"] for event in page["items"]] == [1, 2]
    rest = await api.get(EVENTS, params={"limit": 2, "after": page["next_cursor"]})
    assert ([event["seq"] for event in rest["items"]], rest["next_cursor"]) == ([3], None)


async def test_an_unknown_library_has_no_events(api: Api, library: Library) -> None:
    await api.scan(library.library_id)
    for path in (EVENTS, f"{EVENTS}/stream"):
        problem = await api.problem("GET", path, params={"library_id": "other"})
        assert (problem["status"], problem["error"]) == (404, "LibraryNotFound")


async def test_a_new_library_has_no_events_yet(api: Api, library: Library) -> None:
    page = await api.get(EVENTS, params={"library_id": library.library_id})
    assert page == {"items": [], "next_cursor": None}


async def test_a_client_that_knows_more_than_there_is_hears_what_is_new(
    server: httpx.AsyncClient, nomarr: Nomarr, library: Library
) -> None:
    """The database was restored from a copy, and the page stayed open."""
    await scan(nomarr, library)
    with anyio.fail_after(20):
        async with server.stream("GET", f"{EVENTS}/stream", headers={"Last-Event-ID": "999"}) as answer:
            lines = answer.aiter_lines()
            await anext(lines)
            (Path(library.root_path) / "new.wav").write_bytes(tone(500))
            await scan(nomarr, library)
            while not (line := await anext(lines)).startswith("data:") or "new.wav" not in line:
                pass


async def test_a_library_that_is_removed_is_gone_from_the_feed(
    server: httpx.AsyncClient, nomarr: Nomarr, library: Library, tmp_path: Path
) -> None:
    """Whoever listens is told, and whoever comes back hears no more of it."""
    await scan(nomarr, library)
    other = await nomarr.libraries.add_library("Other", build(tmp_path / "other", {"d.wav": tone(230)}))
    with anyio.fail_after(20):
        async with server.stream("GET", f"{EVENTS}/stream") as answer:
            await scan(nomarr, other)
            assert (await server.delete(f"/api/v1/libraries/{library.library_id}")).status_code == 204
            said = await anext(said async for kind, _, said in sent_events(answer) if kind == "library")
            assert (said["type"], said["library_id"]) == ("library_removed", library.library_id)
    assert [event["path"] for event in (await server.get(EVENTS)).json()["items"]] == ["d.wav"]
    assert await changes(server, 1, params={"after": 0}) == [4]


async def test_a_library_that_another_program_removes_is_told_once(
    nomarr: Nomarr, options: ServiceOptions, library: Library, tmp_path: Path
) -> None:
    other = await nomarr.libraries.add_library("Other", build(tmp_path / "other", {"d.wav": tone(230)}))
    async with (
        running_server(nomarr, replace(options, library_look_seconds=0.05)) as address,
        httpx.AsyncClient(base_url=address, timeout=20) as client,
    ):
        await scan(nomarr, library)
        removed: list[str] = []
        with anyio.fail_after(20):
            async with client.stream("GET", f"{EVENTS}/stream") as answer:
                for gone in (library, other):
                    # Not through this service.
                    await nomarr.libraries.remove_library(gone.library_id)
                async for kind, _, said in sent_events(answer):
                    removed += [said["library_id"]] if kind == "library" else []
                    if len(removed) == 2:
                        break
    assert set(removed) == {library.library_id, other.library_id}


async def test_a_removal_is_told_once_it_has_ended_and_not_again(nomarr: Nomarr, library: Library) -> None:
    async with running_hub(nomarr, backlog=10) as hub:
        with hub.stream(None, None, anyio.Event()) as blocks:
            assert await anext(blocks)
            await nomarr.libraries.remove_library(library.library_id)
            await hub.look_for_removals()
            assert b"library_removed" in await anext(blocks)
            await hub.look_for_removals()
            later = await nomarr.libraries.add_library("Later", library.root_path)
            await hub.look_for_removals()
            await nomarr.libraries.remove_library(later.library_id)
            hub.library_removed(later.library_id)
            await hub.look_for_removals()
            assert later.library_id.encode() in await anext(blocks)
            with anyio.move_on_after(0.2) as nothing_more:
                await anext(blocks)
    assert nothing_more.cancelled_caught


async def test_the_newest_changes_can_be_asked_for(api: Api, library: Library) -> None:
    await api.scan(library.library_id)
    page = await api.get(EVENTS, params={"limit": 2, "newest": True})
    assert [event["seq"] for event in page["items"]] == [2, 3]
    assert len((await api.get(EVENTS, params={"newest": True}))["items"]) == 3
    assert (await api.get(EVENTS, params={"newest": True, "after": 3}))["items"] == []


@pytest.mark.parametrize("after", ["-1", "x", str(1 << 63)])
async def test_a_number_that_is_none_is_a_problem(api: Api, after: str) -> None:
    assert (await api.problem("GET", EVENTS, params={"after": after}))["status"] == 422
    assert (await api.problem("GET", f"{EVENTS}/stream", headers={"Last-Event-ID": after}))["status"] == 422


async def test_many_clients_get_every_change_once(server: httpx.AsyncClient, nomarr: Nomarr, library: Library) -> None:
    got: list[list[int]] = []

    async def listen() -> None:
        got.append(await changes(server, 3, params={"after": 0}))

    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(listen)
        await scan(nomarr, library)
    assert got == [[1, 2, 3]] * 20


async def test_a_client_that_comes_back_misses_nothing(
    server: httpx.AsyncClient, nomarr: Nomarr, library: Library
) -> None:
    await scan(nomarr, library)
    assert await changes(server, 2, params={"after": 0}) == [1, 2]
    (Path(library.root_path) / "new.wav").write_bytes(tone(500))
    await scan(nomarr, library)
    assert await changes(server, 2, headers={"Last-Event-ID": "2"}) == [3, 4]


async def test_one_library_is_followed_alone(
    server: httpx.AsyncClient, nomarr: Nomarr, library: Library, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "x.wav").write_bytes(tone(500))
    other = await nomarr.libraries.add_library("Other", tmp_path / "other")
    await scan(nomarr, library)
    await scan(nomarr, other)
    assert await changes(server, 1, params={"after": 0, "library_id": other.library_id}) == [4]


async def test_a_scan_tells_how_far_it_is(server: httpx.AsyncClient, library: Library) -> None:
    with anyio.fail_after(20):
        async with server.stream("GET", f"{EVENTS}/stream") as answer:
            await server.post(f"/api/v1/libraries/{library.library_id}/scans", json={})
            said = await anext(said async for kind, _, said in sent_events(answer) if kind == "scan_request")
    assert (said["state"], said["report"]["files_added"]) == ("completed", 3)


async def test_a_client_that_reads_nothing_is_let_go(
    nomarr: Nomarr, options: ServiceOptions, library: Library, tmp_path: Path
) -> None:
    async with (
        running_server(nomarr, replace(options, stream_backlog=50)) as address,
        httpx.AsyncClient(base_url=address) as client,
    ):
        place = urlsplit(address)
        with socket.socket() as stuck:
            stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            stuck.connect((place.hostname, place.port))
            stuck.sendall(f"GET {EVENTS}/stream?after=0 HTTP/1.1\r\nHost: {place.netloc}\r\n\r\n".encode())

            async def streams(name: str, number: float) -> bool:
                return f"{name} {number}" in (await client.get("/metrics")).text

            await until(lambda: streams("nomarr_streams", 1.0))
            # More than the buffers of both ends take, with names as long as they may be.
            root = Path(library.root_path)
            for name, content in tones(1, prefix="n" * 200).items():
                for folder in range(60):
                    (root / f"{folder:03}").mkdir()
                    for copy in range(100):
                        (root / f"{folder:03}" / f"{copy:03}{name}").write_bytes(content)
            await scan(nomarr, library)
            await until(lambda: streams("nomarr_streams_dropped_total", 1.0))
            assert await streams("nomarr_streams", 0.0)


async def test_one_stream_too_many_is_told_so(nomarr: Nomarr, options: ServiceOptions) -> None:
    async with (
        running_server(nomarr, replace(options, max_streams=4)) as address,
        httpx.AsyncClient(base_url=address) as client,
        client.stream("GET", f"{EVENTS}/stream"),
        client.stream("GET", "/api/v1/logs/stream"),
    ):
        answer = await client.get(f"{EVENTS}/stream")
    assert (answer.status_code, answer.json()["error"]) == (429, "TooManyStreams")


def refusal(streams: Streams, client: str) -> int | None:
    """The status of the refusal of one more stream; None if there is a place."""
    try:
        with streams.place(client):
            return None
    except Refused as refused:
        return refused.status_code


def test_one_client_leaves_places_for_others() -> None:
    streams = Streams(20)
    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(streams.place("192.168.1.7"))
        assert [refusal(streams, client) for client in ("192.168.1.7", "192.168.1.8")] == [429, None]
        for number in range(9):
            for _ in range(2):
                stack.enter_context(streams.place(f"192.168.2.{number}"))
        assert refusal(streams, "192.168.1.8") == 503


async def test_clients_that_come_and_go_get_every_change_of_a_scan_once(
    server: httpx.AsyncClient, nomarr: Nomarr, library: Library
) -> None:
    add_files_only(library, folders=20, files=30)
    got: dict[int, list[int]] = {}

    async def listen(client: int) -> None:
        numbers = got[client] = []
        # Each reads on for another number of changes before it goes and comes back.
        while len(numbers) < 603:
            last = numbers[-1] if numbers else 0
            numbers += await changes(
                server, min(17 + 40 * client, 603 - len(numbers)), headers={"Last-Event-ID": str(last)}
            )

    async def look() -> None:
        while len(got) < 10 or any(len(numbers) < 603 for numbers in got.values()):
            assert len((await server.get("/api/v1/libraries")).json()) == 1

    async with anyio.create_task_group() as tasks:
        for client in range(10):
            tasks.start_soon(listen, client)
        tasks.start_soon(look)
        await scan(nomarr, library)
    assert list(got.values()) == [list(range(1, 604))] * 10


def add_files_only(library: Library, *, folders: int, files: int) -> None:
    build(Path(library.root_path), {f"{folder:02}": tones(files, first=300 + 40 * folder) for folder in range(folders)})


def numbers_in(sent: bytes) -> list[int]:
    return [int(number) for number in re.findall(rb"^id: (\d+)$", sent, re.MULTILINE)]


@asynccontextmanager
async def running_hub(nomarr: Nomarr, backlog: int) -> AsyncIterator[EventHub]:
    hub = EventHub(nomarr, backlog=backlog, look_seconds=0.05)
    await hub.prepare()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(hub.run)
        yield hub
        tasks.cancel_scope.cancel()


async def has_passed_on(hub: EventHub, seq: int) -> None:
    async def it_has() -> bool:
        return hub.last_seq == seq

    await until(it_has)


async def add_files(nomarr: Nomarr, library: Library, count: int, prefix: str) -> None:
    build(Path(library.root_path), tones(count, prefix=prefix))
    await scan(nomarr, library)


async def test_a_client_that_reads_old_changes_is_not_let_go_for_new_ones(nomarr: Nomarr, library: Library) -> None:
    gone = anyio.Event()
    async with running_hub(nomarr, backlog=2) as hub:
        await scan(nomarr, library)
        await has_passed_on(hub, 3)
        with hub.stream(0, None, gone) as blocks:
            assert await anext(blocks)
            numbers = numbers_in(await anext(blocks))
            await add_files(nomarr, library, 5, "new")
            await has_passed_on(hub, 8)
            with anyio.fail_after(20):
                while len(numbers) < 8:
                    numbers += numbers_in(await anext(blocks))
    assert (numbers, gone.is_set()) == (list(range(1, 9)), False)


@pytest.mark.parametrize("after", [0, 3])
async def test_a_client_that_has_just_come_back_is_not_let_go_for_what_it_missed(
    nomarr: Nomarr, library: Library, after: int
) -> None:
    await scan(nomarr, library)
    gone = anyio.Event()
    async with running_hub(nomarr, backlog=4) as hub:
        with hub.stream(after, None, gone) as blocks:
            # The first thing that it is sent is on its way yet.
            assert await anext(blocks)
            await add_files(nomarr, library, 5, "new")
            await has_passed_on(hub, 8)
            numbers: list[int] = []
            with anyio.fail_after(20):
                while 8 not in numbers:
                    numbers += numbers_in(await anext(blocks))
    assert (numbers, gone.is_set()) == (list(range(after + 1, 9)), False)


async def test_a_client_that_does_not_keep_up_is_let_go(nomarr: Nomarr, library: Library) -> None:
    gone = anyio.Event()
    async with running_hub(nomarr, backlog=4) as hub:
        with hub.stream(None, None, gone) as blocks:
            assert await anext(blocks)
            await scan(nomarr, library)
            await has_passed_on(hub, 3)
            assert numbers_in(await anext(blocks)) == [1, 2, 3]
            assert not gone.is_set()
            await add_files(nomarr, library, 5, "new")
            await has_passed_on(hub, 8)
            assert gone.is_set()


async def test_what_is_written_while_a_client_catches_up_comes_once(nomarr: Nomarr, library: Library) -> None:
    await scan(nomarr, library)
    async with running_hub(nomarr, backlog=1000) as hub:
        with hub.stream(0, None, anyio.Event()) as blocks:
            assert await anext(blocks)
            numbers = numbers_in(await anext(blocks))
            await add_files(nomarr, library, 1, "new")
            with anyio.fail_after(20):
                while 4 not in numbers:
                    numbers += numbers_in(await anext(blocks))
    assert numbers == [1, 2, 3, 4]
