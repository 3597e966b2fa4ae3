"""Asking for the head of an answer alone, and with methods that a path does not know (RFC 9110, 9.1 and 15.5.6)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import anyio
import httpx
import pytest
from api_kit import Api, every_route, running_server

from nomarr import Library, Nomarr
from nomarr.interfaces.api.options_if import ServiceOptions

STREAMS = ["/api/v1/events/stream", "/api/v1/logs/stream"]
# Those whose answers change from one moment to the next have other lengths.
SAME = ["/", "/docs", "/healthz", "/readyz", "/openapi.json", "/page/main.js", "/api/v1/libraries", "/api/v1/settings"]
ONLY_READ = ["/", "/docs", "/healthz", "/page/main.js", "/page/nothing.js", "/openapi.json", STREAMS[0]]


@pytest.fixture
async def client(nomarr: Nomarr, options: ServiceOptions) -> AsyncIterator[httpx.AsyncClient]:
    """Of a server: what has no body is its business, too. It has a place for a single stream."""
    async with (
        running_server(nomarr, replace(options, max_streams=1)) as address,
        httpx.AsyncClient(base_url=address, timeout=10) as client,
    ):
        yield client


@pytest.mark.parametrize("path", SAME)
@pytest.mark.parametrize("encoding", ["identity", "gzip"])
async def test_the_head_of_an_answer_is_told_alone(client: httpx.AsyncClient, path: str, encoding: str) -> None:
    for headers in ({"Accept-Encoding": encoding}, {"Accept-Encoding": encoding, "Host": "evil.example"}):
        whole, head = [await client.request(method, path, headers=headers) for method in ("GET", "HEAD")]
        assert head.content == b""
        assert (head.status_code, told(head)) == (whole.status_code, told(whole))


def told(answer: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name != "date"}


@pytest.mark.parametrize("path", ["/metrics", "/api/v1/logs", "/api/v1/watcher/health", "/api/v1/libraries/ID"])
async def test_whatever_is_read_has_a_head(client: httpx.AsyncClient, library: Library, path: str) -> None:
    answer = await client.head(path.replace("ID", library.library_id))
    assert (answer.status_code, answer.content) == (200, b"")


async def test_what_is_not_there_has_a_head_too(client: httpx.AsyncClient) -> None:
    for path in ("/nowhere", "/api/v1/libraries/nobody", "/page/nothing.js"):
        answer = await client.head(path)
        assert (answer.status_code, answer.content) == (404, b"")


@pytest.mark.parametrize("path", STREAMS)
async def test_the_head_of_a_stream_takes_no_place(client: httpx.AsyncClient, path: str) -> None:
    async with client.stream("GET", path):
        with anyio.fail_after(5):
            for _ in range(3):
                answer = await client.head(path)
                assert (answer.status_code, answer.content) == (200, b"")
                assert answer.headers["content-type"].startswith("text/event-stream")
        assert (await client.get(path)).status_code == 429


@pytest.mark.parametrize("path", ONLY_READ)
@pytest.mark.parametrize("method", ["POST", "DELETE", "OPTIONS", "BREW"])
async def test_what_is_only_read_says_so(api: Api, path: str, method: str) -> None:
    answer = await api.client.request(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
    assert (await api.problem(method, path))["status"] == 405


async def test_a_path_tells_all_methods_that_it_knows(api: Api) -> None:
    routes = every_route(api.app)
    for asked in {route.path.replace("{", "").replace("}", "") for route in routes}:
        methods = set().union(*(route.methods for route in routes if route.path_regex.match(asked)))
        allowed = methods | {"HEAD"} if "GET" in methods else methods
        assert len(allowed) > 0
        for method in ("BREW", "OPTIONS"):
            answer = await api.client.request(method, asked)
            assert (answer.status_code, set(answer.headers["allow"].split(", "))) == (405, allowed), asked
