"""A running service for tests, and clients that check what they get against the OpenAPI document."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import anyio
import httpx
from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic import TypeAdapter

from nomarr import Nomarr
from nomarr.helpers.dto.tokens import TokenScope
from nomarr.interfaces.api.app_if import create_app
from nomarr.interfaces.api.options_if import ServiceOptions
from nomarr.interfaces.api.server_if import serve
from nomarr.interfaces.api.tokens_if import sign

BASE = "http://127.0.0.1:8337"


@dataclass
class Api:
    """The application with a client inside this process."""

    app: FastAPI
    client: httpx.AsyncClient

    async def get(self, path: str, **options: Any) -> Any:
        """The JSON of an answer that went well."""
        return await self.ask("GET", path, **options)

    async def ask(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        answer = await self.client.request(method, path, json=body, **options)
        assert answer.is_success, (answer.status_code, answer.text)
        check_shape(self.app, answer)
        return answer.json() if answer.content else None

    async def problem(self, method: str, path: str, body: Any = None, **options: Any) -> dict[str, Any]:
        """The problem that the request is answered with."""
        answer = await self.client.request(method, path, json=body, **options)
        assert answer.headers["content-type"] == "application/problem+json", answer.text
        problem: dict[str, Any] = answer.json()
        assert problem["status"] == answer.status_code
        assert set(problem) >= {"type", "title", "status", "detail", "error"}
        return problem

    async def ended(self, request: dict[str, Any]) -> dict[str, Any]:
        """A scan request once its scan has ended."""
        with anyio.fail_after(20):
            while request["state"] in ("waiting", "running"):
                request = await self.get(f"/api/v1/scan-requests/{request['request_id']}")
        return request

    async def scan(self, library_id: str, **wish: Any) -> dict[str, Any]:
        return await self.ended(await self.ask("POST", f"/api/v1/libraries/{library_id}/scans", wish))


def check_shape(app: FastAPI, answer: httpx.Response) -> None:
    """Raises unless the answer has exactly the members that the OpenAPI document tells."""
    for route in every_route(app):
        shape = route.response_model
        is_asked = route.path_regex.fullmatch(answer.url.path) and answer.request.method in route.methods
        if shape and answer.content and is_asked:
            TypeAdapter(shape).validate_python(answer.json())


def every_route(app: FastAPI) -> list[APIRoute]:
    from nomarr.interfaces.api import app_if

    return [route for router in app_if._ROUTERS for route in router.routes if isinstance(route, APIRoute)]


async def new_token(nomarr: Nomarr, scope: TokenScope = TokenScope.READ, days: float = 1) -> str:
    """What `nomarr token create` prints."""
    return sign(*await nomarr.tokens.keep("a test", scope, days))


async def all_of(api: Api, path: str, cursor: str = "cursor", /, **query: Any) -> AsyncIterator[dict[str, Any]]:
    """The items of all pages of a list; `cursor` is what it calls the place where it goes on."""
    place: dict[str, str] = {}
    while True:
        page = await api.get(path, params={**query, **place})
        for item in page["items"]:
            yield item
        if page["next_cursor"] is None:
            return
        place = {cursor: page["next_cursor"]}


@asynccontextmanager
async def running_api(nomarr: Nomarr, options: ServiceOptions) -> AsyncIterator[Api]:
    app = create_app(nomarr, options)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url=BASE) as client:
        yield Api(app, client)


@asynccontextmanager
async def running_server(nomarr: Nomarr, options: ServiceOptions, port: int = 0) -> AsyncIterator[str]:
    """The service, on a port of its own if none is named; its address."""
    address: list[str] = []
    ready = anyio.Event()

    def on_ready(where: str) -> None:
        address.append(where)
        ready.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(partial(serve, nomarr, "127.0.0.1", port, options, on_ready))
        with anyio.fail_after(10):
            await ready.wait()
        yield address[0]
        tasks.cancel_scope.cancel()


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Ask again and again until it is so."""
    with anyio.fail_after(20):
        while not await condition():  # noqa: ASYNC110 - what it asks for is in another process or layer
            await anyio.sleep(0.02)


async def sent_events(answer: httpx.Response) -> AsyncIterator[tuple[str, int | None, dict[str, Any]]]:
    """Kind, number and content of each server-sent event."""
    kind, number = "", None
    async for line in answer.aiter_lines():
        name, _, value = line.partition(": ")
        match name:
            case "event":
                kind = value
            case "id":
                number = int(value)
            case "data":
                yield kind, number, json.loads(value)
                kind, number = "", None
