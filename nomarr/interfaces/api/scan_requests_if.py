"""Scans that clients asked for: each can be looked at and cancelled until long after it has ended."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from functools import partial
from typing import Final

from nomarr.app import Nomarr
from nomarr.helpers.dto.library import ScanTarget
from nomarr.helpers.dto.scan import ScanReport
from nomarr.helpers.exceptions import LibraryOffline, NomarrError
from nomarr.helpers.time_helper import iso8601, system_clock
from nomarr.interfaces.api.event_hub_if import EventHub
from nomarr.interfaces.contract import JsonObject, report_object, target_object
from nomarr.services.domain.scan_queue_svc import ScanHandle

__all__ = ["RequestState", "ScanRequest", "ScanRequests"]

_KEPT: Final = 200


class RequestState(StrEnum):
    """How a scan that was asked for stands."""

    WAITING = "waiting"
    RUNNING = "running"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    OFFLINE = "offline"
    FAILED = "failed"


@dataclass(slots=True)
class ScanRequest:
    """One scan that a client asked for."""

    handle: ScanHandle
    targets: Sequence[ScanTarget]
    request_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    asked_at: float = field(default_factory=system_clock)
    ended: RequestState | None = None
    report: ScanReport | None = None
    error: str | None = None


class ScanRequests:
    """The newest requests; those that have ended are forgotten first."""

    def __init__(self, nomarr: Nomarr, hub: EventHub) -> None:
        self._nomarr = nomarr
        self._hub = hub
        self._requests: dict[str, ScanRequest] = {}

    async def start(
        self, library_id: str, targets: Sequence[ScanTarget], *, full: bool, dry_run: bool, accept_losses: bool
    ) -> ScanRequest:
        """Ask for a scan. Raises `LibraryNotFound`; everything else is told by the request."""
        handle = await self._nomarr.libraries.start_scan_for_library(
            library_id, targets, full=full, dry_run=dry_run, accept_losses=accept_losses
        )
        request = ScanRequest(handle, tuple(targets) or (ScanTarget(library_id),))
        handle.subscribe(partial(self._hub.scan_progress, request.request_id, library_id))
        self._requests[request.request_id] = request
        self._forget_old_ones()
        self._nomarr.tasks.start_once(f"scan request {request.request_id}", partial(self._follow, request))
        return request

    def get(self, request_id: str) -> ScanRequest | None:
        """None if there was none, or it ended too long ago."""
        return self._requests.get(request_id)

    def list(self, library_id: str | None) -> list[ScanRequest]:
        """Newest first."""
        return [
            request for request in reversed(self._requests.values()) if library_id in (None, request.handle.library_id)
        ]

    def state(self, request: ScanRequest) -> RequestState:
        """How it stands."""
        if request.ended is not None:
            return request.ended
        running = self._nomarr.libraries.running_scan(request.handle.library_id)
        return RequestState.RUNNING if running is request.handle else RequestState.WAITING

    def as_object(self, request: ScanRequest) -> JsonObject:
        """For clients."""
        options = request.handle.options
        return {
            "request_id": request.request_id,
            "library_id": request.handle.library_id,
            "state": self.state(request),
            "asked_at": iso8601(request.asked_at),
            "targets": [target_object(target) for target in request.targets],
            "full": options.full,
            "dry_run": options.dry_run,
            "accept_losses": options.accept_losses,
            "progress": asdict(request.handle.progress),
            "report": None if request.report is None else report_object(request.report),
            "error": request.error,
        }

    async def _follow(self, request: ScanRequest) -> None:
        try:
            request.report = await request.handle.result()
            request.ended = RequestState.CANCELLED if request.report is None else RequestState.COMPLETED
        except LibraryOffline as error:
            request.ended, request.error = RequestState.OFFLINE, str(error)
        except NomarrError as error:
            request.ended, request.error = RequestState.FAILED, str(error)
        except Exception as error:
            # It is the scan's own mistake, and logged below; the client must not wait for ever.
            request.ended, request.error = RequestState.FAILED, f"unexpected error: {type(error).__name__}"
            raise
        finally:
            if request.ended is not None:
                self._hub.scan_request(self.as_object(request))

    def _forget_old_ones(self) -> None:
        ended = [request for request in self._requests.values() if request.ended is not None]
        for request in ended[: max(0, len(self._requests) - _KEPT)]:
            del self._requests[request.request_id]
