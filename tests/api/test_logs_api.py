"""Log lines over HTTP: filtered, streamed, without secrets, and never too many of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator

import anyio
import httpx
import pytest
from api_kit import Api, running_server, sent_events, until

from nomarr import Nomarr
from nomarr.interfaces.api.log_ring_if import LogFilter, LogRing
from nomarr.interfaces.api.options_if import ServiceOptions

LOGS = "/api/v1/logs"
logger = logging.getLogger("nomarr.somewhere")


@pytest.fixture(autouse=True)
def everything_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="nomarr")


@pytest.fixture
def ring() -> Iterator[LogRing]:
    ring = LogRing(lines=3)
    with ring.installed():
        yield ring


async def kinds_and_messages(blocks: AsyncIterator[bytes], count: int) -> list[str]:
    """What the next blocks say, after the greeting."""
    told: list[str] = []
    with anyio.fail_after(10):
        async for text in blocks:
            if b"event: " in text:
                kind = text.split(b"event: ")[1].split(b"\n")[0].decode()
                told.append(kind if kind == "lost" else text.split(b'"message": "')[1].split(b'"')[0].decode())
            if len(told) == count:
                break
    return told


async def test_log_lines_are_kept_and_filtered(api: Api) -> None:
    logger.info("one line")
    logger.warning("another line\nwith %s", "\x1b[2J")
    lines = await api.get(LOGS, params={"query": "LINE"})
    assert [(line["level"], line["logger"]) for line in lines] == [
        ("info", "nomarr.somewhere"),
        ("warning", "nomarr.somewhere"),
    ]
    assert lines[1]["message"] == "another line\\nwith \\x1b[2J"
    (graver,) = await api.get(LOGS, params={"level": "warning", "query": "line"})
    assert graver == lines[1]
    assert await api.get(LOGS, params={"after": lines[1]["number"], "query": "line"}) == []


async def test_secrets_are_not_told(api: Api) -> None:
    logger.warning("can't reach arangodb://nomarr:%s@host/db", "hunter2")
    (line,) = await api.get(LOGS, params={"query": "reach"})
    assert line["message"] == "can't reach arangodb://***@host/db"


async def test_an_exception_is_told_with_its_traceback(api: Api) -> None:
    try:
        raise ValueError("odd")
    except ValueError:
        logger.exception("it failed")
    (line,) = await api.get(LOGS, params={"level": "error"})
    assert "it failed\\nTraceback" in line["message"]
    assert "ValueError: odd" in line["message"]


def test_only_the_newest_lines_are_kept(ring: LogRing) -> None:
    for number in range(10):
        logger.info("line %d", number)
    lines = ring.newest(LogFilter(), after=0, limit=100)
    assert [line["message"] for line in lines] == ["line 7", "line 8", "line 9"]
    numbers = [line["number"] for line in lines]
    assert numbers == list(range(numbers[0], numbers[0] + 3))


async def test_a_slow_reader_is_told_that_lines_are_lost(ring: LogRing) -> None:
    logger.info("first")
    with ring.stream(LogFilter(), None) as blocks:
        assert await anext(blocks)
        logger.info("seen")
        assert await kinds_and_messages(blocks, 1) == ["seen"]
        for number in range(5):
            logger.info("line %d", number)
        assert await kinds_and_messages(blocks, 4) == ["lost", "line 2", "line 3", "line 4"]


async def test_a_reader_whose_number_is_ahead_hears_what_comes(ring: LogRing) -> None:
    logger.info("before")
    with ring.stream(LogFilter(), 1 << 62) as blocks:
        assert await anext(blocks)
        logger.info("after")
        assert await kinds_and_messages(blocks, 1) == ["after"]


async def test_lines_of_other_threads_arrive(ring: LogRing) -> None:
    with ring.stream(LogFilter(logging.WARNING, "THREAD"), None) as blocks:
        reading = asyncio.ensure_future(kinds_and_messages(blocks, 1))
        await anyio.to_thread.run_sync(logger.info, "a thread says nothing of weight")
        await anyio.to_thread.run_sync(logger.warning, "a thread warns")
        assert await reading == ["a thread warns"]


async def test_a_stream_goes_on_where_it_was(nomarr: Nomarr, options: ServiceOptions) -> None:
    async with running_server(nomarr, options) as address, httpx.AsyncClient(base_url=address, timeout=20) as client:
        logger.info("mark: one")
        logger.warning("mark: two")

        async def heard(count: int, **asked: object) -> list[tuple[int | None, str]]:
            with anyio.fail_after(20):
                async with client.stream("GET", f"{LOGS}/stream?query=mark", **asked) as answer:  # type: ignore[arg-type] # of a test
                    assert answer.headers["content-type"].startswith("text/event-stream")
                    lines: list[tuple[int | None, str]] = []
                    async for kind, number, said in sent_events(answer):
                        if kind == "log":
                            lines.append((number, said["message"]))
                        if len(lines) == count:
                            break
            return lines

        (first, one), (_, two) = await heard(2, params={"query": "mark", "after": 0})
        assert (one, two) == ("mark: one", "mark: two")
        again = await heard(1, headers={"Last-Event-ID": str(first)})
        assert again[0][1] == "mark: two"

        async def nobody_listens() -> bool:
            return "nomarr_streams 0.0" in (await client.get("/metrics")).text

        await until(nobody_listens)


async def test_what_is_no_number_is_a_problem(api: Api) -> None:
    assert (await api.problem("GET", f"{LOGS}/stream", headers={"Last-Event-ID": "x"}))["status"] == 422
    assert (await api.problem("GET", LOGS, params={"level": "loud"}))["status"] == 422
