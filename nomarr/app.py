"""The composition root: opens the database, builds the services, and ends all of it together."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from itertools import chain, repeat
from pathlib import Path
from typing import Any, Final

import anyio
import anyio.to_thread

from nomarr.config import Config, changed_config, load_config
from nomarr.helpers.dto.enrichment import EnrichmentOptions
from nomarr.helpers.dto.library import FileRules
from nomarr.helpers.dto.scan import ScanOptions
from nomarr.helpers.dto.settings import KeptSettings
from nomarr.helpers.dto.stored import CopyReport, RowProgress
from nomarr.helpers.dto.watching import WatchSettings
from nomarr.helpers.exceptions import ConfigurationError, DatabaseNotReachable, TaskAlreadyRunning
from nomarr.persistence.db import Database
from nomarr.services.domain.library_svc import LibraryService, LibrarySettings
from nomarr.services.infrastructure.background_task_svc import BackgroundTaskService
from nomarr.services.infrastructure.database_copy_svc import copy_database
from nomarr.services.infrastructure.doctor_svc import DoctorService
from nomarr.services.infrastructure.enrichment_svc import EnrichmentService
from nomarr.services.infrastructure.event_feed_svc import EventFeed, EventFeedService
from nomarr.services.infrastructure.file_watcher_svc import FileWatcherService
from nomarr.services.infrastructure.integrity_svc import IntegrityService
from nomarr.services.infrastructure.kept_setting_svc import KeptSettingService
from nomarr.services.infrastructure.token_svc import TokenService

__all__ = ["CHANGEABLE_SETTINGS", "SETTINGS_OF_THE_DATABASE", "Nomarr"]

CHANGEABLE_SETTINGS: Final = frozenset(
    {
        "audio_patterns",
        "content_hashes",
        "enrichment_timeout_seconds",
        "enrichment_workers",
        "file_timeout_seconds",
        "ignore_patterns",
        "lease_seconds",
        "parallel_libraries",
        "purge_missing_after_days",
        "resume_policy",
        "scan_batch_size",
        "settle_seconds",
        "tag_workers",
        "watcher_debounce_seconds",
        "watcher_max_wait_seconds",
        "watcher_poll_seconds",
        "watcher_reconcile_seconds",
    }
)
"""What `Nomarr.change_settings` takes."""

logger = logging.getLogger(__name__)

SETTINGS_OF_THE_DATABASE: Final = frozenset({"audio_patterns", "ignore_patterns", "purge_missing_after_days"})
"""Once changed over HTTP these hold for every process that uses the database; all others are the service's own.

An id that somebody was told is kept must not be lost because another process is configured in another way, and what the
service leaves out must not come back with each scan by a command.
"""
_WHILE_UNREADABLE: Final[Mapping[str, Any]] = {"purge_missing_after_days": "never"}
"""What holds while nobody can tell what was chosen, where the configuration's value might lose something."""
_SERVER_AWAY_SECONDS: Final = (1.0, 2.0, 5.0, 10.0, 30.0)
"""How long to wait for a server before asking it again; the last one again and again."""


