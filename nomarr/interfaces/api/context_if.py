"""What endpoints are given: the open Nomarr, and what belongs to the running service."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Annotated, Final
from urllib.parse import parse_qsl

import anyio
from fastapi import Depends, Request
from pydantic import PlainValidator, WithJsonSchema

from nomarr.app import Nomarr
from nomarr.interfaces.api.event_hub_if import EventHub
from nomarr.interfaces.api.log_ring_if import LogRing
from nomarr.interfaces.api.metrics_if import Metrics
from nomarr.interfaces.api.options_if import ServiceOptions
from nomarr.interfaces.api.problems_if import Refused
from nomarr.interfaces.api.scan_requests_if import ScanRequests
from nomarr.interfaces.api.streams_if import Streams

__all__ = ["OpenNomarr", "PathText", "Running", "Service", "query_path"]


@dataclass(frozen=True, slots=True)
class Service:
    """Everything that lives from the service's start to its end."""

    nomarr: Nomarr
    options: ServiceOptions
    streams: Streams
    hub: EventHub
    requests: ScanRequests
    logs: LogRing
    metrics: Metrics
    settings_lock: anyio.Lock = field(default_factory=anyio.Lock)
    """Held by whoever reads, changes and stores what was changed over HTTP."""

    async def follow_libraries(self) -> None:
        """Let the watcher see at once what it would find out by itself after some seconds."""
        if self.options.watch and self.nomarr.config.enable_file_watching:
            await self.nomarr.watcher.follow_libraries()


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


def _nomarr(request: Request) -> Nomarr:
    return _service(request).nomarr


Running = Annotated[Service, Depends(_service)]
OpenNomarr = Annotated[Nomarr, Depends(_nomarr)]


_LONGEST_PATH: Final = 4096
"""In bytes; on Linux."""


def _path_text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("a path is a string")
    try:
        path = os.fsencode(value)
    except UnicodeEncodeError:
        # Half of a surrogate pair that stands for no byte.
        path = b"\0"
    if b"\0" in path:
        raise ValueError("no path of this computer can hold such characters")
    if len(path) > _LONGEST_PATH:
        raise ValueError(f"a path has at most {_LONGEST_PATH:,} bytes")
    return value


PathText = Annotated[str, PlainValidator(_path_text), WithJsonSchema({"type": "string", "maxLength": _LONGEST_PATH})]
"""A path in JSON: bytes that are no UTF-8 are lone surrogates, as in every answer."""


def query_path(request: Request, name: str) -> str:
    """A path in the query, byte for byte; the empty one if there is none. Raises `Refused` for what is no path."""
    # Not the framework's own parameters: these replace what is no UTF-8 by question marks.
    query: str = request.scope["query_string"].decode("ascii", "surrogateescape")
    try:
        return _path_text(dict(parse_qsl(query, errors="surrogateescape")).get(name, ""))
    except ValueError as error:
        raise Refused(422, f"{name}: {error}", error="RequestNotValid") from None
