"""Scans that clients asked for: each can be looked at and cancelled until long after it has ended."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from functools import partial
from itertools import islice
from typing import Final

import anyio

from nomarr.app import Nomarr
from nomarr.helpers.dto.library import ScanTarget
from nomarr.helpers.dto.scan import ScanProgress, ScanReport
from nomarr.helpers.exceptions import LibraryOffline, NomarrError
from nomarr.helpers.time_helper import iso8601, system_clock
from nomarr.interfaces.api.event_hub_if import EventHub
from nomarr.interfaces.api.problems_if import Refused
from nomarr.interfaces.contract import JsonObject, report_object, target_object
from nomarr.services.domain.scan_queue_svc import ScanHandle

__all__ = ["RequestState", "ScanRequest", "ScanRequests"]

_KEPT: Final = 200
"""So many requests are remembered, and so many at most may wait or run."""
_TARGETS_LISTED: Final = 10
"""A list of requests tells so many targets of each: one alone may have a thousand."""


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
    """One scan that a client asked for; others that wait at the same time may have the same handle."""

    handle: ScanHandle
    targets: Sequence[ScanTarget]
    number: int
    """Counted from 1, in the order in which they were asked for."""
    interest: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    """Cancelled once its client does not wait for the scan any more."""
    request_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    asked_at: float = field(default_factory=system_clock)
    progress: ScanProgress = field(default_factory=ScanProgress)
    ended: RequestState | None = None
    report: ScanReport | None = None
    error: str | None = None


class ScanRequests:
    """The newest requests; those that have ended are forgotten first."""

    def __init__(self, nomarr: Nomarr, hub: EventHub) -> None:
        self._nomarr = nomarr
        self._hub = hub
        self._requests: dict[str, ScanRequest] = {}
        self._asked = 0
        self._starting = 0
        """So many will be among the requests in a moment."""

    async def start(
        self, library_id: str, targets: Sequence[ScanTarget], *, full: bool, dry_run: bool, accept_losses: bool
    ) -> ScanRequest:
        """Ask for a scan. Raises `LibraryNotFound` and `Refused`; everything else is told by the request."""
        self._make_room()
        self._starting += 1
        try:
            handle = await self._nomarr.libraries.start_scan_for_library(
                library_id, targets, full=full, dry_run=dry_run, accept_losses=accept_losses
            )
        finally:
            self._starting -= 1
        self._asked += 1
        request = ScanRequest(handle, tuple(targets) or (ScanTarget(library_id),), self._asked)
        self._requests[request.request_id] = request
        self._nomarr.tasks.start_once(f"scan request {request.request_id}", partial(self._follow, request))
        return request

    def cancel(self, request: ScanRequest) -> None:
        """Its client does not want it any more. The scan ends, or is not begun, unless somebody else wants it, too."""
        handle = request.handle
        if request.ended is not None or handle.is_done or handle.is_cancelled:
            return
        handle.give_up(request.targets)
        # A scan that runs for this client only takes a moment to end; until then it is not said to have ended.
        if not (handle.has_begun and handle.is_cancelled):
            request.ended = RequestState.CANCELLED
            request.interest.cancel()

    def get(self, request_id: str) -> ScanRequest | None:
        """None if there was none, or it ended too long ago."""
        return self._requests.get(request_id)

    def has_any(self, library_id: str) -> bool:
        """True if a scan of this library was asked for and is remembered."""
        return any(True for _ in self._newest_first(library_id))

    def page(self, library_id: str | None, *, before: int | None, limit: int) -> list[ScanRequest]:
        """Newest first; only those that were asked for before the one with the number `before`."""
        found = self._newest_first(library_id)
        return list(islice((request for request in found if before is None or request.number < before), limit))

    def state(self, request: ScanRequest) -> RequestState:
        """How it stands."""
        if request.ended is not None:
            return request.ended
        return RequestState.RUNNING if request.handle.has_begun else RequestState.WAITING

    def as_object(self, request: ScanRequest, *, listed: bool = False) -> JsonObject:
        """For clients; `listed`: with its first targets only, as one of many."""
        options = request.handle.options
        targets = request.targets[:_TARGETS_LISTED] if listed else request.targets
        return {
            "request_id": request.request_id,
            "library_id": request.handle.library_id,
            "state": self.state(request),
            "asked_at": iso8601(request.asked_at),
            "targets": [target_object(target) for target in targets],
            "target_count": len(request.targets),
            "full": options.full,
            "dry_run": options.dry_run,
            "accept_losses": options.accept_losses,
            "progress": asdict(request.progress),
            "report": None if request.report is None else report_object(request.report),
            "error": request.error,
        }

    def _newest_first(self, library_id: str | None) -> Iterator[ScanRequest]:
        for request in reversed(self._requests.values()):
            if library_id in (None, request.handle.library_id):
                yield request

    async def _follow(self, request: ScanRequest) -> None:
        tell = partial(self._tell, request)
        request.handle.subscribe(tell)
        try:
            with request.interest:
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
            request.handle.unsubscribe(tell)
            if request.ended is not None:
                self._hub.scan_request(self.as_object(request, listed=True))

    def _tell(self, request: ScanRequest, progress: ScanProgress) -> None:
        request.progress = progress
        self._hub.scan_progress(request.request_id, request.handle.library_id, progress)

    def _make_room(self) -> None:
        """For one more request. Raises `Refused` if none of the others has ended."""
        while len(self._requests) + self._starting >= _KEPT:
            oldest = next((request for request in self._requests.values() if request.ended is not None), None)
            if oldest is None:
                said = f"{_KEPT} scans that were asked for have not ended; wait for some of them, or cancel them"
                raise Refused(429, said, error="TooManyScanRequests", Retry_After="10")
            del self._requests[oldest.request_id]
