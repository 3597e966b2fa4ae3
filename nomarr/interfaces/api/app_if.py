"""The HTTP application: its endpoints, what stands before them, and what lives as long as it does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from importlib.metadata import version
from typing import Final

import anyio
from fastapi import Depends, FastAPI

from nomarr.app import Nomarr
from nomarr.config import Config
from nomarr.interfaces.api import (
    docs_if,
    events_if,
    files_if,
    health_if,
    issuing_if,
    libraries_if,
    logs_if,
    playlists_if,
    scans_if,
    session_if,
    settings_if,
    watcher_if,
)
from nomarr.interfaces.api.browse_if import default_roots
from nomarr.interfaces.api.codings_if import GzipIfTaken
from nomarr.interfaces.api.context_if import Service
from nomarr.interfaces.api.event_hub_if import EventHub
from nomarr.interfaces.api.guard_if import Guard
from nomarr.interfaces.api.log_ring_if import LogRing
from nomarr.interfaces.api.methods_if import HeadAsGet
from nomarr.interfaces.api.metrics_if import Metrics
from nomarr.interfaces.api.openapi_if import DescribedApi
from nomarr.interfaces.api.options_if import ServiceOptions
from nomarr.interfaces.api.page_if import install_page
from nomarr.interfaces.api.problems_if import install_problems
from nomarr.interfaces.api.queries_if import require_clear_query
from nomarr.interfaces.api.revocation_if import current_tokens
from nomarr.interfaces.api.scan_requests_if import ScanRequests
from nomarr.interfaces.api.settings_if import restore_settings
from nomarr.interfaces.api.streams_if import Streams

__all__ = ["create_app"]

_SMALLEST_TO_ZIP: Final = 1000
_ROUTERS: Final = (
    health_if.router,
    libraries_if.router,
    scans_if.router,
    files_if.router,
    playlists_if.router,
    events_if.router,
    watcher_if.router,
    settings_if.router,
    logs_if.router,
    session_if.router,
    issuing_if.router,
    docs_if.router,
)


def create_app(source: Nomarr | Config | str | None = None, options: ServiceOptions | None = None) -> FastAPI:
    """The application; its lifespan watches every library.

    Args:
        source: an open Nomarr, which stays open; or what `Nomarr.open` takes, and it is open while the service runs.
        options: limits and permissions; by default those for this computer's own addresses.
    """
    wanted = options or ServiceOptions()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            nomarr = source if isinstance(source, Nomarr) else await stack.enter_async_context(Nomarr.open(source))
            app.state.service = await stack.enter_async_context(_running(nomarr, wanted))
            if wanted.tokens_required:
                current = current_tokens(nomarr, wanted.token_look_seconds)
                app.state.current = await stack.enter_async_context(current)
            yield

    app = DescribedApi(
        tokens_required=wanted.tokens_required,
        title="Nomarr",
        summary="Keeps a music library database true to the disk",
        version=version("nomarr"),
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        # Behind a proxy the address of the right path would be wrong: what a proxy says of addresses is not believed.
        redirect_slashes=False,
    )
    install_problems(app)
    for router in _ROUTERS:
        app.include_router(router, dependencies=[Depends(require_clear_query)])
    install_page(app)
    app.add_middleware(GzipIfTaken, minimum_size=_SMALLEST_TO_ZIP)
    app.add_middleware(Guard, options=wanted, current=lambda: app.state.current)
    # Outermost: to everything else it is a GET.
    app.add_middleware(HeadAsGet)
    return app


@asynccontextmanager
async def _running(nomarr: Nomarr, options: ServiceOptions) -> AsyncIterator[Service]:
    """Everything that a running service has around an open Nomarr."""
    logs = LogRing()
    streams = Streams(options.max_streams)
    hub = EventHub(nomarr, backlog=options.stream_backlog, look_seconds=options.library_look_seconds)
    roots = options.browse_roots or tuple(nomarr.config.browse_roots) or default_roots()
    with logs.installed():
        await restore_settings(nomarr)
        await hub.start()
        try:
            if options.watch:
                await nomarr.watch_all()
            yield Service(
                nomarr,
                replace(options, browse_roots=roots),
                streams,
                hub,
                ScanRequests(nomarr, hub),
                logs,
                Metrics(nomarr, hub, streams),
            )
        finally:
            streams.close()
            hub.stop()
            # Also for whoever is cancelled.
            with anyio.CancelScope(shield=True):
                await nomarr.watcher.stop_all()
