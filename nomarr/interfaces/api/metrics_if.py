"""Numbers for Prometheus: counted as things happen, or looked up when somebody asks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from nomarr.app import Nomarr
from nomarr.helpers.dto.enrichment import DueWork, EnrichmentProgress
from nomarr.helpers.dto.events import ChangeEvent
from nomarr.helpers.dto.library import Library
from nomarr.helpers.dto.scan import ScanReport
from nomarr.helpers.dto.watching import WatchStatus
from nomarr.helpers.exceptions import LibraryOffline
from nomarr.interfaces.api.event_hub_if import EventHub
from nomarr.interfaces.api.streams_if import Streams

__all__ = ["Metrics"]

_SCAN_SECONDS: Final = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200)
_RESULTS: Final = ("added", "updated", "unchanged", "moved", "missing", "restored", "ignored", "failed", "held_back")
_WATCH_COUNTERS: Final[dict[str, tuple[str, Callable[[WatchStatus], int]]]] = {
    "nomarr_watch_targets": ("Folders that were handed to scans", lambda status: status.targets),
    "nomarr_watch_folds": ("Times that many folders became their parent", lambda status: status.folds),
    "nomarr_watch_overflows": ("Times that the kernel's queue was full", lambda status: status.overflows),
    "nomarr_watch_rebuilds": ("Times that all watches were set anew", lambda status: status.rebuilds),
    "nomarr_watch_scans": ("Scans that a watcher began", lambda status: status.scans),
    "nomarr_watch_suppressed": (
        "Events that needed no scan of their own: their folder waited for one already",
        lambda status: status.suppressed,
    ),
}
_WATCH_GAUGES: Final[dict[str, tuple[str, Callable[[WatchStatus], float | None]]]] = {
    "nomarr_watched_folders": ("Folders with a watch", lambda status: status.watched_folders),
    "nomarr_blind_folders": ("Folders without a watch", lambda status: status.blind_folders),
    "nomarr_watch_queue": ("Folders that wait for a scan", lambda status: status.pending_targets),
    "nomarr_last_event_timestamp_seconds": ("When the kernel last told something", lambda s: s.last_event_at),
}
_LIBRARY_GAUGES: Final[dict[str, tuple[str, Callable[[Library], float | None]]]] = {
    "nomarr_library_files": ("Files that are there", lambda library: library.files),
    "nomarr_library_missing": ("Files that are missing", lambda library: library.missing),
    "nomarr_last_scan_timestamp_seconds": ("When a scan last ended", lambda library: library.last_scan_at),
}


class Metrics:
    """Everything that `/metrics` tells."""

    def __init__(self, nomarr: Nomarr, hub: EventHub, streams: Streams) -> None:
        self._nomarr = nomarr
        self._registry = CollectorRegistry()
        self._changes = Counter("nomarr_events", "Changes of files", ("library", "type"), registry=self._registry)
        self._scans = Histogram(
            "nomarr_scan_duration_seconds",
            "How long completed scans took",
            ("library",),
            buckets=_SCAN_SECONDS,
            registry=self._registry,
        )
        self._files = Counter(
            "nomarr_scanned_files", "Files by what scans found", ("library", "result"), registry=self._registry
        )
        self._errors = Counter(
            "nomarr_errors",
            "What went wrong: root (a library that was away), scan (one that failed), read (a file without readable "
            "tags), art and sound (a file that enrichment failed with)",
            ("library", "stage"),
            registry=self._registry,
        )
        self._enrichment_failures = 0
        self._looked_up = _LookedUp(streams)
        self._registry.register(self._looked_up)
        nomarr.libraries.subscribe(self._scanned)
        nomarr.libraries.subscribe_failures(self._failed)
        nomarr.enrichment.subscribe(self._enriched)
        hub.subscribe(self._changed)

    async def render(self) -> bytes:
        """All of it as text, as Prometheus reads it."""
        self._looked_up.libraries = await self._nomarr.libraries.list_libraries()
        self._looked_up.watches = self._nomarr.watcher.status()
        self._looked_up.watch_limits = self._nomarr.watcher.kernel_limits()
        self._looked_up.scans = self._nomarr.libraries.queue_lengths()
        self._looked_up.due = await self._nomarr.enrichment.due_work()
        return generate_latest(self._registry)

    def _changed(self, event: ChangeEvent) -> None:
        self._changes.labels(event.library_id, event.type).inc()

    def _scanned(self, report: ScanReport) -> None:
        if report.dry_run:
            return
        self._scans.labels(report.library_id).observe(report.duration_seconds)
        for result in _RESULTS:
            self._files.labels(report.library_id, result).inc(getattr(report, f"files_{result}"))
        self._errors.labels(report.library_id, "read").inc(report.files_failed)

    def _failed(self, library_id: str, error: Exception) -> None:
        self._errors.labels(library_id, "root" if isinstance(error, LibraryOffline) else "scan").inc()

    def _enriched(self, progress: EnrichmentProgress) -> None:
        # Each run counts from 0; it works on all libraries.
        new = progress.files_failed - self._enrichment_failures
        self._enrichment_failures = progress.files_failed
        if new > 0:
            self._errors.labels("", progress.step).inc(new)


class _LookedUp(Collector):
    """What is known without being counted here."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        self.libraries: list[Library] = []
        self.watches: list[WatchStatus] = []
        self.watch_limits: Mapping[str, int] = {}
        self.scans = (0, 0)
        self.due = DueWork()

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        yield from self._of_libraries()
        yield from self._of_watches()
        yield from self._of_the_service()

    def _of_the_service(self) -> Iterator[Metric]:
        running, waiting = self.scans
        backlog = {"art": self.due.art, "sound": self.due.sound, "later": self.due.later}
        yield _gauge("nomarr_enrichment_backlog", "Files that wait for enrichment", "step", backlog)
        yield GaugeMetricFamily("nomarr_enrichment_failed", "Files that enrichment failed with", self.due.failed)
        yield GaugeMetricFamily("nomarr_scans_running", "Scans that run", running)
        yield GaugeMetricFamily("nomarr_scans_waiting", "Scans that wait for others", waiting)
        yield GaugeMetricFamily("nomarr_streams", "Clients that listen", len(self._streams))
        yield CounterMetricFamily(
            "nomarr_streams_dropped", "Clients that were let go as too slow", self._streams.dropped
        )

    def _of_libraries(self) -> Iterator[Metric]:
        known = GaugeMetricFamily(
            "nomarr_library", "1 for the state that a library has", labels=["library", "name", "state"]
        )
        for library in self.libraries:
            known.add_metric([library.library_id, _utf8(library.name), library.state], 1)
        yield known
        for name, (words, value) in _LIBRARY_GAUGES.items():
            yield _gauge(name, words, "library", {library.library_id: value(library) for library in self.libraries})

    def _of_watches(self) -> Iterator[Metric]:
        for name, (words, count) in _WATCH_COUNTERS.items():
            counter = CounterMetricFamily(name, words, labels=["library"])
            for status in self.watches:
                counter.add_metric([status.library_id], count(status))
            yield counter
        for name, (words, value) in _WATCH_GAUGES.items():
            yield _gauge(name, words, "library", {status.library_id: value(status) for status in self.watches})
        yield GaugeMetricFamily(
            "nomarr_watches_used", "Folders with a watch", sum(status.watched_folders for status in self.watches)
        )
        yield _gauge("nomarr_watch_limit", "What the kernel allows a user (inotify(7))", "limit", self.watch_limits)
        yield from self._by_kind()

    def _by_kind(self) -> Iterator[Metric]:
        events = CounterMetricFamily("nomarr_watch_events", "Events that the kernel told", labels=["library", "type"])
        state = GaugeMetricFamily(
            "nomarr_watch_state", "1 for the state that a watcher has", labels=["library", "state"]
        )
        faults = CounterMetricFamily("nomarr_watch_faults", "Faults of watching", labels=["library", "kind"])
        for status in self.watches:
            state.add_metric([status.library_id, status.state], 1)
            for change, number in status.events_by_change:
                events.add_metric([status.library_id, change], number)
            for kind, number in status.faults:
                faults.add_metric([status.library_id, kind], number)
        yield from (events, state, faults)


def _gauge(name: str, words: str, label: str, values: Mapping[str, float | None]) -> GaugeMetricFamily:
    """What has no value is left out."""
    gauge = GaugeMetricFamily(name, words, labels=[label])
    for key, value in values.items():
        if value is not None:
            gauge.add_metric([key], value)
    return gauge


def _utf8(name: str) -> str:
    """A library may be named after a folder whose name is no UTF-8."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")