class Nomarr:
    """One open library database with everything around it; made by `Nomarr.open`."""

    def __init__(self, config: Config, db: Database, tasks: BackgroundTaskService) -> None:
        self.configured = config
        """The settings with which it was opened, whatever was changed since."""
        self.config = config
        self.tasks = tasks
        self.database = db
        self.libraries = LibraryService(
            db, tasks, self._retention, _library_settings(config), file_rules=self._file_rules
        )
        self.enrichment = EnrichmentService(db, tasks, _enrichment_options(config, db))
        self.libraries.subscribe(lambda _: self.enrichment.wake())
        self.watcher = FileWatcherService(self.libraries, tasks, _watch_settings(config))
        self.event_feed = EventFeedService(db)
        self.tokens = TokenService(db)
        self.kept_settings = KeptSettingService(db, self.config_with, SETTINGS_OF_THE_DATABASE)
        self.integrity = IntegrityService(db, self.enrichment.covers)
        self.doctor = DoctorService(
            db,
            self.enrichment.covers,
            lambda: self.kept_settings.read_now().unreadable,
            root_marker=config.root_marker,
        )

    @classmethod
    @asynccontextmanager
    async def open(
        cls, config: Config | str | None = None, *, wait_for_server: bool = False, **settings: Any
    ) -> AsyncIterator[Nomarr]:
        """Open a library database: `async with Nomarr.open("sqlite:///music.db") as nomarr:`.

        Args:
            config: a database URL, a `Config`, or None for the user's configuration.
            wait_for_server: while the database's server is away, say so in the log and go on trying, instead of
                giving up after a few seconds; for whoever is to run for days.
            settings: single settings, such as `scan_batch_size=100`; not together with a `Config`.

        Raises:
            ConfigurationError: if a setting or the URL is wrong.
            DatabaseError: if the database can't be used.
        """
        ready = config if isinstance(config, Config) else load_config(database_url=config, **settings)
        open_database = _opened_when_it_is_there if wait_for_server else _opened
        db = await open_database(ready.database_url)
        try:
            async with _given_up_at_the_end(db), BackgroundTaskService() as tasks:
                nomarr = cls(ready, db, tasks)
                async with nomarr.watcher:
                    try:
                        yield nomarr
                    finally:
                        db.give_up()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(db.close)

    def change_settings(self, changes: Mapping[str, Any]) -> None:
        """Take over other settings while everything goes on: `{"watcher_debounce_seconds": 5}`.

        What runs already ends as it began. Nothing is stored; the next `open` has the configuration's settings again.
        Settings of the database that were changed over HTTP go on to win, as `config_with_kept` says.

        Raises:
            ConfigurationError: as `config_with`.
        """
        config = self.config_with(changes)
        self.config = config
        self.libraries.use(_library_settings(config))
        self.enrichment.use(_enrichment_options(config, self.database))
        self.watcher.use(_watch_settings(config))

    def config_with(self, changes: Mapping[str, Any]) -> Config:
        """What `config` would be after `change_settings`; nothing is changed.

        Raises:
            ConfigurationError: if a setting is unknown, out of range or can't be changed any more.
        """
        fixed = sorted(changes.keys() - CHANGEABLE_SETTINGS)
        if fixed:
            raise ConfigurationError(
                f"{', '.join(fixed)} can't be changed now, only {', '.join(sorted(CHANGEABLE_SETTINGS))}",
                source="the change of settings",
            )
        return changed_config(self.config, changes)

    def config_with_kept(self, kept: KeptSettings) -> Config:
        """`config`, and instead of its own settings those of `kept` that hold for every process: these always win.

        While a retention is kept that can't be read, nothing is purged.
        """
        chosen = {name: kept.usable[name] for name in SETTINGS_OF_THE_DATABASE & kept.usable.keys()}
        safe = {name: _WHILE_UNREADABLE[name] for name in _WHILE_UNREADABLE.keys() & kept.unreadable}
        return changed_config(self.config, chosen | safe)

    @staticmethod
    async def copy_database(
        source_url: str, target_url: str, *, on_progress: Callable[[RowProgress], None] = lambda _: None
    ) -> CopyReport:
        """Copy everything from one database into another, new one, and compare both at the end.

        If it is ended before, the same call goes on where it was. Covers are files and stay where they are.

        Raises:
            DatabaseInUse: if somebody scans or enriches in the source.
            CopyTargetNotEmpty: if the target holds anything but the same copy, unfinished.
            CopyDiffers: if something wrote to one of them meanwhile.
        """
        return await copy_database(source_url, target_url, on_progress=on_progress)

    async def watch_all(self) -> None:
        """Keep every enabled library whose watch mode is not off true to the disk, from now until the end.

        Comes back at once; `watcher.subscribe` tells what goes on. Does nothing if `enable_file_watching` is false.
        Files are enriched in the background, too, unless `enable_enrichment` is false.
        """
        # Not twice at a time, if this is called again.
        with suppress(TaskAlreadyRunning):
            self.tasks.start_once("finish removals", self.libraries.finish_removals)
        if self.config.enable_file_watching:
            await self.watcher.watch_all()
        self.enrich_in_background()

    def enrich_in_background(self) -> None:
        """Work off what scans leave, of all libraries, from now until the end, unless `enable_enrichment` is false."""
        if self.config.enable_enrichment:
            self.enrichment.start()

    def events(self, after: int = 0) -> EventFeed:
        """The change feed: `async with nomarr.events(after=0) as feed:` and then `async for event in feed:`."""
        return self.event_feed.follow(after)

    async def _retention(self) -> float | None:
        days = (await self._in_force()).purge_missing_after_days
        return None if days == "never" else float(days)

    async def _file_rules(self) -> FileRules:
        config = await self._in_force()
        return FileRules(tuple(config.ignore_patterns), tuple(config.audio_patterns))

    async def _in_force(self) -> Config:
        """The settings with what was chosen for the database, by whichever process."""
        return self.config_with_kept(await self.kept_settings.read())


async def _opened(url: str) -> Database:
    return await anyio.to_thread.run_sync(Database.open, url)


async def _opened_when_it_is_there(url: str) -> Database:
    for pause in chain(_SERVER_AWAY_SECONDS, repeat(_SERVER_AWAY_SECONDS[-1])):
        try:
            return await _opened(url)
        except DatabaseNotReachable as error:
            if not Database.is_on_server(url):
                raise
            logger.warning("waiting for the database, to try again in %g s: %s", pause, error)
            await anyio.sleep(pause)
    raise AssertionError("it is tried for ever")


@asynccontextmanager
async def _given_up_at_the_end(db: Database) -> AsyncIterator[None]:
    """Gives `db` up as soon as the block is cancelled: its threads would wait for a server that is away.

    Nothing in the block can do so by itself, because it waits for these threads before it learns of its end.
    """

    async def give_up_when_cancelled() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            db.give_up()

    async with BackgroundTaskService() as guard:
        guard.start("giving the database up", give_up_when_cancelled)
        yield


def _enrichment_options(config: Config, db: Database) -> EnrichmentOptions:
    folder = db.own_folder if config.data_folder is None else Path(config.data_folder).absolute()
    if folder is None:
        raise ConfigurationError("'data_folder' has to be set: this database has no folder of its own for covers")
    return EnrichmentOptions(
        cover_folder=str(folder / "covers"),
        workers=config.enrichment_workers or os.cpu_count() or 1,
        file_timeout_seconds=config.enrichment_timeout_seconds,
        content_hashes=config.content_hashes,
    )


def _watch_settings(config: Config) -> WatchSettings:
    return WatchSettings(
        debounce_seconds=config.watcher_debounce_seconds,
        max_wait_seconds=config.watcher_max_wait_seconds,
        poll_seconds=config.watcher_poll_seconds,
        reconcile_seconds=config.watcher_reconcile_seconds,
    )


def _library_settings(config: Config) -> LibrarySettings:
    return LibrarySettings(
        scan=ScanOptions(
            resume=config.resume_policy == "auto",
            batch_size=config.scan_batch_size,
            tag_workers=config.tag_workers or os.cpu_count() or 1,
            settle_seconds=config.settle_seconds,
            lease_seconds=config.lease_seconds,
            file_timeout_seconds=config.file_timeout_seconds,
            root_marker=config.root_marker,
        ),
        parallel_libraries=config.parallel_libraries,
    )
