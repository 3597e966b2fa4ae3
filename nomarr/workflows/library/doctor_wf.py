"""Look at everything that Nomarr depends on, and say what to do about what is wrong. Nothing is changed."""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from nomarr.components.library.file_systems_comp import file_system_of, keeps_identity
from nomarr.components.library.root_guard_comp import SAMPLE_SIZE, check_root
from nomarr.helpers.dto.library import Library, ScanTarget, WatchMode
from nomarr.helpers.exceptions import DatabaseError
from nomarr.helpers.paths_helper import strip_control
from nomarr.persistence.db import Database

__all__ = ["Check", "CheckStatus", "check_database_workflow", "check_machine_workflow"]

INOTIFY_LIMITS: Final = Path("/proc/sys/fs/inotify")

_LITTLE_SPACE: Final = 500_000_000
_VERY_LITTLE_SPACE: Final = 50_000_000
_TOOLS: Final = (
    ("ffprobe", "the exact length of some broken or unusual files stays unknown", "install the package ffmpeg"),
    (
        "fpcalc",
        "acoustic fingerprints are not made, so some moved files are not recognized after they were edited",
        "install the package libchromaprint-tools (or chromaprint)",
    ),
)
_OF_OTHER_MACHINES: Final = ("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "virtiofs", "afs", "ceph")
"""File systems that other machines change too; the kernel does not tell about their changes."""


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


def check_machine_workflow() -> list[Check]:
    """Versions and tools, which are the same for every database. Synchronous: run it in a worker thread."""
    return [_python(), _package("mutagen", "reads tags"), *(_tool(*tool) for tool in _TOOLS)]


def check_database_workflow(
    db: Database, now: float, *, root_marker: str = "", limits: Path = INOTIFY_LIMITS
) -> list[Check]:
    """The open database, and every library in it. Synchronous: run it in a worker thread."""
    checks = [_reachable(db), _sqlite(), _integrity(db), *_free_space(db)]
    try:
        libraries = db.library.list_libraries(now)
        return [*checks, *_watch_limits(db, libraries, limits), *_libraries(db, libraries, root_marker)]
    except DatabaseError as error:
        return [*checks, Check("libraries", CheckStatus.ERROR, str(error), "restore a backup of the database")]


def _python() -> Check:
    return Check("python", CheckStatus.OK, f"{platform.python_version()} on {platform.system()} {platform.release()}")


def _package(name: str, purpose: str) -> Check:
    try:
        return Check(name, CheckStatus.OK, f"{version(name)}, {purpose}")
    except PackageNotFoundError:
        return Check(name, CheckStatus.ERROR, f"not installed; it {purpose}", "install Nomarr again")


def _tool(name: str, cost: str, remedy: str) -> Check:
    found = shutil.which(name)
    if found is not None:
        return Check(name, CheckStatus.OK, found)
    return Check(name, CheckStatus.WARN, f"not found: {cost}", remedy)


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
    """inotify takes one watch for each folder, out of a number that all programs of a user share."""
    try:
        watches = int((limits / "max_user_watches").read_text(encoding="ascii"))
        instances = int((limits / "max_user_instances").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return [Check("inotify", CheckStatus.WARN, "its limits can't be read; changes are found by polling")]
    folders = sum(_folders(db, library) for library in libraries if library.watch_mode is not WatchMode.OFF)
    detail = f"{watches:,} watches and {instances:,} instances allowed, {folders:,} folders to watch"
    if folders * 2 <= watches:
        return [Check("inotify", CheckStatus.OK, detail)]
    wanted = max(524_288, 4 * folders)
    remedy = (
        f"allow more: echo fs.inotify.max_user_watches={wanted} | sudo tee /etc/sysctl.d/60-nomarr.conf "
        "&& sudo sysctl --system"
    )
    return [Check("inotify", CheckStatus.WARN, detail, remedy)]


def _folders(db: Database, library: Library) -> int:
    return len(db.library_folders.within(ScanTarget(library.library_id)))


def _libraries(db: Database, libraries: Sequence[Library], root_marker: str) -> list[Check]:
    if not libraries:
        return [Check("libraries", CheckStatus.OK, "none yet", "add one: nomarr scan FOLDER")]
    return [_library(db, library, root_marker) for library in libraries]


def _library(db: Database, library: Library, root_marker: str) -> Check:
    name = f"library {strip_control(library.name)}"
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
        f"watch mode {library.watch_mode.value}, {library.files:,} files"
    )
    for judge in (_judge_watching, _judge_identity):
        if (doubt := judge(library, file_system)) is not None:
            problem, remedy = doubt
            return Check(name, CheckStatus.WARN, f"{detail}; {problem}", remedy)
    return Check(name, CheckStatus.OK, detail)


def _judge_watching(library: Library, file_system: str) -> tuple[str, str] | None:
    if library.watch_mode is not WatchMode.EVENTS or file_system not in _OF_OTHER_MACHINES:
        return None
    return (
        "changes made by other machines are not told by this file system",
        f"use polling: nomarr library edit '{strip_control(library.name)}' --watch auto",
    )


def _judge_identity(_: Library, file_system: str) -> tuple[str, str] | None:
    if keeps_identity(file_system):
        return None
    return (
        "this file system does not keep inode numbers, so some moved files may not be recognized",
        "nothing to do; keep the music on a local Linux file system if ids must survive every move",
    )
