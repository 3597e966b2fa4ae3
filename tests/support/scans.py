"""Short words for what tests ask of an open Nomarr."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

from nomarr import ChangeEvent, FileRecord, Library, Nomarr, Playlist, ScanReport, ScanTarget
from nomarr.helpers.dto.scan import ScanOptions
from nomarr.helpers.protocols import Retention
from nomarr.helpers.time_helper import system_clock
from nomarr.services.domain.library_svc import LibraryService, LibrarySettings

DAY = 24 * 3600.0


async def scan(nomarr: Nomarr, library: Library, *folders: str, recursive: bool = True, **options: Any) -> ScanReport:
    """Scan these folders, or all of the library."""
    targets = [ScanTarget(library.library_id, folder, recursive) for folder in folders or ("",)]
    return await nomarr.libraries.scan_targets(targets, **options)


def kept_for(days: float | None) -> Retention:
    """Missing files are kept for so many days; None: for good."""

    async def retention() -> float | None:
        return days

    return retention


def days_later(nomarr: Nomarr, days: float, *, keep: float | None = 30.0, marker: str = "") -> LibraryService:
    """The libraries as they are seen so many days from now."""
    settings = LibrarySettings(ScanOptions(settle_seconds=0, root_marker=marker))
    return LibraryService(nomarr.database, nomarr.tasks, kept_for(keep), settings, lambda: system_clock() + days * DAY)


async def present(nomarr: Nomarr, library: Library) -> dict[str, FileRecord]:
    """The files that are there, by path."""
    return {record.path: record for record in await nomarr.libraries.list_files(library.library_id)}


async def missing(nomarr: Nomarr, library: Library) -> dict[str, FileRecord]:
    """The missing files, by path."""
    return {record.path: record for record in await nomarr.libraries.list_files(library.library_id, missing=True)}


async def ids(nomarr: Nomarr, library: Library) -> dict[str, str]:
    """Path to id of the files that are there."""
    return {path: record.file_id for path, record in (await present(nomarr, library)).items()}


async def file_at(nomarr: Nomarr, library: Library, path: str) -> FileRecord:
    """The file that is there at this path."""
    return (await present(nomarr, library))[path]


async def last_seq(nomarr: Nomarr) -> int:
    """The number of the newest event."""
    return await nomarr.event_feed.last_seq()


async def events(nomarr: Nomarr, after: int = 0) -> list[ChangeEvent]:
    """The events so far."""
    return await nomarr.event_feed.list_events(after, limit=100_000)


async def happened(nomarr: Nomarr, after: int = 0) -> list[tuple[str, str]]:
    """What happened to which path, in order."""
    return [(event.type.value, event.path) for event in await events(nomarr, after)]


async def playlists(nomarr: Nomarr, library: Library) -> dict[str, Playlist]:
    """The playlists by path."""
    return {playlist.path: playlist for playlist in await nomarr.libraries.list_playlists(library.library_id)}


def execute(nomarr: Nomarr, statement: str) -> None:
    """Run SQL on the database behind its back."""
    with closing(sqlite3.connect(nomarr.database.location.removeprefix("sqlite:///"))) as db, db:
        db.execute(statement)
