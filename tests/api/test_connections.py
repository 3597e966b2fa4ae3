"""Connections that ask nothing, or take for ever, keep nobody else out."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from urllib.parse import urlsplit

import anyio
import httpx
import pytest
from anyio.abc import SocketStream
from api_kit import running_server, until

from nomarr import Library, Nomarr, ScanTarget
from nomarr.interfaces.api.clients_if import THIS_COMPUTER, client_of, share_of
from nomarr.interfaces.api.options_if import ServiceOptions

ASK = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
HALF = ASK[:20]
BODY = b"POST /api/v1/libraries HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"
UNREAD_BODY = ASK.replace(b"\r\n\r\n", b"\r\nContent-Length: 100\r\n\r\n")
LISTEN = b"GET /api/v1/events/stream HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture
def few(options: ServiceOptions) -> ServiceOptions:
    """Of the ten connections this computer may have five."""
    return replace(options, max_connections=10)


async def connected(address: str) -> SocketStream:
    place = urlsplit(address)
    return await anyio.connect_tcp(place.hostname or "", place.port or 0)


async def everything(stream: SocketStream) -> bytes:
    """What is sent until the connection ends."""
    sent = b""
    with anyio.fail_after(20), suppress(anyio.BrokenResourceError):
        async for part in stream:
            sent += part
    return sent


@asynccontextmanager
async def many(address: str, count: int, said: bytes) -> AsyncIterator[list[SocketStream]]:
    """So many connections that have said this and wait."""
    async with AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(await connected(address)) for _ in range(count)]
        for stream in streams:
            # Others may have taken its place already.
            with suppress(anyio.BrokenResourceError):
                await stream.send(said)
        yield streams


def problem_in(answer: bytes) -> tuple[bytes, bool]:
    """The status, and whether it is told as every other problem."""
    return answer.split(b" ")[1], b"content-type: application/problem+json" in answer


@pytest.mark.parametrize("said", [b"", HALF, ASK, BODY, UNREAD_BODY])
async def test_connections_that_ask_nothing_lock_nobody_out(nomarr: Nomarr, few: ServiceOptions, said: bytes) -> None:
    async with running_server(nomarr, few) as address, many(address, 30, said), httpx.AsyncClient() as client:
        for _ in range(3):
            assert (await client.get(f"{address}/healthz")).status_code == 200


async def test_a_complete_request_is_answered_among_many_that_are_not(
    nomarr: Nomarr, few: ServiceOptions, library: Library
) -> None:
    async with running_server(nomarr, few) as address, many(address, 4, LISTEN) as listeners:
        for listener in listeners:
            assert (await listener.receive()).startswith(b"HTTP/1.1 200")
        async with many(address, 20, BODY), many(address, 20, HALF):
            await nomarr.libraries.scan_targets([ScanTarget(library.library_id)])
            for listener in listeners:
                with anyio.fail_after(10):
                    while b"event: change" not in await listener.receive():
                        pass


async def test_who_has_waited_for_the_longest_makes_room_first(nomarr: Nomarr, few: ServiceOptions) -> None:
    async with running_server(nomarr, few) as address, many(address, 5, b"") as streams:
        oldest, second = streams[:2]
        await oldest.send(ASK)
        assert (await oldest.receive()).startswith(b"HTTP/1.1 200")
        async with await connected(address) as late:
            await late.send(ASK)
            assert (await late.receive()).startswith(b"HTTP/1.1 200")
            assert await everything(second) == b""
            await oldest.send(ASK)
            assert (await oldest.receive()).startswith(b"HTTP/1.1 200")


async def test_connections_in_use_are_kept_and_one_more_is_told_so(nomarr: Nomarr, few: ServiceOptions) -> None:
    async with running_server(nomarr, few) as address, many(address, 5, LISTEN) as listeners:
        for listener in listeners:
            assert (await listener.receive()).startswith(b"HTTP/1.1 200")
        async with await connected(address) as stream:
            assert problem_in(await everything(stream)) == (b"429", True)
        await listeners[0].aclose()

        async def one_is_free() -> bool:
            async with await connected(address) as stream:
                await stream.send(ASK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
                return (await everything(stream)).startswith(b"HTTP/1.1 200")

        await until(one_is_free)


@pytest.mark.parametrize("said", [HALF, BODY, ASK + HALF])
async def test_a_request_that_does_not_arrive_in_time_is_given_up(
    nomarr: Nomarr, options: ServiceOptions, said: bytes
) -> None:
    hurried = replace(options, head_seconds=0.2, body_seconds=0.2)
    async with running_server(nomarr, hurried) as address, await connected(address) as stream:
        await stream.send(said)
        answer = await everything(stream)
    assert problem_in(answer[answer.rindex(b"HTTP/1.1") :]) == (b"408", True)


@pytest.mark.parametrize("said", [b"", UNREAD_BODY])
async def test_a_connection_that_owes_nothing_ends_without_an_answer(
    nomarr: Nomarr, options: ServiceOptions, said: bytes
) -> None:
    hurried = replace(options, head_seconds=0.2, body_seconds=0.2)
    async with running_server(nomarr, hurried) as address, await connected(address) as stream:
        await stream.send(said)
        assert b" 408 " not in await everything(stream)


async def test_a_trickle_does_not_put_the_end_off(nomarr: Nomarr, options: ServiceOptions) -> None:
    async def send_on(stream: SocketStream) -> None:
        while True:
            await stream.send(b"G")
            await anyio.sleep(0.02)

    hurried = replace(options, head_seconds=0.5)
    async with running_server(nomarr, hurried) as address, await connected(address) as stream:
        with anyio.fail_after(10), pytest.raises(anyio.BrokenResourceError):
            await send_on(stream)


async def test_a_listener_may_stay_as_long_as_it_likes(nomarr: Nomarr, options: ServiceOptions) -> None:
    hurried = replace(options, head_seconds=0.1, body_seconds=0.1, send_seconds=0.1)
    async with (
        running_server(nomarr, hurried) as address,
        httpx.AsyncClient(base_url=address, timeout=20) as client,
        client.stream("GET", "/api/v1/logs/stream") as answer,
        await connected(address) as other,
    ):
        lines = answer.aiter_lines()
        assert await anext(lines) == "retry: 2000"
        # By then it has been longer than all of these.
        assert await everything(other) == b""
        assert "nomarr_streams 1.0" in (await client.get("/metrics")).text


async def test_who_takes_nothing_of_an_answer_does_not_keep_its_place(nomarr: Nomarr, few: ServiceOptions) -> None:
    # More than the buffers of both ends hold.
    said = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 200
    async with (
        running_server(nomarr, replace(few, max_connections=2, send_seconds=0.3)) as address,
        await connected(address) as stuck,
    ):
        await stuck.send(said)

        async def is_refused() -> bool:
            async with await connected(address) as stream:
                await stream.send(ASK)
                return (await stream.receive()).startswith(b"HTTP/1.1 429")

        async def is_answered() -> bool:
            return not await is_refused()

        await until(is_refused)
        await until(is_answered)


async def test_what_is_no_request_is_a_problem_too(nomarr: Nomarr, options: ServiceOptions) -> None:
    async with running_server(nomarr, options) as address, await connected(address) as stream:
        await stream.send(b"\x00\x01\r\n\r\n")
        assert problem_in(await everything(stream)) == (b"400", True)


@pytest.mark.parametrize("method", [b"HEAD", b"POST", b"GET"])
async def test_a_body_that_is_none_costs_one_line_for_those_who_look_for_faults(
    nomarr: Nomarr, options: ServiceOptions, method: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "nomarr.interfaces.api")
    async with running_server(nomarr, options) as address, await connected(address) as stream:
        await stream.send(method + b" / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nZZZ\r\n\r\n")
        answer = await everything(stream)
        assert problem_in(answer) == (b"400", True)
        assert answer.endswith(b"\r\n\r\n") == (method == b"HEAD")
    assert levels(caplog) == [logging.DEBUG]


@pytest.mark.parametrize("protocol", [b"websocket", b"h2c"])
async def test_a_wish_for_another_protocol_is_no_warning(
    nomarr: Nomarr, options: ServiceOptions, protocol: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    wish = b"\r\nConnection: upgrade\r\nUpgrade: " + protocol
    async with running_server(nomarr, options) as address, await connected(address) as stream:
        await stream.send(ASK.replace(b"\r\n\r\n", wish + b"\r\n\r\n"))
        assert (await stream.receive()).startswith(b"HTTP/1.1 200")
    assert levels(caplog) == []


def levels(caplog: pytest.LogCaptureFixture) -> list[int]:
    """Of what was logged about connections."""
    about = ("uvicorn.error", "nomarr.interfaces.api.connections_if", "asyncio")
    return [line.levelno for line in caplog.records if line.name.startswith(about) and line.levelno != logging.INFO]


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("127.0.0.1", THIS_COMPUTER),
        ("127.0.0.2", THIS_COMPUTER),
        ("::1", THIS_COMPUTER),
        ("::ffff:127.0.0.1", THIS_COMPUTER),
        ("192.168.1.7", "192.168.1.7"),
        ("::ffff:192.168.1.7", "192.168.1.7"),
        # Whoever has an address of IPv6 has all that begin as it does.
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::ffff", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_a_client_is_known_by_its_address(address: str, client: str) -> None:
    assert client_of(address) == client


def test_no_client_may_have_everything() -> None:
    assert [share_of(client, 1000) for client in (THIS_COMPUTER, "192.168.1.7")] == [500, 100]
    assert [share_of(client, 1) for client in (THIS_COMPUTER, "192.168.1.7")] == [1, 1]
