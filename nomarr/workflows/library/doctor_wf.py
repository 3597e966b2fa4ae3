"""Look at everything that Nomarr depends on, and say what to do about what is wrong. Nothing is changed."""

from __future__ import annotations

import platform
import shlex
import shutil
import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from nomarr.components.library.file_systems_comp import file_system_of, keeps_identity
from nomarr.components.library.inotify_limits_comp import INOTIFY_LIMITS, InotifyLimit, allowed, how_to_raise
from nomarr.components.library.mount_watch_comp import polled_file_system
from nomarr.components.library.root_guard_comp import SAMPLE_SIZE, check_root
from nomarr.components.media.fingerprint_comp import comparing_problem
from nomarr.components.media.tools_comp import FFPROBE, FPCALC, find_tool
from nomarr.helpers.disk_looks_helper import DiskLooks
from nomarr.helpers.dto.library import Library, LibraryState, ScanTarget, WatchMode
from nomarr.helpers.dto.scan import SeenLease
from nomarr.helpers.exceptions import DatabaseError
from nomarr.helpers.paths_helper import strip_control
from nomarr.helpers.time_helper import iso8601
from nomarr.persistence.db import Database
from nomarr.workflows.library.library_state_wf import with_true_state

__all__ = [
    "LOOK_SECONDS",
    "UNANSWERED_REMEDY",
    "Check",
    "CheckStatus",
    "check_database_workflow",
    "check_machine_workflow",
    "check_settings_workflow",
]

LOOK_SECONDS: Final = 3.0
"""So long a disk may take to answer; one that sleeps or is far away is slow, too."""
UNANSWERED_REMEDY: Final = "check that it is mounted and reachable, then look again"

_LITTLE_SPACE: Final = 500_000_000
_VERY_LITTLE_SPACE: Final = 50_000_000
_TOOLS: Final = (
    (FFPROBE, "the exact length of some broken or unusual files stays unknown", "install the package ffmpeg"),
    (
        FPCALC,
        "acoustic fingerprints are not made, so some moved files are not recognized after they were edited",
        "install the package libchromaprint-tools (or chromaprint)",
    ),
)
_PLENTY: Final = {InotifyLimit.WATCHES: 524_288, InotifyLimit.INSTANCES: 512, InotifyLimit.QUEUED_EVENTS: 65_536}
"""Limits as generous distributions set them; what is not used costs nothing."""
_KERNEL_QUEUE: Final = 16_384
"""What the kernel sets if nobody else does."""
_OPTIONS_FOR: Final = {
    "watch_mode": "--watch auto",
    "ignore_patterns": "--no-ignore",
    "transcode_policy": "--transcodes keep_id",
}
"""What sets a setting of a library anew that can't be read."""
_UNTIL_CHOSEN: Final = {"purge_missing_after_days": "no missing file is forgotten"}
_CONFIGURED: Final = "the configuration holds"
"""What follows from a setting of the database that can't be read."""
_BY_EVENTS: Final = (WatchMode.AUTO, WatchMode.EVENTS)
_INSTANCES_PER_LIBRARY: Final = 2
"""A new watcher stands before the old one is taken down."""


