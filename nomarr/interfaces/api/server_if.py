"""Runs the application inside of a program that has its own event loop and its own signals."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from typing import Final, cast

import anyio
import uvicorn
from fastapi import FastAPI

from nomarr.app import Nomarr
from nomarr.helpers.exceptions import ConfigurationError
from nomarr.interfaces.api.app_if import create_app
from nomarr.interfaces.api.connections_if import Connection, Connections
from nomarr.interfaces.api.open_files_if import connections_that_fit, shortage_told_once
from nomarr.interfaces.api.options_if import ServiceOptions, is_loopback

__all__ = ["options_for", "serve"]

_TASK: Final = "serve"
_DRAIN_SECONDS: Final = 4
"""How long requests that run may take to end when the service ends,"""
_STOP_SECONDS: Final = 8
"""and how long everything may."""
_WAITING: Final = 64
"""So many connections may wait to be accepted; asyncio tries as often in a row if none of them can be."""


def options_for(host: str, *, tokens_exist: bool, require_tokens: bool = False) -> ServiceOptions:
    """How the service protects itself at this address.

    Args:
        require_tokens: also at this computer's own addresses, where a proxy may let others in.

    Raises:
        ConfigurationError: if tokens are needed and nobody has made one yet.
    """
    if is_loopback(host) and not require_tokens:
        usual = ServiceOptions()
        return replace(usual, allowed_hosts=tuple(dict.fromkeys((*usual.allowed_hosts, host))))
    if not tokens_exist:
        raise ConfigurationError(
            "tokens are needed, as others can connect, and there is none in this database yet; make one for it with "
            "'nomarr token create' (with Docker 'docker compose … run --rm nomarr token create', and the options that "
            "'up' was given), or serve 127.0.0.1 without --require-token",
            source=f"the address {host}",
        )
    return ServiceOptions(tokens_required=True, allowed_hosts=())


async def serve(nomarr: Nomarr, host: str, port: int, options: ServiceOptions, on_ready: Callable[[str], None]) -> None:
    """Serve until cancelled, and then end within ten seconds.

    Args:
        port: 0: one that is free.
        on_ready: is told the service's address once it answers.

    Raises:
        ConfigurationError: if the address can't be used.
        DatabaseError: if the application can't start because of the database.
    """
    with closing(_listen(host, port)) as listener, shortage_told_once():
        app = create_app(nomarr, options)
        # Started here, as uvicorn prints why an application can't start and ends the process.
        async with app.router.lifespan_context(app):
            server = _Server(app, options, lambda: on_ready(_address(host, listener)))
            nomarr.tasks.start(_TASK, partial(_serve, server, listener))
            try:
                await nomarr.tasks.wait(_TASK)
            finally:
                await _end(nomarr, app, server)


async def _serve(server: uvicorn.Server, listener: socket.socket) -> None:
    # Shielded, because a server that is cancelled does not end its requests: `_end` ends it.
    with anyio.CancelScope(shield=True):
        await server.serve(sockets=[listener])


async def _end(nomarr: Nomarr, app: FastAPI, server: uvicorn.Server) -> None:
    # Streams have no end of their own.
    app.state.service.streams.close()
    server.should_exit = True
    with anyio.move_on_after(_STOP_SECONDS, shield=True) as patience:
        await nomarr.tasks.wait(_TASK)
    # From then on it waits for nobody.
    server.force_exit = patience.cancelled_caught


class _Server(uvicorn.Server):
    """Leaves signals to the program that it runs in."""

    def __init__(self, app: FastAPI, options: ServiceOptions, on_ready: Callable[[], None]) -> None:
        connections = Connections(options, connections_that_fit(options.max_connections))
        super().__init__(
            uvicorn.Config(
                app,
                # uvicorn only calls it.
                http=cast("type[asyncio.Protocol]", partial(Connection, known=connections)),
                ws="none",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                lifespan="off",
                backlog=_WAITING,
                timeout_keep_alive=options.idle_seconds,
                timeout_graceful_shutdown=_DRAIN_SECONDS,
            )
        )
        self._on_ready = on_ready

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_ready()


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise _unusable(host, port, error) from error
    except UnicodeError as error:
        raise ConfigurationError(f"'{host}' is no name of a computer", source="the address") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        # At once: a port that is only bound can be taken by a second service.
        listener.listen(_WAITING)
    except OSError as error:
        listener.close()
        raise _unusable(host, port, error) from error
    return listener


def _unusable(host: str, port: int, error: OSError) -> ConfigurationError:
    return ConfigurationError(
        f"{host}, port {port}, can't be used ({error.strerror}); choose another one with --port or NOMARR_SERVE_PORT",
        source="the address",
    )


def _address(host: str, listener: socket.socket) -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{listener.getsockname()[1]}"