class CheckStatus(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARN = "warn"
    """It works, with something missing."""
    ERROR = "error"
    """Something does not work."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    status: CheckStatus
    detail: str
    remedy: str | None = None


@dataclass(frozen=True, slots=True)
class _Doubt:
    """What is wrong with a library whose disk is there, and what to do."""

    status: CheckStatus
    problem: str
    remedy: str


@dataclass(frozen=True, slots=True)
class _Need:
    """How much of one of inotify's limits the watched libraries take."""

    limit: InotifyLimit
    check: str
    number: int
    detail: str
    """What is allowed and what for; `{}` is the limit."""
    cost: str
    """What happens when it is not enough."""

    def judge(self, limit: int) -> Check:
        detail = self.detail.format(f"{limit:,}")
        if self.number <= limit:
            return Check(self.check, CheckStatus.OK, detail)
        remedy = how_to_raise(self.limit, max(_PLENTY[self.limit], 2 * self.number))
        return Check(self.check, CheckStatus.WARN, f"{detail}: {self.cost}", remedy)


def check_machine_workflow() -> list[Check]:
    """Versions and tools, which are the same for every database. Synchronous: run it in a worker thread."""
    packages = [_package("mutagen", "reads tags"), _package("Pillow", "reads covers")]
    return [_python(), *packages, *(_tool(*tool) for tool in _TOOLS), _chromaprint()]


def check_database_workflow(
    db: Database, now: float, looks: DiskLooks, *, root_marker: str = "", limits: Path = INOTIFY_LIMITS
) -> list[Check]:
    """The open database, and every library in it. Synchronous: run it in a worker thread.

    A library's disk that does not answer costs `LOOK_SECONDS`, however many do not.
    """
    checks = [_reachable(db), _sqlite(), _integrity(db), *_free_space(db)]
    try:
        libraries = [with_true_state(db, library) for library in db.library.list_libraries(now)]
        return [*checks, *_watch_limits(db, libraries, limits), *_libraries(db, libraries, looks, root_marker, now)]
    except DatabaseError as error:
        return [*checks, Check("libraries", CheckStatus.ERROR, str(error), "restore a backup of the database")]


def check_settings_workflow(unreadable: Callable[[], Collection[str]]) -> Check:
    """What was chosen for the whole database. Synchronous: run it in a worker thread.

    Args:
        unreadable: names the settings of which nobody can tell what was chosen; may raise `DatabaseError`.
    """
    try:
        names = sorted(unreadable())
    except DatabaseError as error:
        return Check("settings", CheckStatus.ERROR, str(error), "restore a backup of the database")
    if not names:
        return Check("settings", CheckStatus.OK, "what was chosen for the database can be read")
    told = "; ".join(f"{name}: until then {_UNTIL_CHOSEN.get(name, _CONFIGURED)}" for name in names)
    return Check(
        "settings",
        CheckStatus.ERROR,
        f"what was chosen can't be read and has to be chosen again ({told})",
        "choose it, or give it back to the configuration: on the page of 'nomarr serve' under Settings, or over HTTP",
    )


def _python() -> Check:
    return Check("python", CheckStatus.OK, f"{platform.python_version()} on {platform.system()} {platform.release()}")


def _package(name: str, purpose: str) -> Check:
    try:
        return Check(name, CheckStatus.OK, f"{version(name)}, {purpose}")
    except PackageNotFoundError:
        return Check(name, CheckStatus.ERROR, f"not installed; it {purpose}", "install Nomarr again")


def _tool(name: str, cost: str, remedy: str) -> Check:
    found = find_tool(name)
    if found is not None:
        return Check(name, CheckStatus.OK, found)
    return Check(name, CheckStatus.WARN, f"not found: {cost}", remedy)


def _chromaprint() -> Check:
    problem = comparing_problem()
    if problem is None:
        return Check("chromaprint", CheckStatus.OK, "compares fingerprints")
    return Check(
        "chromaprint",
        CheckStatus.WARN,
        f"can't be used ({strip_control(problem)}): songs in other encodings are not recognized",
        "install the package libchromaprint1 (or chromaprint)",
    )


def _reachable(db: Database) -> Check:
    return Check("database", CheckStatus.OK, f"{strip_control(db.location)}, schema {db.schema_version()}")


def _sqlite() -> Check:
    # The driver is asked for where it is loaded, not imported: only the backend that uses it does that.
    driver = sys.modules.get("sqlite3")
    found = getattr(driver, "sqlite_version", None)
    return Check("sqlite", CheckStatus.OK, "not in use" if found is None else str(found))


def _integrity(db: Database) -> Check:
    try:
        problems = db.check_integrity()
    except DatabaseError as error:
        problems = [str(error)]
    if not problems:
        return Check("integrity", CheckStatus.OK, "the database's contents are sound")
    more = f" and {len(problems) - 1} more" if len(problems) > 1 else ""
    return Check(
        "integrity",
        CheckStatus.ERROR,
        f"{strip_control(problems[0])}{more}",
        "restore a backup, or scan into a new database with --db",
    )


def _free_space(db: Database) -> list[Check]:
    """Free space of the disk that holds an embedded database; nothing for others."""
    if not db.location.startswith("sqlite:///"):
        return []
    file = Path(db.location.removeprefix("sqlite:///"))
    try:
        free = shutil.disk_usage(file.parent).free
    except OSError as error:
        return [Check("disk space", CheckStatus.WARN, f"can't be found out ({error.strerror})")]
    detail = f"{free / 1e9:.1f} GB free where the database is"
    if free >= _LITTLE_SPACE:
        return [Check("disk space", CheckStatus.OK, detail)]
    status = CheckStatus.WARN if free >= _VERY_LITTLE_SPACE else CheckStatus.ERROR
    return [Check("disk space", status, detail, "free some space, or move the database (--db)")]


def _watch_limits(db: Database, libraries: Sequence[Library], limits: Path) -> list[Check]:
    """inotify takes a watch for each folder, out of numbers that all programs of a user share."""
    if platform.system() != "Linux":
        return []
    try:
        return [need.judge(allowed(need.limit, limits)) for need in _needs(db, libraries)]
    except (OSError, ValueError):
        return [Check("inotify", CheckStatus.WARN, "its limits can't be read; changes are found by polling")]


def _needs(db: Database, libraries: Sequence[Library]) -> list[_Need]:
    """What watching takes. Half of what users have is left to their other programs."""
    watched = [library for library in libraries if library.enabled and library.watch_mode in _BY_EVENTS]
    folders = sum(_folders(db, library) for library in watched)
    return [
        _Need(
            InotifyLimit.WATCHES,
            "inotify",
            2 * folders,
            f"{{}} watched folders allowed, folders to watch: {folders:,}",
            "folders without a watch are only polled",
        ),
        _Need(
            InotifyLimit.INSTANCES,
            "inotify instances",
            2 * _INSTANCES_PER_LIBRARY * len(watched),
            f"{{}} watchers allowed, libraries to watch: {len(watched):,}",
            "a library without an instance is only polled",
        ),
        _Need(
            InotifyLimit.QUEUED_EVENTS,
            "inotify queue",
            _KERNEL_QUEUE,
            "{} changes may wait at once",
            "nothing is lost by that, but when more files change at once, the whole library is looked through",
        ),
    ]


def _folders(db: Database, library: Library) -> int:
    known = db.library_folders.within(ScanTarget(library.library_id))
    return sum(not folder.is_hidden for folder in known.values())


def _libraries(
    db: Database, libraries: Sequence[Library], looks: DiskLooks, root_marker: str, now: float
) -> list[Check]:
    if not libraries:
        return [Check("libraries", CheckStatus.OK, "none yet", "add one: nomarr scan FOLDER")]
    found = looks.in_time(
        {library.library_id: partial(_library, db, library, root_marker, now) for library in libraries}, LOOK_SECONDS
    )
    return [found.get(library.library_id) or _unanswered(library) for library in libraries]


def _unanswered(library: Library) -> Check:
    detail = f"this disk does not answer: {strip_control(library.root_path)}"
    return Check(_name(library), CheckStatus.ERROR, detail, UNANSWERED_REMEDY)


def _name(library: Library) -> str:
    return f"library {strip_control(library.name)}"


def _library(db: Database, library: Library, root_marker: str, now: float) -> Check:
    name = _name(library)
    if library.unreadable_settings:
        return _standing_still(name, library)
    verdict = check_root(
        library.root_path,
        library.root_identity,
        lambda: db.library_files.sample(library.library_id, SAMPLE_SIZE),
        may_be_empty=False,
        marker=root_marker,
    )
    if verdict.offline_reason is not None:
        return Check(
            name,
            CheckStatus.ERROR,
            f"offline: {verdict.offline_reason}",
            "mount or connect its disk, or tell its new place with 'nomarr library relocate'",
        )
    file_system = file_system_of(library.root_path)
    detail = (
        f"{strip_control(library.root_path)} on {file_system or 'an unknown file system'}, "
        f"{_watching(library)}, {library.files:,} files"
    )
    if library.state is LibraryState.SCANNING:
        return _scanned(db, library, detail, now)
    for judge in (_judge_state, _judge_watching, _judge_identity):
        if (doubt := judge(library, file_system)) is not None:
            return Check(name, doubt.status, f"{detail}; {doubt.problem}", doubt.remedy)
    return Check(name, CheckStatus.OK, detail)


def _scanned(db: Database, library: Library, detail: str, now: float) -> Check:
    """Who scans it, since when, and when others may if it is not heard of again."""
    state = db.library.get_scan_state(library.library_id)
    if state is None or state.owner is None or state.expires_at is None:
        # It has just ended.
        return Check(_name(library), CheckStatus.OK, detail)
    since, until = iso8601(state.last_scan_started_at), iso8601(state.expires_at)
    told = f"{detail}; it is being scanned since {since} by {strip_control(state.owner)}, whose lease ends at {until}"
    if not SeenLease(state.owner, state.expires_at).ends_too_late(now):
        return Check(_name(library), CheckStatus.OK, f"{told} and is renewed until the scan is done")
    return Check(
        _name(library),
        CheckStatus.WARN,
        f"{told}: a clock was wrong",
        f"a scan that waits takes it over after a minute if it is not renewed: nomarr scan {_quoted_name(library)}",
    )


def _standing_still(name: str, library: Library) -> Check:
    options = " ".join(_OPTIONS_FOR[setting] for setting in library.unreadable_settings)
    return Check(
        name,
        CheckStatus.ERROR,
        f"it stands still: its settings can't be read ({', '.join(library.unreadable_settings)})",
        f"set them anew: nomarr library edit {_quoted_name(library)} {options}",
    )


def _quoted_name(library: Library) -> str:
    """For a command line."""
    return shlex.quote(strip_control(library.name))


def _watching(library: Library) -> str:
    """The watch mode, and what it comes to on this disk."""
    mode = f"watch mode {library.watch_mode.value}"
    if not library.enabled:
        return f"disabled, {mode}"
    if library.watch_mode is not WatchMode.AUTO:
        return mode
    polled = polled_file_system(library.root_path)
    return f"{mode} (polled: {polled} does not tell of every change)" if polled is not None else f"{mode} (by events)"


def _judge_state(library: Library, _: str) -> _Doubt | None:
    command = f"nomarr scan {_quoted_name(library)}"
    match library.state:
        case LibraryState.FAILED:
            problem = strip_control(library.failure or "its last scan failed")
            return _Doubt(CheckStatus.ERROR, problem, f"remove the cause and scan it again: {command}")
        case LibraryState.INTERRUPTED:
            return _Doubt(CheckStatus.WARN, "its last scan was interrupted", f"let it go on: {command}")
        case LibraryState.OFFLINE:
            reason = f" ({strip_control(library.offline_reason)})" if library.offline_reason else ""
            problem = f"it was offline when it was last scanned{reason}, and is there now"
            return _Doubt(CheckStatus.WARN, problem, f"scan it again: {command}")
    return None


def _judge_watching(library: Library, _: str) -> _Doubt | None:
    if library.watch_mode is not WatchMode.EVENTS:
        return None
    polled = polled_file_system(library.root_path)
    if polled is None:
        return None
    return _Doubt(
        CheckStatus.WARN,
        f"{polled} does not tell of changes that are made elsewhere",
        f"let it be polled: nomarr library edit {_quoted_name(library)} --watch auto",
    )


def _judge_identity(_: Library, file_system: str) -> _Doubt | None:
    if keeps_identity(file_system):
        return None
    return _Doubt(
        CheckStatus.WARN,
        "this file system does not keep inode numbers, so some moved files may not be recognized",
        "nothing to do; keep the music on a local Linux file system if ids must survive every move",
    )
